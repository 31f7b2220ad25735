//! Ends airings in the state when their time is over. In the picture they go by themselves, at their own frame:
//! this makes the state say so, also when no control page is there any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::director::DirectorHandle;
use crate::state::{Airing, Command, State};
use crate::time::ProgramClock;

/// Looked at again at least this often: a clock may be set.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// After a change could not be saved.
const AGAIN: Duration = Duration::from_secs(1);

/// Ends what is due until it is dropped.
pub(super) async fn run(director: DirectorHandle, clocks: BTreeMap<String, ProgramClock>) {
    let mut snapshots = director.snapshots();
    loop {
        let state: Arc<State> = snapshots.borrow_and_update().clone();
        // Until it ends, negative when it is due.
        let left = |airing: &Airing| -> Option<i64> {
            let clock = clocks.get(&airing.channel)?;
            Some(airing.ends_programme?.since(clock.now()))
        };
        let due: Vec<String> = state
            .airings
            .iter()
            .filter(|airing| left(airing).is_some_and(|nanos| nanos <= 0))
            .map(|airing| airing.id.clone())
            .collect();
        if !due.is_empty() {
            if let Err(error) = director.apply(Command::EndDue { airing_ids: due }).await {
                tracing::error!("a card whose time is over stays in the state: {error}");
                tokio::time::sleep(AGAIN).await;
            }
            continue;
        }
        let next = state.airings.iter().filter_map(left).min();
        let wait =
            next.map_or(LONGEST_WAIT, |nanos| Duration::from_nanos(nanos.max(1) as u64)).min(LONGEST_WAIT);
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}
