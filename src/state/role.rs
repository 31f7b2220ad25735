//! What somebody may ask for. Pure.
//!
//! Four roles, each with everything of the one before. Who prepares a show must not be able to put a wrong price on air by
//! mistake: an assistant changes what is not on air, and takes things off it; the rest is a producer's. Keys and people are
//! the owner's.

use serde::{Deserialize, Serialize};

use super::{Command, State};

/// In rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Prepares, counts stock, and clears the picture when something is wrong.
    Assistant,
    /// Runs the show.
    Producer,
    /// Gives keys and lets people in.
    Owner,
}

impl Role {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Assistant => "assistant",
            Self::Producer => "producer",
            Self::Owner => "owner",
        }
    }

    /// The least that may do `command` in `state`.
    pub fn needed(command: &Command, state: &State) -> Self {
        let is_shown = |card_id: &str| state.airings.iter().any(|airing| airing.card_id == card_id);
        let cards = || state.airings.iter().filter_map(|airing| state.cards.get(&airing.card_id));
        let is_sold = |sku: &str| cards().any(|card| card.products().any(|one| one == sku));
        let on_air = |is_on_air: bool| if is_on_air { Self::Producer } else { Self::Assistant };
        match command {
            Command::SetStock { .. }
            | Command::HideCard { .. }
            | Command::ClearAll { .. }
            | Command::HideAll { .. }
            | Command::PutRundown(_)
            | Command::RemoveRundown { .. }
            | Command::EditRundown { .. }
            | Command::CueItem { .. } => Self::Assistant,
            Command::PutProduct(product) => on_air(is_sold(&product.sku)),
            Command::SetPrice { sku, .. }
            | Command::SetImage { sku, .. }
            | Command::DeleteProduct { sku } => on_air(is_sold(sku)),
            Command::PutCard(card) => on_air(is_shown(&card.id)),
            Command::UpdateCard { card_id, .. } | Command::DeleteCard { card_id } => {
                on_air(is_shown(card_id))
            }
            // It may bring cards and products that are on air.
            Command::ImportRundown(_)
            | Command::ShowCard { .. }
            | Command::ToggleCard { .. }
            | Command::NextStep { .. }
            | Command::SwapCard { .. }
            | Command::AdvanceCard { .. }
            | Command::ChooseRundown { .. }
            | Command::Take { .. } => Self::Producer,
            // The last is the server's own.
            Command::PutStreamKey(_)
            | Command::RotateStreamKey { .. }
            | Command::RevokeStreamKey { .. }
            | Command::SetSource { .. }
            | Command::EndDue { .. } => Self::Owner,
        }
    }
}
