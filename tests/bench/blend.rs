//! CPU seconds of laying cards over 1080p frames, for `make bench`: our element against `GStreamer`'s own
//! `overlaycomposition` and `compositor`, over the same frames. Prints one line of JSON.
//!
//! `blend kernel` only blends, without `GStreamer`, for counting instructions. `blend card PATH` writes the card,
//! for other compositors.

#![allow(clippy::unwrap_used)] // a failed step fails the test, with its place

use std::fmt::Write;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use vitrine::overlay::animate::{Clip, Moves, Pose, Times};
use vitrine::overlay::blend;
use vitrine::overlay::board::{Board, Layer, Scene};
use vitrine::overlay::colour::Format;
use vitrine::overlay::element::{self, VitrineOverlay};
use vitrine::overlay::film::{Face, Film};
use vitrine::overlay::sprite::{Rgba, Sprite};
use vitrine::time::MediaTime;

const FRAMES: u32 = 300;
/// So many times more where nothing is on air.
const MANY: u32 = 10;
const CARD: (u32, u32) = (480, 160);
const COUNTS: [usize; 3] = [1, 4, 12];
/// Blends that `kernel` does.
const ROUNDS: usize = 100;

/// Where the nth card is: no two overlap.
fn place(n: usize) -> (i32, i32) {
    ((n % 3) as i32 * 600 + 60, (n / 3) as i32 * 250 + 40)
}

/// A card with an opaque middle and soft edges, as real ones have; with `is_glass` it is transparent all over,
/// which nothing can be saved on.
fn card(is_glass: bool) -> Rgba {
    let (width, height) = CARD;
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let edge = x.min(y).min(width - 1 - x).min(height - 1 - y).min(15);
            let alpha = if is_glass { 128 + edge as u8 } else { (edge * 17) as u8 };
            data.extend_from_slice(&[(x % 256) as u8, (y % 256) as u8, 90, alpha]);
        }
    }
    Rgba { width, height, data }
}

/// CPU seconds of this process so far, all threads: utime and stime of /proc/self/stat, in 1/100 s.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // After the name and the state letter: utime is the 11th number, stime the 12th.
    (fields[10] + fields[11]) / 100.0
}

fn run(text: &str, prepare: impl FnOnce(&gst::Pipeline)) -> f64 {
    let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
    prepare(&pipeline);
    let before = cpu_seconds();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(240),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert!(matches!(message.unwrap().view(), gst::MessageView::Eos(_)));
    let used = cpu_seconds() - before;
    pipeline.set_state(gst::State::Null).unwrap();
    used
}

fn through(frames: u32, middle: &str, prepare: impl FnOnce(&gst::Pipeline)) -> f64 {
    let text = format!(
        "videotestsrc pattern=black num-buffers={frames} \
         ! video/x-raw,format=I420,width=1920,height=1080,framerate=30/1,colorimetry=bt709 {middle} ! fakesink sync=false"
    );
    run(&text, prepare)
}

fn ours(frames: u32, cards: usize, is_glass: bool) -> f64 {
    let sprite = Arc::new(Sprite::from_rgba(&card(is_glass), Format::default()));
    let layer = |n: usize| {
        let mut film = Film::default();
        film.plan(Face { from: MediaTime::ZERO, sprite: sprite.clone(), at: place(n) });
        Layer {
            id: String::new(),
            film,
            crawl: None,
            times: Times::default(),
            moves: Moves::cut(),
            code: None,
        }
    };
    let board = Arc::new(Board::default());
    board.set(Scene {
        rev: 1,
        due: MediaTime::ZERO,
        layers: (0..cards).map(layer).collect(),
        ..Scene::default()
    });
    through(frames, "! vitrineoverlay name=overlay", |pipeline| {
        pipeline.by_name("overlay").unwrap().downcast::<VitrineOverlay>().unwrap().set_board(board);
    })
}

fn bgra(is_glass: bool) -> gst::Buffer {
    let picture = card(is_glass);
    gst::Buffer::from_slice(
        picture.data.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0], p[3]]).collect::<Vec<u8>>(),
    )
}

fn overlaycomposition(cards: usize, is_glass: bool) -> f64 {
    let mut buffer = bgra(is_glass);
    gst_video::VideoMeta::add(
        buffer.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Bgra,
        CARD.0,
        CARD.1,
    )
    .unwrap();
    let rectangles: Vec<_> = (0..cards)
        .map(|n| {
            let ((x, y), flags) = (place(n), gst_video::VideoOverlayFormatFlags::empty());
            gst_video::VideoOverlayRectangle::new_raw(&buffer, x, y, CARD.0, CARD.1, flags)
        })
        .collect();
    let composition = gst_video::VideoOverlayComposition::new(rectangles.iter()).unwrap();
    through(FRAMES, "! overlaycomposition name=overlay", |pipeline| {
        pipeline.by_name("overlay").unwrap().connect("draw", false, move |_| Some(composition.to_value()));
    })
}

/// Each card a still that the compositor holds.
fn compositor(cards: usize, is_glass: bool) -> f64 {
    let path = std::env::temp_dir().join(vitrine::id::new("card") + ".png");
    std::fs::write(&path, card(is_glass).to_png()).unwrap();
    let mut pads = String::new();
    let mut stills = String::new();
    for n in 0..cards {
        let (x, y) = place(n);
        write!(pads, " sink_{0}::xpos={x} sink_{0}::ypos={y}", n + 1).unwrap();
        write!(
            stills,
            " filesrc location={} ! pngdec ! videoconvert ! imagefreeze num-buffers={FRAMES} ! mix.sink_{}",
            path.display(),
            n + 1
        )
        .unwrap();
    }
    let text = format!(
        "compositor name=mix background=black{pads} \
         ! video/x-raw,format=I420,width=1920,height=1080,framerate=30/1 ! fakesink sync=false \
         videotestsrc pattern=black num-buffers={FRAMES} \
         ! video/x-raw,format=I420,width=1920,height=1080,framerate=30/1,colorimetry=bt709 ! mix.sink_0 {stills}"
    );
    let used = run(&text, |_| {});
    std::fs::remove_file(path).unwrap();
    used
}

fn kernel(rounds: usize) {
    let sprite = Sprite::from_rgba(&card(true), Format::default());
    let mut frame = vec![128_u8; 1920 * 1080];
    for _ in 0..rounds {
        let pose = Pose { x: 60, y: 40, opacity: 256, clip: Clip::ALL };
        let mut target = blend::Target { data: &mut frame, stride: 1920, width: 1920, height: 1080 };
        blend::plane(&mut target, &sprite, 0, &pose);
    }
    std::hint::black_box(&frame);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("kernel") => return kernel(ROUNDS),
        // The same without blending, to be taken off.
        Some("prepare") => return kernel(0),
        Some("card") => return std::fs::write(&arguments[2], card(true).to_png()).unwrap(),
        _ => {}
    }
    gst::init().unwrap();
    element::register().unwrap();
    through(FRAMES, "", |_| {}); // warm
    // The least of three: what other processes took from the cache is not the blend's cost.
    let least = |measure: &dyn Fn() -> f64| (0..3).map(|_| measure()).fold(f64::MAX, f64::min);
    let base = least(&|| through(FRAMES, "", |_| {}));
    // What costs nearly nothing needs more frames: the system counts in hundredths of a second.
    let empty = least(&|| ours(MANY * FRAMES, 0, false)) - least(&|| through(MANY * FRAMES, "", |_| {}));
    let cost = |used: f64| (used - base).max(0.01);
    let each = |measure: &dyn Fn(usize) -> f64| COUNTS.map(|cards| cost(least(&|| measure(cards))));
    #[allow(clippy::print_stdout)] // read by tests/bench/bench.py
    {
        println!(
            "{}",
            serde_json::json!({
                "frames": FRAMES, "cards": COUNTS, "base": base,
                "nothing": empty / f64::from(MANY),
                "solid": each(&|cards| ours(FRAMES, cards, false)),
                "glass": each(&|cards| ours(FRAMES, cards, true)),
                "overlaycomposition": each(&|cards| overlaycomposition(cards, true)),
                "compositor": each(&|cards| compositor(cards, true)),
            })
        );
    }
}
