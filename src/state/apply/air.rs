//! The rules of going on air: one airing a slot, replaced and never overlapped.

use super::{Changes, conflict, field, not_found};
use crate::state::{Airing, Card, Change, Ending, Error, Moment, Slot, State};
use crate::time::MediaTime;

impl State {
    pub(super) fn check_channel(&self, channel: &str) -> Result<(), Error> {
        if self.channels.iter().any(|known| known == channel) {
            return Ok(());
        }
        Err(not_found("channel", "channel", channel))
    }

    pub(super) fn show(&mut self, card_id: &str, channel: String, moment: &Moment) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        let card = self.card(card_id)?.clone();
        if self.on_air(card_id, &channel).is_some() {
            return Ok(Vec::new());
        }
        // The template may have changed since the card was made.
        self.template(&card.template)?
            .check(&card.data)
            .map_err(|error| field("cardId", format!("the card no longer fits its template: {error}")))?;
        let mut changes = self.free_slot(&channel, card.place(), moment);
        let since_programme = moment.programme.get(&channel).copied().unwrap_or(MediaTime::ZERO);
        let airing = Airing {
            id: moment.airing_id.clone(),
            ends_programme: self.ends(&card, since_programme, false),
            slot: card.place(),
            card_id: card.id,
            sku: card.sku,
            since: moment.wall,
            since_programme,
            is_pinned: false,
            is_practice: self.practice.contains(&channel),
            channel,
            code: moment.code.clone(),
            step: 1,
        };
        self.airings.push(airing.clone());
        changes.push(Change::CardShown { airing });
        Ok(changes)
    }

    /// When an airing that starts at `since` goes out by itself. Its own time is nothing to one that is pinned.
    pub(super) fn ends(&self, card: &Card, since: MediaTime, is_pinned: bool) -> Option<MediaTime> {
        let own = card.out_ms.or(self.templates.get(&card.template).and_then(|template| template.out_ms));
        let own = own.filter(|ms| *ms > 0 && !is_pinned);
        // What shows no price can wrong nobody by staying.
        let longest = self.longest_airing_ms.filter(|_| card.products().next().is_some());
        let ms = own.into_iter().chain(longest).min()?;
        Some(since.offset((ms * 1_000_000) as i64))
    }

    pub(super) fn next_step(&mut self, card_id: &str, channel: &str) -> Result<Changes, Error> {
        self.check_channel(channel)?;
        let steps = self.template(&self.card(card_id)?.template)?.steps;
        let is_it = |airing: &&mut Airing| airing.card_id == card_id && airing.channel == channel;
        let Some(airing) = self.airings.iter_mut().find(is_it) else {
            return Err(conflict("cardId", "it is not on air".into()));
        };
        if airing.step >= steps {
            return Err(conflict("cardId", format!("it shows its last step, {} of {steps}", airing.step)));
        }
        airing.step += 1;
        Ok(vec![Change::CardStepped { airing: airing.clone() }])
    }

    /// Ends what rests in a slot, so that the next can: replace, never overlap. A free place is never taken.
    pub(super) fn free_slot(&mut self, channel: &str, slot: Slot, moment: &Moment) -> Changes {
        let takes = |airing: &Airing| airing.channel == channel && airing.slot == slot && slot != Slot::Free;
        self.end_where(moment, Ending::Replaced, takes)
    }

    pub(super) fn hide(&mut self, card_id: &str, channel: &str, moment: &Moment) -> Result<Changes, Error> {
        self.check_channel(channel)?;
        self.card(card_id)?;
        let is_it = |airing: &Airing| airing.card_id == card_id && airing.channel == channel;
        Ok(self.end_where(moment, Ending::Hidden, is_it))
    }

    /// Ids that are not on air any more are nothing to do: somebody was quicker.
    pub(super) fn end_due(&mut self, airing_ids: &[String], moment: &Moment) -> Changes {
        self.end_where(moment, Ending::TimedOut, |airing| airing_ids.contains(&airing.id))
    }

    pub(super) fn clear(&mut self, channel: Option<String>, moment: &Moment) -> Result<Changes, Error> {
        if let Some(channel) = &channel {
            self.check_channel(channel)?;
        }
        let mut changes = self.end_where(moment, Ending::Cleared, |airing| {
            channel.as_ref().is_none_or(|channel| *channel == airing.channel)
        });
        changes.push(Change::AllCleared { channel });
        Ok(changes)
    }

    /// Not while something is on air: a picture must not lose its cards by a key that means something else.
    pub(super) fn set_practice(
        &mut self,
        channel: String,
        is_on: bool,
        moment: &Moment,
    ) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        if self.practice.contains(&channel) == is_on {
            return Ok(Vec::new());
        }
        if is_on && self.airings.iter().any(|airing| airing.channel == channel) {
            return Err(conflict("channel", "cards are on air: take them out before you practise".into()));
        }
        let mut changes = self.end_where(moment, Ending::Cleared, |airing| airing.channel == channel);
        if is_on {
            self.practice.insert(channel.clone());
        } else {
            self.practice.remove(&channel);
        }
        changes.push(Change::PracticeChanged { channel, is_on });
        Ok(changes)
    }

    pub(super) fn end_where(
        &mut self,
        moment: &Moment,
        ending: Ending,
        ends: impl Fn(&Airing) -> bool,
    ) -> Changes {
        let (ended, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.airings).into_iter().partition(|a| ends(a));
        self.airings = kept;
        ended.into_iter().map(|airing| Change::CardHidden { airing, until: moment.wall, ending }).collect()
    }
}
