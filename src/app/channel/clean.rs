//! The clean rendition: the publisher on air as it sends itself, for players that draw cards themselves.
//!
//! What the switch would decode is put into parts here, at the time when it is due. While nobody is on air, or sends what
//! players cannot have, a slate that was coded once at the start is repeated: nothing is coded again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::airings::Audience;
use super::until;
use crate::config::Mode;
use crate::encode::slate::{self, Coded, Showing};
use crate::media::{AccessUnit, Format, Kind};
use crate::overlay::element::VitrineOverlay;
use crate::package::clean::{self, Header, Muxer};
use crate::package::multivariant::{self, Rate};
use crate::package::segmenter::Part;
use crate::package::{self, playlist};
use crate::program::Slates;
use crate::serve::live::{CLEAN_TRACK, Live};
use crate::time::{MediaTime, ProgramClock};
use crate::{config, pipeline};

/// Units on their way from the switch; beyond that they are left out, up to the next key frame.
const UNITS: usize = 2048;
/// Without a picture for so long the slate takes over: as long as a part may be.
const GAP_NANOS: i64 = 1_000_000_000;
/// Key frames are that far apart at most: without another one, who was refused is gone.
const REFUSED_NANOS: i64 = 15_000_000_000;
/// What is shown is shown for so long, before something else is.
const SHORTEST_NANOS: i64 = 1_000_000_000;
/// How often the slate is carried on.
const TICK: Duration = Duration::from_millis(100);

/// The formats of picture and sound.
pub(super) type Formats = [Option<Format>; 2];

/// A unit of the publisher on air, which is due.
pub(super) struct Due {
    pub(super) publisher: u64,
    pub(super) formats: Formats,
    pub(super) unit: AccessUnit,
}

/// A channel's clean rendition before it is on.
pub(super) struct Rendition {
    pub(super) audience: Audience,
    clock: ProgramClock,
    problem: watch::Sender<Option<String>>,
}

impl Rendition {
    /// A channel's, if it offers one; and why the publisher on air is not passed on.
    pub(super) fn of(
        channel: &config::Channel,
        clock: &ProgramClock,
        restarts: u64,
    ) -> (Option<Self>, watch::Receiver<Option<String>>) {
        let (problem, told) = watch::channel(None);
        if channel.mode == Mode::Burned {
            return (None, told);
        }
        let discontinuities = if restarts == 0 { 0 } else { seconds(clock.now()) };
        let live = Arc::new(Live::clean(clean::grid(), clock.epoch(), discontinuities));
        let audience = Audience { live, events: Arc::default() };
        (Some(Self { audience, clock: clock.clone(), problem }), told)
    }

    /// Starts it; the way to it for the switch. `main` names it as well, when it has nothing of its own.
    pub(super) fn start(
        self,
        parts: Around,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> mpsc::Sender<Due> {
        let (sender, due) = mpsc::channel(UNITS);
        tasks.spawn(until(stop.clone(), self.run(parts, due)));
        sender
    }
}

/// What a clean rendition needs of its channel.
pub(super) struct Around {
    replacements: Option<PathBuf>,
    channel: config::Channel,
    main: Arc<Live>,
    slates: Slates,
    was_live: bool,
}

impl Around {
    pub(super) fn new(
        config: &config::Config,
        channel: &config::Channel,
        main: &Arc<Live>,
        slates: &Slates,
        was_live: bool,
    ) -> Self {
        Self {
            replacements: config.pipelines.clone(),
            channel: channel.clone(),
            main: main.clone(),
            slates: slates.clone(),
            was_live,
        }
    }
}

/// The slates as they are coded once: before anybody has published, and after.
pub(super) async fn code_slates(
    replacements: Option<PathBuf>,
    channel: &config::Channel,
    slates: &Slates,
) -> Result<[Coded; 2], pipeline::Error> {
    let code = |picture| {
        slate::code(replacements.as_deref(), channel, picture, |pipeline| {
            pipeline.element::<VitrineOverlay>("overlay")?.set_board(Arc::default());
            Ok(())
        })
    };
    Ok([code(&slates.starting_soon).await?, code(&slates.back_soon).await?])
}

/// Who is in the picture.
enum Shown {
    Slate(Showing),
    Publisher(u64, Formats),
}

impl Rendition {
    /// Until the channel ends.
    async fn run(self, around: Around, mut due: mpsc::Receiver<Due>) {
        let Self { audience, clock, problem } = self;
        let Around { replacements, channel, main, slates, was_live } = around;
        let slates = match code_slates(replacements, &channel, &slates).await {
            Ok(slates) => slates,
            Err(error) => {
                tracing::error!(channel = channel.name, "no clean rendition: {error}");
                problem.send_replace(Some(format!("There is no clean rendition: {error}")));
                return;
            }
        };
        let started = clock.now();
        let mut out = Out {
            muxer: Muxer::new(&clean::grid(), seconds(started)),
            live: audience.live,
            main: Some(main).filter(|_| channel.mode == Mode::Clean),
            header: None,
            rate: Rate::default(),
            told: (Rate::default(), 0.0),
            pending: (0, 0.0),
        };
        let mut state =
            State { shown: None, began: started, end: started, was_live, refused: None, slates, problem };
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            for event in audience.events.take() {
                out.muxer.announce(event);
            }
            let outcome = tokio::select! {
                unit = due.recv() => match unit {
                    Some(unit) => state.take(unit, &mut out),
                    None => return,
                },
                _ = tick.tick() => state.carry_on(clock.now(), &mut out),
            };
            if let Err(error) = outcome {
                tracing::error!(channel = channel.name, "the clean rendition: {error}");
                state.shown = None; // the next key frame begins anew
            }
        }
    }
}

/// Whole seconds of programme time. A segment is a second at least, and so is the time between two discontinuities:
/// counted from here, neither number comes again after a restart.
fn seconds(time: MediaTime) -> u64 {
    time.0 / 1_000_000_000
}

struct State {
    shown: Option<Shown>,
    /// Since when it is shown, and up to where there is picture.
    began: MediaTime,
    end: MediaTime,
    was_live: bool,
    /// When a key frame of the publisher on air was refused last.
    refused: Option<MediaTime>,
    slates: [Coded; 2],
    problem: watch::Sender<Option<String>>,
}

impl State {
    fn take(&mut self, due: Due, out: &mut Out) -> Result<(), package::Error> {
        let Due { publisher, formats, unit } = due;
        let is_it = |id: &u64, own: &Formats| {
            // Another format counts from its first key frame on.
            *id == publisher && (*own == formats || !unit.is_keyframe || unit.kind == Kind::Audio)
        };
        let is_on = matches!(&self.shown, Some(Shown::Publisher(id, own)) if is_it(id, own));
        if !is_on {
            // What began is on for a second at least: numbers follow the time.
            let is_settled = unit.dts.since(self.began) >= SHORTEST_NANOS;
            let is_start = unit.kind == Kind::Video && unit.is_keyframe && unit.dts > self.end && is_settled;
            let Some(picture) = formats[0].as_ref().filter(|_| is_start) else { return Ok(()) };
            match out.begin(picture, formats[1].as_ref()) {
                Ok(()) => self.tell(None),
                Err(error @ package::Error::Boxes(_)) => return Err(error),
                Err(error) => {
                    self.refused = Some(unit.dts);
                    self.tell(Some(format!("The clean rendition shows a slate: {error}")));
                    return Ok(()); // the slate goes on
                }
            }
            (self.shown, self.was_live) = (Some(Shown::Publisher(publisher, formats)), true);
            self.began = unit.dts;
        }
        if unit.kind == Kind::Video {
            self.end = unit.dts;
        }
        out.push(&unit)
    }

    fn tell(&self, text: Option<String>) {
        self.problem.send_if_modified(|known| {
            let is_news = *known != text;
            *known = text;
            is_news
        });
    }

    /// Shows the slate up to now, when nobody is in the picture.
    fn carry_on(&mut self, now: MediaTime, out: &mut Out) -> Result<(), package::Error> {
        if matches!(self.shown, Some(Shown::Publisher(..))) && now.since(self.end) < GAP_NANOS {
            return Ok(());
        }
        if self.refused.is_some_and(|refused| now.since(refused) > REFUSED_NANOS) {
            self.refused = None; // whoever it was is gone
            self.tell(None);
        }
        let slate = &self.slates[usize::from(self.was_live)];
        if !matches!(self.shown, Some(Shown::Slate(_))) {
            out.begin(&slate.picture, Some(&slate.sound))?;
            // Who was gone for long leaves no hole that would have to be filled.
            self.began = self.end.max(now);
            self.shown = Some(Shown::Slate(Showing::new(self.began)));
        }
        if let Some(Shown::Slate(showing)) = &mut self.shown {
            while let Some(unit) = showing.next(slate, now) {
                if unit.kind == Kind::Video {
                    self.end = unit.dts;
                }
                out.push(&unit)?;
            }
        }
        Ok(())
    }
}

/// The way to viewers.
struct Out {
    muxer: Muxer,
    live: Arc<Live>,
    /// Its channel, when that has no rungs of its own.
    main: Option<Arc<Live>>,
    header: Option<Header>,
    rate: Rate,
    /// As the multivariant playlist says it.
    told: (Rate, f64),
    pending: (u64, f64),
}

impl Out {
    fn begin(&mut self, picture: &Format, sound: Option<&Format>) -> Result<(), package::Error> {
        // First whether it can be: what is shown goes on when not.
        let header = Header::new(picture, sound)?;
        if let Some(last) = self.muxer.end()? {
            self.publish(last);
        }
        self.muxer.begin(&header);
        self.live.break_here(0);
        self.live.set_init(0, header.init.clone());
        (self.header, self.told.1) = (Some(header), 0.0);
        Ok(())
    }

    fn push(&mut self, unit: &AccessUnit) -> Result<(), package::Error> {
        if let Some(part) = self.muxer.push(unit)? {
            self.publish(part);
        }
        Ok(())
    }

    fn publish(&mut self, part: Part) {
        self.pending.0 += part.data.len() as u64;
        self.pending.1 += part.seconds();
        if part.is_last {
            let (bytes, seconds) = std::mem::take(&mut self.pending);
            self.rate.count(bytes, seconds);
        }
        self.live.publish(0, part);
        let is_new = self.told.1 == 0.0;
        if is_new || self.rate.exceeds(&self.told.0) {
            self.told = (self.rate, self.muxer.frame_rate());
            if let Some(header) = &self.header {
                let uri = playlist::file(CLEAN_TRACK);
                let text = |uri: &str| multivariant::clean(uri, header, &self.rate, self.told.1);
                self.live.set_multivariant(text(&uri), text(&uri));
                if let Some(main) = &self.main {
                    let text = text(&format!("clean/{uri}"));
                    main.set_multivariant(text.clone(), text);
                }
            }
        }
    }
}
