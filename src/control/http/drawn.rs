//! Cards and designs, and pictures in and out: what goes on air, drawn for whoever asks.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, PAGE, Page, no_product};
use crate::control::api::{Gives, Parameter, Table, Takes, ask, object, parameter};
use crate::control::error::{Error, Kind};
use crate::control::people::door::Caller;
use crate::control::{Doors, Subject, View, message};
use crate::state::{Card, Command, Role};
use crate::store::pictures;

const PICTURE: &[Parameter] = &[
    parameter("channel", "string", "As it looks there; main without it"),
    Parameter {
        name: "view",
        kind: "string",
        about: "The card alone, on its canvas, or to lay over a picture",
        values: &["card", "canvas", "overlay"],
    },
    parameter("guides", "boolean", "With what platforms cover"),
];

/// Rows about cards and their designs.
pub(super) fn table() -> Table {
    const PNG: Gives = Gives::File("image/png");
    Table::new("Cards")
        .row(
            (Method::GET, "/cards"),
            "GetCards",
            "Cards by id, and what is on air",
            (PAGE, Takes::None, Gives::Object),
            list_cards,
        )
        .ask(Method::PUT, "/cards/{cardId}", "PutCard", "Adds or replaces a card")
        .ask(Method::PATCH, "/cards/{cardId}", "UpdateCard", "Changes fields of a card, on air or not")
        .ask(Method::DELETE, "/cards/{cardId}", "RemoveCard", "Takes a card out")
        .ask(
            Method::POST,
            "/cards/{cardId}/show",
            "ShowCard",
            "Puts a card on air; one that is there stays as it is",
        )
        .ask(
            Method::POST,
            "/cards/{cardId}/hide",
            "HideCard",
            "Takes a card off air; one that is not there stays as it is",
        )
        .ask(Method::POST, "/cards/{cardId}/toggle", "ToggleCard", "The other of the two")
        .ask(Method::POST, "/cards/{cardId}/swap", "SwapCard", "Puts a card on air and everything else out")
        .ask(
            Method::POST,
            "/cards/{cardId}/advance",
            "AdvanceCard",
            "On air, its next steps, out: what one key does",
        )
        .ask(Method::POST, "/cards/{cardId}/next", "NextStep", "Shows a card's next step")
        .row(
            (Method::GET, "/cards/{cardId}/preview.png"),
            "PreviewCard",
            "The card as it will be on air",
            (PICTURE, Takes::None, PNG),
            preview,
        )
        .row(
            (Method::POST, "/preview"),
            "PreviewDraft",
            "A card that is not saved, as it would be",
            (PICTURE, Takes::Request("PutCard"), PNG),
            draft,
        )
        .group("Templates")
        .ask(
            Method::GET,
            "/templates",
            "GetTemplates",
            "The designs that cards can have, and what is wrong with others",
        )
        .row(
            (Method::GET, "/templates/{template}"),
            "GetTemplate",
            "A design's OGraf manifest",
            (&[], Takes::None, Gives::Object),
            template,
        )
        .row(
            (Method::GET, "/templates/{template}/thumbnail.png"),
            "GetThumbnail",
            "A design with its sample",
            (&[], Takes::None, PNG),
            thumbnail,
        )
}

/// Rows whose bodies are pictures.
pub(super) fn pictures_table() -> Table {
    Table::new("Products")
        .row(
            (Method::PUT, "/products/{sku}/image"),
            "PutProductImage",
            "Sets a product's picture: JPEG, PNG, WebP or GIF",
            (&[], Takes::File, Gives::Object),
            put_image,
        )
        .group("Cards")
        .row(
            (Method::POST, "/pictures"),
            "AddPicture",
            "Keeps a picture for a template's own field, and gives its id",
            (&[], Takes::File, Gives::Object),
            add_picture,
        )
        .most(pictures::MOST_BYTES + 1024)
}

async fn list_cards(Caller(doors): Caller, Query(page): Query<Page>) -> Json<Value> {
    let state = doors.director.state();
    let (cards, next) = page.of(&state.cards);
    Json(json!({ "rev": state.rev, "cards": cards, "airings": state.airings, "next": next }))
}

/// The body is the picture's file.
async fn put_image(Caller(doors): Caller, Path(sku): Path<String>, body: Bytes) -> Answer {
    if !doors.director.state().products.contains_key(&sku) {
        return Err(no_product(&sku));
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
    let action = message::read("PutCard", Some(Value::Object(object(&body)?)))?;
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
