//! An RTMP connection after its handshake, its bytes cut anywhere. It must end in an error or go on, and never hold
//! more than it may.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitrine::ingest::rtmp::session::{Event, Session};

fuzz_target!(|bytes: &[u8]| {
    let mut session = Session::default();
    let mut handshake = vec![0_u8; 1 + 1536 * 2];
    handshake[0] = 3;
    session.feed(&handshake).expect("a simple handshake");
    let Some((cut, bytes)) = bytes.split_first() else { return };
    for piece in bytes.chunks(usize::from(*cut) * 16 + 1) {
        let Ok(events) = session.feed(piece) else { return };
        for event in events {
            if let Event::Publish { key } = event {
                assert!(key.len() < 65_536);
                if session.accept().is_err() {
                    return;
                }
            }
        }
        assert!(session.take_output().len() < 4 << 20);
    }
});
