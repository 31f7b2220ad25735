//! Maps one publisher's timestamps to programme time, and repairs what is wrong with them. Pure: the time of
//! arrival is given.
//!
//! Sound and picture share one offset, set at the first unit so that it is due `target` after its arrival:
//! the programme stays that far behind, to ride out uneven delivery. Afterwards
//! - 32-bit wraps and units out of order are unwrapped;
//! - a jump (the encoder's clock was reset) sets the offset anew;
//! - a publisher that has become late for good moves later, one that comes much too early moves earlier;
//! - clock drift is followed by at most 1 ms a second, which the sound's resampling hides.

use crate::media::Kind;
use crate::time::MediaTime;

const MS: i64 = 1_000_000;
/// A step of the timestamps against the arrival clock that is taken for a jump.
const JUMP: i64 = 3_000 * MS;
/// How long leads are watched before the offset is changed.
const WINDOW: i64 = 2_000 * MS;
/// More than this much too early, for a whole window, and the offset is set anew.
const TOO_EARLY: i64 = 500 * MS;
/// Less lead than this, for a whole window, and the publisher is late for good.
const TOO_LATE: i64 = 10 * MS;
/// Deviations below this are left alone: the protocol's own rounding is a millisecond.
const DEAD_BAND: i64 = 15 * MS;
/// How much the offset may follow drift, in nanoseconds for each second.
const SLEW_PER_SECOND: i64 = MS;

/// What was mended, for the log and for producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repairs {
    /// Times the timestamps jumped.
    pub jumps: u32,
    /// Times the offset was set anew because the publisher came late or early.
    pub moves: u32,
    /// Units whose decode time did not grow.
    pub backward: u32,
}

/// The mapping of one publisher.
#[derive(Debug)]
pub struct Timeline {
    target: i64,
    /// Programme time minus publisher time, nanoseconds.
    offset: Option<i64>,
    /// The last timestamp as sent, and unwrapped to nanoseconds, with its arrival.
    last: (u32, i64, MediaTime),
    last_dts: [Option<i64>; 2],
    window_start: MediaTime,
    least: i64,
    most: i64,
    repairs: Repairs,
}

impl Timeline {
    /// A mapping that keeps units due `target_ms` after they arrive.
    pub fn new(target_ms: u32) -> Self {
        Self {
            target: i64::from(target_ms) * MS,
            offset: None,
            last: (0, 0, MediaTime::ZERO),
            last_dts: [None, None],
            window_start: MediaTime::ZERO,
            least: i64::MAX,
            most: i64::MIN,
            repairs: Repairs::default(),
        }
    }

    /// What was mended so far.
    pub fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// Programme times (shown, decoded) of a unit stamped `dts_ms` with composition offset `cts_ms` that
    /// arrived at `now`. Decode times grow strictly in each track, and nothing is shown before it is decoded.
    pub fn map(&mut self, kind: Kind, dts_ms: u32, cts_ms: i32, now: MediaTime) -> (MediaTime, MediaTime) {
        let time = self.unwrap(dts_ms, now);
        let offset = match self.offset {
            Some(offset) => offset,
            None => self.anchor(time, now),
        };
        self.watch(time + offset - now.0 as i64, now);
        let offset = self.offset.unwrap_or(offset);
        let last = &mut self.last_dts[usize::from(kind == Kind::Audio)];
        let mut dts = time + offset;
        if let Some(last) = *last
            && dts <= last
        {
            self.repairs.backward += 1;
            dts = last + 1;
        }
        *last = Some(dts);
        // Some encoders send negative composition offsets; ten seconds is beyond any reordering.
        let pts = (time + offset + i64::from(cts_ms.clamp(0, 10_000)) * MS).max(dts);
        (MediaTime(pts.max(0) as u64), MediaTime(dts.max(0) as u64))
    }

    /// The unwrapped timestamp in nanoseconds; a jump sets the offset anew.
    fn unwrap(&mut self, stamp: u32, now: MediaTime) -> i64 {
        let (last_stamp, last_time, last_arrival) = self.last;
        // As a signed difference: a wrap at 2^32 ms is a small step forward, a reordered unit one back.
        let step = i64::from(stamp.wrapping_sub(last_stamp) as i32) * MS;
        let time = if self.offset.is_none() { i64::from(stamp) * MS } else { last_time + step };
        if self.offset.is_some() && (step - now.since(last_arrival)).abs() > JUMP && step.abs() > JUMP / 3 {
            self.repairs.jumps += 1;
            self.last_dts = [None, None];
            self.anchor(time, now);
        }
        self.last = (stamp, time, now);
        time
    }

    fn anchor(&mut self, time: i64, now: MediaTime) -> i64 {
        let offset = now.0 as i64 + self.target - time;
        self.offset = Some(offset);
        self.restart_window(now);
        offset
    }

    fn restart_window(&mut self, now: MediaTime) {
        (self.window_start, self.least, self.most) = (now, i64::MAX, i64::MIN);
    }

    /// Watches how far ahead of its time units arrive, and moves the offset when a whole window agrees.
    fn watch(&mut self, lead: i64, now: MediaTime) {
        self.least = self.least.min(lead);
        self.most = self.most.max(lead);
        let length = now.since(self.window_start);
        if length < WINDOW {
            return;
        }
        let correction = if self.most < TOO_LATE {
            self.repairs.moves += 1;
            self.target - self.most
        } else if self.least > self.target + TOO_EARLY {
            self.repairs.moves += 1;
            self.target - self.least
        } else {
            // The quickest unit of a window shows the clocks' difference best: queues only add delay.
            let deviation = self.target - self.most;
            let limit = SLEW_PER_SECOND * length / 1_000_000_000;
            if deviation.abs() > DEAD_BAND { deviation.clamp(-limit, limit) } else { 0 }
        };
        self.offset = self.offset.map(|offset| offset + correction);
        self.restart_window(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MediaTime {
        MediaTime(((1_000_000 + ms) * MS) as u64)
    }

    /// Feeds video every 40 ms; returns the last unit's lead in ms.
    fn feed(timeline: &mut Timeline, stamps: impl Iterator<Item = (u32, i64)>) -> i64 {
        let mut lead = 0;
        for (stamp, arrival) in stamps {
            let (_, dts) = timeline.map(Kind::Video, stamp, 0, at(arrival));
            lead = dts.since(at(arrival)) / MS;
        }
        lead
    }

    #[test]
    fn the_first_unit_is_due_the_target_after_it_arrives() {
        let mut timeline = Timeline::new(250);
        let (pts, dts) = timeline.map(Kind::Video, 777, 80, at(0));
        assert_eq!((dts, pts), (at(250), at(330)));
        let (audio, _) = timeline.map(Kind::Audio, 790, 0, at(5));
        assert_eq!(audio, at(263), "sound shares the picture's offset");
    }

    #[test]
    fn a_wrap_at_2_to_the_32_is_a_small_step() {
        let mut timeline = Timeline::new(250);
        let start = u32::MAX - 100;
        timeline.map(Kind::Video, start, 0, at(0));
        let (_, dts) = timeline.map(Kind::Video, start.wrapping_add(200), 0, at(200));
        assert_eq!(dts, at(450));
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn a_reset_of_the_encoders_clock_goes_on_at_the_target() {
        let mut timeline = Timeline::new(250);
        feed(&mut timeline, (0..50).map(|n| (500_000 + n * 40, i64::from(n) * 40)));
        let lead = feed(&mut timeline, (0..50).map(|n| (n * 40, 2000 + i64::from(n) * 40)));
        assert!((240..=260).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs().jumps, 1);
    }

    #[test]
    fn a_stall_and_its_burst_do_not_move_the_offset() {
        let mut timeline = Timeline::new(250);
        feed(&mut timeline, (0..100).map(|n| (n * 40, i64::from(n) * 40)));
        // 1.5 s of nothing, then everything at once, then as before.
        let lead = feed(&mut timeline, (100..300).map(|n| (n * 40, (i64::from(n) * 40).max(5500))));
        assert!((240..=260).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs().moves, 0);
    }

    #[test]
    fn a_publisher_late_for_good_is_moved_later() {
        let mut timeline = Timeline::new(250);
        feed(&mut timeline, (0..50).map(|n| (n * 40, i64::from(n) * 40)));
        let lead = feed(&mut timeline, (50..200).map(|n| (n * 40, i64::from(n) * 40 + 900)));
        assert!((200..=260).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs().moves, 1);
    }

    #[test]
    fn drift_of_100_ppm_is_followed_over_an_hour() {
        let mut timeline = Timeline::new(250);
        let lead = feed(
            &mut timeline,
            (0..90_000).map(|n| (n * 40, i64::from(n) * 40 - i64::from(n) * 40 / 10_000)),
        );
        assert!((230..=270).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn decode_times_grow_whatever_comes() {
        let mut timeline = Timeline::new(250);
        let mut last = None;
        for (n, stamp) in [0, 40, 40, 30, 0, 80, 4_000_000_000, 10, 50, 50].into_iter().enumerate() {
            let (pts, dts) = timeline.map(Kind::Video, stamp, -5, at(n as i64 * 40));
            assert!(pts >= dts);
            if timeline.repairs().jumps == 0 {
                assert!(last.is_none_or(|last| dts > last));
            }
            last = Some(dts);
        }
    }
}
