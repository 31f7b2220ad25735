//! The picture on air for producers, with little delay: JPEG over a WebSocket, and cheap enough for a telephone.
//!
//! `GET /api/v1/channels/{channel}/monitor` becomes a WebSocket. The client's first message is `{"token":"…"}`, unless
//! its browser has signed in; then
//! each picture comes as a text message with its time and a binary message, the file. Who reads slowly gets fewer.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Doors;
use super::error::Error;
use super::people::{Who, door};
use crate::media::Picture;
use crate::time::WallTime;

/// From the connection to the token, and how long a client may take to read a picture.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client has nothing long to say.
const MOST_BYTES: usize = 4096;
/// obs-websocket's number for it, as on `/ws`.
const WRONG_PASSWORD: u16 = 4009;

/// A channel's pictures.
pub struct Feed {
    /// The newest.
    pub pictures: watch::Receiver<Option<Picture>>,
    /// As long as it is kept, they come often.
    pub watching: Box<dyn Any + Send>,
}

/// Begins to watch a channel.
pub type Monitor = Arc<dyn Fn(&str) -> Option<Feed> + Send + Sync>;

pub(super) async fn upgrade(
    State(doors): State<Doors>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    let signed_in = door::by_cookie(&doors, &headers, &uri, false);
    if !doors.status.contains_key(&channel) {
        return Error::no_channel(&channel).into_response();
    }
    upgrade.max_message_size(MOST_BYTES).on_upgrade(move |socket| async move {
        let stop = doors.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = serve(doors, signed_in, channel, socket) => {}
        }
    })
}

async fn serve(doors: Doors, signed_in: Option<Who>, channel: String, mut socket: WebSocket) {
    let mut who = signed_in;
    if who.is_none() {
        let given = tokio::time::timeout(PATIENCE, token(&mut socket)).await.ok().flatten();
        who = given.and_then(|given| doors.people.by_token(&given));
    }
    let Some(who) = who else {
        let frame = CloseFrame { code: WRONG_PASSWORD, reason: "the token is missing or wrong".into() };
        let _ = tokio::time::timeout(PATIENCE, socket.send(Message::Close(Some(frame)))).await;
        return;
    };
    let mut people = doors.people.changes();
    let Some(Feed { mut pictures, watching }) = (doors.monitor)(&channel) else { return };
    pictures.mark_changed(); // the newest at once
    loop {
        tokio::select! {
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            Ok(()) = people.changed() => {
                if doors.people.again(&who).is_none() {
                    break;
                }
            }
            Ok(()) = pictures.changed() => {
                let Some(picture) = pictures.borrow_and_update().clone() else { continue };
                if !send(&doors, &channel, &mut socket, picture).await {
                    break;
                }
            }
            else => break,
        }
    }
    drop(watching);
}

async fn token(socket: &mut WebSocket) -> Option<String> {
    loop {
        match socket.recv().await? {
            Ok(Message::Text(text)) => {
                let told: Value = serde_json::from_str(&text).ok()?;
                return told.get("token")?.as_str().map(str::to_owned);
            }
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            _ => return None,
        }
    }
}

async fn send(doors: &Doors, channel: &str, socket: &mut WebSocket, picture: Picture) -> bool {
    let wall = doors.status.get(channel).map_or(WallTime::default(), |status| {
        let status = status.borrow();
        WallTime(status.programme_wall.0 - status.programme_ms as i64 + picture.time.as_millis() as i64)
    });
    let about = json!({ "programmeMs": picture.time.as_millis(), "programmeWall": wall }).to_string();
    let sending = async {
        socket.send(Message::Text(about.into())).await.is_ok()
            && socket.send(Message::Binary(picture.jpeg)).await.is_ok()
    };
    tokio::time::timeout(PATIENCE, sending).await.unwrap_or(false)
}
