//! Small pictures for scrubbing: a tile every ten seconds, thirty of them on a sheet, and where each is to be found.
//!
//! Tiles and sheets are numbered by programme time alone, so that a restart goes on with the same numbers. It lays out
//! and writes the text; pixels are drawn elsewhere.
//!
//! Source: W3C `WebVTT`, with a media fragment (`#xywh`) as each cue's text, which is how players read storyboards; and
//! draft-pantos-hls-rfc8216bis-22 3.1.4 for `X-TIMESTAMP-MAP`.

use std::fmt::Write;

use super::vod::{Kept, stamp};
use crate::time::{MediaTime, WallTime};

/// Length of a tile.
pub const TILE_NANOS: u64 = 10_000_000_000;
/// Tiles on a sheet.
pub const COLUMNS: u32 = 6;
/// Rows of a sheet.
pub const ROWS: u32 = 5;
const PER_SHEET: u64 = (COLUMNS * ROWS) as u64;

/// A tile's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The sheet.
    pub sheet: u64,
    /// From 0, by rows.
    pub tile: u32,
}

impl Place {
    /// The tile of a time.
    pub fn at(time: MediaTime) -> Self {
        let number = time.0 / TILE_NANOS;
        Self { sheet: number / PER_SHEET, tile: (number % PER_SHEET) as u32 }
    }

    /// When it starts.
    pub fn start(self) -> MediaTime {
        MediaTime((self.sheet * PER_SHEET + u64::from(self.tile)) * TILE_NANOS)
    }

    /// Its corner on a sheet of tiles of a size.
    pub fn corner(self, (width, height): (u32, u32)) -> (u32, u32) {
        (self.tile % COLUMNS * width, self.tile / COLUMNS * height)
    }
}

/// A sheet and which of its tiles are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sheet {
    /// Its number.
    pub number: u64,
    /// A bit for each tile that is there.
    pub tiles: u32,
    /// A tile's width.
    pub width: u32,
    /// A tile's height.
    pub height: u32,
}

impl Sheet {
    /// Its file, whose name says all of it: another tile makes another name.
    pub fn file(&self) -> String {
        format!("{}-{:08x}-{}x{}.jpg", self.number, self.tiles, self.width, self.height)
    }

    /// The sheet in a file of that name.
    pub fn of(file: &str) -> Option<Self> {
        let mut fields = file.strip_suffix(".jpg")?.split('-');
        let (number, tiles, size) = (fields.next()?, fields.next()?, fields.next()?);
        let (width, height) = size.split_once('x')?;
        let sheet = Self {
            number: number.parse().ok()?,
            tiles: u32::from_str_radix(tiles, 16).ok()?,
            width: width.parse().ok()?,
            height: height.parse().ok()?,
        };
        fields.next().is_none().then_some(sheet)
    }

    fn has(&self, place: Place) -> bool {
        place.sheet == self.number && self.tiles & (1 << place.tile) != 0
    }

    /// Its tiles, in order.
    fn places(&self) -> impl Iterator<Item = Place> {
        (0..COLUMNS * ROWS).map(|tile| Place { sheet: self.number, tile }).filter(|place| self.has(*place))
    }

    fn address(&self, place: Place) -> String {
        let (x, y) = place.corner((self.width, self.height));
        format!("storyboard/{}#xywh={x},{y},{},{}", self.file(), self.width, self.height)
    }
}

fn write_cue(out: &mut String, start_ms: u64, end_ms: u64, text: &str) {
    let _ =
        write!(out, "\n{} --> {}\n{text}\n", stamp(start_ms as f64 / 1000.0), stamp(end_ms as f64 / 1000.0));
}

/// Of a channel that is on, from `first` on: times are those of its media, which the header ties to civil time too.
pub fn live(sheets: &[Sheet], first: MediaTime, epoch: WallTime) -> String {
    let mut text = format!(
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\nNOTE 00:00:00.000 is EXT-X-PROGRAM-DATE-TIME {epoch}\n"
    );
    for sheet in sheets {
        for place in sheet.places().filter(|place| place.start().0 + TILE_NANOS > first.0) {
            let start = place.start().as_millis();
            write_cue(&mut text, start, start + TILE_NANOS / 1_000_000, &sheet.address(place));
        }
    }
    text
}

/// Of what is kept in `segments`: times are those of playing them one after the other.
pub fn kept(sheets: &[Sheet], segments: &[Kept]) -> String {
    let mut text = String::from("WEBVTT\n");
    // The tile that is shown, and since when.
    let (mut shown, mut played_ms): (Option<(Place, u64)>, u64) = (None, 0);
    let mut close = |shown: Option<(Place, u64)>, end_ms: u64| {
        let Some((place, start_ms)) = shown else { return };
        if let Some(sheet) = sheets.iter().find(|sheet| sheet.has(place)) {
            write_cue(&mut text, start_ms, end_ms, &sheet.address(place));
        }
    };
    for (segment, _) in segments {
        let place = Place::at(segment.start);
        if shown.is_none_or(|(before, _)| before != place) {
            close(shown, played_ms);
            shown = Some((place, played_ms));
        }
        played_ms += segment.ticks * 1000 / u64::from(segment.timescale.max(1));
    }
    close(shown, played_ms);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (160, 90);

    fn sheet(number: u64, tiles: u32) -> Sheet {
        Sheet { number, tiles, width: SIZE.0, height: SIZE.1 }
    }

    #[test]
    fn a_name_says_all_of_a_sheet() {
        let one = sheet(5_966_000, 0x3f);
        assert_eq!(one.file(), "5966000-0000003f-160x90.jpg");
        assert_eq!(Sheet::of(&one.file()), Some(one));
        for other in ["x.jpg", "1-2.jpg", "1-2-3x4-5.jpg", "1-2-3x4.png"] {
            assert_eq!(Sheet::of(other), None, "{other}");
        }
    }

    #[test]
    fn tiles_lie_in_rows_and_have_times_of_the_media() {
        let place = Place::at(MediaTime(300_000_000_000 + 75_000_000_000));
        assert_eq!(place, Place { sheet: 1, tile: 7 });
        assert_eq!(place.corner(SIZE), (160, 90));
        let text = live(&[sheet(1, 0b1100_0000)], MediaTime::ZERO, WallTime(0));
        assert!(text.starts_with("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"), "{text}");
        assert_eq!(text.matches("-->").count(), 2);
        assert!(
            text.contains(
                "\n00:06:10.000 --> 00:06:20.000\nstoryboard/1-000000c0-160x90.jpg#xywh=160,90,160,90\n"
            ),
            "{text}"
        );
        let later = live(&[sheet(1, 0b1100_0000)], MediaTime(371_000_000_000), WallTime(0));
        assert_eq!(later.matches("-->").count(), 1, "what has left the playlist is not named");
    }
}
