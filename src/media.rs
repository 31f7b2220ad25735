//! The words of media that several stages share: picture geometry, frame rate, access units, and
//! what is known of a publisher. No behaviour beyond arithmetic, and nothing of `GStreamer`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::time::{MediaTime, WallTime};

/// Samples a second of all audio in the programme.
pub const AUDIO_HZ: u32 = 48_000;
/// Channels of all audio in the programme.
pub const AUDIO_CHANNELS: usize = 2;

/// Frames a second, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRate {
    /// Frames in `den` seconds.
    pub num: u32,
    /// Seconds, 1 for whole rates and 1001 for the NTSC family.
    pub den: u32,
}

impl FrameRate {
    /// When frame `n` is shown.
    pub fn time_of(self, n: u64) -> MediaTime {
        MediaTime::from_ticks(n * u64::from(self.den), self.num)
    }

    /// The frame on show at `time`.
    pub fn frame_at(self, time: MediaTime) -> u64 {
        // One nanosecond of slack: time_of rounds down, and frame_at(time_of(n)) must be n.
        ((u128::from(time.0) + 1) * u128::from(self.num) / (u128::from(self.den) * 1_000_000_000)) as u64
    }

    /// Frames a second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// Ticks a second for the video track, of which a frame takes a whole number.
    pub fn timescale(self) -> u32 {
        if self.den == 1 { self.num * 1000 } else { self.num }
    }

    /// Length of a frame in ticks of [`Self::timescale`].
    pub fn frame_ticks(self) -> u32 {
        if self.den == 1 { 1000 } else { self.den }
    }
}

/// The programme's picture: every publisher is fitted into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canvas {
    /// Pixels across, even.
    pub width: u32,
    /// Pixels down, even.
    pub height: u32,
    /// Frames a second.
    pub rate: FrameRate,
}

/// Which track a unit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One coded picture or one coded block of sound, with times on the programme timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// The track.
    pub kind: Kind,
    /// When it is shown.
    pub pts: MediaTime,
    /// When it is decoded; never after `pts`.
    pub dts: MediaTime,
    /// Whether decoding can start here.
    pub is_keyframe: bool,
    /// H.264 in AVC form (length-prefixed), AAC raw.
    pub data: Bytes,
}

/// What a publisher sends, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The decoder's configuration: `avcC` for H.264, `AudioSpecificConfig` for AAC.
    Config(Kind, Bytes),
    /// A coded unit.
    Unit(AccessUnit),
}

/// What is known of a channel's publisher, for producers.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherStatus {
    /// Whether somebody is connected and admitted.
    pub is_connected: bool,
    /// `rtmp`, or nothing when nobody is there.
    pub protocol: Option<&'static str>,
    /// The peer's address.
    pub address: Option<String>,
    /// The encoder's own name, as it says.
    pub encoder: Option<String>,
    /// Coded picture size, as the encoder says.
    pub width: Option<u32>,
    /// Coded picture size, as the encoder says.
    pub height: Option<u32>,
    /// Frames a second over the last second or so.
    pub fps: f64,
    /// Kilobits a second over the last second or so, sound included.
    pub bitrate_kbps: u32,
    /// Seconds between the last two key frames.
    pub keyframe_interval_s: Option<f64>,
    /// Since when.
    pub since: Option<WallTime>,
    /// How and why the last publisher ended.
    pub last_end: Option<String>,
}

/// What a channel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Showing {
    /// Nobody has published yet.
    #[default]
    StartingSoon,
    /// The publisher's picture.
    Live,
    /// The publisher's last picture, held over a short gap.
    Held,
    /// Somebody has published and is gone.
    BackSoon,
}

/// A channel's present state, for producers.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Who publishes.
    pub publisher: PublisherStatus,
    /// What viewers see.
    pub showing: Showing,
    /// The newest composed frame's programme time in milliseconds.
    pub programme_ms: u64,
    /// The newest composed frame's civil time.
    pub programme_wall: WallTime,
    /// How far composition is behind its clock, in milliseconds.
    pub behind_ms: u64,
    /// The newest revision of the state that the picture shows.
    pub drawn_rev: u64,
    /// Programme time, in milliseconds, of the first frame that shows it.
    pub drawn_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_numbers_and_times_agree_at_every_rate() {
        for (num, den) in [(24, 1), (25, 1), (30, 1), (50, 1), (60, 1), (24_000, 1001), (30_000, 1001)] {
            let rate = FrameRate { num, den };
            for n in [0, 1, 2, 59, 60, 61, 1_000_003, 3_000_000_007] {
                assert_eq!(rate.frame_at(rate.time_of(n)), n, "frame {n} at {num}/{den}");
            }
        }
    }
}
