//! Timed metadata as `EXT-X-DATERANGE`: what is on air, from its first frame to its last, in the words of the shop.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 4.4.5.1. An id is never used again; a range that is still open stays
//! listed, so that who joins late learns of it; one that is over stays as long as a listed segment lies in it.

use std::collections::VecDeque;
use std::fmt::Write;

use crate::time::{MediaTime, WallTime};

/// Bytes that one tag may have: 1 KB.
const MOST_BYTES: usize = 1024;
/// Letters of a value that is shortened.
const SHORT: usize = 80;
/// Ranges that are kept: of a window of hours, with a change of price every few seconds.
const MOST_RANGES: usize = 5000;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// In quotes.
    Text(String),
    /// A decimal number.
    Number(f64),
}

/// One range.
#[derive(Debug, Clone, PartialEq)]
pub struct DateRange {
    /// Never used again.
    pub id: String,
    /// What its attributes mean.
    pub class: String,
    /// Its first frame.
    pub start: MediaTime,
    /// The frame after its last, once it is known.
    pub end: Option<MediaTime>,
    /// Client attributes, by names that begin with `X-`.
    pub attributes: Vec<(&'static str, Value)>,
}

impl DateRange {
    /// Its tag, without a line break; times are counted from `epoch`.
    pub fn tag(&self, epoch: WallTime) -> String {
        let tag = self.written(epoch, usize::MAX);
        // Only texts can be that long.
        if tag.len() > MOST_BYTES { self.written(epoch, SHORT) } else { tag }
    }

    fn written(&self, epoch: WallTime, most: usize) -> String {
        let wall = |time: MediaTime| WallTime(epoch.0 + time.as_millis() as i64);
        let mut tag = format!(
            "#EXT-X-DATERANGE:ID=\"{}\",CLASS=\"{}\",START-DATE=\"{}\"",
            quotable(&self.id, most),
            quotable(&self.class, most),
            wall(self.start)
        );
        if let Some(end) = self.end {
            let seconds = end.since(self.start).max(0) as f64 / 1e9;
            let _ = write!(tag, ",END-DATE=\"{}\",DURATION={seconds:.5}", wall(end.max(self.start)));
        }
        for (name, value) in &self.attributes {
            let _ = match value {
                Value::Text(text) => write!(tag, ",{name}=\"{}\"", quotable(text, most)),
                Value::Number(number) => write!(tag, ",{name}={number}"),
            };
        }
        tag
    }
}

/// A quoted string may hold neither quotes nor line breaks (4.2).
fn quotable(text: &str, most: usize) -> String {
    let plain = |c: char| match c {
        '"' => '\u{201d}',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().take(most).map(plain).collect()
}

#[derive(Debug)]
struct Listed {
    range: DateRange,
    /// When it was added or changed.
    changed: MediaTime,
}

/// A channel's ranges.
#[derive(Debug, Default)]
pub struct Ranges {
    listed: VecDeque<Listed>,
    removed: VecDeque<(String, MediaTime)>,
}

impl Ranges {
    /// Adds a range at `now`, or changes the one with its id.
    pub fn put(&mut self, range: DateRange, now: MediaTime) {
        match self.listed.iter_mut().find(|listed| listed.range.id == range.id) {
            Some(listed) if listed.range == range => {}
            Some(listed) => *listed = Listed { range, changed: now },
            None => self.listed.push_back(Listed { range, changed: now }),
        }
        if self.listed.len() > MOST_RANGES {
            let ended = self.listed.iter().position(|listed| listed.range.end.is_some()).unwrap_or(0);
            self.remove(ended, now);
        }
    }

    /// Ends those open ranges of `class` that begin before `end` and are not `kept`.
    pub fn end_others(&mut self, class: &str, kept: impl Fn(&str) -> bool, end: MediaTime, now: MediaTime) {
        for listed in &mut self.listed {
            let range = &mut listed.range;
            if range.end.is_none() && range.class == class && !kept(&range.id) {
                (range.end, listed.changed) = (Some(end.max(range.start)), now);
            }
        }
    }

    /// Forgets what was over before `first`, the start of the first listed segment; and what was removed longer ago
    /// than a delta update reaches back, `skip_nanos`.
    pub fn trim(&mut self, first: MediaTime, now: MediaTime, skip_nanos: i64) {
        while let Some(at) =
            self.listed.iter().position(|listed| listed.range.end.is_some_and(|end| end < first))
        {
            self.remove(at, now);
        }
        while self.removed.front().is_some_and(|(_, time)| now.since(*time) > skip_nanos) {
            self.removed.pop_front();
        }
    }

    fn remove(&mut self, at: usize, now: MediaTime) {
        if let Some(listed) = self.listed.remove(at) {
            self.removed.push_back((listed.range.id, now));
        }
    }

    /// All of them, in the order in which they were added.
    pub fn all(&self) -> impl Iterator<Item = &DateRange> {
        self.listed.iter().map(|listed| &listed.range)
    }

    /// Those that were added or changed at `since` or later.
    pub fn changed(&self, since: MediaTime) -> impl Iterator<Item = &DateRange> {
        self.listed.iter().filter(move |listed| listed.changed >= since).map(|listed| &listed.range)
    }

    /// The ids of those that were removed lately.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(|(id, _)| id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(id: &str, start_s: u64, end_s: Option<u64>) -> DateRange {
        let at = |s: u64| MediaTime(s * 1_000_000_000);
        DateRange {
            id: id.into(),
            class: "vitrine.airing".into(),
            start: at(start_s),
            end: end_s.map(at),
            attributes: vec![
                ("X-TITLE", Value::Text("A \"cup\"\nwith saucer".into())),
                ("X-PRICE-MINOR", Value::Number(8900.0)),
            ],
        }
    }

    #[test]
    fn a_tag_reads_as_specified_and_quotes_cannot_leave_it() {
        let tag = range("air_1", 90, Some(95)).tag(WallTime(0));
        assert_eq!(
            tag,
            "#EXT-X-DATERANGE:ID=\"air_1\",CLASS=\"vitrine.airing\",START-DATE=\"1970-01-01T00:01:30.000Z\",\
             END-DATE=\"1970-01-01T00:01:35.000Z\",DURATION=5.00000,X-TITLE=\"A \u{201d}cup\u{201d} with saucer\",\
             X-PRICE-MINOR=8900"
        );
    }

    #[test]
    fn a_long_title_does_not_make_a_long_tag() {
        let mut long = range("air_1", 90, None);
        long.attributes[0].1 = Value::Text("很".repeat(10_000));
        assert!(long.tag(WallTime(0)).len() <= MOST_BYTES);
    }

    #[test]
    fn an_open_range_stays_and_one_that_is_over_goes_with_its_segments() {
        let (mut ranges, at) = (Ranges::default(), |s: u64| MediaTime(s * 1_000_000_000));
        ranges.put(range("a", 10, None), at(10));
        ranges.put(range("b", 20, Some(25)), at(20));
        ranges.trim(at(24), at(40), 12_000_000_000);
        assert_eq!(ranges.all().count(), 2);
        ranges.trim(at(26), at(41), 12_000_000_000);
        assert_eq!(ranges.all().map(|range| range.id.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(ranges.removed().collect::<Vec<_>>(), ["b"]);
        ranges.end_others("vitrine.airing", |_| false, at(50), at(50));
        assert_eq!(ranges.all().next().unwrap().end, Some(at(50)));
        assert_eq!(ranges.changed(at(50)).count(), 1);
        ranges.trim(at(40), at(60), 12_000_000_000);
        assert_eq!(ranges.removed().count(), 0, "forgotten in time");
    }
}
