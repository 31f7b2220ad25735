//! What is for sale, which cards are prepared, and what is on air: the truth that cards, pages and
//! programs are drawn from.
//!
//! [`State::apply`] is a pure function of the state, a command and the moment: it either returns the next
//! state with the list of changes, or an error that names the field, and then nothing has changed. Only
//! `director` calls it. It knows no clock, no database and no socket.

mod apply;
pub mod money;
mod publishing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::{MediaTime, WallTime};
pub use money::Money;
pub use publishing::{Source, StreamKey};

/// Why a command was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field has a value that cannot be used.
    #[error("{field}: {reason}")]
    Field {
        /// The field's name on the wire.
        field: &'static str,
        /// What would be right.
        reason: String,
    },
    /// What the command names is not there.
    #[error("{field}: there is no {kind} {id:?}")]
    NotFound {
        /// The field that names it.
        field: &'static str,
        /// `card`, `product`, `channel`.
        kind: &'static str,
        /// The name given.
        id: String,
    },
    /// The command does not fit the present state.
    #[error("{field}: {reason}")]
    Conflict {
        /// The field at fault.
        field: &'static str,
        /// What stands in the way.
        reason: String,
    },
}

impl Error {
    /// The wire name of the field at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Field { field, .. } | Self::NotFound { field, .. } | Self::Conflict { field, .. } => field,
        }
    }
}

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// The seller's own number for it; unique.
    pub sku: String,
    /// What it is called.
    pub title: String,
    /// The picture's id in the store, or nothing.
    #[serde(default)]
    pub image: Option<String>,
    /// Price in minor units of `currency`.
    pub price_minor: i64,
    /// The price before, shown struck through, in minor units of `currency`.
    #[serde(default)]
    pub old_price_minor: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// How many are left; nothing means that it is not counted.
    #[serde(default)]
    pub stock: Option<u32>,
    /// Where it is bought: where the QR leads.
    #[serde(default)]
    pub link: Option<String>,
}

/// Where on the canvas a card rests; one airing a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// Bottom left.
    #[default]
    LowerLeft,
    /// Bottom right.
    LowerRight,
    /// Top left.
    UpperLeft,
    /// Top right.
    UpperRight,
}

/// A prepared item that can go on air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Card {
    /// Chosen by people; unique.
    pub id: String,
    /// Which design: `product`.
    #[serde(default = "default_template")]
    pub template: String,
    /// The product that it shows.
    pub sku: String,
    /// Where it rests.
    #[serde(default)]
    pub slot: Slot,
    /// A title for this card instead of the product's.
    #[serde(default)]
    pub title: Option<String>,
}

fn default_template() -> String {
    "product".into()
}

/// One time of a card on air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Airing {
    /// Unique for ever.
    pub id: String,
    /// The card.
    pub card_id: String,
    /// The product at the start.
    pub sku: String,
    /// Where it is shown.
    pub channel: String,
    /// The slot it rests in.
    pub slot: Slot,
    /// For `/go/{code}`.
    pub code: String,
    /// Civil time of the command.
    pub since: WallTime,
    /// Programme time of the command, in nanoseconds.
    pub since_programme: MediaTime,
}

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Grows by one with every command that changes something.
    pub rev: u64,
    /// The revision of the last [`Command::ClearAll`]: cards that went before it leave without animation.
    pub cleared_rev: u64,
    /// By sku.
    pub products: BTreeMap<String, Product>,
    /// By id.
    pub cards: BTreeMap<String, Card>,
    /// What is on air, oldest first.
    pub airings: Vec<Airing>,
    /// Who may publish, by id.
    pub stream_keys: BTreeMap<String, StreamKey>,
    /// What channels fetch themselves, by channel.
    pub sources: BTreeMap<String, Source>,
    /// The channels that exist.
    #[serde(skip)]
    pub channels: Vec<String>,
}

/// A field that may be left alone, emptied or set: absent, `null` or a value on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Empty it.
    Clear,
    /// Set it.
    Set(T),
}

impl<T> Patch<T> {
    /// The value that it sets, if any.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Adds or replaces a product.
    PutProduct(Product),
    /// Takes a product out of the catalogue.
    DeleteProduct {
        /// Which.
        sku: String,
    },
    /// Sets a product's picture.
    SetImage {
        /// Which.
        sku: String,
        /// The picture's id.
        image: Option<String>,
    },
    /// Sets prices.
    SetPrice {
        /// Which.
        sku: String,
        /// Minor units.
        price_minor: Option<i64>,
        /// Minor units.
        old_price_minor: Patch<i64>,
        /// ISO 4217.
        currency: Option<String>,
    },
    /// Sets how many are left.
    SetStock {
        /// Which.
        sku: String,
        /// How many, or not counted.
        stock: Option<u32>,
    },
    /// Adds or replaces a card.
    PutCard(Card),
    /// Takes a card out.
    DeleteCard {
        /// Which.
        card_id: String,
    },
    /// Changes fields of a card, on air or not.
    UpdateCard {
        /// Which.
        card_id: String,
        /// Its own title.
        title: Patch<String>,
        /// Where it rests.
        slot: Option<Slot>,
    },
    /// Puts a card on air; one already there stays as it is.
    ShowCard {
        /// Which.
        card_id: String,
        /// Where.
        channel: String,
    },
    /// Takes a card off air; one not there stays as it is.
    HideCard {
        /// Which.
        card_id: String,
        /// Where.
        channel: String,
    },
    /// The other of the two.
    ToggleCard {
        /// Which.
        card_id: String,
        /// Where.
        channel: String,
    },
    /// Takes everything off air at once, without animation.
    ClearAll {
        /// Where; nothing means everywhere.
        channel: Option<String>,
    },
    /// Adds a stream key, or gives one another secret.
    PutStreamKey(StreamKey),
    /// Gives a stream key another secret.
    RotateStreamKey {
        /// Which.
        key_id: String,
        /// Of the secret.
        digest: crate::id::Digest,
    },
    /// Takes a stream key back; who publishes with it is ended.
    RevokeStreamKey {
        /// Which.
        key_id: String,
    },
    /// Sets what a channel fetches itself; nothing ends it.
    SetSource {
        /// Where.
        channel: String,
        /// What.
        source: Option<Source>,
    },
}

/// What a command changed, in order. Also the events that clients get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "eventType", content = "eventData", rename_all_fields = "camelCase")]
pub enum Change {
    /// A product is new or different.
    ProductChanged {
        /// As it is now.
        product: Product,
    },
    /// A product is gone.
    ProductRemoved {
        /// Which.
        sku: String,
    },
    /// A card is new or different.
    CardChanged {
        /// As it is now.
        card: Card,
    },
    /// A card is gone.
    CardRemoved {
        /// Which.
        card_id: String,
    },
    /// A card went on air.
    CardShown {
        /// How and where.
        airing: Airing,
    },
    /// An airing rests elsewhere.
    CardMoved {
        /// How and where.
        airing: Airing,
    },
    /// A card went off air.
    CardHidden {
        /// What ended.
        airing: Airing,
        /// When.
        until: WallTime,
    },
    /// Everything was taken off air.
    AllCleared {
        /// Where; nothing means everywhere.
        channel: Option<String>,
    },
    /// A stream key is new or has another secret.
    StreamKeyChanged {
        /// As it is now.
        key: StreamKey,
    },
    /// A stream key is gone.
    StreamKeyRevoked {
        /// Which.
        key_id: String,
    },
    /// What a channel fetches itself is another.
    SourceChanged {
        /// Where.
        channel: String,
        /// What; nothing when it ended.
        source: Option<Source>,
    },
}

/// What only the outside knows at the moment of a command.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Civil time.
    pub wall: WallTime,
    /// Each channel's programme time.
    pub programme: BTreeMap<String, MediaTime>,
    /// An id for an airing, should one start.
    pub airing_id: String,
    /// A code for it.
    pub code: String,
}
