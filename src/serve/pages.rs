//! The web pages, embedded in the binary, and `/go/{code}`, where the QR on a card leads.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rust_embed::RustEmbed;

use crate::director::DirectorHandle;
use crate::state::Product;

#[derive(RustEmbed)]
#[folder = "assets/web"]
struct Web;

/// Scripts and styles come from here only; the player makes workers and media from blobs.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; \
    worker-src 'self' blob:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'";

/// The routes.
pub fn router(director: DirectorHandle) -> Router {
    Router::new()
        .route("/control", get(|| async { page("control.html") }))
        .route("/api", get(|| async { page("api.html") }))
        .route("/host", get(|| async { page("host.html") }))
        .route("/watch/{channel}", get(watch))
        .route("/assets/lang.json", get(languages))
        .route("/assets/{*file}", get(asset))
        .route("/go/{code}", get(go))
        .with_state(director)
}

async fn watch(State(director): State<DirectorHandle>, Path(channel): Path<String>) -> Response {
    if director.state().channels.contains(&channel) {
        return page("watch.html");
    }
    (StatusCode::NOT_FOUND, Html("<!doctype html><title>Not here</title><p>There is no such channel."))
        .into_response()
}

fn page(name: &str) -> Response {
    let mut response = file(name);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(POLICY));
    response
}

async fn asset(Path(name): Path<String>) -> Response {
    file(&name)
}

/// Each language that the pages speak beside English: its code, and its own name for itself.
async fn languages() -> Response {
    let names: BTreeMap<String, String> = Web::iter().filter_map(|name| language(&name)).collect();
    ([(header::CACHE_CONTROL, "no-cache")], Json(names)).into_response()
}

/// A file in `lang`, of which the server reads no more.
#[derive(serde::Deserialize)]
struct Language {
    #[serde(rename = "")]
    name: String,
}

fn language(name: &str) -> Option<(String, String)> {
    let code = name.strip_prefix("lang/")?.strip_suffix(".json")?;
    let words: Language = serde_json::from_slice(&Web::get(name)?.data).ok()?;
    Some((code.to_owned(), words.name))
}

fn file(name: &str) -> Response {
    let Some(found) = Web::get(name) else { return StatusCode::NOT_FOUND.into_response() };
    let media_type = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, media_type),
        // The files belong to this build: a browser asks again after an upgrade.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (headers, found.data.into_owned()).into_response()
}

/// To the product's own page; without one, a page that names it.
async fn go(State(director): State<DirectorHandle>, Path(code): Path<String>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let record = match director.resolve(code).await {
        Ok(record) => record,
        Err(error) => {
            tracing::error!("a code could not be looked up: {error}");
            return (StatusCode::SERVICE_UNAVAILABLE, no_store, "Please try again.").into_response();
        }
    };
    let state = director.state();
    let card = record.as_ref().and_then(|record| state.cards.get(&record.card_id));
    let own_link = card.and_then(|card| card.data.get("link")).and_then(|link| link.as_str());
    let sku = record.as_ref().and_then(|record| record.sku.as_ref());
    if let (None, Some(link)) = (sku, own_link)
        && let Ok(location) = header::HeaderValue::from_str(&ascii(link))
    {
        return (StatusCode::FOUND, no_store, [(header::LOCATION, location)]).into_response();
    }
    if let Some(card) = card.filter(|card| !card.skus.is_empty()) {
        let products: Vec<&Product> = card.skus.iter().filter_map(|sku| state.products.get(sku)).collect();
        return (no_store, Html(tray(&products))).into_response();
    }
    let Some(product) = sku.and_then(|sku| state.products.get(sku).cloned()) else {
        let text =
            "<!doctype html><meta charset=utf-8><title>Not here</title><p>This offer is not known here.";
        return (StatusCode::NOT_FOUND, no_store, Html(text)).into_response();
    };
    if let Some(link) = &product.link
        && let Ok(location) = header::HeaderValue::from_str(&ascii(link))
    {
        return (StatusCode::FOUND, no_store, [(header::LOCATION, location)]).into_response();
    }
    let title = escaped(&product.title);
    let text = format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{title}</title><body style='font:1.2rem sans-serif;margin:3rem'><h1>{title}</h1>\
         <p>Ask in the show how to order this.</p>"
    );
    (no_store, Html(text)).into_response()
}

/// A page of several products, for the QR of a tray.
fn tray(products: &[&Product]) -> String {
    let mut text = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>\
                    <title>In this show</title><body style='font:1.2rem sans-serif;margin:2rem'>\
                    <h1>In this show</h1><ul>"
        .to_owned();
    for product in products {
        let title = escaped(&product.title);
        let entry = product.link.as_ref().map_or_else(
            || title.clone(),
            |link| format!("<a href=\"{}\">{title}</a>", escaped(link).replace('"', "&quot;")),
        );
        let _ = write!(text, "<li style='margin:1rem 0'>{entry}</li>");
    }
    text + "</ul>"
}

/// An address with its letters beyond ASCII as browsers write them in a request.
fn ascii(link: &str) -> String {
    let mut out = String::with_capacity(link.len());
    for letter in link.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Names, examples and signs, which are the same everywhere.
    const NAMES: &[&str] = &[
        "Vitrine",
        "WooCommerce",
        "Shopify",
        "JSON",
        "EUR",
        "Stream Deck",
        "import",
        "https://",
        "https://shop.example",
        "↑",
        "↓",
        "",
    ];

    fn text(name: &str) -> String {
        String::from_utf8(Web::get(name).unwrap().data.into_owned()).unwrap()
    }

    /// What stands between tags, but for code, titles and scripts.
    fn of_page(page: &str) -> BTreeSet<String> {
        let is_hidden =
            |tag: &str| ["script", "title", "code", "style"].iter().any(|name| tag.starts_with(name));
        let pieces = page.split('<').filter_map(|piece| piece.split_once('>'));
        let shown = pieces.filter(|(tag, _)| !is_hidden(tag)).map(|(_, text)| text.replace("&nbsp;", " "));
        shown.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The texts that a script translates, where they stand in the call itself.
    fn of_script(script: &str) -> BTreeSet<String> {
        let calls = script
            .split(" t(\"")
            .skip(1)
            .chain(script.split("(t(\"").skip(1))
            .chain(script.split("{t(\"").skip(1));
        calls.filter_map(|rest| rest.split_once('"')).map(|(text, _)| text.to_owned()).collect()
    }

    #[test]
    fn every_language_has_every_text() {
        let mut needed = BTreeSet::new();
        for page in ["control.html", "host.html", "watch.html"] {
            needed.extend(of_page(&text(page)));
        }
        let scripts: Vec<String> =
            Web::iter().filter(|name| name.ends_with(".js") && !name.contains('/')).map(Into::into).collect();
        for script in &scripts {
            needed.extend(of_script(&text(script)));
        }
        assert!(scripts.len() > 10 && needed.len() > 200, "{} texts", needed.len());
        let languages: Vec<String> =
            Web::iter().filter(|name| name.starts_with("lang/")).map(Into::into).collect();
        assert!(languages.contains(&"lang/zh.json".to_owned()));
        for language in languages {
            let all: serde_json::Value = serde_json::from_str(&text(&language)).unwrap();
            let words = all.as_object().unwrap();
            let missing: Vec<&String> = needed
                .iter()
                .filter(|text| !words.contains_key(*text) && !NAMES.contains(&text.as_str()))
                .collect();
            assert!(missing.is_empty(), "{language} lacks {missing:#?}");
        }
    }

    /// Everything that stands in the sources.
    fn sources(folder: &std::path::Path) -> String {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: std::path::PathBuf| {
            if path.is_dir() { sources(&path) } else { std::fs::read_to_string(&path).unwrap_or_default() }
        };
        entries.map(read).collect()
    }

    /// Words of sentences that serde and axum make.
    const LIBRARIES: [&str; 5] = ["invalid", "variant", "expected", "buffer", "exceeded"];

    #[test]
    fn no_sentence_of_the_server_is_translated_that_it_does_not_say() {
        let source = sources(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
        let all: serde_json::Value = serde_json::from_str(&text("lang/zh.json")).unwrap();
        let sentences = all["server"].as_object().unwrap();
        let is_said = |key: &str| {
            let words = key
                .split('{')
                .flat_map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest).split(' '));
            let words = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
            words.filter(|word| word.len() > 3 && !LIBRARIES.contains(word)).all(|word| source.contains(word))
        };
        let unsaid: Vec<&String> = sentences.keys().filter(|key| !is_said(key)).collect();
        assert!(sentences.len() > 200 && unsaid.is_empty(), "{unsaid:#?}");
    }
}
