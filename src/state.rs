//! What is for sale, which cards are prepared, and what is on air: the truth that cards, pages and
//! programs are drawn from.
//!
//! [`State::apply`] is a pure function of the state, a command and the moment: it either returns the next
//! state with the list of changes, or an error that names the field, and then nothing has changed. Only
//! `director` calls it. It knows no clock, no database and no socket.

mod apply;
mod card;
mod command;
mod guard;
pub mod money;
mod product;
mod publishing;
mod role;
pub mod rundown;
mod subject;
pub mod template;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use card::{Airing, Card, Easing, Ending, Position, Ratio, Slot, Transition, Transitions};
pub use command::{CardEdit, Change, Command, Moment, Patch};
pub use guard::{Doubt, Guards};
pub use money::Money;
pub use product::Product;
pub use publishing::{Source, StreamKey, shown_url};
pub use role::Role;
pub use rundown::{Cue, Rundown};
pub use subject::Subject;
pub use template::{Template, Templates};

/// Why a command was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field has a value that cannot be used.
    #[error("{field}: {reason}")]
    Field {
        /// The field's name on the wire.
        field: Cow<'static, str>,
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
    pub fn field(&self) -> &str {
        match self {
            Self::Field { field, .. } => field,
            Self::NotFound { field, .. } | Self::Conflict { field, .. } => field,
        }
    }
}

/// By name. A copy shares what is the same, so that a change costs as much as it changes.
pub type Map<V> = rpds::RedBlackTreeMapSync<String, V>;

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Grows by one with every command that changes something.
    pub rev: u64,
    /// By channel, the revision of the last command whose changes show at once, without animation.
    #[serde(skip)]
    pub cuts: BTreeMap<String, u64>,
    /// By sku.
    pub products: Map<Product>,
    /// By id.
    pub cards: Map<Card>,
    /// What is on air, oldest first.
    pub airings: Vec<Airing>,
    /// Who may publish, by id.
    pub stream_keys: BTreeMap<String, StreamKey>,
    /// What channels fetch themselves, by channel.
    pub sources: BTreeMap<String, Source>,
    /// By id.
    pub rundowns: Map<Rundown>,
    /// Where channels stand in rundowns, by channel.
    pub cues: BTreeMap<String, Cue>,
    /// Channels that practise: what is put on air there reaches no viewer.
    pub practice: BTreeSet<String>,
    /// The channels that exist.
    #[serde(skip)]
    pub channels: Vec<String>,
    /// The templates that cards can use. They change with files, not with commands.
    #[serde(skip)]
    pub templates: Templates,
    /// Milliseconds after which a card goes out whatever it says: a control page that is gone must not leave a
    /// price on air. Nothing means never.
    #[serde(skip)]
    pub longest_airing_ms: Option<u64>,
    /// Which prices are looked at twice.
    #[serde(skip)]
    pub guards: Guards,
}
