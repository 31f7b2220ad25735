//! Everybody in the control room: connections that only listen, and some that change a price all the time. How long until
//! each change is at every one of them? `crowd ADDRESS TOKEN CLIENTS A_SECOND SECONDS`. Prints JSON. Only for `bench.py`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // it measures, and a failure ends it

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The first price; each command has the next.
const FIRST: u64 = 1_000_000;
/// Of one connection, so many are read in a second.
const MOST_OF_ONE: u64 = 50;

/// When each command was sent, and how many have come to how many.
struct Course {
    begin: Instant,
    /// Microseconds after `begin`, by command.
    sent: Vec<AtomicU64>,
}

async fn open(address: &str, token: &str) -> Socket {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/ws")).await.unwrap();
    let hello: Value =
        serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    let hash = |text: String| STANDARD.encode(Sha256::digest(text));
    let part = |name: &str| hello["d"]["authentication"][name].as_str().unwrap().to_owned();
    let answer = hash(format!("{}{}", hash(format!("{token}{}", part("salt"))), part("challenge")));
    let identify = json!({ "op": 1, "d": { "rpcVersion": 1, "authentication": answer } });
    socket.send(Message::text(identify.to_string())).await.unwrap();
    while !socket.next().await.unwrap().unwrap().to_text().unwrap().contains("StateSnapshot") {}
    socket
}

/// The price in an event about one, without reading the rest: this machine also runs the server.
fn price(text: &str) -> Option<u64> {
    let rest = text.split_once("\"priceMinor\":")?.1;
    rest.split_once(|c: char| !c.is_ascii_digit())?.0.parse().ok()
}

/// Notes the delay of every change, in microseconds.
async fn listen(mut socket: Socket, course: Arc<Course>, until: Instant) -> Vec<u32> {
    let mut delays = Vec::with_capacity(course.sent.len());
    while delays.len() < course.sent.len() {
        let Ok(Some(Ok(message))) = tokio::time::timeout_at(until.into(), socket.next()).await else { break };
        let text = message.to_text().unwrap_or_default();
        if !text.contains("ProductChanged") {
            continue;
        }
        if let Some(n) = price(text).and_then(|price| price.checked_sub(FIRST)) {
            let now = course.begin.elapsed().as_micros() as u64;
            delays.push(now.saturating_sub(course.sent[n as usize].load(Ordering::Relaxed)) as u32);
        }
    }
    delays
}

/// A command that was not done ends the measurement.
fn refused(message: Option<&Message>) {
    let text = message.and_then(|message| message.to_text().ok()).unwrap_or_default();
    assert!(!text.contains("\"result\":false"), "{text}");
}

/// Sends every `step`-th command from `first` on, at its time.
async fn command(mut socket: Socket, course: Arc<Course>, a_second: u64, first: usize, step: usize) {
    for n in (first..course.sent.len()).step_by(step) {
        tokio::time::sleep_until(
            (course.begin + Duration::from_micros(n as u64 * 1_000_000 / a_second)).into(),
        )
        .await;
        let data =
            json!({ "sku": "cup", "priceMinor": FIRST + n as u64, "oldPriceMinor": null, "confirmed": true });
        let request = json!({ "op": 6, "d": { "requestType": "SetPrice", "requestId": n.to_string(), "requestData": data } });
        course.sent[n].store(course.begin.elapsed().as_micros() as u64, Ordering::Relaxed);
        socket.send(Message::text(request.to_string())).await.unwrap();
        // What comes meanwhile has to be read, like everybody does.
        while let Ok(Some(message)) = tokio::time::timeout(Duration::ZERO, socket.next()).await {
            refused(message.as_ref().ok());
        }
    }
    while let Some(message) = socket.next().await {
        refused(message.as_ref().ok());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, token, clients, a_second, seconds] = words.try_into().unwrap();
    let number = |text: String| text.parse::<u64>().unwrap();
    let (clients, a_second, seconds) = (number(clients), number(a_second), number(seconds));
    let mut sockets = Vec::new();
    for _ in 0..clients {
        sockets.push(open(&address, &token).await);
    }
    let commanders = a_second.div_ceil(MOST_OF_ONE) as usize;
    let mut speakers = Vec::new();
    for _ in 0..commanders {
        speakers.push(open(&address, &token).await);
    }
    let count = (a_second * seconds) as usize;
    let sent = (0..count).map(|_| AtomicU64::new(0)).collect();
    let course = Arc::new(Course { begin: Instant::now(), sent });
    let until = course.begin + Duration::from_secs(seconds + 10);
    let listening: Vec<_> =
        sockets.into_iter().map(|socket| tokio::spawn(listen(socket, course.clone(), until))).collect();
    for (first, socket) in speakers.into_iter().enumerate() {
        tokio::spawn(command(socket, course.clone(), a_second, first, commanders));
    }
    let mut delays = Vec::new();
    let mut whole = 0;
    for one in listening {
        let of_one = one.await.unwrap();
        whole += usize::from(of_one.len() == count);
        delays.extend(of_one);
    }
    delays.sort_unstable();
    let at = |share: f64| {
        delays.get(((delays.len() - 1) as f64 * share) as usize).map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    println!(
        "{}",
        json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0), "events": delays.len(),
            "missed": clients as usize * count - delays.len(), "whole": whole })
    );
}
