//! A demultiplexer's pads to formats and units: the first picture and the first sound, parsed and framed as
//! [`Codec`] says; the others are named and dropped.
//!
//! Events wait in one bounded queue: when nobody takes them, the pipeline waits, and so does its source.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use tokio::sync::mpsc;

use super::feed::{self, Feed};
use super::timeline::Stamp;
use crate::media::{Codec, Format, Kind};

/// Events that wait for the feed.
const EVENTS: usize = 128;

/// What a demultiplexer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What follows in a track is coded so.
    Format(Format),
    /// A coded unit.
    Unit {
        /// The track.
        kind: Kind,
        /// When it is decoded, nanoseconds on the source's clock.
        dts: i64,
        /// Shown this much later.
        cts: i64,
        /// Whether decoding can start here.
        is_keyframe: bool,
        /// The unit.
        data: Bytes,
    },
    /// Something that producers should know.
    Note(String),
}

/// Takes the pads of one demultiplexer.
#[derive(Clone)]
pub struct Streams {
    events: mpsc::Sender<Event>,
    chosen: Arc<Mutex<[Option<String>; 2]>>,
}

impl Streams {
    /// Takes the pads that `demultiplexer` has and gets, inside `pipeline`.
    pub fn attach(pipeline: &gst::Pipeline, demultiplexer: &gst::Element) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(EVENTS);
        let streams = Self { events, chosen: Arc::default() };
        // Weak: the pipeline owns the element, which owns these closures.
        let (weak, added) = (pipeline.downgrade(), streams.clone());
        demultiplexer.connect_pad_added(move |_, pad| {
            if let Some(pipeline) = weak.upgrade() {
                added.add(&pipeline, pad);
            }
        });
        demultiplexer.connect_pad_removed(move |_, pad| streams.forget(pad));
        receiver
    }

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
                discard(pipeline, pad)
            }
        };
        if let Err(error) = outcome {
            self.say(Event::Note(format!("a track cannot be taken: {error}")));
        }
    }

    /// Takes the pad for its kind if that is free.
    fn choose(&self, kind: Kind, pad: &gst::Pad) -> bool {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut chosen[usize::from(kind == Kind::Audio)];
        let is_free = place.is_none();
        if is_free {
            *place = Some(pad.name().to_string());
        }
        is_free
    }

    /// The next pad of its kind takes its place: streams change their tables in mid-stream.
    fn forget(&self, pad: &gst::Pad) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        for place in chosen.iter_mut() {
            if place.as_deref() == Some(pad.name().as_str()) {
                *place = None;
            }
        }
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
        Ok(())
    }

    fn callbacks(&self, kind: Kind) -> gst_app::AppSinkCallbacks {
        let events = self.events.clone();
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
        let _ = self.events.blocking_send(event); // nobody listens: the source is ending
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

fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), gst::glib::BoolError> {
    let sink =
        gst::ElementFactory::make("fakesink").property("sync", false).property("async", false).build()?;
    pipeline.add(&sink)?;
    sink.sync_state_with_parent()?;
    let target = sink.static_pad("sink").ok_or_else(|| gst::glib::bool_error!("no sink pad"))?;
    pad.link(&target).map_err(|error| gst::glib::bool_error!("{error}"))?;
    Ok(())
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
    Some(Event::Unit {
        kind,
        dts,
        cts: pts.map_or(0, |pts| pts - dts),
        is_keyframe: kind == Kind::Audio || !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        data: Bytes::copy_from_slice(&map),
    })
}

/// Hands an event on.
///
/// # Errors
/// [`feed::Error`]; the publisher ends.
pub async fn feed(event: Event, feed: &mut Feed) -> Result<(), feed::Error> {
    match event {
        Event::Format(format) => feed.format(format).await,
        Event::Unit { kind, dts, cts, is_keyframe, data } => {
            feed.unit(kind, Stamp::Nanos(dts), cts, is_keyframe, data).await
        }
        Event::Note(text) => {
            feed.note(text);
            Ok(())
        }
    }
}
