//! REST under `/api/v1`, with the same verbs and words as the WebSocket, and the health and metrics addresses.
//!
//! A body is the request's `requestData`; names in the path are filled in. Every request needs
//! `Authorization: Bearer TOKEN`.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{Error, Kind};
use super::{Doors, message, metrics, perform, socket};
use crate::id;
use crate::state::{Command, money};
use crate::store::pictures;

/// A JSON body larger than this is refused.
const MOST_BODY: usize = 256 * 1024;

/// The routes.
pub fn router(doors: Doors) -> Router {
    let pictures = Router::new()
        .route("/products/{sku}/image", put(put_image))
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
        .route("/cards/{card}/preview.png", get(preview))
        .route("/stream-keys", get(stream_keys).post(make_stream_key))
        .route("/stream-keys/{key}", delete(revoke_stream_key))
        .route("/stream-keys/{key}/rotate", post(rotate_stream_key))
        .route("/channels", get(channels))
        .route("/channels/{channel}", get(channel))
        .route("/channels/{channel}/source", put(set_source).delete(remove_source))
        .route("/clear", post(clear))
        .route("/import", post(import))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .merge(pictures)
        .layer(middleware::from_fn_with_state(doors.clone(), authorised));
    Router::new()
        .nest("/api/v1", api)
        .route("/ws", get(socket::upgrade))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .with_state(doors)
}

async fn authorised(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if !id::secrets_match(given, &doors.token) {
        let problem = json!({
            "title": "Unauthorized",
            "status": 401,
            "detail": "Authorization: Bearer TOKEN is missing or wrong",
        });
        let headers =
            [(header::CONTENT_TYPE, "application/problem+json"), (header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, headers, problem.to_string()).into_response();
    }
    next.run(request).await
}

type Answer = Result<Json<Value>, Error>;

/// The body as an object with `name` set from the path.
fn with_name(body: &Bytes, name: &str, value: &str) -> Result<Value, Error> {
    let mut data = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(body) {
            Ok(Value::Object(data)) => data,
            Ok(_) => return Err(Error::plain(Kind::BadField, "the body is not a JSON object")),
            Err(error) => return Err(Error::plain(Kind::BadField, format!("the body is not JSON: {error}"))),
        }
    };
    if !name.is_empty() {
        data.insert(name.to_owned(), value.into());
    }
    Ok(Value::Object(data))
}

async fn ask(doors: &Doors, request: &str, data: Value) -> Answer {
    let action = message::read(request, Some(data))?;
    perform::perform(doors, action).await.map(Json)
}

/// A handler for a request whose path names one thing.
macro_rules! named {
    ($($handler:ident => $request:literal, $name:literal;)*) => {$(
        async fn $handler(State(doors): State<Doors>, Path(value): Path<String>, body: Bytes) -> Answer {
            ask(&doors, $request, with_name(&body, $name, &value)?).await
        }
    )*};
}

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
    revoke_stream_key => "RevokeStreamKey", "keyId";
    rotate_stream_key => "RotateStreamKey", "keyId";
    set_source => "SetSource", "channel";
}

async fn make_stream_key(State(doors): State<Doors>, body: Bytes) -> Answer {
    ask(&doors, "MakeStreamKey", with_name(&body, "", "")?).await
}

async fn stream_keys(State(doors): State<Doors>) -> Json<Value> {
    let state = doors.director.state();
    Json(json!({ "rev": state.rev, "streamKeys": state.stream_keys.values().collect::<Vec<_>>() }))
}

async fn remove_source(State(doors): State<Doors>, Path(channel): Path<String>) -> Answer {
    ask(&doors, "SetSource", json!({ "channel": channel, "url": null })).await
}

async fn channels(State(doors): State<Doors>) -> Json<Value> {
    let channels: Vec<Value> = doors.status.keys().map(|name| perform::channel(&doors, name)).collect();
    Json(json!({ "channels": channels }))
}

async fn channel(State(doors): State<Doors>, Path(name): Path<String>) -> Answer {
    if !doors.status.contains_key(&name) {
        return Err(Error::field(Kind::NotFound, "channel", format!("there is no channel {name:?}")));
    }
    Ok(Json(perform::channel(&doors, &name)))
}

async fn clear(State(doors): State<Doors>, body: Bytes) -> Answer {
    ask(&doors, "ClearAll", with_name(&body, "", "")?).await
}

async fn import(State(doors): State<Doors>) -> Answer {
    ask(&doors, "ImportProducts", json!({})).await
}

async fn state(State(doors): State<Doors>) -> Answer {
    ask(&doors, "GetState", json!({})).await
}

async fn version(State(doors): State<Doors>) -> Answer {
    ask(&doors, "GetVersion", json!({})).await
}

/// Each currency's digits: amounts are in minor units, and tables elsewhere differ.
async fn currencies() -> Json<Value> {
    Json(money::table().map(|(code, digits)| (code.to_owned(), digits.into())).collect::<Map<_, _>>().into())
}

async fn products(State(doors): State<Doors>) -> Json<Value> {
    let state = doors.director.state();
    Json(json!({ "rev": state.rev, "products": state.products.values().collect::<Vec<_>>() }))
}

async fn cards(State(doors): State<Doors>) -> Json<Value> {
    let state = doors.director.state();
    Json(
        json!({ "rev": state.rev, "cards": state.cards.values().collect::<Vec<_>>(), "airings": state.airings }),
    )
}

/// The body is the picture's file.
async fn put_image(State(doors): State<Doors>, Path(sku): Path<String>, body: Bytes) -> Answer {
    if !doors.director.state().products.contains_key(&sku) {
        return Err(Error::field(Kind::NotFound, "sku", format!("there is no product {sku:?}")));
    }
    let pictures = doors.pictures.clone();
    let added = tokio::task::spawn_blocking(move || pictures.add(&body)).await;
    let image = match added {
        Ok(Ok(image)) => image,
        Ok(Err(error)) => return Err(Error::field(Kind::BadField, "image", error)),
        Err(error) => return Err(Error::plain(Kind::Failed, error)),
    };
    let rev = doors.director.apply(Command::SetImage { sku, image: Some(image.clone()) }).await?;
    Ok(Json(json!({ "rev": rev, "image": image })))
}

#[derive(Deserialize)]
struct Where {
    #[serde(default)]
    channel: Option<String>,
}

/// The card as it will look on air.
async fn preview(
    State(doors): State<Doors>,
    Path(card): Path<String>,
    Query(place): Query<Where>,
) -> Result<Response, Error> {
    if !doors.director.state().cards.contains_key(&card) {
        return Err(Error::field(Kind::NotFound, "cardId", format!("there is no card {card:?}")));
    }
    let channel = place.channel.unwrap_or_else(|| "main".into());
    if !doors.status.contains_key(&channel) {
        return Err(Error::field(Kind::NotFound, "channel", format!("there is no channel {channel:?}")));
    }
    let painter = doors.painter.clone();
    let painted = tokio::task::spawn_blocking(move || painter(&card, &channel)).await;
    match painted {
        Ok(Ok(png)) => {
            let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")];
            Ok((headers, png).into_response())
        }
        Ok(Err(error)) => Err(Error::plain(Kind::Failed, error)),
        Err(error) => Err(Error::plain(Kind::Failed, error)),
    }
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
