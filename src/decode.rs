//! A publisher's coded units to raw frames and samples, each track in a pipeline of its own that lives as long as
//! the publisher sends that codec.
//!
//! Frames leave in the canvas's size and format, with the programme times that ingest gave the units. Picture that
//! cannot be decoded ends this decoder and nothing else; sound that cannot is left out, and said.

mod format;
pub mod still;

use std::path::PathBuf;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use gstreamer_video as gst_video;
use tokio::sync::mpsc;

use crate::media::{AccessUnit, Canvas, Format, Kind, Packet};
use crate::pipeline::description::Description;
use crate::pipeline::raw::{self, Frame, Sink, Sound};
use crate::pipeline::{self, Event, Pipeline};
use crate::time::MediaTime;

/// Coded frames that wait for the decoder; beyond that whole groups of pictures are left out, because a
/// picture late by more than this will not be shown anyway.
const WAITING_FRAMES: u64 = 180;

/// A picture with more pixels than 4096x2304 is not for a live show, and takes memory by the gigabyte.
const MOST_PIXELS: u64 = 4096 * 2304;

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

/// What a decoder sees, for producers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The picture's size as coded.
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Something that is left out or changed.
    Note(String),
    /// A frame was mended because parts of it were missing.
    Repaired,
}

/// Is told what a decoder sees, from any thread.
pub type Watcher = Arc<dyn Fn(Seen) + Send + Sync>;

/// One publisher's decoder.
pub struct Decoder {
    replacements: Option<PathBuf>,
    canvas: Canvas,
    sink: Arc<dyn Sink>,
    watcher: Watcher,
    tracks: [Option<Track>; 2],
    /// The sound that could not be decoded: it is not tried again until another comes.
    failed: Option<Format>,
}

/// One track's pipeline.
struct Track {
    pipeline: Pipeline,
    events: mpsc::Receiver<Event>,
    source: gst_app::AppSrc,
    format: Format,
    waits_for_keyframe: bool,
}

impl Decoder {
    /// A decoder whose frames go to `sink`; its pipelines start with the first format of each track.
    pub fn new(replacements: Option<PathBuf>, canvas: Canvas, sink: Arc<dyn Sink>, watcher: Watcher) -> Self {
        Self { replacements, canvas, sink, watcher, tracks: [None, None], failed: None }
    }

    /// Gives it the next packet. Waits only while a pipeline starts or stops.
    ///
    /// # Errors
    /// [`Error`] when the picture cannot be decoded.
    pub async fn push(&mut self, packet: Packet) -> Result<(), Error> {
        match packet {
            Packet::Format(format) => {
                let kind = format.codec.kind();
                if self.failed.as_ref() == Some(&format) {
                    return Ok(()); // announced again, and no better than before
                }
                let outcome = self.configure(format.clone()).await;
                if kind == Kind::Audio && outcome.is_err() {
                    self.failed = Some(format);
                }
                self.judge(kind, outcome).await
            }
            Packet::Unit(unit) => {
                let kind = unit.kind;
                let Some(track) = &mut self.tracks[index(kind)] else { return Ok(()) };
                let outcome = track.push(unit);
                if kind == Kind::Audio && outcome.is_err() {
                    self.failed = Some(track.format.clone());
                }
                self.judge(kind, outcome).await
            }
        }
    }

    /// Sound that fails is left out until another format comes; picture that fails is the end.
    async fn judge(&mut self, kind: Kind, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Err(error) if kind == Kind::Audio => {
                tracing::info!("the sound is left out: {error}");
                let codec = self.failed.as_ref().map_or("codec", |format| format.codec.name());
                (self.watcher)(Seen::Note(format!("the sound is left out: its {codec} cannot be decoded")));
                if let Some(track) = self.tracks[index(kind)].take() {
                    track.pipeline.stop().await?;
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn configure(&mut self, format: Format) -> Result<(), Error> {
        let place = &mut self.tracks[index(format.codec.kind())];
        match place {
            // Some encoders repeat their configuration in mid-stream: only another one starts anew.
            Some(track) if track.format == format => return Ok(()),
            Some(track) if track.format.codec == format.codec => {
                track.source.set_caps(Some(&format::caps(&format)?));
                (track.format, track.waits_for_keyframe) = (format, true);
                return Ok(());
            }
            _ => {}
        }
        if let Some(before) = place.take() {
            before.pipeline.stop().await?;
        }
        let track = self.start(format).await?;
        let kind = track.format.codec.kind();
        self.tracks[index(kind)] = Some(track);
        Ok(())
    }

    async fn start(&self, format: Format) -> Result<Track, Error> {
        let caps = format::caps(&format)?;
        let name = format::pipeline_name(format.codec);
        let pipeline = Description::load(name, self.replacements.as_deref())?.build()?;
        let out: gst_app::AppSink = pipeline.element("out")?;
        match format.codec.kind() {
            Kind::Video => {
                pipeline.element::<gst::Element>("canvas")?.set_property("caps", canvas_caps(self.canvas));
                raw::take_padded_frames(&out);
                watch_size(&pipeline.element("decoder")?, self.watcher.clone());
                deliver_frames(&out, self.sink.clone(), self.watcher.clone());
            }
            Kind::Audio => deliver_sound(&out, self.sink.clone()),
        }
        let source: gst_app::AppSrc = pipeline.element("in")?;
        source.set_caps(Some(&caps));
        let events = pipeline.events();
        let pipeline = pipeline.play().await?;
        Ok(Track { pipeline, events, source, format, waits_for_keyframe: true })
    }

    /// Ends it. What is in it is dropped.
    ///
    /// # Errors
    /// [`Error::Pipeline`] when it froze and was abandoned.
    pub async fn stop(self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for track in self.tracks.into_iter().flatten() {
            outcome = outcome.and(track.pipeline.stop().await.map_err(Error::from));
        }
        outcome
    }
}

fn index(kind: Kind) -> usize {
    usize::from(kind == Kind::Audio)
}

impl Track {
    fn push(&mut self, unit: AccessUnit) -> Result<(), Error> {
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Error(detail) => return Err(Error::Stream(detail)),
                Event::Warning(detail) => tracing::debug!("decoder: {detail}"),
                Event::Eos => {}
            }
        }
        if self.source.current_level_buffers() > WAITING_FRAMES {
            self.waits_for_keyframe = true;
        }
        if self.waits_for_keyframe && !unit.is_keyframe {
            return Ok(());
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
        Ok(())
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

/// Tells the size that the decoder found, and what else its output says.
fn watch_size(decoder: &gst::Element, watcher: Watcher) {
    let Some(pad) = decoder.static_pad("src") else { return };
    let weak = decoder.downgrade();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
            && let Ok(video) = gst_video::VideoInfo::from_caps(caps.caps())
        {
            if u64::from(video.width()) * u64::from(video.height()) > MOST_PIXELS {
                let text = format!("{}x{} is larger than is taken here", video.width(), video.height());
                if let Some(decoder) = weak.upgrade() {
                    gst::element_error!(decoder, gst::StreamError::Format, ["{text}"]);
                }
                return gst::PadProbeReturn::Handled;
            }
            watcher(Seen::Size { width: video.width(), height: video.height() });
            if video.is_interlaced() {
                watcher(Seen::Note("the picture is interlaced and is made progressive".into()));
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn deliver_frames(out: &gst_app::AppSink, sink: Arc<dyn Sink>, watcher: Watcher) {
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |out| {
        let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        if let Some(buffer) = sample.buffer_owned()
            && let Some(pts) = buffer.pts()
        {
            if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
                watcher(Seen::Repaired);
            }
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

/// Every decoding pipeline, for `vitrine check`.
pub fn pipelines() -> [&'static str; 10] {
    format::CODECS.map(format::pipeline_name)
}
