//! Which segments and parts of a track are listed, and which can still be fetched.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 6.2.2. Segments leave the list in order, MEDIA-SEQUENCE grows by
//! one for each, and what left stays available for as long again as the list is long, because a
//! player may act on the playlist it read before. Memory is bounded by that.

use std::collections::VecDeque;

use bytes::Bytes;

use super::grid::Grid;
use super::segmenter::Part;
use crate::time::MediaTime;

/// A segment and the parts it has so far.
#[derive(Debug)]
pub struct Segment {
    /// Media sequence number.
    pub number: u64,
    /// When its first sample is shown.
    pub start: MediaTime,
    /// In order; empty in a gap.
    pub parts: Vec<Part>,
    /// Whether the last part is there.
    pub is_complete: bool,
    /// Whether its media is missing, because the encoder failed: listed, so that numbers and times hold.
    pub is_gap: bool,
    /// Whether it is the first after a restart of the server.
    pub is_discontinuous: bool,
}

impl Segment {
    /// Length in seconds, so far. A gap is as long as the plan says.
    pub fn seconds(&self, grid: &Grid) -> f64 {
        if self.is_gap {
            return grid.segment_start(self.number + 1).since(grid.segment_start(self.number)) as f64 / 1e9;
        }
        self.parts.iter().map(Part::seconds).sum()
    }
}

/// How a request for media can be answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The bytes, in order, shared with the window.
    Ready(Vec<Bytes>),
    /// It is the next to come: hold the request.
    Next,
    /// It was never here, is gone, or is too far ahead.
    Absent,
}

/// Where the live edge is: the segment in progress and its parts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Edge {
    /// Media sequence number of the segment that the next part belongs to.
    pub segment: u64,
    /// Index of the next part in it.
    pub part: u32,
}

/// The sliding window of one track.
#[derive(Debug)]
pub struct Window {
    grid: Grid,
    segments: VecDeque<Segment>,
    listed: usize,
    restarts: u64,
    is_first_pending: bool,
}

impl Window {
    /// A window that lists `listed` whole segments. `restarts` counts how often the channel was started
    /// before: its first segment then carries a discontinuity.
    pub fn new(grid: Grid, listed: usize, restarts: u64) -> Self {
        Self { grid, segments: VecDeque::new(), listed, restarts, is_first_pending: true }
    }

    /// Adds the next part.
    pub fn push(&mut self, part: Part) {
        match self.segments.back_mut() {
            Some(segment) if segment.number == part.segment => {
                segment.is_complete = part.is_last;
                segment.parts.push(part);
            }
            _ => {
                self.fill_gap(part.segment);
                let is_discontinuous = std::mem::take(&mut self.is_first_pending) && self.restarts > 0;
                self.segments.push_back(Segment {
                    number: part.segment,
                    start: part.start,
                    is_complete: part.is_last,
                    is_gap: false,
                    parts: vec![part],
                    is_discontinuous,
                });
            }
        }
        while self.segments.len() > 2 * self.listed + 1 {
            self.segments.pop_front();
        }
    }

    /// Before `next`: a segment whose end never came and those that are missing altogether become gaps. A
    /// playlist numbers its segments by counting them, so none may be left out.
    fn fill_gap(&mut self, next: u64) {
        let Some(last) = self.segments.back_mut() else { return };
        if !last.is_complete {
            (last.is_complete, last.is_gap) = (true, true);
            last.parts.clear();
        }
        let missing = last.number + 1..next;
        let most = (2 * self.listed + 1) as u64;
        for number in missing.start.max(next.saturating_sub(most))..missing.end {
            self.segments.push_back(Segment {
                number,
                start: self.grid.segment_start(number),
                parts: Vec::new(),
                is_complete: true,
                is_gap: true,
                is_discontinuous: false,
            });
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
        let is_listed = self.is_first_pending || self.listed().any(|segment| segment.is_discontinuous);
        self.restarts.saturating_sub(u64::from(is_listed))
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

    /// Whether a whole segment is there, so that a player that knows nothing of parts can start.
    pub fn has_whole_segment(&self) -> bool {
        self.segments.iter().any(|segment| segment.is_complete && !segment.is_gap)
    }

    /// A whole segment's bytes.
    pub fn segment(&self, number: u64) -> Lookup {
        match self.segments.iter().find(|segment| segment.number == number) {
            Some(segment) if segment.is_gap => Lookup::Absent,
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
        let found = self
            .segments
            .iter()
            .find(|segment| segment.number == number)
            .and_then(|segment| segment.parts.iter().find(|part| part.index == index));
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
            data: Bytes::from(vec![segment as u8, index as u8]),
        }
    }

    fn grid() -> Grid {
        Grid::new(crate::media::FrameRate { num: 30, den: 1 }, &crate::config::Hls::default())
    }

    fn filled(listed: usize, restarts: u64, segments: std::ops::Range<u64>) -> Window {
        let mut window = Window::new(grid(), listed, restarts);
        for segment in segments {
            window.push(part(segment, 0));
            window.push(part(segment, 1));
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
    fn the_next_part_is_held_and_later_ones_are_not_there() {
        let mut window = filled(3, 0, 10..12);
        assert_eq!(window.part(12, 0), Lookup::Next);
        assert_eq!(window.part(12, 1), Lookup::Absent);
        window.push(part(12, 0));
        assert_eq!(window.part(12, 0), Lookup::Ready(vec![Bytes::from_static(&[12, 0])]));
        assert_eq!(window.part(12, 1), Lookup::Next);
        assert_eq!(window.segment(12), Lookup::Next);
        assert_eq!(window.edge(), Edge { segment: 12, part: 1 });
    }

    #[test]
    fn an_encoder_that_failed_leaves_gaps_and_no_hole_in_the_numbers() {
        let mut window = filled(6, 0, 10..12);
        window.push(part(12, 0)); // its end never comes
        window.push(part(15, 0));
        let listed: Vec<_> = window.listed().map(|segment| (segment.number, segment.is_gap)).collect();
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
}
