//! Stories that count frames, on machines that have other things to do as well.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::stage::{Server, until};

/// How often a story is told.
const TRIES: u32 = 3;

/// Past the start, when segments are made ahead as fast as they can be.
pub(crate) fn on_time(server: &Server) {
    until("the programme is on time", || {
        let status = server.channel();
        (status["programmeMs"] != 0 && status["behindMs"].as_u64() < Some(50)).then_some(())
    });
}

/// Tells a story that counts frames, with the machine to itself and from the moment when the programme is on time. When
/// the server says that it left pictures out, because the machine did not keep up, the count means nothing and the
/// story is told again, with another server. One that fails with all its frames has failed.
pub(crate) fn in_time(story: impl Fn(&Server)) {
    for tries_left in (0..TRIES).rev() {
        let server = Server::alone();
        on_time(&server);
        let skipped = |server: &Server| server.channel()["skippedFrames"].as_u64().unwrap();
        let before = skipped(&server);
        match catch_unwind(AssertUnwindSafe(|| story(&server))) {
            Ok(()) => return,
            Err(_) if tries_left > 0 && skipped(&server) > before => {}
            Err(failure) => resume_unwind(failure),
        }
    }
}
