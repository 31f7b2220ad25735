//! A demultiplexer's pads to formats and units: the first picture and the first sound, parsed and framed as
//! [`Codec`] says; the others are named and dropped.
//!
//! Each track's events wait in a bounded queue of its own: when nobody takes them, the pipeline waits, and so does its
//! source. A source faster than time runs ahead in each track as it likes, so each is held up by itself.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use tokio::sync::mpsc;

use super::feed::{self, Feed, Unit};
use super::timeline::Stamp;
use crate::media::{Codec, Format, Kind, Packet};

/// Events of a track that wait for the feed.
const EVENTS: usize = 64;

/// What a demultiplexer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What follows in a track is coded so.
    Format(Format),
    /// A coded unit, in running time.
    Unit(Unit),
    /// Something that producers should know.
    Note(String),
}

/// What happened.
#[derive(Debug)]
pub enum Step {
    /// A track has something.
    Event(Event),
    /// A track's held unit may go on.
    Due(Kind),
}

/// The tracks of one demultiplexer.
pub struct Streams {
    tracks: [Track; 2],
}

struct Track {
    events: mpsc::Receiver<Event>,
    /// A unit that came too early, and its time.
    held: Option<(Packet, Pin<Box<tokio::time::Sleep>>)>,
}

impl Track {
    /// The next thing that happens in this track; for ever when the demultiplexer is gone. May be given up.
    async fn next(&mut self, kind: Kind) -> Step {
        if let Some((_, until)) = &mut self.held {
            until.await;
            return Step::Due(kind);
        }
        match self.events.recv().await {
            Some(event) => Step::Event(event),
            None => std::future::pending().await,
        }
    }

    fn is_empty(&self) -> bool {
        self.held.is_none() && self.events.is_empty()
    }
}

impl Streams {
    /// The next thing that happens. May be given up without loss.
    pub async fn next(&mut self) -> Step {
        let [video, audio] = &mut self.tracks;
        tokio::select! {
            step = video.next(Kind::Video) => step,
            step = audio.next(Kind::Audio) => step,
        }
    }

    /// What is left after the demultiplexer's end.
    pub async fn rest(&mut self) -> Option<Step> {
        if self.tracks.iter().all(Track::is_empty) { None } else { Some(self.next().await) }
    }

    /// Feeds it. Not to be given up half-way.
    ///
    /// # Errors
    /// [`feed::Error`]; the publisher ends.
    pub async fn take(&mut self, step: Step, feed: &mut Feed) -> Result<(), feed::Error> {
        match step {
            Step::Event(Event::Format(format)) => feed.format(format).await,
            Step::Event(Event::Note(text)) => {
                feed.note(text);
                Ok(())
            }
            Step::Event(Event::Unit(unit)) => {
                let track = &mut self.tracks[usize::from(unit.kind == Kind::Audio)];
                let (packet, wait) = feed.prepare(unit);
                if wait.is_zero() {
                    return feed.hand_on(packet).await;
                }
                track.held = Some((packet, Box::pin(tokio::time::sleep(wait))));
                Ok(())
            }
            Step::Due(kind) => match self.tracks[usize::from(kind == Kind::Audio)].held.take() {
                Some((packet, _)) => feed.hand_on(packet).await,
                None => Ok(()),
            },
        }
    }
}

/// What became of the pads so far.
#[derive(Default)]
struct Taken {
    /// The pad of each kind that is used.
    chosen: [Option<gst::Pad>; 2],
    /// Elements behind each pad.
    behind: Vec<(gst::Pad, Vec<gst::Element>)>,
}

/// Takes the pads of one demultiplexer.
#[derive(Clone)]
struct Pads {
    events: [mpsc::Sender<Event>; 2],
    taken: Arc<Mutex<Taken>>,
}

impl Streams {
    /// Takes the pads that `demultiplexer` has and gets, inside `pipeline`.
    pub fn attach(pipeline: &gst::Pipeline, demultiplexer: &gst::Element) -> Self {
        let (video, video_events) = mpsc::channel(EVENTS);
        let (audio, audio_events) = mpsc::channel(EVENTS);
        let pads = Pads { events: [video, audio], taken: Arc::default() };
        // Weak: the pipeline owns the element, which owns these closures.
        let (weak, added) = (pipeline.downgrade(), pads.clone());
        demultiplexer.connect_pad_added(move |_, pad| {
            if let Some(pipeline) = weak.upgrade() {
                added.add(&pipeline, pad);
            }
        });
        let weak = pipeline.downgrade();
        demultiplexer.connect_pad_removed(move |_, pad| {
            if let Some(pipeline) = weak.upgrade() {
                pads.forget(&pipeline, pad);
            }
        });
        Self { tracks: [video_events, audio_events].map(|events| Track { events, held: None }) }
    }
}

impl Pads {
    fn add(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) {
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let Some(structure) = caps.structure(0) else { return };
        let outcome = match chain(structure) {
            Some((kind, elements)) if self.choose(kind, pad) => self.build(pipeline, pad, kind, &elements),
            found => {
                let what = match found {
                    Some((Kind::Video, _)) => "another video track",
                    Some((Kind::Audio, _)) => "another audio track",
                    None => "a track",
                };
                let media = structure.name();
                // Text tracks and private data are everywhere and nobody misses them here.
                if found.is_some() || media.starts_with("video") || media.starts_with("audio") {
                    self.say(Event::Note(format!("{what} ({media}) is left out")));
                }
                self.discard(pipeline, pad)
            }
        };
        if let Err(error) = outcome {
            self.say(Event::Note(format!("a track cannot be taken: {error}")));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the pad for its kind if that is free.
    fn choose(&self, kind: Kind, pad: &gst::Pad) -> bool {
        let mut taken = self.lock();
        let place = &mut taken.chosen[usize::from(kind == Kind::Audio)];
        let is_free = place.is_none();
        if is_free {
            *place = Some(pad.clone());
        }
        is_free
    }

    /// Takes out what is behind a pad that is gone. Streams change their tables in mid-stream, and the new pads come
    /// before the old ones go: one of those that were left out takes its place.
    fn forget(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) {
        remove(pipeline, self.elements_behind(pad));
        let was_chosen = {
            let mut taken = self.lock();
            let was_chosen = taken.chosen.iter().any(|chosen| chosen.as_ref() == Some(pad));
            for place in &mut taken.chosen {
                place.take_if(|chosen| chosen == pad);
            }
            was_chosen
        };
        if !was_chosen {
            return;
        }
        let spare: Vec<gst::Pad> = {
            let taken = self.lock();
            let is_chosen = |pad: &gst::Pad| taken.chosen.iter().flatten().any(|chosen| chosen == pad);
            taken.behind.iter().map(|(pad, _)| pad.clone()).filter(|pad| !is_chosen(pad)).collect()
        };
        for pad in spare {
            remove(pipeline, self.elements_behind(&pad));
            self.add(pipeline, &pad);
        }
    }

    fn elements_behind(&self, pad: &gst::Pad) -> Vec<gst::Element> {
        let mut taken = self.lock();
        let place = taken.behind.iter().position(|(known, _)| known == pad);
        place.map(|place| taken.behind.swap_remove(place).1).unwrap_or_default()
    }

    fn build(
        &self,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        kind: Kind,
        elements: &Elements,
    ) -> Result<(), gst::glib::BoolError> {
        let out = gst_app::AppSink::builder().sync(false).build();
        out.set_property("async", false);
        out.set_callbacks(self.callbacks(kind));
        let mut chain: Vec<gst::Element> = Vec::new();
        if let Some(parser) = elements.parser {
            chain.push(gst::ElementFactory::make(parser).build()?);
        }
        let filter: gst::Caps = elements.caps.parse()?;
        chain.push(gst::ElementFactory::make("capsfilter").property("caps", filter).build()?);
        chain.push(out.upcast());
        pipeline.add_many(&chain)?;
        gst::Element::link_many(&chain)?;
        for element in &chain {
            element.sync_state_with_parent()?;
        }
        let sink = chain[0].static_pad("sink").ok_or_else(|| gst::glib::bool_error!("no sink pad"))?;
        pad.link(&sink).map_err(|error| gst::glib::bool_error!("{error}"))?;
        self.lock().behind.push((pad.clone(), chain));
        Ok(())
    }

    fn discard(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), gst::glib::BoolError> {
        let sink =
            gst::ElementFactory::make("fakesink").property("sync", false).property("async", false).build()?;
        pipeline.add(&sink)?;
        sink.sync_state_with_parent()?;
        let target = sink.static_pad("sink").ok_or_else(|| gst::glib::bool_error!("no sink pad"))?;
        pad.link(&target).map_err(|error| gst::glib::bool_error!("{error}"))?;
        self.lock().behind.push((pad.clone(), vec![sink]));
        Ok(())
    }

    fn callbacks(&self, kind: Kind) -> gst_app::AppSinkCallbacks {
        let events = self.events[usize::from(kind == Kind::Audio)].clone();
        let (mut format, mut last) = (None, 0);
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |out| {
                let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let found = sample.caps().and_then(|caps| caps.structure(0)).and_then(format_of);
                let send = |event| events.blocking_send(event).map_err(|_| gst::FlowError::Eos);
                if found.is_some() && found != format {
                    format.clone_from(&found);
                    send(Event::Format(found.ok_or(gst::FlowError::Error)?))?;
                }
                if let Some(unit) = unit_of(&sample, kind, &mut last)
                    && format.is_some()
                {
                    send(unit)?;
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build()
    }

    fn say(&self, event: Event) {
        let _ = self.events[0].blocking_send(event); // nobody listens: the source is ending
    }
}

/// What parses a stream, and the framing that is asked of it.
struct Elements {
    parser: Option<&'static str>,
    caps: &'static str,
}

/// What a stream needs, or nothing when its codec is not taken.
fn chain(structure: &gst::StructureRef) -> Option<(Kind, Elements)> {
    let (kind, parser, caps) = match (structure.name().as_str(), structure.get::<i32>("mpegversion").ok()) {
        ("video/x-h264", _) => {
            (Kind::Video, Some("h264parse"), "video/x-h264,stream-format=avc,alignment=au")
        }
        ("video/x-h265", _) => {
            (Kind::Video, Some("h265parse"), "video/x-h265,stream-format=hvc1,alignment=au")
        }
        ("video/x-av1", _) => {
            (Kind::Video, Some("av1parse"), "video/x-av1,stream-format=obu-stream,alignment=tu")
        }
        ("video/x-vp9", _) => (Kind::Video, None, "video/x-vp9"),
        ("audio/mpeg", Some(2 | 4)) => {
            (Kind::Audio, Some("aacparse"), "audio/mpeg,stream-format=raw;audio/mpeg,stream-format=loas")
        }
        ("audio/mpeg", Some(1)) => (Kind::Audio, Some("mpegaudioparse"), "audio/mpeg,mpegversion=1"),
        ("audio/x-ac3" | "audio/x-eac3", _) => (Kind::Audio, Some("ac3parse"), "audio/x-ac3;audio/x-eac3"),
        ("audio/x-opus", _) => (Kind::Audio, None, "audio/x-opus"),
        _ => return None,
    };
    Some((kind, Elements { parser, caps }))
}

/// Takes elements out of a running pipeline; called from the streaming thread, which is not inside them now.
fn remove(pipeline: &gst::Pipeline, elements: Vec<gst::Element>) {
    for element in elements {
        if let Some(pad) = element.static_pad("sink")
            && let Some(peer) = pad.peer()
        {
            let _ = peer.unlink(&pad);
        }
        let _ = pipeline.remove(&element);
        let _ = element.set_state(gst::State::Null);
    }
}

fn format_of(structure: &gst::StructureRef) -> Option<Format> {
    let codec_data = || {
        let buffer = structure.get::<gst::Buffer>("codec_data").ok()?;
        let map = buffer.map_readable().ok()?;
        Some(Bytes::copy_from_slice(&map))
    };
    let without = |codec| Some(Format { codec, config: Bytes::new() });
    let with = |codec| codec_data().map(|config| Format { codec, config });
    match structure.name().as_str() {
        "video/x-h264" => with(Codec::H264),
        "video/x-h265" => with(Codec::Hevc),
        "video/x-av1" => Some(Format { codec: Codec::Av1, config: codec_data().unwrap_or_default() }),
        "video/x-vp9" => without(Codec::Vp9),
        "audio/mpeg" if structure.get::<i32>("mpegversion") == Ok(1) => without(Codec::MpegAudio),
        "audio/mpeg" if structure.get::<&str>("stream-format") == Ok("loas") => without(Codec::AacLatm),
        "audio/mpeg" => with(Codec::Aac),
        "audio/x-ac3" => without(Codec::Ac3),
        "audio/x-eac3" => without(Codec::Eac3),
        "audio/x-opus" => Some(Format { codec: Codec::Opus, config: opus_head(structure) }),
        _ => None,
    }
}

/// The identification header that the fields stand for. Source: RFC 7845, section 5.1.
fn opus_head(structure: &gst::StructureRef) -> Bytes {
    let number = |name: &str, otherwise: i32| structure.get::<i32>(name).unwrap_or(otherwise) as u8;
    let (channels, family) = (number("channels", 2), number("channel-mapping-family", 0));
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend_from_slice(&[0, 0, 0x80, 0xbb, 0, 0, 0, 0, family]); // no pre-skip, 48,000 Hz, no gain
    if family != 0 {
        head.extend_from_slice(&[number("stream-count", 1), number("coupled-count", 0)]);
        if let Ok(mapping) = structure.get::<gst::Array>("channel-mapping") {
            head.extend(mapping.iter().filter_map(|place| place.get::<i32>().ok()).map(|place| place as u8));
        }
    }
    head.into()
}

/// The unit with its times in running time, so that both tracks have one origin; `last` stands in where a demultiplexer
/// gives none.
fn unit_of(sample: &gst::Sample, kind: Kind, last: &mut i64) -> Option<Event> {
    let buffer = sample.buffer()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = |time: Option<gst::ClockTime>| match segment.to_running_time_full(time?)? {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok(),
        gst::Signed::Negative(time) => i64::try_from(time.nseconds()).ok().map(|nanos| -nanos),
    };
    let (pts, dts) = (running(buffer.pts()), running(buffer.dts()));
    let dts = dts.or(pts).unwrap_or(*last);
    *last = dts;
    let map = buffer.map_readable().ok()?;
    if map.is_empty() {
        return None;
    }
    Some(Event::Unit(Unit {
        kind,
        stamp: Stamp::Nanos(dts),
        cts_nanos: pts.map_or(0, |pts| pts - dts),
        is_keyframe: kind == Kind::Audio || !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        data: Bytes::copy_from_slice(&map),
    }))
}
