//! Playlist text, from a [`Window`] and constants.
//!
//! The writers in the registry lose tags that we need, so the text is ours. Every number that players
//! treat as constant comes from [`Grid`]. Source: draft-pantos-hls-rfc8216bis-22 section 4, and Apple's
//! HLS Authoring Specification where it is stricter (named "A x.y").

use std::fmt::Write;

use super::grid::Grid;
use super::window::{Edge, Segment, Window};
use crate::media::Canvas;
use crate::time::WallTime;

/// What a media playlist says beside its segments.
#[derive(Debug, Clone)]
pub struct Media<'a> {
    /// The cutting plan.
    pub grid: &'a Grid,
    /// Civil time of programme time zero.
    pub epoch: WallTime,
    /// The directory of this track's media, relative to the playlist.
    pub directory: &'a str,
    /// The initialisation segment's file in that directory.
    pub init: &'a str,
    /// The other rendition's playlist and live edge.
    pub other: (&'a str, Edge),
}

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

/// The media playlist of `window` as it is now.
pub fn media(window: &Window, media: &Media) -> String {
    let mut text = String::with_capacity(8 * 1024);
    write_media(&mut text, window, media).expect("writing to a string does not fail");
    text
}

fn write_media(out: &mut String, window: &Window, media: &Media) -> std::fmt::Result {
    let target = media.grid.target_duration();
    let part_target = media.grid.part_target();
    // Apple wants at least three parts (A 14.3); rounded up, or a rounded 3 would be less than 3.
    let part_hold_back = (part_target * 3.0 * 1000.0).ceil() / 1000.0;
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:{target}")?;
    writeln!(
        out,
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={part_hold_back:.3},HOLD-BACK={}.0",
        target * 3
    )?;
    writeln!(out, "#EXT-X-PART-INF:PART-TARGET={part_target:.5}")?;
    let first = window.listed().next().map_or(0, |segment| segment.number);
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
    writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuity_sequence())?;
    for (n, segment) in window.listed().enumerate() {
        write_segment(out, segment, n == 0, window.edge(), media)?;
    }
    let edge = window.edge();
    let hint = part_file(edge.segment, edge.part);
    writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}/{hint}\"", media.directory)?;
    write_rendition_report(out, media.other, media.grid.parts_per_segment())
}

/// `LAST-MSN` and `LAST-PART` name the newest part that is there, not the next.
fn write_rendition_report(
    out: &mut String,
    (uri, edge): (&str, Edge),
    parts_per_segment: u32,
) -> std::fmt::Result {
    let (segment, part) = match edge {
        Edge { segment: 0, part: 0 } => return Ok(()), // nothing is there yet
        Edge { segment, part: 0 } => (segment - 1, parts_per_segment - 1),
        Edge { segment, part } => (segment, part - 1),
    };
    writeln!(out, "#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={segment},LAST-PART={part}")
}

fn write_segment(
    out: &mut String,
    segment: &Segment,
    is_first: bool,
    edge: Edge,
    media: &Media,
) -> std::fmt::Result {
    if segment.is_discontinuous {
        writeln!(out, "#EXT-X-DISCONTINUITY")?;
    }
    if is_first {
        writeln!(out, "#EXT-X-MAP:URI=\"{}/{}\"", media.directory, media.init)?;
    }
    let wall = WallTime(media.epoch.0 + segment.start.as_millis() as i64);
    writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{wall}")?;
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
        if segment.is_gap {
            writeln!(out, "#EXT-X-GAP")?;
        }
        writeln!(out, "#EXTINF:{:.5},\n{}/{file}", segment.seconds(media.grid), media.directory)?;
    }
    Ok(())
}

/// What the multivariant playlist says of the programme.
#[derive(Debug, Clone)]
pub struct Multivariant<'a> {
    /// Picture size and rate.
    pub canvas: Canvas,
    /// RFC 6381 strings of picture and sound.
    pub codecs: [&'a str; 2],
    /// Video bit rate that the encoder is told.
    pub video_kbps: u32,
    /// Audio bit rate that the encoder is told.
    pub audio_kbps: u32,
}

/// The multivariant playlist: one picture, one sound rendition.
pub fn multivariant(of: &Multivariant) -> String {
    // Boxes add under 1 %. The encoder's buffer lets a segment peak at 1.3 times the rate (see encode).
    let average = (f64::from(of.video_kbps + of.audio_kbps) * 1010.0) as u64;
    let peak = (f64::from(of.video_kbps) * 1313.0 + f64::from(of.audio_kbps) * 1050.0) as u64;
    let [video, audio] = of.codecs;
    format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Programme\",DEFAULT=YES,AUTOSELECT=YES,\
         CHANNELS=\"2\",URI=\"audio.m3u8\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{video},{audio}\",\
         RESOLUTION={}x{},FRAME-RATE={:.3},AUDIO=\"audio\",CLOSED-CAPTIONS=NONE\nvideo.m3u8\n",
        of.canvas.width,
        of.canvas.height,
        of.canvas.rate.as_f64(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hls;
    use crate::media::{FrameRate, Kind};
    use crate::package::segmenter::Part;
    use bytes::Bytes;

    fn text() -> String {
        let grid = Grid::new(FrameRate { num: 30, den: 1 }, &Hls::default());
        let mut window = Window::new(grid, 6, 1);
        for n in 0..(6 * 8 + 2) {
            let (segment, index) = (100 + n / 6, (n % 6) as u32);
            window.push(Part {
                kind: Kind::Video,
                segment,
                index,
                is_last: index == 5,
                is_independent: index == 0,
                start: grid.part_start(segment, index),
                duration_ticks: 10_000,
                timescale: 30_000,
                data: Bytes::new(),
            });
        }
        let other = ("audio.m3u8", Edge { segment: 108, part: 1 });
        media(
            &window,
            &Media { grid: &grid, epoch: WallTime(0), directory: "video", init: "init.mp4", other },
        )
    }

    #[test]
    fn a_live_playlist_reads_as_specified() {
        let text = text();
        let head = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:2\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.025,HOLD-BACK=6.0\n\
            #EXT-X-PART-INF:PART-TARGET=0.34134\n#EXT-X-MEDIA-SEQUENCE:102\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
            #EXT-X-MAP:URI=\"video/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:03:24.000Z\n\
            #EXTINF:2.00000,\nvideo/102.m4s\n";
        assert!(text.starts_with(head), "{text}");
        let tail = "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:03:36.000Z\n\
            #EXT-X-PART:DURATION=0.33333,URI=\"video/108.0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.33333,URI=\"video/108.1.m4s\"\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"video/108.2.m4s\"\n\
            #EXT-X-RENDITION-REPORT:URI=\"audio.m3u8\",LAST-MSN=108,LAST-PART=0\n";
        assert!(text.ends_with(tail), "{text}");
    }

    #[test]
    fn parts_are_listed_near_the_edge_only() {
        let text = text();
        assert!(!text.contains("105.0.m4s"), "the fourth from the end, with the one in progress");
        assert!(text.contains("106.0.m4s"));
    }
}
