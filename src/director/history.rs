//! The last edits of products, cards and rundowns, so that whoever made one can take it back.
//!
//! Taking back is a change like any other: a new revision, by the same rules. Only what the edit changed goes back, and only
//! if nobody has changed just that since: a price that is taken back leaves the stock as it is now.

use std::collections::{BTreeMap, VecDeque};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::state::{Card, CardEdit, Command, Patch, State, Subject};

/// Edits remembered of each: a program that pushes prices must not push out what a producer did.
const MOST: usize = 50;
/// People whose edits are remembered; more than may come in.
const MOST_PEOPLE: usize = 500;

/// Why an edit cannot be taken back.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// There is none by this name.
    #[error("there is no edit of yours to take back")]
    Nothing,
    /// Another has changed the same thing since.
    #[error("{0} was changed since by somebody else")]
    ChangedSince(String),
}

#[derive(Debug, Clone)]
struct Edit {
    subject: Subject,
    /// Nothing where there was nothing.
    before: Option<Value>,
    after: Option<Value>,
}

/// The last edits of each, the newest last.
#[derive(Debug, Default)]
pub(super) struct History {
    edits: BTreeMap<String, VecDeque<Edit>>,
}

impl History {
    /// Takes note of what `command` by `by` did.
    pub(super) fn note(&mut self, by: &str, command: &Command, before: &State, after: &State) {
        let Some(subject) = Subject::of_command(command) else { return };
        let (before, after) = (found(before, &subject), found(after, &subject));
        if before == after {
            return;
        }
        if self.edits.len() >= MOST_PEOPLE && !self.edits.contains_key(by) {
            self.edits.clear(); // names that come and go; whoever edits next is remembered again
        }
        let edits = self.edits.entry(by.to_owned()).or_default();
        edits.push_back(Edit { subject, before, after });
        if edits.len() > MOST {
            edits.pop_front();
        }
    }

    /// The command that takes back the last edit of `by`.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn undo(&self, by: &str, state: &State) -> Result<Command, Error> {
        let edit = self.edits.get(by).and_then(VecDeque::back).ok_or(Error::Nothing)?;
        edit.back(state).ok_or_else(|| Error::ChangedSince(edit.subject.to_string()))
    }

    /// It has been taken back.
    pub(super) fn forget(&mut self, by: &str) {
        if let Some(edits) = self.edits.get_mut(by) {
            edits.pop_back();
        }
    }
}

fn found(state: &State, subject: &Subject) -> Option<Value> {
    let value = match subject {
        Subject::Product(id) => serde_json::to_value(state.products.get(id)?),
        Subject::Card(id) => serde_json::to_value(state.cards.get(id)?),
        Subject::Rundown(id) => serde_json::to_value(state.rundowns.get(id)?),
    };
    value.ok()
}

impl Edit {
    fn back(&self, state: &State) -> Option<Command> {
        let now = found(state, &self.subject);
        match (&self.before, &self.after, now) {
            (Some(Value::Object(before)), Some(Value::Object(after)), Some(Value::Object(now))) => {
                put(&self.subject, Value::Object(merged(before, after, now)?), state)
            }
            (Some(before), None, None) => put(&self.subject, before.clone(), state),
            (None, Some(after), Some(now)) if *after == now => Some(match self.subject.clone() {
                Subject::Product(sku) => Command::DeleteProduct { sku },
                Subject::Card(card_id) => Command::DeleteCard { card_id },
                Subject::Rundown(rundown_id) => Command::RemoveRundown { rundown_id },
            }),
            _ => None,
        }
    }
}

/// What is now, with what changed from `before` to `after` as it was; nothing when that is another by now.
fn merged(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    mut now: Map<String, Value>,
) -> Option<Map<String, Value>> {
    let names: Vec<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        if before.get(name) == after.get(name) {
            continue;
        }
        if now.get(name) != after.get(name) && now.get(name) != before.get(name) {
            return None;
        }
        match before.get(name) {
            Some(value) => now.insert(name.clone(), value.clone()),
            None => now.remove(name),
        };
    }
    Some(now)
}

fn put(subject: &Subject, wanted: Value, state: &State) -> Option<Command> {
    fn read<T: DeserializeOwned>(value: Value) -> Option<T> {
        serde_json::from_value(value).ok()
    }
    Some(match subject {
        Subject::Product(_) => Command::PutProduct(read(wanted)?),
        Subject::Rundown(_) => Command::PutRundown(read(wanted)?),
        Subject::Card(id) => {
            let wanted: Card = read(wanted)?;
            match state.cards.get(id) {
                // A card on air is moved, not replaced.
                Some(now) if state.airings.iter().any(|airing| airing.card_id == *id) => {
                    Command::UpdateCard { card_id: id.clone(), edit: Box::new(difference(now, wanted)) }
                }
                _ => Command::PutCard(wanted),
            }
        }
    })
}

fn difference(now: &Card, wanted: Card) -> CardEdit {
    fn set<T>(value: Option<T>) -> Patch<T> {
        value.map_or(Patch::Clear, Patch::Set)
    }
    let gone = now.data.keys().filter(|name| !wanted.data.contains_key(*name));
    let mut data: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    data.extend(wanted.data);
    CardEdit {
        title: set(wanted.title),
        slot: wanted.slot,
        position: set(wanted.position),
        scale: set(wanted.scale),
        z: set(wanted.z),
        data,
        transition: set(wanted.transition),
        out_ms: set(wanted.out_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Moment, Product};

    fn state(commands: &[Command]) -> State {
        let empty = State {
            channels: vec!["main".into()],
            templates: crate::state::template::samples(),
            ..State::default()
        };
        commands
            .iter()
            .fold(empty, |state, command| state.apply(command.clone(), &Moment::nowhere()).unwrap().0)
    }

    fn cup() -> Command {
        Command::PutProduct(Product {
            sku: "cup".into(),
            title: "Cup".into(),
            image: None,
            price_minor: 2000,
            old_price_minor: None,
            currency: "EUR".into(),
            stock: Some(9),
            link: None,
        })
    }

    fn price(price_minor: i64) -> Command {
        Command::SetPrice {
            sku: "cup".into(),
            price_minor: Some(price_minor),
            old_price_minor: Patch::Keep,
            currency: None,
        }
    }

    fn stock(stock: u32) -> Command {
        Command::SetStock { sku: "cup".into(), stock: Some(stock) }
    }

    /// Does them in turn, each by whom it says.
    fn history(commands: &[(&str, Command)]) -> (History, State) {
        let (mut history, mut now) = (History::default(), state(&[]));
        for (by, command) in commands {
            let next = now.apply(command.clone(), &Moment::nowhere()).unwrap().0;
            history.note(by, command, &now, &next);
            now = next;
        }
        (history, now)
    }

    #[test]
    fn a_price_goes_back_and_the_stock_stays_as_it_is_now() {
        let (history, now) = history(&[("a", cup()), ("a", price(500)), ("b", stock(3))]);
        let back = history.undo("a", &now).unwrap();
        let after = now.apply(back, &Moment::nowhere()).unwrap().0;
        let product = after.products.get("cup").unwrap();
        assert_eq!((product.price_minor, product.stock), (2000, Some(3)));
    }

    #[test]
    fn a_program_that_pushes_many_prices_leaves_others_their_last_edit() {
        let mut commands = vec![("a", cup()), ("a", stock(3))];
        commands.extend((0..300).map(|n| ("shop", price(500 + n))));
        let (history, now) = history(&commands);
        let back = history.undo("a", &now).unwrap();
        let after = now.apply(back, &Moment::nowhere()).unwrap().0;
        let product = after.products.get("cup").unwrap();
        assert_eq!((product.price_minor, product.stock), (799, Some(9)));
    }

    #[test]
    fn what_another_has_changed_since_is_not_taken_back() {
        let (history, now) = history(&[("a", cup()), ("a", price(500)), ("b", price(600))]);
        assert_eq!(history.undo("a", &now), Err(Error::ChangedSince("product \"cup\"".into())));
        assert!(history.undo("b", &now).is_ok());
        assert_eq!(history.undo("c", &now), Err(Error::Nothing));
    }

    #[test]
    fn one_edit_after_another_goes_back_to_where_there_was_nothing() {
        let (mut history, mut now) = history(&[("a", cup()), ("a", price(500)), ("a", stock(1))]);
        for _ in 0..3 {
            let back = history.undo("a", &now).unwrap();
            now = now.apply(back, &Moment::nowhere()).unwrap().0;
            history.forget("a");
        }
        assert!(now.products.get("cup").is_none());
        assert_eq!(history.undo("a", &now), Err(Error::Nothing));
    }

    #[test]
    fn what_was_removed_comes_back_and_a_card_on_air_is_moved_back() {
        let card = Command::PutCard(Card::of_product("a", "cup"));
        let remove = Command::DeleteCard { card_id: "a".into() };
        let (gone, now) = history(&[("a", cup()), ("a", card.clone()), ("a", remove)]);
        assert!(matches!(gone.undo("a", &now), Ok(Command::PutCard(card)) if card.id == "a"));

        let show = Command::ShowCard { card_id: "a".into(), channel: "main".into() };
        let edit = CardEdit { slot: Some(crate::state::Slot::UpperRight), ..CardEdit::default() };
        let edit = Command::UpdateCard { card_id: "a".into(), edit: Box::new(edit) };
        let (moved, now) = history(&[("a", cup()), ("a", card), ("a", show), ("a", edit)]);
        let back = moved.undo("a", &now).unwrap();
        let after = now.apply(back, &Moment::nowhere()).unwrap().0;
        assert_eq!(after.airings[0].slot, crate::state::Slot::LowerLeft);
    }
}
