//! Turns one track's access units into parts, cut where [`Grid`] says.
//!
//! Both tracks cut at the same instants of the programme, so a player that changes or combines
//! renditions finds part N of one beside part N of the other. A sound block belongs to the part in which
//! it starts. Pure: a part is returned the moment its last unit arrives, never on a timer.
//!
//! A picture left out is no hole: the one before stands until the next, which is how it is shown. A part with no
//! picture at its start is one, and is never made.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Error;
use super::cmaf::{self, Sample};
use super::event::Event;
use super::grid::{AAC_BLOCK, Grid};
use crate::media::{AUDIO_HZ, AccessUnit, Kind};
use crate::time::MediaTime;

/// Events that wait for their part; the oldest goes when there are more.
const MOST_EVENTS: usize = 64;

/// A finished part.
#[derive(Debug, Clone)]
pub struct Part {
    /// The track.
    pub kind: Kind,
    /// Media sequence number of its segment.
    pub segment: u64,
    /// Place in its segment, from 0.
    pub index: u32,
    /// Whether it is its segment's last.
    pub is_last: bool,
    /// Whether its first sample can be decoded alone.
    pub is_independent: bool,
    /// When its first sample is shown.
    pub start: MediaTime,
    /// Length in ticks of `timescale`.
    pub duration_ticks: u64,
    /// Ticks a second.
    pub timescale: u32,
    /// Bytes of its first chunk.
    pub key_bytes: u32,
    /// Its chunks.
    pub data: Bytes,
}

impl Part {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.duration_ticks as f64 / f64::from(self.timescale)
    }
}

/// The state of one track's cutting.
#[derive(Debug)]
pub struct Segmenter {
    kind: Kind,
    grid: Grid,
    sequence: u32,
    samples: Vec<Sample>,
    /// Ticks of the first pending sample.
    first_tick: u64,
    /// Segment and part of the pending samples.
    place: (u64, u32),
    events: VecDeque<Event>,
}

impl Segmenter {
    /// A segmenter for the track `kind`.
    pub fn new(kind: Kind, grid: Grid) -> Self {
        Self {
            kind,
            grid,
            sequence: 0,
            samples: Vec::new(),
            first_tick: 0,
            place: (0, 0),
            events: VecDeque::new(),
        }
    }

    /// Puts an event into the part of its time; one that comes too late for that, into the next.
    pub fn announce(&mut self, event: Event) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The events of the pending part.
    fn due(&mut self) -> Vec<Event> {
        let end = MediaTime::from_ticks(self.end_tick(), self.timescale());
        let (due, later): (Vec<_>, Vec<_>) = self.events.drain(..).partition(|event| event.at < end);
        self.events = later.into();
        due
    }

    fn timescale(&self) -> u32 {
        match self.kind {
            Kind::Video => self.grid.rate().timescale(),
            Kind::Audio => AUDIO_HZ,
        }
    }

    /// Adds one unit, in decode order, and returns the parts that it completes: none or one in normal
    /// running, two when the encoder left units out and an unfinished part has to be closed first.
    ///
    /// # Errors
    /// [`Error::Boxes`] when a chunk cannot be written.
    pub fn push(&mut self, unit: &AccessUnit) -> Result<Vec<Part>, Error> {
        let mut done = Vec::new();
        let (tick, duration) = match self.kind {
            Kind::Video => {
                let frame_ticks = self.grid.rate().frame_ticks();
                (self.grid.rate().frame_at(unit.pts) * u64::from(frame_ticks), frame_ticks)
            }
            Kind::Audio => (unit.pts.as_ticks(AUDIO_HZ), AAC_BLOCK),
        };
        let place = self.place_of(tick);
        let is_late = tick < self.end_tick();
        let is_torn = self.kind == Kind::Audio && place == self.place && tick != self.end_tick();
        if !self.samples.is_empty() && (is_late || is_torn) {
            return Ok(done); // none comes twice, and sound does not stand: its part ends before the hole
        }
        self.stand_until(tick, place);
        if !self.samples.is_empty() && place != self.place {
            done.push(self.close(place.0 == self.place.0 + 1 && self.is_last_part())?);
        }
        if self.samples.is_empty() {
            (self.place, self.first_tick) = (place, tick);
        }
        self.samples.push(Sample {
            duration,
            offset: 0,
            is_keyframe: unit.is_keyframe,
            data: unit.data.clone(),
        });
        let next = self.place_of(tick + u64::from(duration));
        if next != self.place {
            done.push(self.close(next.0 != self.place.0 && self.is_last_part())?);
        }
        Ok(done)
    }

    fn is_last_part(&self) -> bool {
        self.place.1 + 1 == self.grid.parts_per_segment()
    }

    /// The newest picture stands until the one at `tick`, as far as the next part's start.
    fn stand_until(&mut self, tick: u64, place: (u64, u32)) {
        let is_near = place == self.place || place == self.next_place();
        let end = self.end_tick();
        let start = self.grid.part_start(place.0, place.1).as_ticks(self.timescale());
        let until = if place == self.place { tick } else { start.min(tick) };
        if self.kind == Kind::Video
            && is_near
            && let Some(last) = self.samples.last_mut()
        {
            last.duration += until.saturating_sub(end) as u32;
        }
    }

    fn next_place(&self) -> (u64, u32) {
        let (segment, part) = self.place;
        if self.is_last_part() { (segment + 1, 0) } else { (segment, part + 1) }
    }

    /// Where the pending samples end.
    fn end_tick(&self) -> u64 {
        self.first_tick + self.samples.iter().map(|sample| u64::from(sample.duration)).sum::<u64>()
    }

    /// The segment and part in which a sample that starts at `tick` belongs.
    fn place_of(&self, tick: u64) -> (u64, u32) {
        let timescale = self.timescale();
        // A tick later, rounded down: the start of a part may fall between two samples of sound.
        let time = MediaTime::from_ticks(tick, timescale);
        let segment = self.grid.segment_at(time);
        let part = (1..self.grid.parts_per_segment())
            .take_while(|part| self.grid.part_start(segment, *part).as_ticks(timescale) <= tick)
            .last();
        (segment, part.unwrap_or(0))
    }

    fn close(&mut self, is_last: bool) -> Result<Part, Error> {
        let events = self.due();
        let samples = std::mem::take(&mut self.samples);
        let (segment, index) = self.place;
        let (data, key_bytes) = self.chunks(&samples, &events)?;
        Ok(Part {
            kind: self.kind,
            segment,
            index,
            is_last,
            is_independent: samples[0].is_keyframe,
            start: MediaTime::from_ticks(self.first_tick, self.timescale()),
            duration_ticks: samples.iter().map(|sample| u64::from(sample.duration)).sum(),
            timescale: self.timescale(),
            key_bytes,
            data,
        })
    }

    /// A segment's first picture is a chunk of its own, so that it can be fetched and shown alone; what follows in its
    /// part is another. Returns the length of the first, too.
    fn chunks(&mut self, samples: &[Sample], events: &[Event]) -> Result<(Bytes, u32), Error> {
        let is_first = self.place.1 == 0;
        let alone = if is_first && self.kind == Kind::Video { 1 } else { samples.len() };
        let (first, rest) = samples.split_at(alone);
        let mut data = cmaf::chunk(self.next_sequence(), self.first_tick, first, is_first, events)?;
        let key_bytes = data.len() as u32;
        if !rest.is_empty() {
            let tick = self.first_tick + u64::from(samples[0].duration);
            data.extend_from_slice(&cmaf::chunk(self.next_sequence(), tick, rest, false, &[])?);
        }
        Ok((data.into(), key_bytes))
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hls;
    use crate::media::FrameRate;

    fn grid() -> Grid {
        Grid::new(FrameRate { num: 30, den: 1 }, &Hls::default())
    }

    fn unit(kind: Kind, pts: MediaTime, is_keyframe: bool) -> AccessUnit {
        AccessUnit { kind, pts, dts: pts, is_keyframe, data: Bytes::from_static(b"x") }
    }

    fn video(frames: std::ops::Range<u64>) -> Vec<Part> {
        let mut segmenter = Segmenter::new(Kind::Video, grid());
        frames
            .flat_map(|n| segmenter.push(&unit(Kind::Video, grid().rate().time_of(n), n % 60 == 0)).unwrap())
            .collect()
    }

    fn audio(blocks: u64, first_sample: u64) -> Vec<Part> {
        let mut segmenter = Segmenter::new(Kind::Audio, grid());
        (0..blocks)
            .flat_map(|n| {
                let pts = MediaTime::from_ticks(first_sample + n * 1024, AUDIO_HZ);
                segmenter.push(&unit(Kind::Audio, pts, true)).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_part_is_done_with_its_tenth_frame() {
        let parts = video(0..120);
        assert_eq!(parts.len(), 12);
        assert!(parts.iter().all(|part| part.duration_ticks == 10_000));
        let independent: Vec<_> = parts.iter().filter(|part| part.is_independent).collect();
        assert_eq!(independent.len(), 2);
        assert!(independent.iter().all(|part| part.index == 0));
        assert!(parts[5].is_last && parts[11].is_last && !parts[4].is_last);
    }

    #[test]
    fn sound_parts_stand_beside_the_picture_parts_and_leave_no_hole() {
        let parts = audio(4000, 0);
        let mut expected = 0;
        for part in &parts {
            let tick = part.start.as_ticks(AUDIO_HZ);
            assert_eq!(tick, expected, "continuous");
            expected = tick + part.duration_ticks;
            let due = grid().part_start(part.segment, part.index);
            assert!((0..21_400_000).contains(&part.start.since(due)), "within a block of the picture's part");
            assert!(part.seconds() <= grid().part_target());
        }
        assert_eq!(parts.iter().filter(|part| part.is_last).count(), 42);
    }

    #[test]
    fn units_left_out_close_the_part_early_and_the_grid_holds() {
        let mut segmenter = Segmenter::new(Kind::Video, grid());
        let mut parts = Vec::new();
        for n in (0..65).chain(120..180) {
            parts.extend(segmenter.push(&unit(Kind::Video, grid().rate().time_of(n), n % 60 == 0)).unwrap());
        }
        let places: Vec<_> = parts.iter().map(|part| (part.segment, part.index, part.is_last)).collect();
        assert_eq!(places[6], (1, 0, false), "the broken segment has no end");
        assert_eq!(places[7], (2, 0, false), "and the next starts on the grid");
    }

    #[test]
    fn the_picture_before_stands_for_those_left_out() {
        let mut segmenter = Segmenter::new(Kind::Video, grid());
        let mut parts = Vec::new();
        for n in (0..13).chain([20]).chain([30, 37]).chain(38..80) {
            parts.extend(segmenter.push(&unit(Kind::Video, grid().rate().time_of(n), n % 60 == 0)).unwrap());
        }
        let places: Vec<_> = parts.iter().map(|part| (part.segment, part.index, part.is_last)).collect();
        assert_eq!(
            places[..7],
            [
                (0, 0, false),
                (0, 1, false),
                (0, 2, false),
                (0, 3, false),
                (0, 4, false),
                (0, 5, true),
                (1, 0, false)
            ]
        );
        assert!(parts.iter().all(|part| part.duration_ticks == 10_000), "{parts:?}");
    }
}
