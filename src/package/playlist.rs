//! Media playlist text, from a [`Window`] and constants.
//!
//! The writers in the registry lose tags that we need, so the text is ours. Every number that players
//! treat as constant comes from [`Grid`]. Source: draft-pantos-hls-rfc8216bis-22 section 4, and Apple's
//! HLS Authoring Specification where it is stricter (named "A x.y").

use std::fmt::Write;

use super::grid::Grid;
use super::metadata::Ranges;
use super::window::{Edge, Segment, Window};
use crate::time::MediaTime;

/// What a media playlist says beside its segments.
#[derive(Debug, Clone)]
pub struct Media<'a> {
    /// The cutting plan.
    pub grid: &'a Grid,
    /// The directory of this track's media, relative to the playlist.
    pub directory: &'a str,
    /// The other renditions' playlists and live edges.
    pub others: &'a [(String, Edge)],
    /// Timed metadata.
    pub ranges: &'a Ranges,
    /// Whether every segment starts with a key frame.
    pub is_independent: bool,
}

/// How much of a playlist is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Full,
    /// Without the segments that a client with a recent version knows: `_HLS_skip=YES`.
    Delta,
    /// Without metadata that it knows, too: `_HLS_skip=v2`.
    DeltaOfRanges,
}

/// Strict readers (hls-parser) take `EXT-X-GAP` from 8 on, though the draft names no number for it; and a version that came
/// and went with the gaps would be a constant that changes.
const VERSION: u32 = 8;
/// Segments whose parts are listed, the one in progress included.
const PARTS_LISTED: u64 = 3;

/// The file of a whole segment.
pub fn segment_file(number: u64) -> String {
    format!("{number}.m4s")
}

/// The file of a part.
pub fn part_file(number: u64, index: u32) -> String {
    format!("{number}.{index}.m4s")
}

/// The playlist of the rendition `name`.
pub fn file(name: &str) -> String {
    format!("{name}.m3u8")
}

/// The playlist of the key frames of the rendition `name`.
pub fn key_frames_file(name: &str) -> String {
    format!("{name}-iframes.m3u8")
}

/// Seconds from the end before which a delta update may leave segments out: six target durations, no less is legal.
fn can_skip_until(grid: &Grid) -> u64 {
    grid.target_duration() * 6
}

/// How far back a delta update reaches, in nanoseconds.
pub fn skip_nanos(grid: &Grid) -> i64 {
    can_skip_until(grid) as i64 * 1_000_000_000
}

/// The media playlist of `window` as it is now.
pub fn media(window: &Window, media: &Media, extent: Extent) -> String {
    let mut text = String::with_capacity(256 * window.listed().len() + 4096);
    write_media(&mut text, window, media, extent).expect("writing to a string does not fail");
    text
}

/// How many of the oldest listed segments a delta update leaves out.
fn skipped(window: &Window, media: &Media) -> usize {
    let boundary = can_skip_until(media.grid) as f64;
    let (mut from_end, mut kept) = (0.0, 0);
    for segment in window.listed().rev() {
        // Left out are those that lie before the boundary with all their length.
        if from_end >= boundary {
            break;
        }
        from_end += segment.seconds(media.grid);
        kept += 1;
    }
    window.listed().len() - kept
}

fn write_media(out: &mut String, window: &Window, media: &Media, extent: Extent) -> std::fmt::Result {
    let skipped = if extent == Extent::Full { 0 } else { skipped(window, media) };
    let version = match extent {
        _ if skipped == 0 => VERSION,
        Extent::DeltaOfRanges => 10,
        _ => 9,
    };
    write_head(out, window, media, version)?;
    writeln!(out, "#EXT-X-PART-INF:PART-TARGET={:.5}", media.grid.part_target())?;
    write_sequences(out, window)?;
    let is_v2 = skipped > 0 && extent == Extent::DeltaOfRanges;
    if skipped > 0 {
        write!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        let removed: Vec<&str> = media.ranges.removed().collect();
        if is_v2 && !removed.is_empty() {
            // Ids are ours or were checked: they hold no tabs.
            write!(out, ",RECENTLY-REMOVED-DATERANGES=\"{}\"", removed.join("\t"))?;
        }
        writeln!(out)?;
    }
    let mut init = window.listed().nth(skipped.wrapping_sub(1)).map_or("", |segment| &*segment.init);
    if skipped == 0 {
        init = "";
    }
    for segment in window.listed().skip(skipped) {
        write_segment(out, segment, &mut init, window.edge(), media)?;
    }
    let edge = window.edge();
    let hint = part_file(edge.segment, edge.part);
    writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}/{hint}\"", media.directory)?;
    write_ranges(out, window, media, is_v2)?;
    for (uri, edge) in media.others {
        write_rendition_report(out, uri, *edge, media.grid.parts_per_segment())?;
    }
    Ok(())
}

/// `PART-HOLD-BACK` in seconds: Apple wants at least three parts (A 14.3); rounded up, or a rounded 3 would be less than 3.
pub fn part_hold_back(grid: &Grid) -> f64 {
    (grid.part_target() * 3.0 * 1000.0).ceil() / 1000.0
}

/// The same in every rendition (6.2.4), but for the version.
fn write_head(out: &mut String, window: &Window, media: &Media, version: u32) -> std::fmt::Result {
    let grid = media.grid;
    let target = grid.target_duration();
    let part_hold_back = part_hold_back(grid);
    debug_assert!(window.listed().len() > 0);
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{version}")?;
    if media.is_independent {
        writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
    }
    writeln!(out, "#EXT-X-TARGETDURATION:{target}")?;
    writeln!(
        out,
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={}.0,CAN-SKIP-DATERANGES=YES,\
         PART-HOLD-BACK={part_hold_back:.3},HOLD-BACK={}.0",
        can_skip_until(grid),
        target * 3
    )
}

fn write_sequences(out: &mut String, window: &Window) -> std::fmt::Result {
    let first = window.listed().next().map_or(0, |segment| segment.number);
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
    writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuity_sequence())
}

fn write_ranges(out: &mut String, window: &Window, media: &Media, only_new: bool) -> std::fmt::Result {
    let end = window.listed().last().map_or(MediaTime::ZERO, |segment| segment.start);
    let since = if only_new { end.offset(-skip_nanos(media.grid)) } else { MediaTime::ZERO };
    for range in media.ranges.changed(since) {
        writeln!(out, "{}", range.tag())?;
    }
    Ok(())
}

/// `LAST-MSN` and `LAST-PART` name the newest part that is there, not the next.
fn write_rendition_report(
    out: &mut String,
    uri: &str,
    edge: Edge,
    parts_per_segment: u32,
) -> std::fmt::Result {
    let (segment, part) = match edge {
        Edge { segment: 0, part: 0 } => return Ok(()), // nothing is there yet
        Edge { segment, part: 0 } => (segment - 1, parts_per_segment - 1),
        Edge { segment, part } => (segment, part - 1),
    };
    writeln!(out, "#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={segment},LAST-PART={part}")
}

fn write_opening<'a>(
    out: &mut String,
    segment: &'a Segment,
    init: &mut &'a str,
    media: &Media,
) -> std::fmt::Result {
    if segment.is_discontinuous {
        writeln!(out, "#EXT-X-DISCONTINUITY")?;
    }
    // A gap has no header of its own.
    if **init != *segment.init && !segment.is_gap() {
        *init = &segment.init;
        writeln!(out, "#EXT-X-MAP:URI=\"{}/{init}\"", media.directory)?;
    }
    writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", segment.wall)
}

fn write_segment<'a>(
    out: &mut String,
    segment: &'a Segment,
    init: &mut &'a str,
    edge: Edge,
    media: &Media,
) -> std::fmt::Result {
    write_opening(out, segment, init, media)?;
    // Parts are of use near the live edge only: 6.2.2 wants them gone three target durations from the end. The
    // segment in progress counts as one of the three, even before its first part.
    if segment.number + PARTS_LISTED > edge.segment {
        for part in &segment.parts {
            // Rounded down: a duration that reads longer than PART-TARGET ends AVPlayer.
            let duration = (part.seconds() * 100_000.0).floor() / 100_000.0;
            let file = part_file(segment.number, part.index);
            let independent = if part.is_independent { ",INDEPENDENT=YES" } else { "" };
            writeln!(
                out,
                "#EXT-X-PART:DURATION={duration:.5},URI=\"{}/{file}\"{independent}",
                media.directory
            )?;
        }
    }
    if segment.is_complete {
        let file = segment_file(segment.number);
        if segment.is_gap() {
            writeln!(out, "#EXT-X-GAP")?;
        }
        writeln!(out, "#EXTINF:{:.5},\n{}/{file}", segment.seconds(media.grid), media.directory)?;
    }
    Ok(())
}

/// The playlist of the key frames of `window`: the first picture of each whole segment, for scrubbing.
///
/// Source: rfc8216bis 4.4.3.6. A range holds the segment's start too, from which the picture can be read.
pub fn key_frames(window: &Window, media: &Media) -> String {
    let mut text = String::with_capacity(160 * window.listed().len() + 4096);
    write_key_frames(&mut text, window, media).expect("writing to a string does not fail");
    text
}

fn write_key_frames(out: &mut String, window: &Window, media: &Media) -> std::fmt::Result {
    write_head(out, window, media, VERSION)?;
    writeln!(out, "#EXT-X-I-FRAMES-ONLY")?;
    write_sequences(out, window)?;
    let mut init = "";
    for segment in window.listed().filter(|segment| segment.is_complete) {
        write_opening(out, segment, &mut init, media)?;
        let (file, seconds) = (segment_file(segment.number), segment.seconds(media.grid));
        if segment.is_gap() {
            writeln!(out, "#EXT-X-GAP\n#EXTINF:{seconds:.5},\n{}/{file}", media.directory)?;
        } else {
            let key_bytes = segment.key_bytes;
            let directory = media.directory;
            writeln!(out, "#EXTINF:{seconds:.5},\n#EXT-X-BYTERANGE:{key_bytes}@0\n{directory}/{file}")?;
        }
    }
    write_ranges(out, window, media, false)
}

#[cfg(test)]
mod tests;
