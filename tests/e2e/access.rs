//! Who may watch, when the owner wants addresses signed; and how much one address may ask at once.

use serde_json::json;

use crate::pace::on_time;
use crate::stage::{Folder, Server, clip, run};

fn server(rules: &str) -> Server {
    let data = Folder::new();
    let file = data.0.join("viewers.toml");
    std::fs::write(
        &file,
        format!("[viewers]\n{rules}\n[channels.main]\nrungs = []\n[channels.other]\nrungs = []\n"),
    )
    .unwrap();
    let file = file.to_str().unwrap().to_owned();
    Server::on(data, &["--config", &file])
}

#[test]
fn a_signed_address_plays_and_no_other_does() {
    let server = server("keys = { now = \"0123456789abcdef\" }");
    let _host = server.publish(clip());
    server.until_showing("live");
    let (status, links) = server.api("POST", "/channels/main/links", br#"{"minutes":5}"#);
    assert_eq!(status, 200, "{links}");
    let playlist = links["playlist"].as_str().unwrap();
    // All that a player fetches from there on is found through relative addresses.
    run(std::process::Command::new("ffmpeg").args(["-v", "error", "-xerror", "-t", "3", "-i"]).args([
        &format!("{}{playlist}", server.http),
        "-f",
        "null",
        "-",
    ]));
    let prefix = links["prefix"].as_str().unwrap();
    let status = |path: &str| server.get(path).0;
    assert_eq!(status("/live/main/index.m3u8"), 403, "not signed");
    assert_eq!(status("/live/main/video.m3u8"), 403, "not signed");
    assert_eq!(status(&format!("{prefix}/live/other/index.m3u8")), 403, "of another channel");
    assert_eq!(status(&playlist.replace("/s/", "/s/9")), 403, "another expiry");
    assert_eq!(status(&format!("{prefix}/watch/main")), 200);
    assert_eq!(status(&format!("{prefix}/live/main/../../api/v1/state")), 404, "it opens nothing else");
    assert_eq!(server.api("POST", "/channels/main/links", br#"{"minutes":0}"#).0, 400);
}

#[test]
fn one_address_holds_so_many_requests_and_the_next_is_told_so() {
    let server = server("requests_per_address = 3\nproxies = []");
    on_time(&server); // before that, segments are made as fast as they can be
    let segment = server.live_segment();
    let url = format!("{}/live/main/video.m3u8?_HLS_msn={}", server.http, segment + 1);
    let held: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || {
                let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
                agent.get(&url).call().unwrap().status().as_u16()
            })
        })
        .collect();
    let mut answers: Vec<u16> = held.into_iter().map(|thread| thread.join().unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(json!(answers), json!([200, 200, 200, 429, 429, 429]));
    assert_eq!(server.get("/live/main/video.m3u8").0, 200, "and room again");
}
