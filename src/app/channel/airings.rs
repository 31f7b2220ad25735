//! What is in the picture, as timed metadata in the playlists: at the frames that the overlay element reports; and what
//! producers announce themselves.

use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::id;
use crate::overlay::board::{Mark, MarkEvent};
use crate::package::metadata::{DateRange, Value};
use crate::serve::live::Live;
use crate::time::{MediaTime, WallTime};

/// Marks that wait. They are a few a second at most, and taking one is a few microseconds' work.
pub(super) const MARKS: usize = 1024;
/// The class of the ranges.
const CLASS: &str = "vitrine.airing";

/// Of what producers announce themselves.
const ANNOUNCED: &str = "vitrine.metadata";
/// How long an announcement lasts: players that look at ranges now and then would miss a moment.
const ANNOUNCED_MS: i64 = 1000;

/// Notes a producer's own text.
pub(super) fn announce(live: &Live, now: MediaTime, text: &str) {
    let id = id::new("meta");
    let start = live.wall_of(now);
    let range = DateRange {
        subject: id.clone(),
        id,
        class: ANNOUNCED.into(),
        start,
        end: Some(WallTime(start.0 + ANNOUNCED_MS)),
        attributes: vec![("X-METADATA".into(), Value::Text(quotable(text)))],
    };
    live.note(now, |ranges| ranges.put(range, now));
}

/// What a quoted string may not hold, and `%`, as percent and two digits: `decodeURIComponent` gives the text back.
fn quotable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '"' | '%') || letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(letter);
        }
    }
    out
}

/// Notes marks until nobody sends them any more.
pub(super) async fn run(mut marks: mpsc::Receiver<(Arc<Mark>, MediaTime)>, live: Arc<Live>) {
    while let Some((mark, frame)) = marks.recv().await {
        let wall = live.wall_of(frame);
        live.note(frame, |ranges| match &mark.event {
            MarkEvent::Shows { airing_id, attributes } => {
                ranges.begin(airing_id, CLASS, attributes.clone(), wall, frame);
            }
            MarkEvent::Gone { airing_id, .. } => {
                ranges.end(|range| range.class == CLASS && range.subject == *airing_id, wall, frame);
            }
            MarkEvent::Only { airing_ids } => {
                ranges.end(|range| range.class == CLASS && !airing_ids.contains(&range.subject), wall, frame);
            }
        });
    }
}
