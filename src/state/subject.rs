//! What a command and a change are about, so that two people do not overwrite each other unknowingly, and a price that
//! changes many times a second does not keep anybody from saving a card. Pure.

use std::fmt;

use super::{Change, Command};

/// One thing of the state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// By its SKU.
    Product(String),
    /// By its id.
    Card(String),
    /// By its id.
    Rundown(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(id) => write!(f, "product {id:?}"),
            Self::Card(id) => write!(f, "card {id:?}"),
            Self::Rundown(id) => write!(f, "rundown {id:?}"),
        }
    }
}

impl Subject {
    /// What `command` overwrites; nothing when it is more than one thing.
    pub fn of_command(command: &Command) -> Option<Self> {
        Some(match command {
            Command::PutProduct(product) => Self::Product(product.sku.clone()),
            Command::DeleteProduct { sku }
            | Command::SetImage { sku, .. }
            | Command::SetPrice { sku, .. }
            | Command::SetStock { sku, .. } => Self::Product(sku.clone()),
            Command::PutCard(card) => Self::Card(card.id.clone()),
            Command::DeleteCard { card_id } | Command::UpdateCard { card_id, .. } => {
                Self::Card(card_id.clone())
            }
            Command::PutRundown(rundown) => Self::Rundown(rundown.id.clone()),
            Command::RemoveRundown { rundown_id } | Command::EditRundown { rundown_id, .. } => {
                Self::Rundown(rundown_id.clone())
            }
            _ => return None,
        })
    }

    /// All that `command` overwrites, when that can be told.
    pub fn all_of_command(command: &Command) -> Vec<Self> {
        match command {
            Command::ImportProducts { products, .. } => {
                products.iter().map(|product| Self::Product(product.sku.clone())).collect()
            }
            one => Self::of_command(one).into_iter().collect(),
        }
    }

    /// What `change` changed.
    pub fn of_change(change: &Change) -> Option<Self> {
        Some(match change {
            Change::ProductChanged { product } => Self::Product(product.sku.clone()),
            Change::ProductRemoved { sku } => Self::Product(sku.clone()),
            Change::CardChanged { card } => Self::Card(card.id.clone()),
            Change::CardRemoved { card_id } => Self::Card(card_id.clone()),
            Change::RundownChanged { rundown } => Self::Rundown(rundown.id.clone()),
            Change::RundownRemoved { rundown_id } => Self::Rundown(rundown_id.clone()),
            _ => return None,
        })
    }
}
