//! One channel's parts, joined: publishers to decoder to programme to encoder to packager to viewers.
//!
//! Each pipeline is a failure domain. A publisher's decoder ends with its publisher; an encoder that fails or
//! sticks is dropped and built anew while the programme's clock goes on.

mod encoding;
mod slates;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::encoding::Encoding;
use crate::config::{self, Config};
use crate::control::Painter;
use crate::decode::Decoder;
use crate::director::DirectorHandle;
use crate::ingest::Arrival;
use crate::ingest::admission::Reception;
use crate::media::{Canvas, ChannelStatus, Packet, PublisherStatus};
use crate::overlay::desk::Desk;
use crate::overlay::element::{Board, Drawn};
use crate::overlay::raster::{self, Raster};
use crate::overlay::template::Content;
use crate::package;
use crate::package::grid::Grid;
use crate::pipeline;
use crate::program::{self, Mixer, Outlet, Programme, Progress};
use crate::serve::live::Live;
use crate::store::ChannelRun;
use crate::store::pictures::Pictures;
use crate::time::{MediaTime, ProgramClock, WallTime};

/// Segments made before the present at a start, so that the first viewer finds a whole playlist.
const PREROLL: u64 = 3;
/// How recently somebody must have published for "be right back" after a restart: 30 minutes.
const SHOW_GOES_ON_MS: i64 = 30 * 60 * 1000;
/// How long before it is due a unit is decoded.
const DECODE_AHEAD_NANOS: i64 = 100_000_000;
/// The status is told at least this often.
const STATUS_EVERY: Duration = Duration::from_secs(1);

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
    /// A thread.
    #[error("the programme's thread cannot start")]
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
    /// Whose state it shows.
    pub director: DirectorHandle,
    /// Draws.
    pub raster: Arc<Raster>,
    /// Product pictures.
    pub pictures: Pictures,
    /// Where QR codes lead.
    pub public_url: String,
    /// Ends it.
    pub stop: CancellationToken,
}

/// A running channel, as the doors see it.
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What viewers fetch.
    pub live: Arc<Live>,
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
        let Parts { config, channel, clock, run, reception, director, raster, pictures, public_url, stop } =
            parts;
        let grid = Grid::new(channel.canvas.rate, &config.hls);
        let slates = slates::load(&raster, &config, channel.canvas)?;
        let live = Arc::new(Live::new(grid, clock.epoch(), config.hls.window_segments, run.restarts));
        let board = Arc::new(Board::default());
        let desk = Desk {
            channel: channel.name.clone(),
            canvas: channel.canvas,
            clock: clock.clone(),
            board: board.clone(),
            raster,
            pictures: Arc::new(move |image| pictures.path(image)),
            public_url,
        };
        tasks.spawn(until(stop.clone(), desk.clone().run(director.snapshots())));

        let mixer = Arc::new(Mixer::new(channel.canvas, &config.ingest));
        let outlet = Outlet::default();
        let first_segment = (grid.segment_at(clock.now()).saturating_sub(PREROLL))
            .max(run.last_segment.map_or(0, |last| last + 1));
        let encoding = Encoding {
            replacements: config.pipelines.clone(),
            channel: channel.clone(),
            grid,
            board: board.clone(),
            outlet: outlet.clone(),
            live: live.clone(),
            director: director.clone(),
        };
        // Noted before anything is published: a crash right now must not make it again.
        director.note_segment(&channel.name, first_segment, None);
        // The first encoder is built here, so that a machine without one fails to start, in words.
        let encoder = encoding.build().await?;
        let was_live = run.last_live.is_some_and(|live| WallTime::now().0 - live.0 < SHOW_GOES_ON_MS);
        let switch_clock = clock.clone();
        let programme = Programme { clock, grid, mixer: mixer.clone(), outlet, slates, was_live };
        let progress = program::start(programme, &channel.name, first_segment)?;
        tasks.spawn(encoding.run(encoder, progress.clone(), stop.clone()));

        let switch = Switch {
            replacements: config.pipelines.clone(),
            clock: switch_clock,
            canvas: channel.canvas,
            mixer,
        };
        tasks.spawn(until(stop.clone(), switch.run(reception.arrivals, tasks.clone())));
        let (status_tx, status) = watch::channel(ChannelStatus::default());
        tasks.spawn(until(stop, follow(status_tx, reception.status, progress, board.drawn(), live.clone())));
        Ok(Self { name: channel.name, live, status, desk })
    }

    /// Draws this channel's cards for producers, with a code that leads nowhere.
    pub fn painter(&self, director: &DirectorHandle) -> Painter {
        let (desk, director) = (self.desk.clone(), director.clone());
        Arc::new(move |card, _| {
            let state = director.state();
            let card = state.cards.get(card).ok_or("the card is gone")?;
            let product = state.products.get(&card.sku).ok_or("its product is gone")?;
            let link = format!("{}/go/preview0", desk.public_url);
            let picture = desk.draw(&Content::of(card, product, link)).map_err(|error| error.to_string())?;
            Ok(picture.to_png())
        })
    }
}

/// Runs `work` until it ends or `stop` is cancelled.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Gives each publisher a decoder; the newest one's media reaches the programme.
struct Switch {
    replacements: Option<PathBuf>,
    clock: ProgramClock,
    canvas: Canvas,
    mixer: Arc<Mixer>,
}

impl Switch {
    /// Each decoder is a task of its own that the server's end waits for: a pipeline must be stopped, not dropped.
    async fn run(self, mut arrivals: tokio::sync::mpsc::Receiver<Arrival>, tasks: TaskTracker) {
        while let Some(arrival) = arrivals.recv().await {
            let sink = program::attach(&self.mixer);
            let (replacements, clock, canvas) = (self.replacements.clone(), self.clock.clone(), self.canvas);
            tasks.spawn(async move {
                let (cancel, failure) = (arrival.cancel.clone(), arrival.failure.clone());
                if let Err(error) = decode(replacements, &clock, canvas, sink, arrival).await {
                    let _ = failure.set(error.to_string()); // the publisher's own line tells it
                }
                cancel.cancel();
            });
        }
    }
}

/// Decodes a publisher's units shortly before they are due. What rides out uneven delivery waits coded: decoded it
/// would be a hundred times larger, and out of the processor's caches by the time it is used.
async fn decode(
    replacements: Option<PathBuf>,
    clock: &ProgramClock,
    canvas: Canvas,
    sink: Arc<dyn pipeline::raw::Sink>,
    mut arrival: Arrival,
) -> Result<(), crate::decode::Error> {
    let mut decoder = Decoder::start(replacements.as_deref(), canvas, sink).await?;
    let mut outcome = Ok(());
    while let Some(packet) = arrival.packets.recv().await {
        if let Packet::Unit(unit) = &packet {
            let early = unit.dts.since(clock.now()) - DECODE_AHEAD_NANOS;
            tokio::time::sleep(Duration::from_nanos(early.max(0).unsigned_abs())).await;
        }
        outcome = decoder.push(packet);
        if outcome.is_err() {
            break;
        }
    }
    drop(arrival.packets);
    decoder.stop().await?;
    outcome
}

/// Joins what is known of a channel into its status: at every change that matters, else once a second.
async fn follow(
    status: watch::Sender<ChannelStatus>,
    mut publisher: watch::Receiver<PublisherStatus>,
    mut progress: watch::Receiver<Progress>,
    mut drawn: watch::Receiver<Drawn>,
    live: Arc<Live>,
) {
    let mut every = tokio::time::interval(STATUS_EVERY);
    loop {
        let now = *progress.borrow_and_update();
        let shown = *drawn.borrow_and_update();
        status.send_replace(ChannelStatus {
            publisher: publisher.borrow_and_update().clone(),
            showing: now.showing,
            programme_ms: now.frame.as_millis(),
            programme_wall: live.wall_of(now.frame),
            behind_ms: now.behind_ms,
            drawn_rev: shown.rev,
            drawn_ms: shown.first_frame.as_millis(),
        });
        let has_ended = tokio::select! {
            _ = every.tick() => false,
            changed = publisher.changed() => changed.is_err(),
            changed = drawn.changed() => changed.is_err(),
            changed = progress.wait_for(|progress| progress.showing != now.showing) => changed.is_err(),
        };
        if has_ended {
            return;
        }
    }
}
