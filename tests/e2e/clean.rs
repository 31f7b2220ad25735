//! The clean rendition: the publisher's own units, not coded again, with the same metadata.

use std::process::Command;

use mp4_atom::{Any, Decode};
use serde_json::Value;

use crate::stage::{Folder, PATIENCE, Server, clip, run, until};

fn server(mode: &str) -> Server {
    let data = Folder::new();
    let file = data.0.join("clean.toml");
    std::fs::write(&file, format!("[channels.main]\nmode = \"{mode}\"\nrungs = []\n")).unwrap();
    let file = file.to_str().unwrap().to_owned();
    Server::on(data, &["--config", &file])
}

const PLAYLIST: &str = "/live/main/clean/source.m3u8";

/// The playlist, once there is one: the slate is coded first.
fn playlist(server: &Server) -> String {
    until("the playlist", || {
        let (status, text) = server.get(PLAYLIST);
        (status == 200).then(|| String::from_utf8(text).unwrap())
    })
}

/// Whole segments in a playlist: number, seconds, and what stands before it.
fn segments(text: &str) -> Vec<(u64, f64, String)> {
    let mut found = Vec::new();
    let (mut before, mut seconds) = (String::new(), 0.0);
    for line in text.lines() {
        if let Some(length) = line.strip_prefix("#EXTINF:") {
            seconds = length.trim_end_matches(',').parse().unwrap();
        } else if let Some(file) = line.strip_prefix("source/") {
            let number = file.strip_suffix(".m4s").unwrap().parse().unwrap();
            found.push((number, seconds, std::mem::take(&mut before)));
        } else if line.starts_with("#EXT-X-DISCONTINUITY") && !line.contains("SEQUENCE")
            || line.contains("MAP")
        {
            before += line;
            before.push('\n');
        }
    }
    found
}

/// All pictures' bytes of a segment, in order.
fn pictures(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut sizes, mut found) = (bytes, Vec::new(), Vec::new());
    while !rest.is_empty() {
        match Any::decode(&mut rest).unwrap() {
            Any::Moof(moof) => {
                let traf = moof.traf.iter().find(|traf| traf.tfhd.track_id == 1).unwrap();
                let mp4_atom::TrunSamples::Explicit(entries) = &traf.trun[0].samples else { panic!() };
                sizes = entries.iter().map(|entry| entry.size.unwrap() as usize).collect();
            }
            Any::Mdat(mdat) => {
                let mut at = 0;
                for size in sizes.drain(..) {
                    found.push(mdat.data[at..at + size].to_vec());
                    at += size;
                }
            }
            _ => {}
        }
    }
    found
}

/// The coded pictures of a file, as ffmpeg cuts them out of it, without parameter sets.
fn coded(file: &std::path::Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v", "-c", "copy", "-bsf:v", "filter_units=remove_types=7-8", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn the_publishers_own_pictures_come_out_unchanged_and_a_drop_shows_the_slate() {
    let server = server("both");
    playlist(&server);
    let text = server.text("/live/main/clean/index.m3u8");
    assert!(text.contains("CODECS=\"avc1.") && text.contains("RESOLUTION=1280x720"), "the slate: {text}");
    server.product("cup", 8900);
    let host = server.publish(clip());
    let publishing =
        |text: &str| segments(text).iter().filter(|(_, _, before)| before.contains("DISCONTINUITY")).count();
    until("a discontinuity to the publisher", || (publishing(&playlist(&server)) == 1).then_some(()));
    assert_eq!(server.api("POST", "/cards/cup/show", b"").0, 200);
    let whole = until("segments of the publisher", || {
        let text = playlist(&server);
        let all = segments(&text);
        let start = all.iter().position(|(_, _, before)| before.contains("DISCONTINUITY"))?;
        (all.len() >= start + 4).then(|| all[start..].to_vec())
    });
    // The clip has a key frame every two seconds; every one of its pictures is there, byte for byte.
    let init = whole[0].2.split("URI=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut file = server.get(&format!("/live/main/clean/{init}")).1;
    for (number, seconds, _) in &whole[1..3] {
        assert!((seconds - 2.0).abs() < 0.1, "{whole:?}");
        let (status, bytes) = server.get(&format!("/live/main/clean/source/{number}.m4s"));
        assert_eq!((status, pictures(&bytes).len()), (200, 60));
        file.extend(bytes);
    }
    let path = server.data.0.join("clean.mp4");
    std::fs::write(&path, file).unwrap();
    let sent = coded(clip());
    assert!(coded(&path).iter().all(|picture| sent.contains(picture)), "no picture was changed");
    run(Command::new("ffmpeg").args(["-v", "error", "-xerror", "-i"]).arg(&path).args(["-f", "null", "-"]));
    until("the card in its metadata", || playlist(&server).contains("X-SKU=\"cup\"").then_some(()));
    let plain = server.text("/live/main/video.m3u8");
    let start = |text: &str| text.split("START-DATE=\"").nth(1).map(|rest| rest[..23].to_owned());
    assert_eq!(start(&plain), start(&playlist(&server)), "at the same moment");
    // Gone, and the slate comes; back, and it is the publisher again. The numbers go on.
    drop(host);
    until("the slate", || (publishing(&playlist(&server)) == 2).then_some(()));
    let _host = server.publish(clip());
    until("the publisher again", || (publishing(&playlist(&server)) == 3).then_some(()));
    let text = playlist(&server);
    let numbers: Vec<u64> = segments(&text).iter().map(|(number, _, _)| *number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert!(segments(&text).iter().all(|(_, seconds, _)| seconds.round() <= 6.0), "{text}");
    assert!(!text.contains("INDEPENDENT-SEGMENTS") && text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:"));
    assert_eq!(server.get("/live/main/clean/source-iframes.m3u8").0, 404);
}

#[test]
fn a_channel_that_is_only_clean_codes_no_picture_and_plays_at_its_usual_address() {
    let server = server("clean");
    playlist(&server);
    // A player that comes before the publisher sees one after the other.
    let slate = std::thread::spawn({
        let address = format!("{}/live/main/index.m3u8", server.http);
        move || play(&address, 12)
    });
    let _host = server.publish(clip());
    server.until_showing("live");
    until("the publisher", || playlist(&server).contains("#EXT-X-DISCONTINUITY\n").then_some(()));
    let text = server.text("/live/main/index.m3u8");
    assert!(text.contains("\nclean/source.m3u8"), "{text}");
    assert_eq!(server.get("/live/main/video.m3u8").0, 404);
    play(&format!("{}/live/main/index.m3u8", server.http), 4);
    slate.join().unwrap();
    assert!(server.channel()["cleanProblem"] == Value::Null);
}

/// An outside player reads `seconds` of it to the end.
fn play(address: &str, seconds: u32) {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-rw_timeout",
            &PATIENCE.as_micros().to_string(),
            "-t",
            &seconds.to_string(),
            "-i",
            address,
        ])
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Invalid data"), "{said}");
}

#[test]
fn after_a_kill_no_number_of_the_clean_rendition_comes_again() {
    let first = server("both");
    let newest = |server: &Server| segments(&playlist(server)).last().map(|(number, _, _)| *number);
    let before = until("a segment", || newest(&first));
    let sequence = |server: &Server| -> u64 {
        let text = playlist(server);
        text.split("DISCONTINUITY-SEQUENCE:").nth(1).unwrap().lines().next().unwrap().parse().unwrap()
    };
    let known = sequence(&first);
    let file = first.data.0.join("clean.toml").to_str().unwrap().to_owned();
    let second = first.again(&["--config", &file]);
    let after = until("a segment", || segments(&playlist(&second)).first().map(|(number, _, _)| *number));
    assert!(after > before, "{after} after {before}");
    assert!(sequence(&second) >= known && playlist(&second).contains("#EXT-X-DISCONTINUITY\n"));
}
