//! SRT: one port for every channel. The stream id of the handshake picks the channel by its key, and a wrong key or
//! passphrase is refused there, with libsrt's codes.
//!
//! libsrt blocks, so each caller has a thread that reads; its MPEG-TS goes through a demultiplexer of its own.

mod ffi;
pub mod programs;
pub mod streamid;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::ffi::{Error as SystemError, Listener};
use self::ffi::{Reject, Socket};
use self::programs::{Choice, Programs};
use super::admission::{self, Applicant, Doorman, Record};
use super::feed::{self, Feed};
use super::streams::{Event, Step, Streams};
use crate::config;
use crate::media::SrtStatus;
use crate::pipeline::description::Description;
use crate::pipeline::{self, Pipeline};
use crate::time::Stopwatch;

/// Callers that were accepted and not yet greeted; one more is closed.
const GREETINGS: usize = 16;
/// Callers at once, each with a thread.
const CALLERS: usize = 64;
/// libsrt has taken the network's jitter out already, with a latency in which lost packets come again: there a
/// millisecond is worth more than behind it.
const JITTER_MS: u32 = 120;
/// How long a read waits before the thread looks whether it should end.
const READ_MS: u32 = 200;
/// From the first byte to the first picture or sound.
const FIND_LIMIT: Duration = Duration::from_secs(10);
/// How often producers are told libsrt's counts, and that nothing comes.
const REPORT: Duration = Duration::from_secs(1);

/// Why a caller's connection ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("refused: {0}")]
    Refused(#[from] admission::Error),
    #[error("refused: {0}")]
    StreamId(#[from] streamid::Error),
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    #[error(transparent)]
    Feed(#[from] feed::Error),
    #[error("the transport stream cannot be read: {0}")]
    Stream(String),
    #[error("no picture and no sound was found in {FIND_LIMIT:?}: MPEG-TS with H.264 or HEVC is wanted")]
    Nothing,
    #[error("{0}")]
    Ended(String),
}

/// Listens; callers are accepted by [`serve`].
///
/// # Errors
/// libsrt's words.
pub fn listen(
    address: SocketAddr,
    srt: &config::Srt,
    doorman: Arc<Doorman>,
) -> Result<Listener, SystemError> {
    let gate = move |stream_id: &str, peer: SocketAddr| {
        let refuse = |error: &dyn std::fmt::Display, reject| {
            tracing::warn!(%peer, "SRT publisher not admitted: refused: {error}");
            reject
        };
        let key = streamid::key(stream_id).map_err(|error| {
            let is_mode = error == streamid::Error::Mode;
            refuse(&error, if is_mode { Reject::BadMode } else { Reject::BadRequest })
        })?;
        match doorman.check(Applicant { key, peer, protocol: "srt" }) {
            Ok(pass) => Ok(pass.passphrase().map(str::to_owned)),
            Err(error @ admission::Error::UnknownKey) => Err(refuse(&error, Reject::Unauthorized)),
            Err(error) => Err(refuse(&error, Reject::Overload)),
        }
    };
    Listener::bind(address, srt.latency_ms, srt.peer_idle_ms, Box::new(gate))
}

/// What every caller needs.
struct Port {
    doorman: Arc<Doorman>,
    ingest: config::Ingest,
    pipelines: Option<PathBuf>,
}

/// Serves callers until `stop`.
pub async fn serve(
    listener: Listener,
    doorman: Arc<Doorman>,
    ingest: config::Ingest,
    pipelines: Option<PathBuf>,
    stop: CancellationToken,
) {
    let port = Arc::new(Port { doorman, ingest, pipelines });
    let listener = Arc::new(listener);
    let (callers, mut accepted) = mpsc::channel(GREETINGS);
    let accepting = listener.clone();
    let spawned = std::thread::Builder::new().name("srt-accept".into()).spawn(move || {
        while !accepting.is_closed() {
            match accepting.accept(READ_MS) {
                Ok(caller) => {
                    let _ = callers.try_send(caller); // full: dropped, which closes it
                }
                Err(_) if accepting.is_closed() => return,
                Err(error) => {
                    tracing::debug!("an SRT caller was gone before it was accepted: {error}");
                    std::thread::sleep(Duration::from_millis(10)); // no busy loop, should it last
                }
            }
        }
    });
    if let Err(error) = spawned {
        tracing::error!("SRT callers cannot be accepted: {error}");
        return;
    }
    let slots = Arc::new(tokio::sync::Semaphore::new(CALLERS));
    let callers = tokio_util::task::TaskTracker::new();
    loop {
        let (socket, peer) = tokio::select! {
            () = stop.cancelled() => break,
            caller = accepted.recv() => match caller {
                Some(caller) => caller,
                None => break,
            },
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many SRT callers");
            continue;
        };
        let (port, stop) = (port.clone(), stop.clone());
        callers.spawn(async move {
            caller(Arc::new(socket), peer, &port, &stop).await;
            drop(slot);
        });
    }
    listener.close();
    callers.close();
    callers.wait().await; // their pipelines must be stopped, not dropped
}

async fn caller(socket: Arc<Socket>, peer: SocketAddr, port: &Port, stop: &CancellationToken) {
    let mut feed = match admit(&socket, peer, port).await {
        Ok(feed) => feed,
        Err(error) => {
            tracing::warn!(%peer, "SRT publisher not admitted: {error}");
            return;
        }
    };
    tracing::info!(%peer, channel = feed.seat().record.channel(), "SRT publisher on");
    let reason = match publish(&socket, &mut feed, port, stop).await {
        Ok(()) => "the server stops".to_owned(),
        Err(error) => error.to_string(),
    };
    feed.end(&reason, &peer.to_string());
}

async fn admit(socket: &Socket, peer: SocketAddr, port: &Port) -> Result<Feed, Error> {
    let stream_id = socket.stream_id();
    let applicant = Applicant { key: streamid::key(&stream_id)?, peer, protocol: "srt" };
    let pass = port.doorman.check(applicant)?;
    Ok(Feed::new(port.doorman.admit(pass, applicant).await?, port.ingest.jitter_ms.min(JITTER_MS)))
}

/// Reads, demultiplexes and feeds until somebody ends it.
async fn publish(
    socket: &Arc<Socket>,
    feed: &mut Feed,
    port: &Port,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let pipeline = Description::load("demux_ts", port.pipelines.as_deref())?.build()?;
    let demultiplexer: gst::Element = pipeline.element("demux")?;
    let source: gst_app::AppSrc = pipeline.element("in")?;
    let mut streams = Streams::attach(pipeline.inner(), &demultiplexer);
    let mut bus = pipeline.events();
    let pipeline = pipeline.play().await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (notes, mut said) = mpsc::channel(4);
    let (ended, mut end) = oneshot::channel();
    let reader = Reader {
        socket: socket.clone(),
        source,
        demultiplexer,
        record: feed.seat().record.clone(),
        stall: Duration::from_millis(u64::from(port.ingest.stall_ms)),
        is_over: is_over.clone(),
        notes,
    };
    let spawned = std::thread::Builder::new().name("srt-read".into()).spawn(move || {
        let _ = ended.send(reader.run());
    });
    let outcome = match spawned {
        Ok(_) => {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                reason = &mut end => Err(Error::Ended(reason.unwrap_or_else(|_| "the reader failed".into()))),
                outcome = take(feed, &mut streams, &mut bus, &mut said) => outcome,
            }
        }
        Err(error) => Err(Error::Ended(format!("no thread to read it: {error}"))),
    };
    is_over.store(true, Ordering::Release);
    drop(streams); // lets go of a pipeline that waits to hand something on
    finish(pipeline).await;
    outcome
}

async fn finish(pipeline: Pipeline) {
    if let Err(error) = pipeline.stop().await {
        tracing::warn!("{error}");
    }
}

async fn take(
    feed: &mut Feed,
    streams: &mut Streams,
    bus: &mut mpsc::Receiver<pipeline::Event>,
    said: &mut mpsc::Receiver<String>,
) -> Result<(), Error> {
    let mut idle = tokio::time::interval(REPORT);
    let cancel = feed.seat().cancel.clone();
    let find = tokio::time::sleep(FIND_LIMIT);
    tokio::pin!(find);
    let mut is_found = false;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Err(feed::Error::Replaced.into()),
            () = &mut find, if !is_found => return Err(Error::Nothing),
            Some(note) = said.recv() => feed.note(note),
            Some(event) = bus.recv() => match event {
                pipeline::Event::Error(detail) => return Err(Error::Stream(detail)),
                pipeline::Event::Warning(detail) => tracing::debug!("demultiplexer: {detail}"),
                pipeline::Event::Eos => {}
            },
            step = streams.next() => {
                is_found |= matches!(step, Step::Event(Event::Format(_)));
                streams.take(step, feed).await?;
            }
            _ = idle.tick() => feed.idle(),
        }
    }
}

/// The thread that reads a caller.
struct Reader {
    socket: Arc<Socket>,
    source: gst_app::AppSrc,
    demultiplexer: gst::Element,
    record: Record,
    stall: Duration,
    is_over: Arc<AtomicBool>,
    notes: mpsc::Sender<String>,
}

impl Reader {
    /// Reads until the caller is gone; returns why.
    fn run(self) -> String {
        let mut buffer = Socket::buffer();
        let mut programs = Some((Programs::default(), Vec::new()));
        let mut totals = SrtStatus { latency_ms: self.socket.latency_ms(), ..SrtStatus::default() };
        let (mut since_data, mut since_report) = (Stopwatch::start(), Stopwatch::start());
        while !self.is_over.load(Ordering::Acquire) {
            if since_report.elapsed() >= REPORT {
                since_report = Stopwatch::start();
                self.report(&mut totals);
            }
            match self.socket.receive(&mut buffer) {
                Ok(Some(bytes)) => {
                    since_data = Stopwatch::start();
                    let ready = match programs.take() {
                        None => bytes.to_vec(),
                        Some(mut looking) => {
                            looking.1.extend_from_slice(bytes);
                            let Some(choice) = looking.0.look(bytes) else {
                                programs = Some(looking);
                                continue;
                            };
                            self.choose(choice);
                            looking.1
                        }
                    };
                    // Waits while the decoder is busy; libsrt then drops what comes too late.
                    if self.source.push_buffer(gst::Buffer::from_slice(ready)).is_err() {
                        return "the demultiplexer takes no more".into();
                    }
                }
                Ok(None) if since_data.elapsed() > self.stall => {
                    return format!("stalled: no data for {:?}", self.stall);
                }
                Ok(None) => {}
                Err(error) => return format!("the connection ended: {error}"),
            }
        }
        "it was ended".into()
    }

    fn choose(&self, choice: Choice) {
        let Some(program) = choice.program else { return };
        // One alone may change its number in mid-stream.
        if !choice.others.is_empty() {
            self.demultiplexer.set_property("program-number", i32::from(program));
            let others: Vec<String> = choice.others.iter().map(u16::to_string).collect();
            let text =
                format!("program {program} of the transport stream is used; left out: {}", others.join(", "));
            let _ = self.notes.try_send(text);
        }
    }

    fn report(&self, totals: &mut SrtStatus) {
        let counts = self.socket.counts();
        totals.rtt_ms = (counts.rtt_ms * 10.0).round() / 10.0;
        totals.packets += counts.packets;
        totals.lost += counts.lost;
        totals.retransmitted += counts.retransmitted;
        totals.dropped += counts.dropped;
        totals.undecrypted += counts.undecrypted;
        self.record.report(|status| status.srt = Some(*totals));
    }
}
