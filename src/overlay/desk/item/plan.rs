//! What an airing has to draw for a movement: the frames of an entrance, of a change and of an exit.

use super::{AHEAD_NANOS, Easel, Item, Job};
use crate::overlay::animate;
use crate::overlay::content::{self, Content, Phase, Roll};
use crate::state::{Easing, Transition};
use crate::time::MediaTime;

/// How long a price turns, and one step fades into the next.
pub(super) const CHANGE_NANOS: i64 = 400_000_000;
/// Pictures of one round of an animation that calls for attention; a longer round shows each twice as long.
const MOST_ROUND: i64 = 30;
/// Bytes that the frames of one animation may take; those of a card as large as the picture are shown for a few
/// frames each.
const MOST_FILM_BYTES: usize = 64 * 1024 * 1024;

fn nanos(ms: u32) -> i64 {
    i64::from(ms) * 1_000_000
}

impl Item {
    pub(super) fn plan_rest(&mut self, from: MediaTime) {
        self.jobs.push_back(Job::Face { from, content: Box::new(self.content.clone()) });
    }

    pub(super) fn plan_entrance(&mut self, easel: &Easel, enter: MediaTime) {
        let own = nanos(self.design.native.animation.in_ms);
        if self.turns_a_second(enter, self.moves.enter_nanos) {
            self.plan_rest(enter);
        } else if own > 0 && self.moves.enter_nanos > 0 {
            self.plan_phases(easel, enter, own, Phase::In);
            self.plan_rest(easel.nearest(enter.offset(own)));
        } else if self.moves.enter == Transition::Pop {
            let (frame, length) = (easel.frame_nanos(), self.moves.enter_nanos);
            for n in 0..length / frame {
                let from = easel.nearest(enter.offset(n * frame));
                let size = animate::pop_size((n + 1) as f64 * frame as f64 / length as f64);
                self.jobs.push_back(Job::Sized { from, size });
            }
            self.plan_rest(easel.nearest(enter.offset(length)));
        } else {
            self.plan_rest(enter);
        }
    }

    /// The frames of one of the template's own animations.
    fn plan_phases(&mut self, easel: &Easel, from: MediaTime, length: i64, phase: fn(u32) -> Phase) {
        let frame = easel.frame_nanos();
        for n in (0..length / frame).step_by(self.frames_each(length / frame)) {
            let phase = phase(((n + 1) * frame / 1_000_000) as u32);
            let content = Box::new(Content { phase, ..self.content.clone() });
            self.jobs.push_back(Job::Face { from: easel.nearest(from.offset(n * frame)), content });
        }
    }

    /// For how many frames each of so many pictures has to be shown, for want of memory.
    fn frames_each(&self, count: i64) -> usize {
        (count as usize * self.base.sprite.bytes()).div_ceil(MOST_FILM_BYTES).max(1)
    }

    /// The frames of a round that calls for attention: how many, and how long each is shown.
    pub(super) fn round(&self, easel: &Easel) -> (u32, u64) {
        let frame = easel.frame_nanos();
        let frames = (nanos(self.design.native.animation.loop_ms) / frame).max(1);
        let each = (self.frames_each(frames) as i64).max((frames + MOST_ROUND - 1) / MOST_ROUND);
        ((frames / each).max(1) as u32, (frame * each) as u64)
    }

    /// When it begins to go, if there are frames of that still to be planned.
    pub(super) fn exit(&self) -> Option<MediaTime> {
        let own = self.design.native.animation.out_ms > 0 && self.moves.leave_nanos > 0;
        self.times.leave.filter(|_| own && !self.has_exit)
    }

    pub(super) fn wants_exit(&self, now: MediaTime) -> bool {
        self.exit().is_some_and(|leave| leave.since(now) < AHEAD_NANOS)
    }

    /// Plans the frames of its exit: as it looks when it begins to go.
    pub(super) fn plan_exit(&mut self, easel: &Easel) {
        let Some(leave) = self.times.leave else { return };
        self.has_exit = true;
        self.countdown_end = None;
        if let Some((_, content)) = self.seconds.iter().rev().find(|(from, _)| *from <= leave) {
            self.content = content.clone();
        }
        self.plan_phases(easel, leave, nanos(self.design.native.animation.out_ms), Phase::Out);
    }

    /// Whether a second of its countdown ends while something would move: no second is shown twice.
    pub(super) fn turns_a_second(&self, from: MediaTime, lasts: i64) -> bool {
        let left = |at| self.countdown_end.map(|end| content::seconds_left(end, at));
        left(from) != left(from.offset(lasts + 100_000_000))
    }

    pub(super) fn plan_steps(&mut self, easel: &Easel, from: MediaTime) {
        let own = nanos(self.design.native.animation.step_ms);
        self.plan_phases(easel, from, own, Phase::Step);
        self.end_change(easel, from, own);
    }

    pub(super) fn plan_roll(&mut self, easel: &Easel, old: &str, from: MediaTime) {
        let frames = CHANGE_NANOS / easel.frame_nanos();
        for n in 1..=frames {
            let eased = animate::ease(Easing::EaseInOut, n as f64 / (frames + 1) as f64);
            let roll = Roll { from: old.to_owned(), permille: (eased * 1000.0) as u16 };
            let content = Box::new(Content { roll: Some(roll), ..self.content.clone() });
            let at = easel.nearest(from.offset((n - 1) * easel.frame_nanos()));
            self.jobs.push_back(Job::Face { from: at, content });
        }
        self.end_change(easel, from, frames * easel.frame_nanos());
    }

    pub(super) fn plan_mix(&mut self, easel: &Easel, from: MediaTime) {
        let after = self.base.dressed(&self.link);
        // What is on air then: pictures of later seconds may be drawn already.
        let before = self.film.at(from).map_or_else(|| after.clone(), |face| face.sprite.clone());
        let frames = CHANGE_NANOS / easel.frame_nanos();
        if (before.width, before.height) == (after.width, after.height) {
            for n in 1..=frames {
                self.jobs.push_back(Job::Mixed {
                    from: easel.nearest(from.offset((n - 1) * easel.frame_nanos())),
                    before: before.clone(),
                    after: after.clone(),
                    share: (n * 256 / (frames + 1)) as u16,
                });
            }
        }
        self.end_change(easel, from, self.jobs.len() as i64 * easel.frame_nanos());
    }

    /// Whatever of a change is not drawn in time: after it there is the truth. Until its first picture is drawn,
    /// which is next, the old one is shown.
    fn end_change(&mut self, easel: &Easel, from: MediaTime, lasts: i64) {
        self.film.drop_from(from);
        self.film.plan(self.face(easel, &self.base, easel.nearest(from.offset(lasts))));
    }
}
