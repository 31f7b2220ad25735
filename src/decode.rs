//! A publisher's coded units to raw frames and samples, in a pipeline that lives as long as the publisher.
//!
//! Frames leave in the canvas's size and format, with the programme times that ingest gave the units. An
//! error in the stream ends this decoder and nothing else.

use std::path::Path;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use gstreamer_video as gst_video;
use tokio::sync::mpsc;

use crate::media::{AccessUnit, Canvas, Kind, Packet};
use crate::pipeline::description::Description;
use crate::pipeline::raw::{Frame, Sink, Sound};
use crate::pipeline::{self, Event, Pipeline};
use crate::time::MediaTime;

/// Coded frames that wait for the decoder; beyond that whole groups of pictures are left out, because a
/// picture late by more than this will not be shown anyway.
const WAITING_FRAMES: u64 = 180;

/// Why decoding ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// The publisher's stream.
    #[error("the stream cannot be decoded: {0}")]
    Stream(String),
}

/// One publisher's decoder.
pub struct Decoder {
    pipeline: Pipeline,
    events: mpsc::Receiver<Event>,
    video: Track,
    audio: Track,
}

struct Track {
    source: gst_app::AppSrc,
    is_configured: bool,
    waits_for_keyframe: bool,
}

impl Decoder {
    /// Starts a decoder whose frames go to `sink`.
    ///
    /// # Errors
    /// [`Error::Pipeline`] when the description does not fit or an element is missing.
    pub async fn start(
        replacements: Option<&Path>,
        canvas: Canvas,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, Error> {
        let pipeline = Description::load("decode", replacements)?.build()?;
        pipeline.element::<gst::Element>("canvas")?.set_property("caps", canvas_caps(canvas));
        let out_video = pipeline.element("out_video")?;
        take_padded_frames(&out_video);
        deliver_frames(&out_video, sink.clone());
        deliver_sound(&pipeline.element("out_audio")?, sink);
        let video = Track::new(pipeline.element("in_video")?);
        let audio = Track::new(pipeline.element("in_audio")?);
        let events = pipeline.events();
        let pipeline = pipeline.play().await?;
        Ok(Self { pipeline, events, video, audio })
    }

    /// Gives it the next packet. Never waits.
    ///
    /// # Errors
    /// [`Error::Stream`] when the decoder has given up.
    pub fn push(&mut self, packet: Packet) -> Result<(), Error> {
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Error(detail) => return Err(Error::Stream(detail)),
                Event::Warning(detail) => tracing::debug!("decoder: {detail}"),
                Event::Eos => {}
            }
        }
        match packet {
            Packet::Config(Kind::Video, config) => self.video.configure(&h264_caps(config)),
            Packet::Config(Kind::Audio, config) => self.audio.configure(&aac_caps(config)),
            Packet::Unit(unit) if unit.kind == Kind::Video => self.video.push(unit),
            Packet::Unit(unit) => self.audio.push(unit),
        }
        Ok(())
    }

    /// Ends it. What is in it is dropped.
    ///
    /// # Errors
    /// [`Error::Pipeline`] when it froze and was abandoned.
    pub async fn stop(self) -> Result<(), Error> {
        Ok(self.pipeline.stop().await?)
    }
}

impl Track {
    fn new(source: gst_app::AppSrc) -> Self {
        Self { source, is_configured: false, waits_for_keyframe: true }
    }

    fn configure(&mut self, caps: &gst::Caps) {
        // Some encoders repeat their configuration in mid-stream: only another one starts anew.
        if self.source.caps().as_ref() == Some(caps) {
            return;
        }
        self.source.set_caps(Some(caps));
        self.is_configured = true;
        self.waits_for_keyframe = true;
    }

    fn push(&mut self, unit: AccessUnit) {
        if self.source.current_level_buffers() > WAITING_FRAMES {
            self.waits_for_keyframe = true;
        }
        if !self.is_configured || (self.waits_for_keyframe && !unit.is_keyframe) {
            return;
        }
        self.waits_for_keyframe = false;
        let mut buffer = gst::Buffer::from_slice(unit.data);
        let fields = buffer.get_mut().expect("a buffer just made is not shared");
        fields.set_pts(gst::ClockTime::from_nseconds(unit.pts.0));
        fields.set_dts(gst::ClockTime::from_nseconds(unit.dts.0));
        if !unit.is_keyframe {
            fields.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let _ = self.source.push_buffer(buffer); // flushing or failed: the bus tells
    }
}

fn canvas_caps(canvas: Canvas) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", canvas.width as i32)
        .field("height", canvas.height as i32)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        // What the cards are drawn in and the encoder is told: full range and BT.601 are converted.
        .field("colorimetry", "bt709")
        .build()
}

fn h264_caps(avcc: bytes::Bytes) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("codec_data", gst::Buffer::from_slice(avcc))
        .build()
}

fn aac_caps(config: bytes::Bytes) -> gst::Caps {
    gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .field("codec_data", gst::Buffer::from_slice(config))
        .build()
}

/// Says upstream that frames may have padding, so that the decoder writes into them directly. An appsink does not
/// say so by itself, and then every frame is copied once more.
fn take_padded_frames(out: &gst_app::AppSink) {
    let Some(pad) = out.static_pad("sink") else { return };
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(allocation) = query.view_mut()
        {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

fn deliver_frames(out: &gst_app::AppSink, sink: Arc<dyn Sink>) {
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |out| {
        let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        if let Some(buffer) = sample.buffer_owned()
            && let Some(pts) = buffer.pts()
        {
            sink.frame(Frame { pts: MediaTime(pts.nseconds()), buffer });
        }
        Ok(gst::FlowSuccess::Ok)
    });
    out.set_callbacks(callbacks.build());
}

fn deliver_sound(out: &gst_app::AppSink, sink: Arc<dyn Sink>) {
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |out| {
        let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        if let Some(buffer) = sample.buffer()
            && let Some(pts) = buffer.pts()
            && let Ok(bytes) = buffer.map_readable()
        {
            let samples =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            sink.sound(Sound { pts: MediaTime(pts.nseconds()), samples });
        }
        Ok(gst::FlowSuccess::Ok)
    });
    out.set_callbacks(callbacks.build());
}
