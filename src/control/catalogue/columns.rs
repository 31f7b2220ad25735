//! Tables of products: which separator, whose columns, and what a row says. Pure.
//!
//! Sources: Google Merchant Center Help, "Product data specification"; Shopify Help, "Using CSV files to import and export
//! products", with the names before and after its change; `WooCommerce` documentation, "Product CSV Import Schema".

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::amount;
use super::feed::{self, Draft, Error, Format, MOST_ROWS, Note, Options};
use crate::state::{Patch, Product};
use crate::time::WallTime;

/// What a row says, as text. An empty one says that there is none; a missing one says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) sku: Option<String>,
    pub(super) title: Option<String>,
    pub(super) price: Option<String>,
    /// In minor units.
    pub(super) price_minor: Option<String>,
    pub(super) old_price: Option<String>,
    /// The price while a sale is on.
    pub(super) sale_price: Option<String>,
    /// From and to.
    pub(super) sale_dates: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) stock: Option<String>,
    /// Google's words.
    pub(super) availability: Option<String>,
    pub(super) link: Option<String>,
    pub(super) image: Option<String>,
    /// A program wrote it: a point is a decimal point, whatever follows.
    pub(super) has_point: bool,
    /// Why it is no product on sale.
    pub(super) passed_over: Option<String>,
}

/// The rows of a table.
pub(super) fn rows(text: &str, format: Option<Format>) -> Result<(Format, Vec<(usize, Raw)>), Error> {
    let failed = |error: csv::Error| Error::Unreadable { format: "a table", detail: error.to_string() };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator(text)).flexible(true).from_reader(text.as_bytes());
    let names: Vec<String> = reader.headers().map_err(failed)?.iter().map(plain).collect();
    let format = format.unwrap_or_else(|| guessed(&names));
    if !is_known(&names, format) {
        return Err(feed::no_columns());
    }
    let mut rows = Vec::new();
    let mut product = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let row = record.position().map_or(0, |position| position.record() as usize + 1);
        let cells: HashMap<&str, &str> =
            names.iter().map(String::as_str).zip(record.iter().map(bare)).collect();
        if cells.values().all(|cell| cell.is_empty()) {
            continue;
        }
        let raw = match format {
            Format::Shopify => shopify(&Cells(cells), &mut product),
            Format::WooCommerce => Some(woocommerce(&Cells(cells))),
            Format::Google => Some(Raw { has_point: true, ..table(&Cells(cells)) }),
            _ => Some(table(&Cells(cells))),
        };
        rows.extend(raw.map(|raw| (row, raw)));
        if rows.len() > MOST_ROWS {
            return Err(Error::TooLong);
        }
    }
    Ok((format, rows))
}

/// A cell without what shops write before it so that spreadsheets take it for no formula.
fn bare(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(['-', '+', '=', '@'])).unwrap_or(cell)
}

/// What stands most often in the heading.
fn separator(text: &str) -> u8 {
    let heading = text.lines().next().unwrap_or_default();
    let count = |separator: &u8| heading.bytes().filter(|byte| byte == separator).count();
    [b',', b'\t', b';', b'|'].into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// A column's name without what differs from file to file.
fn plain(name: &str) -> String {
    let name = name.trim().trim_start_matches("g:").to_lowercase();
    name.chars().filter(|c| c.is_alphanumeric() || *c == '?').collect()
}

fn guessed(names: &[String]) -> Format {
    let has = |name: &str| names.iter().any(|one| one == name);
    if has("handle") && has("variantprice") || has("urlhandle") && has("sku") {
        Format::Shopify
    } else if has("regularprice") && has("type") {
        Format::WooCommerce
    } else if has("imagelink") || has("availability") && has("id") {
        Format::Google
    } else {
        Format::Table
    }
}

/// Columns of our own tables and of Google's, by what they say.
const SKU: &[&str] = &["sku", "id", "number", "productcode", "货号", "商品编码"];
const TITLE: &[&str] = &["title", "name", "商品名称", "标题", "名称"];
const PRICE: &[&str] = &["price", "价格", "售价"];
const OLD_PRICE: &[&str] = &["oldprice", "compareatprice", "原价"];
const CURRENCY: &[&str] = &["currency", "币种"];
const STOCK: &[&str] = &["stock", "quantity", "库存"];
const LINK: &[&str] = &["link", "url", "链接"];
const IMAGE: &[&str] = &["image", "imagelink", "imageurl", "picture", "图片"];

fn is_known(names: &[String], format: Format) -> bool {
    let has = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
    match format {
        Format::Shopify => has(&["handle", "urlhandle"]) && has(&["variantprice", "price"]),
        Format::WooCommerce => has(&["sku"]) && has(&["regularprice"]),
        // A table of stock alone is one too.
        _ => has(SKU) && (has(TITLE) || has(PRICE) || has(&["priceminor"]) || has(STOCK)),
    }
}

/// A row by its columns' plain names.
struct Cells<'a>(HashMap<&'a str, &'a str>);

impl Cells<'_> {
    fn get(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.0.get(name)).map(|cell| (*cell).to_owned())
    }

    /// The first that is not empty.
    fn full(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| self.0.get(name).filter(|cell| !cell.is_empty()))
            .map(|cell| (*cell).to_owned())
    }

    fn is(&self, names: &[&str], wanted: &[&str]) -> bool {
        self.full(names).is_some_and(|cell| wanted.contains(&cell.to_lowercase().as_str()))
    }
}

fn table(cells: &Cells) -> Raw {
    Raw {
        sku: cells.get(SKU),
        title: cells.get(TITLE),
        price: cells.get(PRICE),
        price_minor: cells.get(&["priceminor"]),
        old_price: cells.get(OLD_PRICE),
        sale_price: cells.get(&["saleprice"]),
        sale_dates: cells.get(&["salepriceeffectivedate"]),
        currency: cells.get(CURRENCY),
        stock: cells.get(STOCK),
        availability: cells.get(&["availability"]),
        link: cells.get(LINK),
        image: cells.full(IMAGE),
        has_point: false,
        passed_over: None,
    }
}

/// A product's first row has what holds for all of its variants; `product` keeps it.
fn shopify(cells: &Cells, product: &mut HashMap<&'static str, String>) -> Option<Raw> {
    let handle = cells.full(&["handle", "urlhandle"])?;
    if product.get("handle") != Some(&handle) {
        product.clear();
        product.insert("handle", handle.clone());
    }
    let mut of_product = |key: &'static str, names: &[&str]| {
        let cell = cells.full(names).or_else(|| product.get(key).cloned());
        product.extend(cell.clone().map(|cell| (key, cell)));
        cell
    };
    let title = of_product("title", &["title"]);
    let picture = of_product("picture", &["imagesrc", "productimageurl"]);
    let status = of_product("status", &["status"]).unwrap_or_default().to_lowercase();
    let published = of_product("published", &["published", "publishedononlinestore"]).unwrap_or_default();
    // Further rows of a product may hold no more than a picture.
    let price = cells.full(&["variantprice", "price"])?;
    let options: Vec<String> = (1..=3)
        .filter_map(|n| cells.full(&[&format!("option{n}value")]))
        .filter(|option| option != "Default Title")
        .collect();
    let named = |first: &str, separator: &str| {
        std::iter::once(first).chain(options.iter().map(String::as_str)).collect::<Vec<_>>().join(separator)
    };
    let sku = cells.full(&["variantsku", "sku"]).unwrap_or_else(|| named(&handle, "-"));
    let is_counted = cells.full(&["variantinventorytracker", "inventorytracker"]).is_some()
        && !cells.is(&["variantinventorypolicy", "continuesellingwhenoutofstock"], &["continue", "true"]);
    let stock = cells.get(&["variantinventoryqty", "inventoryquantity"]);
    Some(Raw {
        sku: Some(sku),
        title: title.map(|title| named(&title, " ")),
        price: Some(price),
        old_price: cells.get(&["variantcompareatprice", "compareatprice"]),
        // Without a tracker nobody counts; and what is sold on is never sold out.
        stock: stock.map(|stock| if is_counted { stock } else { String::new() }),
        link: Some(handle),
        image: cells.full(&["variantimage", "variantimageurl"]).or(picture),
        passed_over: if !matches!(status.as_str(), "" | "active") {
            Some(format!("its status is {status}"))
        } else if published.eq_ignore_ascii_case("false") {
            Some("it is not published".into())
        } else {
            None
        },
        has_point: true,
        ..Raw::default()
    })
}

fn woocommerce(cells: &Cells) -> Raw {
    let kind = cells.full(&["type"]).unwrap_or_default().to_lowercase();
    let is_parent = kind.split(',').any(|kind| matches!(kind.trim(), "variable" | "grouped"));
    let id = cells.full(&["id"]);
    let counted = cells.full(&["stock"]);
    let stock = match counted {
        Some(stock) if !cells.is(&["backordersallowed?"], &["1", "notify"]) => stock,
        _ if cells.is(&["instock?"], &["0", "no", "false"]) => "0".into(),
        _ => String::new(),
    };
    let dates =
        ["datesalepricestarts", "datesalepriceends"].map(|name| cells.full(&[name]).unwrap_or_default());
    Raw {
        sku: cells.full(&["sku"]).or_else(|| id.as_ref().map(|id| format!("id-{id}"))),
        title: cells.get(&["name"]),
        price: cells.get(&["regularprice"]),
        sale_price: cells.get(&["saleprice"]),
        sale_dates: dates.iter().any(|date| !date.is_empty()).then(|| dates.join("/")),
        stock: Some(stock),
        // WordPress leads from there to the product's own address.
        link: cells.full(&["externalurl"]).or_else(|| id.map(|id| format!("?p={id}"))),
        image: cells
            .full(&["images"])
            .map(|list| list.split(',').next().unwrap_or_default().trim().to_owned()),
        passed_over: if is_parent {
            Some(format!("it is {kind}: its variants have the prices"))
        } else if cells.is(&["published"], &["0", "-1", "2"]) {
            Some("it is not published".into())
        } else {
            None
        },
        has_point: true,
        ..Raw::default()
    }
}

impl Raw {
    /// The draft of row `row`.
    pub(super) fn draft<'a>(
        &self,
        row: usize,
        options: &Options,
        known: &dyn Fn(&str) -> Option<&'a Product>,
        now: WallTime,
    ) -> Result<Draft, Note> {
        let sku = number(self.sku.as_deref().unwrap_or_default());
        let problem = |field: &str, reason: String| Note::about(row, &sku, field, reason);
        if sku.is_empty() {
            return Err(problem("sku", "it is missing".into()));
        }
        let of_known = known(&sku).map(|product| product.currency.as_str());
        let said = self.currency.as_deref().filter(|code| !code.is_empty()).map(str::to_ascii_uppercase);
        let currency = said.as_deref().or(options.currency.as_deref()).or(of_known);
        let amount =
            |field: &str, text: &Option<String>| match text.as_deref().filter(|text| !text.is_empty()) {
                None => Ok(None),
                Some(text) => amount::read(text, currency, self.has_point)
                    .map(Some)
                    .map_err(|reason| problem(field, reason)),
            };
        let is_on_sale = self.is_on_sale(now).map_err(|reason| problem("salePrice", reason))?;
        let (full, sale) = (amount("price", &self.price)?, amount("salePrice", &self.sale_price)?);
        let old = amount("oldPrice", &self.old_price)?;
        let (price, old) = match (full, sale) {
            (Some(full), Some(sale)) if is_on_sale => (Some(sale), Some(full)),
            (full, _) => (full, old),
        };
        let minor = self.price_minor.as_deref().filter(|text| !text.is_empty()).map(str::parse).transpose();
        let minor = minor.map_err(|_| problem("priceMinor", "it is not a whole number".into()))?;
        let says_old = self.old_price.is_some() || self.sale_price.is_some();
        Ok(Draft {
            row,
            title: self.title.clone().filter(|title| !title.is_empty()),
            price_minor: price.as_ref().map(|(minor, _)| *minor).or(minor),
            // As high as the price it would be no discount, and some shops write 0 for none.
            old_price_minor: match old
                .filter(|old| old.0 > 0 && price.as_ref().is_none_or(|price| old.0 != price.0))
            {
                Some((old, _)) => Patch::Set(old),
                None if says_old => Patch::Clear,
                None => Patch::Keep,
            },
            // An amount's; a row about stock alone must not rename the one that is there.
            currency: price.map(|(_, code)| code).or_else(|| said.clone().filter(|_| minor.is_some())),
            stock: self.stock().map_err(|reason| problem("stock", reason))?,
            link: self.link(options),
            image: self.image.clone(),
            sku: sku.clone(),
        })
    }

    fn is_on_sale(&self, now: WallTime) -> Result<bool, String> {
        let Some(dates) = self.sale_dates.as_deref().filter(|dates| !dates.is_empty()) else {
            return Ok(true);
        };
        let (from, to) = dates.split_once('/').ok_or_else(|| format!("{dates:?} is not FROM/TO"))?;
        let read = |text: &str, otherwise: i64| match text.trim() {
            "" => Ok(WallTime(otherwise)),
            text => moment(text).ok_or_else(|| format!("{text:?} is not a date")),
        };
        Ok(read(from, i64::MIN)? <= now && now < read(to, i64::MAX)?)
    }

    fn stock(&self) -> Result<Patch<u32>, String> {
        let sold_out = |word: &str| matches!(word.replace(' ', "_").to_lowercase().as_str(), "out_of_stock");
        if self.availability.as_deref().is_some_and(sold_out) {
            return Ok(Patch::Set(0));
        }
        match self.stock.as_deref() {
            // What is there again, is counted no more.
            None if self.availability.is_some() => Ok(Patch::Clear),
            None => Ok(Patch::Keep),
            Some("") => Ok(Patch::Clear),
            Some(text) => {
                let count: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
                // Shops go below nothing when they have sold too much.
                Ok(Patch::Set(count.clamp(0.0, u32::MAX.into()) as u32))
            }
        }
    }

    /// Its own address, or where the shop would have it.
    fn link(&self, options: &Options) -> Patch<String> {
        match self.link.as_deref() {
            None => Patch::Keep,
            Some("") => Patch::Clear,
            Some(link) if link.contains("://") => Patch::Set(link.to_owned()),
            Some(link) => match options.shop.as_deref().map(|shop| shop.trim_end_matches('/')) {
                None => Patch::Keep,
                Some(shop) if link.starts_with('?') => Patch::Set(format!("{shop}/{link}")),
                Some(shop) => Patch::Set(format!("{shop}/products/{link}")),
            },
        }
    }
}

/// A product's number with what addresses can hold: `A 100/5` is `A-100-5`. Letters that are lost leave a mark, so that two
/// numbers stay two.
pub(super) fn number(text: &str) -> String {
    let text = text.trim();
    let is_kept = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = text.chars().map(|c| if is_kept(c) { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    if !text.chars().any(|c| !c.is_ascii() && c.is_alphanumeric()) {
        return plain.to_owned();
    }
    let mark: String = Sha256::digest(text).iter().take(4).map(|byte| char::from(b'a' + byte % 26)).collect();
    let plain: String = plain.chars().take(50).collect();
    format!("{plain}-{mark}").trim_matches('-').to_owned()
}

/// ISO 8601 as shops write it: without seconds, without a colon in the zone, or a day alone; without a zone it is UTC.
fn moment(text: &str) -> Option<WallTime> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
    let zone = match zone.len() {
        0 => "Z".to_owned(),
        5 => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
        _ => zone.to_owned(),
    };
    WallTime::parse(&format!("{date}T{clock}{seconds}{zone}"))
}
