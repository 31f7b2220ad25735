//! The words of media that several stages share: picture geometry, frame rate, access units, and
//! what is known of a publisher. No behaviour beyond arithmetic, and nothing of `GStreamer`.

mod publisher;

pub use publisher::{Advice, Level, PublisherStatus, Role, SourceState, SourceStatus, SrtStatus};

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

/// How a track is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Units in AVC form (length-prefixed); configuration `avcC`.
    H264,
    /// Units in HEVC's length-prefixed form; configuration `hvcC`.
    Hevc,
    /// Units are temporal units of OBUs with sizes; configuration `av1C` or none.
    Av1,
    /// Units are frames; configuration none.
    Vp9,
    /// Units are raw AAC; configuration `AudioSpecificConfig`.
    Aac,
    /// Units are LATM in LOAS; configuration none.
    AacLatm,
    /// MPEG audio, layer 2 or 3; configuration none.
    MpegAudio,
    /// Configuration none.
    Ac3,
    /// Configuration none.
    Eac3,
    /// Units are packets; configuration `OpusHead`.
    Opus,
}

impl Codec {
    /// The track that it is for.
    pub fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::Hevc | Self::Av1 | Self::Vp9 => Kind::Video,
            _ => Kind::Audio,
        }
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
            Self::Aac | Self::AacLatm => "AAC",
            Self::MpegAudio => "MPEG audio",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Opus => "Opus",
        }
    }
}

/// What a decoder needs to know before the first unit of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The codec, which also says how units are framed.
    pub codec: Codec,
    /// The codec's configuration, empty where it has none.
    pub config: Bytes,
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
    /// Framed as its track's [`Codec`] says.
    pub data: Bytes,
}

/// Coded media, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// What follows in this track is coded so.
    Format(Format),
    /// A coded unit.
    Unit(AccessUnit),
}

/// A picture of the programme, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The frame that it is of.
    pub time: MediaTime,
    /// The file.
    pub jpeg: Bytes,
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
    /// Who is on air, or else who was last.
    pub publisher: PublisherStatus,
    /// Everybody who is connected, the best rank first.
    pub publishers: Vec<PublisherStatus>,
    /// The source that the channel fetches itself, if it has one.
    pub source: Option<SourceStatus>,
    /// Where the programme is pushed to.
    pub pushes: Vec<PushStatus>,
    /// What viewers see.
    pub showing: Showing,
    /// The newest composed frame's programme time in milliseconds.
    pub programme_ms: u64,
    /// The newest composed frame's civil time.
    pub programme_wall: WallTime,
    /// How far composition is behind its clock, in milliseconds.
    pub behind_ms: u64,
    /// Pictures that were left out because this machine did not keep up.
    pub skipped_frames: u64,
    /// The preset that the first rung is coded with since the machine did not keep up; nothing when it is as configured.
    pub lowered_preset: Option<&'static str>,
    /// The share of its time in which the busiest rung's encoder works: at 1 it falls behind. Nothing where it does not tell.
    pub encode_load: Option<f64>,
    /// How far behind the programme low-latency players play that keep to the playlist, in milliseconds.
    pub delay_ms: Option<u64>,
    /// Players that follow the channel, by how often they ask.
    pub viewers: u32,
    /// The newest revision of the state that the picture shows.
    pub drawn_rev: u64,
    /// Programme time, in milliseconds, of the first frame that shows it.
    pub drawn_ms: u64,
    /// How far each card in the picture is.
    pub cards: Vec<CardPhase>,
    /// What is wrong with cards on air.
    pub card_problems: Vec<CardProblem>,
    /// Whether the QR codes on air can be read from what viewers get.
    pub codes: Vec<CodeCheck>,
    /// Why segments are not kept on disk, when they should be.
    pub storage_problem: Option<String>,
    /// Why the publisher on air is not passed on as it is, where that is offered.
    pub clean_problem: Option<String>,
}

/// How far a push to a platform is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PushState {
    /// It is not wanted now.
    #[default]
    Off,
    /// On its way there.
    Connecting,
    /// The platform takes it.
    On,
    /// It failed, and is tried again.
    Waiting,
}

/// A platform that the programme is pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushStatus {
    /// What producers call it.
    pub name: String,
    /// Its address without what is secret.
    pub url: String,
    /// How far it is.
    pub state: PushState,
    /// Why it failed last.
    pub error: Option<String>,
    /// Kilobits that went out a second, lately.
    pub kbps: u32,
    /// Pictures that it did not take in time, in this connection.
    pub skipped_frames: u64,
}

/// When a card comes and goes, in programme time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which time of it on air.
    pub airing_id: String,
    /// Which card.
    pub card_id: String,
    /// From when on it rests in its place.
    pub there: MediaTime,
    /// When it begins to go, if that is known.
    pub leaves: Option<MediaTime>,
    /// From when on it is not in the picture any more.
    pub gone: Option<MediaTime>,
}

/// How far a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It waits for its place, or is on its way there.
    Coming,
    /// It rests in its place.
    OnAir,
    /// It is on its way out.
    Going,
}

/// A card that is on air, or about to be, or just was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardPhase {
    /// Which time of it on air.
    pub airing_id: String,
    /// Which card.
    pub card_id: String,
    /// How far.
    pub phase: Phase,
}

impl Turn {
    /// How far it is in the frame at `now`; nothing when it is not in the picture any more.
    pub fn phase(&self, now: MediaTime) -> Option<Phase> {
        if self.gone.is_some_and(|gone| gone <= now) {
            return None;
        }
        Some(if self.leaves.is_some_and(|leaves| leaves <= now) {
            Phase::Going
        } else if now < self.there {
            Phase::Coming
        } else {
            Phase::OnAir
        })
    }

    /// When that is another after `now`.
    pub fn next(&self, now: MediaTime) -> Option<MediaTime> {
        let times = [Some(self.there), self.leaves, self.gone];
        times.into_iter().flatten().filter(|time| *time > now).min()
    }
}

/// Something that a producer should know of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardProblem {
    /// Which.
    pub card_id: String,
    /// In plain words.
    pub text: String,
}

/// Whether one QR could be read from the coded picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeCheck {
    /// The card that shows it.
    pub card_id: String,
    /// For each height of the picture, the largest first.
    pub heights: Vec<CodeAt>,
}

/// At one height of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeAt {
    /// Rows: 720 is 720p.
    pub height: u32,
    /// It was read, and says what it should.
    pub is_scannable: bool,
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
