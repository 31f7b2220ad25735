//! The only wiring: builds the parts, joins them, starts and stops them in order.
//!
//! Start: data directory and secrets, store, director, overlay's fonts, each channel, RTMP and SRT, HTTP. The order
//! is the picture's, from the inside out, so that nobody is let in before there is something behind the
//! door. Stop: the doors first, then the channels; state is saved already.

mod airtime;
mod archive;
pub mod cards;
pub mod channel;
pub mod check;
pub mod demo;
mod designs;
pub mod endpoints;
mod https;
pub mod publishing;
pub mod secrets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::control::catalogue::fetching::Fetching;
use crate::control::catalogue::import::Import;
use crate::control::people::{People, Who};
use crate::control::{self, Doors, Shelf, catalogue};
use crate::director::{self, DirectorHandle};
use crate::overlay::fonts::Fonts;
use crate::overlay::raster::Raster;
use crate::overlay::studio::Studio;
use crate::serve::access::Access;
use crate::serve::direct;
use crate::serve::door::Door;
use crate::serve::files::Files;
use crate::serve::hls::{Hls, Offer};
use crate::state::{Guards, Moment, Ratio};
use crate::store::people::People as PeopleStore;
use crate::store::pictures::Pictures;
use crate::store::{Sqlite, Store};
use crate::time::{MediaTime, ProgramClock, WallTime};
use crate::{id, ingest, overlay, pipeline, serve};

use self::channel::Channel;
use self::endpoints::Endpoints;
use self::publishing::{Follower, Listeners};
use self::secrets::Secrets;

/// How long open requests may take to end at a stop.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `GStreamer`.
    #[error("GStreamer cannot be used; `vitrine check` tells what is missing")]
    Gstreamer(#[from] gst::glib::Error),
    /// The overlay element.
    #[error("the overlay element cannot be registered")]
    Overlay(#[from] gst::glib::BoolError),
    /// The data directory or the database.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// An address.
    #[error("cannot listen on {address} for {purpose}: is another server running there?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// SRT's address.
    #[error("cannot listen on {address} for SRT: is another server running there?")]
    Srt {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: ingest::srt::SystemError,
    },
    /// RTMPS.
    #[error("RTMPS cannot be served")]
    Tls(#[from] ingest::tls::Error),
    /// HTTPS.
    #[error("HTTPS cannot be served")]
    Https(#[from] https::Error),
    /// A stream key.
    #[error("a stream key cannot be made")]
    Keys(#[source] director::Error),
    /// A file in the data directory.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another server has the data directory.
    #[error("another server is using {path}: give this one its own with --data-dir")]
    InUse {
        /// Which.
        path: std::path::PathBuf,
    },
    /// A channel.
    #[error("channel {name} cannot start")]
    Channel {
        /// Which.
        name: String,
        /// Why.
        source: channel::Error,
    },
    /// The demonstration.
    #[error("the demonstration cannot run")]
    Demo(#[from] demo::Error),
    /// A locale.
    #[error("locale = {0} cannot be used: such as zh-CN, en-US or de-DE")]
    Locale(String),
    /// A signal handler.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
}

/// Makes our own elements known, which `pipelines/*.gst` name.
fn register() -> Result<(), gst::glib::BoolError> {
    overlay::element::register()?;
    pipeline::scale::register()
}

/// Runs the server until a signal.
///
/// # Errors
/// [`Error`], when it cannot start.
pub async fn run(config: Config, is_demo: bool) -> Result<(), Error> {
    gst::init()?;
    register()?;
    make_dir(&config.data_dir)?;
    let _lock = lock(&config.data_dir)?;
    check_locales(&config)?;
    allow_open_files();
    let mut secrets = Secrets::load(&config)?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();

    let http = listen(config.http, "HTTP").await?;
    let https = listen_if(config.https, "HTTPS").await?;
    let amcp = listen_if(config.amcp, "AMCP").await?;
    let listeners = encoders(&config).await?;
    let endpoints = Endpoints::new(&config, &http, https.as_ref(), &listeners);
    let pictures = Pictures::open(&config.data_dir)?;
    let cards_dir = cards_dir(&config);
    let studio = studio(&config, &cards_dir, &pictures);
    let (director, clocks, runs) = start_director(&config, &studio)?;
    make_dir(&publishing::media_dir(&config))?;

    let mut doorman = publishing::doorman(&config);
    let (mut channels, mut source_statuses) = (Vec::new(), BTreeMap::new());
    for channel in &config.channels {
        let clock = clocks[&channel.name].clone();
        let source = watch::Sender::new(None);
        let parts = channel::Parts {
            config: config.clone(),
            channel: channel.clone(),
            clock: clock.clone(),
            run: runs[&channel.name],
            reception: doorman.add(&channel.name, channel.canvas, channel.srt_passphrase.clone(), clock),
            source: source.subscribe(),
            director: director.clone(),
            studio: studio.clone(),
            public_url: endpoints.public_url.clone(),
            stop: stop.clone(),
        };
        source_statuses.insert(channel.name.clone(), source);
        let started = Channel::start(parts, &tasks).await;
        channels.push(started.map_err(|source| Error::Channel { name: channel.name.clone(), source })?);
    }

    let doorman = Arc::new(doorman);
    let srt = publishing::serve(&config, listeners, &doorman, endpoints.names(), &stop, &tasks)?;
    let endpoints = endpoints.with_srt(srt).with_amcp(amcp.as_ref());
    // Made when nothing can fail any more: a key that is kept is told below, this once.
    let keys = publishing::keys(&config, &mut secrets, &director, is_demo).await?;
    let mut follower = Follower::new(&config, doorman.clone(), &keys);
    follower.update(&director.state());
    follower.pull(&config, source_statuses, &stop, &tasks);
    tasks.spawn(follower.run(director.snapshots(), stop.clone()));
    let shelf = watch::Sender::new(designs::shelf(&studio.library()));
    let access = Access::new(&config.viewers);
    let signing = access.clone();
    let people = People::open(PeopleStore::open(&config.data_dir.join("people.db"))?, secrets.token())?;
    let doors = Doors {
        signer: Arc::new(move |scope, expiry| signing.prefix(scope, expiry)),
        shelf: shelf.subscribe(),
        publish: Arc::new(endpoints.publish()),
        ..doors(&config, &director, &channels, &pictures, people, &stop)
    };
    let door = door(&config, &doors, &channels, &access);
    if let Some(listener) = https {
        let ready = https::serve(listener, &config, &stop, &tasks)?;
        tasks.spawn(door.clone().serve(ready, stop.clone(), tasks.clone()));
    }
    tasks.spawn(door.serve(direct::Listener::new(http), stop.clone(), tasks.clone()));
    if let Some(listener) = amcp {
        tasks.spawn(control::amcp::serve(listener, doors.clone()));
    }
    tend(&doors, &tasks);
    tasks.spawn(until(stop.clone(), designs::follow(cards_dir, studio.clone(), director.clone(), shelf)));
    tasks.spawn(until(stop.clone(), airtime::run(director.clone(), clocks)));
    endpoints.save(&config.data_dir)?;
    endpoints.announce(&secrets, &keys);
    if is_demo {
        demo::start(&config, &endpoints, &keys, &doors, &studio.raster, &tasks).await?;
    }
    until_signal().await?;
    end(&stop, &tasks).await;
    Ok(())
}

async fn end(stop: &CancellationToken, tasks: &TaskTracker) {
    tracing::info!("stopping");
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_LIMIT, tasks.wait()).await.is_err() {
        tracing::debug!("requests that were held are cut off");
    }
}

/// The pages, the API and HLS.
fn door(config: &Config, doors: &Doors, channels: &[Channel], access: &Access) -> Door {
    let offer = |channel: &Channel| Offer { programme: channel.live.clone(), clean: channel.clean.clone() };
    let offers = channels.iter().map(|channel| (channel.name.clone(), offer(channel))).collect();
    let pictures = channels.iter().map(|channel| (channel.name.clone(), channel.pictures.clone())).collect();
    let files = Files::default();
    let shows = channel::archive_folder(&config.data_dir);
    let routes = control::http::router(doors.clone())
        .merge(serve::pictures::router(Arc::new(pictures), access.clone(), files.clone()))
        .merge(serve::vod::router(shows, access.clone(), files.clone()))
        .merge(serve::pages::router(doors.director.clone()));
    Door::new(Hls::new(Arc::new(offers), access.clone(), files), routes)
}

/// Two servers on one data directory would undo each other's state. The lock goes with the process.
fn lock(data_dir: &std::path::Path) -> Result<std::fs::File, Error> {
    let path = data_dir.join("lock");
    let failed = |source| Error::File { path: path.clone(), source };
    let file = std::fs::File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse { path: data_dir.into() }),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::File { path, source }),
    }
}

/// Every viewer is an open file, and the usual limit of 1,024 is for programs that ask for more.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }); // then it stays
}

fn make_dir(path: &std::path::Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::File { path: path.into(), source })
}

async fn listen(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, purpose, source })
}

async fn listen_if(address: Option<SocketAddr>, purpose: &'static str) -> Result<Option<TcpListener>, Error> {
    match address {
        Some(address) => listen(address, purpose).await.map(Some),
        None => Ok(None),
    }
}

async fn encoders(config: &Config) -> Result<Listeners, Error> {
    let rtmp = listen(config.rtmp, "RTMP").await?;
    Ok(Listeners { rtmp, rtmps: listen_if(config.rtmps, "RTMPS").await? })
}

type Clocks = BTreeMap<String, ProgramClock>;
type Runs = BTreeMap<String, crate::store::ChannelRun>;

fn check_locales(config: &Config) -> Result<(), Error> {
    for name in config.channels.iter().filter_map(|channel| channel.look.locale.as_ref()) {
        if crate::state::money::Locale::named(name).is_none() {
            return Err(Error::Locale(name.clone()));
        }
    }
    Ok(())
}

/// Where the owner's templates are.
fn cards_dir(config: &Config) -> std::path::PathBuf {
    config.overlay.cards.clone().unwrap_or_else(|| config.data_dir.join("cards"))
}

/// Fonts, templates, and where drawings are kept.
fn studio(config: &Config, cards_dir: &std::path::Path, pictures: &Pictures) -> Arc<Studio> {
    let pictures = pictures.clone();
    let raster = Raster::new(
        Fonts::load(&config.overlay.fonts),
        Arc::new(move |id| {
            overlay::template::sample_picture(id).or_else(|| std::fs::read(pictures.path(id)).ok())
        }),
    );
    Arc::new(Studio::new(raster, designs::read(cards_dir, None)))
}

/// Runs `work` until it ends or `stop` is cancelled.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

fn start_director(config: &Config, studio: &Studio) -> Result<(DirectorHandle, Clocks, Runs), Error> {
    let mut store = Sqlite::open(&config.data_dir.join("vitrine.db"))?;
    let (mut clocks, mut runs) = (Clocks::new(), Runs::new());
    for channel in &config.channels {
        // A little in the past, so that even the first start has room for the segments made ahead.
        let epoch = WallTime(WallTime::now().0 - 60_000);
        let run = store.start_channel(&channel.name, epoch)?;
        clocks.insert(
            channel.name.clone(),
            ProgramClock::start(run.epoch, channel::earliest(channel, config, &run)),
        );
        runs.insert(channel.name.clone(), run);
    }
    let names = config.channels.iter().map(|channel| channel.name.clone()).collect();
    let moment_clocks = clocks.clone();
    let moment = move || Moment {
        wall: WallTime::now(),
        programme: moment_clocks
            .iter()
            .map(|(name, clock)| (name.clone(), clock.now()))
            .collect::<BTreeMap<_, MediaTime>>(),
        airing_id: id::new("air"),
        code: id::short_code(),
        is_cut: false,
    };
    let minutes = u64::from(config.overlay.longest_airing_min);
    let rules = director::Rules {
        channels: names,
        templates: studio.library().templates(),
        longest_airing_ms: (minutes > 0).then_some(minutes * 60_000),
        guards: Guards {
            largest_drop: Ratio::try_from(config.catalogue.largest_price_drop).unwrap_or(Ratio::ONE),
        },
    };
    let director = director::start(Box::new(store), rules, Box::new(moment))?;
    Ok((director, clocks, runs))
}

/// What the doors work with, but for what is secret or about addresses.
fn doors(
    config: &Config,
    director: &DirectorHandle,
    channels: &[Channel],
    pictures: &Pictures,
    people: People,
    stop: &CancellationToken,
) -> Doors {
    let painters: BTreeMap<String, control::Painter> =
        channels.iter().map(|channel| (channel.name.clone(), channel.painter(director))).collect();
    Doors {
        director: director.clone(),
        status: Arc::new(
            channels.iter().map(|channel| (channel.name.clone(), channel.status.clone())).collect(),
        ),
        painter: Arc::new(move |subject, channel, view| {
            let painter = painters.get(channel).ok_or_else(|| format!("there is no channel {channel:?}"))?;
            painter(subject, channel, view)
        }),
        monitor: monitor(channels),
        announcer: announcer(channels),
        shows: Arc::new(archive::Folders(channel::archive_folder(&config.data_dir))),
        signer: Arc::new(|_, _| String::new()),
        pace: Arc::default(),
        shelf: watch::Sender::new(Shelf::default()).subscribe(),
        picture_hosts: config.pictures.allow.clone().into(),
        written: control::socket::Written::default(),
        fetching: Fetching::default(),
        samples: control::samples::Samples::default(),
        hooks: control::catalogue::hooks::Hooks::new(config.hooks.clone()),
        questions: control::questions::Questions::default(),
        pictures: pictures.clone(),
        people,
        who: Who::owner(),
        publish: Arc::default(),
        import_dir: config.data_dir.join("import"),
        stop: stop.clone(),
    }
}

/// Shows producers what is on air.
fn monitor(channels: &[Channel]) -> control::monitor::Monitor {
    let watchers: BTreeMap<String, _> =
        channels.iter().map(|channel| (channel.name.clone(), channel.watcher())).collect();
    Arc::new(move |channel| watchers.get(channel).map(|watch| watch()))
}

/// Notes producers' own metadata at the frame that is on air.
fn announcer(channels: &[Channel]) -> control::Announcer {
    let announcers: BTreeMap<String, channel::Announce> =
        channels.iter().map(|channel| (channel.name.clone(), channel.announcer())).collect();
    Arc::new(move |channel, text| {
        if let Some(announce) = announcers.get(channel) {
            announce(text);
        }
    })
}

/// What the doors need done without being asked.
fn tend(doors: &Doors, tasks: &TaskTracker) {
    tasks.spawn(until(doors.stop.clone(), doors.samples.clone().take(doors.status.clone())));
    tasks.spawn(import_products(doors.clone()));
}

async fn import_products(doors: Doors) {
    if !catalogue::is_there(&doors.import_dir) {
        return;
    }
    let import = Import { only_new: true, leave_out: true, ..Import::default() };
    let imported = tokio::select! {
        () = doors.stop.cancelled() => return,
        imported = catalogue::run(&doors, import, true) => imported,
    };
    match imported {
        Ok(report) => {
            tracing::info!("{} products imported", report.added);
            for problem in report.problems {
                let field = problem.field.unwrap_or_default();
                tracing::warn!("import: row {} ({}): {field}: {}", problem.row, problem.sku, problem.reason);
            }
        }
        Err(error) => tracing::warn!("import: {error}"),
    }
}

async fn until_signal() -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        interrupt.recv().await;
        tracing::warn!("ended at the second signal");
        std::process::exit(130);
    });
    Ok(())
}
