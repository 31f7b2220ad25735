//! Rundowns over REST: the same requests as over the WebSocket, with the names in the path.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::Method;
use serde_json::{Value, json};

use super::Doors;
use super::api::{Gives, Table, Takes};
use super::error::{Error, Kind};
use super::http::Answer;
use super::paging::{PAGE, Page};
use super::people::door::Caller;
use crate::state::rundown::Bundle;

/// Bytes of an import.
const MOST_IMPORT: usize = 8 * 1024 * 1024;

pub(super) fn table() -> Table {
    Table::new("Rundowns")
        .row(
            (Method::GET, "/rundowns"),
            "GetRundowns",
            "All rundowns, and where channels stand",
            (PAGE, Takes::None, Gives::Object),
            list,
        )
        .row(
            (Method::GET, "/rundowns/{rundownId}"),
            "GetRundown",
            "One rundown",
            (&[], Takes::None, Gives::Object),
            one,
        )
        .ask(Method::PUT, "/rundowns/{rundownId}", "PutRundown", "Adds or replaces a rundown")
        .ask(Method::PATCH, "/rundowns/{rundownId}", "UpdateRundown", "Another title, or the show is over")
        .ask(Method::DELETE, "/rundowns/{rundownId}", "RemoveRundown", "Takes a rundown away; its cards stay")
        .ask(
            Method::GET,
            "/rundowns/{rundownId}/export",
            "ExportRundown",
            "A rundown with its cards and their products",
        )
        .ask(Method::POST, "/rundowns/{rundownId}/items", "PutItem", "Adds a line")
        .ask(Method::PUT, "/rundowns/{rundownId}/items/{itemId}", "PutItem", "Adds or replaces a line")
        .ask(
            Method::DELETE,
            "/rundowns/{rundownId}/items/{itemId}",
            "RemoveItem",
            "Takes a line out; its card stays",
        )
        .ask(
            Method::POST,
            "/rundowns/{rundownId}/items/{itemId}/move",
            "MoveItem",
            "Moves a line before another, or to the end",
        )
        .ask(
            Method::POST,
            "/rundowns/{rundownId}/items/{itemId}/duplicate",
            "DuplicateItem",
            "A copy behind it, with a copy of its card",
        )
        .ask(Method::PUT, "/channels/{channel}/rundown", "ChooseRundown", "Begins a rundown in a channel")
        .ask(Method::PUT, "/channels/{channel}/cue", "CueItem", "Says what is taken next")
        .ask(
            Method::POST,
            "/channels/{channel}/take",
            "Take",
            "Puts on air what is next, and cues what comes after it",
        )
        .ask(
            Method::POST,
            "/channels/{channel}/hide-all",
            "HideAll",
            "Takes everything out, each with its animation",
        )
}

/// A rundown with its cards and products is as large as a whole show.
pub(super) fn import_table() -> Table {
    Table::new("Rundowns")
        .ask(
            Method::POST,
            "/rundowns/import",
            "ImportRundown",
            "Brings in what was exported, whole or not at all",
        )
        .most(MOST_IMPORT)
}

async fn list(Caller(doors): Caller, Query(page): Query<Page>) -> Json<Value> {
    let state = doors.director.state();
    let about = |rundown: &crate::state::Rundown| {
        json!({
            "rundownId": rundown.id, "title": rundown.title,
            "isArchived": rundown.is_archived, "items": rundown.items.len(),
        })
    };
    let (rundowns, next) = page.of_sorted(state.rundowns.iter());
    let rundowns: Vec<Value> = rundowns.into_iter().map(about).collect();
    Json(json!({ "rev": state.rev, "rundowns": rundowns, "cues": state.cues, "next": next }))
}

async fn one(Caller(doors): Caller, Path(rundown_id): Path<String>) -> Answer {
    let state = doors.director.state();
    let rundown = state.rundowns.get(&rundown_id).ok_or_else(|| missing(&rundown_id))?;
    Ok(Json(json!({ "rev": state.rev, "rundown": rundown })))
}

fn missing(rundown_id: &str) -> Error {
    Error::field(Kind::NotFound, "rundownId", format!("there is no rundown {rundown_id:?}"))
}

/// A rundown with its cards and their products.
///
/// # Errors
/// When there is none.
pub(super) fn bundle(doors: &Doors, rundown_id: &str) -> Result<Value, Error> {
    let state = doors.director.state();
    let rundown = state.rundowns.get(rundown_id).ok_or_else(|| missing(rundown_id))?.clone();
    let used = |id: &&String| rundown.items.iter().any(|item| item.card_id.as_ref() == Some(*id));
    let cards: Vec<_> = state.cards.values().filter(|card| used(&&card.id)).cloned().collect();
    let shown = |sku: &str| cards.iter().any(|card| card.products().any(|of| of == sku));
    let products = state.products.values().filter(|product| shown(&product.sku)).cloned().collect();
    serde_json::to_value(Bundle { rundown, cards, products })
        .map_err(|error| Error::plain(Kind::Failed, error))
}
