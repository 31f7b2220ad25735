//! Who may publish: keys through the API, the owner's own service, ranks, and the takeover between them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::pace::in_time;
use crate::stage::{Control, KEY, Process, Server, clip, other_clip, publisher, until};

fn make_key(server: &Server, name: &str, rank: u32) -> (String, String) {
    let body = json!({ "name": name, "rank": rank }).to_string();
    let (status, answer) = server.api("POST", "/stream-keys", body.as_bytes());
    assert_eq!(status, 200, "{answer}");
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    assert!(text("srt").contains(&text("streamKey")));
    (text("keyId"), text("streamKey"))
}

fn publish(server: &Server, key: &str, clip: &std::path::Path) -> Process {
    publisher(&format!("{}/{key}", server.rtmp), clip, Stdio::null())
}

fn on_air(server: &Server) -> Value {
    let publisher = server.channel()["publisher"].clone();
    if publisher["role"] == "onAir" { publisher["keyName"].clone() } else { Value::Null }
}

fn until_on_air(server: &Server, name: &str) {
    until(&format!("{name} is on air"), || (on_air(server) == name).then_some(()));
}

#[test]
fn keys_are_made_rotated_and_revoked_and_nobody_can_read_them_again() {
    let server = Server::start();
    let mut control = Control::connect(&server);
    let (id, first) = make_key(&server, "guest", 5);
    let told = control.event("StreamKeyChanged", |data| data["key"]["id"] == id.as_str());
    assert_eq!(told["key"]["rank"], 5);
    let mut guest = publish(&server, &first, clip());
    until_on_air(&server, "guest");
    // Another secret: the old one is worth nothing at once.
    let rotated = server.api("POST", &format!("/stream-keys/{id}/rotate"), b"").1;
    let second = rotated["streamKey"].as_str().unwrap().to_owned();
    until("the publisher with the old key is ended", || guest.0.try_wait().unwrap());
    let mut refused = publish(&server, &first, clip());
    until("the old key is refused", || refused.0.try_wait().unwrap());
    let mut again = publish(&server, &second, clip());
    until_on_air(&server, "guest");
    assert_eq!(server.api("DELETE", &format!("/stream-keys/{id}"), b"").0, 200);
    until("the publisher with the revoked key is ended", || again.0.try_wait().unwrap());
    assert_eq!(server.api("DELETE", &format!("/stream-keys/{id}"), b"").0, 404);
    let (status, problem) = server.api("POST", "/stream-keys", br#"{"name":"x","channel":"nosuch"}"#);
    assert_eq!((status, &problem["field"]), (404, &"channel".into()));
    let kept = server.text_with_token("/api/v1/state") + &server.log();
    let database: Vec<u8> = ["vitrine.db", "vitrine.db-wal"]
        .iter()
        .flat_map(|name| std::fs::read(server.data.0.join(name)).unwrap_or_default())
        .collect();
    for secret in [&first, &second] {
        assert!(!kept.contains(secret), "a key is told");
        assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "a key is kept");
    }
}

#[test]
fn the_first_start_makes_a_key_and_tells_it_once() {
    let first = Server::without_key(crate::stage::Folder::new());
    let said = first.said();
    let key = said.split("Stream Key  ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(key.len(), 32, "{said}");
    let host = publish(&first, &key, clip());
    until_on_air(&first, "host");
    drop(host);
    let second = Server::without_key(first.kill());
    assert!(!second.said().split("Vitrine is on").last().unwrap().contains(&key));
    let _host = publish(&second, &key, clip());
    until_on_air(&second, "host");
}

#[test]
fn the_backup_takes_over_within_half_a_second_and_gives_back() {
    let (clip, other_clip) = (clip(), other_clip());
    in_time(|server| {
        let (_, backup_key) = make_key(server, "backup", 1);
        let (_, third_key) = make_key(server, "guest", 2);
        let host = publish(server, KEY, clip);
        until_on_air(server, "configured");
        let _backup = publish(server, &backup_key, other_clip);
        let _third = publish(server, &third_key, other_clip);
        // All three are there; one is on air, one ready, one waits and is not decoded.
        until("each has its role", || {
            let publishers = server.channel()["publishers"].clone();
            let roles: Vec<_> = publishers.as_array()?.iter().map(|one| one["role"].clone()).collect();
            (roles == ["onAir", "standby", "waiting"]).then_some(())
        });
        server.until_showing("live");
        // The segment in which the host came may begin with the slate, which stands still.
        server.segment("video", server.live_segment());
        let frozen = server.live_segment();
        // Stopped, not gone: its connection stays open and nothing comes.
        let signal = |name: &str| {
            crate::stage::run(std::process::Command::new("kill").args([name, &host.0.id().to_string()]));
        };
        signal("-STOP");
        until_on_air(server, "backup");
        let segment = server.live_segment() + 1;
        server.segment("video", segment);
        // From the last frame of one to the first of the other: frames that do not change. Both clips move all the time.
        let frames: Vec<Vec<u8>> =
            (frozen..=segment).flat_map(|n| server.frames(n, "scale=160:90", 160 * 90)).collect();
        let mut longest = 0;
        let mut still = 0;
        for pair in frames.windows(2) {
            let differs = pair[0].iter().zip(&pair[1]).any(|(a, b)| a.abs_diff(*b) > 3);
            still = if differs { 0 } else { still + 1 };
            longest = longest.max(still);
        }
        assert!(longest <= 15, "the picture stood for {longest} frames of 1/30 s");
        server.until_logged("backup (rank 1) is on air");
        signal("-CONT");
        until_on_air(server, "configured");
    });
}

/// The owner's service on a free port: answers each question with the next status, and tells the questions.
fn service(statuses: &'static [(u16, &'static str)]) -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/publish", listener.local_addr().unwrap());
    let (questions, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, words) in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let length = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                if let Some((_, body)) = text.split_once("\r\n\r\n")
                    && let Ok(value) = serde_json::from_str::<Value>(body)
                {
                    break value;
                }
            };
            let length = words.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{words}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = questions.send(body);
        }
    });
    (url, receiver)
}

#[test]
fn the_owners_service_lets_in_and_refuses_with_its_own_words() {
    let (url, questions) = service(&[(403, "the show starts at eight"), (200, "")]);
    let config = crate::stage::Folder::new();
    let file = config.0.join("vitrine.toml");
    std::fs::write(&file, format!("[ingest]\ncallback = '{url}'\n")).unwrap();
    let server = Server::with(&["--config", file.to_str().unwrap()]);
    let mut host = publisher(&format!("{}/{KEY}", server.rtmp), clip(), Stdio::piped());
    let mut said = String::new();
    host.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the show starts at eight"), "{said}");
    let question = questions.recv_timeout(crate::stage::PATIENCE).unwrap();
    assert_eq!((&question["channel"], &question["protocol"]), (&"main".into(), &"rtmp".into()));
    assert!(!question.to_string().contains(KEY));
    let _host = server.publish(clip());
    server.until_showing("live");
    // The service is gone now: nobody is let in.
    let mut refused = publisher(&format!("{}/{KEY}", server.rtmp), clip(), Stdio::piped());
    let mut said = String::new();
    refused.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("does not answer"), "{said}");
    assert_eq!(server.channel()["showing"], "live", "and who is there stays");
}
