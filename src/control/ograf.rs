//! `/ograf/v1`: EBU's `OGraf` Server API, for programs that control graphics wherever they are drawn.
//!
//! A renderer is a channel, a render target one of its slots (`{"slot":"lower-left"}`), a graphic a template, and a graphic
//! instance a card: one that is loaded here, or any other that is on air. A product comes as `sku` in the data. `OGraf` leaves open
//! who may ask: the same tokens as everywhere. Source: `OGraf` v1, specification/open-api/server-api.yaml.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::object;
use super::error::{Error, Kind};
use super::people::door::{self, Caller};
use super::{Doors, perform};
use crate::id;
use crate::state::{Card, Role, Slot, State as Shop};

/// A graphic itself refused.
const THREW: u16 = 550;
/// Steps in one request.
const MOST_STEPS: u64 = 100;

pub(super) fn routes(doors: &Doors) -> Router<Doors> {
    let instance = "/renderers/{renderer}/target/graphicInstance";
    let at = |end: &str| format!("{instance}/{end}");
    Router::new()
        .route("/", get(about))
        .route("/graphics", get(graphics))
        .route("/graphics/{graphic}", get(graphic).delete(delete))
        .route("/renderers", get(renderers))
        .route("/renderers/{renderer}", get(renderer))
        .route("/renderers/{renderer}/target", get(target))
        .route("/renderers/{renderer}/customActions/{action}", post(renderer_action))
        .route(&at("clear"), put(clear))
        .route(&at("load"), post(load))
        .route(&at("playAction"), post(play))
        .route(&at("updateAction"), post(update))
        .route(&at("stopAction"), post(stop))
        .route(&at("customActions/{action}"), post(custom_action))
        .fallback(|| async { Refused::from(Error::plain(Kind::NotFound, "there is no such address")) })
        .layer(middleware::from_fn_with_state(doors.clone(), door::authorised))
        .layer(middleware::from_fn(for_other_pages))
}

/// Pages of other addresses may ask, with a token: a cookie never comes along.
async fn for_other_pages(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An error in `OGraf`'s form: RFC 7807 as plain JSON.
struct Refused {
    status: u16,
    detail: String,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { status: error.kind.status().as_u16(), detail: error.detail }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, detail } = self;
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = code.canonical_reason().unwrap_or("The graphic refused");
        (code, Json(json!({ "title": title, "status": status, "detail": detail }))).into_response()
    }
}

/// A request to the graphic itself: what it refuses, it "throws".
async fn ask(doors: &Doors, request: &str, data: Value) -> Result<Value, Refused> {
    perform::ask(doors, request, Some(data)).await.map_err(|error| match error.kind {
        Kind::BadField | Kind::MissingField | Kind::Conflict => threw(error.detail),
        _ => error.into(),
    })
}

fn threw(detail: String) -> Refused {
    Refused { status: THREW, detail }
}

type Answer = Result<Json<Value>, Refused>;
type Fields = Map<String, Value>;

pub(super) async fn about() -> Json<Value> {
    Json(json!({
        "name": "Vitrine",
        "description": "Live video ingest with a shoppable overlay: graphics are drawn into the programme",
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

fn words(manifest: &Value, id: &str) -> Value {
    let mut told = json!({ "id": id, "name": manifest["name"].as_str().unwrap_or(id) });
    if let Some(text) = manifest["description"].as_str() {
        told["description"] = text.into();
    }
    told
}

async fn graphics(Caller(doors): Caller) -> Json<Value> {
    let state = doors.director.state();
    let all: Vec<Value> = state.templates.0.values().map(|one| words(&one.manifest, &one.id)).collect();
    Json(json!({ "graphics": all }))
}

fn no_graphic(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    Error::plain(Kind::NotFound, format!("there is no graphic {id:?}"))
}

async fn graphic(Caller(doors): Caller, Path(id): Path<String>) -> Answer {
    let state = doors.director.state();
    let found = state.templates.get(&id).ok_or_else(|| no_graphic(&id))?;
    // The document wants it by two names.
    Ok(Json(json!({ "graphic": *found.manifest, "manifest": *found.manifest })))
}

/// Templates are files of whoever runs the server.
async fn delete(Caller(doors): Caller, Path(id): Path<String>) -> Answer {
    doors.allow(Role::Owner)?;
    doors.director.state().templates.get(&id).ok_or_else(|| no_graphic(&id))?;
    Err(Error::plain(Kind::Forbidden, "templates are folders in data/cards: take it out there").into())
}

fn check(doors: &Doors, renderer: &str) -> Result<(), Error> {
    if doors.status.contains_key(renderer) {
        return Ok(());
    }
    let renderer: String = renderer.chars().take(80).collect();
    Err(Error::plain(Kind::NotFound, format!("there is no renderer {renderer:?}")))
}

async fn renderers(Caller(doors): Caller) -> Json<Value> {
    let all: Vec<Value> = doors.status.keys().map(|name| json!({ "id": name, "name": name })).collect();
    Json(json!({ "renderers": all }))
}

async fn renderer(Caller(doors): Caller, Path(name): Path<String>) -> Answer {
    check(&doors, &name)?;
    let state = doors.director.state();
    let behind = doors.status.get(&name).map_or(0, |status| status.borrow().behind_ms);
    let status = match behind {
        0..=500 => json!({ "status": "OK" }),
        ms => json!({ "status": "WARNING", "message": format!("the programme is {ms} ms late") }),
    };
    let slots: Vec<Value> = Slot::ALL.iter().map(|slot| json!(slot)).collect();
    let schema = json!({ "type": "object", "required": ["slot"],
        "properties": { "slot": { "type": "string", "enum": slots, "gddType": "select" } } });
    let targets: Vec<Value> = Slot::ALL.iter().map(|slot| target_of(&state, &name, *slot)).collect();
    Ok(Json(json!({ "renderer": {
        "id": name, "name": name, "customActions": [], "renderTargetSchema": schema,
        "status": status, "renderTargets": targets,
    } })))
}

/// The cards of a channel: what is on air there, and what was loaded for it.
fn instances<'a>(state: &'a Shop, channel: &str) -> impl Iterator<Item = &'a Card> {
    let on_air = state.airings.iter().filter(|airing| airing.channel == channel);
    let on_air: BTreeSet<&str> = on_air.map(|airing| airing.card_id.as_str()).collect();
    let loaded = loaded(channel);
    state.cards.values().filter(move |card| on_air.contains(card.id.as_str()) || card.id.starts_with(&loaded))
}

/// How the ids of a channel's loaded cards begin; no channel's name has a point.
fn loaded(channel: &str) -> String {
    format!("ograf.{channel}.")
}

fn target_of(state: &Shop, channel: &str, slot: Slot) -> Value {
    let there = instances(state, channel).filter(|card| card.place() == slot).map(|card| {
        let manifest = state.templates.get(&card.template).map(|template| template.manifest.clone());
        let graphic = words(&manifest.unwrap_or_default(), &card.template);
        json!({ "graphicInstanceId": card.id, "graphic": graphic })
    });
    let there: Vec<Value> = there.collect();
    json!({ "renderTarget": { "slot": slot }, "name": json!(slot), "graphicInstances": there })
}

/// The slot that a render target means.
fn slot_of(target: &Value) -> Result<Slot, Error> {
    serde_json::from_value(target["slot"].clone()).map_err(|_| {
        Error::plain(
            Kind::NotFound,
            format!("there is no render target {target}; {{\"slot\":\"lower-left\"}} is one"),
        )
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Which {
    render_target: String,
}

async fn target(
    Caller(doors): Caller,
    Path(name): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
) -> Answer {
    check(&doors, &name)?;
    let Query(which) = which.map_err(|error| Error::field(Kind::BadField, "renderTarget", error))?;
    let wanted = serde_json::from_str(&which.render_target).unwrap_or(Value::String(which.render_target));
    Ok(Json(target_of(&doors.director.state(), &name, slot_of(&wanted)?)))
}

async fn renderer_action(Caller(doors): Caller, Path((name, action)): Path<(String, String)>) -> Answer {
    check(&doors, &name)?;
    Err(no_action(&action))
}

fn no_action(action: &str) -> Refused {
    let action: String = action.chars().take(80).collect();
    Error::plain(Kind::NotFound, format!("there is no custom action {action:?}")).into()
}

/// What a request about an instance is about: the data, and the card if it names one.
fn about_instance(doors: &Doors, renderer: &str, body: &Bytes) -> Result<(Fields, String), Error> {
    check(doors, renderer)?;
    let mut data = object(body)?;
    let target = data.remove("renderTarget").unwrap_or_default();
    slot_of(&target)?;
    let id = data.get("graphicInstanceId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let state = doors.director.state();
    if instances(&state, renderer).any(|card| card.id == id) {
        let Some(Value::Object(params)) = data.remove("params") else {
            return Err(Error::field(Kind::BadField, "params", "an object is wanted"));
        };
        return Ok((params, id));
    }
    let id: String = id.chars().take(80).collect();
    Err(Error::plain(Kind::NotFound, format!("there is no graphic instance {id:?}")))
}

/// The template's own fields, and the products beside them.
fn fields_of(data: Option<&Value>) -> Result<(Fields, Fields), Error> {
    let mut fields = match data {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(fields)) => fields.clone(),
        Some(_) => return Err(Error::field(Kind::BadField, "data", "an object is wanted")),
    };
    let products =
        ["sku", "skus"].into_iter().filter_map(|name| Some((name.to_owned(), fields.remove(name)?)));
    let products = products.collect();
    Ok((fields, products))
}

async fn load(Caller(doors): Caller, Path(name): Path<String>, body: Bytes) -> Answer {
    check(&doors, &name)?;
    let data = object(&body)?;
    let slot = slot_of(data.get("renderTarget").unwrap_or(&Value::Null))?;
    let template = data.get("graphicId").and_then(Value::as_str).unwrap_or_default();
    doors.director.state().templates.get(template).ok_or_else(|| no_graphic(template))?;
    let (fields, products) = fields_of(data.get("params").and_then(|params| params.get("data")))?;
    let card_id = format!("{}{}", loaded(&name), id::short_code());
    let mut card = json!({ "id": card_id, "template": template, "slot": slot, "data": fields });
    if let Value::Object(card) = &mut card {
        card.extend(products);
    }
    ask(&doors, "PutCard", card).await?;
    Ok(Json(json!({ "graphicInstanceId": card_id, "statusCode": 200 })))
}

fn is_cut(params: &Fields) -> Value {
    params.get("skipAnimation").cloned().filter(Value::is_boolean).unwrap_or(json!(false))
}

async fn play(Caller(doors): Caller, Path(name): Path<String>, body: Bytes) -> Answer {
    let (params, card_id) = about_instance(&doors, &name, &body)?;
    let about = json!({ "cardId": card_id, "channel": name, "skipAnimation": is_cut(&params) });
    let number = |key: &str| {
        params.get(key).and_then(Value::as_f64).map(|number| number.clamp(0.0, MOST_STEPS as f64) as u64)
    };
    let step = || doors.director.state().on_air(&card_id, &name).map(|airing| u64::from(airing.step));
    let wanted = match (number("goto"), step()) {
        (Some(step), _) => step.max(1),
        (None, Some(now)) => now + number("delta").unwrap_or(1),
        (None, None) => number("delta").unwrap_or(1).max(1),
    };
    if step().is_none() {
        ask(&doors, "ShowCard", about.clone()).await?;
    }
    let now = step().unwrap_or(1);
    if wanted < now {
        return Err(threw(format!("it shows step {now}, and none before it again")));
    }
    for _ in 0..(wanted - now).min(MOST_STEPS) {
        ask(&doors, "NextStep", about.clone()).await?;
    }
    let current = step().unwrap_or(1);
    Ok(Json(json!({ "graphicInstanceId": card_id, "statusCode": 200, "currentStep": current })))
}

async fn update(Caller(doors): Caller, Path(name): Path<String>, body: Bytes) -> Answer {
    let (params, card_id) = about_instance(&doors, &name, &body)?;
    let (fields, products) = fields_of(params.get("data"))?;
    if !products.is_empty() {
        return Err(threw("sku: another product is another instance".into()));
    }
    let change = json!({ "cardId": card_id, "data": fields, "skipAnimation": is_cut(&params) });
    ask(&doors, "UpdateCard", change).await?;
    Ok(Json(json!({ "graphicInstanceId": card_id, "statusCode": 200 })))
}

async fn stop(Caller(doors): Caller, Path(name): Path<String>, body: Bytes) -> Answer {
    let (params, card_id) = about_instance(&doors, &name, &body)?;
    let about = json!({ "cardId": card_id, "channel": name, "skipAnimation": is_cut(&params) });
    ask(&doors, "HideCard", about).await?;
    Ok(Json(json!({ "graphicInstanceId": card_id, "statusCode": 200 })))
}

async fn custom_action(
    Caller(doors): Caller,
    Path((name, action)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    about_instance(&doors, &name, &body)?;
    Err(no_action(&action))
}

/// Off air at once; what was loaded here is gone.
async fn clear(Caller(doors): Caller, Path(name): Path<String>, body: Bytes) -> Answer {
    check(&doors, &name)?;
    let data = object(&body)?;
    let filters = data.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
    let state = doors.director.state();
    let is_meant = |card: &Card| {
        let same =
            |filter: &Value, name: &str, value: Value| filter.get(name).is_none_or(|wanted| *wanted == value);
        let is_it = |filter: &Value| {
            same(filter, "graphicInstanceId", json!(card.id))
                && same(filter, "graphicId", json!(card.template))
                && same(filter, "renderTarget", json!({ "slot": card.place() }))
        };
        filters.is_empty() || filters.iter().any(is_it)
    };
    let mut cleared = Vec::new();
    for card in instances(&state, &name).filter(|card| is_meant(card)) {
        let about = json!({ "cardId": card.id, "channel": name, "skipAnimation": true });
        ask(&doors, "HideCard", about).await?;
        if card.id.starts_with(&loaded(&name)) {
            ask(&doors, "RemoveCard", json!({ "cardId": card.id })).await?;
        }
        cleared.push(json!({ "renderTarget": { "slot": card.place() }, "graphicInstanceId": card.id }));
    }
    Ok(Json(json!({ "graphicInstances": cleared })))
}
