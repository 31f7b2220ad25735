//! What is sold, and at what price: the only place that a card's price, stock and sold-out come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// The seller's own number for it; unique.
    pub sku: String,
    /// What it is called.
    pub title: String,
    /// The picture's id in the store, or nothing.
    #[serde(default)]
    pub image: Option<String>,
    /// Price in minor units of `currency`.
    pub price_minor: i64,
    /// The price before, shown struck through, in minor units of `currency`.
    #[serde(default)]
    pub old_price_minor: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// How many are left; nothing means that it is not counted.
    #[serde(default)]
    pub stock: Option<u32>,
    /// Where it is bought: where the QR leads.
    #[serde(default)]
    pub link: Option<String>,
}

impl Product {
    /// Nothing is left of what is counted.
    pub fn is_sold_out(&self) -> bool {
        self.stock == Some(0)
    }
}

/// Only the web: a `javascript:` link behind a QR would be ours to answer for.
pub(super) fn check_link(link: &str) -> Result<(), String> {
    if link.len() > 2000 {
        return Err("longer than 2000 characters".into());
    }
    if !(link.starts_with("https://") || link.starts_with("http://")) {
        let start: String = link.chars().take(80).collect();
        return Err(format!("{start:?} does not start with https:// or http://"));
    }
    if link.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it holds spaces or control characters".into());
    }
    Ok(())
}
