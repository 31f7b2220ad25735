//! What begins and ends in the picture, for timed metadata: told with the scene, so that the element can say in which
//! frame it came true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::item::{Easel, Item};
use super::{Desk, Work, place};
use crate::overlay::board::{Mark, MarkEvent};
use crate::package::metadata::{Attributes, Value};
use crate::state::{Card, Product, State};
use crate::time::MediaTime;

/// Marks that a scene carries: more than are made while a frame is composed.
const CARRIED: usize = 64;

/// The newest marks, and what was told of each airing.
#[derive(Debug, Default)]
pub(super) struct Marks {
    newest: Vec<Arc<Mark>>,
    told: BTreeMap<String, Attributes>,
}

impl Marks {
    pub(super) fn newest(&self) -> Vec<Arc<Mark>> {
        self.newest.clone()
    }

    /// Numbers grow with the clock, so that they go on growing after a failure.
    fn push(&mut self, at: MediaTime, event: MarkEvent, now: MediaTime) {
        let last = self.newest.last().map_or(0, |mark| mark.number);
        self.newest.push(Arc::new(Mark { number: now.0.max(last + 1), at, event }));
        let spare = self.newest.len().saturating_sub(CARRIED);
        self.newest.drain(..spare);
    }
}

impl Desk {
    /// Marks what is different in the state's picture from `next` on.
    pub(super) fn mark(&self, work: &mut Work, state: &State, next: MediaTime) {
        let (easel, now) = (self.easel(), self.clock.now());
        let on_air: BTreeSet<&str> =
            state.in_picture(&self.channel).map(|airing| airing.id.as_str()).collect();
        let shown = |item: &&Item| on_air.contains(item.airing.id.as_str());
        if work.seen.is_none() {
            let airing_ids = work.items.iter().filter(shown).map(|item| item.airing.id.clone()).collect();
            work.marks.push(next, MarkEvent::Only { airing_ids }, now);
        }
        for item in work.items.iter().filter(shown) {
            let attributes = self.attributes(&easel, item, state);
            let airing_id = item.airing.id.clone();
            if work.marks.told.get(&airing_id) != Some(&attributes) {
                let at = item.times.enter.map_or(next, |enter| enter.max(next));
                work.marks.told.insert(airing_id.clone(), attributes.clone());
                work.marks.push(at, MarkEvent::Shows { airing_id, attributes }, now);
            }
        }
        let is_there = |id: &str| work.items.iter().any(|item| item.airing.id == id && shown(&item));
        let gone: Vec<String> =
            work.marks.told.keys().filter(|id| !is_there(id)).map(ToOwned::to_owned).collect();
        for airing_id in gone {
            work.marks.told.remove(&airing_id);
            let item = work.items.iter().find(|item| item.airing.id == airing_id);
            let leave = item.and_then(|item| Some((item, item.times.leave?)));
            // One that was cut is not in the scene any more: it goes with the first frame that is composed without it, which
            // is an earlier one than the clock's next when the machine is late.
            let at =
                leave.map_or(MediaTime::ZERO, |(item, at)| easel.nearest(at.offset(item.moves.leave_nanos)));
            // One that goes by its own time has begun to do so before the state knows.
            let is_planned =
                leave.is_some_and(|(item, at)| item.airing.ends_programme.is_some() && at < next);
            work.marks.push(at, MarkEvent::Gone { airing_id, is_planned }, now);
        }
    }

    /// What players are told of an airing: the shop's words, and where it is in the picture.
    fn attributes(&self, easel: &Easel, item: &Item, state: &State) -> Attributes {
        let mut found = Attributes::new();
        let mut text = |name: &str, value: &str| found.push((name.to_owned(), Value::Text(value.to_owned())));
        let card = &item.card;
        text("X-AIRING-ID", &item.airing.id);
        text("X-CARD-ID", &card.id);
        text("X-TEMPLATE", &card.template);
        let products: Vec<&Product> = card.products().filter_map(|sku| state.products.get(sku)).collect();
        text("X-LINK", &self.link(&item.airing.code));
        text("X-RECT", &rectangle(easel, item));
        match &products[..] {
            [] => {}
            [one] => {
                text("X-SKU", &one.sku);
                text("X-CURRENCY", &one.currency);
                text("X-PRICE", &item.content.price().unwrap_or_default());
            }
            many => {
                let skus: Vec<&str> = many.iter().map(|product| product.sku.as_str()).collect();
                text("X-SKUS", &skus.join(" "));
            }
        }
        if item.airing.is_pinned {
            text("X-PINNED", "YES");
        }
        if let Some(title) = title(card, &products) {
            text("X-TITLE", title);
        }
        if let [one] = &products[..] {
            text("X-SOLD-OUT", if one.is_sold_out() { "YES" } else { "NO" });
            // Minor units are whole, and far below where a double is not.
            found.push(("X-PRICE-MINOR".into(), Value::Number(one.price_minor as f64)));
            if let Some(old) = one.old_price_minor {
                found.push(("X-OLD-PRICE-MINOR".into(), Value::Number(old as f64)));
            }
        }
        found
    }
}

fn title<'a>(card: &'a Card, products: &[&'a Product]) -> Option<&'a str> {
    card.title.as_deref().or_else(|| products.first().map(|product| product.title.as_str()))
}

/// Left, top, width and height in shares of the picture.
fn rectangle(easel: &Easel, item: &Item) -> String {
    let (width, height) = (item.base.sprite.width, item.base.sprite.height);
    let (x, y) = place::rest(easel.canvas, item.airing.slot, item.card.position, (width, height));
    let across = |pixels: f64| pixels / f64::from(easel.canvas.width);
    let down = |pixels: f64| pixels / f64::from(easel.canvas.height);
    format!(
        "{:.4},{:.4},{:.4},{:.4}",
        across(f64::from(x)),
        down(f64::from(y)),
        across(f64::from(width)),
        down(f64::from(height))
    )
}
