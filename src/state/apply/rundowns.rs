//! The rules of rundowns: what may stand in one, and taking its items one after the other.

use std::collections::BTreeSet;

use super::{Changes, check_name, check_text, conflict, field, not_found};
use crate::state::rundown::{Bundle, Cue, Edit, Item, Rundown};
use crate::state::{Change, Ending, Error, Moment, State};

const MOST_RUNDOWNS: usize = 200;
const MOST_ITEMS: usize = 2000;
const MOST_TITLE: usize = 200;
const MOST_NOTES: usize = 2000;
/// More than there can be cards or items.
const MOST_NAMES: u32 = 20_000;

impl State {
    fn rundown(&self, rundown_id: &str) -> Result<&Rundown, Error> {
        self.rundowns.get(rundown_id).ok_or_else(|| not_found("rundownId", "rundown", rundown_id))
    }

    pub(super) fn put_rundown(&mut self, mut rundown: Rundown) -> Result<Changes, Error> {
        check_name("rundownId", &rundown.id)?;
        check_text("title", &rundown.title, MOST_TITLE)?;
        if rundown.items.len() > MOST_ITEMS {
            return Err(field("items", format!("there are more than {MOST_ITEMS}")));
        }
        let mut known = BTreeSet::new();
        for item in &rundown.items {
            self.check_item(item)?;
            if !item.id.is_empty() && !known.insert(&item.id) {
                return Err(field("itemId", format!("there are two items {:?}", item.id)));
            }
        }
        fill_ids(&mut rundown.items);
        let before = self.rundowns.get(&rundown.id);
        if before == Some(&rundown) {
            return Ok(Vec::new());
        }
        if before.is_none() && self.rundowns.size() >= MOST_RUNDOWNS {
            return Err(conflict("rundownId", format!("there are {MOST_RUNDOWNS} rundowns already")));
        }
        let before = before.cloned();
        self.rundowns.insert_mut(rundown.id.clone(), rundown.clone());
        let mut changes = vec![Change::RundownChanged { rundown: rundown.clone() }];
        changes.extend(self.keep_cues(&rundown.id, before.as_ref()));
        Ok(changes)
    }

    pub(super) fn remove_rundown(&mut self, rundown_id: String) -> Result<Changes, Error> {
        if !self.rundowns.remove_mut(&rundown_id) {
            return Err(not_found("rundownId", "rundown", &rundown_id));
        }
        let cues = self.keep_cues(&rundown_id, None);
        Ok([vec![Change::RundownRemoved { rundown_id }], cues].concat())
    }

    pub(super) fn edit_rundown(&mut self, rundown_id: &str, edit: Edit) -> Result<Changes, Error> {
        let mut rundown = self.rundown(rundown_id)?.clone();
        let place = |rundown: &Rundown, name: &'static str, id: &str| {
            rundown.place(id).ok_or_else(|| not_found(name, "item", id))
        };
        let mut changes = Vec::new();
        match edit {
            Edit::PutItem { item, before } => {
                let known = rundown.place(&item.id);
                let place = match &before {
                    Some(before) => Some(place(&rundown, "before", before)?),
                    None => known,
                };
                match (known, place) {
                    (Some(known), Some(place)) if known == place => rundown.items[known] = item,
                    (known, place) => {
                        rundown.items.insert(place.unwrap_or(rundown.items.len()), item);
                        if let Some(known) = known {
                            let is_behind = place.is_some_and(|place| place <= known);
                            rundown.items.remove(known + usize::from(is_behind));
                        }
                    }
                }
            }
            Edit::MoveItem { item_id, before } => {
                let item = rundown.items.remove(place(&rundown, "itemId", &item_id)?);
                let to = match before {
                    Some(before) if before == item_id => return Ok(Vec::new()),
                    Some(before) => place(&rundown, "before", &before)?,
                    None => rundown.items.len(),
                };
                rundown.items.insert(to, item);
            }
            Edit::RemoveItem { item_id } => {
                rundown.items.remove(place(&rundown, "itemId", &item_id)?);
            }
            Edit::DuplicateItem { item_id } => {
                let at = place(&rundown, "itemId", &item_id)?;
                let mut copy = Item { id: String::new(), ..rundown.items[at].clone() };
                if let Some(card_id) = &copy.card_id {
                    let mut card = self.card(card_id)?.clone();
                    card.id = next_name(card_id, |id| self.cards.contains_key(id));
                    copy.card_id = Some(card.id.clone());
                    changes = self.put_card(card)?;
                }
                rundown.items.insert(at + 1, copy);
            }
            Edit::Describe { title, is_archived } => {
                rundown.title = title.unwrap_or(rundown.title);
                rundown.is_archived = is_archived.unwrap_or(rundown.is_archived);
            }
        }
        changes.extend(self.put_rundown(rundown)?);
        Ok(changes)
    }

    /// All of it or nothing: the whole state is thrown away when a part is refused.
    pub(super) fn import_rundown(&mut self, bundle: Bundle) -> Result<Changes, Error> {
        let mut changes = Vec::new();
        for product in bundle.products {
            changes.extend(self.put_product(product)?);
        }
        for card in bundle.cards {
            changes.extend(self.put_card(card)?);
        }
        changes.extend(self.put_rundown(bundle.rundown)?);
        Ok(changes)
    }

    fn check_item(&self, item: &Item) -> Result<(), Error> {
        if !item.id.is_empty() {
            check_name("itemId", &item.id)?;
        }
        match (&item.card_id, &item.title) {
            (Some(card_id), None) => _ = self.card(card_id)?,
            (None, Some(title)) => check_text("title", title, MOST_TITLE)?,
            _ => return Err(field("cardId", "an item is a card, or a heading with a title".into())),
        }
        let is_control = |c: char| c.is_control() && c != '\n';
        if item.notes.chars().count() > MOST_NOTES || item.notes.contains(is_control) {
            return Err(field(
                "notes",
                format!("at most {MOST_NOTES} characters, without control characters"),
            ));
        }
        Ok(())
    }

    /// Channels that stand in a rundown which is another now: at the same item, at the one that came after it, or at what
    /// was added to its end.
    fn keep_cues(&mut self, rundown_id: &str, before: Option<&Rundown>) -> Changes {
        let after = self.rundowns.get(rundown_id).filter(|rundown| !rundown.is_archived);
        let mut changes = Vec::new();
        for (channel, cue) in self.cues.iter().filter(|(_, cue)| cue.rundown_id == rundown_id) {
            let next = after.map(|after| {
                let items = before.map_or(&[][..], |before| &before.items);
                let at = items.iter().position(|item| Some(&item.id) == cue.item_id.as_ref());
                let there = match at {
                    Some(at) => items[at..].iter().find_map(|item| after.place(&item.id)),
                    // It was at its end: what is new there comes next.
                    None => after.items.iter().position(|item| items.iter().all(|known| known.id != item.id)),
                };
                let item = there.and_then(|place| after.ready_from(place)).map(|item| item.id.clone());
                Cue { item_id: item, ..cue.clone() }
            });
            if next.as_ref() != Some(cue) {
                changes.push((channel.clone(), next));
            }
        }
        changes.into_iter().flat_map(|(channel, cue)| self.set_cue(channel, cue)).collect()
    }

    fn set_cue(&mut self, channel: String, cue: Option<Cue>) -> Changes {
        if self.cues.get(&channel) == cue.as_ref() {
            return Vec::new();
        }
        match &cue {
            Some(cue) => self.cues.insert(channel.clone(), cue.clone()),
            None => self.cues.remove(&channel),
        };
        vec![Change::CueChanged { channel, cue }]
    }

    /// Begins with the first item that can be taken.
    pub(super) fn choose_rundown(
        &mut self,
        channel: String,
        rundown_id: Option<String>,
    ) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        let cue = match rundown_id {
            None => None,
            Some(rundown_id) => {
                let rundown = self.rundown(&rundown_id)?;
                if rundown.is_archived {
                    return Err(conflict("rundownId", "its show is over".into()));
                }
                let item_id = rundown.ready_from(0).map(|item| item.id.clone());
                Some(Cue { rundown_id, item_id })
            }
        };
        Ok(self.set_cue(channel, cue))
    }

    fn cue(&self, channel: &str) -> Result<(Cue, &Rundown), Error> {
        self.check_channel(channel)?;
        let cue = self.cues.get(channel).cloned();
        let cue = cue.ok_or_else(|| conflict("channel", "it stands in no rundown: choose one".into()))?;
        let rundown = self.rundown(&cue.rundown_id)?;
        Ok((cue, rundown))
    }

    pub(super) fn cue_item(&mut self, channel: String, item_id: Option<String>) -> Result<Changes, Error> {
        let (cue, rundown) = self.cue(&channel)?;
        if let Some(item_id) = &item_id {
            let place = rundown.place(item_id).ok_or_else(|| not_found("itemId", "item", item_id))?;
            if rundown.ready_from(place).is_none_or(|ready| ready.id != *item_id) {
                return Err(conflict("itemId", "it is a heading or a draft, and cannot be taken".into()));
            }
        }
        Ok(self.set_cue(channel, Some(Cue { item_id, ..cue })))
    }

    /// Puts what is cued on air, and cues what comes after it.
    pub(super) fn take_cued(&mut self, channel: &str, moment: &Moment) -> Result<Changes, Error> {
        let (cue, rundown) = self.cue(channel)?;
        let place = cue.item_id.as_ref().and_then(|id| rundown.place(id));
        let Some(place) = place else {
            return Err(conflict("itemId", "nothing is cued: the rundown is at its end".into()));
        };
        let card_id = rundown.items[place].card_id.clone().unwrap_or_default();
        let item_id = rundown.ready_from(place + 1).map(|item| item.id.clone());
        let mut changes = self.show(&card_id, channel.to_owned(), moment)?;
        changes.extend(self.set_cue(channel.to_owned(), Some(Cue { item_id, ..cue })));
        Ok(changes)
    }

    /// Puts a card on air, and everything else in the channel goes out.
    pub(super) fn swap_card(
        &mut self,
        card_id: &str,
        channel: String,
        moment: &Moment,
    ) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        let is_other = |airing: &crate::state::Airing| airing.channel == channel && airing.card_id != card_id;
        let mut changes = self.end_where(moment, Ending::Replaced, is_other);
        changes.extend(self.show(card_id, channel, moment)?);
        Ok(changes)
    }

    /// On air, then its next step, then out: what one key does.
    pub(super) fn advance_card(
        &mut self,
        card_id: &str,
        channel: String,
        moment: &Moment,
    ) -> Result<Changes, Error> {
        self.check_channel(&channel)?;
        let steps = self.template(&self.card(card_id)?.template)?.steps;
        match self.on_air(card_id, &channel).map(|airing| airing.step) {
            None => self.show(card_id, channel, moment),
            Some(step) if step < steps => self.next_step(card_id, &channel),
            Some(_) => self.hide(card_id, &channel, moment),
        }
    }

    /// Everything goes out as it is meant to, with its animation.
    pub(super) fn hide_all(&mut self, channel: &str, moment: &Moment) -> Result<Changes, Error> {
        self.check_channel(channel)?;
        Ok(self.end_where(moment, Ending::Hidden, |airing| airing.channel == channel))
    }

    /// The rundown that has a card, if one that is not over has.
    pub(super) fn rundown_of(&self, card_id: &str) -> Option<&Rundown> {
        let has = |rundown: &&Rundown| {
            !rundown.is_archived && rundown.items.iter().any(|item| item.card_id.as_deref() == Some(card_id))
        };
        self.rundowns.values().find(has)
    }
}

/// Items without an id get one that no other has, made from their card's.
fn fill_ids(items: &mut [Item]) {
    for place in 0..items.len() {
        if items[place].id.is_empty() {
            let wanted = items[place].card_id.as_deref().unwrap_or("section");
            items[place].id = next_name(wanted, |id| items.iter().any(|item| item.id == id));
        }
    }
}

/// `name`, or the first of `name-2`, `name-3`… that is not taken.
fn next_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let stem: String = name.chars().take(56).collect(); // room for the number
    (2..=MOST_NAMES).map(|n| format!("{stem}-{n}")).find(|id| !is_taken(id)).unwrap_or_default()
}
