//! `/ws/state?token=…`: what buttons and small displays show, pushed as one flat JSON object, at once and whenever it
//! changes. No handshake, nothing to send: for programs that can only listen.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Doors;
use super::error::Error;
use super::people::Who;
use super::people::door::unauthorised;

/// How long a client may take to read.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// A client has nothing to say.
const MOST_BYTES: usize = 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    token: String,
    #[serde(default = "super::message::main_channel")]
    channel: String,
}

pub(super) async fn upgrade(
    State(doors): State<Doors>,
    Query(words): Query<Words>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(who) = doors.people.by_token(&words.token) else { return unauthorised().into_response() };
    let channel = words.channel;
    if !doors.status.contains_key(&channel) {
        return Error::no_channel(&channel).into_response();
    }
    upgrade.max_message_size(MOST_BYTES).on_upgrade(move |socket| async move {
        let stop = doors.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = follow(&doors, &who, &channel, socket) => {}
        }
    })
}

/// A client that is slow gets the newest and not all.
async fn follow(doors: &Doors, who: &Who, channel: &str, mut socket: WebSocket) {
    let mut people = doors.people.changes();
    let mut snapshots = doors.director.snapshots();
    let Some(mut status) = doors.status.get(channel).cloned() else { return };
    let mut told = Value::Null;
    loop {
        let now = flat(doors, channel);
        if now != told {
            let sending = socket.send(Message::Text(now.to_string().into()));
            if !matches!(tokio::time::timeout(SEND_LIMIT, sending).await, Ok(Ok(()))) {
                return;
            }
            told = now;
        }
        tokio::select! {
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            Ok(()) = snapshots.changed() => {}
            Ok(()) = people.changed() => {
                if doors.people.again(who).is_none() {
                    return;
                }
            }
            Ok(()) = status.changed() => {}
            else => return,
        }
    }
}

/// What buttons show, in one flat object: words and numbers that need no path.
fn flat(doors: &Doors, channel: &str) -> Value {
    let state = doors.director.state();
    let status = doors.status.get(channel).map(|status| status.borrow().clone()).unwrap_or_default();
    let title = |card_id: &str| {
        let card = state.cards.get(card_id)?;
        let product = || Some(state.products.get(card.sku.as_ref()?)?.title.clone());
        card.title.clone().or_else(product).or_else(|| Some(card.id.clone()))
    };
    let on_air: Vec<&str> = (state.airings.iter())
        .filter(|airing| airing.channel == channel)
        .map(|airing| airing.card_id.as_str())
        .collect();
    let pinned = state.airings.iter().find(|airing| airing.channel == channel && airing.is_pinned);
    let cue = state.cues.get(channel);
    let rundown = cue.and_then(|cue| state.rundowns.get(&cue.rundown_id));
    let place = cue.zip(rundown).and_then(|(cue, rundown)| rundown.place(cue.item_id.as_ref()?));
    let item = rundown.zip(place).and_then(|(rundown, place)| rundown.items.get(place));
    let next = item.and_then(|item| item.card_id.as_deref());
    json!({
        "rev": state.rev,
        "channel": channel,
        "isPractice": state.practice.contains(channel),
        "isLive": !status.publishers.is_empty(),
        "onAir": on_air.join(","),
        "onAirCount": on_air.len(),
        "onAirTitle": on_air.last().and_then(|card| title(card)),
        "pinned": pinned.and_then(|airing| airing.sku.clone()),
        "pinnedTitle": pinned.and_then(|airing| title(&airing.card_id)),
        "viewers": status.viewers,
        "rundown": rundown.map(|rundown| rundown.title.clone()),
        "next": next,
        "nextItem": item.map(|item| item.id.clone()),
        "nextTitle": next.and_then(title),
        "nextNotes": item.map(|item| item.notes.clone()),
    })
}
