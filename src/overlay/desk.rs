//! Keeps a channel's scene like its state: draws what is on air, ahead of the streaming thread.
//!
//! The desk follows the state's snapshots. A new airing is drawn and enters; a changed one changes in place,
//! without entering again; an ended one leaves. Between snapshots it draws what comes next: the frames of an
//! animation, the next seconds of a countdown, cards that are prepared. One picture at a time, so that a command
//! never waits for more than one. It never decides what is on air.

pub mod guides;
mod item;
mod marks;
pub mod place;
mod preview;

pub use preview::Preview;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::item::{Easel, Item, Start};
use super::animate::{Moves, Times};
use super::board::{Board, Scene};
use super::content::{self, Content, Look, When};
use super::raster;
use super::studio::Studio;
use super::template::Design;
use crate::media::{Canvas, CardProblem, Turn};
use crate::state::{Airing, Card, Slot, State};
use crate::time::{MediaTime, ProgramClock};

/// Cards that are drawn before anybody shows them: so many of the first ones, by id.
const PREPARED: usize = 100;
/// How long nothing must have changed before cards are prepared.
const CALM: Duration = Duration::from_millis(500);
/// Between two that are prepared: the encoder needs the machine more.
const BREATH: Duration = Duration::from_millis(20);
/// After a failure of its own.
const AGAIN: Duration = Duration::from_secs(1);
/// How late a programme may be and still find the pictures of its frames.
const PAST_NANOS: i64 = 1_000_000_000;
/// When nothing is to be done.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

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
    /// When cards come and go is told here.
    pub turns: watch::Sender<Vec<Turn>>,
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
    marks: marks::Marks,
}

/// What to do next.
enum Next {
    /// Draw on.
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
        let mut formats = self.board.formats();
        let frame = Duration::from_nanos(self.canvas.rate.time_of(1).0);
        loop {
            let state = snapshots.borrow_and_update().clone();
            // Whatever comes within one frame is drawn together: more could not be seen.
            let pace = tokio::time::sleep(frame);
            let Some(((), after)) = self.blocking(work, state.clone(), Self::follow).await else {
                // What is on air is drawn anew, without entering again.
                work = Work::default();
                continue;
            };
            work = after;
            loop {
                let Some((next, after)) = self.blocking(work, state.clone(), Self::tend).await else {
                    work = Work::default();
                    break;
                };
                work = after;
                let wait = match next {
                    Next::Now => Duration::ZERO,
                    Next::At(time) => Duration::from_nanos(time.since(self.clock.now()).max(0) as u64),
                    Next::Rest if work.prepared == 0 => CALM,
                    Next::Rest if work.prepared < PREPARED => BREATH,
                    Next::Rest => Duration::MAX,
                };
                let changed = tokio::select! {
                    biased;
                    changed = snapshots.changed() => Some(changed.is_ok()),
                    // The encoder was built anew for other frames.
                    Ok(()) = formats.changed() => Some(true),
                    () = tokio::time::sleep(wait.min(LONGEST_WAIT)) => None,
                };
                match changed {
                    Some(true) => break,
                    Some(false) => return,
                    None if matches!(next, Next::Rest) => {
                        let prepared = self.blocking(work, state.clone(), Self::prepare).await;
                        work = prepared.map_or_else(Work::default, |((), after)| after);
                    }
                    None => {}
                }
            }
            pace.await;
        }
    }

    /// Runs one piece of work where it may take milliseconds: not on a tokio worker. Nothing when it panicked.
    async fn blocking<T: Send + 'static>(
        &self,
        mut work: Work,
        state: Arc<State>,
        piece: fn(&Self, &mut Work, &State) -> T,
    ) -> Option<(T, Work)> {
        let desk = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let outcome = piece(&desk, &mut work, &state);
            (outcome, work)
        });
        match done.await {
            Ok(done) => Some(done),
            Err(error) => {
                tracing::error!(channel = self.channel, "the overlay desk failed: {error}");
                tokio::time::sleep(AGAIN).await;
                None
            }
        }
    }

    fn easel(&self) -> Easel {
        Easel { studio: self.studio.clone(), canvas: self.canvas, format: self.board.format() }
    }

    /// Brings the items to `state`.
    fn follow(&self, work: &mut Work, state: &State) {
        let seen = work.seen;
        let is_cut = seen.is_some_and(|seen| state.cut_rev(&self.channel) > seen);
        let on_air: Vec<&Airing> = state.in_picture(&self.channel).collect();
        let now = self.clock.now();
        let next = self.next_frame();
        work.failed.clear();
        // At the start it is as if it had been there before.
        work.due = if seen.is_some() { next } else { MediaTime::ZERO };
        work.prepared = 0;
        work.items.retain(|item| {
            let is_on_air = on_air.iter().any(|airing| airing.id == item.airing.id);
            // One that was replaced before it came never comes.
            let has_come = item.times.enter.is_none_or(|enter| enter <= next);
            !item.has_gone(past(now)) && (is_on_air || (!is_cut && has_come))
        });
        for item in &mut work.items {
            let is_on_air = on_air.iter().any(|airing| airing.id == item.airing.id);
            // One that goes by itself does so at its own frame, whenever the state learns of it.
            if !is_on_air && item.times.leave.is_none_or(|leave| leave > next) {
                item.leave(next);
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
        self.mark(work, state, work.due.max(next));
        // What could not be drawn is not claimed to be in the picture.
        if is_drawn {
            work.rev = state.rev;
        }
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
        // A template that is gone from the folder stays with the card that is on air with it.
        let known =
            work.items.iter().find(|item| item.airing.id == airing.id).map(|item| item.design.clone());
        let design = self.studio.design(&card.template).or_else(|error| known.ok_or(error))?;
        let easel = self.easel();
        // Those before it may have taken longer to draw than to the next frame.
        let next = self.next_frame();
        if work.seen.is_some() {
            work.due = next;
        }
        if let Some(at) = work.items.iter().position(|item| item.airing.id == airing.id) {
            let item = &mut work.items[at];
            if item.base.sprite.format != easel.format || Self::stays_after_all(item, airing, next) {
                // Everything is drawn again, and does not enter again.
                let first = item.first_frame;
                work.items.remove(at);
                return self.begin(work, &design, (airing, card), state, (None, first, true));
            }
            if item.airing.ends_programme != airing.ends_programme {
                item.times.leave = airing.ends_programme.map(|ends| easel.at_or_after(ends));
            }
            let when = When {
                airing: Some(airing),
                first_frame: item.first_frame,
                now: next,
                epoch: self.clock.epoch(),
            };
            let Some(content) = self.content(&design, card, state, &when) else {
                work.items.remove(at);
                return Ok(());
            };
            let is_elsewhere = item.airing.slot != airing.slot
                || item.card.position != card.position
                || item.card.scale != card.scale;
            let slot = airing.slot;
            (item.airing, item.card, item.design) = (airing.clone(), card.clone(), design.clone());
            item.countdown_end = content::countdown_end(&design, card, &when);
            if (is_elsewhere || !same_but_for_time(&item.content, &content))
                && let Err(error) = item.change(&easel, content, is_cut || is_elsewhere, next)
            {
                // Better no card than one that says what is not so any more.
                work.items.remove(at);
                return Err(error);
            }
            if is_elsewhere {
                // It moves at once: what still leaves its new place is gone at once, too.
                work.items.retain(|other| {
                    let leaves = other.times.leave.is_some_and(|leave| leave <= next);
                    other.airing.id == airing.id || other.airing.slot != slot || !leaves
                });
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
        let rate = self.canvas.rate;
        // After a restart it is as if it had come with the frame after its command.
        let first_frame =
            if is_start { rate.time_of(rate.frame_at(airing.since_programme) + 1) } else { enter };
        let times = (!is_start).then_some(enter);
        self.begin(work, &design, (airing, card), state, (times, first_frame, is_cut))
    }

    /// Whether it goes out by itself so soon that its way out is drawn, or has begun, and now it does not: it was pinned.
    fn stays_after_all(item: &Item, airing: &Airing, next: MediaTime) -> bool {
        item.airing.ends_programme != airing.ends_programme
            && item.times.leave.is_some_and(|leave| leave.since(next) < item::AHEAD_NANOS)
    }

    fn begin(
        &self,
        work: &mut Work,
        design: &Arc<Design>,
        (airing, card): (&Airing, &Card),
        state: &State,
        (enter, first_frame, is_cut): (Option<MediaTime>, MediaTime, bool),
    ) -> Result<(), raster::Error> {
        let easel = self.easel();
        let now = enter.unwrap_or_else(|| self.next_frame());
        let when = When { airing: Some(airing), first_frame, now, epoch: self.clock.epoch() };
        let Some(content) = self.content(design, card, state, &when) else { return Ok(()) };
        let animation = design.native.animation;
        let own = (i64::from(animation.in_ms) * 1_000_000, i64::from(animation.out_ms) * 1_000_000);
        let transition = card.transition.unwrap_or_default().or(design.template.transition);
        let moves = Moves::new(transition, airing.slot, own);
        let item = Item::new(
            &easel,
            Start {
                airing: airing.clone(),
                card: card.clone(),
                link: self.link(&airing.code),
                times: Times { enter, leave: airing.ends_programme.map(|ends| easel.at_or_after(ends)) },
                moves: if is_cut { moves.without_entrance() } else { moves },
                design: design.clone(),
                first_frame,
                countdown_end: content::countdown_end(design, card, &when),
                content,
                now,
            },
        )?;
        work.items.push(item);
        Ok(())
    }

    /// Draws one picture that is due later, if there is one: the one that is due first.
    fn tend(&self, work: &mut Work, state: &State) -> Next {
        let easel = self.easel();
        let now = self.clock.now();
        let due = work.items.iter_mut().filter_map(|item| item.due(now).map(|due| (due, item)));
        if let Some((_, item)) = due.min_by_key(|(due, _)| *due) {
            let outcome = item.advance(&easel, now, |item, moment| {
                let (airing, first_frame) = (Some(&item.airing), item.first_frame);
                let when = When { airing, first_frame, now: moment, epoch: self.clock.epoch() };
                Content::of(&item.design, &self.look, &item.card, state, &when)
            });
            if let Err(error) = outcome {
                tracing::error!(channel = self.channel, "a card's next picture cannot be drawn: {error}");
            }
            self.show(work);
            return Next::Now;
        }
        work.items.retain(|item| !item.has_gone(past(now)));
        let wakes = work.items.iter().filter_map(|item| item.wakes(now));
        let gone = |item: &Item| item.times.leave.map(|leave| leave.offset(item.moves.leave_nanos));
        let goes = work.items.iter().filter_map(|item| gone(item).map(|gone| gone.offset(PAST_NANOS)));
        match wakes.chain(goes.filter(|time| *time > now)).min() {
            Some(time) => Next::At(time.max(now.offset(5_000_000))),
            None => Next::Rest,
        }
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
                let _ = self.studio.card(&design, &content, easel.scale(card), easel.format);
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
        let layers = work.items.iter_mut().map(|item| item.layer(past(now))).collect();
        self.board.set(Scene { rev: work.rev, due: work.due, layers, marks: work.marks.newest() });
    }

    /// What producers should know of the cards on air.
    fn tell(&self, work: &Work) {
        let mut problems = work.failed.clone();
        let now = self.clock.now();
        for item in work.items.iter().filter(|item| item.times.leave.is_none_or(|leave| leave > now)) {
            for text in self.problems_of(&item.base.missing, item.base.code) {
                problems.push(CardProblem { card_id: item.airing.card_id.clone(), text });
            }
        }
        tell(&self.problems, problems);
        tell(&self.turns, work.items.iter().map(Item::turn).collect());
    }
}

fn tell<T: PartialEq>(to: &watch::Sender<T>, now: T) {
    to.send_if_modified(|told| {
        let is_new = *told != now;
        *told = now;
        is_new
    });
}

/// What the programme may still be composing when it is late.
fn past(now: MediaTime) -> MediaTime {
    now.offset(-PAST_NANOS)
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
