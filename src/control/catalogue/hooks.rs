//! Webhooks: shops tell of other prices and stocks by themselves. `POST /api/v1/hooks/NAME`, signed with the secret that both know.
//!
//! Only what is in the catalogue is changed, and only what the message says. A price that looks wrong waits for somebody
//! ([`questions`](crate::control::questions)); a message that is older than the last of its product changes nothing.
//!
//! Sources: Shopify, "Webhooks: verify the origin"; `WooCommerce`, "Webhooks"; GitHub's `X-Hub-Signature-256` for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use super::feed::{self, Draft, Feed, Format, Note, Options};
use super::row::{self, Raw};
use crate::config::{Hook, HookKind};
use crate::control::Doors;
use crate::control::api::{Gives, Table, Takes};
use crate::control::error::{Error, Kind};
use crate::control::people::Who;
use crate::control::perform;
use crate::state::{Patch, State as Shop};
use crate::time::WallTime;

/// Products whose last message is remembered.
const MOST: usize = 20_000;

/// Who may tell, by name.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    known: Arc<std::collections::BTreeMap<String, Hook>>,
    /// When each product's last message was written, by hook and SKU.
    last: Arc<Mutex<HashMap<(String, String), WallTime>>>,
}

impl Hooks {
    /// These.
    pub fn new(known: std::collections::BTreeMap<String, Hook>) -> Self {
        Self { known: Arc::new(known), last: Arc::default() }
    }

    /// Whether nothing newer was told of this product.
    fn is_newest(&self, hook: &str, sku: &str, at: Option<WallTime>) -> bool {
        let Some(at) = at else { return true };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() > MOST {
            last.clear();
        }
        let known = last.entry((hook.to_owned(), sku.to_owned())).or_insert(at);
        let is_newest = *known <= at;
        *known = at.max(*known);
        is_newest
    }
}

/// What shops send, in JSON Schema.
fn schema() -> Value {
    json!({ "type": "object", "description": "A product as the shop writes it, or `products` in our own words." })
}

pub(in crate::control) fn table() -> Table {
    Table::new("Webhooks").row(
        (Method::POST, "/hooks/{hook}"),
        "TellOfChanges",
        "A shop tells of prices and stocks; its signature over the body says who it is, and no token",
        (&[], Takes::Object(schema), Gives::Object),
        hook,
    )
}

/// Whether `headers` sign `body` as such a shop does.
fn is_signed(hook: &Hook, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let tag = match hook.kind {
        HookKind::Shopify => STANDARD.decode(header("x-shopify-hmac-sha256")).ok(),
        HookKind::WooCommerce => STANDARD.decode(header("x-wc-webhook-signature")).ok(),
        HookKind::Signed => header("x-hub-signature-256").strip_prefix("sha256=").and_then(bytes_of),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, hook.secret.as_bytes());
    tag.is_some_and(|tag| hmac::verify(&key, body, &tag).is_ok())
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What a message says, and when it was written.
fn read(hook: &Hook, body: &[u8], state: &Shop) -> Result<(Feed, Option<WallTime>), Error> {
    let bad = |error: &dyn std::fmt::Display| Error::plain(Kind::BadField, error);
    let mut message: Value = serde_json::from_slice(body).map_err(|error| bad(&error))?;
    let known = |sku: &str| state.products.get(sku);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let (raws, format): (Vec<Raw>, _) = match hook.kind {
        HookKind::Signed => {
            let at = message.as_object_mut().and_then(|fields| fields.remove("at"));
            let is_list = message.is_array() || message.get("products").is_some();
            let list = if is_list { message } else { json!([message]) };
            let feed = feed::read(list.to_string().as_bytes(), &Options::default(), &known, WallTime::now());
            let at = at.as_ref().and_then(Value::as_str).and_then(WallTime::parse);
            return Ok((feed.map_err(|error| bad(&error))?, at));
        }
        HookKind::Shopify => {
            let variants = message["variants"].as_array().cloned().unwrap_or_default();
            (variants.iter().map(|variant| shopify(variant, &text)).collect(), Format::Shopify)
        }
        HookKind::WooCommerce => (vec![woocommerce(&message, &text)], Format::WooCommerce),
    };
    let written = message["updated_at"].as_str().and_then(WallTime::parse).or_else(|| {
        message["date_modified_gmt"].as_str().and_then(|text| WallTime::parse(&format!("{text}Z")))
    });
    // What is not here has no currency to read its price with, and is nobody's business.
    let is_here = |raw: &Raw| known(&row::number(raw.sku.as_deref().unwrap_or_default())).is_some();
    let raws = raws.into_iter().filter(is_here).collect();
    Ok((Feed::of(raws, format, &known, WallTime::now()), written))
}

fn shopify(variant: &Value, text: &dyn Fn(&Value) -> Option<String>) -> Raw {
    // Newer versions of the API do not say who counts; older ones say that nobody does.
    let is_counted = variant.get("inventory_management").is_none_or(|manager| !manager.is_null())
        && variant["inventory_policy"] != "continue";
    Raw {
        sku: text(&variant["sku"]),
        price: text(&variant["price"]),
        old_price: variant.get("compare_at_price").map(|old| text(old).unwrap_or_default()),
        stock: text(&variant["inventory_quantity"])
            .map(|count| if is_counted { count } else { String::new() }),
        has_point: true,
        ..Raw::default()
    }
}

fn woocommerce(product: &Value, text: &dyn Fn(&Value) -> Option<String>) -> Raw {
    let price = text(&product["price"]).filter(|price| !price.is_empty());
    let regular = text(&product["regular_price"]).filter(|price| !price.is_empty());
    let stock = match text(&product["stock_quantity"]) {
        Some(count) if product["backorders_allowed"] != json!(true) => Some(count),
        _ if product["stock_status"] == "outofstock" => Some("0".into()),
        _ => product.get("stock_status").map(|_| String::new()),
    };
    Raw {
        sku: text(&product["sku"]),
        // The shop itself says what holds now.
        old_price: price.as_ref().map(|_| regular.unwrap_or_default()),
        price,
        stock,
        has_point: true,
        ..Raw::default()
    }
}

/// `POST /api/v1/hooks/{hook}`.
async fn hook(
    State(doors): State<Doors>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Error> {
    let hook = doors.hooks.known.get(&name).cloned();
    // A new WooCommerce webhook says hello first, without a signature.
    let greeting = body.strip_prefix(b"webhook_id=").is_some_and(|id| id.iter().all(u8::is_ascii_digit));
    if greeting && hook.as_ref().is_some_and(|hook| hook.kind == HookKind::WooCommerce) {
        return Ok(Json(json!({ "taken": 0 })));
    }
    let signed = hook.filter(|hook| is_signed(hook, &headers, &body));
    let hook = signed.ok_or_else(|| Error::plain(Kind::Unauthorised, "the signature is missing or wrong"))?;
    let doors = Doors { who: Who::program(&name), ..doors };
    let (feed, written) = read(&hook, &body, &doors.director.state())?;
    let (mut taken, mut waiting, mut passed_over) = (0, 0, 0);
    let mut problems = feed.problems;
    for draft in feed.drafts {
        let is_here = doors.director.state().products.contains_key(&draft.sku);
        if !is_here || !doors.hooks.is_newest(&name, &draft.sku, written) {
            passed_over += 1;
            continue;
        }
        match take(&doors, &name, &draft).await {
            Ok(true) => taken += 1,
            Ok(false) => waiting += 1,
            Err(error) => problems.push(Note {
                row: draft.row,
                sku: draft.sku,
                field: error.field,
                reason: error.detail,
            }),
        }
    }
    Ok(Json(json!({ "taken": taken, "waiting": waiting, "passedOver": passed_over, "problems": problems })))
}

/// Changes a product's stock and price as a draft says; whether the price was taken, and does not wait.
async fn take(doors: &Doors, hook: &str, draft: &Draft) -> Result<bool, Error> {
    let said = |patch: &Patch<_>| *patch != Patch::Keep;
    if said(&draft.stock) {
        let stock = draft.stock.clone().value();
        perform::ask(doors, "SetStock", Some(json!({ "sku": draft.sku, "stock": stock }))).await?;
    }
    let mut price = json!({ "sku": draft.sku });
    if let Some(minor) = draft.price_minor {
        price["priceMinor"] = minor.into();
    }
    if draft.old_price_minor != Patch::Keep {
        price["oldPriceMinor"] = json!(draft.old_price_minor.clone().value());
    }
    if let Some(currency) = &draft.currency {
        price["currency"] = currency.as_str().into();
    }
    if price.as_object().is_none_or(|fields| fields.len() == 1) {
        return Ok(true);
    }
    match perform::ask(doors, "SetPrice", Some(price.clone())).await {
        Ok(_) => {
            doors.questions.forget(&draft.sku);
            Ok(true)
        }
        Err(error) if error.field.as_deref() == Some("confirmed") => {
            doors.questions.ask(hook, &draft.sku, price, error.doubts);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_secret_signs_is_read() {
        let body = br#"{"variants":[]}"#;
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret of sixteen");
        let tag = hmac::sign(&key, body);
        let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let base64 = STANDARD.encode(tag.as_ref());
        for (kind, name, value) in [
            (HookKind::Shopify, "x-shopify-hmac-sha256", base64.clone()),
            (HookKind::WooCommerce, "x-wc-webhook-signature", base64),
            (HookKind::Signed, "x-hub-signature-256", format!("sha256={hex}")),
        ] {
            let hook = Hook { kind, secret: "a secret of sixteen".into() };
            let headers: HeaderMap = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
            assert!(is_signed(&hook, &headers, body), "{name}");
            assert!(!is_signed(&hook, &headers, b"{}"), "another body");
            assert!(!is_signed(&hook, &HeaderMap::new(), body), "no signature");
            let other = Hook { secret: "another secret, also long".into(), ..hook };
            assert!(!is_signed(&other, &headers, body), "another secret");
        }
    }

    #[test]
    fn an_older_message_changes_nothing() {
        let hooks = Hooks::default();
        let at = |ms| Some(WallTime(ms));
        assert!(hooks.is_newest("shop", "cup", at(5)));
        assert!(hooks.is_newest("shop", "cup", at(5)), "the same again is harmless");
        assert!(!hooks.is_newest("shop", "cup", at(4)));
        assert!(hooks.is_newest("shop", "pot", at(1)), "another product");
        assert!(hooks.is_newest("shop", "cup", None), "one that says no time");
    }
}
