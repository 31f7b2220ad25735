//! What encoders of all ages send: other rates, sizes and sounds, clocks that jump and wrap, tracks that come late.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;

use crate::encoder::{Encoder, flv_tags};
use crate::stage::{KEY, Server, clip, make, other_clip, until};
use crate::sync::{assert_in_step, flash_and_beep};

fn publisher(server: &Server) -> Value {
    server.channel()["publisher"].clone()
}

const SINE: &str = "sine=frequency=440:sample_rate=48000";

#[test]
fn rates_sizes_and_sounds_of_all_kinds_are_fitted_into_the_programme() {
    let server = Server::start();
    let x264: &[&str] = &["-c:v", "libx264", "-g", "30", "-b:v", "800k", "-c:a", "aac"];
    let cases = [
        ("60000-1001", "testsrc2=size=642x360:rate=60000/1001", SINE, &[][..], 642, 59.94),
        ("50", "testsrc2=size=644x360:rate=50", SINE, &[], 644, 50.0),
        ("24", "testsrc2=size=646x360:rate=24", SINE, &[], 646, 24.0),
        (
            "44100-mono",
            "testsrc2=size=648x360:rate=25",
            "sine=frequency=440:sample_rate=44100",
            &["-ac", "1"],
            648,
            25.0,
        ),
        ("5.1", "testsrc2=size=650x360:rate=25", SINE, &["-ac", "6"], 650, 25.0),
        (
            "odd",
            "testsrc2=size=658x362:rate=30,format=yuv444p,crop=651:361:exact=1",
            SINE,
            &["-pix_fmt", "yuv444p"],
            651,
            30.0,
        ),
        ("tall", "testsrc2=size=360x640:rate=30", SINE, &[], 360, 30.0),
        (
            "vfr",
            "testsrc2=size=654x360:rate=30,select='not(eq(mod(n\\,7)\\,2))*not(eq(mod(n\\,5)\\,1))'",
            SINE,
            &["-vsync", "vfr"],
            654,
            20.6,
        ),
        (
            "interlaced",
            "testsrc2=size=652x360:rate=50,tinterlace=interleave_top,fieldorder=tff",
            SINE,
            &["-flags", "+ilme+ildct"],
            652,
            25.0,
        ),
    ];
    for (name, video, audio, more, width, fps) in cases {
        let file = make(name, "flv", video, audio, &[x264, more].concat());
        let _host = server.publish(&file);
        until(&format!("{name} is on air"), || {
            let publisher = publisher(&server);
            let has_rate = publisher["fps"].as_f64().is_some_and(|found| (found - fps).abs() < fps * 0.1);
            (publisher["role"] == "onAir" && publisher["width"] == width && has_rate).then_some(())
        });
        server.until_showing("live");
        let loudness = server.loudness(server.live_segment());
        assert!(loudness > 0.01, "{name} is silent: {loudness}");
        let seen = publisher(&server);
        // One, where the clip begins again.
        assert!(seen["framesLost"].as_u64() <= Some(1), "{name}: {seen}");
        match name {
            "interlaced" => assert!(seen["notes"].to_string().contains("interlaced"), "{seen}"),
            "tall" => assert!(seen["health"].to_string().contains("turn it"), "{seen}"),
            _ => {}
        }
    }
}

#[test]
fn one_track_alone_is_taken_and_said() {
    let server = Server::start();
    let sound_only = make("sound-only", "flv", "", SINE, &["-c:a", "aac"]);
    let host = server.publish(&sound_only);
    until("sound without a picture", || {
        let publisher = publisher(&server);
        let is_said = publisher["health"].to_string().contains("no picture comes");
        (is_said && publisher["role"] == "onAir").then_some(())
    });
    let segment = server.live_segment() + 1;
    let loudness = server.loudness(segment);
    assert!(loudness > 0.01, "{loudness} {} {}", server.channel(), server.log());
    assert_eq!(server.channel()["showing"], "startingSoon");
    drop(host);
    let picture_only =
        make("picture-only", "flv", "testsrc2=size=320x180:rate=30", "", &["-c:v", "libx264", "-g", "30"]);
    let _host = server.publish(&picture_only);
    server.until_showing("live");
    until("a picture without sound is said", || {
        publisher(&server)["health"].to_string().contains("no sound comes").then_some(())
    });
}

#[test]
fn keys_are_found_in_every_field_of_the_encoder() {
    let server = Server::start();
    for (app, name) in [
        ("live", KEY.to_owned()),
        (&*format!("live/{KEY}"), String::new()),
        ("live", format!("stream?key={KEY}")),
        (&*format!("live?key={KEY}"), "stream".to_owned()),
    ] {
        drop(Encoder::publish_as(&server, app, &name)); // panics when it is refused
    }
}

/// Sends a clip's tags in real time with stamps as `change` makes them; `false` leaves a tag out.
pub(crate) fn play(
    encoder: &mut Encoder,
    tags: &[(u8, u32, Bytes)],
    mut change: impl FnMut(u8, &mut u32) -> bool,
) {
    #[allow(clippy::disallowed_methods)] // an encoder sends in real time
    let start = std::time::Instant::now();
    let origin = tags.iter().map(|(_, stamp, _)| *stamp).min().unwrap_or(0);
    for (kind, stamp, body) in tags {
        let due = std::time::Duration::from_millis(u64::from(stamp - origin));
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let mut changed = *stamp;
        if change(*kind, &mut changed) {
            let sent = match kind {
                8 => encoder.audio(changed, body.clone()),
                9 => encoder.video(changed, body.clone()),
                _ => Ok(()),
            };
            sent.unwrap();
        }
    }
}

#[test]
fn a_picture_that_starts_seconds_after_the_sound_is_in_step_with_it() {
    let server = Server::alone();
    let tags = flv_tags(&flash_and_beep());
    let mut encoder = Encoder::publish(&server);
    // Configurations at once, pictures from the third group on.
    play(&mut encoder, &tags[..], |kind, stamp| kind == 8 || *stamp == 0 || *stamp >= 3900);
    let first = server.live_segment() - 2;
    assert_in_step(&server, first, 2);
}

#[test]
fn a_wrapping_clock_and_one_that_jumps_do_not_part_sound_and_picture() {
    let server = Server::alone();
    let tags = flv_tags(&flash_and_beep());
    let mut encoder = Encoder::publish(&server);
    // The clock wraps after three seconds; beyond 2^24 every header has an extended timestamp.
    play(&mut encoder, &tags, |_, stamp| {
        *stamp = stamp.wrapping_add(u32::MAX - 3000);
        true
    });
    assert_in_step(&server, server.live_segment() - 3, 3);
    assert_eq!(publisher(&server)["timestampRepairs"], 0);
    // The encoder's clock is reset in mid-stream, as after a reconnect behind a relay.
    play(&mut encoder, &tags, |_, _| true);
    assert_in_step(&server, server.live_segment() - 2, 2);
    let seen = publisher(&server);
    assert!((2..10).contains(&seen["timestampRepairs"].as_u64().unwrap()), "{seen}");
}

#[test]
fn stamps_out_of_order_and_a_new_configuration_in_mid_stream_go_through() {
    let server = Server::start();
    let mut encoder = Encoder::publish(&server);
    let mut n = 0;
    play(&mut encoder, &flv_tags(clip())[..400], |kind, stamp| {
        n += 1;
        if kind == 9 && n % 10 == 0 {
            *stamp = stamp.saturating_sub(70);
        }
        true
    });
    until("the first picture", || (publisher(&server)["width"] == 1280).then_some(()));
    assert!(publisher(&server)["timestampRepairs"].as_u64() > Some(5));
    server.until_showing("live");
    // The phone is turned: another size, the same connection.
    let base = flv_tags(clip())[399].1;
    play(&mut encoder, &flv_tags(other_clip())[..300], |_, stamp| {
        *stamp += base + 30;
        true
    });
    assert_eq!(publisher(&server)["width"], 640);
    assert!(["live", "held"].contains(&server.channel()["showing"].as_str().unwrap()));
}

#[test]
fn what_is_wrong_with_the_upload_and_the_encoder_is_told_in_plain_words() {
    let server = Server::alone();
    let rare = make(
        "rare",
        "flv",
        "testsrc2=size=1280x720:rate=30",
        SINE,
        &["-c:v", "libx264", "-g", "300", "-c:a", "aac"],
    );
    // A network that carries four fifths of what the encoder makes.
    let child = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-readrate", "0.8", "-stream_loop", "-1", "-i"])
        .arg(&rare)
        .args(["-c", "copy", "-f", "flv", &format!("{}/{KEY}", server.rtmp)])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let _host = crate::stage::Process(child);
    let health = until("both troubles are told", || {
        let health = publisher(&server)["health"].to_string();
        (health.contains("below the bitrate") && health.contains("key frames every")).then_some(health)
    });
    assert!(health.contains("set the encoder to 2 s"), "{health}");
    let percent: u32 = health.split("upload is ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((15..=25).contains(&percent), "{health}");
    let metrics = server.text("/metrics");
    assert!(metrics.contains("vitrine_ingest_health{channel=\"main\""), "{metrics}");
}

/// Resident memory of the server in MiB.
pub(crate) fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_publisher_at_a_hundred_times_real_time_is_held_to_it() {
    let server = Server::start();
    let tags = flv_tags(clip());
    let mut encoder = Encoder::publish(&server);
    let writer = std::thread::spawn(move || {
        for round in 0..30_u32 {
            for (kind, stamp, body) in &tags {
                let stamp = stamp + round * 10_100;
                let sent = match kind {
                    8 => encoder.audio(stamp, body.clone()),
                    9 => encoder.video(stamp, body.clone()),
                    _ => Ok(()),
                };
                if sent.is_err() {
                    return; // the server has stopped
                }
            }
        }
    });
    server.until_showing("live");
    let before = memory(&server);
    let segment = server.live_segment();
    server.segment("video", segment + 4);
    let seen = publisher(&server);
    assert!(seen["isConnected"] == true && seen["pace"].as_f64() < Some(1.6), "{seen}");
    assert_eq!(seen["timestampRepairs"], 0, "{seen}");
    let after = memory(&server);
    assert!(after < before + 80, "memory grew from {before} to {after} MiB");
    drop(server);
    writer.join().unwrap();
}

#[test]
fn rtmps_publishes_with_a_certificate_signed_by_itself() {
    let server = Server::with(&["--rtmps", "127.0.0.1:0"]);
    let endpoints: Value =
        serde_json::from_slice(&std::fs::read(server.data.0.join("endpoints.json")).unwrap()).unwrap();
    let address = format!("rtmps://{}/live/{KEY}", endpoints["rtmps"].as_str().unwrap());
    let _host = crate::stage::publisher(&address, clip(), std::process::Stdio::null());
    server.until_showing("live");
    assert_eq!(publisher(&server)["protocol"], "rtmps");
    let key: PathBuf = server.data.0.join("tls/key.pem");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(key).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "others may read the key");
}

#[test]
fn a_picture_of_ten_bits_comes_out_in_eight() {
    let coding = ["-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-g", "60", "-b:v", "1500k", "-c:a", "aac"];
    let deep =
        crate::stage::make("deep", "flv", "testsrc2=size=640x360:rate=30", "sine=frequency=440", &coding);
    let server = Server::start();
    server.product("cup", 8900);
    let _host = server.publish(&deep);
    server.until_showing("live");
    assert_eq!(server.api("POST", "/cards/cup/show", b"").0, 200);
    until("a QR over the picture", || server.qr_in(server.live_segment()));
}
