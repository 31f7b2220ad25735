//! Rates of a publisher: bit rate, frames, lost frames, distance of key frames, pace. Pure: times are given.

use std::collections::VecDeque;

use crate::media::Kind;
use crate::time::MediaTime;

const SECOND: i64 = 1_000_000_000;
/// Readings over which the pace is taken.
const PACE_READINGS: usize = 10;
/// Readings before the pace is told: fewer say more of the network's unevenness.
const PACE_MARKS: usize = 6;
/// A step of the publisher's clock beyond this, or back, is a jump and no loss.
const JUMP: i64 = 3 * SECOND;
/// Frames in a row that must have come evenly before a gap counts as loss: a variable rate has no gaps.
const STEADY: u32 = 30;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// Frames a second, over the last second or so.
    pub fps: f64,
    /// Kilobits a second, picture and sound.
    pub kbps: u32,
    /// Kilobits a second, sound.
    pub audio_kbps: u32,
    /// Seconds between the last two key frames, or since the last when that is longer.
    pub keyframe_interval_s: Option<f64>,
    /// Media seconds that arrived in a second, over the last ten readings.
    pub pace: f64,
    /// Frames so far.
    pub frames: u64,
    /// Frames missing by the timestamps so far.
    pub lost: u64,
}

/// One unit as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// The track.
    pub kind: Kind,
    /// On the publisher's clock, nanoseconds.
    pub stamp_nanos: i64,
    /// Whether decoding can start here.
    pub is_keyframe: bool,
    /// Its size.
    pub bytes: usize,
}

/// Counts units.
#[derive(Debug, Default)]
pub struct Meter {
    since: Option<MediaTime>,
    frames: u32,
    bytes: [u64; 2],
    last_frame: Option<i64>,
    last_keyframe: Option<i64>,
    between_keyframes: Option<i64>,
    /// The usual distance of frames, and how many in a row have kept it.
    interval: i64,
    steady: u32,
    /// Newest stamp and its arrival at each reading.
    marks: VecDeque<(i64, MediaTime)>,
    reading: Reading,
}

impl Meter {
    /// Counts a unit that arrived at `now`; a reading is returned about once a second.
    pub fn count(&mut self, unit: Counted, now: MediaTime) -> Option<Reading> {
        let since = *self.since.get_or_insert(now);
        self.bytes[usize::from(unit.kind == Kind::Audio)] += unit.bytes as u64;
        if unit.kind == Kind::Video {
            self.frame(unit);
        }
        let span = now.since(since);
        if span < SECOND {
            return None;
        }
        let seconds = span as f64 / SECOND as f64;
        let kbps = |bytes: u64| (bytes as f64 * 8.0 / 1000.0 / seconds) as u32;
        self.reading.fps = (f64::from(self.frames) / seconds * 10.0).round() / 10.0;
        self.reading.kbps = kbps(self.bytes[0] + self.bytes[1]);
        self.reading.audio_kbps = kbps(self.bytes[1]);
        let open = self.last_keyframe.zip(self.last_frame).map(|(key, last)| last - key);
        let longest = self.between_keyframes.max(open.filter(|open| *open > 3 * SECOND));
        self.reading.keyframe_interval_s = longest.map(|nanos| nanos as f64 / SECOND as f64);
        // Of one track: sound and picture may be apart.
        let stamp = self.last_frame.unwrap_or(unit.stamp_nanos);
        self.reading.pace = self.pace(stamp, now);
        (self.since, self.frames, self.bytes) = (Some(now), 0, [0; 2]);
        Some(self.reading)
    }

    fn frame(&mut self, unit: Counted) {
        self.frames += 1;
        self.reading.frames += 1;
        if unit.is_keyframe {
            let before = self.last_keyframe.replace(unit.stamp_nanos);
            self.between_keyframes =
                before.map(|before| unit.stamp_nanos - before).filter(|nanos| *nanos > 0);
        }
        let Some(last) = self.last_frame.replace(unit.stamp_nanos) else { return };
        let step = unit.stamp_nanos - last;
        if step <= 0 || step > JUMP {
            (self.steady, self.last_keyframe) = (0, None);
        } else if (step - self.interval).abs() * 4 <= self.interval {
            self.interval += (step - self.interval) / 8;
            self.steady += 1;
        } else if self.steady >= STEADY && step > self.interval * 3 / 2 {
            self.reading.lost += ((step + self.interval / 2) / self.interval - 1) as u64;
        } else {
            (self.interval, self.steady) = (step, 0);
        }
    }

    fn pace(&mut self, stamp: i64, now: MediaTime) -> f64 {
        if self.marks.back().is_some_and(|(last, _)| stamp < *last || stamp - last > JUMP + SECOND) {
            self.marks.clear();
        }
        self.marks.push_back((stamp, now));
        if self.marks.len() > PACE_READINGS {
            self.marks.pop_front();
        }
        match self.marks.front() {
            Some((first, since)) if self.marks.len() >= PACE_MARKS && now.since(*since) > 0 => {
                let pace = (stamp - first) as f64 / now.since(*since) as f64;
                (pace * 100.0).round() / 100.0
            }
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(n: u64, is_keyframe: bool) -> Counted {
        let stamp_nanos = MediaTime::from_ticks(n, 30).0 as i64;
        Counted { kind: Kind::Video, stamp_nanos, is_keyframe, bytes: 1000 }
    }

    #[test]
    fn rates_come_once_a_second() {
        let mut meter = Meter::default();
        let readings: Vec<Reading> = (0..=120)
            .filter_map(|n| meter.count(video(n, n % 60 == 0), MediaTime::from_ticks(n, 30)))
            .collect();
        assert_eq!(readings.len(), 4);
        let last = readings[3];
        assert!((29.0..=31.5).contains(&last.fps) && (230..=250).contains(&last.kbps), "{last:?}");
        assert_eq!((last.keyframe_interval_s, last.lost), (Some(2.0), 0));
        assert!((last.pace - 1.0).abs() < 0.01, "too few to judge");
    }

    #[test]
    fn gaps_in_an_even_stream_are_lost_frames_and_an_uneven_one_has_none() {
        let mut meter = Meter::default();
        for n in (0..300).filter(|n| *n < 100 || n % 10 != 0) {
            meter.count(video(n, false), MediaTime::from_ticks(n, 30));
        }
        assert_eq!(meter.reading.lost, 20);
        let mut meter = Meter::default();
        for n in (0..300_u64).map(|n| n * n % 7 + n * 9) {
            meter.count(video(n, false), MediaTime::from_ticks(n, 30));
        }
        assert_eq!(meter.reading.lost, 0);
    }

    #[test]
    fn an_upload_that_carries_four_fifths_has_a_pace_of_four_fifths() {
        let mut meter = Meter::default();
        let readings: Vec<Reading> =
            (0..600).filter_map(|n| meter.count(video(n, false), MediaTime::from_ticks(n, 24))).collect();
        assert!((readings.last().unwrap().pace - 0.8).abs() < 0.02, "{readings:?}");
    }

    #[test]
    fn a_key_frame_that_does_not_come_shows_as_a_growing_distance() {
        let mut meter = Meter::default();
        let last =
            (0..300).filter_map(|n| meter.count(video(n, n == 0), MediaTime::from_ticks(n, 30))).last();
        assert!(last.unwrap().keyframe_interval_s.is_some_and(|seconds| seconds > 8.0));
    }
}
