//! The rules: which command is legal when, and what it changes. Pure.

use super::{Airing, Card, Change, Command, Error, Moment, Patch, Product, Slot, State, money};
use crate::time::MediaTime;

/// The largest amount: 10^12 minor units, which every currency's real prices stay under.
const MOST_MINOR: i64 = 1_000_000_000_000;
const MOST_PRODUCTS: usize = 10_000;
const MOST_CARDS: usize = 10_000;

pub(super) type Changes = Vec<Change>;

impl State {
    /// The state after `command`, and what changed; an empty list means that it was so already, and then
    /// the revision stays.
    ///
    /// # Errors
    /// [`Error`], and then nothing has changed.
    pub fn apply(&self, command: Command, moment: &Moment) -> Result<(Self, Changes), Error> {
        let mut next = self.clone();
        let changes = match command {
            Command::PutProduct(product) => next.put_product(product),
            Command::DeleteProduct { sku } => next.delete_product(&sku),
            Command::SetImage { sku, image } => next.edit_product(&sku, |product| product.image = image),
            Command::SetPrice { sku, price_minor, old_price_minor, currency } => {
                next.edit_product(&sku, |product| {
                    product.price_minor = price_minor.unwrap_or(product.price_minor);
                    patch(&mut product.old_price_minor, old_price_minor);
                    product.currency = currency.unwrap_or_else(|| product.currency.clone());
                })
            }
            Command::SetStock { sku, stock } => next.edit_product(&sku, |product| product.stock = stock),
            Command::PutCard(card) => next.put_card(card),
            Command::DeleteCard { card_id } => next.delete_card(&card_id),
            Command::UpdateCard { card_id, title, slot } => next.update_card(&card_id, title, slot, moment),
            Command::HideCard { card_id, channel } => next.hide(&card_id, &channel, moment),
            Command::ToggleCard { card_id, channel } if self.on_air(&card_id, &channel).is_some() => {
                next.hide(&card_id, &channel, moment)
            }
            Command::ShowCard { card_id, channel } | Command::ToggleCard { card_id, channel } => {
                next.show(&card_id, channel, moment)
            }
            Command::ClearAll { channel } => next.clear(channel, moment),
            Command::PutStreamKey(key) => next.put_stream_key(key),
            Command::RotateStreamKey { key_id, digest } => {
                next.rotate_stream_key(&key_id, digest, moment.wall)
            }
            Command::RevokeStreamKey { key_id } => next.revoke_stream_key(key_id),
            Command::SetSource { channel, source } => next.set_source(channel, source),
        }?;
        if !changes.is_empty() {
            next.rev += 1;
            if changes.iter().any(|change| matches!(change, Change::AllCleared { .. })) {
                next.cleared_rev = next.rev;
            }
        }
        Ok((next, changes))
    }

    /// The airing of a card in a channel, if it is on air there.
    pub fn on_air(&self, card_id: &str, channel: &str) -> Option<&Airing> {
        self.airings.iter().find(|airing| airing.card_id == card_id && airing.channel == channel)
    }

    fn put_product(&mut self, product: Product) -> Result<Changes, Error> {
        check_product(&product)?;
        if self.products.get(&product.sku) == Some(&product) {
            return Ok(Vec::new());
        }
        if self.products.len() >= MOST_PRODUCTS && !self.products.contains_key(&product.sku) {
            return Err(conflict("sku", format!("the catalogue holds {MOST_PRODUCTS} products and is full")));
        }
        self.products.insert(product.sku.clone(), product.clone());
        Ok(vec![Change::ProductChanged { product }])
    }

    fn edit_product(&mut self, sku: &str, edit: impl FnOnce(&mut Product)) -> Result<Changes, Error> {
        let mut product = self.products.get(sku).cloned().ok_or_else(|| not_found("sku", "product", sku))?;
        edit(&mut product);
        self.put_product(product)
    }

    fn delete_product(&mut self, sku: &str) -> Result<Changes, Error> {
        if let Some(card) = self.cards.values().find(|card| card.sku == sku) {
            return Err(conflict(
                "sku",
                format!("the card {:?} shows this product; delete it first", card.id),
            ));
        }
        self.products.remove(sku).ok_or_else(|| not_found("sku", "product", sku))?;
        Ok(vec![Change::ProductRemoved { sku: sku.to_owned() }])
    }

    fn put_card(&mut self, card: Card) -> Result<Changes, Error> {
        check_name("cardId", &card.id)?;
        if card.template != "product" {
            return Err(field(
                "template",
                format!("{:?} is not a template; there is \"product\"", card.template),
            ));
        }
        if let Some(title) = &card.title {
            check_text("title", title, 300)?;
        }
        if !self.products.contains_key(&card.sku) {
            return Err(not_found("sku", "product", &card.sku));
        }
        if self.cards.get(&card.id) == Some(&card) {
            return Ok(Vec::new());
        }
        if self.cards.len() >= MOST_CARDS && !self.cards.contains_key(&card.id) {
            return Err(conflict("cardId", format!("there are {MOST_CARDS} cards already")));
        }
        let was_on_air = self.airings.iter().any(|airing| airing.card_id == card.id);
        let moved =
            self.cards.get(&card.id).is_some_and(|before| before.slot != card.slot || before.sku != card.sku);
        if was_on_air && moved {
            return Err(conflict(
                "cardId",
                "it is on air: use UpdateCard to move it, or hide it first".into(),
            ));
        }
        self.cards.insert(card.id.clone(), card.clone());
        Ok(vec![Change::CardChanged { card }])
    }

    fn delete_card(&mut self, card_id: &str) -> Result<Changes, Error> {
        if self.airings.iter().any(|airing| airing.card_id == card_id) {
            return Err(conflict("cardId", "it is on air: hide it first".into()));
        }
        self.cards.remove(card_id).ok_or_else(|| not_found("cardId", "card", card_id))?;
        Ok(vec![Change::CardRemoved { card_id: card_id.to_owned() }])
    }

    fn update_card(
        &mut self,
        card_id: &str,
        title: Patch<String>,
        slot: Option<Slot>,
        moment: &Moment,
    ) -> Result<Changes, Error> {
        let mut card = self.card(card_id)?.clone();
        patch(&mut card.title, title);
        if let Some(title) = &card.title {
            check_text("title", title, 300)?;
        }
        card.slot = slot.unwrap_or(card.slot);
        let before = self.cards.insert(card_id.to_owned(), card.clone());
        if before.as_ref() == Some(&card) {
            return Ok(Vec::new());
        }
        let mut changes = vec![Change::CardChanged { card: card.clone() }];
        let places: Vec<String> = self
            .airings
            .iter()
            .filter(|airing| airing.card_id == card_id && airing.slot != card.slot)
            .map(|airing| airing.channel.clone())
            .collect();
        for channel in places {
            changes.extend(self.free_slot(&channel, card.slot, moment));
            for airing in self.airings.iter_mut().filter(|a| a.card_id == card_id && a.channel == channel) {
                airing.slot = card.slot;
                changes.push(Change::CardMoved { airing: airing.clone() });
            }
        }
        Ok(changes)
    }

    fn card(&self, card_id: &str) -> Result<&Card, Error> {
        self.cards.get(card_id).ok_or_else(|| not_found("cardId", "card", card_id))
    }

    fn check_channel(&self, channel: &str) -> Result<(), Error> {
        if self.channels.iter().any(|known| known == channel) {
            return Ok(());
        }
        Err(not_found("channel", "channel", channel))
    }

    fn show(&mut self, card_id: &str, channel: String, moment: &Moment) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        let card = self.card(card_id)?.clone();
        if self.on_air(card_id, &channel).is_some() {
            return Ok(Vec::new());
        }
        let mut changes = self.free_slot(&channel, card.slot, moment);
        let airing = Airing {
            id: moment.airing_id.clone(),
            card_id: card.id,
            sku: card.sku,
            since: moment.wall,
            since_programme: moment.programme.get(&channel).copied().unwrap_or(MediaTime::ZERO),
            channel,
            slot: card.slot,
            code: moment.code.clone(),
        };
        self.airings.push(airing.clone());
        changes.push(Change::CardShown { airing });
        Ok(changes)
    }

    /// Ends what rests in a slot, so that the next can: replace, never overlap.
    fn free_slot(&mut self, channel: &str, slot: Slot, moment: &Moment) -> Changes {
        self.end_where(moment, |airing| airing.channel == channel && airing.slot == slot)
    }

    fn hide(&mut self, card_id: &str, channel: &str, moment: &Moment) -> Result<Changes, Error> {
        self.check_channel(channel)?;
        self.card(card_id)?;
        Ok(self.end_where(moment, |airing| airing.card_id == card_id && airing.channel == channel))
    }

    fn clear(&mut self, channel: Option<String>, moment: &Moment) -> Result<Changes, Error> {
        if let Some(channel) = &channel {
            self.check_channel(channel)?;
        }
        let mut changes = self
            .end_where(moment, |airing| channel.as_ref().is_none_or(|channel| *channel == airing.channel));
        changes.push(Change::AllCleared { channel });
        Ok(changes)
    }

    fn end_where(&mut self, moment: &Moment, ends: impl Fn(&Airing) -> bool) -> Changes {
        let (ended, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.airings).into_iter().partition(|a| ends(a));
        self.airings = kept;
        ended.into_iter().map(|airing| Change::CardHidden { airing, until: moment.wall }).collect()
    }
}

fn patch<T>(target: &mut Option<T>, patch: Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *target = None,
        Patch::Set(value) => *target = Some(value),
    }
}

fn check_product(product: &Product) -> Result<(), Error> {
    check_name("sku", &product.sku)?;
    check_text("title", &product.title, 300)?;
    if money::currency(&product.currency).is_none() {
        return Err(field(
            "currency",
            format!("{:?} is not an ISO 4217 code such as \"CNY\"", product.currency),
        ));
    }
    if !(0..=MOST_MINOR).contains(&product.price_minor) {
        return Err(field(
            "priceMinor",
            format!("{} is not between 0 and {MOST_MINOR}", product.price_minor),
        ));
    }
    if let Some(old) = product.old_price_minor
        && !(product.price_minor..=MOST_MINOR).contains(&old)
    {
        let reason = format!(
            "{old} is below the price {}: a struck-through price is the higher one",
            product.price_minor
        );
        return Err(field("oldPriceMinor", reason));
    }
    match &product.link {
        Some(link) if link.len() > 2000 => Err(field("link", "longer than 2000 characters".into())),
        // Only the web: a javascript: link behind a QR would be ours to answer for.
        Some(link) if !(link.starts_with("https://") || link.starts_with("http://")) => {
            Err(field("link", format!("{link:?} does not start with https:// or http://")))
        }
        Some(link) if link.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err(field("link", "it holds spaces or control characters".into()))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_name(name: &'static str, value: &str) -> Result<(), Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if value.is_empty() || value.len() > 64 || !value.chars().all(is_plain) {
        return Err(field(name, format!("{value:?} is not 1 to 64 of letters, digits and - _ .")));
    }
    Ok(())
}

pub(super) fn check_text(name: &'static str, value: &str, most: usize) -> Result<(), Error> {
    if value.trim().is_empty() {
        return Err(field(name, "it is empty".into()));
    }
    if value.chars().count() > most {
        return Err(field(name, format!("longer than {most} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(field(name, "it holds control characters".into()));
    }
    Ok(())
}

pub(super) fn field(field: &'static str, reason: String) -> Error {
    Error::Field { field, reason }
}

pub(super) fn conflict(field: &'static str, reason: String) -> Error {
    Error::Conflict { field, reason }
}

pub(super) fn not_found(field: &'static str, kind: &'static str, id: &str) -> Error {
    Error::NotFound { field, kind, id: id.chars().take(80).collect() }
}

#[cfg(test)]
mod tests;
