//! Requests by name: from `requestType` and `requestData` to what is to be done. Pure.
//!
//! The same table serves the WebSocket and REST, so a field has one name and one meaning. Fields that a
//! request does not know are refused by name: a misspelt price must not pass as no price.

mod people;
mod rundown;
mod schema;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::people::PeopleRequest;
pub use self::schema::{common, schema};
use super::catalogue::import::Import;
use super::error::{Error, Kind};
use crate::config::DEFAULT_SOURCE_RANK;
use crate::director::Order;
use crate::state::{Card, CardEdit, Command, Patch, Product, Role, Source, State};

/// What a request asks for.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // nearly all are changes, and none is kept
pub enum Action {
    /// The whole state.
    GetState,
    /// What this server is and can.
    GetVersion,
    /// The designs that cards can have.
    GetTemplates,
    /// Change something.
    Change(Order),
    /// Take back the last edit of whoever asks.
    Undo,
    /// A rundown with all that it needs.
    ExportRundown {
        /// Which.
        rundown_id: String,
    },
    /// Take products from a file.
    Import {
        /// Which, and how.
        import: Import,
        /// Also prices that are doubted.
        is_confirmed: bool,
    },
    /// Take what a shop told, or leave it.
    Answer {
        /// Which question.
        question_id: String,
        /// Which of the two.
        is_taken: bool,
    },
    /// Make a stream key.
    MakeStreamKey {
        /// For which channel.
        channel: String,
        /// For people.
        name: String,
        /// 0 is the best.
        rank: u32,
        /// Only at this revision.
        if_rev: Option<u64>,
    },
    /// Who may come in, and what they did.
    People(PeopleRequest),
    /// Give a stream key another secret.
    RotateStreamKey {
        /// Which.
        key_id: String,
        /// Only at this revision.
        if_rev: Option<u64>,
    },
}

/// Every request, for `GetVersion`.
pub const REQUESTS: &[&str] = &[
    "GetVersion",
    "GetState",
    "ShowCard",
    "HideCard",
    "ToggleCard",
    "NextStep",
    "UpdateCard",
    "SetPrice",
    "SetStock",
    "ClearAll",
    "PutProduct",
    "RemoveProduct",
    "PutCard",
    "RemoveCard",
    "SetImage",
    "ImportProducts",
    "MakeStreamKey",
    "RotateStreamKey",
    "RevokeStreamKey",
    "SetSource",
    "GetTemplates",
    "PutRundown",
    "UpdateRundown",
    "RemoveRundown",
    "ImportRundown",
    "ExportRundown",
    "PutItem",
    "MoveItem",
    "RemoveItem",
    "DuplicateItem",
    "ChooseRundown",
    "CueItem",
    "Take",
    "SwapCard",
    "PinProduct",
    "AdvanceCard",
    "HideAll",
    "SetPractice",
    "AnswerQuestion",
    "Undo",
    "GetPeople",
    "PutOperator",
    "RemoveOperator",
    "MakeToken",
    "RevokeToken",
    "GetJournal",
];

impl Action {
    /// The least role that may do it in `state`.
    pub fn needed(&self, state: &State) -> Role {
        match self {
            Self::GetState | Self::GetVersion | Self::GetTemplates | Self::ExportRundown { .. } => {
                Role::Viewer
            }
            Self::Change(order) => Role::needed(&order.command, state),
            // The director looks what it is.
            Self::Undo => Role::Assistant,
            // It may bring prices of what is on air.
            Self::Import { .. } | Self::Answer { .. } | Self::People(PeopleRequest::Journal { .. }) => {
                Role::Producer
            }
            Self::MakeStreamKey { .. } | Self::RotateStreamKey { .. } | Self::People(_) => Role::Owner,
        }
    }

    /// Whether it only looks.
    pub fn is_a_look(&self) -> bool {
        matches!(
            self,
            Self::GetState
                | Self::GetVersion
                | Self::GetTemplates
                | Self::ExportRundown { .. }
                | Self::Import { import: Import { dry_run: true, .. }, .. }
                | Self::People(PeopleRequest::List | PeopleRequest::Journal { .. })
        )
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CardIn {
    card_id: String,
    #[serde(default = "main_channel")]
    channel: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CardOnly {
    card_id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Price {
    sku: String,
    #[serde(default)]
    price_minor: Option<i64>,
    #[serde(default)]
    old_price_minor: Patch<i64>,
    #[serde(default)]
    currency: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stock {
    sku: String,
    stock: Patch<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    sku: String,
    image: Patch<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sku {
    sku: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Clear {
    #[serde(default)]
    channel: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reply {
    question_id: String,
    is_taken: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Practice {
    #[serde(default = "main_channel")]
    channel: String,
    is_on: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewKey {
    #[serde(default = "main_channel")]
    channel: String,
    name: String,
    #[serde(default)]
    rank: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyId {
    key_id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourceIn {
    #[serde(default = "main_channel")]
    channel: String,
    url: Patch<String>,
    #[serde(default)]
    rank: Option<u32>,
}

impl SourceIn {
    fn command(self) -> Command {
        let rank = self.rank.unwrap_or(DEFAULT_SOURCE_RANK);
        Command::SetSource { channel: self.channel, source: self.url.value().map(|url| Source { url, rank }) }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Nothing {}

/// The channel of a request that names none.
pub(super) fn main_channel() -> String {
    "main".into()
}

/// Reads a request. `ifRev` and `idempotencyKey` may stand in the data of every change.
///
/// # Errors
/// [`Error`], naming the field.
pub fn read(request_type: &str, data: Option<Value>) -> Result<Action, Error> {
    let mut data = match data {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(Error::field(Kind::BadField, "requestData", "it is not an object")),
    };
    let if_rev: Option<u64> = take(&mut data, "ifRev")?;
    let idempotency_key: Option<String> = take(&mut data, "idempotencyKey")?;
    check_once(request_type, idempotency_key.as_deref(), if_rev)?;
    let is_cut = take(&mut data, "skipAnimation")?.unwrap_or(false);
    let is_confirmed = take(&mut data, "confirmed")?.unwrap_or(false);
    let command = match request_type {
        "GetState" => return fields::<Nothing>(data).map(|_| Action::GetState),
        "GetTemplates" => return fields::<Nothing>(data).map(|_| Action::GetTemplates),
        "Undo" => return fields::<Nothing>(data).map(|_| Action::Undo),
        "GetVersion" => return fields::<Nothing>(data).map(|_| Action::GetVersion),
        "ImportProducts" => return fields(data).map(|import| Action::Import { import, is_confirmed }),
        "ExportRundown" => {
            return fields(data)
                .map(|rundown::RundownOnly { rundown_id }| Action::ExportRundown { rundown_id });
        }
        "ShowCard" => {
            fields(data).map(|CardIn { card_id, channel }| Command::ShowCard { card_id, channel })?
        }
        "HideCard" => {
            fields(data).map(|CardIn { card_id, channel }| Command::HideCard { card_id, channel })?
        }
        "ToggleCard" => {
            fields(data).map(|CardIn { card_id, channel }| Command::ToggleCard { card_id, channel })?
        }
        "NextStep" => {
            fields(data).map(|CardIn { card_id, channel }| Command::NextStep { card_id, channel })?
        }
        "UpdateCard" => {
            let card_id = needed(&mut data, "cardId")?;
            Command::UpdateCard { card_id, edit: Box::new(fields::<CardEdit>(data)?) }
        }
        "SetPrice" => fields(data).map(|Price { sku, price_minor, old_price_minor, currency }| {
            Command::SetPrice { sku, price_minor, old_price_minor, currency }
        })?,
        "SetStock" => {
            fields(data).map(|Stock { sku, stock }| Command::SetStock { sku, stock: stock.value() })?
        }
        "SetImage" => {
            fields(data).map(|Image { sku, image }| Command::SetImage { sku, image: image.value() })?
        }
        "ClearAll" => fields(data).map(|Clear { channel }| Command::ClearAll { channel })?,
        "AnswerQuestion" => {
            return fields(data)
                .map(|Reply { question_id, is_taken }| Action::Answer { question_id, is_taken });
        }
        "SetPractice" => {
            fields(data).map(|Practice { channel, is_on }| Command::SetPractice { channel, is_on })?
        }
        "PutProduct" => fields::<Product>(data).map(Command::PutProduct)?,
        "RemoveProduct" => fields(data).map(|Sku { sku }| Command::DeleteProduct { sku })?,
        "PutCard" => fields::<Card>(data).map(Command::PutCard)?,
        "RemoveCard" => fields(data).map(|CardOnly { card_id }| Command::DeleteCard { card_id })?,
        "MakeStreamKey" => {
            return fields(data).map(|NewKey { channel, name, rank }| Action::MakeStreamKey {
                channel,
                name,
                rank,
                if_rev,
            });
        }
        "RotateStreamKey" => {
            return fields(data).map(|KeyId { key_id }| Action::RotateStreamKey { key_id, if_rev });
        }
        "RevokeStreamKey" => fields(data).map(|KeyId { key_id }| Command::RevokeStreamKey { key_id })?,
        "SetSource" => fields(data).map(SourceIn::command)?,
        "" => return Err(Error::field(Kind::MissingType, "requestType", "it is missing")),
        other if let Some(request) = people::read(other, &data) => return request.map(Action::People),
        other => rundown::command(other, data).unwrap_or_else(|| {
            let name: String = other.chars().take(60).collect();
            Err(Error::field(Kind::UnknownType, "requestType", format!("there is no request {name:?}")))
        })?,
    };
    Ok(Action::Change(Order { command, if_rev, idempotency_key, is_cut, is_confirmed, by: None }))
}

/// Of an idempotency key.
const MOST_KEY: usize = 200;

/// Requests that cannot be told from another of the same words: their answers are secrets, or what they do depends on when.
pub const NOT_ONCE: [&str; 9] = [
    "MakeStreamKey",
    "RotateStreamKey",
    "Undo",
    "ImportProducts",
    "AnswerQuestion",
    "PutOperator",
    "RemoveOperator",
    "MakeToken",
    "RevokeToken",
];

fn check_once(request_type: &str, key: Option<&str>, if_rev: Option<u64>) -> Result<(), Error> {
    if key.is_some_and(|key| key.len() > MOST_KEY) {
        let reason = format!("longer than {MOST_KEY} characters");
        return Err(Error::field(Kind::BadField, "idempotencyKey", reason));
    }
    if key.is_some() && NOT_ONCE.contains(&request_type) {
        let reason = "it has no meaning for this request, which must not be sent again blindly";
        return Err(Error::field(Kind::BadField, "idempotencyKey", reason));
    }
    if if_rev.is_some() && NOT_ONCE[2..].contains(&request_type) {
        return Err(Error::field(Kind::BadField, "ifRev", "it has no meaning for this request"));
    }
    Ok(())
}

fn take<T: DeserializeOwned>(data: &mut Map<String, Value>, name: &'static str) -> Result<Option<T>, Error> {
    match data.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            serde_json::from_value(value).map(Some).map_err(|error| Error::field(Kind::BadField, name, error))
        }
    }
}

fn needed<T: DeserializeOwned>(data: &mut Map<String, Value>, name: &'static str) -> Result<T, Error> {
    take(data, name)?.ok_or_else(|| Error::field(Kind::MissingField, name, "it is missing"))
}

fn fields<T: DeserializeOwned>(data: Map<String, Value>) -> Result<T, Error> {
    serde_path_to_error::deserialize(Value::Object(data)).map_err(|error| {
        let (path, message) = (error.path().to_string(), error.inner().to_string());
        let quoted = message.split('`').nth(1).unwrap_or_default();
        if message.starts_with("missing field") {
            Error::field(Kind::MissingField, quoted, "it is missing")
        } else if message.starts_with("unknown field") {
            Error::field(Kind::BadField, quoted, "there is no such field here")
        } else {
            Error::field(Kind::BadField, &path, message)
        }
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(request_type: &str, data: Value) -> Command {
        match read(request_type, Some(data)).unwrap() {
            Action::Change(order) => order.command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_channel_is_main_unless_said() {
        let wanted = Command::ShowCard { card_id: "a".into(), channel: "main".into() };
        assert_eq!(command("ShowCard", json!({ "cardId": "a" })), wanted);
    }

    #[test]
    fn null_empties_and_absence_keeps() {
        let read = |data| match command("SetPrice", data) {
            Command::SetPrice { old_price_minor, .. } => old_price_minor,
            other => panic!("{other:?}"),
        };
        assert_eq!(read(json!({ "sku": "x" })), Patch::Keep);
        assert_eq!(read(json!({ "sku": "x", "oldPriceMinor": null })), Patch::Clear);
        assert_eq!(read(json!({ "sku": "x", "oldPriceMinor": 5 })), Patch::Set(5));
    }

    #[test]
    fn every_mistake_names_its_field() {
        for (request_type, data, kind, field) in [
            ("ShowCard", json!({}), Kind::MissingField, "cardId"),
            ("ShowCard", json!({ "cardId": 5 }), Kind::BadField, "cardId"),
            ("ShowCard", json!({ "cardId": "a", "chanel": "x" }), Kind::BadField, "chanel"),
            ("SetPrice", json!({ "sku": "a", "priceMinor": 19.99 }), Kind::BadField, "priceMinor"),
            ("SetPrice", json!({ "sku": "a", "oldPriceMinor": "x" }), Kind::BadField, "oldPriceMinor"),
            ("UpdateCard", json!({ "cardId": "a", "slot": "middle" }), Kind::BadField, "slot"),
            ("ClearAll", json!({ "ifRev": "x" }), Kind::BadField, "ifRev"),
            ("Nonsense", json!({}), Kind::UnknownType, "requestType"),
            ("", json!({}), Kind::MissingType, "requestType"),
            ("GetState", json!([1]), Kind::BadField, "requestData"),
        ] {
            let error = read(request_type, Some(data)).unwrap_err();
            assert_eq!((error.kind, error.field.as_deref()), (kind, Some(field)), "{error}");
        }
    }

    #[test]
    fn every_listed_request_is_known() {
        for request in REQUESTS.iter().copied() {
            if let Err(error) = read(request, None) {
                assert_ne!(error.kind, Kind::UnknownType, "{request}");
            }
        }
    }
}
