//! What every protocol does with its units: onto the programme's timeline, counted, reported, handed on.
//!
//! A publisher faster than time is held up here, so that nothing is far ahead and memory stays bounded.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::admission::Seat;
use super::health::{self, Before};
use super::meter::{Counted, Meter, Reading};
use super::timeline::{Stamp, Timeline};
use crate::media::{AccessUnit, Advice, Format, Kind, Level, Packet, PublisherStatus};
use crate::time::MediaTime;

/// Readings, about a second each, over which a trouble counts as present.
const REMEMBERED: usize = 10;
/// After this much silence producers are told.
const SILENT_NANOS: i64 = 1_500_000_000;

/// The channel does not want more, or another publisher has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Cancelled: see [`Seat::cancel`].
    #[error("a newer publisher took over, its key was revoked, or the server stops")]
    Replaced,
    /// The decoder gave it up.
    #[error("the decoder gave it up")]
    Unwanted,
}

/// A coded unit as a protocol gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The track.
    pub kind: Kind,
    /// When it is decoded.
    pub stamp: Stamp,
    /// Shown this much later, in nanoseconds.
    pub cts_nanos: i64,
    /// Whether decoding can start here.
    pub is_keyframe: bool,
    /// Framed as the track's codec says.
    pub data: Bytes,
}

/// One publisher's way into its channel.
pub struct Feed {
    seat: Seat,
    timeline: Timeline,
    meter: Meter,
    befores: VecDeque<Before>,
    last_unit: Option<MediaTime>,
    has_video: bool,
    /// Jumps and moves that were logged.
    logged: u32,
}

impl Feed {
    /// For an admitted publisher whose units are due `jitter_ms` after they arrive.
    pub fn new(seat: Seat, jitter_ms: u32) -> Self {
        Self {
            seat,
            timeline: Timeline::new(jitter_ms),
            meter: Meter::default(),
            befores: VecDeque::new(),
            last_unit: None,
            has_video: false,
            logged: 0,
        }
    }

    /// The publisher's place.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// What follows in a track is coded so.
    ///
    /// # Errors
    /// [`Error`]; the publisher ends.
    pub async fn format(&mut self, format: Format) -> Result<(), Error> {
        let (kind, name) = (format.codec.kind(), format.codec.name());
        self.seat.record.report(|status| match kind {
            Kind::Video => status.video_codec = Some(name),
            Kind::Audio => status.audio_codec = Some(name),
        });
        self.hand_on(Packet::Format(format)).await
    }

    /// A coded unit of a publisher whose tracks come in one order: waits when it is too early, then hands it on.
    ///
    /// # Errors
    /// [`Error`]; the publisher ends.
    pub async fn unit(&mut self, unit: Unit) -> Result<(), Error> {
        let (packet, wait) = self.prepare(unit);
        if !wait.is_zero() {
            tokio::select! {
                () = self.seat.cancel.cancelled() => return Err(Error::Replaced),
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.hand_on(packet).await
    }

    /// Counts a unit that has arrived now; the packet, and how long to wait before it is handed on.
    pub fn prepare(&mut self, unit: Unit) -> (Packet, Duration) {
        let Unit { kind, stamp, cts_nanos, is_keyframe, data } = unit;
        let now = self.seat.record.clock().now();
        let due = self.timeline.map(kind, stamp, cts_nanos, now);
        self.last_unit = Some(now);
        // Until a picture comes the sound tells that somebody is there.
        self.has_video |= kind == Kind::Video;
        if kind == Kind::Video || !self.has_video {
            self.seat.beat();
        }
        let counted = Counted { kind, stamp_nanos: due.stamp_nanos, is_keyframe, bytes: data.len() };
        if let Some(reading) = self.meter.count(counted, now) {
            self.report(reading);
        }
        let packet = Packet::Unit(AccessUnit { kind, pts: due.pts, dts: due.dts, is_keyframe, data });
        (packet, Duration::from_nanos(due.wait.unsigned_abs()))
    }

    /// Hands a packet on; waits while the decoder is busy.
    ///
    /// # Errors
    /// [`Error`]; the publisher ends.
    pub async fn hand_on(&self, packet: Packet) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.seat.cancel.cancelled() => Err(Error::Replaced),
            is_wanted = self.seat.send(packet) => if is_wanted { Ok(()) } else { Err(Error::Unwanted) },
        }
    }

    /// Something that producers should know.
    pub fn note(&self, text: String) {
        let channel = self.seat.record.channel();
        self.seat.record.report(|status| {
            if status.note(text.clone()) {
                tracing::info!(channel, "publisher: {text}");
            }
        });
    }

    /// Nothing has come for a moment: call about once a second. Tells producers when it lasts.
    pub fn idle(&mut self) {
        let now = self.seat.record.clock().now();
        let since = *self.last_unit.get_or_insert(now);
        let silent = now.since(since);
        if silent < SILENT_NANOS {
            return;
        }
        let text =
            format!("nothing has come for {} s: is the encoder still sending?", silent / 1_000_000_000);
        self.seat.record.report(|status| {
            (status.fps, status.bitrate_kbps, status.audio_kbps) = (0.0, 0, 0);
            status.health = vec![Advice { level: Level::Bad, text }];
        });
    }

    /// Why it ended, for the log and for producers: the decoder's reason before `reason`.
    pub fn end(self, reason: &str, peer: &str) {
        let reason = self.seat.failure().unwrap_or(reason).to_owned();
        let PublisherStatus { protocol, frames, frames_lost, .. } = self.seat.record.status();
        tracing::info!(
            peer,
            channel = self.seat.record.channel(),
            frames,
            frames_lost,
            repairs = ?self.timeline.repairs(),
            "{} publisher off: {reason}",
            protocol.unwrap_or_default()
        );
        self.seat.end_with(reason);
    }

    fn report(&mut self, reading: Reading) {
        let repairs = self.timeline.repairs();
        if repairs.jumps + repairs.moves != self.logged {
            self.logged = repairs.jumps + repairs.moves;
            let channel = self.seat.record.channel();
            tracing::warn!(channel, ?repairs, "the publisher's timestamps were repaired");
        }
        let before = self.befores.front().copied().unwrap_or_default();
        let drift_ms = self.timeline.drift_nanos() / 1_000_000;
        let canvas = self.seat.record.canvas();
        self.seat.record.report(|status| {
            status.fps = reading.fps;
            status.bitrate_kbps = reading.kbps;
            status.audio_kbps = reading.audio_kbps;
            status.keyframe_interval_s = reading.keyframe_interval_s;
            status.pace = reading.pace;
            status.frames = reading.frames;
            status.frames_lost = reading.lost;
            status.timestamp_repairs = repairs.total();
            status.drift_ms = drift_ms;
            status.health = health::verdict(status, &before, canvas);
        });
        self.befores.push_back(Before::of(&self.seat.record.status()));
        if self.befores.len() > REMEMBERED {
            self.befores.pop_front();
        }
    }
}
