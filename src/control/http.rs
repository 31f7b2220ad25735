//! REST under `/api/v1`, with the same verbs and words as the WebSocket, and the health and metrics addresses.
//!
//! A body is the request's `requestData`; names in the path are filled in. Every request needs
//! `Authorization: Bearer TOKEN` or the cookie of somebody who has signed in.

mod drawn;

use axum::body::Bytes;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::api::{Gives, Table, Takes, ask};
use super::error::{self, Error, Kind};
use super::paging::{PAGE, Page};
use super::people::desk;
use super::people::door::{self, Caller};
use super::{
    Doors, announce, catalogue, links, metrics, monitor, ograf, openapi, perform, push, rundowns, samples,
    shows, socket, triggers,
};
use crate::state::money;

/// A JSON body larger than this is refused.
const MOST_BODY: usize = 256 * 1024;
/// A shop's message about one product.
const MOST_HOOK: usize = 1024 * 1024;
/// Of a framework's words, so much is told.
const MOST_WORDS: usize = 1000;

/// The routes.
pub fn router(doors: Doors) -> Router {
    let table = table();
    let session = desk::session_table();
    let (buttons, hooks) = (triggers::table(&doors), catalogue::hooks::table().most(MOST_HOOK));
    let operations = [table.operations, session.operations, buttons.operations, hooks.operations].concat();
    let document: Bytes = serde_json::to_vec(&openapi::document(&operations)).unwrap_or_default().into();
    let described = || async move { ([(header::CONTENT_TYPE, "application/json")], document) };
    let api = table
        .router
        .layer(middleware::from_fn_with_state(doors.clone(), door::authorised))
        .merge(session.router)
        .merge(buttons.router)
        .merge(hooks.router)
        .route("/openapi.json", get(described))
        .fallback(|| async {
            Error::plain(Kind::NotFound, "there is no such address; /api/v1/openapi.json has all")
        })
        .layer(middleware::map_response(in_our_words));
    Router::new()
        .nest("/api/v1", api)
        .nest("/ograf/v1", ograf::routes(&doors))
        .route("/ograf/v1/", get(ograf::about))
        // A browser can set no header on a WebSocket: it asks for the token itself.
        .route("/api/v1/channels/{channel}/monitor", get(monitor::upgrade))
        .route("/ws", get(socket::upgrade))
        .route("/ws/state", get(push::upgrade))
        // OBS's own clients ask for no path.
        .route("/", get(root))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .with_state(doors)
}

/// Every address that wants somebody who is known.
fn table() -> Table {
    general()
        .and(products())
        .and(drawn::table())
        .and(channels())
        .and(rundowns::table())
        .and(desk::table())
        .most(MOST_BODY)
        .and(drawn::pictures_table())
        .and(catalogue::table())
        .and(rundowns::import_table())
}

fn general() -> Table {
    Table::new("State")
        .ask(Method::GET, "/state", "GetState", "Everything that a client needs to draw itself")
        .ask(Method::GET, "/version", "GetVersion", "What this server is and can")
        .row(
            (Method::GET, "/currencies"),
            "GetCurrencies",
            "Each currency's digits: amounts are in minor units, and tables elsewhere differ",
            (&[], Takes::None, Gives::Object),
            currencies,
        )
        .ask(Method::POST, "/undo", "Undo", "Takes back the last edit of whoever asks")
        .ask(Method::POST, "/clear", "ClearAll", "Takes everything off air at once, without animation")
        .row(
            (Method::GET, "/questions"),
            "GetQuestions",
            "Changes that shops told and that look wrong",
            (PAGE, Takes::None, Gives::Object),
            questions,
        )
        .ask(Method::POST, "/questions/{questionId}", "AnswerQuestion", "Takes such a change, or leaves it")
        .group("Stream keys")
        .row(
            (Method::GET, "/stream-keys"),
            "GetStreamKeys",
            "Who may publish; without the secrets",
            (PAGE, Takes::None, Gives::Object),
            stream_keys,
        )
        .ask(Method::POST, "/stream-keys", "MakeStreamKey", "Makes a stream key and tells it, this once")
        .ask(
            Method::DELETE,
            "/stream-keys/{keyId}",
            "RevokeStreamKey",
            "Takes a stream key back; who publishes with it is ended",
        )
        .ask(
            Method::POST,
            "/stream-keys/{keyId}/rotate",
            "RotateStreamKey",
            "Gives a stream key another secret",
        )
}

fn products() -> Table {
    Table::new("Products")
        .row(
            (Method::GET, "/products"),
            "GetProducts",
            "The catalogue, by SKU",
            (PAGE, Takes::None, Gives::Object),
            list_products,
        )
        .row(
            (Method::GET, "/products/{sku}"),
            "GetProduct",
            "One product",
            (&[], Takes::None, Gives::Object),
            product,
        )
        .ask(Method::PUT, "/products/{sku}", "PutProduct", "Adds or replaces a product")
        .ask(Method::DELETE, "/products/{sku}", "RemoveProduct", "Takes a product out of the catalogue")
        .ask(Method::POST, "/products/{sku}/price", "SetPrice", "Sets prices, on air or not")
        .ask(Method::POST, "/products/{sku}/stock", "SetStock", "Sets how many are left")
}

fn channels() -> Table {
    Table::new("Channels")
        .row(
            (Method::GET, "/channels"),
            "GetChannels",
            "Who publishes where, and what viewers see",
            (&[], Takes::None, Gives::Object),
            list_channels,
        )
        .row(
            (Method::GET, "/channels/{channel}"),
            "GetChannel",
            "One channel",
            (&[], Takes::None, Gives::Object),
            channel,
        )
        .ask(
            Method::PUT,
            "/channels/{channel}/practice",
            "SetPractice",
            "Begins to practise: nothing reaches viewers; or ends it",
        )
        .ask(
            Method::PUT,
            "/channels/{channel}/pin",
            "PinProduct",
            "The host explains this product now: its card stays on air until the next; null takes it out",
        )
        .ask(Method::PUT, "/channels/{channel}/source", "SetSource", "Sets what the channel fetches itself")
        .row(
            (Method::DELETE, "/channels/{channel}/source"),
            "RemoveSource",
            "Ends it",
            (&[], Takes::None, Gives::Rev),
            remove_source,
        )
        .row(
            (Method::POST, "/channels/{channel}/links"),
            "MakeLinks",
            "Addresses for viewers, signed where that is wanted",
            (&[], Takes::Object(links::schema), Gives::Object),
            links::make,
        )
        .row(
            (Method::GET, "/channels/{channel}/samples"),
            "GetSamples",
            "How the channel was, second by second, for a quarter of an hour: a list for each figure",
            (samples::SINCE, Takes::None, Gives::Object),
            samples::list,
        )
        .row(
            (Method::GET, "/channels/{channel}/shows"),
            "GetShows",
            "Shows that were on air, the newest first",
            (PAGE, Takes::None, Gives::Object),
            shows::list,
        )
        .row(
            (Method::DELETE, "/channels/{channel}/shows/{show}"),
            "RemoveShow",
            "Deletes a show that is over",
            (&[], Takes::None, Gives::Nothing),
            shows::remove,
        )
        .row(
            (Method::POST, "/channels/{channel}/metadata"),
            "PutMetadata",
            "Tells players something, at the frame that is on air",
            (&[], Takes::Object(announce::schema), Gives::Nothing),
            announce::announce,
        )
}

/// A control client, or somebody who typed the address: who watches.
async fn root(
    doors: State<Doors>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => socket::upgrade(doors, headers, uri, upgrade).await,
        Err(_) => Redirect::temporary("/watch/main").into_response(),
    }
}

/// Refusals of the framework, such as of a body that is too large, in the form that all have.
async fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == error::PROBLEM);
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let text = axum::body::to_bytes(response.into_body(), MOST_WORDS).await.unwrap_or_default();
    let mut response = error::problem(status, &String::from_utf8_lossy(&text));
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// What stands in `Authorization`, if it is a token.
pub(super) fn bearer(headers: &HeaderMap) -> &str {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

pub(super) type Answer = Result<Json<Value>, Error>;

async fn questions(Caller(doors): Caller, Query(page): Query<Page>) -> Answer {
    let all = doors.questions.all().as_array().cloned().unwrap_or_default();
    let id = |one: &Value| one["id"].as_str().unwrap_or_default().to_owned();
    let (questions, next) = page.of_list(all, id)?;
    Ok(Json(json!({ "questions": questions, "next": next })))
}

async fn stream_keys(Caller(doors): Caller, Query(page): Query<Page>) -> Json<Value> {
    let state = doors.director.state();
    let (keys, next) = page.of_sorted(state.stream_keys.iter());
    Json(json!({ "rev": state.rev, "streamKeys": keys, "next": next }))
}

async fn remove_source(Caller(doors): Caller, Path(channel): Path<String>) -> Answer {
    ask(&doors, "SetSource", json!({ "channel": channel, "url": null })).await
}

async fn list_channels(Caller(doors): Caller) -> Json<Value> {
    let channels: Vec<Value> = doors.status.keys().map(|name| perform::channel(&doors, name)).collect();
    Json(json!({ "channels": channels }))
}

async fn channel(Caller(doors): Caller, Path(name): Path<String>) -> Answer {
    if !doors.status.contains_key(&name) {
        return Err(Error::no_channel(&name));
    }
    Ok(Json(perform::channel(&doors, &name)))
}

/// Each currency's digits: amounts are in minor units, and tables elsewhere differ.
async fn currencies() -> Json<Value> {
    Json(
        money::table()
            .map(|(code, digits)| (code.to_owned(), digits.into()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    )
}

async fn list_products(Caller(doors): Caller, Query(page): Query<Page>) -> Json<Value> {
    let state = doors.director.state();
    let (products, next) = page.of(&state.products);
    Json(json!({ "rev": state.rev, "products": products, "next": next }))
}

async fn product(Caller(doors): Caller, Path(sku): Path<String>) -> Answer {
    let state = doors.director.state();
    let found = state.products.get(&sku).ok_or_else(|| no_product(&sku))?;
    Ok(Json(json!({ "rev": state.rev, "product": found })))
}

fn no_product(sku: &str) -> Error {
    let sku: String = sku.chars().take(80).collect();
    Error::field(Kind::NotFound, "sku", format!("there is no product {sku:?}"))
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
