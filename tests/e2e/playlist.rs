//! Playlists: right from the first second, legal from version to version, read by an outside parser.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ladder::key_frames;
use crate::stage::{PATIENCE, Server, clip, run, until};

/// Follows both media playlists by blocking reload, as a low-latency player does.
pub(crate) struct Poll {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

/// Every version that was seen.
pub(crate) struct Versions {
    pub(crate) video: Vec<String>,
    pub(crate) audio: Vec<String>,
}

impl Poll {
    pub(crate) fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = ["video", "audio"].map(|track| {
            let (url, stop) = (format!("{}/live/main/{track}.m3u8", server.http), stop.clone());
            std::thread::spawn(move || follow(&url, &stop))
        });
        Self { stop, threads: threads.into() }
    }

    pub(crate) fn stop(self) -> Versions {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = self.threads.into_iter().map(|thread| thread.join().unwrap());
        Versions { video: all.next().unwrap(), audio: all.next().unwrap() }
    }
}

fn follow(url: &str, stop: &AtomicBool) -> Vec<String> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
    let mut versions: Vec<String> = Vec::new();
    let mut query = String::new();
    while !stop.load(Ordering::Relaxed) {
        let mut response = agent.get(format!("{url}{query}")).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let hint = text.split("TYPE=PART,URI=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut numbers = hint.rsplit('/').next().unwrap().split('.');
        let (segment, part) = (numbers.next().unwrap(), numbers.next().unwrap());
        query = format!("?_HLS_msn={segment}&_HLS_part={part}");
        versions.push(text);
    }
    versions
}

pub(crate) fn tag<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// What a playlist says of each segment: address, duration, date, discontinuity.
fn segments(text: &str) -> BTreeMap<u64, (String, String, String)> {
    let mut found = BTreeMap::new();
    let first: u64 = tag(text, "#EXT-X-MEDIA-SEQUENCE:").parse().unwrap();
    let (mut date, mut duration) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            date = value.into();
        } else if let Some(value) = line.strip_prefix("#EXTINF:") {
            duration = value.into();
        } else if !line.starts_with('#') && !line.is_empty() {
            found.insert(first + found.len() as u64, (line.to_owned(), duration.clone(), date.clone()));
        }
    }
    found
}

impl Versions {
    /// Every successive pair of versions is a legal edit (rfc8216bis 6.2.1, 6.2.2), and the constants hold.
    pub(crate) fn check(&self) {
        for versions in [&self.video, &self.audio] {
            assert!(versions.len() > 10, "only {} versions", versions.len());
            for pair in versions.windows(2) {
                check_edit(&pair[0], &pair[1]);
            }
            for text in versions {
                check_alone(text);
            }
        }
    }
}

fn check_edit(before: &str, after: &str) {
    for constant in [
        "#EXT-X-TARGETDURATION:",
        "#EXT-X-PART-INF:",
        "#EXT-X-SERVER-CONTROL:",
        "#EXT-X-VERSION:",
        "#EXT-X-MAP:",
    ] {
        assert_eq!(tag(before, constant), tag(after, constant), "a constant changed");
    }
    let number = |text, name| tag(text, name).parse::<u64>().unwrap();
    let (first, next) = (number(before, "#EXT-X-MEDIA-SEQUENCE:"), number(after, "#EXT-X-MEDIA-SEQUENCE:"));
    assert!(next >= first && next <= first + 2, "media sequence {first} to {next}");
    let sequence = "#EXT-X-DISCONTINUITY-SEQUENCE:";
    assert!(number(after, sequence) >= number(before, sequence));
    let (old, new) = (segments(before), segments(after));
    for (n, segment) in &old {
        assert!(*n < next || new.get(n) == Some(segment), "segment {n} changed:\n{before}\n{after}");
    }
    assert!(new.keys().last() >= old.keys().last(), "a segment at the end went away");
}

fn check_alone(text: &str) {
    let target: f64 = tag(text, "#EXT-X-TARGETDURATION:").parse().unwrap();
    let part_target: f64 = tag(text, "#EXT-X-PART-INF:PART-TARGET=").parse().unwrap();
    let hold_back = tag(text, "#EXT-X-SERVER-CONTROL:").split("PART-HOLD-BACK=").nth(1).unwrap();
    let hold_back: f64 = hold_back.split(',').next().unwrap().parse().unwrap();
    assert!(hold_back >= 3.0 * part_target, "PART-HOLD-BACK is under three parts");
    for line in text.lines() {
        if let Some(duration) = line.strip_prefix("#EXTINF:") {
            let seconds: f64 = duration.trim_end_matches(',').parse().unwrap();
            assert!(seconds.round() <= target, "{line}");
        }
        if let Some(rest) = line.strip_prefix("#EXT-X-PART:DURATION=") {
            let seconds: f64 = rest.split(',').next().unwrap().parse().unwrap();
            assert!(seconds <= part_target && seconds >= 0.85 * part_target, "{line} against {part_target}");
        }
    }
    assert_eq!(text.matches("#EXT-X-PRELOAD-HINT:TYPE=PART").count(), 1);
    assert_eq!(text.matches("#EXT-X-RENDITION-REPORT:").count(), 1, "{text}");
}

#[test]
fn a_viewer_finds_a_whole_playlist_before_anybody_publishes() {
    let server = Server::start();
    let playlist = server.text("/live/main/video.m3u8");
    assert!(playlist.contains("#EXTINF:2.00000,"), "{playlist}");
    assert_eq!(server.channel()["showing"], "startingSoon");
    let url = format!("{}/live/main/index.m3u8", server.http);
    let probe = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_name,width,height,sample_rate",
            "-of",
            "csv=p=0",
            &url,
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(probe.stdout).unwrap();
    assert!(text.contains("h264,1280,720") && text.contains("aac,48000"), "{text}");
}

#[test]
fn versions_of_a_live_playlist_are_legal_edits_and_an_outside_parser_reads_them() {
    let server = Server::start();
    let _host = server.publish(clip());
    let poll = Poll::start(&server);
    server.until_showing("live");
    let end = server.live_segment() + 5;
    server.segment("video", end);
    let versions = poll.stop();
    versions.check();
    // Every version that a player could have seen, not one lucky one.
    let index = [server.text("/live/main/index.m3u8")];
    let mut oracle = Command::new("node");
    oracle.arg("tests/oracle/parse.mjs");
    for (n, text) in versions.video.iter().chain(&versions.audio).chain(&index).enumerate() {
        let file = server.data.0.join(format!("{n}.m3u8"));
        std::fs::write(&file, text).unwrap();
        oracle.arg(file);
    }
    run(&mut oracle);
}

#[test]
fn an_encoder_that_fails_is_built_anew_and_leaves_gaps_on_the_same_timeline() {
    let pipelines = crate::stage::Folder::new();
    // The built-in pipeline, but its encoder's input breaks every 300 frames.
    let text = include_str!("../../pipelines/rung_x264.gst")
        .replace("! x264enc", "! identity error-after=300 ! x264enc");
    std::fs::write(pipelines.0.join("rung_x264.gst"), text).unwrap();
    let server = Server::with(&["--pipelines", pipelines.0.to_str().unwrap()]);
    let poll = Poll::start(&server);
    let gap = |text: &str| text.contains("#EXT-X-GAP");
    until("a gap, and whole segments after it", || {
        let text = server.text("/live/main/video.m3u8");
        let after = text.rsplit("#EXT-X-GAP").next().unwrap();
        (gap(&text) && after.matches("#EXTINF").count() >= 3).then_some(())
    });
    let versions = poll.stop();
    versions.check();
    assert!(gap(versions.audio.last().unwrap()), "both tracks have it");
    server.until_logged("the encoder is built anew");
}

#[test]
fn a_machine_that_is_too_slow_leaves_out_pictures_and_stays_in_time() {
    let pipelines = crate::stage::Folder::new();
    // An encoder with a tenth of a second for each picture: a third of what 30 a second need.
    let text = include_str!("../../pipelines/rung_x264.gst")
        .replace("! x264enc", "! identity sleep-time=100000 ! x264enc");
    std::fs::write(pipelines.0.join("rung_x264.gst"), text).unwrap();
    let server = Server::with(&["--pipelines", pipelines.0.to_str().unwrap()]);
    let _host = server.publish(clip());
    server.until_showing("live");
    let poll = Poll::start(&server);
    let first = server.live_segment();
    let mut latest = 0;
    until("ten segments", || {
        latest = latest.max(server.channel()["behindMs"].as_u64().unwrap());
        (server.live_segment() > first + 10).then_some(())
    });
    assert!(latest < 2000, "{latest} ms behind");
    assert!(server.channel()["skippedFrames"].as_u64() > Some(100), "{}", server.channel());
    server.until_logged("does not keep up");
    // In the end the machine is as little burdened as it can be.
    until("the fastest preset", || (server.channel()["loweredPreset"] == "ultrafast").then_some(()));
    let versions = poll.stop();
    versions.check();
    let newest = versions.video.last().unwrap();
    assert!(!newest.contains("#EXT-X-GAP"), "nothing is missing: {newest}");
    let keys = key_frames(&server, "video", first..first + 10);
    assert_eq!(keys.len(), 10, "one in each segment: {keys:?}");
    assert!(keys.windows(2).all(|pair| pair[1] - pair[0] == 2000), "{keys:?}");
    // Also by players that keep to the first initialisation segment that they read.
    let file = server.data.0.join("video.mp4");
    run(Command::new("ffmpeg").args(["-v", "error", "-xerror", "-i"]).arg(&file).args(["-f", "null", "-"]));
}

#[test]
fn delivery_directives_are_answered_as_specified() {
    let server = Server::start();
    let segment = until("a segment in progress", || Some(server.live_segment()));
    let status = |query: &str| server.get(&format!("/live/main/video.m3u8?{query}")).0;
    assert_eq!(status("_HLS_part=1"), 400, "a part without its segment");
    assert_eq!(status(&format!("_HLS_msn={}", segment + 5)), 400, "too far ahead");
    assert_eq!(status("_HLS_msn=1"), 200, "long past");
    assert_eq!(status("utm_source=x"), 200);
    let held = server.text(&format!("/live/main/video.m3u8?_HLS_msn={}", segment + 1));
    assert!(held.contains(&format!("video/{}.m4s", segment + 1)), "held until the segment is there");
    assert_eq!(server.get("/live/main/video/999999.m4s").0, 404);
    assert_eq!(server.get("/live/nosuch/index.m3u8").0, 404);
    let next = server.text("/live/main/video.m3u8");
    let hint = next.split("TYPE=PART,URI=\"").nth(1).unwrap().split('"').next().unwrap();
    let (status, bytes) = server.get(&format!("/live/main/{hint}"));
    assert!(status == 200 && bytes.len() > 100, "the hinted part is held and then whole");
}

#[test]
fn playlists_are_compressed_and_kept_as_specified() {
    let server = Server::start();
    let agent = ureq::Agent::config_builder().build().new_agent();
    let get = |path: &str, coding: &str| {
        agent.get(format!("{}{path}", server.http)).header("accept-encoding", coding).call().unwrap()
    };
    let plain = get("/live/main/video.m3u8", "identity");
    let header = |response: &ureq::http::Response<ureq::Body>, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(&plain, "content-type").as_deref(), Some("application/vnd.apple.mpegurl"));
    assert_eq!(header(&plain, "cache-control").as_deref(), Some("public, max-age=1"));
    assert_eq!(header(&plain, "access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(header(&plain, "content-encoding"), None);
    for (accepted, chosen) in [("gzip", "gzip"), ("br, gzip", "br")] {
        let coded = get("/live/main/video.m3u8", accepted);
        assert_eq!(header(&coded, "content-encoding").as_deref(), Some(chosen));
    }
    let held = get(&format!("/live/main/video.m3u8?_HLS_msn={}", server.live_segment()), "gzip");
    assert_eq!(header(&held, "cache-control").as_deref(), Some("public, max-age=12"));
    let segment = server.live_segment() - 1;
    let media = get(&format!("/live/main/video/{segment}.m4s"), "gzip");
    assert_eq!(header(&media, "content-type").as_deref(), Some("video/mp4"));
    assert_eq!(header(&media, "content-encoding"), None);
    let tag = header(&media, "etag").unwrap();
    let again =
        agent.get(format!("{}/live/main/video/{segment}.m4s", server.http)).header("if-none-match", &tag);
    assert_eq!(again.call().unwrap().status().as_u16(), 304, "what a player has is not sent again");
}
