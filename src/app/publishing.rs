//! The ways in for publishers: keys, listeners and sources, joined to the state and kept in step with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;
use super::secrets::Secrets;
use crate::config::Config;
use crate::director::DirectorHandle;
use crate::id;
use crate::ingest::admission::{Doorman, Key, Rules};
use crate::ingest::pull::{Puller, Source};
use crate::ingest::{rtmp, srt, tls};
use crate::media::SourceStatus;
use crate::state::{self, Command, StreamKey};
use crate::time::WallTime;

/// The demonstration's host: everybody else goes before it.
const DEMO_RANK: u32 = 1000;

/// What the person at the terminal is told of a channel's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It stands in the configuration.
    Configured(String),
    /// It was made now, and cannot be told again.
    Made(String),
    /// It was told when it was made.
    Before,
}

/// Keys of this run, known in the clear.
#[derive(Default)]
pub struct RunKeys {
    /// Those that are not kept in the state.
    keys: Vec<Key>,
    /// What the person at the terminal is told, by channel.
    pub told: BTreeMap<String, Told>,
    /// The demonstration's.
    pub demo: Option<String>,
}

impl RunKeys {
    fn add(&mut self, channel: &str, name: &str, rank: u32, secret: &str) {
        let digest = id::digest(secret);
        self.keys.push(Key { id: name.into(), channel: channel.into(), name: name.into(), rank, digest });
    }
}

/// Sees that each channel has a key: the configured one for this run, else one in the state, made now if need be.
///
/// # Errors
/// [`Error::Keys`] when one cannot be saved.
pub async fn keys(
    config: &Config,
    secrets: &mut Secrets,
    director: &DirectorHandle,
    is_demo: bool,
) -> Result<RunKeys, Error> {
    let mut run = RunKeys::default();
    for channel in config.channels.iter().map(|channel| channel.name.as_str()) {
        if let Some(key) = config.stream_key.as_ref().filter(|_| channel == "main") {
            run.add(channel, "configured", 0, key);
            run.told.insert(channel.into(), Told::Configured(key.clone()));
            continue;
        }
        if director.state().stream_keys.values().any(|key| key.channel == channel) {
            run.told.insert(channel.into(), Told::Before);
            continue;
        }
        // Earlier versions kept keys in the clear.
        let secret = secrets.stream_keys.get(channel).cloned().unwrap_or_else(id::secret);
        let key = StreamKey {
            id: id::new("key"),
            channel: channel.into(),
            name: "host".into(),
            rank: 0,
            made: WallTime::now(),
            digest: id::digest(&secret),
        };
        director.apply(Command::PutStreamKey(key)).await.map_err(Error::Keys)?;
        run.told.insert(channel.into(), Told::Made(secret));
    }
    secrets.forget_stream_keys(config)?;
    if is_demo {
        let secret = id::secret();
        run.add("main", "demo", DEMO_RANK, &secret);
        run.demo = Some(secret);
    }
    Ok(run)
}

/// A doorman without doors.
pub fn doorman(config: &Config) -> Doorman {
    Doorman::new(Rules {
        publishers_per_address: config.ingest.publishers_per_address,
        callback: config.ingest.callback.clone(),
        failover_ms: config.ingest.failover_ms,
    })
}

/// Where encoders come in.
pub struct Listeners {
    /// RTMP.
    pub rtmp: TcpListener,
    /// RTMPS, if it is on.
    pub rtmps: Option<TcpListener>,
}

/// Starts everything that lets publishers in; the address that SRT took.
///
/// # Errors
/// [`Error::Srt`], [`Error::Tls`].
pub fn serve(
    config: &Config,
    listeners: Listeners,
    doorman: &Arc<Doorman>,
    names: Vec<String>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<std::net::SocketAddr, Error> {
    let address = config.srt.address;
    let listener = srt::listen(address, &config.srt, doorman.clone())
        .map_err(|source| Error::Srt { address, source })?;
    let bound = listener.address().unwrap_or(address);
    let (doors, ingest) = (doorman.clone(), config.ingest.clone());
    tasks.spawn(srt::serve(listener, doors, ingest, config.pipelines.clone(), stop.clone()));
    if let Some(rtmps) = listeners.rtmps {
        let acceptor = if let Some(tls) = &config.tls {
            tls::acceptor(&tls.certificate, &tls.key)?
        } else {
            let (certificate, key) = tls::self_signed(&config.data_dir.join("tls"), names)?;
            let path = certificate.display();
            tracing::warn!(
                "RTMPS uses {path}, signed by itself: encoders that check certificates refuse it; set [tls]"
            );
            tls::acceptor(&certificate, &key)?
        };
        tasks.spawn(rtmp::serve(rtmps, Some(acceptor), doorman.clone(), config.ingest.clone(), stop.clone()));
    }
    tasks.spawn(rtmp::serve(listeners.rtmp, None, doorman.clone(), config.ingest.clone(), stop.clone()));
    Ok(bound)
}

/// Follows the state: keys to the doorman, sources to their pullers.
pub struct Follower {
    doorman: Arc<Doorman>,
    run: Vec<Key>,
    configured: BTreeMap<String, Source>,
    wanted: BTreeMap<String, watch::Sender<Option<Source>>>,
    keys: Option<BTreeMap<String, StreamKey>>,
}

impl Follower {
    /// With the keys of this run and the sources of the configuration.
    pub fn new(config: &Config, doorman: Arc<Doorman>, run: &RunKeys) -> Self {
        let source = |(url, rank): &(String, u32)| Source { url: url.clone(), rank: *rank };
        let configured = config
            .channels
            .iter()
            .filter_map(|channel| Some((channel.name.clone(), source(channel.source.as_ref()?))))
            .collect();
        let wanted = config.channels.iter().map(|channel| (channel.name.clone(), watch::Sender::new(None)));
        Self { doorman, run: run.keys.clone(), configured, wanted: wanted.collect(), keys: None }
    }

    /// Pulls each channel's source while there is one.
    pub fn pull(
        &self,
        config: &Config,
        statuses: BTreeMap<String, watch::Sender<Option<SourceStatus>>>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        for (channel, status) in statuses {
            let Some(wanted) = self.wanted.get(&channel).map(watch::Sender::subscribe) else { continue };
            let puller = Puller {
                channel,
                doorman: self.doorman.clone(),
                ingest: config.ingest.clone(),
                pipelines: config.pipelines.clone(),
                media_dir: media_dir(config),
                status,
            };
            tasks.spawn(puller.run(wanted, stop.clone()));
        }
    }

    /// Brings keys and sources in step.
    pub fn update(&mut self, state: &state::State) {
        if self.keys.as_ref() != Some(&state.stream_keys) {
            let kept = state.stream_keys.values().map(|key| Key {
                id: key.id.clone(),
                channel: key.channel.clone(),
                name: key.name.clone(),
                rank: key.rank,
                digest: key.digest,
            });
            self.doorman.set_keys(self.run.iter().cloned().chain(kept).collect());
            self.keys = Some(state.stream_keys.clone());
        }
        for (channel, wanted) in &self.wanted {
            let source = state
                .sources
                .get(channel)
                .map(|source| Source { url: source.url.clone(), rank: source.rank })
                .or_else(|| self.configured.get(channel).cloned());
            wanted.send_if_modified(|before| std::mem::replace(before, source.clone()) != source);
        }
    }

    /// Follows until `stop`.
    pub async fn run(mut self, mut snapshots: watch::Receiver<Arc<state::State>>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = snapshots.changed() => if changed.is_err() { return },
            }
            let state = snapshots.borrow_and_update().clone();
            self.update(&state);
        }
    }
}

/// Where files that channels play lie.
pub fn media_dir(config: &Config) -> PathBuf {
    config.data_dir.join("media")
}
