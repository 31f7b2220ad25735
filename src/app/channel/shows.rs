//! When a show begins and ends: with a publisher's picture, and when there has been none for long enough.

use std::sync::Arc;

use tokio::sync::watch;

use crate::media::Showing;
use crate::package::grid::Grid;
use crate::program::Progress;
use crate::serve::live::Live;

/// A frame that is made so late is of the past.
const PAST_MS: u64 = 500;

/// Tells `live`, and `is_live` whether a show goes on, until the programme ends. A show that was going on before a restart ends by the same rule.
pub(super) async fn run(
    mut progress: watch::Receiver<Progress>,
    grid: Grid,
    gap_ms: i64,
    live: Arc<Live>,
    is_live: watch::Sender<bool>,
) {
    let (mut told, mut newest, mut is_over) = (None, None, false);
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        if newest.is_none() && now.behind_ms > PAST_MS {
            continue; // the past, made at the start
        }
        let since = *newest.get_or_insert(now.frame);
        if matches!(now.showing, Showing::Live | Showing::Held) {
            (newest, is_over) = (Some(now.frame), false);
            is_live.send_if_modified(|is_live| !std::mem::replace(is_live, true));
            let segment = grid.segment_at(now.frame);
            if told.replace(segment) != Some(segment) {
                live.note_live(segment);
            }
        } else if !is_over && now.frame.since(since) >= gap_ms * 1_000_000 {
            is_over = true;
            is_live.send_replace(false);
            live.note_over();
        }
    }
}
