//! The rules: which command is legal when, and what it changes. Pure.

mod air;
mod cards;
mod pin;
mod products;
mod rundowns;

use super::{Airing, Change, Command, Error, Moment, Patch, State};

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
            Command::ImportProducts { products, cards } => next.import_products(products, cards),
            Command::DeleteProduct { sku } => next.delete_product(&sku),
            Command::SetImage { sku, image } => next.edit_product(&sku, |product| product.image = image),
            Command::SetPrice { sku, price_minor, old_price_minor, currency } => {
                next.edit_product(&sku, |product| product.set_price(price_minor, old_price_minor, currency))
            }
            Command::SetStock { sku, stock } => next.edit_product(&sku, |product| product.stock = stock),
            Command::PutCard(card) => next.put_card(card),
            Command::DeleteCard { card_id } => next.delete_card(&card_id),
            Command::UpdateCard { card_id, edit } => next.update_card(&card_id, *edit, moment),
            Command::HideCard { card_id, channel } => next.hide(&card_id, &channel, moment),
            Command::ToggleCard { card_id, channel } if self.on_air(&card_id, &channel).is_some() => {
                next.hide(&card_id, &channel, moment)
            }
            Command::ShowCard { card_id, channel } | Command::ToggleCard { card_id, channel } => {
                next.show(&card_id, channel, moment)
            }
            Command::NextStep { card_id, channel } => next.next_step(&card_id, &channel),
            Command::SwapCard { card_id, channel } => next.swap_card(&card_id, channel, moment),
            Command::PinProduct { sku, card_id, channel } => {
                next.pin(sku.as_deref(), card_id.as_deref(), channel, moment)
            }
            Command::AdvanceCard { card_id, channel } => next.advance_card(&card_id, channel, moment),
            Command::HideAll { channel } => next.hide_all(&channel, moment),
            Command::EndDue { airing_ids } => Ok(next.end_due(&airing_ids, moment)),
            Command::ClearAll { channel } => next.clear(channel, moment),
            Command::SetPractice { channel, is_on } => next.set_practice(channel, is_on, moment),
            Command::PutStreamKey(key) => next.put_stream_key(key),
            Command::RotateStreamKey { key_id, digest } => {
                next.rotate_stream_key(&key_id, digest, moment.wall)
            }
            Command::RevokeStreamKey { key_id } => next.revoke_stream_key(key_id),
            Command::SetSource { channel, source } => next.set_source(channel, source),
            Command::PutRundown(rundown) => next.put_rundown(rundown),
            Command::RemoveRundown { rundown_id } => next.remove_rundown(rundown_id),
            Command::EditRundown { rundown_id, edit } => next.edit_rundown(&rundown_id, edit),
            Command::ImportRundown(bundle) => next.import_rundown(*bundle),
            Command::ChooseRundown { channel, rundown_id } => next.choose_rundown(channel, rundown_id),
            Command::CueItem { channel, item_id } => next.cue_item(channel, item_id),
            Command::Take { channel } => next.take_cued(&channel, moment),
        }?;
        if !changes.is_empty() {
            next.rev += 1;
            for change in &changes {
                if moment.is_cut || matches!(change, Change::AllCleared { .. }) {
                    next.mark_cut(change.channel());
                }
            }
        }
        Ok((next, changes))
    }

    fn mark_cut(&mut self, channel: Option<&str>) {
        for known in self.channels.iter().filter(|known| channel.is_none_or(|channel| channel == *known)) {
            self.cuts.insert(known.clone(), self.rev);
        }
    }

    /// The revision of the last command whose changes show at once in a channel.
    pub fn cut_rev(&self, channel: &str) -> u64 {
        self.cuts.get(channel).copied().unwrap_or_default()
    }

    /// What viewers of a channel see.
    pub fn in_picture(&self, channel: &str) -> impl Iterator<Item = &Airing> {
        self.airings.iter().filter(move |airing| airing.channel == channel && !airing.is_practice)
    }

    /// The airing of a card in a channel, if it is on air there.
    pub fn on_air(&self, card_id: &str, channel: &str) -> Option<&Airing> {
        self.airings.iter().find(|airing| airing.card_id == card_id && airing.channel == channel)
    }
}

fn patch<T>(target: &mut Option<T>, patch: Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *target = None,
        Patch::Set(value) => *target = Some(value),
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
    Error::Field { field: field.into(), reason }
}

pub(super) fn conflict(field: &'static str, reason: String) -> Error {
    Error::Conflict { field, reason }
}

pub(super) fn not_found(field: &'static str, kind: &'static str, id: &str) -> Error {
    Error::NotFound { field, kind, id: id.chars().take(80).collect() }
}

#[cfg(test)]
mod rundown_tests;
#[cfg(test)]
mod tests;
