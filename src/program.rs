//! The programme: the picture and sound on air, on its own clock, from the channel's start to its end.
//!
//! A thread ticks once a frame. At each tick it takes one picture and the tick's sound and hands both on,
//! publisher or not. Publishers come and go at the [`Mixer`]; nothing here waits for them.

pub mod choice;
pub mod sound;
pub mod sync;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use tokio::sync::watch;

use self::sound::SoundSync;
use self::sync::{FrameSync, Pick};
use crate::config;
use crate::media::{AUDIO_CHANNELS, AUDIO_HZ, Canvas, Showing};
use crate::package::grid::Grid;
use crate::pipeline::raw::{Frame, Sink, Sound};
use crate::time::{MediaTime, ProgramClock};

/// Behind the clock by more than this, the programme leaves out pictures until it has caught up.
const LATE_NANOS: i64 = 300_000_000;

/// After this long without a picture, a publisher's sound is put on air alone.
const SOUND_ALONE_NANOS: i64 = 2_000_000_000;
/// Held for this long, a picture counts as standing.
const HELD_NANOS: i64 = 250_000_000;

/// Pictures left out are said at most this often: once a minute.
const SAID_EVERY_NANOS: i64 = 60_000_000_000;

/// The pictures for when nobody publishes.
#[derive(Debug, Clone)]
pub struct Slates {
    /// Before anybody has published.
    pub starting_soon: gst::Buffer,
    /// After somebody has.
    pub back_soon: gst::Buffer,
}

/// Where publishers' raw media meets the programme. Each publisher that is decoded has an input of its own, on air or
/// not, so that a change between them takes effect at the next tick.
#[derive(Debug)]
pub struct Mixer {
    canvas: Canvas,
    hold_nanos: i64,
    most_nanos: i64,
    inner: Mutex<Inputs>,
}

#[derive(Debug, Default)]
struct Inputs {
    by_publisher: BTreeMap<u64, Waiting>,
    on_air: Option<u64>,
    /// Who was on air at the last tick: at a change the sound goes over from one to the other.
    before: Option<u64>,
}

/// One publisher's media on its way to its time.
#[derive(Debug)]
struct Waiting {
    frames: FrameSync<gst::Buffer>,
    sound: SoundSync,
    /// Which sink it belongs to: a publisher may have another one later.
    serial: u64,
    /// When its first sound came, if no picture has.
    sound_since: Option<MediaTime>,
    /// Whether something of it was due already: put on air, it has something to show.
    is_ready: bool,
    is_gone: bool,
}

impl Mixer {
    /// For `canvas`, holding the last picture and keeping frames ahead of their time as `ingest` says.
    pub fn new(canvas: Canvas, ingest: &config::Ingest) -> Self {
        let nanos = |ms: u32| i64::from(ms) * 1_000_000;
        // Half a second beyond the plan: bursts after a short stall are kept.
        let (hold_nanos, most_nanos) = (nanos(ingest.hold_ms), nanos(ingest.jitter_ms + 500));
        Self { canvas, hold_nanos, most_nanos, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inputs> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the publisher, put on air, has something to show at once.
    pub fn is_ready(&self, publisher: u64) -> bool {
        self.lock().by_publisher.get(&publisher).is_some_and(|waiting| waiting.is_ready)
    }

    /// The publisher's media is the programme's from the next tick on.
    pub fn put_on_air(&self, publisher: u64) {
        self.lock().on_air = Some(publisher);
    }

    /// The picture of a tick, and its sound: `count` samples from sample `first`, interleaved.
    fn tick(&self, time: MediaTime, first: u64, count: usize) -> (Pick<gst::Buffer>, Vec<f32>) {
        let mut inputs = self.lock();
        let (on_air, before) = (inputs.on_air, inputs.before);
        let (mut pick, mut sound, mut last) = (Pick::Slate, None, None);
        inputs.by_publisher.retain(|publisher, waiting| {
            // Those that are not on air are drained just the same, so that they stay in step.
            let (picture, samples) = (waiting.frames.tick(time), waiting.sound.pull(first, count));
            let is_empty = picture == Pick::Slate;
            // A picture usually comes right after the sound; without one the sound is enough.
            let is_sound = waiting.sound_since.is_some_and(|since| time.since(since) > SOUND_ALONE_NANOS);
            waiting.is_ready |= matches!(picture, Pick::New(_)) || is_sound;
            if Some(*publisher) == on_air {
                (pick, sound) = (picture, Some(samples));
            } else if Some(*publisher) == before {
                last = Some(samples);
            }
            !(waiting.is_gone && (is_empty || Some(*publisher) != on_air))
        });
        inputs.before = on_air;
        let mut sound = sound.unwrap_or_else(|| vec![0.0; count * AUDIO_CHANNELS]);
        if let Some(last) = last {
            sound::cross_fade(&last, &mut sound);
        }
        (pick, sound)
    }
}

/// A place for a publisher's media; given up when the sink is dropped.
pub fn attach(mixer: &Arc<Mixer>, publisher: u64) -> Arc<dyn Sink> {
    let frames = FrameSync::new(mixer.canvas.rate, mixer.hold_nanos, mixer.most_nanos);
    let serial = SERIALS.fetch_add(1, Ordering::Relaxed);
    let sound = SoundSync::default();
    let waiting = Waiting { frames, sound, serial, sound_since: None, is_ready: false, is_gone: false };
    mixer.lock().by_publisher.insert(publisher, waiting);
    Arc::new(Input { mixer: mixer.clone(), publisher, serial })
}

static SERIALS: AtomicU64 = AtomicU64::new(1);

struct Input {
    mixer: Arc<Mixer>,
    publisher: u64,
    serial: u64,
}

impl Input {
    fn with(&self, put: impl FnOnce(&mut Waiting)) -> bool {
        let mut inputs = self.mixer.lock();
        let place = inputs.by_publisher.get_mut(&self.publisher);
        place.filter(|waiting| waiting.serial == self.serial).map(put).is_some()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let Some(waiting) = self.mixer.lock().by_publisher.get_mut(&self.publisher)
            && waiting.serial == self.serial
        {
            waiting.is_gone = true; // what it has left is still shown
        }
    }
}

impl Sink for Input {
    fn frame(&self, frame: Frame) -> bool {
        self.with(|waiting| waiting.frames.push(frame.pts, frame.buffer))
    }

    fn sound(&self, sound: Sound) -> bool {
        self.with(|waiting| {
            waiting.sound_since.get_or_insert(sound.pts);
            waiting.sound.push(sound.pts, &sound.samples);
        })
    }
}

/// What the programme tells of itself, once a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The newest frame's time.
    pub frame: MediaTime,
    /// What it shows.
    pub showing: Showing,
    /// How late it was made.
    pub behind_ms: u64,
    /// Pictures left out since the start, because the encoder did not keep up.
    pub skipped_frames: u64,
}

/// Where the programme goes: an encoder, or nothing while one is being rebuilt.
#[derive(Clone, Default)]
pub struct Outlet {
    sink: Arc<Mutex<Option<Arc<dyn Sink>>>>,
    is_stuck: Arc<AtomicBool>,
}

impl Outlet {
    /// Connects an encoder; frames come from the next segment's start.
    pub fn connect(&self, sink: Arc<dyn Sink>) {
        self.is_stuck.store(false, Ordering::Release);
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    /// Whether the encoder took no more.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Acquire)
    }

    fn current(&self) -> Option<Arc<dyn Sink>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn disconnect(&self) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.is_stuck.store(true, Ordering::Release);
    }
}

/// The thread's side of a programme.
pub struct Programme {
    /// The channel's clock.
    pub clock: ProgramClock,
    /// Where segments start.
    pub grid: Grid,
    /// Where publishers' media comes from.
    pub mixer: Arc<Mixer>,
    /// Where it goes.
    pub outlet: Outlet,
    /// What is shown without a publisher.
    pub slates: Slates,
    /// Whether a publisher was on air before this start.
    pub was_live: bool,
    /// Since when the last picture is held.
    pub held_since: Option<MediaTime>,
}

/// Starts the programme's thread at the start of `first_segment`. When that is in the past, frames up to the
/// present are made as fast as they are taken: this fills the playlist before the first viewer asks.
/// The thread ends when every receiver of its progress is gone.
pub fn start(
    programme: Programme,
    channel: &str,
    first_segment: u64,
) -> std::io::Result<watch::Receiver<Progress>> {
    let (progress, receiver) = watch::channel(Progress::default());
    std::thread::Builder::new().name(format!("programme-{channel}")).spawn({
        let channel = channel.to_owned();
        move || run(programme, &channel, first_segment, &progress)
    })?;
    Ok(receiver)
}

fn run(mut programme: Programme, channel: &str, first_segment: u64, progress: &watch::Sender<Progress>) {
    let rate = programme.grid.rate();
    let mut sink = None;
    let mut load = Load::default();
    let mut n = programme.grid.first_frame(first_segment);
    while !progress.is_closed() {
        let time = rate.time_of(n);
        programme.clock.sleep_until(time);
        // Late, the encoder does not keep up: it gets the first picture of each part, which stands until the next. A
        // delay that grows would be worse, and so the programme is back in time within a fraction of it.
        let is_late = load.is_late(programme.clock.now().since(time));
        let is_skipped = is_late && !programme.grid.is_part_start(n);
        let (first, end) = (time.as_ticks(AUDIO_HZ), rate.time_of(n + 1).as_ticks(AUDIO_HZ));
        let (pick, samples) = programme.mixer.tick(time, first, (end - first) as usize);
        let (frame, showing) = programme.picture(pick, time);
        if n.is_multiple_of(u64::from(programme.grid.frames_per_segment())) {
            sink = programme.outlet.current();
        }
        if let Some(connected) = &sink {
            let sound = Sound { pts: MediaTime::from_ticks(first, AUDIO_HZ), samples };
            let is_taken = is_skipped || connected.frame(Frame { pts: time, buffer: frame });
            if !is_taken || !connected.sound(sound) {
                programme.outlet.disconnect();
                sink = None;
            }
        }
        let behind_ms = (programme.clock.now().since(time).max(0) / 1_000_000) as u64;
        if load.count(is_skipped, time) {
            tracing::warn!(channel, behind_ms, "this machine does not keep up: pictures are left out");
        }
        let skipped_frames = load.skipped_frames;
        progress.send_replace(Progress { frame: time, showing, behind_ms, skipped_frames });
        n += 1;
    }
}

/// Whether the machine keeps up.
#[derive(Default)]
struct Load {
    /// The past, made at a start, is late by design.
    was_on_time: bool,
    skipped_frames: u64,
    /// When it was last said.
    said: Option<MediaTime>,
}

impl Load {
    fn is_late(&mut self, behind_nanos: i64) -> bool {
        self.was_on_time |= behind_nanos <= LATE_NANOS;
        behind_nanos > LATE_NANOS
    }

    /// Counts a tick; whether it is time to say something.
    fn count(&mut self, is_skipped: bool, time: MediaTime) -> bool {
        let is_loss = is_skipped && self.was_on_time;
        self.skipped_frames += u64::from(is_loss);
        let is_news = is_loss && self.said.is_none_or(|said| time.since(said) > SAID_EVERY_NANOS);
        self.said = if is_news { Some(time) } else { self.said };
        is_news
    }
}

impl Programme {
    /// The picture of a tick, stamped with its time.
    fn picture(&mut self, pick: Pick<gst::Buffer>, time: MediaTime) -> (gst::Buffer, Showing) {
        let is_held = matches!(pick, Pick::Held(_));
        self.held_since = self.held_since.filter(|_| is_held).or(is_held.then_some(time));
        let (source, showing) = match pick {
            Pick::New(frame) => (frame, Showing::Live),
            // A slower publisher's frames are held for a tick now and then.
            Pick::Held(frame) if self.held_since.is_none_or(|since| time.since(since) < HELD_NANOS) => {
                (frame, Showing::Live)
            }
            Pick::Held(frame) => (frame, Showing::Held),
            Pick::Slate if self.was_live => (self.slates.back_soon.clone(), Showing::BackSoon),
            Pick::Slate => (self.slates.starting_soon.clone(), Showing::StartingSoon),
        };
        self.was_live |= showing == Showing::Live;
        (self.stamped(&source, time), showing)
    }

    fn stamped(&self, source: &gst::Buffer, time: MediaTime) -> gst::Buffer {
        // A new buffer around the same memory: the time is ours, the planes stay shared.
        let mut buffer = source.copy();
        let fields = buffer.make_mut();
        let rate = self.grid.rate();
        let length = rate.time_of(rate.frame_at(time) + 1).since(time);
        fields.set_pts(gst::ClockTime::from_nseconds(time.0));
        fields.set_dts(gst::ClockTime::NONE);
        fields.set_duration(gst::ClockTime::from_nseconds(length.unsigned_abs()));
        // The publisher's marks of loss mean nothing on a timeline without loss.
        fields.unset_flags(fields.flags());
        buffer
    }
}
