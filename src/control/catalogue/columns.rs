//! Tables of products: which separator, and whose columns. Pure.
//!
//! Sources: Google Merchant Center Help, "Product data specification"; Shopify Help, "Using CSV files to import and export
//! products", with the names before and after its change; `WooCommerce` documentation, "Product CSV Import Schema".

use std::collections::HashMap;

use super::feed::{self, Error, Format, MOST_ROWS};
use super::row::Raw;

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
