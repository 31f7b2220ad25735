//! Timed metadata as `EXT-X-DATERANGE`: what is on air, from its first frame to its last, in the words of the shop.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 4.4.5.1. An id is never used again; a range that is still open stays
//! listed, so that who joins late learns of it; one that is over stays as long as a listed segment lies in it.

use std::collections::VecDeque;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::time::{MediaTime, WallTime};

/// Bytes from which on a tag's title is shortened: 1 KB.
const MOST_BYTES: usize = 1024;
/// The attribute that is shortened, and its letters then. Others are short, or must be whole.
const SHORTENED: (&str, usize) = ("X-TITLE", 80);
/// Ranges that are kept: of a window of hours, with a change of price every few seconds.
const MOST_RANGES: usize = 5000;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// In quotes.
    Text(String),
    /// A decimal number.
    Number(f64),
}

/// Client attributes: names that begin with `X-`, and their values.
pub type Attributes = Vec<(String, Value)>;

/// One range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateRange {
    /// Never used again.
    pub id: String,
    /// What it tells of, such as an airing: one range follows the other when that changes.
    pub subject: String,
    /// What its attributes mean.
    pub class: String,
    /// Its first frame.
    pub start: WallTime,
    /// The frame after its last, once it is known.
    pub end: Option<WallTime>,
    /// What is to be known.
    pub attributes: Attributes,
}

impl DateRange {
    /// Its tag, without a line break.
    pub fn tag(&self) -> String {
        let tag = self.written(usize::MAX);
        if tag.len() > MOST_BYTES { self.written(SHORTENED.1) } else { tag }
    }

    /// Its attributes, no longer than a tag may be.
    pub(super) fn shortened(&self) -> Attributes {
        let is_long = self.written(usize::MAX).len() > MOST_BYTES;
        let short = |name: &String, value: &Value| match value {
            Value::Text(text) if is_long && name == SHORTENED.0 => {
                Value::Text(text.chars().take(SHORTENED.1).collect())
            }
            value => value.clone(),
        };
        self.attributes.iter().map(|(name, value)| (name.clone(), short(name, value))).collect()
    }

    fn written(&self, most: usize) -> String {
        let mut tag = format!(
            "#EXT-X-DATERANGE:ID=\"{}\",CLASS=\"{}\",START-DATE=\"{}\"",
            quotable(&self.id, usize::MAX),
            quotable(&self.class, usize::MAX),
            self.start
        );
        if let Some(end) = self.end {
            let seconds = (end.0 - self.start.0).max(0) as f64 / 1000.0;
            let _ = write!(tag, ",END-DATE=\"{}\",DURATION={seconds:.3}", end.max(self.start));
        }
        for (name, value) in &self.attributes {
            let most = if name == SHORTENED.0 { most } else { usize::MAX };
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
    /// With ranges that were kept.
    pub fn restored(ranges: Vec<DateRange>) -> Self {
        let listed = ranges.into_iter().map(|range| Listed { range, changed: MediaTime::ZERO }).collect();
        Self { listed, ..Self::default() }
    }

    /// From `at` on, `subject` is as `attributes` say. What was said of it before ends there. Its id has its start in
    /// it: a subject whose ranges are forgotten, as after a restart, may come again.
    /// The new range, or nothing when it was so before.
    pub fn begin(
        &mut self,
        subject: &str,
        class: &str,
        attributes: Attributes,
        at: WallTime,
        now: MediaTime,
    ) -> Option<DateRange> {
        let id = format!("{subject}.{}", at.0);
        let mut open = self.listed.iter().map(|listed| &listed.range);
        if open.any(|range| range.subject == subject && range.end.is_none() && range.attributes == attributes)
        {
            return None;
        }
        self.end(|range| range.subject == subject, at, now);
        let (subject, class) = (subject.to_owned(), class.to_owned());
        let range = DateRange { id, subject, class, start: at, end: None, attributes };
        self.put(range.clone(), now);
        Some(range)
    }

    /// Adds a range at `now`.
    pub fn put(&mut self, range: DateRange, now: MediaTime) {
        self.listed.push_back(Listed { range, changed: now });
        if self.listed.len() > MOST_RANGES {
            let ended = self.listed.iter().position(|listed| listed.range.end.is_some()).unwrap_or(0);
            self.remove(ended, now);
        }
    }

    /// Ends the open ranges that `ends` names; those.
    pub fn end(&mut self, ends: impl Fn(&DateRange) -> bool, at: WallTime, now: MediaTime) -> Vec<DateRange> {
        let mut ended = Vec::new();
        for listed in &mut self.listed {
            if listed.range.end.is_none() && ends(&listed.range) {
                (listed.range.end, listed.changed) = (Some(at.max(listed.range.start)), now);
                ended.push(listed.range.clone());
            }
        }
        ended
    }

    /// Forgets what was over before `first`, the start of the first listed segment; and what was removed longer ago
    /// than a delta update reaches back, `skip_nanos`.
    pub fn trim(&mut self, first: WallTime, now: MediaTime, skip_nanos: i64) {
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

    fn range(id: &str, start_s: i64, end_s: Option<i64>) -> DateRange {
        let at = |s: i64| WallTime(s * 1000);
        DateRange {
            id: id.into(),
            subject: id.into(),
            class: "vitrine.airing".into(),
            start: at(start_s),
            end: end_s.map(at),
            attributes: vec![
                ("X-TITLE".into(), Value::Text("A \"cup\"\nwith saucer".into())),
                ("X-PRICE-MINOR".into(), Value::Number(8900.0)),
            ],
        }
    }

    #[test]
    fn a_tag_reads_as_specified_and_quotes_cannot_leave_it() {
        let tag = range("air_1", 90, Some(95)).tag();
        assert_eq!(
            tag,
            "#EXT-X-DATERANGE:ID=\"air_1\",CLASS=\"vitrine.airing\",START-DATE=\"1970-01-01T00:01:30.000Z\",\
             END-DATE=\"1970-01-01T00:01:35.000Z\",DURATION=5.000,X-TITLE=\"A \u{201d}cup\u{201d} with saucer\",\
             X-PRICE-MINOR=8900"
        );
    }

    #[test]
    fn a_long_title_does_not_make_a_long_tag() {
        let mut long = range("air_1", 90, None);
        long.attributes[0].1 = Value::Text("很".repeat(10_000));
        assert!(long.tag().len() <= MOST_BYTES);
    }

    #[test]
    fn an_open_range_stays_and_one_that_is_over_goes_with_its_segments() {
        let (mut ranges, at) = (Ranges::default(), |s: u64| MediaTime(s * 1_000_000_000));
        let wall = |s: i64| WallTime(s * 1000);
        ranges.put(range("a", 10, None), at(10));
        ranges.put(range("b", 20, Some(25)), at(20));
        ranges.trim(wall(24), at(40), 12_000_000_000);
        assert_eq!(ranges.all().count(), 2);
        ranges.trim(wall(26), at(41), 12_000_000_000);
        assert_eq!(ranges.all().map(|range| range.id.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(ranges.removed().collect::<Vec<_>>(), ["b"]);
        ranges.end(|_| true, wall(50), at(50));
        assert_eq!(ranges.all().next().unwrap().end, Some(wall(50)));
        assert_eq!(ranges.changed(at(50)).count(), 1);
        ranges.trim(wall(40), at(60), 12_000_000_000);
        assert_eq!(ranges.removed().count(), 0, "forgotten in time");
    }

    #[test]
    fn a_new_price_is_a_new_range_and_the_same_one_is_none() {
        let (mut ranges, at) = (Ranges::default(), |s: u64| MediaTime(s * 1_000_000_000));
        let wall = |s: i64| WallTime(s * 1000);
        let price = |minor: f64| vec![("X-PRICE-MINOR".to_owned(), Value::Number(minor))];
        ranges.begin("air_1", "vitrine.airing", price(8900.0), wall(10), at(10));
        ranges.begin("air_1", "vitrine.airing", price(8900.0), wall(12), at(12));
        ranges.begin("air_1", "vitrine.airing", price(5900.0), wall(15), at(15));
        let told: Vec<_> = ranges.all().map(|range| (range.id.as_str(), range.start, range.end)).collect();
        assert_eq!(told, [("air_1.10000", wall(10), Some(wall(15))), ("air_1.15000", wall(15), None)]);
        // The same as before, after a restart.
        let mut kept = Ranges::restored(ranges.all().cloned().collect());
        kept.begin("air_1", "vitrine.airing", price(5900.0), wall(30), at(30));
        assert_eq!(kept.all().count(), 2);
    }
}
