//! Which segments and parts of a track are listed, and which can still be fetched.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 6.2.2. Segments leave the list in order, MEDIA-SEQUENCE grows by
//! one for each, and what left stays available for as long again as the list is long, because a
//! player may act on the playlist it read before. The newest segments are held in memory; older ones are only
//! listed, once they are known to lie on disk. Memory is bounded by that. It never touches the disk itself.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::grid::Grid;
use super::segmenter::Part;
use crate::time::{MediaTime, WallTime};

/// Whole segments whose media is held in memory even when it lies on disk: what viewers at the live edge fetch.
const RECENT: usize = 8;
/// Whole segments that are held in memory when they do not lie on disk.
const MOST_IN_MEMORY: usize = 31;
/// Segments, the one in progress included, whose parts have bytes of their own, which go out faster than those from the
/// middle of a segment: as long as parts are listed, and one more for who had the list just before.
const RECENT_PARTS: usize = 4;

/// Where a segment's media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In memory.
    Memory,
    /// On disk; the newest are in memory too.
    Disk,
    /// Nowhere, because the encoder failed or the server was down: listed, so that numbers and times hold.
    Missing,
}

/// A segment and the parts it has so far.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Media sequence number.
    pub number: u64,
    /// When its first sample is shown.
    pub start: MediaTime,
    /// The same as civil time: by the clock of the run that made it.
    pub wall: WallTime,
    /// Length so far, in ticks of `timescale`.
    pub ticks: u64,
    /// Ticks a second.
    pub timescale: u32,
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes from its start to the end of its first picture.
    pub key_bytes: u32,
    /// The file of its initialisation segment.
    pub init: Arc<str>,
    /// In order; empty in a gap, and when it lies on disk only.
    pub parts: Vec<Part>,
    /// The same in one piece, once it is whole and joined.
    pub whole: Bytes,
    /// Whether the last part is there.
    pub is_complete: bool,
    /// Where its media is.
    pub kept: Kept,
    /// Whether it is the first after a restart of the server.
    pub is_discontinuous: bool,
    /// Discontinuities of the track's life up to here, its own included.
    pub discontinuities: u64,
}

impl Segment {
    /// Length in seconds, so far. A gap is as long as the plan says.
    pub fn seconds(&self, grid: &Grid) -> f64 {
        if self.is_gap() {
            return grid.segment_start(self.number + 1).since(grid.segment_start(self.number)) as f64 / 1e9;
        }
        self.ticks as f64 / f64::from(self.timescale.max(1))
    }

    /// Whether its media is missing.
    pub fn is_gap(&self) -> bool {
        self.kept == Kept::Missing
    }

    /// Whether its bytes are there in one piece and in parts.
    fn holds_twice(&self) -> bool {
        let first = self.parts.first().filter(|_| !self.whole.is_empty());
        first.is_some_and(|part| part.data.as_ptr() != self.whole.as_ptr())
    }

    fn add(&mut self, part: Part) {
        self.ticks += part.duration_ticks;
        self.bytes += part.data.len() as u64;
        self.is_complete = part.is_last;
        self.parts.push(part);
    }

    fn gap(number: u64, discontinuities: u64, grid: &Grid) -> Self {
        Self {
            number,
            start: grid.segment_start(number),
            wall: WallTime::default(),
            ticks: 0,
            timescale: 1,
            bytes: 0,
            key_bytes: 0,
            init: Arc::default(),
            parts: Vec::new(),
            whole: Bytes::new(),
            is_complete: true,
            kept: Kept::Missing,
            is_discontinuous: false,
            discontinuities,
        }
    }
}

/// How a request for media can be answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The bytes, in order, shared with the window.
    Ready(Vec<Bytes>),
    /// It lies on disk.
    Stored,
    /// It is what comes next: hold the request.
    Next,
    /// It was never there, is not any more, or is too far ahead.
    Absent,
}

/// The newest point of a track: what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Edge {
    /// The segment that the next part belongs to.
    pub segment: u64,
    /// The next part's place in it.
    pub part: u32,
}

/// The sliding window of one track.
#[derive(Debug)]
pub struct Window {
    grid: Grid,
    epoch: WallTime,
    segments: VecDeque<Segment>,
    listed: usize,
    discontinuities: u64,
    /// Discontinuities up to the start of this run.
    before_run: u64,
    is_break_pending: bool,
    /// Stored ones that have left, not told yet.
    gone: Vec<Segment>,
}

impl Window {
    /// A window that lists `listed` whole segments at most. `discontinuities` counts those of the track's whole
    /// life; when it is not 0 the last of them is before the first part that comes. `epoch` is the civil time of
    /// programme time zero in this run.
    pub fn new(grid: Grid, epoch: WallTime, listed: usize, discontinuities: u64) -> Self {
        Self {
            grid,
            epoch,
            segments: VecDeque::new(),
            listed,
            discontinuities,
            before_run: discontinuities,
            is_break_pending: true,
            gone: Vec::new(),
        }
    }

    /// Begins with what lies on disk from before, in order; what is missing between is a gap.
    pub fn restore(&mut self, segments: impl IntoIterator<Item = Segment>) {
        for segment in segments {
            if self.segments.back().is_some_and(|last| segment.number <= last.number) {
                continue;
            }
            self.fill_gap(segment.number);
            self.segments.push_back(Segment { is_complete: true, kept: Kept::Disk, ..segment });
        }
        self.trim();
    }

    /// Adds the next part, of a track with the initialisation segment `init`.
    pub fn push(&mut self, part: Part, init: &Arc<str>) {
        match self.segments.back_mut() {
            Some(segment) if segment.number == part.segment => segment.add(part),
            _ => {
                self.fill_gap(part.segment);
                let is_discontinuous = std::mem::take(&mut self.is_break_pending) && self.discontinuities > 0;
                let mut segment = Segment {
                    start: part.start,
                    wall: WallTime(self.epoch.0 + part.start.as_millis() as i64),
                    timescale: part.timescale,
                    key_bytes: part.key_bytes,
                    init: init.clone(),
                    kept: Kept::Memory,
                    is_discontinuous,
                    ..Segment::gap(part.segment, self.discontinuities, &self.grid)
                };
                segment.add(part);
                self.segments.push_back(segment);
            }
        }
        self.trim();
    }

    /// The next part begins something else: other tracks, another coding, another clock.
    pub fn break_here(&mut self) {
        if !self.segments.is_empty() && !self.is_break_pending {
            (self.discontinuities, self.is_break_pending) = (self.discontinuities + 1, true);
        }
    }

    /// Parts of the newest whole segment, as far as they are known.
    pub fn newest_parts(&self) -> Option<u32> {
        let mut whole = self.segments.iter().rev().filter(|segment| segment.is_complete);
        whole.next().and_then(|segment| segment.parts.last()).map(|part| part.index + 1)
    }

    /// The whole segment `number` lies on disk. Returns those that were stored and have left for good since.
    pub fn note_stored(&mut self, number: u64) -> Vec<Segment> {
        if let Some(segment) = self.segments.iter_mut().rev().find(|segment| segment.number == number) {
            segment.kept = Kept::Disk;
        }
        std::mem::take(&mut self.gone)
    }

    /// The bytes of a whole segment are in one piece now, of which its parts become slices once nobody asks for them.
    pub fn join(&mut self, number: u64, whole: Bytes) {
        let segment = self.segments.iter_mut().rev().find(|segment| segment.number == number);
        if let Some(segment) = segment.filter(|segment| segment.bytes == whole.len() as u64) {
            segment.whole = whole;
        }
        let old = self.segments.iter_mut().rev().skip(RECENT_PARTS).take(MOST_IN_MEMORY);
        for segment in old.filter(|segment| segment.holds_twice()) {
            let mut at = 0;
            for part in &mut segment.parts {
                let end = at + part.data.len();
                part.data = segment.whole.slice(at..end);
                at = end;
            }
        }
    }

    fn trim(&mut self) {
        let count = self.segments.len();
        for segment in self.segments.iter_mut().take(count.saturating_sub(RECENT + 1)) {
            if segment.kept == Kept::Disk && !segment.parts.is_empty() {
                (segment.parts, segment.whole) = (Vec::new(), Bytes::new());
            }
        }
        // What leaves memory and does not lie on disk is gone, and everything before it leaves the list with it: a
        // list loses its head, and never a middle.
        let old = self.segments.range(..count.saturating_sub(MOST_IN_MEMORY));
        let lost = old.rev().position(|segment| segment.kept != Kept::Disk && !segment.is_gap());
        if let Some(from_end) = lost {
            self.drop_first(count - MOST_IN_MEMORY - from_end);
        }
        self.drop_first(self.segments.len().saturating_sub(2 * self.listed + 1));
        // A list that begins with what is missing is of no use.
        let missing = self.segments.iter().take_while(|segment| segment.is_gap()).count();
        self.drop_first(missing.min(self.segments.len().saturating_sub(1)));
    }

    fn drop_first(&mut self, count: usize) {
        self.gone.extend(self.segments.drain(..count).filter(|segment| segment.kept == Kept::Disk));
    }

    /// Before `next`: a segment whose end never came and those that are missing altogether become gaps. A
    /// playlist numbers its segments by counting them, so none may be left out.
    fn fill_gap(&mut self, next: u64) {
        let Some(last) = self.segments.back_mut() else { return };
        if !last.is_complete {
            let (wall, is_discontinuous) = (last.wall, last.is_discontinuous);
            let gap = Segment::gap(last.number, last.discontinuities, &self.grid);
            *last = Segment { wall, is_discontinuous, ..gap };
        }
        let (discontinuities, wall, start) = (last.discontinuities, last.wall, last.start);
        let missing = last.number + 1..next;
        let most = (2 * self.listed + 1) as u64;
        for number in missing.start.max(next.saturating_sub(most))..missing.end {
            let gap = Segment::gap(number, discontinuities, &self.grid);
            // Still by the clock of the run before: another one begins with a discontinuity.
            let wall = WallTime(wall.0 + gap.start.since(start) / 1_000_000);
            self.segments.push_back(Segment { wall, ..gap });
        }
    }

    /// The listed segments, oldest first; the last may be in progress.
    pub fn listed(&self) -> impl ExactSizeIterator<Item = &Segment> + DoubleEndedIterator {
        self.segments.range(self.unlisted()..)
    }

    fn unlisted(&self) -> usize {
        let in_progress = usize::from(self.segments.back().is_some_and(|segment| !segment.is_complete));
        self.segments.len().saturating_sub(self.listed + in_progress)
    }

    /// `EXT-X-DISCONTINUITY-SEQUENCE`: grows when the segment with the discontinuity leaves the list.
    pub fn discontinuity_sequence(&self) -> u64 {
        self.listed().next().map_or(self.discontinuities, |first| {
            first.discontinuities.saturating_sub(u64::from(first.is_discontinuous))
        })
    }

    /// The live edge.
    pub fn edge(&self) -> Edge {
        match self.segments.back() {
            Some(segment) if segment.is_complete => Edge { segment: segment.number + 1, part: 0 },
            Some(segment) => {
                Edge { segment: segment.number, part: segment.parts.last().map_or(0, |part| part.index + 1) }
            }
            None => Edge::default(),
        }
    }

    /// Whether a whole segment of this run is there, so that a player that knows nothing of parts can start.
    pub fn has_whole_segment(&self) -> bool {
        let own = |s: &Segment| s.is_complete && !s.is_gap() && s.discontinuities >= self.before_run;
        let is_begun = !self.is_break_pending || self.discontinuities > self.before_run;
        is_begun && self.segments.iter().rev().take(RECENT).any(own)
    }

    /// The segment `number`, if it is known.
    pub fn find(&self, number: u64) -> Option<&Segment> {
        let first = self.segments.front()?.number;
        // They are numbered without holes.
        self.segments.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// A whole segment's bytes.
    pub fn segment(&self, number: u64) -> Lookup {
        match self.find(number) {
            Some(segment) if segment.is_gap() => Lookup::Absent,
            Some(segment) if segment.is_complete && segment.parts.is_empty() => Lookup::Stored,
            Some(segment) if !segment.whole.is_empty() => Lookup::Ready(vec![segment.whole.clone()]),
            Some(segment) if segment.is_complete => {
                Lookup::Ready(segment.parts.iter().map(|part| part.data.clone()).collect())
            }
            Some(_) => Lookup::Next,
            None if number == self.edge().segment && !self.segments.is_empty() => Lookup::Next,
            None => Lookup::Absent,
        }
    }

    /// One part's bytes.
    pub fn part(&self, number: u64, index: u32) -> Lookup {
        let found =
            self.find(number).and_then(|segment| segment.parts.iter().find(|part| part.index == index));
        match found {
            Some(part) => Lookup::Ready(vec![part.data.clone()]),
            None if !self.segments.is_empty() && self.edge() == (Edge { segment: number, part: index }) => {
                Lookup::Next
            }
            None => Lookup::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Kind;

    fn part(segment: u64, index: u32) -> Part {
        Part {
            kind: Kind::Video,
            segment,
            index,
            is_last: index == 1,
            is_independent: index == 0,
            start: MediaTime(segment * 2_000_000_000 + u64::from(index) * 1_000_000_000),
            duration_ticks: 1000,
            timescale: 1000,
            key_bytes: 1,
            data: Bytes::from(vec![segment as u8, index as u8]),
        }
    }

    fn grid() -> Grid {
        Grid::new(crate::media::FrameRate { num: 30, den: 1 }, &crate::config::Hls::default())
    }

    fn filled(listed: usize, restarts: u64, segments: std::ops::Range<u64>) -> Window {
        let mut window = Window::new(grid(), WallTime(0), listed, restarts);
        for segment in segments {
            window.push(part(segment, 0), &"init.mp4".into());
            window.push(part(segment, 1), &"init.mp4".into());
        }
        window
    }

    #[test]
    fn segments_leave_the_list_in_order_and_stay_fetchable() {
        let window = filled(3, 0, 10..20);
        let listed: Vec<_> = window.listed().map(|segment| segment.number).collect();
        assert_eq!(listed, [17, 18, 19]);
        assert!(matches!(window.segment(14), Lookup::Ready(_)), "just left the list");
        assert_eq!(window.segment(10), Lookup::Absent);
    }

    #[test]
    fn a_segment_that_was_joined_is_one_piece_and_so_are_its_parts() {
        let mut window = filled(3, 0, 10..12);
        window.join(10, Bytes::from_static(b"other"));
        assert!(matches!(window.segment(10), Lookup::Ready(pieces) if pieces.len() == 2), "not its bytes");
        let whole = Bytes::from_static(&[10, 0, 10, 1]);
        window.join(10, whole.clone());
        assert_eq!(window.segment(10), Lookup::Ready(vec![whole.clone()]));
        assert_eq!(window.part(10, 1), Lookup::Ready(vec![Bytes::from_static(&[10, 1])]));
        assert!(window.find(10).unwrap().holds_twice(), "its parts are listed");
        for segment in 12..16 {
            window.push(part(segment, 0), &"init.mp4".into());
        }
        window.join(15, Bytes::new());
        let Lookup::Ready(pieces) = window.part(10, 1) else { panic!() };
        assert_eq!(pieces[0].as_ptr(), whole[2..].as_ptr());
    }

    #[test]
    fn the_next_part_is_held_and_later_ones_are_not_there() {
        let mut window = filled(3, 0, 10..12);
        assert_eq!(window.part(12, 0), Lookup::Next);
        assert_eq!(window.part(12, 1), Lookup::Absent);
        window.push(part(12, 0), &"init.mp4".into());
        assert_eq!(window.part(12, 0), Lookup::Ready(vec![Bytes::from_static(&[12, 0])]));
        assert_eq!(window.part(12, 1), Lookup::Next);
        assert_eq!(window.segment(12), Lookup::Next);
        assert_eq!(window.edge(), Edge { segment: 12, part: 1 });
    }

    #[test]
    fn an_encoder_that_failed_leaves_gaps_and_no_hole_in_the_numbers() {
        let mut window = filled(6, 0, 10..12);
        window.push(part(12, 0), &"init.mp4".into()); // its end never comes
        window.push(part(15, 0), &"init.mp4".into());
        let listed: Vec<_> = window.listed().map(|segment| (segment.number, segment.is_gap())).collect();
        assert_eq!(listed, [(10, false), (11, false), (12, true), (13, true), (14, true), (15, false)]);
        assert!((window.listed().nth(3).unwrap().seconds(&grid()) - 2.0).abs() < 1e-6);
        assert_eq!((window.segment(13), window.part(12, 0)), (Lookup::Absent, Lookup::Absent));
    }

    #[test]
    fn a_restart_is_one_discontinuity_counted_when_it_leaves() {
        let window = filled(3, 2, 10..12);
        assert!(window.listed().next().unwrap().is_discontinuous);
        assert_eq!(window.discontinuity_sequence(), 1);
        let window = filled(3, 2, 10..20);
        assert!(window.listed().all(|segment| !segment.is_discontinuous));
        assert_eq!(window.discontinuity_sequence(), 2);
        assert_eq!(filled(3, 0, 10..20).discontinuity_sequence(), 0);
    }

    #[test]
    fn what_lies_on_disk_leaves_memory_and_stays_listed() {
        let mut window = Window::new(grid(), WallTime(0), 100, 0);
        for segment in 10..80 {
            window.push(part(segment, 0), &"init.mp4".into());
            window.push(part(segment, 1), &"init.mp4".into());
            window.note_stored(segment);
        }
        assert_eq!(window.listed().count(), 70);
        assert_eq!(window.segment(10), Lookup::Stored);
        assert!(matches!(window.segment(79), Lookup::Ready(_)));
        let held = window.listed().filter(|segment| !segment.parts.is_empty()).count();
        assert!(held <= RECENT + 1, "{held}");
        // From here on the disk is full.
        for segment in 80..140 {
            window.push(part(segment, 0), &"init.mp4".into());
            window.push(part(segment, 1), &"init.mp4".into());
        }
        let listed: Vec<u64> = window.listed().map(|segment| segment.number).collect();
        assert_eq!(listed, (109..140).collect::<Vec<_>>(), "no hole, and no more than memory may hold");
    }

    #[test]
    fn after_a_restart_the_old_segments_are_listed_and_the_time_between_is_a_gap() {
        let before = filled(20, 0, 10..14);
        let mut window = Window::new(grid(), WallTime(0), 20, 1);
        window.restore(before.listed().map(|segment| Segment { parts: Vec::new(), ..segment.clone() }));
        assert!(!window.has_whole_segment(), "nothing is on air yet");
        window.push(part(17, 0), &"init.mp4".into());
        let listed: Vec<_> = window
            .listed()
            .map(|s| (s.number, s.is_gap(), s.is_discontinuous, s.kept == Kept::Disk))
            .collect();
        assert_eq!(
            listed[3..],
            [
                (13, false, false, true),
                (14, true, false, false),
                (15, true, false, false),
                (16, true, false, false),
                (17, false, true, false)
            ]
        );
        assert_eq!(window.discontinuity_sequence(), 0, "it is listed");
        assert_eq!(window.segment(11), Lookup::Stored);
    }
}
