//! Requests about people and the journal.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::schema::of;
use super::{Error, fields};
use crate::state::Role;

/// What is asked about people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeopleRequest {
    /// Who may come in.
    List,
    /// Lets somebody in, or changes role or password.
    PutOperator {
        /// For people, and to sign in with.
        name: String,
        /// What they may.
        role: Role,
        /// A new password; somebody new needs one.
        password: Option<String>,
    },
    /// Lets somebody in no more.
    RemoveOperator {
        /// Who.
        name: String,
    },
    /// Makes a token for a program.
    MakeToken {
        /// For people.
        name: String,
        /// What it may.
        role: Role,
    },
    /// Makes a token worth nothing.
    RevokeToken {
        /// Which.
        token_id: String,
    },
    /// What was done.
    Journal {
        /// Older than this entry.
        before: Option<u64>,
        /// So many at most.
        limit: u64,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OperatorIn {
    name: String,
    role: Role,
    #[serde(default)]
    password: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NameOnly {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenIn {
    name: String,
    role: Role,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenOnly {
    token_id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JournalIn {
    #[serde(default)]
    before: Option<u64>,
    #[serde(default = "usual_limit")]
    limit: u64,
}

fn usual_limit() -> u64 {
    100
}

/// The data of a request, if it is one of these.
pub(super) fn schema(request_type: &str, generator: &mut SchemaGenerator) -> Option<Value> {
    Some(match request_type {
        "GetPeople" => of::<super::Nothing>(generator),
        "PutOperator" => of::<OperatorIn>(generator),
        "RemoveOperator" => of::<NameOnly>(generator),
        "MakeToken" => of::<TokenIn>(generator),
        "RevokeToken" => of::<TokenOnly>(generator),
        "GetJournal" => of::<JournalIn>(generator),
        _ => return None,
    })
}

/// Reads a request of this kind; nothing when it is another.
pub(super) fn read(request_type: &str, data: &Map<String, Value>) -> Option<Result<PeopleRequest, Error>> {
    let data = data.clone();
    Some(match request_type {
        "GetPeople" => fields::<super::Nothing>(data).map(|_| PeopleRequest::List),
        "PutOperator" => fields(data).map(|OperatorIn { name, role, password }| PeopleRequest::PutOperator {
            name,
            role,
            password,
        }),
        "RemoveOperator" => fields(data).map(|NameOnly { name }| PeopleRequest::RemoveOperator { name }),
        "MakeToken" => fields(data).map(|TokenIn { name, role }| PeopleRequest::MakeToken { name, role }),
        "RevokeToken" => fields(data).map(|TokenOnly { token_id }| PeopleRequest::RevokeToken { token_id }),
        "GetJournal" => {
            fields(data).map(|JournalIn { before, limit }| PeopleRequest::Journal { before, limit })
        }
        _ => return None,
    })
}
