//! The rules of preparing cards.

use super::{Changes, check_name, check_text, conflict, field, not_found, patch};
use crate::state::command::CardEdit;
use crate::state::template::{self, Products, Template};
use crate::state::{Card, Change, Error, Moment, Ratio, Slot, State};

const MOST_CARDS: usize = 10_000;
/// Times its own size.
const SCALES: std::ops::RangeInclusive<Ratio> = Ratio(2_500)..=Ratio(30_000);
const HEIGHTS: std::ops::RangeInclusive<i32> = -100..=100;
const MOST_MOVE_MS: u32 = 3000;
const MOST_OUT_MS: u64 = 24 * 3600 * 1000;

impl State {
    pub(super) fn put_card(&mut self, mut card: Card) -> Result<Changes, Error> {
        check_name("cardId", &card.id)?;
        let template = self.template(&card.template)?;
        card.slot = Some(card.slot.unwrap_or(template.slot));
        self.check_card(&card)?;
        let before = self.cards.get(&card.id);
        if before == Some(&card) {
            return Ok(Vec::new());
        }
        if self.cards.size() >= MOST_CARDS && before.is_none() {
            return Err(conflict("cardId", format!("there are {MOST_CARDS} cards already")));
        }
        let is_on_air = self.airings.iter().any(|airing| airing.card_id == card.id);
        let is_another = before.is_some_and(|before| {
            before.slot != card.slot
                || !before.products().eq(card.products())
                || before.template != card.template
        });
        if is_on_air && is_another {
            return Err(conflict(
                "cardId",
                "it is on air: use UpdateCard to move it, or hide it first".into(),
            ));
        }
        self.cards.insert_mut(card.id.clone(), card.clone());
        Ok(vec![Change::CardChanged { card }])
    }

    pub(super) fn delete_card(&mut self, card_id: &str) -> Result<Changes, Error> {
        if self.airings.iter().any(|airing| airing.card_id == card_id) {
            return Err(conflict("cardId", "it is on air: hide it first".into()));
        }
        if let Some(rundown) = self.rundown_of(card_id) {
            return Err(conflict(
                "cardId",
                format!("it is in the rundown {:?}: take it out there first", rundown.id),
            ));
        }
        if !self.cards.remove_mut(card_id) {
            return Err(not_found("cardId", "card", card_id));
        }
        Ok(vec![Change::CardRemoved { card_id: card_id.to_owned() }])
    }

    pub(super) fn update_card(
        &mut self,
        card_id: &str,
        edit: CardEdit,
        moment: &Moment,
    ) -> Result<Changes, Error> {
        let mut card = self.card(card_id)?.clone();
        patch(&mut card.title, edit.title);
        patch(&mut card.position, edit.position);
        patch(&mut card.scale, edit.scale);
        patch(&mut card.z, edit.z);
        patch(&mut card.transition, edit.transition);
        patch(&mut card.out_ms, edit.out_ms);
        card.slot = edit.slot.or(card.slot);
        card.data = template::merged(card.data, edit.data);
        self.check_card(&card)?;
        if self.cards.get(card_id) == Some(&card) {
            return Ok(Vec::new());
        }
        self.cards.insert_mut(card_id.to_owned(), card.clone());
        let mut changes = vec![Change::CardChanged { card: card.clone() }];
        let slot = card.place();
        let places: Vec<String> = self
            .airings
            .iter()
            .filter(|airing| airing.card_id == card_id && airing.slot != slot)
            .map(|airing| airing.channel.clone())
            .collect();
        for channel in places {
            changes.extend(self.free_slot(&channel, slot, moment));
            for airing in self.airings.iter_mut().filter(|a| a.card_id == card_id && a.channel == channel) {
                airing.slot = slot;
                changes.push(Change::CardMoved { airing: airing.clone() });
            }
        }
        Ok(changes)
    }

    pub(super) fn card(&self, card_id: &str) -> Result<&Card, Error> {
        self.cards.get(card_id).ok_or_else(|| not_found("cardId", "card", card_id))
    }

    pub(super) fn template(&self, id: &str) -> Result<&Template, Error> {
        self.templates.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.templates.0.keys().map(String::as_str).collect();
            let id: String = id.chars().take(80).collect();
            field(
                "template",
                format!("{id:?} is not a template that can be used; there are {}", known.join(", ")),
            )
        })
    }

    /// Whether everything in a card fits its template, the catalogue, and reason.
    fn check_card(&self, card: &Card) -> Result<(), Error> {
        let template = self.template(&card.template)?;
        if let Some(title) = &card.title {
            check_text("title", title, 300)?;
        }
        self.check_products(card, template.products)?;
        template.check(&card.data)?;
        if (card.place() == Slot::Free) != card.position.is_some() {
            return Err(field("position", "it goes with the slot \"free\", and only with it".into()));
        }
        if card.position.is_some_and(|position| position.x.max(position.y) > Ratio::ONE) {
            return Err(field("position", "x and y are shares from 0 to 1".into()));
        }
        if card.scale.is_some_and(|scale| !SCALES.contains(&scale)) {
            return Err(field("scale", "it is not from 0.25 to 3".into()));
        }
        if card.z.is_some_and(|z| !HEIGHTS.contains(&z)) {
            return Err(field("z", "it is not from -100 to 100".into()));
        }
        let moves = card.transition.unwrap_or_default();
        if [moves.in_ms, moves.out_ms].into_iter().flatten().any(|ms| ms > MOST_MOVE_MS) {
            return Err(field("transition", format!("inMs and outMs are at most {MOST_MOVE_MS}")));
        }
        if card.out_ms.is_some_and(|ms| ms > MOST_OUT_MS || (1..500).contains(&ms)) {
            return Err(field("outMs", "it is not 0 or from 500 to a day".into()));
        }
        Ok(())
    }

    fn check_products(&self, card: &Card, wanted: Products) -> Result<(), Error> {
        if let Some(sku) = card.products().find(|sku| !self.products.contains_key(*sku)) {
            return Err(not_found(if card.sku.is_some() { "sku" } else { "skus" }, "product", sku));
        }
        let count = (card.sku.is_some(), card.skus.len());
        let refuse =
            |name, reason: &str| Err(field(name, format!("the template {:?} {reason}", card.template)));
        match wanted {
            Products::One if count != (true, 0) => refuse("sku", "shows one product: say which"),
            Products::None if count.0 => refuse("sku", "shows no product"),
            Products::None if count.1 > 0 => refuse("skus", "shows no product"),
            Products::UpTo(most) if count.0 || count.1 == 0 || count.1 > usize::from(most) => {
                refuse("skus", &format!("shows a list of 1 to {most} products"))
            }
            _ => Ok(()),
        }
    }
}
