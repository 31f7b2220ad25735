//! The frame synchroniser: which picture is on air at each tick. Pure; tested with a hand-moved clock.
//!
//! The programme shows exactly one picture a tick, whatever the publisher does: the newest live frame that
//! is due, the last one again over a short gap, the slate over a long one. So a publisher's drop, return,
//! takeover or change of rate is never a hole or a discontinuity for viewers.

use std::collections::VecDeque;

use crate::media::FrameRate;
use crate::time::MediaTime;

/// What is shown at a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick<F> {
    /// A live frame that was not shown before.
    New(F),
    /// The last live frame again.
    Held(F),
    /// Nobody's: the slate.
    Slate,
}

/// The synchroniser's state; `F` is the frame, of which it knows nothing.
#[derive(Debug)]
pub struct FrameSync<F> {
    rate: FrameRate,
    frame_nanos: i64,
    hold_nanos: i64,
    /// Frames further apart than this do not wait together: the oldest goes. This bounds memory while the
    /// programme is late.
    most_nanos: i64,
    waiting: VecDeque<(MediaTime, F)>,
    last: Option<(MediaTime, F)>,
    /// Added to frames' times so that a frame falls a quarter of a tick before a tick, where a millisecond
    /// of jitter changes nothing; nor does it at twice our rate, where every second frame is then as far
    /// from the tick on the other side.
    shift: Option<i64>,
    /// Smoothed distance of frames' shifted times before their ticks, as a point in the circle that a tick is: at our
    /// own rate it lies on the rim, at another one near the middle.
    phase: (f64, f64),
}

impl<F: Clone> FrameSync<F> {
    /// For ticks at `rate`, holding the last frame for `hold_nanos`, with frames up to `most_nanos` waiting.
    pub fn new(rate: FrameRate, hold_nanos: i64, most_nanos: i64) -> Self {
        let frame_nanos = rate.time_of(1).0 as i64;
        Self {
            rate,
            frame_nanos,
            hold_nanos,
            most_nanos,
            waiting: VecDeque::new(),
            last: None,
            shift: None,
            phase: (0.0, 1.0),
        }
    }

    /// Takes a live frame. Frames come in the order in which they are shown.
    pub fn push(&mut self, pts: MediaTime, frame: F) {
        if self.waiting.back().is_some_and(|(last, _)| pts.since(*last) <= 0) {
            // The publisher's clock was reset: what waits from before is not shown after the new.
            self.waiting.retain(|(waiting, _)| *waiting < pts);
        }
        self.waiting.push_back((pts, frame));
        // By their times and, should these lie, by their number.
        let most = (self.most_nanos / self.frame_nanos.max(1) * 2) as usize + 8;
        while self.waiting.len() > most
            || self.waiting.front().is_some_and(|(oldest, _)| pts.since(*oldest) > self.most_nanos)
        {
            self.waiting.pop_front();
        }
    }

    /// What is shown at `now`.
    pub fn tick(&mut self, now: MediaTime) -> Pick<F> {
        let mut newest = None;
        while let Some(pts) = self.waiting.front().map(|(pts, _)| *pts) {
            let shift = self.shift_for(pts);
            if now.since(pts.offset(shift)) < 0 {
                break;
            }
            newest = self.waiting.pop_front().map(|(pts, frame)| (now.since(pts.offset(shift)), frame));
        }
        if let Some((phase, frame)) = newest {
            self.follow(phase);
            self.last = Some((now, frame.clone()));
            return Pick::New(frame);
        }
        match &self.last {
            Some((shown, frame)) if now.since(*shown) <= self.hold_nanos => Pick::Held(frame.clone()),
            _ => {
                (self.last, self.shift) = (None, None);
                Pick::Slate
            }
        }
    }

    /// The shift that puts a frame at `pts` a quarter of a tick before the tick nearest to it.
    fn shift_for(&mut self, pts: MediaTime) -> i64 {
        *self.shift.get_or_insert_with(|| {
            let quarter = self.frame_nanos / 4;
            self.phase = (0.0, 1.0);
            let after_tick = pts.since(self.rate.time_of(self.rate.frame_at(pts)));
            let to_nearest =
                if after_tick <= self.frame_nanos / 2 { -after_tick } else { self.frame_nanos - after_tick };
            to_nearest - quarter
        })
    }

    /// Moves the shift when the frames' phase has come near a tick, by drift or after a jump. At another rate than
    /// ours the phase goes round, its mean stays in the middle, and nothing is moved.
    fn follow(&mut self, phase: i64) {
        use std::f64::consts::TAU;
        let frame = self.frame_nanos as f64;
        let angle = phase as f64 / frame * TAU;
        // A quarter of a tick before the tick is (0, 1).
        self.phase.0 += (angle.cos() - self.phase.0) * 0.05;
        self.phase.1 += (angle.sin() - self.phase.1) * 0.05;
        let mean = (self.phase.1.atan2(self.phase.0) / TAU).rem_euclid(1.0);
        let is_steady = self.phase.0.hypot(self.phase.1) > 0.6;
        if is_steady
            && !(0.08..0.85).contains(&mean)
            && let Some(shift) = &mut self.shift
        {
            // The short way round, and never more than a frame early or late, or sound and picture part.
            let off = ((mean + 0.25).rem_euclid(1.0) - 0.5) * frame;
            *shift = (*shift + off as i64).clamp(-self.frame_nanos, self.frame_nanos / 4);
            self.phase = (0.0, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: i64 = 33_333_333;
    const RATE: FrameRate = FrameRate { num: 30, den: 1 };

    fn ms(ms: i64) -> MediaTime {
        MediaTime(((10_000_000 + ms) * 1_000_000) as u64)
    }

    fn tick_time(n: i64) -> MediaTime {
        RATE.time_of((300_000_000 + n) as u64)
    }

    fn sync() -> FrameSync<i64> {
        FrameSync::new(RATE, 1_000_000_000, 2_000_000_000)
    }

    #[test]
    fn one_frame_a_tick_goes_through_in_order_despite_rounding_to_milliseconds() {
        for phase in 0..33 {
            let mut sync = sync();
            let mut shown = Vec::new();
            for n in 0..300 {
                let exact = tick_time(n).offset(phase * 1_000_000);
                sync.push(MediaTime(exact.0 / 1_000_000 * 1_000_000), n);
                if n >= 3 {
                    match sync.tick(tick_time(n - 3)) {
                        Pick::New(frame) => shown.push(frame),
                        Pick::Held(_) => panic!("phase {phase}: tick {n} repeats"),
                        Pick::Slate => assert!(shown.is_empty()),
                    }
                }
            }
            assert!(
                shown.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "phase {phase}: a frame was left out"
            );
        }
    }

    #[test]
    fn after_a_jump_to_any_phase_frames_go_through_one_a_tick_again() {
        for phase in 0..33 {
            let mut sync = sync();
            let mut repeats = 0;
            for n in 0..900 {
                // From frame 300 on the publisher's clock is another one.
                let jump = if n < 300 { 0 } else { phase * 1_000_000 };
                sync.push(MediaTime(tick_time(n).offset(jump).0 / 1_000_000 * 1_000_000), n);
                if n >= 3 && matches!(sync.tick(tick_time(n - 3)), Pick::Held(_)) {
                    repeats += 1;
                }
            }
            assert!(repeats <= 30, "phase {phase}: {repeats} repeats");
        }
    }

    #[test]
    fn a_frame_is_shown_within_half_a_tick_of_its_time() {
        for offset in 0..33 {
            let mut sync = sync();
            sync.push(tick_time(5).offset(offset * 1_000_000), 0);
            let shown = (0..10).find(|n| sync.tick(tick_time(*n)) != Pick::Slate).unwrap();
            let error = tick_time(shown).since(tick_time(5).offset(offset * 1_000_000));
            assert!(error.abs() <= TICK / 2 + 1, "{offset} ms: {error}");
        }
    }

    #[test]
    fn a_short_gap_holds_and_a_long_one_shows_the_slate() {
        let mut sync = sync();
        assert_eq!(sync.tick(ms(0)), Pick::Slate);
        sync.push(ms(10), 1);
        assert_eq!(sync.tick(ms(33)), Pick::New(1));
        assert_eq!(sync.tick(ms(900)), Pick::Held(1));
        assert_eq!(sync.tick(ms(1100)), Pick::Slate);
        sync.push(ms(2000), 2);
        assert_eq!(sync.tick(ms(2040)), Pick::New(2));
    }

    #[test]
    fn after_a_stall_the_newest_due_frame_is_shown_not_the_backlog() {
        let mut sync = sync();
        sync.push(ms(0), 0);
        sync.tick(ms(20));
        for n in 1..40 {
            sync.push(ms(n * 33), n);
        }
        assert_eq!(sync.tick(ms(1290)), Pick::New(39));
    }

    #[test]
    fn twenty_five_a_second_repeats_every_sixth_tick_and_keeps_its_shift() {
        let mut sync = sync();
        let (mut new, mut held) = (0, 0);
        for n in 0..600 {
            while sync.waiting.len() < 3 {
                let next = sync.waiting.back().map_or(0, |(_, k)| k + 1).max(new);
                sync.push(tick_time(0).offset(next * 40_000_000), next);
            }
            match sync.tick(tick_time(n)) {
                Pick::New(_) => new += 1,
                Pick::Held(_) => held += 1,
                Pick::Slate => {}
            }
        }
        assert!((498..=502).contains(&new), "{new} new, {held} held");
        assert!(
            sync.shift.is_some_and(|shift| (-30_000_000..10_000_000).contains(&shift)),
            "{:?}",
            sync.shift
        );
    }

    #[test]
    fn sixty_a_second_gives_every_second_frame_despite_rounding_to_milliseconds() {
        for phase in 0..33 {
            let mut sync = sync();
            let mut shown = Vec::new();
            let mut next = 0;
            for n in 0..300 {
                while next < (n + 3) * 2 {
                    let exact = tick_time(0).offset(phase * 1_000_000 + next * TICK / 2);
                    sync.push(MediaTime(exact.0 / 1_000_000 * 1_000_000), next);
                    next += 1;
                }
                if let Pick::New(frame) = sync.tick(tick_time(n)) {
                    shown.push(frame);
                }
            }
            let steps = shown.windows(2).skip(2).map(|pair| pair[1] - pair[0]);
            assert!(steps.into_iter().all(|step| step == 2), "phase {phase}: {shown:?}");
        }
    }

    #[test]
    fn a_reset_of_the_publishers_clock_drops_what_waits_from_before() {
        let mut sync = sync();
        sync.push(ms(1000), 1);
        sync.push(ms(1033), 2);
        sync.push(ms(1010), 100);
        assert_eq!(sync.waiting.iter().map(|(_, frame)| *frame).collect::<Vec<_>>(), [1, 100]);
    }
}
