//! Channels that fetch their picture themselves: a file, RTMP, SRT, HLS and RTSP, with an encoder that goes before them.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::stage::{Folder, Process, Server, clip, until};

fn set(server: &Server, url: &str) {
    let body = json!({ "url": url }).to_string();
    let (status, answer) = server.api("PUT", "/channels/main/source", body.as_bytes());
    assert_eq!(status, 200, "{answer}");
}

fn until_source(server: &Server, what: &str, is_it: impl Fn(&Value, &Value) -> bool) -> Value {
    until(what, || {
        let channel = server.channel();
        is_it(&channel["source"], &channel["publisher"]).then_some(channel)
    })
}

pub(crate) fn quiet(command: &mut Command) -> Process {
    Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_file_is_played_again_and_again_until_an_encoder_comes() {
    let server = Server::alone();
    // Three seconds, so that it begins again under the test's eyes.
    crate::stage::run(
        Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(clip())
            .args(["-t", "3", "-c", "copy"])
            .arg(server.data.0.join("media/rehearsal.mp4")),
    );
    set(&server, "rehearsal.mp4");
    server.until_showing("live");
    // No hole where it begins again: every picture of ten seconds is another one than before, or nearly.
    let first = server.live_segment() + 1;
    let frames: Vec<Vec<u8>> =
        (first..first + 5).flat_map(|n| server.frames(n, "scale=160:90", 160 * 90)).collect();
    let still = frames
        .windows(2)
        .filter(|pair| pair[0].iter().zip(&pair[1]).all(|(a, b)| a.abs_diff(*b) <= 3))
        .count();
    assert!(still <= 24, "{still} of {} pictures stood", frames.len());
    let channel = server.channel();
    assert!(channel["publisher"]["timestampRepairs"].as_u64() >= Some(2), "{channel}");
    assert_eq!((&channel["source"]["url"], &channel["showing"]), (&"rehearsal.mp4".into(), &"live".into()));
    let host = server.publish(clip());
    until_source(&server, "the encoder goes before the file", |_, publisher| {
        publisher["protocol"] == "rtmp" && publisher["role"] == "onAir"
    });
    drop(host);
    until_source(&server, "and the file comes back", |_, publisher| {
        publisher["protocol"] == "pull" && publisher["role"] == "onAir"
    });
    assert_eq!(server.api("DELETE", "/channels/main/source", b"").0, 200);
    until_source(&server, "no source", |source, publisher| {
        source.is_null() && publisher["isConnected"] == false
    });
}

#[test]
fn what_cannot_be_pulled_is_said_and_tried_again() {
    let server = Server::start();
    for (url, words) in [
        ("../secrets.json", "it is not a file there"),
        ("gopher://host/x", "cannot be pulled"),
        (&*format!("rtmp://127.0.0.1:{}/live/secret-of-the-relay", free_port()), "rtmp://127.0.0.1"),
    ] {
        set(&server, url);
        until_source(&server, words, |source, _| {
            source["state"] == "waiting" && source.to_string().contains(words)
        });
    }
    let told = server.channel().to_string() + &server.log();
    assert!(!told.contains("secret-of-the-relay"), "{told}");
}

#[test]
fn other_servers_are_relayed_over_hls_rtmp_srt_and_rtsp() {
    let origin = Server::start();
    let _host = origin.publish(clip());
    origin.until_showing("live");
    let relay = Server::beside(&origin);
    set(&relay, &format!("{}/live/main/index.m3u8", origin.http));
    until_source(&relay, "HLS", |source, publisher| source["state"] == "on" && publisher["role"] == "onAir");
    relay.until_showing("live");
    // nginx-rtmp, ffmpeg as an SRT listener, GStreamer's RTSP server.
    let folder = Folder::new();
    let (rtmp, srt, rtsp) = (free_port(), free_port(), free_port());
    let rtmp_url = format!("rtmp://127.0.0.1:{rtmp}/live/x");
    let configuration = folder.0.join("nginx.conf");
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\ndaemon off; master_process off;\n\
         pid {0}/pid; error_log {0}/log;\nevents {{ }}\n\
         rtmp {{ server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; }} }} }}\n",
        folder.0.display()
    );
    std::fs::write(&configuration, text).unwrap();
    let _nginx = quiet(Command::new("nginx").arg("-p").arg(&folder.0).arg("-c").arg(&configuration));
    until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", rtmp)).ok());
    let _rtmp = crate::stage::publisher(&rtmp_url, clip(), Stdio::null());
    let _srt =
        quiet(
            Command::new("ffmpeg")
                .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
                .arg(clip())
                .args(["-c", "copy", "-f", "mpegts", &format!("srt://127.0.0.1:{srt}?mode=listener")]),
        );
    let _rtsp = quiet(Command::new("/usr/bin/python3").args(["-c", RTSP_SERVER, &rtsp.to_string()]));
    until("the RTSP server listens", || std::net::TcpStream::connect(("127.0.0.1", rtsp)).ok());
    for url in [rtmp_url, format!("srt://127.0.0.1:{srt}"), format!("rtsp://127.0.0.1:{rtsp}/x")] {
        let scheme = url.split(':').next().unwrap().to_owned();
        set(&relay, &url);
        until_source(&relay, &scheme, |source, publisher| {
            source["state"] == "on"
                && publisher["role"] == "onAir"
                && publisher["frames"].as_u64() > Some(60)
                && publisher["address"].as_str().is_some_and(|address| address.starts_with(&scheme))
        });
    }
}

const RTSP_SERVER: &str = r#"
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer, GLib
Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1"); server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch("( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! "
    "x264enc tune=zerolatency key-int-max=30 ! rtph264pay name=pay0 pt=96 "
    "audiotestsrc is-live=true ! avenc_aac ! rtpmp4apay name=pay1 pt=97 )")
server.get_mount_points().add_factory("/x", factory)
server.attach(None)
GLib.MainLoop().run()
"#;
