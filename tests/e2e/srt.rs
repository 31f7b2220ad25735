//! Publishers over SRT: real ffmpeg, `GStreamer` and `srt-live-transmit`, good networks and bad ones.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::relay::{Relay, Weather};
use crate::stage::{KEY, Process, Server, TOKEN, clip, make, run, until};

/// Sends `input` in real time, again and again, as MPEG-TS to an SRT address.
pub(crate) fn send(input: &Path, extra: &[&str], address: &str) -> Process {
    let child = Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(input)
        .args(["-map", "0", "-c", "copy"])
        .args(extra)
        .args(["-f", "mpegts", address])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

fn publisher(server: &Server) -> Value {
    server.channel()["publisher"].clone()
}

fn until_publisher(server: &Server, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, || Some(publisher(server)).filter(|publisher| is_it(publisher)))
}

#[test]
fn the_key_may_be_said_in_three_ways() {
    let server = Server::start();
    let mut last = 0;
    for stream_id in [format!("publish:{KEY}"), format!("#!::r={KEY},m=publish"), KEY.to_owned()] {
        let _host = send(clip(), &["-srt_streamid", &stream_id], &server.srt);
        let publisher = until_publisher(&server, &stream_id, |publisher| {
            publisher["role"] == "onAir" && publisher["id"].as_u64() > Some(last)
        });
        assert_eq!((&publisher["protocol"], &publisher["videoCodec"]), (&"srt".into(), &"H.264".into()));
        last = publisher["id"].as_u64().unwrap();
        server.until_showing("live");
        until_publisher(&server, "libsrt's counts", |publisher| {
            publisher["srt"]["packets"].as_u64() > Some(100)
        });
    }
}

#[test]
fn every_codec_of_the_trade_has_picture_and_sound() {
    let server = Server::start();
    let h264: &[&str] = &["-c:v", "libx264", "-g", "30"];
    let hevc: &[&str] = &["-c:v", "libx265", "-x265-params", "log-level=none:keyint=30"];
    let cases = [
        ("hevc-ac3", hevc, &["-c:a", "ac3"][..], "HEVC", "AC-3"),
        ("h264-mp2", h264, &["-c:a", "mp2"], "H.264", "MPEG audio"),
        ("h264-opus", h264, &["-c:a", "libopus"], "H.264", "Opus"),
        ("h264-latm", h264, &["-c:a", "aac", "-mpegts_flags", "latm"], "H.264", "AAC"),
        ("h264-eac3-51", h264, &["-c:a", "eac3", "-ac", "6"], "H.264", "E-AC-3"),
    ];
    for (name, video, audio, video_codec, audio_codec) in cases {
        let file = make(
            name,
            "ts",
            "testsrc2=size=640x360:rate=30",
            "sine=frequency=440:sample_rate=48000",
            &[video, audio].concat(),
        );
        let latm: &[&str] = if name == "h264-latm" { &["-mpegts_flags", "latm"] } else { &[] };
        let _host = send(&file, latm, &format!("{}?streamid=publish:{KEY}", server.srt));
        until_publisher(&server, name, |publisher| {
            publisher["role"] == "onAir"
                && publisher["videoCodec"] == video_codec
                && publisher["audioCodec"] == audio_codec
                && publisher["width"] == 640
        });
        server.until_showing("live");
        let segment = server.live_segment() + 1;
        let loudness = server.loudness(segment);
        assert!(loudness > 0.01, "{name} is silent: {loudness}");
    }
}

/// Calls with libsrt itself and prints the code with which it was refused, 0 when it was not.
const CALLER: &str = r#"
import ctypes, socket, struct, sys
host, port, stream_id, passphrase = sys.argv[1:]
srt = ctypes.CDLL("libsrt-gnutls.so.1.5")
srt.srt_startup()
srt.srt_setloglevel(0)
caller = srt.srt_create_socket()
srt.srt_setsockflag(caller, 46, stream_id.encode(), len(stream_id))
if passphrase:
    srt.srt_setsockflag(caller, 26, passphrase.encode(), len(passphrase))
name = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + socket.inet_aton(host) + bytes(8)
print(0 if srt.srt_connect(caller, name, len(name)) == 0 else srt.srt_getrejectreason(caller))
"#;

fn refusal(server: &Server, stream_id: &str, passphrase: &str) -> i32 {
    let (host, port) = server.srt.trim_start_matches("srt://").split_once(':').unwrap();
    let output =
        Command::new("python3").args(["-c", CALLER, host, port, stream_id, passphrase]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.trim().parse().unwrap_or_else(|_| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_wrong_key_is_refused_in_the_handshake_with_its_code() {
    let server = Server::start();
    let secret = "wrong-key-that-nobody-may-see";
    assert_eq!(refusal(&server, &format!("publish:{secret}"), ""), 1401, "unauthorized");
    assert_eq!(refusal(&server, &format!("read:{KEY}"), ""), 1405, "bad mode");
    assert_eq!(refusal(&server, "other:x", ""), 1400, "bad request");
    // A caller that is gone as soon as it is through may not have been seen.
    until("the address was let in", || {
        assert_eq!(refusal(&server, &format!("publish:{KEY}"), ""), 0);
        server.log().contains("SRT publisher on").then_some(())
    });
    let log = server.log();
    assert!(log.contains("the stream key is not known here") && !log.contains(secret), "{log}");
    // An address that only guesses is barred; one that was let in before is not.
    let other = Server::beside(&server);
    for _ in 0..12 {
        refusal(&server, "publish:guess", "");
        refusal(&other, "publish:guess", "");
    }
    assert_eq!(refusal(&other, &format!("publish:{KEY}"), ""), 1402, "too many failed tries");
    assert_eq!(refusal(&server, &format!("publish:{KEY}"), ""), 0, "known");
}

#[test]
fn a_passphrase_must_be_right_at_every_key_length() {
    let config = crate::stage::Folder::new();
    let file = config.0.join("vitrine.toml");
    std::fs::write(&file, "[channels.main]\nsrt_passphrase = 'correct-horse-battery'\n").unwrap();
    let server = Server::with(&["--config", file.to_str().unwrap()]);
    let address = |rest: &str| format!("{}?streamid=publish:{KEY}{rest}", server.srt);
    let stream_id = format!("publish:{KEY}");
    assert_eq!(refusal(&server, &stream_id, "wrong-horse-battery"), 10, "bad secret");
    assert_eq!(refusal(&server, &stream_id, ""), 11, "unsecure");
    for bad in ["", "&passphrase=wrong-horse-battery"] {
        let mut host = send(clip(), &[], &address(bad));
        until("the caller is refused", || host.0.try_wait().unwrap());
        assert_eq!(publisher(&server)["isConnected"], false);
    }
    let mut last = 0;
    for length in [16, 24, 32] {
        let _host =
            send(clip(), &[], &address(&format!("&passphrase=correct-horse-battery&pbkeylen={length}")));
        let on = until_publisher(&server, &format!("AES-{}", length * 8), |publisher| {
            publisher["role"] == "onAir" && publisher["id"].as_u64() > Some(last)
        });
        last = on["id"].as_u64().unwrap();
    }
}

#[test]
fn of_several_programs_the_first_with_a_picture_is_taken_and_said() {
    let server = Server::start();
    let file = server.data.0.join("programs.ts");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(clip())
        .args(["-map", "0:a", "-map", "0:v", "-map", "0:a", "-c", "copy"])
        .args(["-program", "title=radio:program_num=7:st=0", "-program", "title=tv:program_num=9:st=1:st=2"])
        .args(["-f", "mpegts"])
        .arg(&file));
    let programs =
        ["-program", "title=radio:program_num=7:st=0", "-program", "title=tv:program_num=9:st=1:st=2"];
    let _host = send(&file, &programs, &format!("{}?streamid=publish:{KEY}", server.srt));
    server.until_showing("live");
    let notes = publisher(&server)["notes"].to_string();
    assert!(notes.contains("program 9") && notes.contains("left out: 7"), "{notes}");
}

#[test]
fn loss_reordering_and_jitter_leave_the_picture_clean() {
    let server = Server::alone();
    let weather = Weather { loss_percent: 5, jitter_ms: 50 };
    let relay = Relay::start(server.srt.trim_start_matches("srt://").parse().unwrap(), weather);
    // The same still picture in every frame: whatever differs is damage.
    let still = make(
        "still",
        "ts",
        "smptebars=size=1280x720:rate=30",
        "sine=frequency=440:sample_rate=48000",
        &[
            "-c:v", "libx264", "-g", "60", "-b:v", "2500k", "-nal-hrd", "cbr", "-maxrate", "2500k",
            "-bufsize", "2500k", "-c:a", "aac",
        ],
    );
    // Ten round trips: on a busy machine five were now and then one too few.
    let _host = send(&still, &[], &format!("srt://{}?streamid=publish:{KEY}&latency=400000", relay.address));
    server.until_showing("live");
    let before = until_publisher(&server, "the first counts", |publisher| {
        publisher["srt"]["packets"].as_u64() > Some(300)
    });
    let first = server.live_segment() + 1;
    let mut reference: Option<Vec<u8>> = None;
    for segment in first..first + 5 {
        for frame in server.frames(segment, "scale=64:36", 64 * 36) {
            let reference = reference.get_or_insert_with(|| frame.clone());
            let worst = reference.iter().zip(&frame).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= 12, "a frame of segment {segment} differs by {worst}");
        }
    }
    let publisher = publisher(&server);
    let srt = &publisher["srt"];
    assert!(srt["lost"].as_u64() > Some(50) && srt["retransmitted"].as_u64() > Some(20), "{srt}");
    // What was lost before the first packet came cannot come again.
    assert_eq!(srt["dropped"], before["srt"]["dropped"], "{publisher}");
    assert_eq!(publisher["framesRepaired"], 0, "{publisher}");
}

#[test]
fn a_caller_that_vanishes_is_noticed_within_the_timeout() {
    let server = Server::start();
    let relay = Relay::start(
        server.srt.trim_start_matches("srt://").parse().unwrap(),
        Weather { loss_percent: 0, jitter_ms: 0 },
    );
    let _host = send(clip(), &[], &format!("srt://{}?streamid=publish:{KEY}", relay.address));
    server.until_showing("live");
    drop(relay); // no goodbye comes through any more
    until("the caller is gone", || (publisher(&server)["isConnected"] == false).then_some(()));
    server.until_showing("backSoon");
}

#[test]
fn gstreamers_srtsink_and_srt_live_transmit_publish_too() {
    let server = Server::start();
    let address = format!("{}?streamid=publish:{KEY}", server.srt);
    let quiet = |command: &mut Command| {
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let sink = format!("srtsink uri={}?mode=caller streamid=publish:{KEY}", server.srt);
    let text = format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! \
         x264enc tune=zerolatency key-int-max=30 ! mpegtsmux name=m ! {sink} \
         audiotestsrc is-live=true ! avenc_aac ! aacparse ! m."
    );
    let host =
        quiet(Command::new("gst-launch-1.0").arg("-q").args(text.split(' ').filter(|word| !word.is_empty())));
    until_publisher(&server, "srtsink", |publisher| {
        publisher["role"] == "onAir" && publisher["width"] == 320
    });
    drop(host);
    // srt-live-transmit takes UDP and sends SRT.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _carrier =
        quiet(Command::new("srt-live-transmit").args(["-q", &format!("udp://127.0.0.1:{port}"), &address]));
    let _host = send(clip(), &[], &format!("udp://127.0.0.1:{port}?pkt_size=1316"));
    until_publisher(&server, "srt-live-transmit", |publisher| {
        publisher["role"] == "onAir" && publisher["width"] == 1280
    });
}

/// A network namespace that goes with the test.
struct Namespace(&'static str);
impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", self.0]).output();
    }
}

/// The kernel's own impairment, where the machine has it.
#[test]
fn netem_in_a_namespace_leaves_the_picture_clean() {
    let name = "vitrine-e2e-netem";
    let ip = |arguments: &str| {
        Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|output| output.status.success())
    };
    let netem = "tc qdisc add dev lo root netem loss 5% delay 25ms 25ms";
    let is_there = ip(&format!("netns add {name}"))
        && ip(&format!("netns exec {name} ip link set lo up"))
        && ip(&format!("netns exec {name} {netem}"));
    let _namespace = Namespace(name);
    if !is_there {
        eprintln!(
            "skipped: no network namespace with netem here (root and the kernel's sch_netem are needed)"
        );
        return;
    }
    let server = Server::inside(name);
    let _host = Process(
        Command::new("ip")
            .args(["netns", "exec", name, "ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i"])
            .arg(clip())
            .args(["-c", "copy", "-f", "mpegts", &format!("{}?streamid=publish:{KEY}", server.srt)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    // Its pages are in the namespace too.
    let status = || -> Option<Value> {
        let url = format!("{}/api/v1/channels/main", server.http);
        let output = Command::new("ip")
            .args([
                "netns",
                "exec",
                name,
                "curl",
                "-s",
                "-H",
                &format!("Authorization: Bearer {TOKEN}"),
                &url,
            ])
            .output()
            .ok()?;
        serde_json::from_slice::<Value>(&output.stdout).ok().map(|channel| channel["publisher"].clone())
    };
    let on = until("twelve seconds of picture", || {
        status().filter(|publisher| publisher["frames"].as_u64() > Some(360))
    });
    assert!(on["srt"]["lost"].as_u64() > Some(0), "{on}");
    assert_eq!((&on["framesRepaired"], &on["srt"]["dropped"]), (&0.into(), &0.into()), "{on}");
}
