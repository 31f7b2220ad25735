//! What somebody wants imported, and how. Pure.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::feed::Format;
use super::plan::Pictures;

/// How products are imported.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Import {
    /// A file in the import directory; the usual names without it.
    pub file: Option<String>,
    /// The products themselves, in the API's words.
    pub products: Option<Value>,
    /// Whose file it is; guessed without it.
    pub format: Option<Format>,
    /// ISO 4217, for amounts that name none.
    pub currency: Option<String>,
    /// Where the shop is, for links to products: `https://shop.example`.
    pub shop: Option<String>,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Take the other rows when some have mistakes.
    pub leave_out: bool,
    /// Whether new products get cards of their own.
    pub cards: Option<bool>,
    /// Which pictures are fetched.
    pub pictures: Pictures,
    /// Products that are in the catalogue stay as they are: at a start, when what operators changed since must stand.
    #[serde(skip)]
    pub only_new: bool,
    /// The file itself.
    #[serde(skip)]
    pub body: Option<Bytes>,
}
