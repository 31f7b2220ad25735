use super::*;
use crate::config::Hls;
use crate::media::{FrameRate, Kind};
use crate::package::metadata::DateRange;
use crate::package::segmenter::Part;
use crate::time::WallTime;
use bytes::Bytes;

fn grid() -> Grid {
    Grid::new(FrameRate { num: 30, den: 1 }, &Hls::default())
}

/// 48 whole parts of six a segment, and two.
fn window(listed: usize) -> Window {
    let grid = grid();
    let mut window = Window::new(grid, WallTime(0), listed, 1);
    for n in 0..(6 * 8 + 2) {
        let (segment, index) = (100 + n / 6, (n % 6) as u32);
        let part = Part {
            kind: Kind::Video,
            segment,
            index,
            is_last: index == 5,
            is_independent: index == 0,
            start: grid.part_start(segment, index),
            duration_ticks: 10_000,
            timescale: 30_000,
            key_bytes: 700,
            data: Bytes::new(),
        };
        window.push(part, &"init.mp4".into());
    }
    window
}

fn written(listed: usize, extent: Extent, ranges: &Ranges) -> String {
    let others = [("audio.m3u8".to_owned(), Edge { segment: 108, part: 1 })];
    let grid = grid();
    let about = Media { grid: &grid, directory: "video", others: &others, ranges, is_independent: true };
    media(&window(listed), &about, extent)
}

#[test]
fn a_live_playlist_reads_as_specified() {
    let text = written(6, Extent::Full, &Ranges::default());
    let head = "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,CAN-SKIP-DATERANGES=YES,\
        PART-HOLD-BACK=1.025,HOLD-BACK=6.0\n\
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
    let text = written(6, Extent::Full, &Ranges::default());
    assert!(!text.contains("105.0.m4s"), "the fourth from the end, with the one in progress");
    assert!(text.contains("106.0.m4s"));
}

#[test]
fn a_delta_leaves_out_what_lies_before_the_boundary_and_nothing_else() {
    let ranges = Ranges::default();
    let (full, delta) = (written(8, Extent::Full, &ranges), written(8, Extent::Delta, &ranges));
    // 0.667 s in progress and six segments reach back 12.667 s; the next ends beyond the boundary.
    assert!(delta.contains("#EXT-X-VERSION:9\n"), "{delta}");
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:03:24.000Z")
    );
    assert!(delta.contains("#EXT-X-MEDIA-SEQUENCE:100\n"), "as in the full one");
    let tail = |text: &str| text[text.find("video/102.m4s").unwrap()..].to_owned();
    assert_eq!(tail(&full), tail(&delta));
    assert!(!delta.contains("#EXT-X-MAP"), "it was before a segment that is left out");
    // Nothing to leave out: the playlist as it is.
    assert_eq!(written(6, Extent::Delta, &ranges), written(6, Extent::Full, &ranges));
}

#[test]
fn a_delta_of_ranges_has_the_new_ones_and_names_the_removed() {
    let at = |s: u64| MediaTime(s * 1_000_000_000);
    let wall = |s: i64| WallTime(s * 1000);
    let range = |id: &str, start: i64, end| DateRange {
        id: id.into(),
        subject: id.into(),
        class: "vitrine.airing".into(),
        start: wall(start),
        end,
        attributes: Vec::new(),
    };
    let mut ranges = Ranges::default();
    ranges.put(range("gone", 150, Some(wall(160))), at(150));
    ranges.put(range("old", 201, None), at(201));
    ranges.trim(wall(200), at(210), skip_nanos(&grid()));
    ranges.put(range("new", 214, None), at(214));
    let text = written(8, Extent::DeltaOfRanges, &ranges);
    assert!(text.contains("#EXT-X-VERSION:10\n"), "{text}");
    assert!(text.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=2,RECENTLY-REMOVED-DATERANGES=\"gone\"\n"), "{text}");
    assert!(text.contains("ID=\"new\"") && !text.contains("ID=\"old\""), "{text}");
    assert!(written(8, Extent::Delta, &ranges).contains("ID=\"old\""), "YES leaves metadata alone");
}

#[test]
fn key_frames_are_the_first_picture_of_each_whole_segment() {
    let (grid, ranges) = (grid(), Ranges::default());
    let about = Media { grid: &grid, directory: "video", others: &[], ranges: &ranges, is_independent: true };
    let text = key_frames(&window(6), &about);
    assert!(text.contains("#EXT-X-I-FRAMES-ONLY\n"), "{text}");
    assert!(text.ends_with("#EXTINF:2.00000,\n#EXT-X-BYTERANGE:700@0\nvideo/107.m4s\n"), "{text}");
    assert!(!text.contains("PART-INF") && !text.contains("108"), "{text}");
}
