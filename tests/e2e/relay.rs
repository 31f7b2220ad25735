//! A bad network: a UDP relay that loses, delays and reorders what goes to the server, by a fixed sequence of chances.
//! It needs no kernel's help, so it runs wherever the tests do.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the network does to a packet on its way to the server.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss_percent: u32,
    /// Each packet is late by up to this much, evenly spread, so packets overtake each other.
    pub(crate) jitter_ms: u32,
}

/// The relay; ends with the test.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(server: SocketAddr, weather: Weather) -> Self {
        let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
        inside.connect(server).unwrap();
        let address = outside.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ends = stop.clone();
        let thread = std::thread::spawn(move || run(&outside, &inside, weather, &ends));
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().unwrap().join();
    }
}

#[allow(clippy::disallowed_methods)] // a network's delays are real time
fn run(outside: &UdpSocket, inside: &UdpSocket, weather: Weather, stop: &AtomicBool) {
    outside.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    inside.set_nonblocking(true).unwrap();
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        // Marsaglia's xorshift.
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance >> 33) as u32
    };
    let mut client = None;
    let mut count = 0_u64;
    let mut waiting: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Acquire) {
        if let Ok((length, from)) = outside.recv_from(&mut buffer) {
            client = Some(from);
            let late = Duration::from_micros(u64::from(next() % (weather.jitter_ms * 1000).max(1)));
            if next() % 100 >= weather.loss_percent {
                count += 1;
                waiting.insert((Instant::now() + late, count), buffer[..length].to_vec());
            }
        }
        while let Some(entry) = waiting.first_entry() {
            if entry.key().0 > Instant::now() {
                break;
            }
            let _ = inside.send(&entry.remove());
        }
        while let (Ok(length), Some(client)) = (inside.recv(&mut buffer), client) {
            let _ = outside.send_to(&buffer[..length], client);
        }
    }
}
