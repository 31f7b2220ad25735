//! Publishers come, go, replace each other, and misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::playlist::Poll;
use crate::stage::{KEY, Server, clip, other_clip, publisher, until};

#[test]
fn a_publisher_killed_and_back_with_another_size_is_one_timeline() {
    let server = Server::start();
    let poll = Poll::start(&server);
    let host = server.publish(clip());
    server.until_showing("live");
    drop(host); // SIGKILL: no goodbye
    server.until_showing("backSoon");
    let _host = server.publish(other_clip());
    server.until_showing("live");
    let segment = server.live_segment();
    server.segment("video", segment + 1);
    let versions = poll.stop();
    versions.check();
    for text in &versions.video {
        assert!(!text.contains("DISCONTINUITY\n") && !text.contains("GAP"), "{text}");
    }
}

#[test]
fn a_wrong_key_is_refused_and_not_logged() {
    let server = Server::start();
    let secret = "wrong-key-that-nobody-may-see";
    let mut host = publisher(&format!("{}/{secret}", server.rtmp), clip(), Stdio::piped());
    let mut said = String::new();
    host.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!host.0.wait().unwrap().success());
    assert!(said.contains("the stream key is not known here"), "{said}");
    server.until_logged("not admitted");
    let log = server.log();
    assert!(!log.contains(secret), "{log}");
}

#[test]
fn the_second_publisher_takes_over_and_the_first_is_ended() {
    let server = Server::start();
    let mut first = server.publish(clip());
    server.until_showing("live");
    let before = server.channel()["publisher"]["address"].clone();
    let _second = server.publish(other_clip());
    until("the first publisher has ended", || first.0.try_wait().unwrap());
    until("the second is the publisher", || {
        let publisher = server.channel()["publisher"].clone();
        (publisher["address"] != before && publisher["width"] == 640).then_some(())
    });
    server.until_logged("a newer publisher took over");
    server.until_showing("live");
}

#[test]
fn gstreamers_rtmp2sink_publishes_too() {
    let server = Server::start();
    let child = std::process::Command::new("gst-launch-1.0")
        .args(["-q", "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=240,framerate=30/1"])
        .args([
            "!",
            "x264enc",
            "tune=zerolatency",
            "key-int-max=30",
            "!",
            "h264parse",
            "!",
            "flvmux",
            "name=m",
        ])
        .args(["streamable=true", "!", "rtmp2sink", &format!("location={}/{KEY}", server.rtmp)])
        .args(["audiotestsrc", "is-live=true", "!", "avenc_aac", "!", "aacparse", "!", "m."])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _host = crate::stage::Process(child);
    server.until_showing("live");
}

#[test]
fn garbage_on_the_port_ends_alone() {
    let server = Server::start();
    let _host = server.publish(clip());
    server.until_showing("live");
    let address = server.rtmp.trim_start_matches("rtmp://").trim_end_matches("/live").to_owned();
    // A handshake, then a connect whose AMF nests 100,000 objects deep.
    let mut nested = vec![2, 0, 7];
    nested.extend_from_slice(b"connect");
    nested.extend_from_slice(&[0; 9]);
    nested.extend([3, 0, 1, b'a'].repeat(15_000));
    let mut deep = vec![3_u8];
    deep.extend(vec![7; 1536 * 2]);
    deep.extend_from_slice(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 1, 0, 0]); // chunks of 64 KiB
    let length = (nested.len() as u32).to_be_bytes();
    deep.extend_from_slice(&[3, 0, 0, 0, length[1], length[2], length[3], 20, 0, 0, 0, 0]);
    deep.extend(nested);
    let mut lies = vec![3_u8];
    lies.extend(vec![7; 1536 * 2]);
    lies.extend_from_slice(&[3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0]);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &deep, &lies, &vec![0xff; 100_000]] {
        let mut stream = TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // the server closes
    }
    let _silent = TcpStream::connect(&address).unwrap(); // and one that says nothing
    server.until_logged("nested too deep");
    server.until_logged("at most 65536 are taken");
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    let segment = server.live_segment();
    server.segment("video", segment + 1);
    assert_eq!(server.channel()["showing"], "live");
}
