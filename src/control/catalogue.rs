//! Products from files: what shops export, and lists in the import directory. Taken whole or not at all.
//!
//! - [`import`]: what is asked for (pure)
//! - `feed`, `columns`, `merchant`, `row`, `amount`: from a file to drafts of products (pure)
//! - `plan`: what these would change (pure)
//! - [`hooks`]: what shops tell by themselves
//! - [`fetching`]: their pictures, afterwards and one by one
//!
//! A row with a mistake is reported by number, and then nothing is taken, unless whoever asks wants such rows left out. Prices
//! that are probably wrong are told too, and want a confirmation.

mod amount;
mod columns;
pub mod feed;
pub mod fetching;
pub mod hooks;
pub mod import;
mod merchant;
pub mod plan;
mod row;

use std::io::Read;
use std::path::{Path, PathBuf};

use axum::Json;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use self::feed::{Format, Note, Options};
use self::import::Import;
use self::plan::{Manner, Pictures, Plan, Report};
use super::Doors;
use super::api::{self, Gives, Parameter, Table, Takes, parameter};
use super::error::{Error, Kind};
use super::http::Answer;
use super::message::Action;
use super::people::door::Caller;
use super::perform;
use crate::director::{self, Order};
use crate::state::Role;
use crate::time::WallTime;

/// A file larger than this is refused.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Of one import, while products change under it.
const MOST_TRIES: u32 = 20;
/// In the import directory, the first that is there is read when none is named.
const USUAL: [&str; 4] = ["products.json", "products.csv", "products.tsv", "products.xml"];

/// `confirmed` stands in every request, and for a file in the query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Words {
    format: Option<Format>,
    currency: Option<String>,
    shop: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    leave_out: bool,
    cards: Option<bool>,
    #[serde(default)]
    pictures: Pictures,
    #[serde(default)]
    confirmed: bool,
}

pub(super) fn table() -> Table {
    const WORDS: &[Parameter] = &[
        Parameter {
            name: "format",
            kind: "string",
            about: "Whose file it is; seen from its beginning without it",
            values: &["table", "google", "google-xml", "shopify", "woo-commerce", "json"],
        },
        parameter("currency", "string", "ISO 4217, for amounts that name none"),
        parameter("shop", "string", "Where the shop is, for links: https://shop.example"),
        parameter("dryRun", "boolean", "Only tell what would change"),
        parameter("leaveOut", "boolean", "Take the other rows when some have mistakes"),
        parameter("cards", "boolean", "Whether new products get cards; true without it"),
        Parameter {
            name: "pictures",
            kind: "string",
            about: "Which are fetched",
            values: &["missing", "all", "none"],
        },
        parameter("confirmed", "boolean", "Also prices that look wrong"),
    ];
    let import = (WORDS, Takes::File, Gives::Object);
    Table::new("Products")
        .row(
            (Method::POST, "/import/file"),
            "ImportFile",
            "Takes a shop's file of products, whole or not at all",
            import,
            upload,
        )
        .row(
            (Method::GET, "/import"),
            "GetImport",
            "How far the pictures are",
            (&[], Takes::None, Gives::Object),
            progress,
        )
        .row(
            (Method::POST, "/import"),
            "ImportProducts",
            "Takes products from the import directory, or from `products`",
            (&[], Takes::Request("ImportProducts"), Gives::Object),
            take,
        )
        .most(MOST_BYTES)
}

/// The body is the request's data: as large as a catalogue, so that it is read only for who may, and beside the workers.
async fn take(Caller(doors): Caller, headers: HeaderMap, body: Bytes) -> Answer {
    if let Err(error) = doors.allow(Role::Producer) {
        let outcome = Err(error);
        perform::note(&doors, "ImportProducts", json!({ "bytes": body.len() }), &outcome).await;
        return outcome.map(Json);
    }
    let data = tokio::task::spawn_blocking(move || api::object(&body)).await;
    let mut data = data.map_err(|error| Error::plain(Kind::Failed, error))??;
    api::take_key(&headers, &mut data);
    api::ask(&doors, "ImportProducts", Value::Object(data)).await
}

/// The body is the file.
async fn upload(Caller(doors): Caller, Query(words): Query<Words>, body: Bytes) -> Answer {
    let Words { format, currency, shop, dry_run, leave_out, cards, pictures, confirmed } = words;
    let about = json!({ "bytes": body.len(), "format": format, "currency": currency, "shop": shop,
        "leaveOut": leave_out, "pictures": format!("{pictures:?}"), "confirmed": confirmed });
    let import = Import {
        format,
        currency,
        shop,
        dry_run,
        leave_out,
        cards,
        pictures,
        body: Some(body),
        ..Import::default()
    };
    perform::act(&doors, "ImportProducts", Action::Import { import, is_confirmed: confirmed }, about)
        .await
        .map(Json)
}

/// How far the pictures are.
async fn progress(Caller(doors): Caller) -> Json<Value> {
    Json(json!(doors.fetching.progress()))
}

/// Whether there is a file to import.
pub fn is_there(import_dir: &Path) -> bool {
    USUAL.iter().any(|name| import_dir.join(name).exists())
}

/// Does `import`, or tells what it would do. A price that is doubted wants `is_confirmed`.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub async fn run(doors: &Doors, import: Import, is_confirmed: bool) -> Result<Report, Error> {
    let bad = |error: &dyn std::fmt::Display| Error::plain(Kind::BadField, error);
    let (is_trial, leave_out) = (import.dry_run, import.leave_out);
    let manner = Manner {
        only_new: import.only_new,
        makes_cards: import.cards.unwrap_or(true),
        pictures: import.pictures,
    };
    let (state, directory) = (doors.director.state(), doors.import_dir.clone());
    let feed = tokio::task::spawn_blocking(move || {
        let file = bytes_of(&import, &directory)?;
        let options = Options { format: import.format, currency: import.currency, shop: import.shop };
        let feed = feed::read(&file, &options, &|sku| state.products.get(sku), WallTime::now());
        feed.map_err(|error| error.to_string())
    });
    let feed = feed.await.map_err(|error| Error::plain(Kind::Failed, error))?.map_err(|error| bad(&error))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let (feed, state) = (feed.clone(), doors.director.state());
        let before = state.clone();
        let planned = tokio::task::spawn_blocking(move || plan::plan(&state, feed, manner)).await;
        let Plan { command, pictures, mut report } =
            planned.map_err(|error| Error::plain(Kind::Failed, error))?;
        if is_trial {
            return Ok(report);
        }
        if let Some(first) = report.problems.first().filter(|_| !leave_out) {
            return Err(bad(&in_words(first, report.problem_count)));
        }
        // What overwrites nothing cannot be too late.
        let if_rev = (report.added + report.changed > 0).then_some(before.rev);
        let by = Some(doors.who.name.clone());
        let order = Order { if_rev, is_confirmed, by, ..Order::from(command) };
        match doors.director.apply(order).await {
            // Prices and stocks go on changing while a file is read: what changed meanwhile is looked at again.
            Err(director::Error::Stale { .. }) if tries < MOST_TRIES => {}
            outcome => {
                report.rev = outcome?;
                report.is_taken = true;
                doors.fetching.add(doors, &before, pictures);
                return Ok(report);
            }
        }
    }
}

fn in_words(first: &Note, count: usize) -> String {
    let others = match count {
        1 => String::new(),
        2 => ", and another row has mistakes".to_owned(),
        count => format!(", and {} more rows have mistakes", count - 1),
    };
    let field = first.field.as_deref().unwrap_or_default();
    format!("row {}: {field}: {}{others}: nothing was taken", first.row, first.reason)
}

fn bytes_of(import: &Import, directory: &Path) -> Result<Bytes, String> {
    if let Some(body) = &import.body {
        return Ok(body.clone());
    }
    if let Some(products) = &import.products {
        return Ok(products.to_string().into());
    }
    let is_there = |name: &&str| directory.join(name).exists();
    let usual = USUAL.into_iter().find(is_there).unwrap_or(USUAL[0]);
    let path = fetching::inside(directory, import.file.as_deref().unwrap_or(usual))?;
    read(&path).map_err(|error| format!("{}: {error}", shown(&path)))
}

fn read(path: &Path) -> Result<Bytes, std::io::Error> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_BYTES {
        return Err(std::io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(bytes.into())
}

/// Without the folders before it, which are nobody's business.
fn shown(path: &Path) -> String {
    PathBuf::from(path.file_name().unwrap_or_default()).display().to_string()
}
