//! Keeps a channel's scene like its state: draws what is on air, ahead of the streaming thread.
//!
//! The desk follows the state's snapshots. A new airing is drawn and enters; a changed one changes in place,
//! without entering again; an ended one leaves. Between snapshots it draws what comes next: the frames of an
//! animation, the next seconds of a countdown, cards that are prepared. One picture at a time, so that a command
//! never waits for more than one. It never decides what is on air.

pub mod guides;
mod item;
pub mod place;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::item::{Easel, Item, Start};
use super::animate::{Moves, Times};
use super::content::{self, Content, Look, When};
use super::element::{Board, Scene};
use super::raster;
use super::sprite::Rgba;
use super::studio::Studio;
use super::template::Design;
use crate::media::{Canvas, CardProblem};
use crate::state::{Airing, Card, Slot, State};
use crate::time::{MediaTime, ProgramClock};

/// Cards that are drawn before anybody shows them: so many of the first ones, by id.
const PREPARED: usize = 100;
/// How long nothing must have changed before cards are prepared.
const CALM: Duration = Duration::from_millis(500);
/// After a failure of its own.
const AGAIN: Duration = Duration::from_secs(1);
/// When nothing is to be done.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Where a card's QR leads when it is only looked at.
const PREVIEW_CODE: &str = "preview0";

/// What the desk of a channel works with.
#[derive(Clone)]
pub struct Desk {
    /// The channel.
    pub channel: String,
    /// Its picture.
    pub canvas: Canvas,
    /// Its clock.
    pub clock: ProgramClock,
    /// Where the scene goes.
    pub board: Arc<Board>,
    /// Draws.
    pub studio: Arc<Studio>,
    /// How its cards look.
    pub look: Look,
    /// Where QR codes lead.
    pub public_url: String,
    /// The least height of a QR, in hundredths of the picture's shorter side.
    pub qr_percent: f64,
    /// What is wrong with cards on air is told here.
    pub problems: watch::Sender<Vec<CardProblem>>,
}

/// The state of the work.
#[derive(Default)]
struct Work {
    items: Vec<Item>,
    /// The revision shown before, nothing at the start.
    seen: Option<u64>,
    rev: u64,
    due: MediaTime,
    failed: Vec<CardProblem>,
    prepared: usize,
}

/// What to do next.
#[derive(Default)]
enum Next {
    /// Draw on.
    #[default]
    Now,
    /// Nothing until then.
    At(MediaTime),
    /// Nothing until something changes.
    Rest,
}

impl Desk {
    /// Follows `snapshots` until their sender is gone.
    pub async fn run(self, mut snapshots: watch::Receiver<Arc<State>>) {
        let mut work = Work::default();
        let frame = Duration::from_nanos(self.canvas.rate.time_of(1).0);
        loop {
            let state = snapshots.borrow_and_update().clone();
            // Whatever comes within one frame is drawn together: more could not be seen.
            let pace = tokio::time::sleep(frame);
            work = self.blocking(work, state.clone(), Self::follow).await.0;
            loop {
                let (after, next) = self.blocking(work, state.clone(), Self::tend).await;
                work = after;
                let wait = match next {
                    Next::Now => Duration::ZERO,
                    Next::At(time) => Duration::from_nanos(time.since(self.clock.now()).max(0) as u64),
                    Next::Rest if work.prepared < PREPARED => CALM,
                    Next::Rest => Duration::MAX,
                };
                let changed = tokio::select! {
                    biased;
                    changed = snapshots.changed() => Some(changed),
                    () = tokio::time::sleep(wait.min(LONGEST_WAIT)) => None,
                };
                match changed {
                    Some(Ok(())) => break,
                    Some(Err(_)) => return,
                    None if matches!(next, Next::Rest) => {
                        work = self.blocking(work, state.clone(), Self::prepare).await.0;
                    }
                    None => {}
                }
            }
            pace.await;
        }
    }

    /// Runs one piece of work where it may take milliseconds: not on a tokio worker.
    async fn blocking<T: Default + Send + 'static>(
        &self,
        mut work: Work,
        state: Arc<State>,
        piece: fn(&Self, &mut Work, &State) -> T,
    ) -> (Work, T) {
        let desk = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let outcome = piece(&desk, &mut work, &state);
            (work, outcome)
        });
        match done.await {
            Ok(done) => done,
            Err(error) => {
                // What is on air is drawn anew, without entering again.
                tracing::error!(channel = self.channel, "the overlay desk failed: {error}");
                tokio::time::sleep(AGAIN).await;
                (Work::default(), T::default())
            }
        }
    }

    fn easel(&self) -> Easel {
        Easel { studio: self.studio.clone(), canvas: self.canvas, format: self.board.format() }
    }

    /// Brings the items to `state`.
    fn follow(&self, work: &mut Work, state: &State) {
        let easel = self.easel();
        let seen = work.seen;
        let is_cut = seen.is_some_and(|seen| state.cut_rev > seen);
        let on_air: Vec<&Airing> =
            state.airings.iter().filter(|airing| airing.channel == self.channel).collect();
        let now = self.clock.now();
        let next = self.next_frame();
        work.failed.clear();
        work.prepared = 0;
        work.items.retain(|item| {
            let is_on_air = on_air.iter().any(|airing| airing.id == item.airing.id);
            !item.has_gone(now) && (is_on_air || !is_cut)
        });
        for item in &mut work.items {
            let is_on_air = on_air.iter().any(|airing| airing.id == item.airing.id);
            // One that goes by itself does so at its own frame, whenever the state learns of it.
            if !is_on_air && item.times.leave.is_none_or(|leave| leave > next) {
                item.leave(&easel, next);
            }
        }
        let mut is_drawn = true;
        for airing in on_air {
            match self.keep(work, airing, state, is_cut) {
                Ok(()) => {}
                Err(error) => {
                    is_drawn = false;
                    tracing::error!(card = airing.card_id, "the card cannot be drawn: {error}");
                    let text = format!("It cannot be drawn: {error}");
                    work.failed.push(CardProblem { card_id: airing.card_id.clone(), text });
                }
            }
        }
        // Drawing may have taken longer than to the next frame.
        work.due = if seen.is_some() { self.next_frame() } else { MediaTime::ZERO };
        // What could not be drawn is not claimed to be in the picture.
        work.rev = if is_drawn { state.rev } else { seen.unwrap_or_default() };
        work.seen = Some(state.rev);
        self.show(work);
        self.tell(work);
    }

    /// Draws an airing that is new or looks different now.
    fn keep(
        &self,
        work: &mut Work,
        airing: &Airing,
        state: &State,
        is_cut: bool,
    ) -> Result<(), raster::Error> {
        let Some(card) = state.cards.get(&airing.card_id) else { return Ok(()) };
        let design = self.studio.design(&card.template)?;
        let easel = self.easel();
        let next = self.next_frame();
        if let Some(at) = work.items.iter().position(|item| item.airing.id == airing.id) {
            let item = &mut work.items[at];
            if item.base.sprite.format != easel.format {
                // The encoder was built anew for other frames: everything is drawn again.
                let first = item.first_frame;
                work.items.remove(at);
                return self.begin(work, &design, (airing, card), state, (None, first));
            }
            let when = When {
                airing: Some(airing),
                first_frame: item.first_frame,
                now: next,
                epoch: self.clock.epoch(),
            };
            let Some(content) = self.content(&design, card, state, &when) else { return Ok(()) };
            let is_elsewhere = item.airing.slot != airing.slot
                || item.card.position != card.position
                || item.card.scale != card.scale;
            (item.airing, item.card) = (airing.clone(), card.clone());
            item.countdown_end = content::countdown_end(&design, card, &when);
            let is_same = same_but_for_time(&item.content, &content);
            if !is_same {
                item.change(&easel, content, is_cut, next)?;
            } else if is_elsewhere {
                item.base = easel.studio.card(&content, easel.scale(card), easel.format)?;
                item.replace(&easel, next);
            }
            return Ok(());
        }
        let is_start = work.seen.is_none();
        // After the one that leaves its slot, never over it.
        let free =
            work.items.iter().filter(|item| item.airing.slot == airing.slot && airing.slot != Slot::Free);
        let enter = free
            .filter_map(|item| {
                item.times.leave.map(|leave| easel.at_or_after(leave.offset(item.moves.leave_nanos)))
            })
            .fold(next, MediaTime::max);
        let first_frame = if is_start { airing.since_programme } else { enter };
        let times = (!is_start).then_some(enter);
        self.begin(work, &design, (airing, card), state, (times, first_frame))?;
        if is_cut && let Some(item) = work.items.last_mut() {
            (item.times.enter, item.moves) = (Some(next), Moves::cut());
        }
        Ok(())
    }

    fn begin(
        &self,
        work: &mut Work,
        design: &Design,
        (airing, card): (&Airing, &Card),
        state: &State,
        (enter, first_frame): (Option<MediaTime>, MediaTime),
    ) -> Result<(), raster::Error> {
        let easel = self.easel();
        let now = enter.unwrap_or_else(|| self.next_frame());
        let when = When { airing: Some(airing), first_frame, now, epoch: self.clock.epoch() };
        let Some(content) = self.content(design, card, state, &when) else { return Ok(()) };
        let animation = design.native.animation;
        let own = (i64::from(animation.in_ms) * 1_000_000, i64::from(animation.out_ms) * 1_000_000);
        let transition = card.transition.unwrap_or_default().or(design.template.transition);
        let item = Item::new(
            &easel,
            Start {
                airing: airing.clone(),
                card: card.clone(),
                link: self.link(&airing.code),
                times: Times { enter, leave: airing.ends_programme.map(|ends| easel.at_or_after(ends)) },
                moves: Moves::new(transition, airing.slot, own),
                animation,
                crawl_speed: design.native.crawl_speed,
                first_frame,
                countdown_end: content::countdown_end(design, card, &when),
                content,
                now,
            },
        )?;
        work.items.push(item);
        Ok(())
    }

    /// Draws one picture that is due later, if there is one.
    fn tend(&self, work: &mut Work, state: &State) -> Next {
        let easel = self.easel();
        let now = self.clock.now();
        let mut outcome = Ok(false);
        for item in &mut work.items {
            outcome = self.advance(&easel, item, state, now);
            if !matches!(outcome, Ok(false)) {
                break;
            }
        }
        match outcome {
            Ok(true) => {
                self.show(work);
                Next::Now
            }
            Ok(false) => {
                work.items.retain(|item| !item.has_gone(now));
                let wakes = work.items.iter().filter_map(Item::wakes).min();
                let goes = work.items.iter().filter_map(|item| {
                    item.times.leave.map(|leave| leave.offset(item.moves.leave_nanos + 1_000_000_000))
                });
                match wakes.into_iter().chain(goes.filter(|time| *time > now).min()).min() {
                    Some(time) => Next::At(time.max(now.offset(5_000_000))),
                    None => Next::Rest,
                }
            }
            Err(error) => {
                tracing::error!(channel = self.channel, "a card's next picture cannot be drawn: {error}");
                Next::Now
            }
        }
    }

    fn advance(
        &self,
        easel: &Easel,
        item: &mut Item,
        state: &State,
        now: MediaTime,
    ) -> Result<bool, raster::Error> {
        if item.work(easel)? {
            return Ok(true);
        }
        if item.wants_seconds(now) {
            let design = self.studio.design(&item.card.template)?;
            let (airing, card, first_frame) = (item.airing.clone(), item.card.clone(), item.first_frame);
            item.plan_second(easel, |moment| {
                let when =
                    When { airing: Some(&airing), first_frame, now: moment, epoch: self.clock.epoch() };
                Content::of(&design, &self.look, &card, state, &when)
            })?;
            return Ok(true);
        }
        Ok(item.begin_round(easel))
    }

    /// Draws one card that somebody may show next.
    fn prepare(&self, work: &mut Work, state: &State) {
        let easel = self.easel();
        for card in state.cards.values().skip(work.prepared).take(PREPARED - work.prepared) {
            work.prepared += 1;
            if !self.studio.has_room() {
                work.prepared = PREPARED;
                return;
            }
            let Ok(design) = self.studio.design(&card.template) else { continue };
            let Some(content) = self.still(&design, card, state) else { continue };
            if !self.studio.has(&content, easel.scale(card), easel.format) {
                // A card that cannot be drawn says so when it is looked at.
                let _ = self.studio.card(&content, easel.scale(card), easel.format);
                return;
            }
        }
        work.prepared = PREPARED;
    }

    /// What a card shows at a moment of its airing; a digit belongs to the frame nearest to its second.
    fn content(&self, design: &Design, card: &Card, state: &State, when: &When) -> Option<Content> {
        let half = self.canvas.rate.time_of(1).0 as i64 / 2;
        Content::of(design, &self.look, card, state, &When { now: when.now.offset(half), ..*when })
    }

    /// What a card shows when it is not on air.
    fn still(&self, design: &Design, card: &Card, state: &State) -> Option<Content> {
        let now = self.clock.now();
        let when = When { airing: None, first_frame: now, now, epoch: self.clock.epoch() };
        Content::of(design, &self.look, card, state, &when)
    }

    /// Draws a card as it goes on air in this channel, with a code that leads nowhere, and where it rests.
    ///
    /// # Errors
    /// In words.
    pub fn preview(&self, card: &Card, state: &State) -> Result<Preview, String> {
        let design = self.studio.design(&card.template).map_err(|error| error.to_string())?;
        let content = self.still(&design, card, state).ok_or("its product is gone")?;
        let scale = self.easel().scale(card);
        let drawn = self.studio.raster.whole(&design, &content, scale).map_err(|error| error.to_string())?;
        let problems = self.problems_of(&drawn.missing, drawn.code);
        let picture = drawn.with_code(&self.link(PREVIEW_CODE));
        let at = place::rest(self.canvas, card.place(), card.position, (picture.width, picture.height));
        Ok(Preview { picture, at, problems })
    }

    /// Draws a template's sample as in this channel.
    ///
    /// # Errors
    /// In words.
    pub fn sample(&self, template: &str) -> Result<Preview, String> {
        let design = self.studio.design(template).map_err(|error| error.to_string())?;
        let content = Content::sample(&design, &self.look);
        let card = Card { slot: Some(design.template.slot), ..Card::default() };
        let scale = self.easel().scale(&card);
        let drawn = self.studio.raster.whole(&design, &content, scale).map_err(|error| error.to_string())?;
        let problems = self.problems_of(&drawn.missing, drawn.code);
        let picture = drawn.with_code(&self.link(PREVIEW_CODE));
        let at = place::rest(self.canvas, card.place(), None, (picture.width, picture.height));
        Ok(Preview { picture, at, problems })
    }

    fn link(&self, code: &str) -> String {
        format!("{}/go/{code}", self.public_url)
    }

    fn next_frame(&self) -> MediaTime {
        let rate = self.canvas.rate;
        rate.time_of(rate.frame_at(self.clock.now()) + 1)
    }

    fn show(&self, work: &mut Work) {
        let now = self.clock.now();
        work.items.sort_by_key(|item| item.card.z.unwrap_or_else(|| place::height(item.airing.slot)));
        // A second ago: the programme may be late.
        let layers = work.items.iter_mut().map(|item| item.layer(now.offset(-1_000_000_000))).collect();
        self.board.set(Scene { rev: work.rev, due: work.due, layers });
    }

    /// What producers should know of the cards on air.
    fn tell(&self, work: &Work) {
        let mut problems = work.failed.clone();
        for item in work.items.iter().filter(|item| item.times.leave.is_none()) {
            for text in self.problems_of(&item.base.missing, item.base.code) {
                problems.push(CardProblem { card_id: item.airing.card_id.clone(), text });
            }
        }
        self.problems.send_if_modified(|told| {
            let is_new = *told != problems;
            *told = problems;
            is_new
        });
    }

    fn problems_of(&self, missing: &[super::fonts::Missing], code: Option<super::qr::Area>) -> Vec<String> {
        let mut problems: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let shorter = self.canvas.width.min(self.canvas.height);
        if let Some(area) = code {
            let percent = f64::from(area.height) * 100.0 / f64::from(shorter);
            if percent + 0.5 < self.qr_percent {
                problems.push(format!(
                    "its QR is {percent:.0} % of the picture high; {:.0} % scan well: make the card larger",
                    self.qr_percent
                ));
            }
        }
        problems
    }
}

/// A drawn card that is not on air.
#[derive(Debug)]
pub struct Preview {
    /// Its pixels.
    pub picture: Rgba,
    /// Where it rests in the canvas.
    pub at: (i32, i32),
    /// What its producer should know.
    pub problems: Vec<String>,
}

/// Whether two contents differ in nothing but a countdown that goes on by itself.
fn same_but_for_time(a: &Content, b: &Content) -> bool {
    let timeless = |content: &Content| {
        let mut content = content.clone();
        content.values.remove("countdown");
        content
    };
    timeless(a) == timeless(b)
}
