//! Requests about rundowns. Pure.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::schema::{of, with};
use super::{CardIn, Error, fields, main_channel, needed, take};
use crate::state::rundown::{Bundle, Edit, Item, Rundown};
use crate::state::{Command, Patch};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RundownOnly {
    pub(super) rundown_id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Described {
    rundown_id: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    is_archived: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ItemIn {
    rundown_id: String,
    item_id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Moved {
    rundown_id: String,
    item_id: String,
    #[serde(default)]
    before: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChannelOnly {
    #[serde(default = "main_channel")]
    channel: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Chosen {
    #[serde(default = "main_channel")]
    channel: String,
    rundown_id: Patch<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cued {
    #[serde(default = "main_channel")]
    channel: String,
    item_id: Patch<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pinned {
    #[serde(default = "main_channel")]
    channel: String,
    sku: Patch<String>,
    #[serde(default)]
    card_id: Option<String>,
}

/// The data of a request, if it is one of these.
pub(super) fn schema(request_type: &str, generator: &mut SchemaGenerator) -> Option<Value> {
    Some(match request_type {
        "PutRundown" => of::<Rundown>(generator),
        "RemoveRundown" | "ExportRundown" => of::<RundownOnly>(generator),
        "UpdateRundown" => of::<Described>(generator),
        "ImportRundown" => of::<Bundle>(generator),
        "PutItem" => with(of::<Item>(generator), &["rundownId"], &["before"]),
        "MoveItem" => of::<Moved>(generator),
        "RemoveItem" | "DuplicateItem" => of::<ItemIn>(generator),
        "ChooseRundown" => of::<Chosen>(generator),
        "CueItem" => of::<Cued>(generator),
        "PinProduct" => of::<Pinned>(generator),
        "Take" | "HideAll" => of::<ChannelOnly>(generator),
        _ => return None,
    })
}

/// The command of a request, if it is one of these.
pub(super) fn command(request_type: &str, mut data: Map<String, Value>) -> Option<Result<Command, Error>> {
    let edit = |rundown_id, edit| Command::EditRundown { rundown_id, edit };
    Some(match request_type {
        "PutRundown" => fields::<Rundown>(data).map(Command::PutRundown),
        "RemoveRundown" => {
            fields(data).map(|RundownOnly { rundown_id }| Command::RemoveRundown { rundown_id })
        }
        "UpdateRundown" => fields(data).map(|Described { rundown_id, title, is_archived }| {
            edit(rundown_id, Edit::Describe { title, is_archived })
        }),
        "ImportRundown" => fields::<Bundle>(data).map(|bundle| Command::ImportRundown(Box::new(bundle))),
        "PutItem" => put_item(&mut data),
        "MoveItem" => fields(data).map(|Moved { rundown_id, item_id, before }| {
            edit(rundown_id, Edit::MoveItem { item_id, before })
        }),
        "RemoveItem" => {
            fields(data).map(|ItemIn { rundown_id, item_id }| edit(rundown_id, Edit::RemoveItem { item_id }))
        }
        "DuplicateItem" => fields(data)
            .map(|ItemIn { rundown_id, item_id }| edit(rundown_id, Edit::DuplicateItem { item_id })),
        "ChooseRundown" => fields(data).map(|Chosen { channel, rundown_id }| Command::ChooseRundown {
            channel,
            rundown_id: rundown_id.value(),
        }),
        "CueItem" => fields(data)
            .map(|Cued { channel, item_id }| Command::CueItem { channel, item_id: item_id.value() }),
        "Take" => fields(data).map(|ChannelOnly { channel }| Command::Take { channel }),
        "HideAll" => fields(data).map(|ChannelOnly { channel }| Command::HideAll { channel }),
        "PinProduct" => fields(data).map(|Pinned { channel, sku, card_id }| Command::PinProduct {
            channel,
            sku: sku.value(),
            card_id,
        }),
        "SwapCard" => fields(data).map(|CardIn { card_id, channel }| Command::SwapCard { card_id, channel }),
        "AdvanceCard" => {
            fields(data).map(|CardIn { card_id, channel }| Command::AdvanceCard { card_id, channel })
        }
        _ => return None,
    })
}

fn put_item(data: &mut Map<String, Value>) -> Result<Command, Error> {
    let (rundown_id, before) = (needed(data, "rundownId")?, take(data, "before")?);
    let item = fields::<Item>(std::mem::take(data))?;
    Ok(Command::EditRundown { rundown_id, edit: Edit::PutItem { item, before } })
}
