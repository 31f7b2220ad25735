//! Shows after they are over: played, cut by product, downloaded, deleted.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::stage::{Folder, Server, run, until};
use crate::sync::flash_and_beep;

/// A show is over fifteen seconds after its publisher: a server is back before that.
const RULES: &str = "[archive]\ngap_min = 0.25\n[channels.main]\nrungs = []\n";

fn server(rules: &str) -> (Server, String) {
    let data = Folder::new();
    let file = data.0.join("archive.toml");
    std::fs::write(&file, rules).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (Server::on(data, &["--config", &file]), file)
}

fn shows(server: &Server) -> Vec<Value> {
    server.api("GET", "/channels/main/shows", b"").1["shows"].as_array().unwrap().clone()
}

/// Goes on until `count` more segments are whole.
fn segments(server: &Server, count: u64) {
    server.segment("video", server.live_segment() + count - 1);
}

/// Seconds of what an address plays, as an outside player counts them.
fn seconds(address: &str) -> f64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", address])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{address}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

fn decoded(address: &str) {
    run(Command::new("ffmpeg").args(["-v", "error", "-xerror", "-i", address, "-f", "null", "-"]));
}

fn download(server: &Server, address: &str, name: &str) -> PathBuf {
    let (status, bytes) = server.get(address);
    assert_eq!(status, 200, "{address}");
    let file = server.data.0.join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

/// Starts of flashes and of beeps in a file, in seconds.
fn starts(file: &Path) -> (Vec<f64>, Vec<f64>) {
    let lines = |filter: &[&str]| {
        let output =
            Command::new("ffmpeg").args(["-hide_banner", "-i"]).arg(file).args(filter).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let after = |text: &str, name: &str| -> Vec<f64> {
        let found = text.split(name).skip(1);
        found.map(|rest| rest.split([' ', '\n', '\r']).next().unwrap().parse().unwrap()).collect()
    };
    let light = lines(&["-vf", "negate,blackdetect=d=0.05:pix_th=0.3", "-an", "-f", "null", "-"]);
    let sound = lines(&["-af", "silencedetect=n=-20dB:d=0.3", "-vn", "-f", "null", "-"]);
    (after(&light, "black_start:"), after(&sound, "silence_end: "))
}

#[test]
fn a_show_is_kept_with_its_chapters_and_comes_as_one_file() {
    let (first, rules) = server(RULES);
    first.product("cup", 8900);
    let host = first.publish(&flash_and_beep());
    first.until_showing("live");
    segments(&first, 2);
    // The server is killed in mid-show, and the show goes on.
    let second = first.again(&["--config", &rules]);
    drop(host);
    let host = second.publish(&flash_and_beep());
    second.until_showing("live");
    let (status, _) = second.api("POST", "/cards/cup/show", b"");
    assert_eq!(status, 200);
    segments(&second, 2);
    assert_eq!(second.api("POST", "/cards/cup/hide", b"").0, 200);
    segments(&second, 2);
    let running = shows(&second);
    assert!(running.len() == 1 && running[0]["isRunning"] == true, "{running:?}");
    drop(host);
    let show =
        until("the show is over", || shows(&second).into_iter().find(|show| show["isRunning"] == false));
    let playlist = show["playlist"].as_str().unwrap().to_owned();
    let text = second.text(&playlist.replace("index", "video"));
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && text.contains("X-SKU=\"cup\""), "{text}");
    let address = format!("{}{playlist}", second.http);
    decoded(&address);

    let file = download(&second, show["download"].as_str().unwrap(), "show.mp4");
    let (whole, listed) = (seconds(file.to_str().unwrap()), text.matches("#EXTINF").count() as f64 * 2.0);
    assert!((whole - listed).abs() < 0.1, "{whole} s, {listed} s listed");
    decoded(file.to_str().unwrap());
    let (lights, sounds) = starts(&file);
    assert!(lights.len() > 5, "{lights:?}");
    let apart = |light: &f64| sounds.iter().map(|sound| (sound - light).abs()).fold(f64::INFINITY, f64::min);
    let in_step = lights.iter().filter(|light| apart(light) < 0.04).count();
    assert!(in_step + 2 >= lights.len(), "lights {lights:?}, sounds {sounds:?}");

    let chapter = &show["chapters"][0];
    assert_eq!(
        (&chapter["sku"], &chapter["title"]),
        (&"cup".into(), &"Ceramic cup 陶瓷杯 ☕".into()),
        "{show}"
    );
    let clip = seconds(&format!("{}{}", second.http, chapter["clip"].as_str().unwrap()));
    assert!((3.0..9.0).contains(&clip) && clip < whole, "the cup was shown for 4 s: {clip} of {whole}");
    decoded(
        download(&second, &playlist.replace("index.m3u8", "clips/cup/clip.mp4"), "clip.mp4")
            .to_str()
            .unwrap(),
    );
    assert!(second.text(&playlist.replace("index.m3u8", "chapters.vtt")).contains("\nCeramic cup"));

    let path = format!("/channels/main/shows/{}", show["id"].as_str().unwrap());
    assert_eq!(second.api("DELETE", &path, b"").0, 204);
    assert_eq!((second.api("DELETE", &path, b"").0, second.get(&playlist).0), (404, 404));
    assert!(shows(&second).is_empty());
    assert_eq!(second.get("/vod/main/..%2f..%2f/vitrine.db/x.mp4").0, 404);
}

#[test]
fn a_full_disk_ends_the_archive_and_not_the_show() {
    let (server, _) = server(&RULES.replace("gap_min", "free_gb = 1000000\ngap_min"));
    let _host = server.publish(&flash_and_beep());
    server.until_showing("live");
    let told =
        until("the producer is told", || server.channel()["storageProblem"].as_str().map(str::to_owned));
    assert!(told.contains("not archived"), "{told}");
    segments(&server, 2);
}
