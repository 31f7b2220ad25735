//! What is sold, and what about prices is looked at twice.

use serde::Deserialize;

use super::Error;

/// Rules for products.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// The share by which a price may fall at once without being confirmed; 1 lets it fall to nothing.
    pub largest_price_drop: f64,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { largest_price_drop: 0.5 }
    }
}

impl Catalogue {
    pub(super) fn check(&self) -> Result<(), Error> {
        if (0.0..=1.0).contains(&self.largest_price_drop) {
            return Ok(());
        }
        Err(Error::Value {
            key: "catalogue.largest_price_drop".into(),
            value: self.largest_price_drop.to_string(),
            reason: "0 to 1",
        })
    }
}

/// Whose signature a webhook has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookKind {
    /// Shopify's.
    Shopify,
    /// `WooCommerce`'s.
    WooCommerce,
    /// `X-Hub-Signature-256` over products in the API's words.
    Signed,
}

/// A shop that tells of changes.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Whose.
    pub kind: HookKind,
    /// What both know.
    pub secret: String,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Hook {
    pub(super) fn check(&self, name: &str) -> Result<(), Error> {
        if self.secret.len() >= 16 {
            return Ok(());
        }
        Err(Error::Value {
            key: format!("hooks.{name}.secret"),
            value: "what is there".into(),
            reason: "16 characters or more",
        })
    }
}
