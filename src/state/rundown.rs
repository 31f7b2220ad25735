//! Rundowns: a show's cards in their order, and where a channel stands in one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Card, Product};

/// A show's cards, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rundown {
    /// Chosen by people; unique.
    #[serde(rename = "rundownId")]
    pub id: String,
    /// For people.
    pub title: String,
    /// The show is over: kept, and out of the way.
    #[serde(default)]
    pub is_archived: bool,
    /// In order.
    #[serde(default)]
    pub items: Vec<Item>,
}

impl Rundown {
    /// The place of an item.
    pub fn place(&self, item_id: &str) -> Option<usize> {
        self.items.iter().position(|item| item.id == item_id)
    }

    /// The first item from `place` on that can go on air.
    pub fn ready_from(&self, place: usize) -> Option<&Item> {
        self.items.get(place..)?.iter().find(|item| item.card_id.is_some() && !item.is_draft)
    }
}

/// A card in a rundown, or the heading of a section.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Item {
    /// Unique in its rundown; made from the card's when it is empty.
    #[serde(default, rename = "itemId")]
    pub id: String,
    /// The card; nothing for a heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// A heading's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For the host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Not ready: it cannot be taken, and is passed over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_draft: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
fn is_false(value: &bool) -> bool {
    !value
}

/// Where a channel stands: in which rundown, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cue {
    /// Which.
    pub rundown_id: String,
    /// The item that is taken next; nothing at the end.
    pub item_id: Option<String>,
}

/// A change of a rundown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Adds or replaces an item. Before another one, else where it is, else at the end.
    PutItem {
        /// It.
        item: Item,
        /// Before this one.
        before: Option<String>,
    },
    /// Moves an item before another one, or to the end.
    MoveItem {
        /// Which.
        item_id: String,
        /// Before this one.
        before: Option<String>,
    },
    /// Takes an item out; its card stays.
    RemoveItem {
        /// Which.
        item_id: String,
    },
    /// Puts a copy of an item behind it, with a copy of its card.
    DuplicateItem {
        /// Which.
        item_id: String,
    },
    /// Other words for it, or whether its show is over.
    Describe {
        /// For people.
        title: Option<String>,
        /// The show is over.
        is_archived: Option<bool>,
    },
}

/// A rundown with all that it needs: what is exported is imported elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// It.
    pub rundown: Rundown,
    /// Its cards.
    #[serde(default)]
    pub cards: Vec<Card>,
    /// Their products.
    #[serde(default)]
    pub products: Vec<Product>,
}
