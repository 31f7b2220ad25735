//! One airing on the desk: its film, and what of it is still to be drawn.

mod plan;

use std::collections::VecDeque;
use std::sync::Arc;

use self::plan::CHANGE_NANOS;
use super::place;
use crate::media::{Canvas, Turn};
use crate::overlay::animate::{self, Moves, Times};
use crate::overlay::board::{Code, Crawl, Layer};
use crate::overlay::colour::Format;
use crate::overlay::content::{self, Content, Phase};
use crate::overlay::film::{Face, Film, Round};
use crate::overlay::raster;
use crate::overlay::sprite::{Sprite, resize};
use crate::overlay::studio::{Base, Studio};
use crate::overlay::template::Design;
use crate::state::{Airing, Card, Transition};
use crate::time::MediaTime;

/// How far ahead the seconds of a countdown are drawn.
pub(super) const AHEAD_NANOS: i64 = 3_000_000_000;
/// After something of it could not be drawn.
const REST_NANOS: i64 = 1_000_000_000;
/// What calls for attention is drawn when nothing else is to be drawn.
const SOME_TIME: MediaTime = MediaTime(u64::MAX);

/// Draws for one channel.
#[derive(Debug, Clone)]
pub(super) struct Easel {
    pub(super) studio: Arc<Studio>,
    pub(super) canvas: Canvas,
    pub(super) format: Format,
}

impl Easel {
    pub(super) fn frame_nanos(&self) -> i64 {
        (self.canvas.rate.time_of(1).0 as i64).max(1)
    }

    /// The frame nearest to a time.
    pub(super) fn nearest(&self, time: MediaTime) -> MediaTime {
        let rate = self.canvas.rate;
        rate.time_of(rate.frame_at(time.offset(self.frame_nanos() / 2)))
    }

    /// The first frame that is not before a time.
    pub(super) fn at_or_after(&self, time: MediaTime) -> MediaTime {
        let rate = self.canvas.rate;
        let frame = rate.frame_at(time);
        let start = rate.time_of(frame);
        if start >= time { start } else { rate.time_of(frame + 1) }
    }

    /// Cards are designed for a canvas 1280 wide, or 720 when it stands.
    pub(super) fn scale(&self, card: &Card) -> f32 {
        let Canvas { width, height, .. } = self.canvas;
        let canvas = if height > width { width as f32 / 720.0 } else { width as f32 / 1280.0 };
        canvas * card.scale.map_or(1.0, |scale| f64::from(scale) as f32)
    }
}

/// Something still to be drawn.
#[derive(Debug)]
enum Job {
    /// A picture of a content.
    Face { from: MediaTime, content: Box<Content> },
    /// The card in another size.
    Sized { from: MediaTime, size: f64 },
    /// Half-way between two pictures, in 256ths of the second.
    Mixed { from: MediaTime, before: Arc<Sprite>, after: Arc<Sprite>, share: u16 },
    /// The next picture of a round.
    Round { faces: Vec<Face>, each_nanos: u64, count: u32, step_ms: u32 },
}

/// One airing.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) airing: Airing,
    pub(super) card: Card,
    pub(super) times: Times,
    pub(super) moves: Moves,
    pub(super) first_frame: MediaTime,
    /// As it rests, at the last change.
    pub(super) content: Content,
    pub(super) base: Arc<Base>,
    pub(super) countdown_end: Option<MediaTime>,
    pub(super) design: Arc<Design>,
    crawl: Option<Crawl>,
    link: String,
    film: Film,
    jobs: VecDeque<Job>,
    covered: MediaTime,
    changed: MediaTime,
    has_round: bool,
    has_exit: bool,
    /// What the seconds show that are drawn but not over, by their first frames.
    seconds: Vec<(MediaTime, Content)>,
    rests_until: MediaTime,
}

/// What a new item begins with.
pub(super) struct Start {
    pub(super) airing: Airing,
    pub(super) card: Card,
    pub(super) content: Content,
    pub(super) link: String,
    pub(super) times: Times,
    pub(super) moves: Moves,
    pub(super) design: Arc<Design>,
    pub(super) first_frame: MediaTime,
    pub(super) countdown_end: Option<MediaTime>,
    pub(super) now: MediaTime,
}

impl Item {
    /// Draws its first picture, and plans the rest.
    pub(super) fn new(easel: &Easel, start: Start) -> Result<Self, raster::Error> {
        let scale = easel.scale(&start.card);
        let base = easel.studio.card(&start.design, &start.content, scale, easel.format)?;
        let mut item = Self {
            crawl: None,
            film: Film::default(),
            jobs: VecDeque::new(),
            covered: start.now,
            changed: MediaTime::ZERO,
            has_round: false,
            has_exit: false,
            seconds: vec![(start.now, start.content.clone())],
            rests_until: MediaTime::ZERO,
            base,
            airing: start.airing,
            card: start.card,
            times: start.times,
            moves: start.moves,
            first_frame: start.first_frame,
            content: start.content,
            countdown_end: start.countdown_end,
            design: start.design,
            link: start.link,
        };
        item.crawl = item.draw_crawl(easel, start.now)?;
        match start.times.enter {
            Some(enter) => item.plan_entrance(easel, enter),
            None => item.plan_rest(start.now),
        }
        // The first picture at once, the others when there is time.
        item.work(easel)?;
        Ok(item)
    }

    fn draw_crawl(&self, easel: &Easel, from: MediaTime) -> Result<Option<Crawl>, raster::Error> {
        let speed = self.design.native.crawl_speed;
        let Some((window, speed)) = self.base.crawl.zip(speed) else { return Ok(None) };
        let scale = easel.scale(&self.card);
        let line = easel.studio.crawl(&self.design, &self.content, scale, easel.format)?;
        let speed = (speed as f32 * scale) as i32;
        Ok(Some(Crawl {
            sprite: line.sprite.clone(),
            window: (window.x as i32, window.y as i32, window.width, window.height),
            speed: if self.content.language.1 { -speed } else { speed },
            from: self.crawl.as_ref().map_or(from, |crawl| crawl.from),
        }))
    }

    /// It goes from `leave` on.
    pub(super) fn leave(&mut self, leave: MediaTime) {
        self.times.leave = Some(leave);
        self.jobs.clear();
        self.countdown_end = None;
        self.has_round = true; // no other begins
        self.has_exit = false;
    }

    /// It shows `content` from `from` on.
    pub(super) fn change(
        &mut self,
        easel: &Easel,
        content: Content,
        is_cut: bool,
        from: MediaTime,
    ) -> Result<(), raster::Error> {
        let base = easel.studio.card(&self.design, &content, easel.scale(&self.card), easel.format)?;
        self.seconds = vec![(from, content.clone())];
        let before = std::mem::replace(&mut self.content, content);
        self.base = base;
        // Changes that come faster than they could be seen to move are cuts.
        let is_calm = from.since(self.changed) > 2 * CHANGE_NANOS;
        self.changed = from;
        self.jobs.clear();
        (self.has_round, self.has_exit) = (false, false);
        self.crawl = self.draw_crawl(easel, from)?;
        let change = self.card.transition.unwrap_or_default().change;
        let change = change.or(self.design.template.transition.change);
        let is_step = before.values.get("step") != self.content.values.get("step");
        let is_price = before.differs_in_price_only(&self.content);
        let lasts = CHANGE_NANOS.max(i64::from(self.design.native.animation.step_ms) * 1_000_000);
        if is_cut || !is_calm || self.turns_a_second(from, lasts) {
            self.film.cut_to(self.face(easel, &self.base, from));
        } else if is_step && self.design.native.animation.step_ms > 0 {
            self.plan_steps(easel, from);
        } else if is_price && change == Some(Transition::Roll) {
            self.plan_roll(easel, &before.price().unwrap_or_default(), from);
        } else if is_step || change == Some(Transition::Fade) {
            self.plan_mix(easel, from);
        } else {
            self.film.cut_to(self.face(easel, &self.base, from));
        }
        self.covered = from;
        if !self.jobs.is_empty() {
            self.work(easel)?;
        }
        Ok(())
    }

    fn face(&self, easel: &Easel, base: &Base, from: MediaTime) -> Face {
        self.faced(easel, base.dressed(&self.link), from)
    }

    fn faced(&self, easel: &Easel, sprite: Arc<Sprite>, from: MediaTime) -> Face {
        let size = (sprite.width, sprite.height);
        let at = place::rest(easel.canvas, self.airing.slot, self.card.position, size);
        Face { from, sprite, at }
    }

    /// Draws one picture that is still to be drawn. `false` when there is none.
    fn work(&mut self, easel: &Easel) -> Result<bool, raster::Error> {
        let Some(job) = self.jobs.pop_front() else { return Ok(false) };
        let scale = easel.scale(&self.card);
        match job {
            Job::Face { from, content } => {
                let base = easel.studio.card(&self.design, &content, scale, easel.format)?;
                self.film.plan(self.face(easel, &base, from));
            }
            Job::Sized { from, size } => {
                let whole = self.base.dressed(&self.link);
                let length = |side: u32| ((f64::from(side) * size).round() as u32).max(2);
                let sprite = whole.resized((length(whole.width), length(whole.height)), resize);
                // It grows from its middle, where it will rest.
                let rest = self.faced(easel, whole.clone(), from).at;
                let middle = |at: i32, full: u32, now: u32| at + (full as i32 - now as i32) / 2;
                let at =
                    (middle(rest.0, whole.width, sprite.width), middle(rest.1, whole.height, sprite.height));
                self.film.plan(Face { from, sprite: Arc::new(sprite), at });
            }
            Job::Mixed { from, before, after, share } => {
                let mix =
                    |a: u8, b: u8| ((u16::from(a) * (256 - share) + u16::from(b) * share + 128) >> 8) as u8;
                if let Some(sprite) = before.mixed(&after, mix) {
                    self.film.plan(self.faced(easel, Arc::new(sprite), from));
                }
            }
            Job::Round { mut faces, each_nanos, count, step_ms } => {
                let phase = Phase::Loop(faces.len() as u32 * step_ms);
                let content = Content { phase, ..self.content.clone() };
                let base = easel.studio.card(&self.design, &content, scale, easel.format)?;
                faces.push(self.face(easel, &base, MediaTime::ZERO));
                if faces.len() as u32 >= count {
                    let from = self.film.last().map_or(self.first_frame, |last| last.from);
                    self.film.go_round(Round { from, each_nanos, faces: Arc::new(faces) });
                } else {
                    self.jobs.push_front(Job::Round { faces, each_nanos, count, step_ms });
                }
            }
        }
        Ok(true)
    }

    /// When what it draws next is due, if it has something to draw now.
    pub(super) fn due(&self, now: MediaTime) -> Option<MediaTime> {
        if self.rests_until > now {
            return None;
        }
        match self.jobs.front() {
            Some(Job::Face { from, .. } | Job::Sized { from, .. } | Job::Mixed { from, .. }) => Some(*from),
            Some(Job::Round { .. }) => Some(SOME_TIME),
            None if self.wants_exit(now) => self.times.leave,
            None if self.wants_seconds(now) => Some(self.covered),
            None => self.wants_round().then_some(SOME_TIME),
        }
    }

    /// Draws what is due next. `content` is what its card shows at a moment.
    ///
    /// # Errors
    /// [`raster::Error`]; it is left in peace for a second then.
    pub(super) fn advance(
        &mut self,
        easel: &Easel,
        now: MediaTime,
        content: impl FnOnce(&Self, MediaTime) -> Option<Content>,
    ) -> Result<(), raster::Error> {
        let outcome = if !self.jobs.is_empty() {
            self.work(easel).map(|_| ())
        } else if self.wants_exit(now) {
            self.plan_exit(easel);
            Ok(())
        } else if self.wants_seconds(now) {
            self.plan_second(easel, content)
        } else {
            self.begin_round(easel);
            Ok(())
        };
        if outcome.is_err() {
            self.rests_until = now.offset(REST_NANOS);
        }
        outcome
    }

    /// Whether the seconds of its countdown have to be drawn further.
    fn wants_seconds(&self, now: MediaTime) -> bool {
        self.countdown_end.is_some_and(|end| self.covered < end && self.covered.since(now) < AHEAD_NANOS)
    }

    fn wants_round(&self) -> bool {
        !self.has_round && self.design.native.animation.loop_ms > 0
    }

    /// When something is to be drawn again.
    pub(super) fn wakes(&self, now: MediaTime) -> Option<MediaTime> {
        let second = self.countdown_end.filter(|end| self.covered < *end).map(|_| self.covered);
        let rested = Some(self.rests_until).filter(|until| *until > now);
        let ahead = second.into_iter().chain(self.exit()).map(|time| time.offset(-AHEAD_NANOS));
        ahead.min().max(rested)
    }

    /// Plans the next second: the digit changes on the frame nearest to it. `content` is the card's at that
    /// moment.
    fn plan_second(
        &mut self,
        easel: &Easel,
        content: impl FnOnce(&Self, MediaTime) -> Option<Content>,
    ) -> Result<(), raster::Error> {
        let Some(end) = self.countdown_end else { return Ok(()) };
        let half = easel.frame_nanos() / 2;
        let left = content::seconds_left(end, self.covered.offset(half));
        let next = end.offset(-(left.saturating_sub(1) as i64) * 1_000_000_000);
        let from = easel.nearest(next);
        self.covered = from.max(self.covered.offset(1));
        let Some(content) = content(self, next) else { return Ok(()) };
        if content != self.content {
            let base = easel.studio.card(&self.design, &content, easel.scale(&self.card), easel.format)?;
            self.film.plan(self.face(easel, &base, from));
            self.seconds.push((from, content.clone()));
            (self.content, self.base) = (content, base);
        }
        Ok(())
    }

    /// Begins to draw what calls for attention, once all else is drawn.
    fn begin_round(&mut self, easel: &Easel) {
        self.has_round = true;
        let (count, each_nanos) = self.round(easel);
        let step_ms = (each_nanos / 1_000_000) as u32;
        self.jobs.push_back(Job::Round { faces: Vec::new(), each_nanos, count, step_ms });
    }

    pub(super) fn has_gone(&self, now: MediaTime) -> bool {
        animate::has_gone(self.times, &self.moves, now)
    }

    /// As the element blends it.
    /// When it comes and goes.
    pub(super) fn turn(&self) -> Turn {
        let Times { enter, leave } = self.times;
        Turn {
            airing_id: self.airing.id.clone(),
            card_id: self.card.id.clone(),
            there: enter.map_or(MediaTime::ZERO, |enter| enter.offset(self.moves.enter_nanos)),
            leaves: leave,
            gone: leave.map(|leave| leave.offset(self.moves.leave_nanos)),
        }
    }

    pub(super) fn layer(&mut self, now: MediaTime) -> Layer {
        self.film.trim(now);
        let over = self.seconds.partition_point(|(from, _)| *from <= now);
        self.seconds.drain(..over.saturating_sub(1));
        Layer {
            id: self.airing.id.clone(),
            film: self.film.clone(),
            crawl: self.crawl.clone(),
            times: self.times,
            moves: self.moves,
            code: self.base.code.map(|_| Code { card_id: self.card.id.clone(), text: self.link.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
