//! The coded programme to one platform: wrapped and sent, never coded again.
//!
//! One pipeline is one connection. Its queue is bounded: what a slow platform does not take is left out up to a key
//! frame, so that neither the programme nor another target ever waits. Nothing here knows when to connect.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use tokio::sync::mpsc;

use crate::config::{Protocol, Push};
use crate::media::{AUDIO_HZ, AccessUnit, Canvas, Format, Kind};
use crate::pipeline::description::Description;
use crate::pipeline::{self, Event, Pipeline};
use crate::time::MediaTime;

/// Pictures that wait to be sent: five seconds. With more, pictures are left out until few wait.
const MOST_WAITING: u64 = 150;
const FEW_WAITING: u64 = 5;

/// A connection.
pub struct Connection {
    pipeline: Pipeline,
    /// What its pipeline reports.
    pub events: mpsc::Receiver<Event>,
    video: gst_app::AppSrc,
    audio: gst_app::AppSrc,
    sent: Arc<AtomicU64>,
    /// Programme time of the first picture.
    base: Option<MediaTime>,
    is_skipping: bool,
    skipped: u64,
}

impl Connection {
    /// Connects to `target`. It has begun when this returns; whether it succeeds is told by events and [`Self::sent`].
    ///
    /// # Errors
    /// [`pipeline::Error`] when an element is missing or refuses.
    pub async fn open(
        replacements: Option<&Path>,
        target: &Push,
        canvas: Canvas,
        video: &Format,
        audio: &Format,
    ) -> Result<Self, pipeline::Error> {
        let name = match &target.protocol {
            Protocol::Rtmp { .. } => "push_rtmp",
            Protocol::Srt { .. } => "push_srt",
        };
        let pipeline = Description::load(name, replacements)?.build()?;
        let out: gst::Element = pipeline.element("out")?;
        aim(&out, &target.protocol);
        let sent = Arc::<AtomicU64>::default();
        if let Some(pad) = out.static_pad("sink") {
            let counter = sent.clone();
            pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
                let bytes = match &info.data {
                    Some(gst::PadProbeData::Buffer(buffer)) => buffer.size(),
                    Some(gst::PadProbeData::BufferList(list)) => list.iter().map(gst::BufferRef::size).sum(),
                    _ => 0,
                };
                counter.fetch_add(bytes as u64, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
        }
        let events = pipeline.events();
        let (in_video, in_audio): (gst_app::AppSrc, gst_app::AppSrc) =
            (pipeline.element("in_video")?, pipeline.element("in_audio")?);
        in_video.set_caps(Some(&video_caps(video, canvas)));
        in_audio.set_caps(Some(&audio_caps(audio)));
        let pipeline = pipeline.play().await?;
        Ok(Self {
            pipeline,
            events,
            video: in_video,
            audio: in_audio,
            sent,
            base: None,
            is_skipping: true,
            skipped: 0,
        })
    }

    /// Sends a unit, from the first key frame on. Never waits.
    pub fn take(&mut self, unit: &AccessUnit) {
        if unit.kind == Kind::Video {
            let waiting = self.video.current_level_buffers();
            self.is_skipping |= waiting > MOST_WAITING;
            if unit.is_keyframe && waiting < FEW_WAITING {
                self.is_skipping = false;
            }
            self.skipped += u64::from(self.is_skipping && self.base.is_some());
            if !self.is_skipping {
                self.base.get_or_insert(unit.pts);
            }
        }
        let Some(base) = self.base.filter(|_| !self.is_skipping) else { return };
        let since = unit.pts.since(base);
        if since < 0 {
            return; // sound from before the first picture
        }
        let mut buffer = gst::Buffer::from_slice(unit.data.clone());
        let fields = buffer.get_mut().expect("a buffer just made is not shared");
        let time = gst::ClockTime::from_nseconds(since.unsigned_abs());
        fields.set_pts(time);
        fields.set_dts(time);
        if unit.kind == Kind::Video && !unit.is_keyframe {
            fields.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let source = if unit.kind == Kind::Video { &self.video } else { &self.audio };
        let _ = source.push_buffer(buffer); // it ends: an event tells
    }

    /// Units are missing from here on: nothing is sent until a key frame.
    pub fn skip(&mut self) {
        self.is_skipping = true;
    }

    /// Bytes that went out.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Pictures left out, because the platform did not take them.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`pipeline::Error::Frozen`].
    pub async fn stop(self) -> Result<(), pipeline::Error> {
        self.pipeline.stop().await
    }
}

fn aim(out: &gst::Element, protocol: &Protocol) {
    match protocol {
        Protocol::Rtmp { is_secure, host, port, application, stream } => {
            out.set_property_from_str("scheme", if *is_secure { "rtmps" } else { "rtmp" });
            out.set_property("host", host);
            out.set_property("port", i32::from(*port));
            out.set_property("application", application);
            out.set_property("stream", stream);
        }
        Protocol::Srt { url, stream_id } => {
            out.set_property("uri", url);
            if let Some(stream_id) = stream_id {
                out.set_property("streamid", stream_id);
            }
        }
    }
}

fn video_caps(format: &Format, canvas: Canvas) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("width", canvas.width as i32)
        .field("height", canvas.height as i32)
        .field("framerate", gst::Fraction::new(canvas.rate.num as i32, canvas.rate.den as i32))
        .field("codec_data", gst::Buffer::from_slice(format.config.clone()))
        .build()
}

fn audio_caps(format: &Format) -> gst::Caps {
    gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .field("rate", AUDIO_HZ as i32)
        .field("channels", 2)
        .field("codec_data", gst::Buffer::from_slice(format.config.clone()))
        .build()
}
