//! A show: one time on air, from the publisher's first picture to the last, and what was sold in it.
//!
//! It lists segments that are kept, tells chapters and clips of it, and never touches them.

use serde::{Deserialize, Serialize};

use super::metadata::{DateRange, Value};
use super::window::Segment;
use crate::media::Kind;
use crate::time::WallTime;

/// Timed metadata that a show keeps: more than anybody scrolls through, and bounded.
const MOST_RANGES: usize = 20_000;

/// A rendition of a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The directory of its media, and its playlist without the ending.
    pub name: String,
    /// Picture or sound.
    pub kind: Kind,
    /// Ticks a second.
    pub timescale: u32,
}

/// A show, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Show {
    /// Its start in digits, such as `20261122-190000`.
    pub id: String,
    /// The start of its first segment.
    pub start: WallTime,
    /// The end of its last one, once it is over.
    pub end: Option<WallTime>,
    /// The number of its first segment.
    pub first_segment: u64,
    /// The newest segment with a publisher's picture.
    pub last_segment: u64,
    /// Its renditions: rungs, then the sound.
    pub tracks: Vec<Track>,
    /// The multivariant playlist of its time.
    pub multivariant: String,
    /// What was on air.
    pub ranges: Vec<DateRange>,
    /// Bytes of all that is kept, once it is over.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// One time on air of a card, within a show.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chapter {
    /// The airing.
    pub airing_id: String,
    /// What was sold, if it was one product.
    pub sku: Option<String>,
    /// What stood on the card.
    pub title: String,
    /// Its first frame, in milliseconds of civil time.
    pub start: WallTime,
    /// The frame after its last.
    pub end: WallTime,
}

/// The id of a show that begins at `start`.
pub fn id(start: WallTime) -> String {
    let digits: String = start.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{}-{}", &digits[..8.min(digits.len())], &digits[8.min(digits.len())..])
}

impl Show {
    /// Takes over what is known now: ranges that are new or have changed. Others stay as they were last known.
    pub fn learn(&mut self, known: &[DateRange]) {
        for range in known.iter().filter(|range| range.end.is_none_or(|end| end > self.start)) {
            match self.ranges.iter().rposition(|own| own.id == range.id) {
                Some(place) => self.ranges[place].clone_from(range),
                None if self.ranges.len() < MOST_RANGES => self.ranges.push(range.clone()),
                None => {}
            }
        }
    }

    /// What players are told of the time from `start` to `end`: nothing stays open.
    pub fn ranges_within(&self, start: WallTime, end: WallTime) -> Vec<DateRange> {
        let over = |range: &DateRange| range.end.unwrap_or(end).min(end);
        self.ranges
            .iter()
            .filter(|range| range.start < end && over(range) > start)
            .map(|range| DateRange { end: Some(over(range)), ..range.clone() })
            .collect()
    }

    /// The airings with words on them until `end`, in order.
    pub fn chapters(&self, end: WallTime) -> Vec<Chapter> {
        let mut chapters: Vec<Chapter> = Vec::new();
        for range in self.ranges_within(self.start, end) {
            let text = |name: &str| {
                range.attributes.iter().find(|(own, _)| own == name).and_then(|(_, value)| match value {
                    Value::Text(text) => Some(text.clone()),
                    Value::Number(_) => None,
                })
            };
            let (Some(airing_id), Some(title)) = (text("X-AIRING-ID"), text("X-TITLE")) else { continue };
            let until = range.end.unwrap_or(end);
            match chapters.iter_mut().find(|chapter| chapter.airing_id == airing_id) {
                Some(chapter) => chapter.end = chapter.end.max(until),
                None => chapters.push(Chapter {
                    airing_id,
                    sku: text("X-SKU"),
                    title,
                    start: range.start.max(self.start),
                    end: until,
                }),
            }
        }
        chapters.sort_by_key(|chapter| chapter.start);
        chapters
    }
}

/// When a segment ends.
fn end_of(segment: &Segment) -> WallTime {
    WallTime(segment.wall.0 + (segment.ticks * 1000 / u64::from(segment.timescale.max(1))) as i64)
}

/// When the last of `segments` ends.
pub fn end(segments: &[Segment]) -> Option<WallTime> {
    segments.last().map(end_of)
}

/// Those of `segments` that overlap one of `spans`.
pub fn within(segments: &[Segment], spans: &[(WallTime, WallTime)]) -> Vec<Segment> {
    let is_in =
        |segment: &&Segment| spans.iter().any(|(start, end)| segment.wall < *end && end_of(segment) > *start);
    segments.iter().filter(is_in).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn show() -> Show {
        Show {
            id: id(WallTime(0)),
            start: WallTime(10_000),
            end: None,
            first_segment: 5,
            last_segment: 5,
            tracks: Vec::new(),
            multivariant: String::new(),
            ranges: Vec::new(),
            bytes: None,
        }
    }

    fn airing(id: &str, sku: &str, start_s: i64, end_s: Option<i64>) -> DateRange {
        DateRange {
            id: format!("{id}.{start_s}"),
            subject: id.into(),
            class: "vitrine.airing".into(),
            start: WallTime(start_s * 1000),
            end: end_s.map(|s| WallTime(s * 1000)),
            attributes: [("X-AIRING-ID", id), ("X-SKU", sku), ("X-TITLE", "Cup")]
                .map(|(name, text)| (name.to_owned(), Value::Text(text.into())))
                .to_vec(),
        }
    }

    #[test]
    fn ids_are_the_start_in_digits() {
        assert_eq!(id(WallTime(0)), "19700101-000000");
    }

    #[test]
    fn a_change_of_price_is_one_chapter_and_what_is_open_ends_with_the_show() {
        let mut show = show();
        show.learn(&[airing("air_0", "old", 1, Some(9)), airing("air_1", "cup", 12, None)]);
        show.learn(&[airing("air_1", "cup", 12, Some(15)), airing("air_1", "cup", 15, None)]);
        let chapters = show.chapters(WallTime(20_000));
        assert_eq!(chapters.len(), 1, "{chapters:?}");
        assert_eq!((chapters[0].start, chapters[0].end), (WallTime(12_000), WallTime(20_000)));
        assert!(show.ranges_within(show.start, WallTime(20_000)).iter().all(|range| range.end.is_some()));
    }
}
