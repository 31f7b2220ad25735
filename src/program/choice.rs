//! Which of a channel's publishers is on air, and which are kept ready. Pure: the time is given.
//!
//! The best rank that sends is on air. When it stops sending, the next takes over at once; it comes back only after
//! it has been well for a while, so that a bad connection does not flicker. Of one rank the newest counts.

use crate::media::Role;
use crate::time::MediaTime;

/// Silence after which a publisher is not kept ready while another could be.
const PATIENCE_NANOS: i64 = 3_000_000_000;

/// A publisher as far as the choice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Later ones are greater.
    pub id: u64,
    /// 0 is the best.
    pub rank: u32,
    /// When it came.
    pub came: MediaTime,
    /// When its last frame arrived.
    pub last: Option<MediaTime>,
    /// Since when frames arrive without a pause.
    pub since: MediaTime,
    /// Whether, put on air, it has something to show at once.
    pub is_ready: bool,
}

/// The owner's wishes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Without a frame for this long a publisher does not send.
    pub gap_nanos: i64,
    /// Sending for this long, a better one comes back.
    pub return_nanos: i64,
}

impl Candidate {
    fn sends(&self, now: MediaTime, rules: Rules) -> bool {
        self.last.is_some_and(|last| now.since(last) <= rules.gap_nanos)
    }

    fn is_usable(&self, now: MediaTime, rules: Rules) -> bool {
        self.is_ready && self.sends(now, rules)
    }
}

/// Who is on air now, of those `present`; nobody new leaves it as it was.
pub fn on_air(now: MediaTime, before: Option<u64>, present: &[Candidate], rules: Rules) -> Option<u64> {
    let best = |usable: &dyn Fn(&&Candidate) -> bool| {
        present.iter().filter(usable).min_by_key(|one| (one.rank, std::cmp::Reverse(one.id)))
    };
    let current = before.and_then(|id| present.iter().find(|one| one.id == id));
    let better = match current.filter(|one| one.is_usable(now, rules)) {
        Some(current) => best(&|one| {
            let is_well = now.since(one.since) >= rules.return_nanos;
            let is_newer = one.rank == current.rank && one.id > current.id;
            one.is_usable(now, rules) && (is_newer || (one.rank < current.rank && is_well))
        }),
        None => best(&|one| one.is_usable(now, rules)),
    };
    better.map(|one| one.id).or(before)
}

/// Each one's role: besides who is on air, one is decoded to be ready, the best that sends.
pub fn roles(now: MediaTime, on_air: Option<u64>, present: &[Candidate], rules: Rules) -> Vec<(u64, Role)> {
    // More patient than the choice: a decoder that starts waits for a key frame, so none is stopped lightly.
    let patient = Rules { gap_nanos: rules.gap_nanos.max(PATIENCE_NANOS), ..rules };
    // One that has only just come counts as sending: its first key frame must not be missed.
    let sends = |one: &Candidate| match one.last {
        Some(_) => one.sends(now, patient),
        None => now.since(one.came) <= PATIENCE_NANOS,
    };
    let standby = present
        .iter()
        .filter(|one| Some(one.id) != on_air)
        .min_by_key(|one| (!sends(one), one.rank, std::cmp::Reverse(one.id)))
        .map(|one| one.id);
    let role = |id| match id {
        id if Some(id) == on_air => Role::OnAir,
        id if Some(id) == standby => Role::Standby,
        _ => Role::Waiting,
    };
    present.iter().map(|one| (one.id, role(one.id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const RULES: Rules = Rules { gap_nanos: 300_000_000, return_nanos: 5_000_000_000 };
    const NOW: MediaTime = MediaTime(100_000 * MS);

    fn one(id: u64, rank: u32, last_ms_ago: i64, well_ms: i64) -> Candidate {
        let ago = |ms: i64| NOW.offset(-ms * 1_000_000);
        Candidate {
            id,
            rank,
            came: ago(well_ms),
            last: Some(ago(last_ms_ago)),
            since: ago(well_ms),
            is_ready: true,
        }
    }

    #[test]
    fn the_best_rank_that_sends_is_on_air() {
        assert_eq!(on_air(NOW, None, &[one(1, 1, 10, 50), one(2, 0, 10, 50)], RULES), Some(2));
        assert_eq!(on_air(NOW, None, &[], RULES), None);
        let undecoded = Candidate { is_ready: false, ..one(2, 0, 10, 50) };
        assert_eq!(on_air(NOW, None, &[undecoded], RULES), None);
    }

    #[test]
    fn the_next_takes_over_when_frames_stop_and_gives_back_after_a_while() {
        let backup = one(2, 1, 10, 60_000);
        assert_eq!(on_air(NOW, Some(1), &[one(1, 0, 290, 60_000), backup], RULES), Some(1));
        assert_eq!(on_air(NOW, Some(1), &[one(1, 0, 310, 60_000), backup], RULES), Some(2));
        assert_eq!(on_air(NOW, Some(1), &[backup], RULES), Some(2), "gone altogether");
        assert_eq!(on_air(NOW, Some(2), &[one(1, 0, 10, 4_900), backup], RULES), Some(2));
        assert_eq!(on_air(NOW, Some(2), &[one(1, 0, 10, 5_000), backup], RULES), Some(1));
    }

    #[test]
    fn the_newest_of_a_rank_takes_over_with_its_first_picture() {
        let old = one(1, 0, 10, 60_000);
        let new = Candidate { is_ready: false, ..one(2, 0, 10, 100) };
        assert_eq!(on_air(NOW, Some(1), &[old, new], RULES), Some(1));
        assert_eq!(on_air(NOW, Some(1), &[old, Candidate { is_ready: true, ..new }], RULES), Some(2));
    }

    #[test]
    fn with_nobody_usable_it_stays_as_it_was() {
        assert_eq!(on_air(NOW, Some(1), &[one(1, 0, 5_000, 60_000)], RULES), Some(1));
        assert_eq!(on_air(NOW, Some(1), &[], RULES), Some(1));
    }

    #[test]
    fn one_is_kept_ready_and_the_others_wait() {
        let present = [one(1, 0, 10, 50), one(2, 1, 9_000, 50), one(3, 2, 10, 50), one(4, 3, 10, 50)];
        let roles = roles(NOW, Some(1), &present, RULES);
        let wanted = [(1, Role::OnAir), (2, Role::Waiting), (3, Role::Standby), (4, Role::Waiting)];
        assert_eq!(roles, wanted);
        // One that never sends is given a moment and no more.
        let silent = |well_ms| Candidate { last: None, ..one(5, 0, 0, well_ms) };
        let role = |well_ms| {
            super::roles(NOW, Some(1), &[one(1, 0, 10, 50), silent(well_ms), one(3, 2, 10, 50)], RULES)[1].1
        };
        assert_eq!((role(1_000), role(4_000)), (Role::Standby, Role::Waiting));
    }
}
