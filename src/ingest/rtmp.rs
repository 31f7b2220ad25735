//! RTMP: sockets around [`session`]. Every connection is a task of its own; whatever it sends, it ends alone,
//! with one log line that says why and never names the key.

pub mod amf;
pub mod chunk;
pub mod flv;
pub mod session;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::session::{Event, Session};
use super::admission::{self, Doorman, Seat};
use super::meter::Meter;
use super::timeline::{Repairs, Timeline};
use crate::config;
use crate::media::{AccessUnit, Kind, Packet, PublisherStatus};

/// From the first byte to a publish that is admitted.
const ADMISSION_LIMIT: Duration = Duration::from_secs(10);
/// How long the peer may take to read our answers.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Connections at once; one more is closed at once.
const CONNECTIONS: usize = 512;
/// Connections from one address that have not been admitted yet; one more is closed at once, so that a flood
/// from one place does not lock encoders out.
const STRANGERS: usize = 16;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Session(#[from] session::Error),
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("refused: {0}")]
    Refused(#[from] admission::Error),
    #[error("nothing was published within {ADMISSION_LIMIT:?}")]
    Slow,
    #[error("stalled: no data for {0:?}")]
    Stalled(Duration),
    #[error("a newer publisher took over, or the server stops")]
    Replaced,
    #[error("the decoder gave it up")]
    Unwanted,
}

/// Accepts encoders until `stop`.
pub async fn serve(
    listener: TcpListener,
    doorman: Arc<Doorman>,
    ingest: config::Ingest,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let strangers = Strangers::default();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: wait for some to be closed.
                    tracing::warn!("an RTMP connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (Ok(slot), Some(stranger)) = (slots.clone().try_acquire_owned(), strangers.enter(peer.ip()))
        else {
            tracing::debug!(%peer, "too many RTMP connections");
            continue;
        };
        let (doorman, ingest, stop) = (doorman.clone(), ingest.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(stream, peer, &doorman, &ingest, stranger) => {}
            }
        });
    }
}

/// How many connections of each address are not admitted yet.
#[derive(Debug, Clone, Default)]
struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
struct Stranger(Strangers, IpAddr);

impl Strangers {
    fn enter(&self, ip: IpAddr) -> Option<Stranger> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_default();
        if *count >= STRANGERS {
            return None;
        }
        *count += 1;
        Some(Stranger(self.clone(), ip))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    doorman: &Doorman,
    ingest: &config::Ingest,
    stranger: Stranger,
) {
    let _ = stream.set_nodelay(true);
    let mut session = Session::default();
    let admitted =
        tokio::time::timeout(ADMISSION_LIMIT, admit(&mut stream, &mut session, doorman, peer)).await;
    let (seat, early) = match admitted.unwrap_or(Err(Error::Slow)) {
        Ok(Some(admitted)) => admitted,
        Ok(None) => return, // a port check: connected and left
        Err(error) => {
            tracing::warn!(%peer, "RTMP publisher not admitted: {error}");
            let _ = stream.shutdown().await;
            return;
        }
    };
    drop(stranger);
    let channel = seat.channel().to_owned();
    tracing::info!(%peer, %channel, "RTMP publisher on");
    let mut publisher = Publisher::new(seat, ingest);
    let end = publisher.run(&mut stream, &mut session, early).await;
    let reason = match (publisher.seat.failure(), &end) {
        (Some(failure), _) => failure.to_owned(),
        (None, Err(error)) => error.to_string(),
        (None, Ok(())) => "it stopped publishing".to_owned(),
    };
    tracing::info!(%peer, %channel, repairs = ?publisher.timeline.repairs(), "RTMP publisher off: {reason}");
    publisher.seat.end_with(reason);
    let _ = stream.shutdown().await;
}

/// Runs the conversation up to an admitted publish; events that came with it are returned too.
async fn admit(
    stream: &mut TcpStream,
    session: &mut Session,
    doorman: &Doorman,
    peer: SocketAddr,
) -> Result<Option<(Seat, Vec<Event>)>, Error> {
    let mut buffer = vec![0; 16 * 1024];
    let mut early = Vec::new();
    let mut has_spoken = false;
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return if has_spoken {
                Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())
            } else {
                Ok(None)
            };
        }
        has_spoken = true;
        let mut seat = None;
        for event in session.feed(&buffer[..length])? {
            match event {
                Event::Publish { key } => {
                    let status = PublisherStatus {
                        protocol: Some("rtmp"),
                        address: Some(peer.to_string()),
                        ..PublisherStatus::default()
                    };
                    match doorman.admit(&key, status).await {
                        Ok(admitted) => {
                            session.accept()?;
                            seat = Some(admitted);
                        }
                        Err(error) => {
                            session.refuse(&error.to_string())?;
                            flush(stream, session).await?;
                            // Closing at once could overtake the answer on the wire.
                            let _ =
                                tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await;
                            return Err(error.into());
                        }
                    }
                }
                other => early.push(other),
            }
        }
        flush(stream, session).await?;
        if let Some(seat) = seat {
            return Ok(Some((seat, early)));
        }
    }
}

async fn flush(stream: &mut TcpStream, session: &mut Session) -> Result<(), Error> {
    let output = session.take_output();
    if !output.is_empty() {
        tokio::time::timeout(WRITE_LIMIT, stream.write_all(&output))
            .await
            .map_err(|_| Error::Stalled(WRITE_LIMIT))??;
    }
    Ok(())
}

struct Publisher {
    seat: Seat,
    timeline: Timeline,
    meter: Meter,
    stall: Duration,
    repairs: Repairs,
}

impl Publisher {
    fn new(seat: Seat, ingest: &config::Ingest) -> Self {
        Self {
            seat,
            timeline: Timeline::new(ingest.jitter_ms),
            meter: Meter::default(),
            stall: Duration::from_millis(u64::from(ingest.stall_ms)),
            repairs: Repairs::default(),
        }
    }

    /// `Ok` when the encoder said that it stops.
    async fn run(
        &mut self,
        stream: &mut TcpStream,
        session: &mut Session,
        early: Vec<Event>,
    ) -> Result<(), Error> {
        let mut events = early;
        let mut buffer = vec![0; 64 * 1024];
        let cancel = self.seat.cancel.clone();
        loop {
            for event in events {
                if !self.event(event).await? {
                    return Ok(());
                }
            }
            let length = tokio::select! {
                () = cancel.cancelled() => return Err(Error::Replaced),
                read = tokio::time::timeout(self.stall, stream.read(&mut buffer)) => {
                    read.map_err(|_| Error::Stalled(self.stall))??
                }
            };
            if length == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            events = session.feed(&buffer[..length])?;
            flush(stream, session).await?;
        }
    }

    /// `false` when the encoder has finished.
    async fn event(&mut self, event: Event) -> Result<bool, Error> {
        match event {
            Event::Video(stamp, tag) => self.tag(Kind::Video, stamp, tag).await?,
            Event::Audio(stamp, tag) => self.tag(Kind::Audio, stamp, tag).await?,
            Event::Metadata(metadata) => self.seat.report(|status| {
                (status.width, status.height) = (metadata.width, metadata.height);
                status.encoder = metadata.encoder;
            }),
            Event::Finished => return Ok(false),
            Event::Publish { .. } => {}
        }
        Ok(true)
    }

    async fn tag(&mut self, kind: Kind, stamp: u32, tag: flv::Tag) -> Result<(), Error> {
        let packet = match tag {
            flv::Tag::Nothing => return Ok(()),
            flv::Tag::Config(config) => Packet::Config(kind, config),
            flv::Tag::Unit { cts_ms, is_keyframe, data } => {
                let now = self.seat.clock().now();
                let (pts, dts) = self.timeline.map(kind, stamp, cts_ms, now);
                let unit = AccessUnit { kind, pts, dts, is_keyframe, data };
                if let Some(reading) = self.meter.count(&unit, now) {
                    self.seat.report(|status| {
                        status.fps = reading.fps;
                        status.bitrate_kbps = reading.kbps;
                        status.keyframe_interval_s = reading.keyframe_interval_s;
                    });
                    self.log_repairs();
                }
                Packet::Unit(unit)
            }
        };
        if self.seat.send(packet).await { Ok(()) } else { Err(Error::Unwanted) }
    }

    fn log_repairs(&mut self) {
        let repairs = self.timeline.repairs();
        if (repairs.jumps, repairs.moves) != (self.repairs.jumps, self.repairs.moves) {
            tracing::warn!(
                channel = self.seat.channel(),
                ?repairs,
                "the publisher's timestamps were repaired"
            );
        }
        self.repairs = repairs;
    }
}
