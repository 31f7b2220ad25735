//! What somebody may ask for. Pure.
//!
//! Four roles, each with everything of the one before. Who prepares a show must not be able to put a wrong price on air by
//! mistake: an assistant changes what is not on air, and takes things off it; the rest is a producer's. Keys and people are
//! the owner's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Command, State};

/// In rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
            | Command::ImportProducts { .. }
            | Command::ShowCard { .. }
            | Command::ToggleCard { .. }
            | Command::NextStep { .. }
            | Command::SwapCard { .. }
            | Command::PinProduct { .. }
            | Command::AdvanceCard { .. }
            | Command::SetPractice { .. }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Card, Moment, Product, template};

    #[test]
    fn what_is_on_air_is_a_producers_and_a_tray_is_all_of_its_products() {
        let product = |sku: &str| {
            Command::PutProduct(Product {
                sku: sku.into(),
                title: "Cup".into(),
                image: None,
                price_minor: 100,
                old_price_minor: None,
                currency: "EUR".into(),
                stock: None,
                link: None,
            })
        };
        let tray = template::samples()
            .0
            .values()
            .find(|one| matches!(one.products, template::Products::UpTo(_)))
            .cloned();
        let tray = Card {
            id: "tray".into(),
            template: tray.unwrap().id,
            skus: vec!["cup".into(), "pot".into()],
            ..Card::default()
        };
        let show = Command::ShowCard { card_id: "tray".into(), channel: "main".into() };
        let empty =
            State { channels: vec!["main".into()], templates: template::samples(), ..State::default() };
        let apply =
            |state: State, command: &Command| state.apply(command.clone(), &Moment::nowhere()).unwrap().0;
        let commands = [product("cup"), product("pot"), product("mat"), Command::PutCard(tray.clone())];
        let state = commands.iter().fold(empty, apply);
        assert_eq!(Role::needed(&product("pot"), &state), Role::Assistant);
        let state = apply(state, &show);
        for (command, role) in [
            (product("pot"), Role::Producer),
            (product("mat"), Role::Assistant),
            (Command::PutCard(tray), Role::Producer),
            (Command::SetStock { sku: "pot".into(), stock: None }, Role::Assistant),
            (Command::ClearAll { channel: None }, Role::Assistant),
            (show, Role::Producer),
            (Command::SetSource { channel: "main".into(), source: None }, Role::Owner),
        ] {
            assert_eq!(Role::needed(&command, &state), role, "{command:?}");
        }
        assert!(
            Role::Owner > Role::Producer
                && Role::Producer > Role::Assistant
                && Role::Assistant > Role::Viewer
        );
    }
}
