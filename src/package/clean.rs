//! A publisher's own picture and sound as parts, in one track file, as they came and not coded again.
//!
//! Segments are cut where the publisher's key frames are, and after six parts when none comes: their lengths differ, so
//! they are counted, not computed. What begins anew (another publisher, another format) is a discontinuity.
//! A part is returned when the picture after its last one has come, which tells how long that stands. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use super::cmaf::{self, Sample};
use super::event::Event;
use super::grid::{AAC_BLOCK, Grid};
use super::parameter_sets::ParameterSets;
use super::segmenter::Part;
use super::{Error, codec};
use crate::config;
use crate::media::{AccessUnit, Codec, Format, FrameRate, Kind};
use crate::time::MediaTime;

/// Ticks a second of the picture.
const TIMESCALE: u32 = 90_000;
/// A key frame within this much of a segment's start does not end it: 1.9 seconds. Ten of these are three target durations.
const SHORTEST_TICKS: u64 = TIMESCALE as u64 * 19 / 10;
/// Sound further than this from where the block before ended has a hole before it, or comes twice: a 20th of a second.
const TORN: u64 = 20;
/// Events that wait for their part.
const MOST_EVENTS: usize = 64;

/// The cutting plan: segments of at most six parts of a second.
pub fn grid() -> Grid {
    let hls = config::Hls { segment_s: 6.0, parts_per_segment: 6, ..config::Hls::default() };
    Grid::new(FrameRate { num: 1, den: 1 }, &hls)
}

/// What players must know before the first part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The initialisation segment.
    pub init: Bytes,
    /// For `CODECS`.
    pub codecs: String,
    /// Pixels across and down.
    pub size: (u16, u16),
    /// Samples a second of its sound, if it has any.
    sound_hz: Option<u32>,
    sets: ParameterSets,
}

impl Header {
    /// Of what is coded so. Sound that is not AAC is left out.
    ///
    /// # Errors
    /// [`Error::Unsuited`] when the picture is neither H.264 nor HEVC, [`Error::Configuration`] when its size cannot be
    /// read.
    pub fn new(picture: &Format, sound: Option<&Format>) -> Result<Self, Error> {
        if !matches!(picture.codec, Codec::H264 | Codec::Hevc) {
            return Err(Error::Unsuited(picture.codec.name()));
        }
        let size = codec::size(picture)?;
        let sound = sound.filter(|format| format.codec == Codec::Aac);
        let sound = sound.and_then(|format| Some((&format.config, codec::aac_sound(&format.config)?)));
        let mut codecs = codec::picture(picture)?;
        if let Some((config, _)) = sound {
            codecs = format!("{codecs},{}", codec::aac(config)?);
        }
        let init = cmaf::muxed_init(picture, size, TIMESCALE, sound)?;
        Ok(Self {
            init,
            codecs,
            size,
            sound_hz: sound.map(|(_, (hz, _))| hz),
            sets: ParameterSets::of(picture),
        })
    }
}

/// Picture and sound to parts.
#[derive(Debug)]
pub struct Muxer {
    most_part_ticks: u64,
    most_parts: u32,
    number: u64,
    index: u32,
    sequence: u32,
    /// Ticks from the segment's start to the pending part's.
    before_ticks: u64,
    picture: Picture,
    sound: Option<Sound>,
    sets: ParameterSets,
    events: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct Picture {
    samples: Vec<Sample>,
    /// Decode time of the first pending sample.
    start: u64,
    /// Length of the pending samples.
    ticks: u64,
    /// The newest unit, whose length is not known yet: its decode time and itself.
    held: Option<(u64, Sample)>,
    /// How long after its decode time a picture is shown, by the first.
    delay: u64,
    frame_rate: f64,
}

#[derive(Debug)]
struct Sound {
    hz: u32,
    samples: Vec<Sample>,
    start: u64,
    next: Option<u64>,
}

impl Muxer {
    /// Begins with segment `number`.
    pub fn new(grid: &Grid, number: u64) -> Self {
        Self {
            most_part_ticks: (grid.part_target() * f64::from(TIMESCALE)) as u64,
            most_parts: grid.parts_per_segment(),
            number,
            index: 0,
            sequence: 0,
            before_ticks: 0,
            picture: Picture::default(),
            sound: None,
            sets: ParameterSets::default(),
            events: VecDeque::new(),
        }
    }

    /// What follows is coded as `header` says, until [`Self::end`].
    pub fn begin(&mut self, header: &Header) {
        (self.picture, self.sets) = (Picture::default(), header.sets.clone());
        self.sound = header.sound_hz.map(|hz| Sound { hz, samples: Vec::new(), start: 0, next: None });
    }

    /// Puts an event into the part of its time; one that comes too late for that, into the next.
    pub fn announce(&mut self, event: Event) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Pictures a second in the newest part.
    pub fn frame_rate(&self) -> f64 {
        self.picture.frame_rate
    }

    /// Adds a unit; the part that it completes.
    ///
    /// # Errors
    /// [`Error::Boxes`] when a chunk cannot be written.
    pub fn push(&mut self, unit: &AccessUnit) -> Result<Option<Part>, Error> {
        match unit.kind {
            Kind::Video => self.push_picture(unit),
            Kind::Audio => {
                self.push_sound(unit);
                Ok(None)
            }
        }
    }

    fn push_picture(&mut self, unit: &AccessUnit) -> Result<Option<Part>, Error> {
        let tick = unit.dts.as_ticks(TIMESCALE);
        let offset = unit.pts.as_ticks(TIMESCALE).saturating_sub(tick);
        let sample = Sample {
            duration: 0,
            offset: offset as i32,
            is_keyframe: unit.is_keyframe,
            data: self.sets.with(unit),
        };
        let Some((before, _)) = &self.picture.held else {
            (self.picture.start, self.picture.delay) = (tick, offset);
            self.picture.held = Some((tick, sample));
            return Ok(None);
        };
        let duration = tick.saturating_sub(*before).max(1);
        self.settle(duration);
        let length = self.before_ticks + self.picture.ticks;
        let is_last = unit.is_keyframe && length >= SHORTEST_TICKS || self.index + 1 == self.most_parts;
        let is_cut = unit.is_keyframe && length >= SHORTEST_TICKS;
        // One more of this length would be too much.
        let is_full = self.picture.ticks + duration > self.most_part_ticks;
        let part = if is_cut || is_full { Some(self.close(is_last)?) } else { None };
        if part.is_some() {
            self.picture.start = tick;
        }
        self.picture.held = Some((tick, sample));
        Ok(part)
    }

    /// The held picture stands for `duration`, or as long as its part may be: the rest is a hole.
    fn settle(&mut self, duration: u64) {
        let Some((_, sample)) = self.picture.held.take() else { return };
        let room = self.most_part_ticks.saturating_sub(self.picture.ticks).max(1);
        let duration = duration.min(room);
        self.picture.ticks += duration;
        self.picture.samples.push(Sample { duration: duration as u32, ..sample });
    }

    fn push_sound(&mut self, unit: &AccessUnit) {
        let Some(sound) = &mut self.sound else { return };
        let tick = unit.pts.as_ticks(sound.hz);
        let torn = u64::from(sound.hz) / TORN;
        let next = sound.next.unwrap_or(tick);
        if tick + torn < next {
            return; // it was there already
        }
        // Stamps are rounded, and blocks have one length: within reason they follow one another.
        let start = if tick > next + torn { tick } else { next };
        match sound.samples.last_mut() {
            Some(last) => last.duration += (start - next) as u32,
            None => sound.start = start,
        }
        let data = unit.data.clone();
        sound.samples.push(Sample { duration: AAC_BLOCK, offset: 0, is_keyframe: true, data });
        sound.next = Some(start + u64::from(AAC_BLOCK));
    }

    /// What came is over; its last part. Another may begin.
    ///
    /// # Errors
    /// [`Error::Boxes`] when a chunk cannot be written.
    pub fn end(&mut self) -> Result<Option<Part>, Error> {
        let usual = self.picture.samples.last().map_or(TIMESCALE / 30, |sample| sample.duration);
        self.settle(usual.into());
        let part = if self.picture.samples.is_empty() { None } else { Some(self.close(true)?) };
        (self.picture, self.sound) = (Picture::default(), None);
        Ok(part)
    }

    fn close(&mut self, is_last: bool) -> Result<Part, Error> {
        let Picture { start, ticks, delay, .. } = self.picture;
        let samples = std::mem::take(&mut self.picture.samples);
        let blocks = self.sound.as_mut().map(|sound| (sound.start, std::mem::take(&mut sound.samples)));
        let end = MediaTime::from_ticks(start + delay + ticks, TIMESCALE);
        let (events, later) = self.events.drain(..).partition::<Vec<_>, _>(|event| event.at < end);
        self.events = later.into();
        self.sequence = self.sequence.wrapping_add(1);
        let mut tracks = vec![(start, &samples[..])];
        tracks.extend(blocks.as_ref().map(|(start, blocks)| (*start, &blocks[..])));
        let data = cmaf::muxed_chunk(self.sequence, &tracks, self.index == 0, &events)?;
        self.picture.frame_rate = samples.len() as f64 * f64::from(TIMESCALE) / ticks.max(1) as f64;
        let part = Part {
            kind: Kind::Video,
            segment: self.number,
            index: self.index,
            is_last,
            is_independent: samples.first().is_some_and(|sample| sample.is_keyframe),
            start: MediaTime::from_ticks(start + delay, TIMESCALE),
            duration_ticks: ticks,
            timescale: TIMESCALE,
            key_bytes: 0,
            data: data.into(),
        };
        self.picture.ticks = 0;
        if is_last {
            (self.number, self.index, self.before_ticks) = (self.number + 1, 0, 0);
        } else {
            (self.index, self.before_ticks) = (self.index + 1, self.before_ticks + ticks);
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests;
