//! A channel's ladder alone: `ladder CONFIG CLIP` decodes the clip's picture and has it coded in the first channel's rungs,
//! as fast as it can. Prints how many coded pictures each rung had. Only for `bench.py`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a failed step fails the measurement; the figure is its output

use std::path::Path;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use vitrine::config::{Config, Flags};
use vitrine::encode::Encoder;
use vitrine::encode::gallery::Gallery;
use vitrine::media::Packet;
use vitrine::overlay::element;
use vitrine::package::grid::Grid;
use vitrine::pipeline::raw::{self, Frame, Sink};
use vitrine::pipeline::scale;

/// Decodes `clip`, as the server does, into `inlet`. How many pictures there were.
fn feed(clip: &str, inlet: &dyn Sink, grid: &Grid) -> u64 {
    let text = format!(
        "filesrc location={clip} ! flvdemux ! h264parse ! avdec_h264 max-threads=1 \
         ! appsink name=out sync=false max-buffers=2 caps=video/x-raw,format=I420"
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let out = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    raw::take_padded_frames(&out);
    pipeline.set_state(gst::State::Playing).unwrap();
    let (mut n, rate) = (0, grid.rate());
    while let Ok(sample) = out.pull_sample() {
        let (pts, next) = (rate.time_of(n), rate.time_of(n + 1));
        let mut buffer = sample.buffer_owned().unwrap();
        let fields = buffer.make_mut();
        fields.set_pts(gst::ClockTime::from_nseconds(pts.0));
        fields.set_duration(gst::ClockTime::from_nseconds(next.0 - pts.0));
        assert!(inlet.frame(Frame { pts, buffer }));
        n += 1;
    }
    pipeline.set_state(gst::State::Null).unwrap();
    n
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, config, clip] = arguments.as_slice() else { panic!("ladder CONFIG CLIP") };
    gst::init().unwrap();
    element::register().unwrap();
    scale::register().unwrap();
    let flags = Flags { config: Some(Path::new(config).into()), ..Flags::default() };
    let config = Config::load(flags).unwrap();
    let channel = &config.channels[0];
    let grid = Grid::new(channel.canvas.rate, &config.hls);
    let gallery = Arc::<Gallery>::default();
    let (mut encoder, inlet) =
        Encoder::start(None, channel, &grid, &gallery, None, |_| Ok(())).await.unwrap();
    let clip = clip.clone();
    let mut feeding = tokio::task::spawn_blocking(move || feed(&clip, &*inlet, &grid));
    let (mut coded, mut fed) = (vec![0u64; channel.rungs.len()], None);
    // What an encoder holds back comes with no later picture: the last few are not waited for.
    while fed.is_none_or(|fed| coded.iter().any(|coded| coded + 10 < fed)) {
        tokio::select! {
            packet = encoder.packets.recv() => {
                let (track, packet) = packet.unwrap();
                coded[track] += u64::from(matches!(packet, Packet::Unit(_)));
            }
            done = &mut feeding, if fed.is_none() => fed = Some(done.unwrap()),
        }
    }
    println!("{coded:?}");
    encoder.stop().await.unwrap();
}
