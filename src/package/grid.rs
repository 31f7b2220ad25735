//! Where segments and parts are cut. A function of frame rate and configuration alone, so the constants
//! that players hold a server to (`EXT-X-TARGETDURATION`, `PART-TARGET`) never change, and every
//! rendition and every restart cuts at the same instants.

use crate::config;
use crate::media::{AUDIO_HZ, FrameRate};
use crate::time::MediaTime;

/// Samples in one AAC-LC block.
pub const AAC_BLOCK: u32 = 1024;

/// The cutting plan of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    rate: FrameRate,
    frames_per_segment: u32,
    parts_per_segment: u32,
}

impl Grid {
    /// The plan for `hls` at `rate`: segments are a whole number of frames, and as many parts as asked for, or the
    /// next lower number that makes every part long enough: a part shorter than 85 % of PART-TARGET is
    /// illegal (rfc8216bis 4.4.3.7), and frames and sound blocks do not divide evenly at every rate.
    pub fn new(rate: FrameRate, hls: &config::Hls) -> Self {
        let frames_per_segment = (hls.segment_s * rate.as_f64()).round().max(1.0) as u32;
        let most = hls.parts_per_segment.clamp(1, frames_per_segment);
        let plan = |parts_per_segment| Self { rate, frames_per_segment, parts_per_segment };
        (1..=most).rev().map(plan).find(Self::is_legal).unwrap_or(plan(1))
    }

    fn is_legal(&self) -> bool {
        let shortest = (0..self.parts_per_segment.saturating_sub(1))
            .map(|part| self.seconds(self.part_frame(part + 1) - self.part_frame(part)))
            .fold(f64::INFINITY, f64::min);
        shortest >= 0.85 * self.part_target()
    }

    /// Frames a second.
    pub fn rate(&self) -> FrameRate {
        self.rate
    }

    /// Frames in a segment, which is also the distance of key frames.
    pub fn frames_per_segment(&self) -> u32 {
        self.frames_per_segment
    }

    /// Parts in a segment.
    pub fn parts_per_segment(&self) -> u32 {
        self.parts_per_segment
    }

    /// The first frame of `segment`.
    pub fn first_frame(&self, segment: u64) -> u64 {
        segment * u64::from(self.frames_per_segment)
    }

    /// When `segment` starts.
    pub fn segment_start(&self, segment: u64) -> MediaTime {
        self.rate.time_of(self.first_frame(segment))
    }

    /// When `part` of `segment` starts; one past the last is the next segment's start.
    pub fn part_start(&self, segment: u64, part: u32) -> MediaTime {
        self.rate.time_of(self.first_frame(segment) + u64::from(self.part_frame(part)))
    }

    /// The first frame of `part`, counted from its segment's first.
    fn part_frame(&self, part: u32) -> u32 {
        (part * self.frames_per_segment).div_ceil(self.parts_per_segment)
    }

    /// Whether a part starts with `frame`, counted from the channel's first.
    pub fn is_part_start(&self, frame: u64) -> bool {
        let place = (frame % u64::from(self.frames_per_segment)) as u32;
        (0..self.parts_per_segment).any(|part| self.part_frame(part) == place)
    }

    /// The segment that holds `time`.
    pub fn segment_at(&self, time: MediaTime) -> u64 {
        self.rate.frame_at(time) / u64::from(self.frames_per_segment)
    }

    fn seconds(&self, frames: u32) -> f64 {
        f64::from(frames) * f64::from(self.rate.den) / f64::from(self.rate.num)
    }

    /// `PART-TARGET` in seconds: the longest part of either track, rounded up to 10 microseconds,
    /// because a part may not be longer than the text says (a rival's 0.501 s part ended `AVPlayer`).
    pub fn part_target(&self) -> f64 {
        let longest = (0..self.parts_per_segment)
            .map(|part| self.seconds(self.part_frame(part + 1) - self.part_frame(part)))
            .fold(0.0, f64::max);
        // A sound part holds the blocks that start within the part, so up to one more than fit.
        let block = f64::from(AAC_BLOCK) / f64::from(AUDIO_HZ);
        let sound = (longest / block).ceil() * block;
        (longest.max(sound) * 100_000.0).ceil() / 100_000.0
    }

    /// `EXT-X-TARGETDURATION`: no segment of either track rounds to more.
    pub fn target_duration(&self) -> u64 {
        let block = f64::from(AAC_BLOCK) / f64::from(AUDIO_HZ);
        let video = self.seconds(self.frames_per_segment);
        video.max((video / block).ceil() * block).round().max(1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(num: u32, den: u32) -> Grid {
        Grid::new(FrameRate { num, den }, &config::Hls::default())
    }

    #[test]
    fn thirty_frames_a_second_gives_sixty_frame_segments_of_ten_frame_parts() {
        let grid = grid(30, 1);
        assert_eq!(grid.frames_per_segment(), 60);
        assert_eq!(grid.part_start(3, 2), MediaTime::from_ticks(200, 30));
        assert_eq!(grid.part_start(3, 6), grid.segment_start(4));
        assert_eq!(grid.target_duration(), 2);
        assert!((grid.part_target() - 0.34134).abs() < 1e-9, "{}", grid.part_target());
    }

    #[test]
    fn no_part_is_longer_than_the_target_or_shorter_than_85_percent_of_it() {
        let asked = [(2.0, 6), (2.0, 8), (1.0, 4), (1.0, 7), (1.0, 20), (4.0, 12)];
        let rates = [(5, 1), (10, 1), (20, 1), (24, 1), (25, 1), (30, 1), (50, 1), (60, 1), (30_000, 1001)];
        for ((num, den), (segment_s, parts_per_segment)) in
            rates.into_iter().flat_map(|r| asked.map(|a| (r, a)))
        {
            let hls = config::Hls { segment_s, parts_per_segment, ..config::Hls::default() };
            let grid = Grid::new(FrameRate { num, den }, &hls);
            for part in 0..grid.parts_per_segment().saturating_sub(1) {
                let length = grid.part_start(1, part + 1).since(grid.part_start(1, part)) as f64 / 1e9;
                assert!(length <= grid.part_target(), "{num}/{den} part {part}");
                assert!(length >= 0.85 * grid.part_target(), "{num}/{den} part {part}: {length}");
            }
        }
    }
}
