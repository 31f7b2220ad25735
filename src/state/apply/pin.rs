//! The product that the host explains now: one in a channel. Its card stays on air however long that takes, and goes when
//! another product's turn comes.

use super::{Changes, check_name, conflict, not_found};
use crate::state::{Airing, Card, Change, Ending, Error, Moment, State};

impl State {
    /// Pins a product's card, or with nothing takes out the one that is pinned.
    pub(super) fn pin(
        &mut self,
        sku: Option<&str>,
        card_id: Option<&str>,
        channel: String,
        moment: &Moment,
    ) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        let card_id = sku.map(|sku| self.card_of_product(sku, card_id, &channel)).transpose()?;
        let is_before = |airing: &Airing| {
            airing.is_pinned && airing.channel == channel && Some(&airing.card_id) != card_id.as_ref()
        };
        let mut changes = self.end_where(moment, Ending::Replaced, is_before);
        let Some(card_id) = card_id else { return Ok(changes) };
        let shown = self.show(&card_id, channel.clone(), moment)?;
        let card = self.card(&card_id)?.clone();
        let is_it = |airing: &&Airing| airing.card_id == card_id && airing.channel == channel;
        let ends =
            self.airings.iter().find(is_it).and_then(|airing| self.ends(&card, airing.since_programme, true));
        let it = self.airings.iter_mut().find(|airing| is_it(&&**airing));
        if let Some(airing) = it.filter(|airing| !airing.is_pinned) {
            (airing.is_pinned, airing.ends_programme) = (true, ends);
            let airing = airing.clone();
            let is_new = |change: &Change| matches!(change, Change::CardShown { .. });
            // One that comes now comes pinned.
            changes.extend(shown.into_iter().filter(|change| !is_new(change)));
            changes.push(if airing.id == moment.airing_id {
                Change::CardShown { airing }
            } else {
                Change::CardPinned { airing }
            });
        }
        Ok(changes)
    }

    /// The card to show a product with: the one that is wanted, else one that is on air, else the rundown's, else any. Never one
    /// of several products: it is about none of them.
    fn card_of_product(&self, sku: &str, card_id: Option<&str>, channel: &str) -> Result<String, Error> {
        check_name("sku", sku)?;
        if !self.products.contains_key(sku) {
            return Err(not_found("sku", "product", sku));
        }
        let shows = |card: &&Card| card.sku.as_deref() == Some(sku);
        if let Some(card_id) = card_id {
            let card = Some(self.card(card_id)?).filter(shows);
            let wrong = || conflict("cardId", format!("it does not show {sku} alone"));
            return card.map(|card| card.id.clone()).ok_or_else(wrong);
        }
        let on_air = self.airings.iter().filter(|airing| airing.channel == channel);
        let on_air = on_air.filter_map(|airing| self.cards.get(&airing.card_id)).find(shows);
        let rundown = self.cues.get(channel).and_then(|cue| self.rundowns.get(&cue.rundown_id));
        let lines = || rundown.into_iter().flat_map(|rundown| &rundown.items);
        let mut ready = lines().filter(|item| !item.is_draft).filter_map(|item| item.card_id.as_ref());
        let planned = ready.find_map(|id| self.cards.get(id).filter(shows));
        let is_draft =
            |card: &&Card| lines().any(|item| item.is_draft && item.card_id.as_ref() == Some(&card.id));
        let mut others = self.cards.values().filter(shows).filter(|card| !is_draft(card));
        let card = on_air.or(planned).or_else(|| others.next());
        card.map(|card| card.id.clone())
            .ok_or_else(|| conflict("sku", format!("no card shows {sku}: make one, then it can be pinned")))
    }
}
