//! Rundowns over REST: the same requests as over the WebSocket, with the names in the path.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Doors;
use super::error::{Error, Kind};
use super::http::{Answer, ask, named, with_names};
use super::people::door::Caller;
use crate::state::rundown::Bundle;

/// A rundown with its cards and products is as large as a whole show.
const MOST_IMPORT: usize = 8 * 1024 * 1024;

pub(super) fn routes() -> Router<Doors> {
    let import = Router::new()
        .route("/rundowns/import", post(import_rundown))
        .layer(DefaultBodyLimit::max(MOST_IMPORT));
    Router::new()
        .route("/rundowns", get(list))
        .route("/rundowns/{rundown}", get(one).put(put_rundown).patch(update).delete(remove))
        .route("/rundowns/{rundown}/export", get(export))
        .route("/rundowns/{rundown}/items", post(add_item))
        .route("/rundowns/{rundown}/items/{item}", put(put_item).delete(remove_item))
        .route("/rundowns/{rundown}/items/{item}/move", post(move_item))
        .route("/rundowns/{rundown}/items/{item}/duplicate", post(duplicate))
        .route("/channels/{channel}/rundown", put(choose))
        .route("/channels/{channel}/cue", put(cue))
        .route("/channels/{channel}/take", post(take))
        .route("/channels/{channel}/hide-all", post(hide_all))
        .merge(import)
}

named! {
    put_rundown => "PutRundown", "rundownId";
    update => "UpdateRundown", "rundownId";
    remove => "RemoveRundown", "rundownId";
    add_item => "PutItem", "rundownId";
    put_item => "PutItem", "rundownId", "itemId";
    remove_item => "RemoveItem", "rundownId", "itemId";
    move_item => "MoveItem", "rundownId", "itemId";
    duplicate => "DuplicateItem", "rundownId", "itemId";
    choose => "ChooseRundown", "channel";
    cue => "CueItem", "channel";
    take => "Take", "channel";
    hide_all => "HideAll", "channel";
    export => "ExportRundown", "rundownId";
}

async fn import_rundown(Caller(doors): Caller, body: Bytes) -> Answer {
    ask(&doors, "ImportRundown", with_names(&body, &[], &[])?).await
}

async fn list(Caller(doors): Caller) -> Json<Value> {
    let state = doors.director.state();
    let about = |rundown: &crate::state::Rundown| {
        json!({
            "rundownId": rundown.id, "title": rundown.title,
            "isArchived": rundown.is_archived, "items": rundown.items.len(),
        })
    };
    let rundowns: Vec<Value> = state.rundowns.values().map(about).collect();
    Json(json!({ "rev": state.rev, "rundowns": rundowns, "cues": state.cues }))
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
