//! One channel's parts, joined: publishers to decoder to programme to encoder to packager to viewers.
//!
//! Each pipeline is a failure domain. A publisher's decoder ends with its publisher; an encoder that fails or
//! sticks is dropped and built anew while the programme's clock goes on.

mod airings;
mod clean;
mod codes;
mod encoding;
mod pictures;
mod pushing;
mod shows;
mod slates;
mod status;
mod switch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::airings::{Audience, Events};
use self::clean::{Around, Rendition};
use self::encoding::{Encoding, SOUND};
use self::pushing::Pusher;
use self::status::Follow;
use self::switch::Switch;
use super::until;
use crate::config::{self, Config};
use crate::control::monitor::Feed;
use crate::control::{Painter, Painting, Subject, View};
use crate::director::DirectorHandle;
use crate::encode;
use crate::encode::gallery::Gallery;
use crate::ingest::admission::Reception;
use crate::media::{AUDIO_HZ, ChannelStatus, Kind, PushStatus, SourceStatus};
use crate::overlay::board::Board;
use crate::overlay::content::Look;
use crate::overlay::desk::{Desk, guides};
use crate::overlay::raster;
use crate::overlay::studio::Studio;
use crate::package;
use crate::package::grid::Grid;
use crate::package::show;
use crate::pipeline;
use crate::program::{self, Mixer, Outlet, Programme};
use crate::serve::archive::Archive;
use crate::serve::disk::{self, Disk};
use crate::serve::live::{Live, Track};
use crate::serve::pictures::Pictures;
use crate::store::ChannelRun;
use crate::time::{MediaTime, ProgramClock, WallTime};

/// Segments made before the present at a start, so that the first viewer finds a whole playlist.
const PREROLL: u64 = 3;
/// How recently somebody must have published for "be right back" after a restart: 30 minutes.
const SHOW_GOES_ON_MS: i64 = 30 * 60 * 1000;

/// Why a channel cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pipeline.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// A slate.
    #[error("the slate {path} cannot be used: {detail}")]
    Slate {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A slate's design.
    #[error(transparent)]
    Raster(#[from] raster::Error),
    /// The packager.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The folder for segments.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A thread.
    #[error("one of its threads cannot start")]
    Thread(#[from] std::io::Error),
}

/// What a channel is made of.
pub struct Parts {
    /// The server's configuration.
    pub config: Config,
    /// The channel's own.
    pub channel: config::Channel,
    /// Its clock.
    pub clock: ProgramClock,
    /// How far it had come before.
    pub run: ChannelRun,
    /// Its door.
    pub reception: Reception,
    /// The source that it fetches itself.
    pub source: watch::Receiver<Option<SourceStatus>>,
    /// Whose state it shows.
    pub director: DirectorHandle,
    /// Draws.
    pub studio: Arc<Studio>,
    /// Where QR codes lead.
    pub public_url: String,
    /// Ends it.
    pub stop: CancellationToken,
}

/// Notes a producer's text for players.
pub type Announce = Box<dyn Fn(&str) + Send + Sync>;

/// A running channel, as the doors see it.
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What viewers fetch.
    pub live: Arc<Live>,
    /// Poster, thumbnail, storyboard.
    pub pictures: Arc<Pictures>,
    gallery: Arc<Gallery>,
    /// The publisher's own picture, where that is offered.
    pub clean: Option<Arc<Live>>,
    audiences: Vec<Audience>,
    /// What producers see.
    pub status: watch::Receiver<ChannelStatus>,
    desk: Desk,
}

/// No segment that viewers may have seen is made again, even when the wall clock went back.
pub fn earliest(channel: &config::Channel, config: &Config, run: &ChannelRun) -> MediaTime {
    let grid = Grid::new(channel.canvas.rate, &config.hls);
    run.last_segment.map_or(MediaTime::ZERO, |last| grid.segment_start(last + 1))
}

impl Channel {
    /// Starts it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start(parts: Parts, tasks: &TaskTracker) -> Result<Self, Error> {
        let Parts { config, mut channel, clock, run, reception, source, director, studio, public_url, stop } =
            parts;
        drop_what_cannot_be_coded(&mut channel, config.pipelines.as_deref());
        let grid = Grid::new(channel.canvas.rate, &config.hls);
        let slates = slates::load(&studio.raster, &config, channel.canvas)?;
        let (storage, storage_told) = watch::channel(None);
        let (live, disk) = open_live(&config, &channel, grid, &clock, run.restarts, storage)?;
        let (gallery, pictures) = (Arc::<Gallery>::default(), Arc::new(Pictures::new(live.clone(), disk)));
        tasks.spawn(until(stop.clone(), pictures::run(gallery.clone(), pictures.clone())));
        let (board, events) = (Arc::new(Board::default()), Arc::<Events>::default());
        let (marks, told_marks) = mpsc::channel(airings::MARKS);
        board.tell_marks(marks);
        let (clean, clean_problem) = Rendition::of(&channel, &clock, run.restarts);
        let mut audiences = vec![Audience { live: live.clone(), events: events.clone() }];
        audiences.extend(clean.as_ref().map(|clean| clean.audience.clone()));
        tasks.spawn(until(stop.clone(), airings::run(told_marks, clock.clone(), audiences.clone())));
        let desk = new_desk(&config, &channel, &clock, &board, studio, public_url);
        tasks.spawn(until(stop.clone(), desk.clone().run(director.snapshots())));

        let (mixer, outlet) = (Arc::new(Mixer::new(channel.canvas, &config.ingest)), Outlet::default());
        let first_segment = first_segment(grid, &clock, &run);
        let fan = Arc::<pushing::Fan>::default();
        let encoding = Encoding {
            replacements: config.pipelines.clone(),
            channel: channel.clone(),
            grid,
            board: board.clone(),
            gallery: gallery.clone(),
            outlet: outlet.clone(),
            live: live.clone(),
            director: director.clone(),
            key_frames: watch::Sender::new(None),
            relief: watch::Sender::new(None),
            load: watch::Sender::new(None),
            events: events.clone(),
            fan: fan.clone(),
        };
        let (codes, codes_told) = watch::channel(Vec::new());
        let (relief, load) = (encoding.relief.subscribe(), encoding.load.subscribe());
        let checks =
            codes::run(encoding.key_frames.subscribe(), board.clone(), config.pipelines.clone(), codes);
        tasks.spawn(until(stop.clone(), checks));
        // Noted before anything is published: a crash right now must not make it again.
        director.note_segment(&channel.name, first_segment, None);
        // The first encoder is built here, so that a machine without one fails to start, in words.
        let encoder = encoding.build().await?;
        let was_live = run.last_live.is_some_and(|live| WallTime::now().0 - live.0 < SHOW_GOES_ON_MS);
        let (switch_clock, clean_live) =
            (clock.clone(), clean.as_ref().map(|clean| clean.audience.live.clone()));
        let around = Around::new(&config, &channel, &live, &slates, was_live);
        let clean = clean.map(|clean| clean.start(around, &stop, tasks));
        let programme =
            Programme { clock, grid, mixer: mixer.clone(), outlet, slates, was_live, held_since: None };
        let progress = program::start(programme, &channel.name, first_segment)?;
        tasks.spawn(encoding.run(encoder, progress.clone(), stop.clone()));
        let (is_live, told_live) = watch::channel(false);
        let pushes = start_pushes(&config, &channel, &fan, &told_live, &stop, tasks);
        let shows = shows::run(progress.clone(), grid, config.archive.gap_ms(), live.clone(), is_live);
        tasks.spawn(until(stop.clone(), shows));

        let switch = Switch::new(&config, channel.canvas, switch_clock, mixer, clean, &stop);
        tasks.spawn(until(stop.clone(), switch.run(reception.arrivals, tasks.clone())));
        let (status_tx, status) = watch::channel(ChannelStatus::default());
        let follow = Follow {
            status: status_tx,
            presence: reception.presence,
            source,
            progress,
            drawn: board.drawn(),
            problems: desk.problems.subscribe(),
            turns: desk.turns.subscribe(),
            codes: codes_told,
            storage: storage_told,
            clean: clean_problem,
            relief,
            pushes,
            load,
            live: live.clone(),
            clean_live: clean_live.clone(),
        };
        tasks.spawn(until(stop, follow.run()));
        Ok(Self { name: channel.name, live, clean: clean_live, audiences, pictures, gallery, status, desk })
    }

    /// Begins to watch its picture.
    pub fn watcher(&self) -> impl Fn() -> Feed + Send + Sync + use<> {
        let gallery = self.gallery.clone();
        move || Feed { pictures: gallery.small.subscribe(), watching: Box::new(gallery.watch()) }
    }

    /// Notes texts of producers for players.
    pub fn announcer(&self) -> Announce {
        let (audiences, clock) = (self.audiences.clone(), self.desk.clock.clone());
        Box::new(move |text| airings::announce(&audiences, clock.now(), text))
    }

    /// Draws this channel's cards for producers, with a code that leads nowhere.
    pub fn painter(&self, director: &DirectorHandle) -> Painter {
        let (desk, director) = (self.desk.clone(), director.clone());
        Arc::new(move |subject, _, view| {
            let preview = match subject {
                Subject::Card(card) => desk.preview(card, &director.state())?,
                Subject::Sample(template) => desk.sample(template)?,
            };
            let png = match view {
                View::Card => preview.picture.to_png(),
                View::Canvas { has_guides } => guides::canvas(desk.canvas, &preview, has_guides).to_png(),
                View::Overlay => guides::alone(desk.canvas, &preview).to_png(),
            };
            Ok(Painting { png, problems: preview.problems })
        })
    }
}

/// Where a start begins: a little before the present, and after all that was made before.
fn first_segment(grid: Grid, clock: &ProgramClock, run: &ChannelRun) -> u64 {
    let before_now = grid.segment_at(clock.now()).saturating_sub(PREROLL);
    before_now.max(run.last_segment.map_or(0, |last| last + 1))
}

/// Leaves out rungs that this machine has no encoder for; the first stays, and its absence is told by the start.
fn drop_what_cannot_be_coded(channel: &mut config::Channel, replacements: Option<&Path>) {
    let (name, mut n) = (channel.name.clone(), 0);
    channel.rungs.retain(|rung| {
        n += 1;
        let can = n == 1 || encode::can(rung.coding, replacements);
        if !can {
            tracing::warn!(
                channel = name,
                "rung {} is left out: no encoder here makes {:?}",
                rung.name,
                rung.coding
            );
        }
        can
    });
}

/// Draws the channel's cards onto `board`.
fn new_desk(
    config: &Config,
    channel: &config::Channel,
    clock: &ProgramClock,
    board: &Arc<Board>,
    studio: Arc<Studio>,
    public_url: String,
) -> Desk {
    Desk {
        channel: channel.name.clone(),
        canvas: channel.canvas,
        clock: clock.clone(),
        board: board.clone(),
        studio,
        look: Look {
            configured: channel.look.clone(),
            is_portrait: channel.canvas.height > channel.canvas.width,
        },
        public_url,
        qr_percent: config.overlay.qr_percent,
        problems: watch::Sender::new(Vec::new()),
        turns: watch::Sender::new(Vec::new()),
    }
}

/// A task for each platform; what they tell.
fn start_pushes(
    config: &Config,
    channel: &config::Channel,
    fan: &Arc<pushing::Fan>,
    is_live: &watch::Receiver<bool>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> watch::Receiver<Vec<PushStatus>> {
    let status = watch::Sender::new(channel.push.iter().map(Pusher::first_status).collect());
    let told = status.subscribe();
    for (place, target) in channel.push.iter().enumerate() {
        let pusher = Pusher {
            target: target.clone(),
            channel: channel.clone(),
            replacements: config.pipelines.clone(),
            fan: fan.clone(),
            is_live: is_live.clone(),
            status: status.clone(),
            place,
        };
        tasks.spawn(until(stop.clone(), pusher.run()));
    }
    told
}

/// Where shows are kept, a folder for each channel.
pub fn archive_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("archive")
}

/// What viewers fetch, with what lies on disk of it, and the thread that writes there.
fn open_live(
    config: &Config,
    channel: &config::Channel,
    grid: Grid,
    clock: &ProgramClock,
    restarts: u64,
    problem: watch::Sender<Option<String>>,
) -> Result<(Arc<Live>, Option<Disk>), Error> {
    let video = channel.rungs.iter().map(|rung| Track { name: rung.name.clone(), kind: Kind::Video });
    let tracks: Vec<Track> = video.chain([Track { name: SOUND.into(), kind: Kind::Audio }]).collect();
    let listed = config.hls.listed_segments();
    if config.hls.dvr_min == 0 {
        return Ok((Arc::new(Live::new(grid, clock.epoch(), listed, restarts, tracks, None)), None));
    }
    let timescale = |kind| if kind == Kind::Audio { AUDIO_HZ } else { grid.rate().timescale() };
    let named = tracks.iter().map(|track| (track.name.clone(), timescale(track.kind))).collect();
    let folder = config.data_dir.join("hls").join(&channel.name);
    // A show of the publisher's own picture is not kept: it lies in memory only.
    let archive = (config.archive.enabled && !channel.rungs.is_empty()).then(|| {
        let kept = |track: &Track| show::Track {
            name: track.name.clone(),
            kind: track.kind,
            timescale: timescale(track.kind),
        };
        let folder = archive_folder(&config.data_dir).join(&channel.name);
        Archive::open(folder, config.archive.clone(), tracks.iter().map(kept).collect(), WallTime::now())
    });
    let (disk, writer) = Disk::open(&folder, named, &grid, archive)?;
    let live = Arc::new(Live::new(grid, clock.epoch(), listed, restarts, tracks, Some(disk.clone())));
    let held = Arc::downgrade(&live);
    std::thread::Builder::new().name(format!("{} to disk", channel.name)).spawn(move || {
        writer.run(&held, |text| {
            problem.send_replace(text);
        });
    })?;
    Ok((live, Some(disk)))
}
