//! The rules of the catalogue.

use super::{Changes, check_name, check_text, conflict, field, not_found};
use crate::state::product::check_link;
use crate::state::{Change, Error, Product, State, money};

/// The largest amount: 10^12 minor units, which every currency's real prices stay under.
const MOST_MINOR: i64 = 1_000_000_000_000;
const MOST_PRODUCTS: usize = 10_000;

impl State {
    pub(super) fn put_product(&mut self, product: Product) -> Result<Changes, Error> {
        check_product(&product)?;
        if self.products.get(&product.sku) == Some(&product) {
            return Ok(Vec::new());
        }
        if self.products.size() >= MOST_PRODUCTS && !self.products.contains_key(&product.sku) {
            return Err(conflict("sku", format!("the catalogue holds {MOST_PRODUCTS} products and is full")));
        }
        self.products.insert_mut(product.sku.clone(), product.clone());
        Ok(vec![Change::ProductChanged { product }])
    }

    pub(super) fn edit_product(
        &mut self,
        sku: &str,
        edit: impl FnOnce(&mut Product),
    ) -> Result<Changes, Error> {
        let mut product = self.products.get(sku).cloned().ok_or_else(|| not_found("sku", "product", sku))?;
        edit(&mut product);
        self.put_product(product)
    }

    pub(super) fn delete_product(&mut self, sku: &str) -> Result<Changes, Error> {
        if let Some(card) = self.cards.values().find(|card| card.products().any(|shown| shown == sku)) {
            return Err(conflict(
                "sku",
                format!("the card {:?} shows this product; delete it first", card.id),
            ));
        }
        if !self.products.remove_mut(sku) {
            return Err(not_found("sku", "product", sku));
        }
        Ok(vec![Change::ProductRemoved { sku: sku.to_owned() }])
    }
}

fn check_product(product: &Product) -> Result<(), Error> {
    check_name("sku", &product.sku)?;
    check_text("title", &product.title, 300)?;
    if money::currency(&product.currency).is_none() {
        return Err(field(
            "currency",
            format!("{:?} is not an ISO 4217 code such as \"CNY\"", product.currency),
        ));
    }
    if !(0..=MOST_MINOR).contains(&product.price_minor) {
        return Err(field(
            "priceMinor",
            format!("{} is not between 0 and {MOST_MINOR}", product.price_minor),
        ));
    }
    if let Some(old) = product.old_price_minor
        && !(product.price_minor..=MOST_MINOR).contains(&old)
    {
        let reason = format!(
            "{old} is below the price {}: a struck-through price is the higher one",
            product.price_minor
        );
        return Err(field("oldPriceMinor", reason));
    }
    match &product.link {
        Some(link) => check_link(link).map_err(|reason| field("link", reason)),
        None => Ok(()),
    }
}
