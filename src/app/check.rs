//! `vitrine check`: what this machine lacks, and the command that mends it.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use gstreamer as gst;

use crate::config::Config;
use crate::decode;
use crate::overlay::fonts;
use crate::pipeline::description::Description;

/// Which Debian or Ubuntu package has an element.
const PACKAGES: [(&str, &str); 13] = [
    ("av1", "gstreamer1.0-plugins-bad"),
    ("tsdemux", "gstreamer1.0-plugins-bad"),
    ("ac3parse", "gstreamer1.0-plugins-good"),
    ("mpg123", "gstreamer1.0-plugins-good"),
    ("vp9", "gstreamer1.0-plugins-good"),
    ("deinterlace", "gstreamer1.0-plugins-good"),
    ("clockoverlay", "gstreamer1.0-x"),
    ("timeoverlay", "gstreamer1.0-x"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
    ("avdec_", "gstreamer1.0-libav"),
    ("avenc_", "gstreamer1.0-libav"),
    ("rtmp2sink", "gstreamer1.0-plugins-bad"),
    ("flvmux", "gstreamer1.0-plugins-good"),
];

/// Pipelines beside the decoders, and whether nothing goes without them.
const OTHERS: [(&str, bool); 7] = [
    ("programme", true),
    ("demux_ts", true),
    ("check_code", false),
    ("pull", false),
    ("push_rtmp", false),
    ("push_srt", false),
    ("demo_host", false),
];

/// Looks and tells; `true` when the server can run.
#[allow(clippy::print_stdout)] // the command's output
pub fn run(config: &Config) -> bool {
    let mut missing: Vec<String> = Vec::new();
    let mut can_run = true;
    let mut say = |is_well: bool, is_needed: bool, text: String| {
        let mark = if is_well {
            "ok     "
        } else if is_needed {
            "MISSING"
        } else {
            "warning"
        };
        println!("{mark}  {text}");
        can_run &= is_well || !is_needed;
    };
    if let Err(error) =
        gst::init().map_err(|e| e.to_string()).and_then(|()| super::register().map_err(|e| e.to_string()))
    {
        say(false, true, format!("GStreamer: {error}"));
        return false;
    }
    say(true, true, gst::version_string().to_string());
    let decoders = decode::pipelines().map(|name| (name, name == "decode_h264" || name == "decode_aac"));
    for (name, is_needed) in decoders.into_iter().chain(OTHERS) {
        match Description::load(name, config.pipelines.as_deref()) {
            Err(error) => say(false, is_needed, error.to_string()),
            Ok(description) => {
                let lacking: Vec<String> = description
                    .factories()
                    .into_iter()
                    .filter(|factory| gst::ElementFactory::find(factory).is_none())
                    .collect();
                for factory in &lacking {
                    let package = PACKAGES.iter().find(|(prefix, _)| factory.starts_with(prefix));
                    missing.push(package.map_or("gstreamer1.0-plugins-base", |(_, package)| package).into());
                    say(false, is_needed, format!("pipeline {name}: no element {factory}"));
                }
                if lacking.is_empty() {
                    match description.build() {
                        Ok(_) => say(true, is_needed, format!("pipeline {name}")),
                        Err(error) => say(false, is_needed, error.to_string()),
                    }
                }
            }
        }
    }
    for (wanted, path) in fonts::find() {
        let text = format!("font for {} ({})", wanted.purpose, wanted.file);
        if path.is_none() {
            missing.push(wanted.package.into());
        }
        say(path.is_some(), false, text);
    }
    let rtmps = config.rtmps.map(|address| ("RTMPS", address));
    for (purpose, address) in [("HTTP", config.http), ("RTMP", config.rtmp)].into_iter().chain(rtmps) {
        let outcome = port(address);
        let text = match &outcome {
            Ok(()) => format!("{purpose} on {address}"),
            Err(error) => {
                format!("{purpose} on {address}: {error}; choose another with --{}", purpose.to_lowercase())
            }
        };
        say(outcome.is_ok(), true, text);
    }
    let srt = config.srt.address;
    match UdpSocket::bind(srt) {
        Ok(_) => say(true, true, format!("SRT on {srt}")),
        Err(error) => say(false, true, format!("SRT on {srt}: {error}; choose another with --srt")),
    }
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        println!("\nOn Debian or Ubuntu:\n  sudo apt-get install {}", missing.join(" "));
    }
    can_run
}

fn port(address: SocketAddr) -> Result<(), std::io::Error> {
    TcpListener::bind(address).map(drop)
}
