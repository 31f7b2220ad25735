//! REST under `/api/v1`, with the same verbs and words as the WebSocket, and the health and metrics addresses.
//!
//! A body is the request's `requestData`; names in the path are filled in. Every request needs
//! `Authorization: Bearer TOKEN` or the cookie of somebody who has signed in.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{Error, Kind};
use super::people::desk;
use super::people::door::{self, Caller};
use super::{
    Doors, Subject, View, announce, links, message, metrics, monitor, perform, push, rundowns, shows, socket,
    triggers,
};
use crate::state::{Card, Command, Role, money};
use crate::store::pictures;

/// A JSON body larger than this is refused.
const MOST_BODY: usize = 256 * 1024;
/// Of somebody who is not known yet.
const MOST_LOGIN: usize = 4096;

/// The routes.
pub fn router(doors: Doors) -> Router {
    let pictures = Router::new()
        .route("/products/{sku}/image", put(put_image))
        .route("/pictures", post(add_picture))
        .layer(DefaultBodyLimit::max(pictures::MOST_BYTES + 1024));
    let api = Router::new()
        .route("/state", get(state))
        .route("/version", get(version))
        .route("/currencies", get(currencies))
        .route("/products", get(products))
        .route("/products/{sku}", put(put_product).delete(remove_product))
        .route("/products/{sku}/price", post(set_price))
        .route("/products/{sku}/stock", post(set_stock))
        .route("/cards", get(cards))
        .route("/cards/{card}", put(put_card).patch(update_card).delete(remove_card))
        .route("/cards/{card}/show", post(show))
        .route("/cards/{card}/hide", post(hide))
        .route("/cards/{card}/toggle", post(toggle))
        .route("/cards/{card}/swap", post(swap))
        .route("/cards/{card}/advance", post(advance))
        .route("/cards/{card}/next", post(next_step))
        .route("/cards/{card}/preview.png", get(preview))
        .route("/preview", post(draft))
        .route("/templates", get(templates))
        .route("/templates/{template}", get(template))
        .route("/templates/{template}/thumbnail.png", get(thumbnail))
        .route("/stream-keys", get(stream_keys).post(make_stream_key))
        .route("/stream-keys/{key}", delete(revoke_stream_key))
        .route("/stream-keys/{key}/rotate", post(rotate_stream_key))
        .route("/channels", get(channels))
        .route("/channels/{channel}", get(channel))
        .route("/channels/{channel}/source", put(set_source).delete(remove_source))
        .route("/channels/{channel}/links", post(links::make))
        .route("/channels/{channel}/shows", get(shows::list))
        .route("/channels/{channel}/shows/{show}", delete(shows::remove))
        .route("/channels/{channel}/metadata", post(announce::announce))
        .route("/clear", post(clear))
        .route("/undo", post(undo))
        .route("/import", post(import))
        .merge(rundowns::routes())
        .merge(desk::routes())
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .merge(pictures)
        .layer(middleware::from_fn_with_state(doors.clone(), door::authorised))
        .merge(desk::session_routes().layer(DefaultBodyLimit::max(MOST_LOGIN)));
    Router::new()
        .nest("/api/v1", api.merge(triggers::routes(&doors)))
        // A browser can set no header on a WebSocket: it asks for the token itself.
        .route("/api/v1/channels/{channel}/monitor", get(monitor::upgrade))
        .route("/ws", get(socket::upgrade))
        .route("/ws/state", get(push::upgrade))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .with_state(doors)
}

/// What stands in `Authorization`, if it is a token.
pub(super) fn bearer(headers: &HeaderMap) -> &str {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

pub(super) type Answer = Result<Json<Value>, Error>;

/// The body as an object in which what the path names is filled in.
///
/// # Errors
/// [`Error`] when it is no object.
pub(super) fn with_names(body: &Bytes, names: &[&str], values: &[String]) -> Result<Value, Error> {
    let mut data = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(body) {
            Ok(Value::Object(data)) => data,
            Ok(_) => return Err(Error::plain(Kind::BadField, "the body is not a JSON object")),
            Err(error) => return Err(Error::plain(Kind::BadField, format!("the body is not JSON: {error}"))),
        }
    };
    data.extend(names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
    Ok(Value::Object(data))
}

/// Does a request by its name.
///
/// # Errors
/// [`Error`].
pub(super) async fn ask(doors: &Doors, request: &str, data: Value) -> Answer {
    perform::ask(doors, request, Some(data)).await.map(Json)
}

/// Handlers for requests; what their path names, in order.
macro_rules! named {
    ($($handler:ident => $request:literal, $($name:literal),*;)*) => {$(
        async fn $handler(Caller(doors): Caller, Path(values): Path<Vec<String>>, body: Bytes) -> Answer {
            ask(&doors, $request, with_names(&body, &[$($name),*], &values)?).await
        }
    )*};
}
pub(super) use named;

named! {
    put_product => "PutProduct", "sku";
    remove_product => "RemoveProduct", "sku";
    set_price => "SetPrice", "sku";
    set_stock => "SetStock", "sku";
    put_card => "PutCard", "id";
    update_card => "UpdateCard", "cardId";
    remove_card => "RemoveCard", "cardId";
    show => "ShowCard", "cardId";
    hide => "HideCard", "cardId";
    toggle => "ToggleCard", "cardId";
    swap => "SwapCard", "cardId";
    advance => "AdvanceCard", "cardId";
    next_step => "NextStep", "cardId";
    revoke_stream_key => "RevokeStreamKey", "keyId";
    rotate_stream_key => "RotateStreamKey", "keyId";
    set_source => "SetSource", "channel";
}

async fn make_stream_key(Caller(doors): Caller, body: Bytes) -> Answer {
    ask(&doors, "MakeStreamKey", with_names(&body, &[], &[])?).await
}

async fn stream_keys(Caller(doors): Caller) -> Json<Value> {
    let state = doors.director.state();
    Json(json!({ "rev": state.rev, "streamKeys": state.stream_keys.values().collect::<Vec<_>>() }))
}

async fn remove_source(Caller(doors): Caller, Path(channel): Path<String>) -> Answer {
    ask(&doors, "SetSource", json!({ "channel": channel, "url": null })).await
}

async fn channels(Caller(doors): Caller) -> Json<Value> {
    let channels: Vec<Value> = doors.status.keys().map(|name| perform::channel(&doors, name)).collect();
    Json(json!({ "channels": channels }))
}

async fn channel(Caller(doors): Caller, Path(name): Path<String>) -> Answer {
    if !doors.status.contains_key(&name) {
        return Err(Error::no_channel(&name));
    }
    Ok(Json(perform::channel(&doors, &name)))
}

async fn clear(Caller(doors): Caller, body: Bytes) -> Answer {
    ask(&doors, "ClearAll", with_names(&body, &[], &[])?).await
}

async fn undo(Caller(doors): Caller) -> Answer {
    ask(&doors, "Undo", json!({})).await
}

async fn import(Caller(doors): Caller) -> Answer {
    ask(&doors, "ImportProducts", json!({})).await
}

async fn state(Caller(doors): Caller) -> Answer {
    ask(&doors, "GetState", json!({})).await
}

async fn version(Caller(doors): Caller) -> Answer {
    ask(&doors, "GetVersion", json!({})).await
}

/// Each currency's digits: amounts are in minor units, and tables elsewhere differ.
async fn currencies() -> Json<Value> {
    Json(money::table().map(|(code, digits)| (code.to_owned(), digits.into())).collect::<Map<_, _>>().into())
}

async fn products(Caller(doors): Caller) -> Json<Value> {
    let state = doors.director.state();
    Json(json!({ "rev": state.rev, "products": state.products.values().collect::<Vec<_>>() }))
}

async fn cards(Caller(doors): Caller) -> Json<Value> {
    let state = doors.director.state();
    Json(
        json!({ "rev": state.rev, "cards": state.cards.values().collect::<Vec<_>>(), "airings": state.airings }),
    )
}

/// The body is the picture's file.
async fn put_image(Caller(doors): Caller, Path(sku): Path<String>, body: Bytes) -> Answer {
    if !doors.director.state().products.contains_key(&sku) {
        return Err(Error::field(Kind::NotFound, "sku", format!("there is no product {sku:?}")));
    }
    doors.allow(Role::Assistant)?;
    let image = keep_picture(&doors, body).await?;
    let Json(answer) = ask(&doors, "SetImage", json!({ "sku": sku, "image": image })).await?;
    Ok(Json(json!({ "rev": answer["rev"], "image": image })))
}

/// The body is a picture's file, for a template's own field; its id.
async fn add_picture(Caller(doors): Caller, body: Bytes) -> Answer {
    doors.allow(Role::Assistant)?;
    Ok(Json(json!({ "image": keep_picture(&doors, body).await? })))
}

async fn keep_picture(doors: &Doors, body: Bytes) -> Result<String, Error> {
    let pictures = doors.pictures.clone();
    match tokio::task::spawn_blocking(move || pictures.add(&body)).await {
        Ok(Ok(image)) => Ok(image),
        Ok(Err(error)) => Err(Error::field(Kind::BadField, "image", error)),
        Err(error) => Err(Error::plain(Kind::Failed, error)),
    }
}

async fn templates(Caller(doors): Caller) -> Answer {
    ask(&doors, "GetTemplates", json!({})).await
}

/// The OGraf manifest.
async fn template(Caller(doors): Caller, Path(id): Path<String>) -> Answer {
    let state = doors.director.state();
    state
        .templates
        .get(&id)
        .map(|template| Json((*template.manifest).clone()))
        .ok_or_else(|| no_template(&id))
}

fn no_template(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    Error::field(Kind::NotFound, "template", format!("there is no template {id:?}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Where {
    #[serde(default)]
    channel: Option<String>,
    /// `card`, `canvas` or `overlay`.
    #[serde(default)]
    view: Option<String>,
    #[serde(default)]
    guides: bool,
}

/// The card as it will look on air.
async fn preview(
    Caller(doors): Caller,
    Path(card): Path<String>,
    Query(place): Query<Where>,
) -> Result<Response, Error> {
    let found = doors.director.state().cards.get(&card).cloned();
    let card =
        found.ok_or_else(|| Error::field(Kind::NotFound, "cardId", format!("there is no card {card:?}")))?;
    paint(&doors, Subject::Card(Box::new(card)), place).await
}

/// A card that is not saved, as it would look; what would be refused is refused here too.
async fn draft(Caller(doors): Caller, Query(place): Query<Where>, body: Bytes) -> Result<Response, Error> {
    let action = message::read("PutCard", Some(with_names(&body, &[], &[])?))?;
    let message::Action::Change(crate::director::Order { command: Command::PutCard(card), .. }) = action
    else {
        return Err(Error::plain(Kind::BadField, "it is not a card"));
    };
    let id = card.id.clone();
    let state = doors.director.state();
    // On a copy of the state in which nothing is on air: a draft of a card on air may be anything.
    let empty = crate::state::State { airings: Vec::new(), ..(*state).clone() };
    let (after, _) = empty
        .apply(Command::PutCard(card), &crate::state::Moment::nowhere())
        .map_err(|error| Error::from(crate::director::Error::from(error)))?;
    let card: Card = after.cards.get(&id).cloned().unwrap_or_default();
    paint(&doors, Subject::Card(Box::new(card)), place).await
}

async fn thumbnail(Caller(doors): Caller, Path(id): Path<String>) -> Result<Response, Error> {
    if doors.director.state().templates.get(&id).is_none() {
        return Err(no_template(&id));
    }
    let place = Where { channel: None, view: None, guides: false };
    paint(&doors, Subject::Sample(id), place).await
}

async fn paint(doors: &Doors, subject: Subject, place: Where) -> Result<Response, Error> {
    let channel = place.channel.unwrap_or_else(|| "main".into());
    if !doors.status.contains_key(&channel) {
        return Err(Error::no_channel(&channel));
    }
    let view = match place.view.as_deref() {
        None | Some("card") => View::Card,
        Some("canvas") => View::Canvas { has_guides: place.guides },
        Some("overlay") => View::Overlay,
        Some(_) => return Err(Error::field(Kind::BadField, "view", "it is card, canvas or overlay")),
    };
    let painter = doors.painter.clone();
    let painted = tokio::task::spawn_blocking(move || painter(&subject, &channel, view)).await;
    let painting = match painted {
        Ok(Ok(painting)) => painting,
        Ok(Err(error)) => return Err(Error::plain(Kind::Failed, error)),
        Err(error) => return Err(Error::plain(Kind::Failed, error)),
    };
    let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (headers, painting.png).into_response();
    // Words may be in any script: headers take ASCII.
    let problems = serde_json::to_string(&painting.problems).unwrap_or_default();
    if let Ok(value) = header::HeaderValue::from_str(&problems)
        && !painting.problems.is_empty()
    {
        response.headers_mut().insert("vitrine-problems", value);
    }
    Ok(response)
}

/// Ready when every channel's programme keeps up with its clock.
async fn ready(State(doors): State<Doors>) -> Response {
    let late: Vec<&str> = doors
        .status
        .iter()
        .filter(|(_, status)| {
            let status = status.borrow();
            status.programme_ms == 0 || status.behind_ms > 2000
        })
        .map(|(name, _)| name.as_str())
        .collect();
    if late.is_empty() {
        return "ready".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not on time: {}", late.join(", "))).into_response()
}
