//! CPU seconds of blending cards over 1280x720 frames, for `make bench`: our element against `GStreamer`'s own
//! `overlaycomposition`, in one process, over the same frames. Prints one line of JSON.

#![allow(clippy::unwrap_used)] // a failed step fails the test, with its place

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use vitrine::overlay::animate::Times;
use vitrine::overlay::element::{self, Board, Layer, Scene, VitrineOverlay};
use vitrine::overlay::sprite::{Rgba, Sprite};

const FRAMES: u32 = 1800;
const CARD: (u32, u32) = (480, 160);
const PLACES: [(u32, u32); 4] = [(40, 500), (740, 500), (40, 40), (740, 40)];

/// A card with an opaque middle and soft edges, as real ones have.
fn card() -> Rgba {
    let (width, height) = CARD;
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let edge = x.min(y).min(width - 1 - x).min(height - 1 - y).min(15);
            data.extend_from_slice(&[(x % 256) as u8, (y % 256) as u8, 90, (edge * 17) as u8]);
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

fn run(middle: &str, prepare: impl FnOnce(&gst::Pipeline)) -> f64 {
    let text = format!(
        "videotestsrc pattern=smpte75 num-buffers={FRAMES} ! video/x-raw,format=I420,width=1280,height=720,framerate=30/1 \
         {middle} ! fakesink sync=false"
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    prepare(&pipeline);
    let before = cpu_seconds();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(120),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert!(matches!(message.unwrap().view(), gst::MessageView::Eos(_)));
    let used = cpu_seconds() - before;
    pipeline.set_state(gst::State::Null).unwrap();
    used
}

fn ours(cards: usize) -> f64 {
    let sprite = Arc::new(Sprite::from_rgba(&card()));
    let layer = |place: &(u32, u32)| Layer {
        id: String::new(),
        sprite: sprite.clone(),
        rest: *place,
        times: Times::default(),
    };
    let board = Arc::new(Board::default());
    board.set(Scene { rev: 1, layers: PLACES[..cards].iter().map(layer).collect() });
    run("! vitrineoverlay name=overlay", |pipeline| {
        pipeline.by_name("overlay").unwrap().downcast::<VitrineOverlay>().unwrap().set_board(board);
    })
}

fn theirs(cards: usize) -> f64 {
    let card = card();
    let mut buffer = gst::Buffer::from_slice(
        card.data.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0], p[3]]).collect::<Vec<u8>>(),
    );
    gst_video::VideoMeta::add(
        buffer.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Bgra,
        CARD.0,
        CARD.1,
    )
    .unwrap();
    let rectangles: Vec<_> = PLACES[..cards]
        .iter()
        .map(|(x, y)| {
            let flags = gst_video::VideoOverlayFormatFlags::empty();
            gst_video::VideoOverlayRectangle::new_raw(&buffer, *x as i32, *y as i32, CARD.0, CARD.1, flags)
        })
        .collect();
    let composition = gst_video::VideoOverlayComposition::new(rectangles.iter()).unwrap();
    run("! overlaycomposition name=overlay", |pipeline| {
        pipeline.by_name("overlay").unwrap().connect("draw", false, move |_| Some(composition.to_value()));
    })
}

fn main() {
    gst::init().unwrap();
    element::register().unwrap();
    run("", |_| {}); // warm
    let base = run("", |_| {});
    // The least of three: what other processes took from the cache is not the blend's cost.
    let least =
        |measure: &dyn Fn() -> f64| (0..3).map(|_| (measure() - base).max(0.005)).fold(f64::MAX, f64::min);
    let numbers = [least(&|| ours(1)), least(&|| theirs(1)), least(&|| ours(4)), least(&|| theirs(4))];
    #[allow(clippy::print_stdout)] // read by tests/bench/bench.py
    {
        println!(
            "{}",
            serde_json::json!({ "ours": [numbers[0], numbers[2]], "theirs": [numbers[1], numbers[3]], "frames": FRAMES })
        );
    }
}
