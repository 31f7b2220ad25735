//! Viewers of a live channel, on keep-alive connections of one thread. Only for `serve.py`; prints JSON.
//!
//! `blocking`: `--clients N` low-latency players in step with the live edge. Each asks for the playlist that lists the
//! next part, fetches that part, and asks for the next. A part is ready when the first of them has its playlist.
//! `hinted`: the same players, which ask for the part of the preload hint beforehand, on a connection of its own. A part is
//! ready when the first of them has it or its playlist.
//! `hold`: the same without fetching parts, each asking for a segment that is further ahead.
//! `throughput`: `--connections N` that fetch `--path P` again and again.
//! All take `--address HOST:PORT`, `--seconds S` and `--accept CODINGS`; the first two `--path /live/CHANNEL/TRACK`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // it measures; a wrong argument fails the measurement

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Parts that came so short before the end may be under way.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// Parts in the beginning, when all start at once.
const SETTLING: Duration = Duration::from_secs(2);

thread_local! {
    /// What is read and not looked at: one for all connections.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]);
}

struct Connection {
    stream: TcpStream,
    /// What every request ends with.
    tail: String,
}

struct Answer {
    status: u16,
    length: usize,
    /// The head and what came with it; all of it from a kept one.
    text: Vec<u8>,
}

impl Connection {
    async fn open(options: &Options) -> Result<Self, Error> {
        let address = &options.address;
        let coding =
            options.accept.as_ref().map_or_else(String::new, |a| format!("Accept-Encoding: {a}\r\n"));
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, tail: format!(" HTTP/1.1\r\nHost: {address}\r\n{coding}\r\n") })
    }

    /// One request and all of its answer, of which the body is kept when wanted.
    async fn get(&self, path: &str, is_kept: bool) -> Result<Answer, Error> {
        let request = format!("GET {path}{}", self.tail);
        let mut sent = 0;
        while sent < request.len() {
            self.stream.writable().await?;
            sent += ready(self.stream.try_write(&request.as_bytes()[sent..]))?;
        }
        let mut text = Vec::new();
        let (mut had, mut whole) = (0, usize::MAX);
        let (mut status, mut length) = (0, 0);
        while had < whole {
            self.stream.readable().await?;
            had += SCRATCH.with_borrow_mut(|scratch| {
                let count = self.stream.try_read(scratch);
                if matches!(count, Ok(0)) {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                let count = ready(count)?;
                if is_kept || whole == usize::MAX {
                    text.extend_from_slice(&scratch[..count]);
                }
                Ok::<_, Error>(count)
            })?;
            if whole == usize::MAX
                && let Some(end) = text.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
                let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<usize>().ok());
                status = number(head.split(' ').nth(1)).unwrap_or_default() as u16;
                let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                length = number(field).ok_or(ErrorKind::InvalidData)?;
                whole = end + 4 + length;
            }
        }
        Ok(Answer { status, length, text })
    }
}

fn ready(count: Result<usize, Error>) -> Result<usize, Error> {
    match count {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

#[derive(Clone)]
struct Options {
    mode: String,
    address: String,
    path: String,
    accept: Option<String>,
    count: usize,
    time: Duration,
}

impl Options {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().collect();
        let given = |name| words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
        Self {
            mode: words[1].clone(),
            count: given("--clients").or_else(|| given("--connections")).unwrap().parse().unwrap(),
            address: given("--address").unwrap(),
            path: given("--path").unwrap_or_else(|| "/live/main/video".into()),
            time: Duration::from_secs_f64(given("--seconds").unwrap().parse().unwrap()),
            accept: given("--accept"),
        }
    }
}

/// A part by its segment and its place in it.
type Place = (u64, u32);

/// What all players of a run share.
struct Run {
    options: Options,
    parts_per_segment: u32,
    /// When the first player had the playlist that lists it.
    listed: RefCell<BTreeMap<Place, Instant>>,
    /// How long after that each player had it, in full, and how long it is.
    had: RefCell<BTreeMap<Place, (Vec<Duration>, usize)>>,
    errors: RefCell<Vec<String>>,
}

impl Run {
    fn new(options: &Options, parts_per_segment: u32) -> Rc<Self> {
        Rc::new(Self {
            options: options.clone(),
            parts_per_segment,
            listed: RefCell::default(),
            had: RefCell::default(),
            errors: RefCell::default(),
        })
    }

    fn fail(&self, what: &str, path: &str) {
        self.errors.borrow_mut().push(format!("{what}: {path}"));
    }

    async fn get(&self, connection: &mut Connection, path: &str) -> Option<Answer> {
        match connection.get(path, false).await {
            Ok(answer) if answer.status == 200 => return Some(answer),
            Ok(answer) => self.fail(&answer.status.to_string(), path),
            Err(error) => {
                self.fail(&error.to_string(), path);
                *connection = Connection::open(&self.options).await.ok()?;
            }
        }
        None
    }

    /// A player from the part at `place` on.
    async fn play(&self, mut connection: Connection, mut place: Place, end: Instant) {
        let path = &self.options.path;
        while Instant::now() < end {
            let (segment, part) = place;
            let playlist = format!("{path}.m3u8?_HLS_msn={segment}&_HLS_part={part}");
            if self.get(&mut connection, &playlist).await.is_none() {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            self.listed.borrow_mut().entry(place).or_insert_with(Instant::now);
            if self.options.mode == "blocking" {
                self.fetch(&mut connection, place).await;
            }
            place = self.after(place);
        }
    }

    async fn fetch(&self, connection: &mut Connection, place: Place) {
        let (segment, part) = place;
        let path = format!("{}/{segment}.{part}.m4s", self.options.path);
        if let Some(answer) = self.get(connection, &path).await {
            let ready = *self.listed.borrow_mut().entry(place).or_insert_with(Instant::now);
            let mut all = self.had.borrow_mut();
            let (delays, length) = all.entry(place).or_default();
            delays.push(ready.elapsed());
            *length = answer.length;
        }
    }

    fn after(&self, (segment, part): Place) -> Place {
        if part + 1 < self.parts_per_segment { (segment, part + 1) } else { (segment + 1, 0) }
    }

    /// A player's parts from the one at `place` on, each asked for before it is there.
    async fn expect(&self, mut connection: Connection, mut place: Place, end: Instant) {
        while Instant::now() < end {
            self.fetch(&mut connection, place).await;
            place = self.after(place);
        }
    }

    async fn hold(&self, mut connection: Connection, mut segment: u64, end: Instant) {
        while Instant::now() < end {
            segment += 1;
            let playlist = format!("{}.m3u8?_HLS_msn={segment}", self.options.path);
            self.get(&mut connection, &playlist).await;
        }
    }

    fn report(&self, start: Instant, end: Instant) -> Value {
        let had = self.had.borrow();
        let listed = self.listed.borrow();
        let counted = listed.iter().filter(|(_, at)| **at > start + SETTLING && **at + UNDER_WAY < end);
        let parts: Vec<_> =
            counted.map(|(place, at)| (*at, had.get(place).cloned().unwrap_or_default())).collect();
        let of_all = sorted(parts.iter().flat_map(|(_, (delays, _))| delays.iter().map(|d| ms(*d))));
        let of_last = sorted(parts.iter().filter_map(|(_, (delays, _))| delays.iter().max().map(|d| ms(*d))));
        let bytes: usize = parts.iter().map(|(_, (_, length))| length).sum();
        json!({
            "clients": self.options.count, "parts": parts.len(), "partBytes": bytes / parts.len().max(1),
            "p50": at(&of_all, 0.5), "p99": at(&of_all, 0.99), "max": at(&of_all, 1.0),
            "lastP50": at(&of_last, 0.5), "lastP99": at(&of_last, 0.99),
            "delivered": had.values().map(|(delays, _)| delays.len()).sum::<usize>(),
            "missed": parts.len() * self.options.count - of_all.len(),
            "errors": self.errors.borrow().len(), "firstError": self.errors.borrow().first(),
        })
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).map_or(0.0, |value| (value * 100.0).round() / 100.0)
}

/// The part that comes next, and how many a segment has: from the playlist's own words.
async fn edge(options: &Options) -> Option<(Place, u32)> {
    let answer =
        Connection::open(options).await.ok()?.get(&format!("{}.m3u8", options.path), true).await.ok()?;
    let text = String::from_utf8(answer.text).ok()?;
    let place = |line: &str| {
        let name = line.split("URI=\"").nth(1)?.split(".m4s").next()?.rsplit('/').next()?;
        let (segment, part) = name.split_once('.')?;
        Some((segment.parse().ok()?, part.parse().ok()?))
    };
    let hint = text.lines().filter(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).find_map(place)?;
    let listed = text.lines().filter(|line| line.starts_with("#EXT-X-PART:")).filter_map(place);
    let last: u32 = listed.map(|(_, part)| part).max()?;
    Some((hint, last + 1))
}

async fn blocking(options: &Options) -> Value {
    let mut connections = Vec::new();
    for _ in 0..options.count {
        connections.push(Connection::open(options).await.unwrap()); // one by one, whatever the server's backlog
    }
    let plain = Options { accept: None, ..options.clone() };
    let (place, parts_per_segment) = edge(&plain).await.unwrap();
    let run = Run::new(options, parts_per_segment);
    let start = Instant::now();
    let end = start + options.time;
    let mut players = JoinSet::new();
    for connection in connections {
        let run = run.clone();
        players.spawn_local(async move {
            match run.options.mode.as_str() {
                "hold" => run.hold(connection, place.0, end).await,
                "hinted" => {
                    let parts = Connection::open(&run.options).await.unwrap();
                    tokio::join!(run.play(connection, place, end), run.expect(parts, place, end));
                }
                _ => run.play(connection, place, end).await,
            }
        });
    }
    players.join_all().await;
    run.report(start, end)
}

async fn throughput(options: &Options) -> Value {
    let start = Instant::now();
    let fetch = async || {
        let connection = Connection::open(options).await.unwrap();
        let (mut requests, mut bytes) = (0_usize, 0_usize);
        while start.elapsed() < options.time {
            let answer = connection.get(&options.path, false).await.unwrap();
            assert_eq!(answer.status, 200, "{}", options.path);
            requests += 1;
            bytes += answer.length;
        }
        (requests, bytes)
    };
    let each = futures_util::future::join_all((0..options.count).map(|_| fetch())).await;
    let seconds = start.elapsed().as_secs_f64();
    let requests: usize = each.iter().map(|(requests, _)| requests).sum();
    let bytes: usize = each.iter().map(|(_, bytes)| bytes).sum();
    json!({
        "requests": requests as f64 / seconds, "bytes": bytes as f64 / seconds,
        "length": bytes / requests.max(1), "count": requests,
    })
}

#[allow(clippy::print_stdout)] // it measures, and its output is the measurement
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::read();
    let measured = async {
        if options.mode == "throughput" { throughput(&options).await } else { blocking(&options).await }
    };
    let local = tokio::task::LocalSet::new();
    // Never asleep, so that no server pays for waking it: players are on other machines. Whoever was a little quicker than the
    // client had it awake all the time, and whoever was a little slower paid half of its CPU for waking it.
    local.spawn_local(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    println!("{}", local.run_until(measured).await);
}
