//! Which element codes a rung, and how each is told what is wanted: rates have another unit and distances another name in
//! every one.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::config::{Channel, Coding, ENCODERS, Rung};
use crate::media::Canvas;
use crate::package::grid::Grid;
use crate::pipeline::description::Description;

/// The name of what codes so by `encoder`; each has its `pipelines/rung_NAME.gst`.
fn named(encoder: &str, coding: Coding) -> &'static str {
    match (coding, encoder) {
        (Coding::H264, "va") => "va",
        (Coding::H264, "nv") => "nv",
        (Coding::H264, "qsv") => "qsv",
        (Coding::H264, "v4l2") => "v4l2",
        (Coding::H264, "openh264") => "openh264",
        (Coding::H264, _) => "x264",
        (Coding::Hevc, "va") => "va_hevc",
        (Coding::Hevc, "nv") => "nv_hevc",
        (Coding::Hevc, "qsv") => "qsv_hevc",
        (Coding::Hevc, "v4l2") => "v4l2_hevc",
        (Coding::Hevc, _) => "x265",
    }
}

fn has(name: &str, replacements: Option<&Path>) -> bool {
    let description = Description::load(&format!("rung_{name}"), replacements);
    description.is_ok_and(|description| {
        description.factories().iter().all(|factory| gst::ElementFactory::find(factory).is_some())
    })
}

/// Whether this machine can code so.
pub fn can(coding: Coding, replacements: Option<&Path>) -> bool {
    ENCODERS.iter().any(|encoder| has(named(encoder, coding), replacements))
}

/// What codes a rung: as configured, else the first that the machine has.
pub(super) fn choose(channel: &Channel, coding: Coding, replacements: Option<&Path>) -> &'static str {
    if let Some(encoder) = &channel.encoder {
        return named(encoder, coding);
    }
    let mut names = ENCODERS.iter().map(|encoder| named(encoder, coding));
    // Without any, its absence is told by name.
    names.find(|name| has(name, replacements)).unwrap_or(named("", coding))
}

/// Rates have another unit and distances another name in each.
pub(super) fn set_up(encoder: &gst::Element, name: &str, rung: &Rung, grid: &Grid, preset: &str) {
    let distance = grid.frames_per_segment();
    match name.trim_end_matches("_hevc") {
        "x264" => {
            encoder.set_property_from_str("speed-preset", preset);
            encoder.set_property("bitrate", rung.kbps);
            encoder.set_property("key-int-max", distance);
            encoder.set_property("threads", threads(rung.canvas));
        }
        "x265" => {
            encoder.set_property_from_str("speed-preset", preset);
            encoder.set_property("bitrate", rung.kbps);
            encoder.set_property("key-int-max", distance as i32);
        }
        "openh264" => {
            encoder.set_property("bitrate", rung.kbps * 1000);
            encoder.set_property("max-bitrate", rung.kbps * 1200);
            encoder.set_property("gop-size", distance);
            encoder.set_property("multi-thread", threads(rung.canvas));
        }
        "v4l2" => {
            let bits = rung.kbps * 1000;
            let period = if rung.coding == Coding::Hevc { "hevc" } else { "h264" };
            let controls = format!(
                "controls,video_bitrate={bits},video_gop_size={distance},{period}_i_frame_period={distance}"
            );
            encoder.set_property_from_str("extra-controls", &controls);
        }
        "va" => {
            encoder.set_property("bitrate", rung.kbps);
            encoder.set_property("key-int-max", distance);
        }
        _ => {
            encoder.set_property("bitrate", rung.kbps);
            encoder.set_property_from_str("gop-size", &distance.to_string());
        }
    }
}

/// One encoder thread for each 1280x720 at 30: a thread more than needed costs 8 % CPU (measured on two cores)
/// and a frame of delay.
fn threads(canvas: Canvas) -> u32 {
    let pixels_per_second = f64::from(canvas.width * canvas.height) * canvas.rate.as_f64();
    (pixels_per_second / (1280.0 * 720.0 * 30.0)).ceil().clamp(1.0, 16.0) as u32
}
