//! The rules of the catalogue.

use super::{Changes, check_name, check_text, conflict, field, not_found, patch};
use crate::state::product::check_link;
use crate::state::{Card, Change, Error, Patch, Product, State, money};

/// The largest amount: 10^12 minor units, which every currency's real prices stay under.
const MOST_MINOR: i64 = 1_000_000_000_000;
const MOST_PRODUCTS: usize = 10_000;

impl State {
    pub(super) fn put_product(&mut self, product: Product) -> Result<Changes, Error> {
        product.check()?;
        if self.products.get(&product.sku) == Some(&product) {
            return Ok(Vec::new());
        }
        if self.products.size() >= MOST_PRODUCTS && !self.products.contains_key(&product.sku) {
            return Err(conflict("sku", format!("the catalogue holds {MOST_PRODUCTS} products and is full")));
        }
        self.products.insert_mut(product.sku.clone(), product.clone());
        Ok(vec![Change::ProductChanged { product }])
    }

    pub(super) fn import_products(
        &mut self,
        products: Vec<Product>,
        cards: Vec<Card>,
    ) -> Result<Changes, Error> {
        let mut changes = Changes::new();
        for product in products {
            changes.extend(self.put_product(product)?);
        }
        for card in cards {
            changes.extend(self.put_card(card)?);
        }
        Ok(changes)
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

impl Product {
    /// Other prices; what is not said stays.
    pub(in crate::state) fn set_price(
        &mut self,
        price: Option<i64>,
        old: Patch<i64>,
        currency: Option<String>,
    ) {
        self.price_minor = price.unwrap_or(self.price_minor);
        patch(&mut self.old_price_minor, old);
        self.currency = currency.unwrap_or_else(|| self.currency.clone());
    }

    /// Whether the catalogue can hold it.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn check(&self) -> Result<(), Error> {
        check_name("sku", &self.sku)?;
        check_text("title", &self.title, 300)?;
        if money::currency(&self.currency).is_none() {
            let reason = format!("{:?} is not an ISO 4217 code such as \"CNY\"", self.currency);
            return Err(field("currency", reason));
        }
        for (name, minor) in [("priceMinor", Some(self.price_minor)), ("oldPriceMinor", self.old_price_minor)]
        {
            if let Some(minor) = minor.filter(|minor| !(0..=MOST_MINOR).contains(minor)) {
                return Err(field(name, format!("{minor} is not between 0 and {MOST_MINOR}")));
            }
        }
        match &self.link {
            Some(link) => check_link(link).map_err(|reason| field("link", reason)),
            None => Ok(()),
        }
    }
}
