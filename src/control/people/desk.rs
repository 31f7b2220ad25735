//! Requests about people: letting them in and out, signing in, and the journal of what they did.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::door::{self, Caller};
use super::{Error, Kind, MOST, OWNER, Operator, PASSWORD, People, Token, hashed};
use crate::control::Doors;
use crate::control::api::{Gives, Parameter, Table, Takes, ask, parameter};
use crate::control::http::Answer;
use crate::control::message::PeopleRequest;
use crate::id;
use crate::state::Role;
use crate::store::people::Entry;
use crate::time::WallTime;

/// Bytes of somebody who is not known yet.
const MOST_LOGIN: usize = 4096;
/// Entries in one answer.
const MOST_ENTRIES: u64 = 1000;

/// For whoever has come in.
pub(in crate::control) fn table() -> Table {
    const JOURNAL: &[Parameter] = &[
        parameter("limit", "integer", "So many at most; 100 without it"),
        parameter("before", "integer", "What `before` said of the page before"),
    ];
    Table::new("People")
        .ask(Method::GET, "/people", "GetPeople", "Who may come in, and who is here")
        .ask(Method::PUT, "/operators/{name}", "PutOperator", "Lets somebody in, or changes role or password")
        .ask(Method::DELETE, "/operators/{name}", "RemoveOperator", "Lets somebody in no more")
        .ask(Method::POST, "/tokens", "MakeToken", "Makes a token for a program and tells it, this once")
        .ask(Method::DELETE, "/tokens/{tokenId}", "RevokeToken", "Makes a token worth nothing")
        .row(
            (Method::GET, "/journal"),
            "GetJournal",
            "Who asked for what, at which programme time, the newest first",
            (JOURNAL, Takes::None, Gives::Object),
            journal,
        )
        .row(
            (Method::GET, "/journal.csv"),
            "ExportJournal",
            "All of it, for a spreadsheet",
            (&[], Takes::None, Gives::File("text/csv")),
            journal_csv,
        )
}

/// For whoever wants to come in, or leaves.
pub(in crate::control) fn session_table() -> Table {
    let row = (&[][..], Takes::None, Gives::Object);
    Table::new("Session")
        .row(
            (Method::POST, "/session"),
            "SignIn",
            "Signs a browser in",
            (&[], Takes::Object(login), Gives::Object),
            sign_in,
        )
        .row((Method::GET, "/session"), "GetSession", "Who has signed in", row, who_am_i)
        .row(
            (Method::DELETE, "/session"),
            "SignOut",
            "Signs the browser out",
            (&[], Takes::None, Gives::Nothing),
            sign_out,
        )
        .most(MOST_LOGIN)
}

fn login() -> Value {
    let text = json!({ "type": "string" });
    json!({ "type": "object", "required": ["password"], "additionalProperties": false,
        "properties": { "name": { "type": ["string", "null"] }, "password": text } })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Page {
    before: Option<u64>,
    limit: Option<u64>,
}

async fn journal(Caller(doors): Caller, Query(page): Query<Page>) -> Answer {
    ask(&doors, "GetJournal", json!({ "before": page.before, "limit": page.limit.unwrap_or(100) })).await
}

/// All of it, the newest first, for a spreadsheet.
async fn journal_csv(Caller(doors): Caller) -> Result<Response, Error> {
    doors.allow(Role::Producer)?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=journal.csv"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    // Page by page: all that is kept may be hundreds of megabytes, and others ask the same thread.
    let pages = stream::unfold(Some(None), move |before: Option<Option<u64>>| {
        let people = doors.people.clone();
        async move {
            let before = before?;
            let page = people.with_store(move |store| store.entries(before, MOST_ENTRIES)).await;
            let next = page.as_ref().ok().and_then(|page| page.last()).map(|entry| Some(entry.n));
            Some((page.map(|page| csv(&page)), next))
        }
    });
    let head = stream::iter([Ok::<_, Error>(CSV_HEAD.to_owned())]);
    Ok((headers, Body::from_stream(head.chain(pages))).into_response())
}

const CSV_HEAD: &str = "time,programme,who,role,request,data,revision,refused\r\n";

/// RFC 4180. What a spreadsheet would take for a formula gets an apostrophe before it.
fn csv(entries: &[Entry]) -> String {
    let cell = |text: &str| {
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
    };
    let mut text = String::new();
    for entry in entries {
        let programme: Vec<String> =
            entry.programme_ms.iter().map(|(channel, ms)| format!("{channel} {ms}")).collect();
        let row = [
            cell(&entry.at.to_string()),
            cell(&programme.join(" ")),
            cell(&entry.who),
            cell(entry.role.name()),
            cell(&entry.request),
            cell(&entry.data.to_string()),
            entry.rev.map(|rev| rev.to_string()).unwrap_or_default(),
            cell(entry.refused.as_deref().unwrap_or_default()),
        ];
        text.push_str(&row.join(","));
        text.push_str("\r\n");
    }
    text
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Login {
    #[serde(default)]
    name: Option<String>,
    password: String,
}

/// `{"name", "password"}` of an operator, or `{"password"}` alone: a token, or the server's own.
async fn sign_in(
    State(doors): State<Doors>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    check_origin(&headers, &uri)?;
    let login: Login = serde_json::from_slice(&body).map_err(|error| Error::plain(Kind::BadField, error))?;
    let name = login.name.as_deref().filter(|name| !name.is_empty());
    let (secret, who) = doors.people.sign_in(name, login.password).await?;
    let cookie = door::cookie(Some(&secret), &headers);
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({ "name": who.name, "role": who.role }))).into_response())
}

fn check_origin(headers: &HeaderMap, uri: &Uri) -> Result<(), Error> {
    if door::is_strange(headers, uri) {
        return Err(Error::plain(Kind::Forbidden, "Origin is another address than the one that was asked"));
    }
    Ok(())
}

async fn who_am_i(State(doors): State<Doors>, headers: HeaderMap) -> Response {
    match door::session(&headers).and_then(|secret| doors.people.by_session(secret)) {
        Some(who) => Json(json!({ "name": who.name, "role": who.role })).into_response(),
        // Not an error: whoever opens the page asks this first.
        None => Json(json!({ "name": null, "role": null })).into_response(),
    }
}

async fn sign_out(State(doors): State<Doors>, uri: Uri, headers: HeaderMap) -> Result<Response, Error> {
    check_origin(&headers, &uri)?;
    if let Some(secret) = door::session(&headers) {
        doors.people.sign_out(secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, door::cookie(None, &headers))]).into_response())
}

/// Does what is asked; roles were looked at before.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub async fn perform(doors: &Doors, request: PeopleRequest) -> Result<Value, Error> {
    let people = &doors.people;
    match request {
        PeopleRequest::List => Ok(people.list()),
        PeopleRequest::PutOperator { name, role, password } => {
            people.put_operator(name, role, password).await
        }
        PeopleRequest::RemoveOperator { name } => people.remove_operator(name).await,
        PeopleRequest::MakeToken { name, role } => people.make_token(name, role).await,
        PeopleRequest::RevokeToken { token_id } => people.revoke_token(token_id).await,
        PeopleRequest::Journal { before, limit } => {
            let limit = limit.clamp(1, MOST_ENTRIES);
            let entries = people.with_store(move |store| store.entries(before, limit)).await?;
            let next = entries.last().filter(|_| entries.len() as u64 == limit).map(|entry| entry.n);
            Ok(json!({ "entries": entries, "before": next }))
        }
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_fit = !name.trim().is_empty() && name.chars().count() <= 60 && !name.chars().any(char::is_control);
    if is_fit && name != OWNER {
        return Ok(());
    }
    Err(Error::field(Kind::BadField, "name", format!("1 to 60 characters, and not {OWNER:?}")))
}

impl People {
    fn list(&self) -> Value {
        let known = self.known();
        json!({
            "operators": known.operators.values().collect::<Vec<_>>(),
            "tokens": known.tokens.values().collect::<Vec<_>>(),
            "present": self.presence.all(),
        })
    }

    async fn put_operator(&self, name: String, role: Role, password: Option<String>) -> Result<Value, Error> {
        check_name(&name)?;
        let before = self.known().operators.get(&name).cloned();
        if before.is_none() && self.known().operators.len() >= MOST {
            return Err(Error::field(Kind::Conflict, "name", format!("there are {MOST} operators already")));
        }
        let has_new_password = password.is_some();
        let hash = match (password, &before) {
            (None, Some(before)) => before.hash.clone(),
            (Some(password), _) if PASSWORD.contains(&password.chars().count()) => {
                tokio::task::spawn_blocking(move || hashed(&password)).await.map_err(super::failed)??
            }
            _ => return Err(Error::field(Kind::BadField, "password", "8 to 200 characters are needed")),
        };
        let made = before.as_ref().map_or_else(WallTime::now, |before| before.made);
        let operator =
            Operator { name, role, made, last_used: before.and_then(|before| before.last_used), hash };
        let kept = operator.clone();
        self.with_store(move |store| store.put("operator", &kept.name, &kept.hash, &kept)).await?;
        let answer = json!({ "operator": operator });
        // Whoever knew the old password is out.
        let over = if has_new_password { self.known().sessions_of(&operator.name) } else { Vec::new() };
        self.known().operators.insert(operator.name.clone(), operator);
        self.end_sessions(over).await?;
        Ok(answer)
    }

    async fn remove_operator(&self, name: String) -> Result<Value, Error> {
        if !self.known().operators.contains_key(&name) {
            return Err(Error::field(Kind::NotFound, "name", format!("there is no operator {name:?}")));
        }
        let id = name.clone();
        self.with_store(move |store| store.remove("operator", &id)).await?;
        let over = {
            let mut known = self.known();
            known.operators.remove(&name);
            known.sessions_of(&name)
        };
        self.end_sessions(over).await?;
        Ok(json!({ "name": name }))
    }

    async fn end_sessions(&self, ids: Vec<String>) -> Result<(), Error> {
        {
            let mut known = self.known();
            for id in &ids {
                known.sessions.remove(id);
            }
        }
        self.changes.send_modify(|n| *n += 1);
        self.with_store(move |store| ids.iter().try_for_each(|id| store.remove("session", id))).await
    }

    async fn make_token(&self, name: String, role: Role) -> Result<Value, Error> {
        check_name(&name)?;
        if self.known().tokens.len() >= MOST {
            return Err(Error::field(Kind::Conflict, "name", format!("there are {MOST} tokens already")));
        }
        let secret = id::secret();
        let proof = self.proof(&secret);
        let token = Token { id: id::new("token"), name, role, made: WallTime::now(), last_used: None, proof };
        let kept = token.clone();
        self.with_store(move |store| store.put("token", &kept.id, &kept.proof, &kept)).await?;
        let answer = json!({ "tokenId": token.id, "token": secret, "name": token.name, "role": token.role });
        self.known().tokens.insert(token.id.clone(), token);
        self.changes.send_modify(|n| *n += 1);
        Ok(answer)
    }

    async fn revoke_token(&self, token_id: String) -> Result<Value, Error> {
        if !self.known().tokens.contains_key(&token_id) {
            return Err(Error::field(Kind::NotFound, "tokenId", format!("there is no token {token_id:?}")));
        }
        let id = token_id.clone();
        self.with_store(move |store| store.remove("token", &id)).await?;
        self.known().tokens.remove(&token_id);
        self.changes.send_modify(|n| *n += 1);
        Ok(json!({ "tokenId": token_id }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_for_a_spreadsheet_holds_no_formulas() {
        let entry = Entry {
            n: 1,
            at: WallTime(0),
            who: "=HYPERLINK(\"x\")".into(),
            role: Role::Producer,
            request: "ShowCard".into(),
            data: json!({ "cardId": "a" }),
            rev: Some(7),
            refused: None,
            programme_ms: [("main".to_owned(), 1234)].into(),
        };
        let text = csv(&[entry]);
        let row = text.lines().next().unwrap();
        assert!(row.contains("\"'=HYPERLINK(\"\"x\"\")\",\"producer\",\"ShowCard\""), "{row}");
        assert!(row.ends_with(",7,\"\""), "{row}");
        assert!(row.contains("\"main 1234\""), "{row}");
    }
}
