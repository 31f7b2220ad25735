//! What is in the picture, as timed metadata in the playlists: at the frames that the overlay element reports.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::overlay::board::{Mark, MarkEvent};
use crate::serve::live::Live;
use crate::time::MediaTime;

/// Marks that wait. They are a few a second at most, and taking one is a few microseconds' work.
pub(super) const MARKS: usize = 1024;
/// The class of the ranges.
const CLASS: &str = "vitrine.airing";

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
