//! Playlists of what is kept: a whole show, or the parts of it in which one product was on air. Nothing is coded again,
//! and addresses are the files' own, so that a folder can be copied to any web server and plays.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 4.4 for the text; Apple's chapters by JSON ("HLS Authoring Specification",
//! `com.apple.hls.chapters`) and W3C's `WebVTT` for chapters.

use std::fmt::Write;

use serde_json::json;

use super::metadata::DateRange;
use super::show::Chapter;
use super::window::Segment;
use crate::time::WallTime;

/// A kept segment and its address, relative to the playlist.
pub type Kept = (Segment, String);

/// What a playlist says beside its segments.
#[derive(Debug, Clone, Copy)]
pub struct Vod<'a> {
    /// The directory of the track, relative to the playlist.
    pub directory: &'a str,
    /// Timed metadata.
    pub ranges: &'a [DateRange],
    /// Where playing begins.
    pub start: Option<WallTime>,
}

/// The media playlist.
pub fn media(segments: &[Kept], vod: Vod) -> String {
    let mut text = String::with_capacity(200 * segments.len() + 1024);
    write(&mut text, segments, vod, false).expect("writing to a string does not fail");
    text
}

/// The playlist of the first pictures.
pub fn key_frames(segments: &[Kept], vod: Vod) -> String {
    let mut text = String::with_capacity(240 * segments.len() + 1024);
    write(&mut text, segments, vod, true).expect("writing to a string does not fail");
    text
}

fn seconds(segment: &Segment) -> f64 {
    segment.ticks as f64 / f64::from(segment.timescale.max(1))
}

fn write(out: &mut String, segments: &[Kept], vod: Vod, only_keys: bool) -> std::fmt::Result {
    let target = segments.iter().map(|(segment, _)| seconds(segment).round() as u64).max().unwrap_or(1);
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS")?;
    writeln!(out, "#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD", target.max(1))?;
    if only_keys {
        writeln!(out, "#EXT-X-I-FRAMES-ONLY")?;
    }
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0")?;
    if let (Some(start), Some((first, _))) = (vod.start, segments.first()) {
        let offset = (start.0 - first.wall.0).max(0) as f64 / 1000.0;
        writeln!(out, "#EXT-X-START:TIME-OFFSET={offset:.3},PRECISE=YES")?;
    }
    let (mut init, mut next) = ("", None);
    for (segment, uri) in segments {
        // What is missing between is left out: who looks at it later does not want to wait through it.
        let is_jump = next.is_some_and(|next| next != segment.number) || segment.is_discontinuous;
        if is_jump && next.is_some() {
            writeln!(out, "#EXT-X-DISCONTINUITY")?;
        }
        if *init != *segment.init || (is_jump && next.is_some()) {
            init = &segment.init;
            writeln!(out, "#EXT-X-MAP:URI=\"{}/{init}\"", vod.directory)?;
        }
        writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{:.5},", segment.wall, seconds(segment))?;
        if only_keys {
            writeln!(out, "#EXT-X-BYTERANGE:{}@0", segment.key_bytes)?;
        }
        writeln!(out, "{}/{uri}", vod.directory)?;
        next = Some(segment.number + 1);
    }
    for range in vod.ranges {
        writeln!(out, "{}", range.tag())?;
    }
    writeln!(out, "#EXT-X-ENDLIST")
}

/// Where a moment of civil time is in what `segments` play, in seconds.
fn position(segments: &[Kept], at: WallTime) -> f64 {
    let mut played = 0.0;
    for (segment, _) in segments {
        let length = seconds(segment);
        let within = (at.0 - segment.wall.0) as f64 / 1000.0;
        if within < length {
            return played + within.max(0.0);
        }
        played += length;
    }
    played
}

/// The chapters as Apple's players read them, from `com.apple.hls.chapters` in the multivariant playlist.
pub fn chapters_json(chapters: &[Chapter], segments: &[Kept]) -> String {
    let one = |(n, chapter): (usize, &Chapter)| {
        let (start, end) = (position(segments, chapter.start), position(segments, chapter.end));
        json!({
            "chapter": n + 1,
            "start-time": (start * 1000.0).round() / 1000.0,
            "duration": ((end - start) * 1000.0).round() / 1000.0,
            "titles": [{ "language": "und", "title": chapter.title }],
            "metadata": [{ "key": "sku", "value": chapter.sku, "language": "und" }],
        })
    };
    json!(chapters.iter().enumerate().map(one).collect::<Vec<_>>()).to_string()
}

/// The chapters as a `WebVTT` file.
pub fn chapters_vtt(chapters: &[Chapter], segments: &[Kept]) -> String {
    let mut text = String::from("WEBVTT\n");
    for chapter in chapters {
        let (start, end) = (position(segments, chapter.start), position(segments, chapter.end));
        // No arrow and no empty line may be in a cue, and markup would be read as such.
        let title: String = chapter.title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = write!(text, "\n{} --> {}\n{title}\n", stamp(start), stamp(end.max(start + 0.001)));
    }
    text
}

pub(super) fn stamp(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::window;
    use crate::time::MediaTime;

    fn kept(number: u64) -> Kept {
        let segment = Segment {
            number,
            start: MediaTime(number * 2_000_000_000),
            wall: WallTime(number as i64 * 2000),
            ticks: 60_000,
            timescale: 30_000,
            bytes: 1000,
            key_bytes: 100,
            init: "init-1.mp4".into(),
            parts: Vec::new(),
            whole: bytes::Bytes::new(),
            is_complete: true,
            kept: window::Kept::Disk,
            is_discontinuous: false,
            discontinuities: 0,
        };
        (segment, format!("init-1/{number}.m4s"))
    }

    #[test]
    fn a_list_ends_and_a_jump_is_a_discontinuity() {
        let segments: Vec<Kept> = [5, 6, 9].map(kept).to_vec();
        let vod = Vod { directory: "video", ranges: &[], start: Some(WallTime(10_500)) };
        let text = media(&segments, vod);
        assert!(text.ends_with("#EXT-X-ENDLIST\n") && text.contains("TIME-OFFSET=0.500"), "{text}");
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
        assert!(key_frames(&segments, vod).contains("#EXT-X-BYTERANGE:100@0\nvideo/init-1/9.m4s"));
    }

    #[test]
    fn chapters_are_told_in_what_is_played() {
        let segments: Vec<Kept> = [5, 6, 9].map(kept).to_vec();
        let chapter = Chapter {
            airing_id: "air_1".into(),
            sku: Some("cup".into()),
            title: "A <cup>".into(),
            start: WallTime(11_000),
            end: WallTime(18_500),
        };
        let text = chapters_vtt(std::slice::from_ref(&chapter), &segments);
        assert_eq!(text, "WEBVTT\n\n00:00:01.000 --> 00:00:04.500\nA &lt;cup&gt;\n");
        assert!(chapters_json(&[chapter], &segments).contains("\"duration\":3.5"));
    }
}
