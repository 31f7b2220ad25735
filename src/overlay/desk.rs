//! Keeps a channel's scene like its state: draws what is on air, ahead of the streaming thread.
//!
//! The desk follows the state's snapshots. A new airing is drawn and enters; a changed one is drawn again in
//! place, without entering again; an ended one leaves. It never decides what is on air.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::animate::{LEAVE_NANOS, Times};
use super::element::{Board, Layer, Scene};
use super::raster::{self, Raster};
use super::sprite::{Rgba, Sprite};
use super::template::{self, Content};
use crate::media::Canvas;
use crate::state::{Airing, Slot, State};
use crate::time::{MediaTime, ProgramClock};

/// The card's drawing is made for a canvas this wide, or this high when it stands.
const REFERENCE: f32 = 1280.0;
/// Room to the picture's edges, as a share of its width and height: platforms cover them.
const MARGIN: f64 = 0.04;

/// Where product pictures are read from.
pub type PicturePath = Arc<dyn Fn(&str) -> PathBuf + Send + Sync>;

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
    pub raster: Arc<Raster>,
    /// Finds pictures.
    pub pictures: PicturePath,
    /// Where QR codes lead.
    pub public_url: String,
}

/// One airing on the desk.
#[derive(Debug, Clone)]
struct Item {
    airing: Airing,
    content: Content,
    sprite: Arc<Sprite>,
    times: Times,
}

impl Desk {
    /// Follows `snapshots` until their sender is gone.
    pub async fn run(self, mut snapshots: watch::Receiver<Arc<State>>) {
        let mut items: Vec<Item> = Vec::new();
        let mut seen: Option<u64> = None;
        loop {
            let state = snapshots.borrow_and_update().clone();
            let desk = self.clone();
            let before = items.clone();
            // Drawing takes milliseconds: not on a tokio worker.
            let drawn = tokio::task::spawn_blocking(move || desk.follow(before, &state, seen)).await;
            match drawn {
                Ok((next, rev)) => (items, seen) = (next, Some(rev)),
                Err(error) => tracing::error!(channel = self.channel, "the overlay desk failed: {error}"),
            }
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    }

    /// The items for `state`, shown on the board. `seen` is the revision shown before, nothing at the start.
    fn follow(&self, before: Vec<Item>, state: &State, seen: Option<u64>) -> (Vec<Item>, u64) {
        let is_cut = seen.is_some_and(|seen| state.cleared_rev > seen);
        let on_air: Vec<&Airing> =
            state.airings.iter().filter(|airing| airing.channel == self.channel).collect();
        let mut items: Vec<Item> = Vec::new();
        for item in before {
            let now = self.clock.now();
            let has_left = item.times.leave.is_some_and(|leave| now.since(leave) > 2 * LEAVE_NANOS);
            let is_on_air = on_air.iter().any(|airing| airing.id == item.airing.id);
            if has_left || (is_cut && !is_on_air) {
                continue;
            }
            let leave = if is_on_air { None } else { item.times.leave.or(Some(self.next_frame())) };
            items.push(Item { times: Times { leave, ..item.times }, ..item });
        }
        let mut is_drawn = true;
        for airing in on_air {
            is_drawn &= self.keep(&mut items, airing, state, seen.is_none());
        }
        // What could not be drawn is not claimed to be in the picture.
        let rev = if is_drawn { state.rev } else { seen.unwrap_or_default() };
        self.show(&items, rev);
        (items, state.rev)
    }

    /// Draws an airing that is new or looks different now. `is_start`: it was on air before the server
    /// started, so it is simply there. `false` when it cannot be drawn.
    fn keep(&self, items: &mut Vec<Item>, airing: &Airing, state: &State, is_start: bool) -> bool {
        let Some(card) = state.cards.get(&airing.card_id) else { return true };
        let Some(product) = state.products.get(&card.sku) else { return true };
        let content = Content::of(card, product, template::link(&self.public_url, airing));
        let known = items.iter_mut().find(|item| item.airing.id == airing.id);
        if let Some(item) = &known
            && item.content == content
        {
            if let Some(item) = known {
                item.airing.slot = airing.slot;
            }
            return true;
        }
        match self.draw(&content) {
            Ok(picture) => {
                let sprite = Arc::new(Sprite::from_rgba(&picture));
                if let Some(item) = known {
                    (item.content, item.sprite, item.airing) = (content, sprite, airing.clone());
                } else {
                    let enter = (!is_start).then(|| self.next_frame());
                    let times = Times { enter, leave: None };
                    items.push(Item { airing: airing.clone(), content, sprite, times });
                }
                true
            }
            Err(error) => {
                tracing::error!(card = airing.card_id, "the card cannot be drawn: {error}");
                false
            }
        }
    }

    /// Draws a card as it is on air in this channel.
    ///
    /// # Errors
    /// [`raster::Error`].
    pub fn draw(&self, content: &Content) -> Result<Rgba, raster::Error> {
        let photo = content.image.as_ref().and_then(|image| std::fs::read((self.pictures)(image)).ok());
        // A title that upsets the layout must not take the other cards along.
        let draw = || self.raster.card(content, photo.as_deref(), self.scale());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(draw)).unwrap_or_else(|_| {
            let detail = "the layout failed on this text".to_owned();
            Err(raster::Error::Draw { name: content.template.clone(), detail })
        })
    }

    fn scale(&self) -> f32 {
        let longest = self.canvas.width.max(self.canvas.height) as f32;
        // A standing canvas gives a card nearly its whole width.
        let is_standing = self.canvas.height > self.canvas.width;
        if is_standing { self.canvas.width as f32 / 720.0 } else { longest / REFERENCE }
    }

    fn next_frame(&self) -> MediaTime {
        let rate = self.canvas.rate;
        rate.time_of(rate.frame_at(self.clock.now()) + 1)
    }

    fn show(&self, items: &[Item], rev: u64) {
        let layers = items.iter().map(|item| Layer {
            id: item.airing.id.clone(),
            sprite: item.sprite.clone(),
            rest: self.rest(item.airing.slot, &item.sprite),
            times: item.times,
        });
        self.board.set(Scene { rev, layers: layers.collect() });
    }

    /// Where a sprite rests in its slot, inside the margins. On a standing canvas the lower slots keep
    /// clear of what platforms lay over the bottom fifth.
    fn rest(&self, slot: Slot, sprite: &Sprite) -> (u32, u32) {
        let (width, height) = (self.canvas.width, self.canvas.height);
        let side = (f64::from(width) * MARGIN) as u32;
        let is_standing = height > width;
        let (top, bottom) = if is_standing { (0.12, 0.22) } else { (MARGIN * 1.5, MARGIN * 1.5) };
        let (top, bottom) = ((f64::from(height) * top) as u32, (f64::from(height) * bottom) as u32);
        let right = width.saturating_sub(sprite.width + side);
        let low = height.saturating_sub(sprite.height + bottom);
        match slot {
            Slot::LowerLeft => (side.min(width.saturating_sub(sprite.width)), low),
            Slot::LowerRight => (right, low),
            Slot::UpperLeft => (side.min(width.saturating_sub(sprite.width)), top),
            Slot::UpperRight => (right, top),
        }
    }
}
