//! What operators ask for, and what came of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rundown::{Bundle, Edit};
use super::{
    Airing, Card, Cue, Ending, Position, Product, Ratio, Rundown, Slot, Source, StreamKey, Transitions,
};
use crate::time::{MediaTime, WallTime};

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

/// What it sets, or `null`.
impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
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
    /// Adds or replaces products, and adds cards of them; all or none.
    ImportProducts {
        /// As they are to be.
        products: Vec<Product>,
        /// Of the new ones.
        cards: Vec<Card>,
    },
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
        /// What is different.
        edit: Box<CardEdit>,
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
    /// Puts a card on air, and takes everything else out.
    SwapCard {
        /// Which.
        card_id: String,
        /// Where.
        channel: String,
    },
    /// The host explains this product now: its card is on air and stays until another is pinned or it is taken out.
    PinProduct {
        /// Which; nothing when none is any more.
        sku: Option<String>,
        /// By this card of it; without it the one that is on air, else the rundown's, else any.
        card_id: Option<String>,
        /// Where.
        channel: String,
    },
    /// Puts a card on air, then shows its next step, then takes it out: what one key does.
    AdvanceCard {
        /// Which.
        card_id: String,
        /// Where.
        channel: String,
    },
    /// Takes everything off air, each with its animation.
    HideAll {
        /// Where.
        channel: String,
    },
    /// Shows a card's next step.
    NextStep {
        /// Which.
        card_id: String,
        /// Where.
        channel: String,
    },
    /// Ends airings whose time is over.
    EndDue {
        /// Their ids.
        airing_ids: Vec<String>,
    },
    /// Begins to practise in a channel, or ends it and takes off what was practised with.
    SetPractice {
        /// Where.
        channel: String,
        /// Which of the two.
        is_on: bool,
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
    /// Adds or replaces a rundown.
    PutRundown(Rundown),
    /// Takes a rundown away; its cards stay.
    RemoveRundown {
        /// Which.
        rundown_id: String,
    },
    /// Changes a rundown.
    EditRundown {
        /// Which.
        rundown_id: String,
        /// How.
        edit: Edit,
    },
    /// Adds or replaces a rundown with its cards and their products.
    ImportRundown(Box<Bundle>),
    /// Begins a rundown in a channel; nothing leaves it.
    ChooseRundown {
        /// Where.
        channel: String,
        /// Which.
        rundown_id: Option<String>,
    },
    /// Says what is taken next.
    CueItem {
        /// Where.
        channel: String,
        /// Which; nothing for none.
        item_id: Option<String>,
    },
    /// Puts on air what is cued, and cues what comes after it.
    Take {
        /// Where.
        channel: String,
    },
}

/// Changes to a card's fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CardEdit {
    /// Its own title.
    pub title: Patch<String>,
    /// Where it rests.
    pub slot: Option<Slot>,
    /// Where exactly.
    pub position: Patch<Position>,
    /// Its size.
    pub scale: Patch<Ratio>,
    /// What it lies over.
    pub z: Patch<i32>,
    /// The template's own fields: a value sets one, `null` empties it, the others stay.
    pub data: Map<String, Value>,
    /// How it comes and goes.
    pub transition: Patch<Transitions>,
    /// When it goes out by itself, the next time that it is shown.
    pub out_ms: Patch<u64>,
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
    /// An airing shows another step.
    CardStepped {
        /// How and where.
        airing: Airing,
    },
    /// An airing is of the product that the host explains now.
    CardPinned {
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
        /// Why.
        ending: Ending,
    },
    /// Everything was taken off air.
    AllCleared {
        /// Where; nothing means everywhere.
        channel: Option<String>,
    },
    /// A channel begins to practise, or ends it.
    PracticeChanged {
        /// Where.
        channel: String,
        /// Which of the two.
        is_on: bool,
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
    /// A rundown is new or different.
    RundownChanged {
        /// As it is now.
        rundown: Rundown,
    },
    /// A rundown is gone.
    RundownRemoved {
        /// Which.
        rundown_id: String,
    },
    /// A channel stands elsewhere.
    CueChanged {
        /// Which.
        channel: String,
        /// Where; nothing when it is in no rundown.
        cue: Option<Cue>,
    },
}

impl Change {
    /// The channel whose picture it concerns; nothing when it may be in all of them.
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::CardShown { airing }
            | Self::CardStepped { airing }
            | Self::CardPinned { airing }
            | Self::CardMoved { airing }
            | Self::CardHidden { airing, .. } => Some(&airing.channel),
            Self::AllCleared { channel } => channel.as_deref(),
            Self::SourceChanged { channel, .. }
            | Self::CueChanged { channel, .. }
            | Self::PracticeChanged { channel, .. } => Some(channel),
            _ => None,
        }
    }
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
    /// The operator wants it to show at once, without animation.
    pub is_cut: bool,
}

impl Moment {
    /// For a command that only tries whether it would be taken.
    pub fn nowhere() -> Self {
        Self {
            wall: WallTime(0),
            programme: BTreeMap::new(),
            airing_id: String::new(),
            code: String::new(),
            is_cut: false,
        }
    }
}
