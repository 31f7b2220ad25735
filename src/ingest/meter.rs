//! Rates of a publisher over about a second: bit rate, frames, distance of key frames. Pure: times are given.

use crate::media::{AccessUnit, Kind};
use crate::time::MediaTime;

const SPAN_NANOS: i64 = 1_000_000_000;

/// What was measured over the last whole span.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// Frames a second.
    pub fps: f64,
    /// Kilobits a second, picture and sound.
    pub kbps: u32,
    /// Seconds between the last two key frames.
    pub keyframe_interval_s: Option<f64>,
}

/// Counts units.
#[derive(Debug, Default)]
pub struct Meter {
    since: Option<MediaTime>,
    frames: u32,
    bytes: u64,
    last_keyframe: Option<MediaTime>,
    reading: Reading,
}

impl Meter {
    /// Counts a unit that arrived at `now`; a reading is returned about once a second.
    pub fn count(&mut self, unit: &AccessUnit, now: MediaTime) -> Option<Reading> {
        let since = *self.since.get_or_insert(now);
        self.bytes += unit.data.len() as u64;
        if unit.kind == Kind::Video {
            self.frames += 1;
            if unit.is_keyframe {
                let before = self.last_keyframe.replace(unit.pts);
                self.reading.keyframe_interval_s = before.map(|before| unit.pts.since(before) as f64 / 1e9);
            }
        }
        let span = now.since(since);
        if span < SPAN_NANOS {
            return None;
        }
        let seconds = span as f64 / 1e9;
        self.reading.fps = (f64::from(self.frames) / seconds * 10.0).round() / 10.0;
        self.reading.kbps = (self.bytes as f64 * 8.0 / 1000.0 / seconds) as u32;
        (self.since, self.frames, self.bytes) = (Some(now), 0, 0);
        Some(self.reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn rates_come_once_a_second() {
        let mut meter = Meter::default();
        let mut readings = Vec::new();
        for n in 0..=120_u64 {
            let time = MediaTime::from_ticks(n, 30);
            let unit = AccessUnit {
                kind: Kind::Video,
                pts: time,
                dts: time,
                is_keyframe: n % 60 == 0,
                data: Bytes::from(vec![0; 1000]),
            };
            readings.extend(meter.count(&unit, time));
        }
        assert_eq!(readings.len(), 4);
        let last = readings[3];
        assert!((29.0..=31.5).contains(&last.fps) && (230..=250).contains(&last.kbps), "{last:?}");
        assert_eq!(last.keyframe_interval_s, Some(2.0));
    }
}
