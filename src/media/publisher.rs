//! What is known of a publisher, for producers: the words of the page, the API and the metrics.

use serde::Serialize;

use crate::time::WallTime;

/// What a publisher is to its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Connected, and not decoded: better ones are there.
    #[default]
    Waiting,
    /// Decoded, and ready to take over.
    Standby,
    /// Its picture is the programme's.
    OnAir,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Nothing to do.
    Good,
    /// Worth knowing.
    Warning,
    /// Viewers see it, or soon will.
    Bad,
}

/// A sentence for the producer: what is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// How bad it is.
    pub level: Level,
    /// In plain words.
    pub text: String,
}

/// What libsrt counts, from the connection's start.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SrtStatus {
    /// Round trip.
    pub rtt_ms: f64,
    /// The agreed latency, in which lost packets can be sent again.
    pub latency_ms: u32,
    /// Packets received.
    pub packets: u64,
    /// Packets that were missing when their followers came.
    pub lost: u64,
    /// Packets that came again.
    pub retransmitted: u64,
    /// Packets that did not come in time and are missing in the picture.
    pub dropped: u64,
    /// Packets that could not be decrypted.
    pub undecrypted: u64,
}

/// How a pulled source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceState {
    /// It is being opened.
    Connecting,
    /// It sends.
    On,
    /// It failed and is tried again soon.
    Waiting,
}

/// The source that a channel fetches itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Where from, without what may be secret.
    pub url: String,
    /// 0 is the best.
    pub rank: u32,
    /// How it is.
    pub state: SourceState,
    /// Why it failed last.
    pub error: Option<String>,
}

/// What is known of one publisher.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherStatus {
    /// Unique while the server runs.
    pub id: u64,
    /// Whether somebody is connected and admitted.
    pub is_connected: bool,
    /// What it is to its channel.
    pub role: Role,
    /// `rtmp`, `rtmps`, `srt`, `pull`, or nothing when nobody is there.
    pub protocol: Option<&'static str>,
    /// The peer's address; for a pulled source, where it is pulled from.
    pub address: Option<String>,
    /// The name of the key that it was let in with.
    pub key_name: Option<String>,
    /// The key's rank; 0 is the best.
    pub rank: u32,
    /// The encoder's own name, as it says.
    pub encoder: Option<String>,
    /// The picture's codec.
    pub video_codec: Option<&'static str>,
    /// The sound's codec.
    pub audio_codec: Option<&'static str>,
    /// Coded picture size: as the decoder found, until then as the encoder says.
    pub width: Option<u32>,
    /// Coded picture size.
    pub height: Option<u32>,
    /// Frames a second over the last second or so.
    pub fps: f64,
    /// Kilobits a second over the last second or so, sound included.
    pub bitrate_kbps: u32,
    /// Kilobits a second of sound.
    pub audio_kbps: u32,
    /// Seconds between the last two key frames, or since the last when that is longer.
    pub keyframe_interval_s: Option<f64>,
    /// Media seconds that arrive in a second, over the last ten or so: below 1 the upload does not keep up.
    pub pace: f64,
    /// Frames received.
    pub frames: u64,
    /// Frames missing by the timestamps: left out by the encoder or lost on the way.
    pub frames_lost: u64,
    /// Frames that the decoder mended because parts of them were missing.
    pub frames_repaired: u64,
    /// Timestamps that had to be mended: jumps, moves, steps back.
    pub timestamp_repairs: u32,
    /// How far the encoder's clock has run from ours, in milliseconds.
    pub drift_ms: i64,
    /// What libsrt counts.
    pub srt: Option<SrtStatus>,
    /// What was left out or is odd: other tracks, other programs, HDR.
    pub notes: Vec<String>,
    /// How it is, in plain words, the worst first; never empty while connected.
    pub health: Vec<Advice>,
    /// Since when.
    pub since: Option<WallTime>,
    /// How and why the last publisher ended.
    pub last_end: Option<String>,
}

/// Notes kept of one publisher.
const MOST_NOTES: usize = 12;

impl PublisherStatus {
    /// Keeps a note; whether it is new.
    pub fn note(&mut self, text: String) -> bool {
        let is_new = self.notes.len() < MOST_NOTES && !self.notes.contains(&text);
        if is_new {
            self.notes.push(text);
        }
        is_new
    }
}
