//! Triggers for buttons: addresses that do one thing when they are fetched, and a picture for each button. For Stream
//! Deck, Companion and whatever else can fetch an address.
//!
//! The paths under `/api/v1` are SPX's, so that its profiles work here: `item` is a line of the channel's rundown or a
//! card, and what SPX calls focus is what is next. `GET` changes something, so the password is wanted with every one
//! (`?apikey=`, or as everywhere else), and nothing may keep the answer.

use std::io::Cursor;

use axum::extract::{Path, Query, Request, State};
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use image::imageops::{self, FilterType};
use image::{ImageFormat, Rgb, RgbImage};
use serde::Deserialize;
use serde_json::json;

use super::api::{Gives, Parameter, Table, Takes, ask, parameter};
use super::error::{Error, Kind};
use super::http::{Answer, bearer};
use super::people::door::{Caller, unauthorised};
use super::{Doors, Subject, View};
use crate::state::Rundown;

/// Pixels of a button's side, as Stream Deck XL has them.
const SIDE: u32 = 144;
/// Around a button, when its card is on air or next.
const BORDER: u32 = 8;
const ON_AIR: Rgb<u8> = Rgb([229, 33, 63]);
const NEXT: Rgb<u8> = Rgb([255, 179, 71]);
const GROUND: Rgb<u8> = Rgb([18, 16, 22]);

/// What stands behind the `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Words {
    #[serde(default = "super::message::main_channel")]
    channel: String,
    #[serde(default)]
    apikey: Option<String>,
    /// A rundown, with or without SPX's `.json`.
    #[serde(default)]
    file: Option<String>,
}

/// What can be done with a line or a card; the rest is refused.
pub(super) const ITEM_VERBS: [&str; 6] = ["play", "continue", "stop", "toggle", "advance", "swap"];
/// What can be done with the rundown.
pub(super) const RUNDOWN_VERBS: [&str; 5] =
    ["stopAllLayers", "take", "focusFirst", "focusNext", "focusPrevious"];

const WORDS: &[Parameter] = &[
    parameter("channel", "string", "Which, if it is not `main`"),
    parameter("apikey", "string", "The token, for what can set no header"),
];
const LOAD: &[Parameter] = &[
    Parameter {
        name: "file",
        kind: "string",
        about: "The rundown's id, with or without `.json`",
        values: &[],
    },
    WORDS[0],
    WORDS[1],
];

/// Each address answers both ways of asking.
fn both<H, T>(
    table: Table,
    path: &'static str,
    [get, post]: [&'static str; 2],
    about: &'static str,
    (query, handler): (&'static [Parameter], H),
) -> Table
where
    H: Handler<T, Doors>,
    T: 'static,
{
    let rest = (query, Takes::None, Gives::Object);
    table.row((Method::GET, path), get, about, rest, handler.clone()).row(
        (Method::POST, path),
        post,
        about,
        rest,
        handler,
    )
}

pub(super) fn table(doors: &Doors) -> Table {
    let mut table = Table::new("Buttons");
    table = both(
        table,
        "/item/{itemVerb}",
        ["TriggerNext", "TriggerNextPost"],
        "Does it with what is next",
        (WORDS, item),
    );
    table = both(
        table,
        "/item/{itemVerb}/{itemId}",
        ["Trigger", "TriggerPost"],
        "Does it with a line of the rundown, or a card",
        (WORDS, named_item),
    );
    table =
        both(table, "/rundown/load", ["LoadRundown", "LoadRundownPost"], "Begins a rundown", (LOAD, load));
    table = both(
        table,
        "/rundown/{rundownVerb}",
        ["TriggerRundown", "TriggerRundownPost"],
        "Takes what is next, goes to another line, or takes everything out",
        (WORDS, rundown),
    );
    table = both(
        table,
        "/rundown/focusByID/{itemId}",
        ["FocusItem", "FocusItemPost"],
        "Says what is next",
        (WORDS, focus),
    );
    table = both(table, "/panic", ["Panic", "PanicPost"], "Cuts everything at once", (WORDS, panic));
    table = table.row(
        (Method::GET, "/cards/{cardId}/button.jpg"),
        "GetButton",
        "A picture for a button: red around when the card is on air, yellow when it is next",
        (WORDS, Takes::None, Gives::File("image/jpeg")),
        button,
    );
    table.router = table.router.layer(middleware::from_fn_with_state(doors.clone(), authorised));
    table
}

/// Never by cookie: `GET` changes something here, and any page can make a browser fetch.
async fn authorised(
    State(doors): State<Doors>,
    Query(words): Query<Words>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = words.apikey.as_deref().unwrap_or_else(|| bearer(request.headers()));
    let Some(who) = doors.people.by_token(given) else { return unauthorised().into_response() };
    request.extensions_mut().insert(who);
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

fn no_such(name: &str, what: &str, verb: &str) -> Error {
    Error::field(Kind::UnknownType, name, format!("there is no {what} {verb:?}"))
}

async fn item(Caller(doors): Caller, Path(verb): Path<String>, Query(words): Query<Words>) -> Answer {
    let cue = doors.director.state().cues.get(&words.channel).and_then(|cue| cue.item_id.clone());
    let item = cue.ok_or_else(|| Error::field(Kind::Conflict, "itemId", "nothing is cued"))?;
    act(&doors, &verb, &item, words.channel).await
}

async fn named_item(
    Caller(doors): Caller,
    Path((verb, item)): Path<(String, String)>,
    Query(words): Query<Words>,
) -> Answer {
    act(&doors, &verb, &item, words.channel).await
}

async fn act(doors: &Doors, verb: &str, item: &str, channel: String) -> Answer {
    let request = match verb {
        "play" => "ShowCard",
        "continue" => "NextStep",
        "stop" => "HideCard",
        "toggle" => "ToggleCard",
        "advance" => "AdvanceCard",
        "swap" => "SwapCard",
        _ => return Err(no_such("itemVerb", "trigger", verb)),
    };
    let state = doors.director.state();
    let rundown = state.cues.get(&channel).and_then(|cue| state.rundowns.get(&cue.rundown_id));
    let line = rundown.and_then(|rundown| rundown.items.get(rundown.place(item)?)?.card_id.clone());
    let card_id = line.unwrap_or_else(|| item.to_owned());
    ask(doors, request, json!({ "cardId": card_id, "channel": channel })).await
}

async fn load(Caller(doors): Caller, Query(words): Query<Words>) -> Answer {
    let file = words.file.ok_or_else(|| Error::field(Kind::MissingField, "file", "it is missing"))?;
    let rundown_id = file.strip_suffix(".json").unwrap_or(&file);
    ask(&doors, "ChooseRundown", json!({ "channel": words.channel, "rundownId": rundown_id })).await
}

async fn rundown(Caller(doors): Caller, Path(verb): Path<String>, Query(words): Query<Words>) -> Answer {
    let channel = words.channel;
    let item_id = match verb.as_str() {
        "stopAllLayers" => return ask(&doors, "HideAll", json!({ "channel": channel })).await,
        "take" => return ask(&doors, "Take", json!({ "channel": channel })).await,
        "focusFirst" => {
            beside(&doors, &channel, |rundown, _| rundown.ready_from(0).map(|item| item.id.clone()))
        }
        "focusNext" => beside(&doors, &channel, |rundown, at| {
            let next = rundown.ready_from(at.map_or(0, |at| at + 1));
            next.map(|item| item.id.clone())
        }),
        "focusPrevious" => beside(&doors, &channel, |rundown, at| {
            let before = at.unwrap_or(rundown.items.len());
            let ready = |place: &usize| {
                rundown.ready_from(*place).is_some_and(|item| item.id == rundown.items[*place].id)
            };
            (0..before).rev().find(ready).map(|place| rundown.items[place].id.clone())
        }),
        _ => return Err(no_such("rundownVerb", "trigger", &verb)),
    };
    let item_id = item_id.ok_or_else(|| Error::field(Kind::Conflict, "itemId", "the rundown ends there"))?;
    ask(&doors, "CueItem", json!({ "channel": channel, "itemId": item_id })).await
}

/// An item of the channel's rundown, seen from what is next.
fn beside(
    doors: &Doors,
    channel: &str,
    find: impl Fn(&Rundown, Option<usize>) -> Option<String>,
) -> Option<String> {
    let state = doors.director.state();
    let cue = state.cues.get(channel)?;
    let rundown = state.rundowns.get(&cue.rundown_id)?;
    find(rundown, cue.item_id.as_ref().and_then(|item| rundown.place(item)))
}

async fn focus(Caller(doors): Caller, Path(item): Path<String>, Query(words): Query<Words>) -> Answer {
    ask(&doors, "CueItem", json!({ "channel": words.channel, "itemId": item })).await
}

async fn panic(Caller(doors): Caller, Query(words): Query<Words>) -> Answer {
    ask(&doors, "ClearAll", json!({ "channel": words.channel })).await
}

/// The card as a square picture, red around it when it is on air, yellow when it is next.
async fn button(
    Caller(doors): Caller,
    Path(card): Path<String>,
    Query(words): Query<Words>,
) -> Result<Response, Error> {
    let (state, channel) = (doors.director.state(), words.channel);
    let missing = || Error::field(Kind::NotFound, "cardId", format!("there is no card {card:?}"));
    if !doors.status.contains_key(&channel) {
        return Err(Error::no_channel(&channel));
    }
    let found = state.cards.get(&card).cloned().ok_or_else(missing)?;
    let is_next = beside(&doors, &channel, |rundown, at| rundown.items.get(at?)?.card_id.clone());
    let border = if state.on_air(&card, &channel).is_some() {
        ON_AIR
    } else if is_next.as_deref() == Some(card.as_str()) {
        NEXT
    } else {
        GROUND
    };
    let painter = doors.painter.clone();
    let draw = move || {
        let painting = painter(&Subject::Card(Box::new(found)), &channel, View::Card)?;
        square(&painting.png, border).map_err(|error| error.to_string())
    };
    let drawn = tokio::task::spawn_blocking(draw).await.map_err(|error| Error::plain(Kind::Failed, error))?;
    let jpeg = drawn.map_err(|error| Error::plain(Kind::Failed, error))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

fn square(png: &[u8], border: Rgb<u8>) -> Result<Vec<u8>, image::ImageError> {
    let card = image::load_from_memory_with_format(png, ImageFormat::Png)?;
    let room = SIDE - 2 * BORDER;
    let card = card.resize(room, room, FilterType::Triangle).to_rgba8();
    let mut ground =
        image::RgbaImage::from_pixel(room, room, image::Rgba([GROUND[0], GROUND[1], GROUND[2], 255]));
    let (left, top) = ((room - card.width()) / 2, (room - card.height()) / 2);
    imageops::overlay(&mut ground, &card, left.into(), top.into());
    let mut button = RgbImage::from_pixel(SIDE, SIDE, border);
    let inner = image::DynamicImage::ImageRgba8(ground).to_rgb8();
    imageops::replace(&mut button, &inner, BORDER.into(), BORDER.into());
    let mut jpeg = Cursor::new(Vec::new());
    button.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}
