//! Minutes of one channel with everything that happens to it: every version of every playlist is a legal step from the one
//! before, and the media is what the playlists say.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mp4_atom::{Any, Decode, TrunSamples};

use crate::playlist::tag;
use crate::stage::{Folder, PATIENCE, Server, clip, other_clip, run};

/// Media playlists that are followed: those with parts by blocking reload, the key frames by whole segments.
const FOLLOWED: [&str; 5] = ["video", "video-270", "audio", "video-iframes", "clean/source"];
/// Segments between two things that happen.
const PAUSE: u64 = 5;

/// A version as a player knows it.
struct Version {
    text: String,
    first: u64,
    discontinuities: u64,
    segments: BTreeMap<u64, Entry>,
}

/// A listed segment: address, date, length, and whether it is whole, missing, or begins something else.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    address: String,
    date: String,
    seconds: f64,
    is_gap: bool,
    is_discontinuous: bool,
    parts: Vec<(String, f64)>,
    map: String,
}

fn read(text: String) -> Version {
    let number = |name| tag(&text, name).parse().unwrap();
    let first: u64 = number("#EXT-X-MEDIA-SEQUENCE:");
    let mut segments = BTreeMap::new();
    let empty = Entry {
        address: String::new(),
        date: String::new(),
        seconds: 0.0,
        is_gap: false,
        is_discontinuous: false,
        parts: Vec::new(),
        map: String::new(),
    };
    let mut next = empty.clone();
    for line in text.lines() {
        if let Some(date) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            next.date = date.into();
        } else if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
            next.map = map.trim_end_matches('"').into();
        } else if line == "#EXT-X-DISCONTINUITY" {
            next.is_discontinuous = true;
        } else if line == "#EXT-X-GAP" {
            next.is_gap = true;
        } else if let Some(part) = line.strip_prefix("#EXT-X-PART:DURATION=") {
            let (seconds, rest) = part.split_once(",URI=\"").unwrap();
            next.parts.push((rest.split('"').next().unwrap().into(), seconds.parse().unwrap()));
        } else if let Some(seconds) = line.strip_prefix("#EXTINF:") {
            next.seconds = seconds.trim_end_matches(',').parse().unwrap();
        } else if !line.starts_with('#') && !line.is_empty() {
            let map = next.map.clone();
            next.address = line.into();
            segments.insert(
                first + segments.len() as u64,
                std::mem::replace(&mut next, Entry { map, ..empty.clone() }),
            );
        }
    }
    let discontinuities = number("#EXT-X-DISCONTINUITY-SEQUENCE:");
    Version { text, first, discontinuities, segments }
}

/// The rules of rfc8216bis 6.2.1 and 6.2.2 for a step from one version to the next.
fn check_step(name: &str, before: &Version, after: &Version, is_restart: bool) {
    let told = || format!("{name}\n--- before\n{}\n--- after\n{}", before.text, after.text);
    for constant in ["#EXT-X-TARGETDURATION:", "#EXT-X-SERVER-CONTROL:", "#EXT-X-VERSION:"] {
        assert_eq!(tag(&before.text, constant), tag(&after.text, constant), "{}", told());
    }
    assert!(after.first >= before.first, "the sequence goes back: {}", told());
    let gone =
        before.segments.range(..after.first).filter(|(_, entry)| entry.is_discontinuous).count() as u64;
    if !is_restart || !name.starts_with("clean") {
        assert_eq!(after.discontinuities, before.discontinuities + gone, "{}", told());
        assert!(after.segments.keys().last() >= before.segments.keys().last(), "{}", told());
        for (number, entry) in before.segments.range(after.first..) {
            let same =
                after.segments.get(number).unwrap_or_else(|| panic!("{number} is missing: {}", told()));
            let plain = |entry: &Entry| Entry { parts: Vec::new(), map: String::new(), ..entry.clone() };
            assert_eq!(plain(entry), plain(same), "segment {number} changed: {}", told());
        }
    } else {
        // It lies in memory only: a restart begins a new list, and no number comes again.
        assert!(after.discontinuities >= before.discontinuities, "{}", told());
        assert!(after.segments.keys().next() > before.segments.keys().last(), "{}", told());
    }
    let target: f64 = tag(&after.text, "#EXT-X-TARGETDURATION:").parse().unwrap();
    assert!(after.segments.values().all(|entry| entry.seconds.round() <= target), "{}", told());
}

/// Follows a playlist until told to stop; a server that is away for a moment is asked again.
fn follow(url: String, stop: Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
        let (mut versions, mut query): (Vec<String>, String) = (Vec::new(), String::new());
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut response) = agent.get(format!("{url}{query}")).call() else {
                query.clear();
                std::thread::sleep(std::time::Duration::from_millis(50)); // it starts again
                continue;
            };
            let Ok(text) = response.body_mut().read_to_string() else { continue };
            let hint = text.split("TYPE=PART,URI=\"").nth(1).and_then(|rest| rest.split('"').next());
            query = if let Some(hint) = hint {
                let mut numbers = hint.rsplit('/').next().unwrap().split('.');
                format!("?_HLS_msn={}&_HLS_part={}", numbers.next().unwrap(), numbers.next().unwrap())
            } else {
                let last = read(text.clone()).segments.keys().last().copied().unwrap();
                format!("?_HLS_msn={}", last + 1)
            };
            versions.push(text);
        }
        versions
    })
}

/// Ticks that the samples of a file say, of its first track.
fn seconds_of(init: &[u8], bytes: &[u8]) -> f64 {
    let (mut rest, mut scale, mut ticks) = (init, 0, 0_u64);
    while !rest.is_empty() {
        if let Any::Moov(moov) = Any::decode(&mut rest).unwrap() {
            scale = moov.trak[0].mdia.mdhd.timescale;
        }
    }
    rest = bytes;
    while !rest.is_empty() {
        if let Any::Moof(moof) = Any::decode(&mut rest).unwrap() {
            let TrunSamples::Explicit(entries) = &moof.traf[0].trun[0].samples else {
                panic!("no durations")
            };
            ticks += entries.iter().map(|entry| u64::from(entry.duration.unwrap())).sum::<u64>();
        }
    }
    ticks as f64 / f64::from(scale)
}

/// Media of a version: whole segments are their parts, and as long as it says.
fn check_media(server: &Server, name: &str, version: &Version) {
    let folder = if name.starts_with("clean") { "/live/main/clean/" } else { "/live/main/" };
    let get = |address: &str| {
        let (status, bytes) = server.get(&format!("{folder}{address}"));
        assert_eq!(status, 200, "{address}");
        bytes
    };
    let mut looked_at = 0;
    for entry in version.segments.values().rev().filter(|entry| !entry.is_gap && !entry.parts.is_empty()) {
        let (init, whole) = (get(&entry.map), get(&entry.address));
        let parts: Vec<Vec<u8>> = entry.parts.iter().map(|(address, _)| get(address)).collect();
        assert!(parts.concat() == whole, "{}: the parts are the segment, byte for byte", entry.address);
        assert!((seconds_of(&init, &whole) - entry.seconds).abs() < 1e-4, "{entry:?}");
        for ((address, seconds), part) in entry.parts.iter().zip(&parts) {
            assert!((seconds_of(&init, part) - seconds).abs() < 2e-5, "{address}: {seconds}");
        }
        looked_at += 1;
    }
    assert!(looked_at > 0, "{name}: {}", version.text);
}

#[test]
fn two_minutes_of_drops_takeovers_and_a_kill_are_one_legal_list_of_right_media() {
    let data = Folder::new();
    let file = data.0.join("endless.toml");
    let text = "[channels.main]\nmode = \"both\"\nwidth = 640\nheight = 360\n\
                rungs = [{ height = 270, kbps = 200 }]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let mut server = Server::alone_on(data, &["--config", &file]);
    let mut before_kill: BTreeMap<&str, Vec<Version>> = BTreeMap::new();
    for is_second in [false, true] {
        let stop = Arc::new(AtomicBool::new(false));
        let followed: Vec<_> = FOLLOWED
            .iter()
            .map(|name| (*name, follow(format!("{}/live/main/{name}.m3u8", server.http), stop.clone())))
            .collect();
        let pause = || {
            let end = server.live_segment() + PAUSE;
            server.segment("video", end);
        };
        pause();
        let first = server.publish(clip());
        server.until_showing("live");
        pause();
        let second = server.publish(other_clip()); // takes over
        pause();
        drop(first);
        pause();
        drop(second);
        pause();
        let _third = server.publish(clip());
        server.until_showing("live");
        pause();
        stop.store(true, Ordering::Relaxed);
        for (name, versions) in followed {
            let versions: Vec<Version> = versions.join().unwrap().into_iter().map(read).collect();
            let least = if name.contains("iframes") { 15 } else { 60 };
            assert!(versions.len() > least, "{name}: {} versions", versions.len());
            for pair in versions.windows(2) {
                check_step(name, &pair[0], &pair[1], false);
            }
            if let Some(before) = before_kill.get(name) {
                check_step(name, before.last().unwrap(), &versions[0], true);
            }
            if !name.contains("iframes") {
                check_media(&server, name, &read(server.text(&format!("/live/main/{name}.m3u8"))));
            }
            before_kill.entry(name).or_default().extend(versions);
        }
        if !is_second {
            server = server.again(&["--config", &file]); // SIGKILL
        }
    }
    // An outside reader takes every version, too.
    let all: Vec<&Version> = before_kill.values().flatten().collect();
    for (n, version) in all.iter().enumerate() {
        std::fs::write(server.data.0.join(format!("{n}.m3u8")), &version.text).unwrap();
    }
    for chunk in (0..all.len()).collect::<Vec<_>>().chunks(500) {
        let mut oracle = Command::new("node");
        oracle
            .arg("tests/oracle/parse.mjs")
            .args(chunk.iter().map(|n| server.data.0.join(format!("{n}.m3u8"))));
        run(&mut oracle);
    }
}
