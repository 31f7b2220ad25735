//! AMCP, `CasparCG`'s protocol over TCP: graphics by channel and layer, for the many programs that speak it.
//!
//! Nobody signs in here, so it is off unless configured, and whoever reaches the address is a producer. A template's name
//! is a card of ours, which then goes on and off air, or one of our templates, of which a card `amcp-CHANNEL-LAYER` is made.
//! Never images, films, mixers or Flash's XML: what is not known is answered with 400.

pub mod parse;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::codec::{Framed, LinesCodec};

use self::parse::{Command, Fault, Place};
use super::Doors;
use super::error::{Error, Kind};
use super::people::Who;
use super::perform;
use crate::state::template;

/// A line that is longer closes the connection.
const MOST_LINE: usize = 256 * 1024;
/// Connections; more wait in the kernel.
const MOST_CONNECTIONS: usize = 32;
/// How long a client may take to read an answer.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// A client that is gone without a word is noticed by then.
const IDLE_LIMIT: Duration = Duration::from_hours(1);

/// Which card of ours a layer holds.
type Layers = Arc<Mutex<BTreeMap<Place, String>>>;

/// Serves until the doors stop.
pub async fn serve(listener: TcpListener, doors: Doors) {
    let doors = Doors { who: Who::program("AMCP"), ..doors };
    let (layers, room) = (Layers::default(), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            () = doors.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "an AMCP client");
                    stream
                }
                Err(error) => {
                    tracing::warn!("AMCP: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await; // out of files, for one
                    continue;
                }
            },
        };
        let (doors, layers) = (doors.clone(), layers.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = doors.stop.cancelled() => {}
                () = converse(&doors, &layers, stream) => {}
            }
            drop(permit);
        });
    }
}

async fn converse(doors: &Doors, layers: &Layers, stream: TcpStream) {
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MOST_LINE));
    while let Ok(Some(Ok(line))) = tokio::time::timeout(IDLE_LIMIT, lines.next()).await {
        if line.trim().is_empty() {
            continue;
        }
        // What the codec adds is the last line break.
        let answer = answer(doors, layers, &line).await.replace('\n', "\r\n") + "\r";
        if !matches!(tokio::time::timeout(SEND_LIMIT, lines.send(answer)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// What is answered to a line, without its end.
async fn answer(doors: &Doors, layers: &Layers, line: &str) -> String {
    let mut words = parse::words(line);
    // `REQ id` before a command, `RES id` before its answer.
    let mut before = String::new();
    if words.len() > 2 && words[0].eq_ignore_ascii_case("REQ") {
        before = format!("RES {} ", words[1]);
        words.drain(..2);
    }
    let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    let has_line = words.get(2).is_some_and(|verb| verb.eq_ignore_ascii_case("INVOKE"));
    let code = match parse::command(&words) {
        Ok(Command::Version) => {
            return format!("{before}201 VERSION OK\nVitrine {}", env!("CARGO_PKG_VERSION"));
        }
        Ok(command) => match follow(doors, layers, command).await {
            Ok(()) if has_line => return format!("{before}201 {name} OK\n"),
            Ok(()) => return format!("{before}202 {name} OK"),
            Err(error) => {
                tracing::info!("AMCP: {line:?} is refused: {error}");
                match error.kind {
                    Kind::NotFound if error.field.as_deref() == Some("channel") => 401,
                    Kind::NotFound => 404,
                    Kind::Failed => return format!("{before}501 {name} FAILED"),
                    _ => 403,
                }
            }
        },
        Err(Fault::Unknown) => return format!("{before}400 ERROR\n{line}"),
        Err(Fault::Missing) => 402,
        Err(Fault::Parameter) => 403,
    };
    format!("{before}{code} {name} ERROR")
}

/// The name of the nth channel, from 1.
fn channel(doors: &Doors, n: usize) -> Result<String, Error> {
    let name = n.checked_sub(1).and_then(|n| doors.status.keys().nth(n));
    name.cloned().ok_or_else(|| Error::no_channel(&n.to_string()))
}

/// A card that is made for a layer.
fn own_card(place: Place) -> String {
    format!("amcp-{}-{}", place.channel, place.layer)
}

async fn follow(doors: &Doors, layers: &Layers, command: Command) -> Result<(), Error> {
    let held = |place: Place| -> Result<String, Error> {
        let own = own_card(place);
        let known = layers.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        // After a restart the cards made here are still there.
        known
            .or_else(|| doors.director.state().cards.contains_key(&own).then_some(own))
            .ok_or_else(|| Error::field(Kind::NotFound, "layer", "nothing was added to it"))
    };
    let ask = |request: &'static str, data: Value| async move {
        perform::ask(doors, request, Some(data)).await.map(drop)
    };
    let with = |place: Place| -> Result<Value, Error> {
        Ok(json!({ "cardId": held(place)?, "channel": channel(doors, place.channel)? }))
    };
    match command {
        Command::Version => Ok(()),
        Command::Add { place, template, plays, data } => {
            let channel = channel(doors, place.channel)?;
            let card_id = add(doors, place, &template, data).await?;
            layers.lock().unwrap_or_else(PoisonError::into_inner).insert(place, card_id.clone());
            if plays {
                ask("ShowCard", json!({ "cardId": card_id, "channel": channel })).await?;
            }
            Ok(())
        }
        Command::Play(place) => ask("ShowCard", with(place)?).await,
        Command::Stop(place) => ask("HideCard", with(place)?).await,
        Command::Next(place) => ask("NextStep", with(place)?).await,
        Command::Update(place, data) => {
            let card_id = held(place)?;
            update(doors, &card_id, data).await
        }
        Command::Clear(n, None) => ask("ClearAll", json!({ "channel": channel(doors, n)? })).await,
        Command::Clear(n, Some(layer)) => match with(Place { channel: n, layer }) {
            Ok(mut data) => {
                data["skipAnimation"] = true.into();
                off(doors, data).await
            }
            Err(error) if error.field.as_deref() == Some("layer") => Ok(()), // it is clear
            Err(error) => Err(error),
        },
        Command::Remove(place) => {
            let mut data = with(place)?;
            data["skipAnimation"] = true.into();
            off(doors, data).await?;
            let card_id = held(place)?;
            layers.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
            if card_id == own_card(place) {
                ask("RemoveCard", json!({ "cardId": card_id })).await?;
            }
            Ok(())
        }
    }
}

/// Off air; what is not on air is so already.
async fn off(doors: &Doors, data: Value) -> Result<(), Error> {
    let state = doors.director.state();
    let is_on =
        state.airings.iter().any(|one| data["cardId"] == *one.card_id && data["channel"] == *one.channel);
    if !is_on {
        return Ok(());
    }
    perform::ask(doors, "HideCard", Some(data)).await.map(drop)
}

/// The card that a layer holds from now on.
async fn add(doors: &Doors, place: Place, template: &str, data: Map<String, Value>) -> Result<String, Error> {
    let state = doors.director.state();
    if state.cards.contains_key(template) {
        update(doors, template, data).await?;
        return Ok(template.to_owned());
    }
    let card_id = own_card(place);
    let Some(found) = state.templates.get(template) else {
        return Err(Error::field(
            Kind::NotFound,
            "template",
            format!("there is no card or template {template:?}"),
        ));
    };
    let mut card = json!({ "id": card_id, "template": template });
    let mut fields = typed(found, data);
    for name in ["sku", "skus"] {
        if let Some(value) = fields.remove(name) {
            card[name] = value;
        }
    }
    card["data"] = Value::Object(fields);
    // What the layer holds gives way, on air or not.
    let before =
        json!({ "cardId": card_id, "channel": channel(doors, place.channel)?, "skipAnimation": true });
    off(doors, before).await?;
    perform::ask(doors, "PutCard", Some(card)).await?;
    Ok(card_id)
}

async fn update(doors: &Doors, card_id: &str, data: Map<String, Value>) -> Result<(), Error> {
    if data.is_empty() {
        return Ok(());
    }
    let state = doors.director.state();
    let template = state.cards.get(card_id).and_then(|card| state.templates.get(&card.template));
    let data = template.map_or_else(Map::new, |template| typed(template, data));
    perform::ask(doors, "UpdateCard", Some(json!({ "cardId": card_id, "data": data }))).await.map(drop)
}

/// Values as the template's fields want them: these clients send everything as text.
fn typed(template: &template::Template, data: Map<String, Value>) -> Map<String, Value> {
    let kind = |name: &str| template.fields.iter().find(|field| field.name == name).map(|field| &field.kind);
    let value = |name: &str, value: Value| match (kind(name), &value) {
        (Some(template::Kind::Number { .. }), Value::String(text)) => {
            text.trim().parse::<serde_json::Number>().map_or(value, Value::Number)
        }
        (Some(template::Kind::Flag), Value::String(text)) => match text.trim() {
            "1" | "true" => true.into(),
            "0" | "false" | "" => false.into(),
            _ => value,
        },
        _ => value,
    };
    data.into_iter()
        .map(|(name, given)| {
            let value = value(&name, given);
            (name, value)
        })
        .collect()
}
