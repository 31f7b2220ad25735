//! Publishers that come and go: how many a second get from their first byte to `NetStream.Publish.Start`.
//! `connect ADDRESS APP NAME SECONDS`; a `{}` in the name becomes a number. Prints one number. Only for `bench.py`.

#![allow(clippy::unwrap_used)] // a failed connection fails the measurement

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const AT_ONCE: u64 = 8;

/// An AMF0 string.
fn text(value: &str) -> Vec<u8> {
    let mut bytes = vec![2];
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value.as_bytes());
    bytes
}

/// An AMF0 number.
fn number(value: f64) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(value.to_be_bytes());
    bytes
}

/// A command in one chunk; they are all shorter than 128 bytes.
fn command(stream: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![3, 0, 0, 0, 0, 0, body.len() as u8, 20, stream, 0, 0, 0];
    bytes.extend(body);
    bytes
}

async fn publish(address: &str, app: &str, name: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // A server that writes in small pieces waits for our acknowledgements: they come at once, for every server alike.
    stream.set_quickack(true).unwrap();
    let mut hello = vec![0; 1537];
    hello[0] = 3;
    stream.write_all(&hello).await.unwrap();
    let mut answer = [0; 3073];
    stream.read_exact(&mut answer).await.unwrap();
    stream.set_quickack(true).unwrap();
    let mut object = vec![3, 0, 3];
    object.extend(b"app");
    object.extend(text(app));
    object.extend([0, 0, 9]);
    let mut rest = answer[1..1537].to_vec();
    rest.extend(command(0, &[text("connect"), number(1.0), object]));
    rest.extend(command(0, &[text("createStream"), number(2.0), vec![5]]));
    rest.extend(command(1, &[text("publish"), number(3.0), vec![5], text(name), text("live")]));
    stream.write_all(&rest).await.unwrap();
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    let wanted = b"NetStream.Publish.Start";
    while !heard.windows(wanted.len()).any(|bytes| bytes == wanted) {
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "refused: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&buffer[..length]);
        stream.set_quickack(true).unwrap();
    }
}

#[allow(clippy::disallowed_methods, clippy::print_stdout)] // it measures, and its output is the measurement
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, app, name, seconds] = &arguments[..] else { panic!("ADDRESS APP NAME SECONDS") };
    let limit = Duration::from_secs_f64(seconds.parse().unwrap());
    let start = Instant::now();
    let clients = (0..AT_ONCE).map(|client| async move {
        let mut count = 0;
        while start.elapsed() < limit {
            publish(address, app, &name.replace("{}", &(client + count * AT_ONCE).to_string())).await;
            count += 1;
        }
        count
    });
    let counts = futures_util::future::join_all(clients).await;
    println!("{:.1}", counts.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64());
}
