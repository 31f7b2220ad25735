//! The programme's raw frames and samples to coded units, in a pipeline that lives as long as its channel.
//!
//! The overlay element sits in the same pipeline, before the encoders: one for each rung, all from the same
//! frames. They arrive one a tick, so an encoder's own count of frames puts a key frame on every segment's start, the
//! same in every rung. Where the machine did not keep up and frames are missing, the next one is asked for.

mod choice;
pub mod gallery;
pub mod load;
pub mod relief;
mod sizes;
pub mod slate;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use gstreamer_video as gst_video;
use tokio::sync::mpsc;

pub use self::choice::can;
use self::choice::{choose, set_up};
use self::gallery::{Gallery, Which};
use self::load::Load;
use self::relief::Relief;
use self::sizes::Sizes;
use crate::config::{Channel, Coding};
use crate::media::{AUDIO_HZ, AccessUnit, Codec, Format, Kind, Packet};
use crate::package::grid::{AAC_BLOCK, Grid};
use crate::pipeline::description::Description;
use crate::pipeline::raw::{Frame, Sink, Sound};
use crate::pipeline::{self, Event, Pipeline};
use crate::time::{MediaTime, Stopwatch};

/// Coded units that wait for the packager. When it is full the encoder waits, and in the end the programme.
const UNITS: usize = 512;
/// How long the encoder may take no frame before it counts as stuck. A machine that is much too slow takes none for
/// seconds, and to build the encoder anew would only add to its load.
const STUCK: Duration = Duration::from_secs(8);
/// How long to wait between looks at a full queue.
const RETRY: Duration = Duration::from_millis(2);

/// A running encoder.
pub struct Encoder {
    pipeline: Pipeline,
    relief: Option<Relief>,
    /// How busy it is.
    pub load: Load,
    /// What its pipeline reports.
    pub events: mpsc::Receiver<Event>,
    /// Configurations and units of all tracks, in order within each: rungs by their numbers, then the sound.
    pub packets: mpsc::Receiver<(usize, Packet)>,
}

/// The way in, for the programme.
struct Inlet {
    video: gst_app::AppSrc,
    audio: gst_app::AppSrc,
    grid: Grid,
    run: Mutex<Run>,
}

/// What the encoders got.
#[derive(Default)]
struct Run {
    /// The number of the frame after the newest.
    next: Option<u64>,
    /// Whether a picture was left out since the last key frame.
    has_hole: bool,
}

impl Run {
    /// Takes note of frame `n`; whether it has to be asked to be a key frame. Asking always would be in vain: `GStreamer`
    /// (1.22) takes no second request after one for x264's first frame.
    fn is_key_asked(&mut self, n: u64, grid: &Grid) -> bool {
        self.has_hole |= self.next.is_some_and(|next| next != n);
        self.next = Some(n + 1);
        self.has_hole && n.is_multiple_of(grid.frames_per_segment().into()) && {
            self.has_hole = false;
            true
        }
    }
}

impl Encoder {
    /// Starts an encoder for `channel`. `prepare` may reach into the pipeline before it plays: this is where
    /// the overlay gets its board. `lowered` is a preset in place of the channel's.
    ///
    /// # Errors
    /// [`pipeline::Error`] when the description does not fit or an element is missing.
    pub async fn start(
        replacements: Option<&Path>,
        channel: &Channel,
        grid: &Grid,
        gallery: &Arc<Gallery>,
        lowered: Option<&str>,
        prepare: impl FnOnce(&Pipeline) -> Result<(), pipeline::Error>,
    ) -> Result<(Self, Arc<dyn Sink>), pipeline::Error> {
        let pipeline = Description::load("programme", replacements)?.build()?;
        prepare(&pipeline)?;
        let (sender, packets) = mpsc::channel(UNITS);
        let (mut relief, preset) = (None, lowered.unwrap_or(&channel.preset));
        let mut load = Vec::new();
        let mut sizes = Sizes::new(pipeline.element("rungs")?, channel.canvas);
        for (track, rung) in channel.rungs.iter().enumerate() {
            let name = choose(channel, rung.coding, replacements);
            tracing::info!(channel = channel.name, rung = rung.name, "coded by {name}");
            let branch = Description::load(&format!("rung_{name}"), replacements)?
                .branch(&pipeline, sizes.best_for(rung.canvas))?;
            if let Ok(tee) = branch.element("sized") {
                sizes.add(rung.canvas, tee);
            }
            let encoder: gst::Element = branch.element("encoder")?;
            set_up(&encoder, name, rung, grid, preset);
            if track == 0 && name == "x264" {
                relief = Some(Relief::new(encoder.clone(), rung, grid, &channel.preset, preset));
            }
            let size = gst::Caps::builder("video/x-raw")
                .field("width", rung.canvas.width as i32)
                .field("height", rung.canvas.height as i32)
                .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
                .build();
            branch.element::<gst::Element>("size")?.set_property("caps", size);
            let codec = if rung.coding == Coding::Hevc { Codec::Hevc } else { Codec::H264 };
            let rung = Arc::<load::Rung>::default();
            if load::is_told(&encoder, name)
                && let Ok(queue) = branch.element::<gst::Element>("in")
            {
                rung.watch(&queue);
            }
            deliver(&branch.element("out")?, codec, track, rung.clone(), sender.clone());
            load.push(rung);
        }
        for which in [Which::Small, Which::Poster] {
            let branch = Description::load("pictures", replacements)?.branch(&pipeline, sizes.whole())?;
            gallery.hang(&branch, which, channel.canvas)?;
        }
        let audio_encoder = pipeline.element::<gst::Element>("encoder_audio")?;
        audio_encoder.set_property("bitrate", channel.audio_kbps as i32 * 1000);
        let (video, audio) = (pipeline.element("in_video")?, pipeline.element("in_audio")?);
        let inlet = Inlet { video, audio, grid: *grid, run: Mutex::default() };
        inlet.video.set_caps(Some(&video_caps(channel)));
        inlet.audio.set_caps(Some(&audio_caps()));
        deliver(&pipeline.element("out_audio")?, Codec::Aac, channel.rungs.len(), Arc::default(), sender);
        let events = pipeline.events();
        let pipeline = pipeline.play().await?;
        Ok((Self { pipeline, relief, load: Load::new(load), events, packets }, Arc::new(inlet)))
    }

    /// Has the first rung coded with the next faster preset, from the next segment on. Its name; nothing when there is none
    /// that is faster.
    pub fn lower_preset(&mut self) -> Option<&'static str> {
        self.relief.as_mut()?.lower()
    }

    /// The same with the next slower one, up to what is configured.
    pub fn raise_preset(&mut self) -> Option<&'static str> {
        self.relief.as_mut()?.raise()
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`pipeline::Error::Frozen`].
    pub async fn stop(self) -> Result<(), pipeline::Error> {
        drop(self.packets); // an encoder that waits for room is let go
        self.pipeline.stop().await
    }
}

fn video_caps(channel: &Channel) -> gst::Caps {
    let canvas = channel.canvas;
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", canvas.width as i32)
        .field("height", canvas.height as i32)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .field("framerate", gst::Fraction::new(canvas.rate.num as i32, canvas.rate.den as i32))
        .field("colorimetry", "bt709")
        .field("interlace-mode", "progressive")
        .build()
}

fn audio_caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("rate", AUDIO_HZ as i32)
        .field("channels", 2)
        .field("layout", "interleaved")
        .field("channel-mask", gst::Bitmask::new(3))
        .build()
}

impl Inlet {
    /// Pushes a buffer; waits a bounded time while the queue is full.
    fn push(source: &gst_app::AppSrc, most: u64, buffer: gst::Buffer) -> bool {
        let waiting = Stopwatch::start();
        while source.current_level_buffers() >= most {
            if waiting.elapsed() > STUCK {
                return false;
            }
            std::thread::sleep(RETRY);
        }
        source.push_buffer(buffer).is_ok()
    }
}

impl Sink for Inlet {
    fn frame(&self, frame: Frame) -> bool {
        let n = self.grid.rate().frame_at(frame.pts);
        if self.run.lock().unwrap_or_else(PoisonError::into_inner).is_key_asked(n, &self.grid) {
            let key = gst_video::DownstreamForceKeyUnitEvent::builder()
                .running_time(gst::ClockTime::from_nseconds(frame.pts.0))
                .all_headers(false);
            self.video.send_event(key.build());
        }
        Self::push(&self.video, 4, frame.buffer)
    }

    fn sound(&self, sound: Sound) -> bool {
        let bytes: Vec<u8> = sound.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let samples = sound.samples.len() as u64 / 2;
        let mut buffer = gst::Buffer::from_slice(bytes);
        let fields = buffer.get_mut().expect("a buffer just made is not shared");
        fields.set_pts(gst::ClockTime::from_nseconds(sound.pts.0));
        fields.set_duration(gst::ClockTime::from_nseconds(MediaTime::from_ticks(samples, AUDIO_HZ).0));
        Self::push(&self.audio, 8, buffer)
    }
}

/// Sends a track's configuration, whenever it changes, and its units.
fn deliver(
    out: &gst_app::AppSink,
    codec: Codec,
    track: usize,
    rung: Arc<load::Rung>,
    packets: mpsc::Sender<(usize, Packet)>,
) {
    let mut known: Option<Bytes> = None;
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |out| {
        rung.end();
        let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let config = sample.caps().and_then(configuration);
        if config.is_some() && config != known {
            known.clone_from(&config);
            let packet = Packet::Format(Format { codec, config: config.unwrap_or_default() });
            packets.blocking_send((track, packet)).map_err(|_| gst::FlowError::Eos)?;
        }
        if let Some(unit) = unit(codec.kind(), &sample) {
            packets.blocking_send((track, Packet::Unit(unit))).map_err(|_| gst::FlowError::Eos)?;
        }
        Ok(gst::FlowSuccess::Ok)
    });
    out.set_callbacks(callbacks.build());
}

fn configuration(caps: &gst::CapsRef) -> Option<Bytes> {
    let buffer = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    Some(Bytes::copy_from_slice(&buffer.map_readable().ok()?))
}

fn unit(kind: Kind, sample: &gst::Sample) -> Option<AccessUnit> {
    let buffer = sample.buffer()?;
    let data = Bytes::copy_from_slice(&buffer.map_readable().ok()?);
    // Running time, not the stamp: x264enc moves its stamps by 1000 hours, to have room before zero.
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let pts = MediaTime(segment.to_running_time(buffer.pts()?)?.nseconds());
    // FFmpeg's AAC encoder puts one block of its own before the sound and stamps it with the sound's time.
    // Rounded to the sample, because the block before time zero of the channel has no time.
    let pts = match kind {
        Kind::Video => pts,
        Kind::Audio => {
            MediaTime::from_ticks(pts.as_ticks(AUDIO_HZ).checked_sub(u64::from(AAC_BLOCK))?, AUDIO_HZ)
        }
    };
    let is_keyframe = kind == Kind::Audio || !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    Some(AccessUnit { kind, pts, dts: pts, is_keyframe, data })
}
