//! A file of products, as shops export them, to drafts. Pure.
//!
//! Tables (CSV with any of the usual separators, TSV) of Vitrine's own columns, Google Merchant Center, Shopify and
//! `WooCommerce`; Google's XML (RSS 2.0 or Atom); JSON in the API's own words. Which of them it is, is seen from its beginning
//! and its columns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns;
use super::merchant;
use super::row::Raw;
use crate::state::{Patch, Product};
use crate::time::WallTime;

/// Rows that are read.
pub const MOST_ROWS: usize = 50_000;
const GENERIC: &str = "it has no columns that are known here: sku, title and price at least";

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A table with the columns of the API: `sku`, `title`, `price`, `oldPrice`, `currency`, `stock`, `link`, `image`.
    Table,
    /// Google Merchant Center's product data, as a table.
    Google,
    /// The same as XML.
    GoogleXml,
    /// Shopify's product export.
    Shopify,
    /// `WooCommerce`'s product export.
    WooCommerce,
    /// A list of objects in the API's words.
    Json,
}

/// What a file does not say itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whose it is, when it should not be guessed.
    pub format: Option<Format>,
    /// ISO 4217, for amounts that name none.
    pub currency: Option<String>,
    /// Where the shop is: `https://shop.example`. Shopify's and `WooCommerce`'s files hold no addresses of products.
    pub shop: Option<String>,
}

/// What a row says of a product; what it says nothing of stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The row, as people count them: the first after the heading is 2.
    pub row: usize,
    /// The product's number.
    pub sku: String,
    /// What it is called.
    pub title: Option<String>,
    /// Minor units.
    pub price_minor: Option<i64>,
    /// Minor units.
    pub old_price_minor: Patch<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// How many are left.
    pub stock: Patch<u32>,
    /// Where it is bought.
    pub link: Patch<String>,
    /// A picture's address, or its path in the import directory.
    pub image: Option<String>,
}

/// What is wrong in a row, or why it is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The row, as people count them.
    pub row: usize,
    /// The product, as far as it is known.
    pub sku: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// In words.
    pub reason: String,
}

impl Note {
    /// About a field.
    pub fn about(row: usize, sku: &str, field: &str, reason: impl Into<String>) -> Self {
        Self { row, sku: sku.chars().take(80).collect(), field: Some(field.into()), reason: reason.into() }
    }
}

/// A file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Whose it is.
    pub format: Format,
    /// The letters that it was written in.
    pub encoding: &'static str,
    /// The products.
    pub drafts: Vec<Draft>,
    /// Rows with mistakes.
    pub problems: Vec<Note>,
    /// Rows that are no products on sale.
    pub passed_over: Vec<Note>,
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not one of the formats.
    #[error("the file cannot be read as {format}: {detail}")]
    Unreadable {
        /// What it was taken for.
        format: &'static str,
        /// Why not.
        detail: String,
    },
    /// Longer than a catalogue.
    #[error("the file has more than {MOST_ROWS} rows")]
    TooLong,
}

/// Reads `file`. What is known of a product helps with the currency; `now` decides which sales are on.
///
/// # Errors
/// [`Error`]. A mistake in a row is a [`Note`].
pub fn read<'a>(
    file: &[u8],
    options: &Options,
    known: &dyn Fn(&str) -> Option<&'a Product>,
    now: WallTime,
) -> Result<Feed, Error> {
    let (text, encoding) = decoded(file);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let format = options.format;
    let (format, rows) = match text.as_bytes().first() {
        Some(b'[' | b'{') if format.is_none() => (Format::Json, Vec::new()),
        _ if format == Some(Format::Json) => (Format::Json, Vec::new()),
        Some(b'<') => (Format::GoogleXml, merchant::rows(text)?),
        _ if format == Some(Format::GoogleXml) => (Format::GoogleXml, merchant::rows(text)?),
        _ => columns::rows(text, format)?,
    };
    let mut feed = Feed::empty(format, encoding);
    if format == Format::Json {
        feed.json(text)?;
    } else {
        for (row, raw) in rows {
            feed.take(row, &raw, options, known, now);
        }
    }
    feed.refuse_twice();
    Ok(feed)
}

/// UTF-8, UTF-16 with its mark, or what Excel writes in China.
fn decoded(file: &[u8]) -> (String, &'static str) {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(file) {
        return (encoding.decode_without_bom_handling(&file[mark..]).0.into_owned(), encoding.name());
    }
    if let Ok(text) = std::str::from_utf8(file) {
        return (text.to_owned(), "UTF-8");
    }
    let chinese = encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(file);
    match chinese {
        Some(text) if is_chinese(file) => (text.into_owned(), "GB18030"),
        _ => (encoding_rs::WINDOWS_1252.decode_without_bom_handling(file).0.into_owned(), "windows-1252"),
    }
}

/// Most Western texts are valid GB18030 too: an accented letter and the one after it. Chinese ones are mostly of its first
/// 3,755 characters, whose second byte is no ASCII. Source: GB 2312, level 1.
fn is_chinese(file: &[u8]) -> bool {
    let (mut at, mut common, mut others) = (0, 0, 0);
    while at + 1 < file.len() {
        if file[at] < 0x81 {
            at += 1;
            continue;
        }
        if (0xb0..=0xd7).contains(&file[at]) && file[at + 1] >= 0xa1 {
            common += 1;
        } else if file[at + 1] < 0x80 {
            others += 1;
        }
        at += 2;
    }
    common >= 2 && common > others
}

impl Feed {
    fn take<'a>(
        &mut self,
        row: usize,
        raw: &Raw,
        options: &Options,
        known: &dyn Fn(&str) -> Option<&'a Product>,
        now: WallTime,
    ) {
        if let Some(reason) = &raw.passed_over {
            let sku = raw.sku.clone().unwrap_or_default();
            self.passed_over.push(Note { row, sku, field: None, reason: reason.clone() });
            return;
        }
        match raw.draft(row, options, known, now) {
            Ok(draft) => self.drafts.push(draft),
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Rows that were read elsewhere.
    pub(super) fn of<'a>(
        rows: Vec<Raw>,
        format: Format,
        known: &dyn Fn(&str) -> Option<&'a Product>,
        now: WallTime,
    ) -> Self {
        let mut feed = Self::empty(format, "UTF-8");
        // Variants without a number of their own are nobody's here.
        let numbered = rows.iter().filter(|row| row.sku.as_ref().is_some_and(|sku| !sku.is_empty()));
        for (n, raw) in numbered.enumerate() {
            feed.take(n + 1, raw, &Options::default(), known, now);
        }
        feed.refuse_twice();
        feed
    }

    fn empty(format: Format, encoding: &'static str) -> Self {
        Self { format, encoding, drafts: Vec::new(), problems: Vec::new(), passed_over: Vec::new() }
    }

    fn json(&mut self, text: &str) -> Result<(), Error> {
        let failed = |detail: String| Error::Unreadable { format: "JSON", detail };
        let list: Value = serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
        let list = match list {
            Value::Object(mut fields) if fields.contains_key("products") => fields.remove("products"),
            list => Some(list),
        };
        let Some(Value::Array(list)) = list else {
            return Err(failed("it is not a list of products".into()));
        };
        if list.len() > MOST_ROWS {
            return Err(Error::TooLong);
        }
        for (n, value) in list.into_iter().enumerate() {
            let sku = value["sku"].as_str().unwrap_or_default().to_owned();
            match serde_path_to_error::deserialize::<_, Object>(value) {
                Ok(object) => self.drafts.push(object.draft(n + 1)),
                Err(error) => {
                    let path = error.path().to_string();
                    let reason = error.into_inner().to_string();
                    self.problems.push(Note::about(n + 1, &sku, path.trim_matches('.'), reason));
                }
            }
        }
        Ok(())
    }

    /// The first row of a product counts; a second is a mistake.
    fn refuse_twice(&mut self) {
        let mut seen = std::collections::HashMap::new();
        let (mut once, problems) = (Vec::with_capacity(self.drafts.len()), &mut self.problems);
        for draft in self.drafts.drain(..) {
            let first = *seen.entry(draft.sku.clone()).or_insert(draft.row);
            if first == draft.row {
                once.push(draft);
            } else {
                problems.push(Note::about(
                    draft.row,
                    &draft.sku,
                    "sku",
                    format!("row {first} has it already"),
                ));
            }
        }
        self.drafts = once;
        self.problems.sort_by_key(|problem| problem.row);
    }
}

/// A product in the API's words.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object {
    sku: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    price_minor: Option<i64>,
    #[serde(default)]
    old_price_minor: Patch<i64>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    stock: Patch<u32>,
    #[serde(default)]
    link: Patch<String>,
    #[serde(default)]
    image: Option<String>,
}

impl Object {
    fn draft(self, row: usize) -> Draft {
        let Self { sku, title, price_minor, old_price_minor, currency, stock, link, image } = self;
        Draft { row, sku, title, price_minor, old_price_minor, currency, stock, link, image }
    }
}

/// The columns are missing.
pub(super) fn no_columns() -> Error {
    Error::Unreadable { format: "a table", detail: GENERIC.into() }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
