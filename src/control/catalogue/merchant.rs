//! Google Merchant Center's XML: RSS 2.0 items or Atom entries with elements of Google's own namespace. Pure.
//!
//! Source: Google Merchant Center Help, "Product data specification" and "RSS 2.0 specification".

use roxmltree::{Document, Node, ParsingOptions};

use super::feed::{Error, MOST_ROWS};
use super::row::Raw;

const GOOGLE: &str = "http://base.google.com/ns/1.0";
/// Elements of a feed: some dozens for a product.
const MOST_NODES: u32 = 4_000_000;

/// Its items, each with its number.
pub(super) fn rows(text: &str) -> Result<Vec<(usize, Raw)>, Error> {
    // Definitions of types and entities are refused by the parser itself.
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let failed = |detail: String| Error::Unreadable { format: "XML", detail };
    let document = Document::parse_with_options(text, options).map_err(|error| failed(error.to_string()))?;
    let is_item = |node: &Node| matches!(node.tag_name().name(), "item" | "entry");
    let items: Vec<Node> = document.descendants().filter(is_item).take(MOST_ROWS + 1).collect();
    if items.is_empty() {
        return Err(failed("it has no item and no entry".into()));
    }
    if items.len() > MOST_ROWS {
        return Err(Error::TooLong);
    }
    Ok(items.iter().enumerate().map(|(n, item)| (n + 1, raw(item))).collect())
}

fn raw(item: &Node) -> Raw {
    let mut raw = Raw { has_point: true, ..Raw::default() };
    for element in item.children().filter(Node::is_element) {
        // Atom's link is an attribute.
        let value = element.text().or_else(|| element.attribute("href")).unwrap_or_default().trim();
        let field = match element.tag_name().name() {
            "id" => &mut raw.sku,
            "title" => &mut raw.title,
            "link" => &mut raw.link,
            "image_link" => &mut raw.image,
            "price" => &mut raw.price,
            "sale_price" => &mut raw.sale_price,
            "sale_price_effective_date" => &mut raw.sale_dates,
            "availability" => &mut raw.availability,
            "quantity" | "sell_on_google_quantity" => &mut raw.stock,
            _ => continue,
        };
        // Atom's own id is an address; Google's is the product's.
        if field.is_none() || element.tag_name().namespace() == Some(GOOGLE) {
            *field = Some(value.to_owned());
        }
    }
    raw
}
