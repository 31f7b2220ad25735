//! What is known of a channel, joined into its status for producers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::ingest::admission::Presence;
use crate::media::{
    CardPhase, CardProblem, ChannelStatus, CodeCheck, PublisherStatus, PushStatus, Role, SourceStatus, Turn,
};
use crate::overlay::board::Drawn;
use crate::program::Progress;
use crate::serve::demand::Crowd;
use crate::serve::live::Live;
use crate::time::MediaTime;

const NEVER: MediaTime = MediaTime(u64::MAX);
/// The status is told at least this often.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Joins what is known of a channel into its status: at every change that matters, else once a second.
pub(super) struct Follow {
    pub(super) status: watch::Sender<ChannelStatus>,
    pub(super) presence: watch::Receiver<Presence>,
    pub(super) source: watch::Receiver<Option<SourceStatus>>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) drawn: watch::Receiver<Drawn>,
    pub(super) problems: watch::Receiver<Vec<CardProblem>>,
    pub(super) turns: watch::Receiver<Vec<Turn>>,
    pub(super) codes: watch::Receiver<Vec<CodeCheck>>,
    pub(super) storage: watch::Receiver<Option<String>>,
    pub(super) clean: watch::Receiver<Option<String>>,
    pub(super) relief: watch::Receiver<Option<&'static str>>,
    pub(super) pushes: watch::Receiver<Vec<PushStatus>>,
    pub(super) load: watch::Receiver<Option<f64>>,
    pub(super) live: Arc<Live>,
    /// The publisher's own picture, where that is offered.
    pub(super) clean_live: Option<Arc<Live>>,
}

impl Follow {
    pub(super) async fn run(mut self) {
        let mut every = tokio::time::interval(STATUS_EVERY);
        let (mut crowd, mut clean_crowd) = (Crowd::default(), Crowd::default());
        loop {
            let now = *self.progress.borrow_and_update();
            let shown = *self.drawn.borrow_and_update();
            let turns = self.turns.borrow_and_update().clone();
            let turn = turns.iter().filter_map(|turn| turn.next(now.frame)).min().unwrap_or(NEVER);
            let of_clean = self.clean_live.as_ref().map_or(0, |live| clean_crowd.count(&live.demand));
            let (publisher, publishers) = ranked(self.presence.borrow_and_update().clone());
            self.status.send_replace(ChannelStatus {
                publisher,
                publishers,
                source: self.source.borrow_and_update().clone(),
                pushes: self.pushes.borrow_and_update().clone(),
                showing: now.showing,
                programme_ms: now.frame.as_millis(),
                programme_wall: self.live.wall_of(now.frame),
                behind_ms: now.behind_ms,
                skipped_frames: now.skipped_frames,
                encode_load: *self.load.borrow_and_update(),
                delay_ms: self.live.delay(now.frame).map(|delay| delay.as_millis() as u64 + now.behind_ms),
                viewers: crowd.count(&self.live.demand) + of_clean,
                drawn_rev: shown.rev,
                drawn_ms: shown.first_frame.as_millis(),
                cards: turns.iter().filter_map(|turn| phase(turn, now.frame)).collect(),
                card_problems: self.problems.borrow_and_update().clone(),
                codes: self.codes.borrow_and_update().clone(),
                storage_problem: self.storage.borrow_and_update().clone(),
                lowered_preset: *self.relief.borrow_and_update(),
                clean_problem: self.clean.borrow_and_update().clone(),
            });
            let has_ended = tokio::select! {
                _ = every.tick() => false,
                changed = self.presence.changed() => changed.is_err(),
                changed = self.source.changed() => changed.is_err(),
                changed = self.drawn.changed() => changed.is_err(),
                changed = self.problems.changed() => changed.is_err(),
                changed = self.turns.changed() => changed.is_err(),
                changed = self.codes.changed() => changed.is_err(),
                Ok(()) = self.clean.changed() => false,
                Ok(()) = self.pushes.changed() => false, // without targets nobody tells
                changed = self.progress.wait_for(|progress| progress.showing != now.showing || progress.frame >= turn) => {
                    changed.is_err()
                }
            };
            if has_ended {
                return;
            }
        }
    }
}

fn phase(turn: &Turn, now: MediaTime) -> Option<CardPhase> {
    let phase = turn.phase(now)?;
    Some(CardPhase { airing_id: turn.airing_id.clone(), card_id: turn.card_id.clone(), phase })
}

/// Who is on air or would be, and everybody, the best rank first.
fn ranked(presence: Presence) -> (PublisherStatus, Vec<PublisherStatus>) {
    let mut publishers: Vec<PublisherStatus> = presence.publishers.into_values().collect();
    publishers.sort_by_key(|one| (one.rank, std::cmp::Reverse(one.id)));
    let on_air = publishers.iter().find(|one| one.role == Role::OnAir).or(publishers.first()).cloned();
    let nobody = || PublisherStatus { last_end: presence.last_end, ..PublisherStatus::default() };
    (on_air.unwrap_or_else(nobody), publishers)
}
