//! Shows that were on air, for producers: the list, with chapters and addresses, and deleting one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Doors;
use super::error::{Error, Kind};
use super::paging::Page;
use super::people::door::Caller;
use super::perform;
use crate::package::show::Show;
use crate::state::Role;

/// Where shows are kept.
pub trait Archive: Send + Sync {
    /// A channel's shows, the oldest first, and their bytes. Blocks.
    fn list(&self, channel: &str) -> Vec<(Show, u64)>;

    /// Deletes one that is over; whether it was there. Blocks.
    ///
    /// # Errors
    /// When it cannot be deleted, in words.
    fn remove(&self, channel: &str, show: &str) -> Result<bool, String>;
}

/// Kept shows, as the doors have them.
pub type Shows = Arc<dyn Archive>;

fn known(doors: &Doors, channel: &str) -> Result<(), Error> {
    if doors.status.contains_key(channel) {
        return Ok(());
    }
    Err(Error::no_channel(channel))
}

/// `GET /channels/{channel}/shows`: the newest first.
pub(super) async fn list(
    Caller(doors): Caller,
    Path(channel): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Error> {
    known(&doors, &channel)?;
    let name = channel.clone();
    let found = tokio::task::spawn_blocking(move || doors.shows.list(&name)).await.unwrap_or_default();
    let (shows, next) = page.of_list(found.into_iter().rev().collect(), |(show, _)| show.id.clone())?;
    let shows: Vec<Value> = shows.iter().map(|(show, bytes)| written(&channel, show, *bytes)).collect();
    Ok(Json(json!({ "shows": shows, "next": next })))
}

fn written(channel: &str, show: &Show, bytes: u64) -> Value {
    let base = format!("/vod/{channel}/{}", show.id);
    let end = show.end.or_else(|| show.ranges.iter().map(|range| range.start).max()).unwrap_or(show.start);
    let chapters: Vec<Value> = show
        .chapters(end)
        .iter()
        .map(|chapter| {
            let mut told = json!(chapter);
            told["clip"] = format!("{base}/clips/{}/index.m3u8", chapter.airing_id).into();
            told
        })
        .collect();
    json!({
        "id": show.id,
        "start": show.start,
        "end": show.end,
        "isRunning": show.end.is_none(),
        "bytes": bytes,
        "playlist": format!("{base}/index.m3u8"),
        "download": format!("{base}/show.mp4"),
        "chapters": chapters,
    })
}

/// `DELETE /channels/{channel}/shows/{show}`.
pub(super) async fn remove(
    Caller(doors): Caller,
    Path((channel, show)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    let data = json!({ "channel": channel, "show": show });
    let outcome = remove_show(&doors, channel, show).await;
    let noted = outcome.as_ref().map(|_| Value::Null).map_err(Clone::clone);
    perform::note(&doors, "RemoveShow", data, &noted).await;
    outcome
}

async fn remove_show(doors: &Doors, channel: String, show: String) -> Result<StatusCode, Error> {
    doors.allow(Role::Producer)?;
    known(doors, &channel)?;
    let (shows, name) = (doors.shows.clone(), show.clone());
    let outcome = tokio::task::spawn_blocking(move || shows.remove(&channel, &name)).await;
    match outcome.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => {
            let text = format!("there is no show {show:?} that is over");
            Err(Error::field(Kind::NotFound, "show", text))
        }
        Err(detail) => Err(Error::field(Kind::BadField, "show", detail)),
    }
}
