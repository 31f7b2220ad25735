//! What arrives on a public port: each of it ends that connection alone, with one line in the log, and the programme
//! goes on.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::encoder::Encoder;
use crate::stage::{KEY, Process, Server, clip, until};

fn address(server: &Server) -> String {
    server.rtmp.trim_start_matches("rtmp://").trim_end_matches("/live").to_owned()
}

/// The programme is live, and the next whole segment comes.
fn assert_goes_on(server: &Server) {
    let segment = server.live_segment();
    server.segment("video", segment + 1);
    assert_eq!(server.channel()["showing"], "live");
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

fn lines(server: &Server, text: &str) -> usize {
    server.log().lines().filter(|line| line.contains(text)).count()
}

/// A handshake, then chunks of `size` bytes.
fn greeted(server: &Server, size: u32) -> TcpStream {
    let mut stream = TcpStream::connect(address(server)).unwrap();
    let mut bytes = vec![3_u8];
    bytes.extend(vec![7; 1536 * 2]);
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]);
    bytes.extend(size.to_be_bytes());
    stream.write_all(&bytes).unwrap();
    stream
}

/// Writes until the server closes; whether it did.
fn push(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.set_read_timeout(Some(crate::stage::PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).is_ok() || answer.len() < 1 << 20
}

#[test]
fn chunks_that_are_huge_tiny_or_lie_end_alone() {
    let server = Server::start();
    let _host = server.publish(clip());
    server.until_showing("live");
    let before = crate::quirks::memory(&server);
    // A chunk size of 16 MiB and a message that claims as much.
    let mut huge = vec![3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0];
    huge.extend(vec![0; 1 << 20]);
    assert!(push(&mut greeted(&server, 0x00ff_ffff), &huge));
    server.until_logged("at most 65536 are taken");
    assert_eq!(lines(&server, "at most 65536 are taken"), 1);
    // A million chunks of one byte: a message of 60,000, many times over, on sixteen chunk streams.
    let mut tiny = Vec::new();
    for stream in 3..19_u8 {
        tiny.extend_from_slice(&[stream, 0, 0, 0, 0, 0xea, 0x60, 20, 0, 0, 0, 0, 2]);
    }
    for _ in 0..65_000 {
        for stream in 3..19_u8 {
            tiny.extend_from_slice(&[0xc0 | stream, 0]);
        }
    }
    assert!(push(&mut greeted(&server, 1), &tiny));
    // Media before anything else, a chunk without a header, an unknown version.
    assert!(push(&mut greeted(&server, 65_536), &[4, 0, 0, 0, 0, 0, 2, 9, 1, 0, 0, 0, 0x17, 0]));
    assert!(push(&mut greeted(&server, 65_536), &[0xc5, 1, 2, 3]));
    assert!(push(&mut TcpStream::connect(address(&server)).unwrap(), &[9; 4000]));
    assert_goes_on(&server);
    let after = crate::quirks::memory(&server);
    assert!(after < before + 60, "memory grew from {before} to {after} MiB");
}

#[test]
fn a_slow_handshake_and_a_silent_publisher_are_ended() {
    let config = crate::stage::Folder::new();
    let file = config.0.join("vitrine.toml");
    std::fs::write(&file, "[ingest]\nstall_ms = 3000\n").unwrap();
    let server = Server::with(&["--config", file.to_str().unwrap()]);
    // One byte at a time never gets through the handshake.
    let mut slow = TcpStream::connect(address(&server)).unwrap();
    let byte_at_a_time = std::thread::spawn(move || {
        #[allow(clippy::disallowed_methods)] // how long the server lets it go on
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(25) {
            if slow.write_all(&[3]).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100)); // it is slow
        }
        false
    });
    // A publisher that is let in and says nothing more.
    let mut silent = Encoder::publish(&server);
    until("the silent one is ended", || silent.is_closed().then_some(()));
    server.until_logged("stalled: no data for 3s");
    assert!(byte_at_a_time.join().unwrap(), "the slow handshake goes on and on");
    server.until_logged("nothing was published within 10s");
    assert_eq!(lines(&server, "nothing was published within 10s"), 1);
    let _host = server.publish(clip());
    server.until_showing("live");
}

/// Sends bytes over SRT as a caller, through srt-live-transmit.
fn send_srt(server: &Server, bytes: &[u8]) -> Process {
    let mut child = Command::new("srt-live-transmit")
        .args(["-q", "-a:no", "file://con", &format!("{}?streamid=publish:{KEY}", server.srt)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    std::thread::spawn(move || {
        for piece in bytes.chunks(1316).cycle() {
            if input.write_all(piece).is_err() {
                return; // the caller was ended
            }
            std::thread::sleep(Duration::from_millis(2)); // about 5 Mbit/s
        }
    });
    Process(child)
}

#[test]
fn noise_and_a_torn_transport_stream_over_srt_end_alone() {
    let server = Server::start();
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut caller = send_srt(&server, &noise);
    until("noise is ended", || caller.0.try_wait().unwrap());
    server.until_logged("SRT publisher on");
    assert_eq!(lines(&server, "SRT publisher on"), 1);
    server.until_logged("publisher off");
    assert_eq!(lines(&server, "publisher off"), 1);
    // Packets torn in the middle, with holes.
    let file = server.data.0.join("torn.ts");
    crate::stage::run(
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(clip()).args(["-c", "copy"]).arg(&file),
    );
    let whole = std::fs::read(&file).unwrap();
    let torn: Vec<u8> = whole.chunks(5000).flat_map(|piece| &piece[..piece.len() - 77]).copied().collect();
    let _torn = send_srt(&server, &torn);
    until("the torn one is let in", || (lines(&server, "SRT publisher on") == 2).then_some(()));
    // It may show something or end; an encoder of the same key takes its place at once either way.
    let _host = server.publish(clip());
    until("the encoder is on air", || (server.channel()["publisher"]["protocol"] == "rtmp").then_some(()));
    server.until_showing("live");
    assert_goes_on(&server);
}

#[test]
fn a_flood_of_srt_handshakes_keeps_nobody_out() {
    let server = Server::start();
    let to: std::net::SocketAddr = server.srt.trim_start_matches("srt://").parse().unwrap();
    let before = crate::quirks::memory(&server);
    // An induction request from 200 ports, 100 times each, then conclusions with a made-up cookie.
    let mut request = [0_u8; 64];
    request[0] = 0x80;
    request[19] = 4; // version 4
    request[23] = 2; // what it wants
    request[39] = 1; // induction
    let sockets: Vec<UdpSocket> = (0..200).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for round in 0..100_u8 {
        for (n, socket) in sockets.iter().enumerate() {
            request[43] = n as u8;
            if round % 2 == 1 {
                request[36..40].copy_from_slice(&(-1_i32).to_be_bytes()); // conclusion
                request[44] = round;
            } else {
                request[36..40].copy_from_slice(&1_i32.to_be_bytes());
            }
            let _ = socket.send_to(&request, to);
        }
    }
    let _host = Process(
        Command::new("ffmpeg")
            .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
            .arg(clip())
            .args(["-c", "copy", "-f", "mpegts", &format!("{}?streamid=publish:{KEY}", server.srt)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    server.until_showing("live");
    assert_goes_on(&server);
    let after = crate::quirks::memory(&server);
    // A publisher that is decoded takes some 80 of it.
    assert!(after < before + 130, "memory grew from {before} to {after} MiB");
}
