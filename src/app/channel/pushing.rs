//! Simulcast: what the encoders make, to every target of a channel, each with its own connection, watchdog and patience.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use crate::config::{self, Push, When};
use crate::media::{Format, Packet, PushState, PushStatus};
use crate::pipeline::{self, Event};
use crate::push::Connection;
use crate::time::Stopwatch;

/// Units that wait for a target's task: it does nothing but hand them on, so more than a moment's work means that the
/// machine is busy, and then they are left out.
const UNITS: usize = 1024;
/// How often a connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After so long without a byte sent, a target counts as stuck.
const STUCK: Duration = Duration::from_secs(10);
/// Before another try: doubled each time, and short again after a connection that held.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(30);
const WELL: Duration = Duration::from_mins(1);
/// Bytes after which a connection counts as taken: handshakes are not counted, the first buffers may wait for one.
const TAKEN: u64 = 20_000;

/// What the encoders make, for whoever wants it.
#[derive(Debug)]
pub(super) struct Fan {
    units: broadcast::Sender<(usize, Packet)>,
    formats: Mutex<BTreeMap<usize, Format>>,
}

impl Default for Fan {
    fn default() -> Self {
        Self { units: broadcast::Sender::new(UNITS), formats: Mutex::default() }
    }
}

impl Fan {
    pub(super) fn tell(&self, track: usize, packet: &Packet) {
        if let Packet::Format(format) = packet {
            let mut formats = self.formats.lock().unwrap_or_else(PoisonError::into_inner);
            formats.insert(track, format.clone());
        }
        let _ = self.units.send((track, packet.clone())); // nobody listens
    }

    fn format(&self, track: usize) -> Option<Format> {
        self.formats.lock().unwrap_or_else(PoisonError::into_inner).get(&track).cloned()
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    #[error("{0}")]
    Platform(String),
    #[error("it took nothing for {} s", STUCK.as_secs())]
    Stuck,
    #[error("the encoder changed its settings")]
    Changed,
    #[error("the programme ended")]
    Ended,
}

/// A target's task.
pub(super) struct Pusher {
    pub(super) target: Push,
    pub(super) channel: config::Channel,
    pub(super) replacements: Option<PathBuf>,
    pub(super) fan: Arc<Fan>,
    /// Whether a show goes on.
    pub(super) is_live: watch::Receiver<bool>,
    pub(super) status: watch::Sender<Vec<PushStatus>>,
    /// Its place in the status.
    pub(super) place: usize,
}

impl Pusher {
    pub(super) fn first_status(target: &Push) -> PushStatus {
        PushStatus { name: target.name.clone(), url: target.shown.clone(), ..PushStatus::default() }
    }

    fn tell(&self, change: impl FnOnce(&mut PushStatus)) {
        self.status.send_if_modified(|all| {
            let before = all[self.place].clone();
            change(&mut all[self.place]);
            before != all[self.place]
        });
    }

    fn is_wanted(&self, is_live: bool) -> bool {
        match self.target.when {
            When::Live => is_live,
            When::Always => true,
            When::Off => false,
        }
    }

    /// Until the channel ends.
    pub(super) async fn run(self) {
        let mut again = AGAIN;
        let mut is_live = self.is_live.clone();
        loop {
            if !self.is_wanted(*is_live.borrow()) {
                self.tell(|status| (status.state, status.error, status.kbps) = (PushState::Off, None, 0));
                again = AGAIN;
            }
            if is_live.wait_for(|is_live| self.is_wanted(*is_live)).await.is_err() {
                return std::future::pending().await; // off for good: ended with the channel
            }
            self.tell(|status| (status.state, status.kbps) = (PushState::Connecting, 0));
            let watch = Stopwatch::start();
            let Err(error) = self.connect(self.unwanted()).await else { continue };
            if watch.elapsed() > WELL {
                again = AGAIN;
            }
            let text = self.without_secrets(&error.to_string());
            let (channel, name) = (&self.channel.name, &self.target.name);
            tracing::warn!(channel, "push to {name} ({}): {text}; again in {again:?}", self.target.shown);
            self.tell(|status| {
                (status.state, status.error, status.kbps) = (PushState::Waiting, Some(text), 0);
            });
            tokio::select! {
                () = tokio::time::sleep(again) => again = (again * 2).min(AGAIN_MOST),
                () = self.unwanted() => {}
            }
        }
    }

    /// Ends when the target is not to have the programme any more.
    async fn unwanted(&self) {
        let mut is_live = self.is_live.clone();
        if is_live.wait_for(|is_live| !self.is_wanted(*is_live)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Elements' words may hold the address.
    fn without_secrets(&self, text: &str) -> String {
        self.target.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }

    /// `Ok` when `unwanted` came first.
    async fn connect(&self, unwanted: impl Future<Output = ()>) -> Result<(), Error> {
        let rungs = &self.channel.rungs;
        let wanted = |rung: &config::Rung| self.target.rung.as_ref().is_none_or(|name| rung.name == *name);
        let track = rungs.iter().position(wanted).unwrap_or(0);
        let sound = rungs.len();
        let mut units = self.fan.units.subscribe();
        let (Some(video), Some(audio)) = (self.fan.format(track), self.fan.format(sound)) else {
            tokio::time::sleep(LOOK_EVERY).await;
            return Err(Error::Platform("nothing is coded yet".into()));
        };
        let replacements = self.replacements.as_deref();
        let mut connection =
            Connection::open(replacements, &self.target, rungs[track].canvas, &video, &audio).await?;
        let outcome = tokio::select! {
            () = unwanted => Ok(()),
            outcome = self.feed(&mut connection, &mut units, [(track, video), (sound, audio)]) => outcome,
        };
        connection.stop().await?;
        outcome
    }

    async fn feed(
        &self,
        connection: &mut Connection,
        units: &mut broadcast::Receiver<(usize, Packet)>,
        formats: [(usize, Format); 2],
    ) -> Result<(), Error> {
        let mut every = tokio::time::interval(LOOK_EVERY);
        let (mut sent, mut since) = (0, Stopwatch::start());
        let (mut counted, mut second) = (0, Stopwatch::start());
        loop {
            tokio::select! {
                unit = units.recv() => match unit {
                    Ok((track, Packet::Unit(unit))) if formats.iter().any(|(own, _)| *own == track) => {
                        connection.take(&unit);
                    }
                    Ok((track, Packet::Format(format))) => {
                        if formats.iter().any(|(own, known)| *own == track && *known != format) {
                            return Err(Error::Changed);
                        }
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => connection.skip(), // what is missing was never seen here
                    Err(RecvError::Closed) => return Err(Error::Ended),
                },
                Some(event) = connection.events.recv() => match event {
                    Event::Error(detail) => return Err(Error::Platform(detail)),
                    Event::Eos => return Err(Error::Platform("the platform ended it".into())),
                    Event::Warning(_) => {}
                },
                _ = every.tick() => {
                    let now = connection.sent();
                    if now > sent {
                        (sent, since) = (now, Stopwatch::start());
                    } else if since.elapsed() > STUCK {
                        return Err(Error::Stuck);
                    }
                    let elapsed = second.elapsed();
                    let skipped_frames = connection.skipped();
                    if elapsed >= Duration::from_secs(2) {
                        let kbps = ((now - counted) as f64 * 8.0 / 1000.0 / elapsed.as_secs_f64()) as u32;
                        (counted, second) = (now, Stopwatch::start());
                        self.tell(|status| (status.kbps, status.skipped_frames) = (kbps, skipped_frames));
                    }
                    if now > TAKEN {
                        self.tell(|status| (status.state, status.error) = (PushState::On, None));
                    }
                }
            }
        }
    }
}
