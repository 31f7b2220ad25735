//! RTMP: sockets around [`session`], plain and behind TLS. Every connection is a task of its own; whatever it
//! sends, it ends alone, with one log line that says why and never names the key.

pub mod amf;
pub mod chunk;
pub mod flv;
pub mod session;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::session::{Event, Session};
use super::admission::{self, Applicant, Doorman, Seat};
use super::feed::{self, Feed, Unit};
use super::limits;
use super::timeline::Stamp;
use crate::config;

/// From the first byte to a publish that is admitted.
const ADMISSION_LIMIT: Duration = Duration::from_secs(10);
/// How long the peer may take to read our answers.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long an orderly end may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// How often producers are told that nothing comes.
const IDLE: Duration = Duration::from_secs(1);
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
    #[error(transparent)]
    Feed(#[from] feed::Error),
}

/// A socket, plain or behind TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What every connection needs.
struct Port {
    doorman: Arc<Doorman>,
    ingest: config::Ingest,
    tls: Option<TlsAcceptor>,
}

impl Port {
    fn protocol(&self) -> &'static str {
        if self.tls.is_some() { "rtmps" } else { "rtmp" }
    }
}

/// Accepts encoders until `stop`; with `tls`, RTMPS.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    doorman: Arc<Doorman>,
    ingest: config::Ingest,
    stop: CancellationToken,
) {
    let port = Arc::new(Port { doorman, ingest, tls });
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
        let (port, stop) = (port.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = stop.cancelled() => {}
                () = greet(stream, peer, &port, stranger) => {}
            }
        });
    }
}

/// Through TLS first, where there is one; its handshake counts towards the admission limit's order of time.
async fn greet(stream: TcpStream, peer: SocketAddr, port: &Port, stranger: Stranger) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = &port.tls else { return connection(stream, peer, port, stranger).await };
    match tokio::time::timeout(ADMISSION_LIMIT, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, peer, port, stranger).await,
        Ok(Err(error)) => tracing::warn!(%peer, "RTMPS publisher not admitted: no TLS: {error}"),
        Err(_) => tracing::warn!(%peer, "RTMPS publisher not admitted: {}", Error::Slow),
    }
}

/// How many connections of each address are not admitted yet.
#[derive(Debug, Clone, Default)]
struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
struct Stranger(Strangers, IpAddr);

impl Strangers {
    fn enter(&self, ip: IpAddr) -> Option<Stranger> {
        let ip = limits::household(ip);
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

async fn connection(mut stream: impl Stream, peer: SocketAddr, port: &Port, stranger: Stranger) {
    let mut session = Session::default();
    let admitted = tokio::time::timeout(ADMISSION_LIMIT, admit(&mut stream, &mut session, port, peer)).await;
    let (seat, early) = match admitted.unwrap_or(Err(Error::Slow)) {
        Ok(Some(admitted)) => admitted,
        Ok(None) => return, // a port check: connected and left
        Err(error) => {
            tracing::warn!(%peer, "RTMP publisher not admitted: {error}");
            // Behind TLS this waits for the peer to read.
            let _ = tokio::time::timeout(GOODBYE_LIMIT, stream.shutdown()).await;
            return;
        }
    };
    drop(stranger);
    tracing::info!(%peer, channel = seat.record.channel(), "{} publisher on", port.protocol());
    let mut feed = Feed::new(seat, port.ingest.jitter_ms);
    let stall = Duration::from_millis(u64::from(port.ingest.stall_ms));
    let reason = match run(&mut stream, &mut session, &mut feed, stall, early).await {
        Ok(()) => "it stopped publishing".to_owned(),
        Err(error) => {
            // What is wrong with the stream, where the encoder shows it.
            if let Error::Session(session::Error::Tag(error)) = &error {
                let _ = session.refuse(&error.to_string());
                let _ = flush(&mut stream, &mut session).await;
            }
            error.to_string()
        }
    };
    feed.end(&reason, &peer.to_string());
    let _ = tokio::time::timeout(GOODBYE_LIMIT, stream.shutdown()).await;
}

/// Runs the conversation up to an admitted publish; events that came with it are returned too.
async fn admit(
    stream: &mut impl Stream,
    session: &mut Session,
    port: &Port,
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
                    let applicant = Applicant { key: &key, peer, protocol: port.protocol() };
                    let admitted = match port.doorman.check(applicant) {
                        Ok(pass) => port.doorman.admit(pass, applicant).await,
                        Err(error) => Err(error),
                    };
                    match admitted {
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

async fn flush(stream: &mut impl Stream, session: &mut Session) -> Result<(), Error> {
    let output = session.take_output();
    if !output.is_empty() {
        let write = async {
            stream.write_all(&output).await?;
            stream.flush().await
        };
        tokio::time::timeout(WRITE_LIMIT, write).await.map_err(|_| Error::Stalled(WRITE_LIMIT))??;
    }
    Ok(())
}

/// From admission to the end; `Ok` when the encoder said that it stops.
async fn run(
    stream: &mut impl Stream,
    session: &mut Session,
    feed: &mut Feed,
    stall: Duration,
    early: Vec<Event>,
) -> Result<(), Error> {
    let mut events = early;
    let mut buffer = vec![0; 64 * 1024];
    let mut idle = tokio::time::interval(IDLE);
    let cancel = feed.seat().cancel.clone();
    loop {
        for event in events {
            if !take(event, feed).await? {
                return Ok(());
            }
        }
        let read = tokio::time::timeout(stall, stream.read(&mut buffer));
        tokio::pin!(read);
        let length = loop {
            tokio::select! {
                () = cancel.cancelled() => return Err(feed::Error::Replaced.into()),
                read = &mut read => break read.map_err(|_| Error::Stalled(stall))??,
                _ = idle.tick() => feed.idle(),
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
async fn take(event: Event, feed: &mut Feed) -> Result<bool, Error> {
    match event {
        Event::Media(kind, stamp, tags) => {
            for tag in tags {
                match tag {
                    flv::Tag::Format(format) => feed.format(format).await?,
                    flv::Tag::Unit { cts_nanos, is_keyframe, data } => {
                        let stamp = Stamp::Millis(stamp);
                        feed.unit(Unit { kind, stamp, cts_nanos, is_keyframe, data }).await?;
                    }
                    flv::Tag::Note(text) => feed.note(text),
                }
            }
        }
        Event::Metadata(metadata) => feed.seat().record.report(|status| {
            // What the decoder found is truer.
            status.width = status.width.or(metadata.width);
            status.height = status.height.or(metadata.height);
            status.encoder = metadata.encoder.or(status.encoder.take());
        }),
        Event::Finished => return Ok(false),
        Event::Publish { .. } => {}
    }
    Ok(true)
}
