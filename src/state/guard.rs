//! What an operator should look at twice before viewers see it: prices that are probably typed wrong. Pure.
//!
//! Nothing here is forbidden: a command that is confirmed is done. What the catalogue cannot hold at all is refused elsewhere.

use super::{Command, Product, Ratio, State, money};

/// Why a command should be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Doubt {
    /// Of which product.
    pub sku: String,
    /// The field on the wire.
    pub field: &'static str,
    /// In words.
    pub reason: String,
}

/// From which on a change of price is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// A price may fall by this share of itself; all of it means any fall.
    pub largest_drop: Ratio,
}

impl Default for Guards {
    fn default() -> Self {
        Self { largest_drop: Ratio(5_000) }
    }
}

impl State {
    /// What is doubtful about `command`, product by product.
    pub fn doubts(&self, command: &Command) -> Vec<Doubt> {
        let one = |after: &Product| self.guards.doubts(self.products.get(&after.sku), after);
        match command {
            Command::PutProduct(product) => one(product),
            Command::SetPrice { sku, price_minor, old_price_minor, currency } => {
                let Some(mut after) = self.products.get(sku).cloned() else { return Vec::new() };
                after.set_price(*price_minor, old_price_minor.clone(), currency.clone());
                one(&after)
            }
            Command::ImportProducts { products, .. } => products.iter().flat_map(one).collect(),
            Command::ImportRundown(bundle) => bundle.products.iter().flat_map(one).collect(),
            _ => Vec::new(),
        }
    }
}

impl Guards {
    fn doubts(self, before: Option<&Product>, after: &Product) -> Vec<Doubt> {
        if before.is_some_and(|before| prices(before) == prices(after)) {
            return Vec::new();
        }
        let mut doubts = Vec::new();
        let mut doubt = |field, reason| doubts.push(Doubt { sku: after.sku.clone(), field, reason });
        if let Some(before) = before.filter(|before| before.currency != after.currency) {
            doubt("currency", format!("it was {} and would be {}", before.currency, after.currency));
        } else if let Some(before) = before
            && self.is_large(before.price_minor, after.price_minor)
        {
            let (was, is) = (written(before.price_minor, after), written(after.price_minor, after));
            doubt("priceMinor", format!("it would fall from {was} to {is}"));
        }
        if let Some(old) = after.old_price_minor
            && old < after.price_minor
        {
            let (old, now) = (written(old, after), written(after.price_minor, after));
            doubt("oldPriceMinor", format!("the old price {old} would be below the price {now}"));
        }
        doubts
    }

    fn is_large(self, before: i64, after: i64) -> bool {
        let fall = i128::from(before) - i128::from(after);
        fall * 10_000 > i128::from(before) * i128::from(self.largest_drop.0)
    }
}

fn prices(product: &Product) -> (i64, Option<i64>, &str) {
    (product.price_minor, product.old_price_minor, &product.currency)
}

/// `89.00 CNY`.
fn written(minor: i64, product: &Product) -> String {
    let digits = money::currency(&product.currency).map_or(0, money::digits) as usize;
    let text = format!("{minor:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let point = if digits > 0 { "." } else { "" };
    format!("{whole}{point}{fraction} {}", product.currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(price_minor: i64, old_price_minor: Option<i64>, currency: &str) -> Product {
        Product {
            sku: "cup".into(),
            title: "Cup".into(),
            image: None,
            price_minor,
            old_price_minor,
            currency: currency.into(),
            stock: None,
            link: None,
        }
    }

    #[test]
    fn a_large_fall_another_currency_and_an_old_price_below_are_doubted() {
        let before = product(8900, Some(12_900), "CNY");
        for (after, wanted) in [
            (product(4450, Some(12_900), "CNY"), None),
            (product(4449, Some(12_900), "CNY"), Some(("priceMinor", "from 89.00 CNY to 44.49 CNY"))),
            (product(890, None, "CNY"), Some(("priceMinor", "to 8.90 CNY"))),
            (product(12_000, None, "CNY"), None),
            (product(8900, Some(12_900), "EUR"), Some(("currency", "CNY and would be EUR"))),
            (product(13_000, Some(12_900), "CNY"), Some(("oldPriceMinor", "129.00 CNY would be below"))),
        ] {
            let doubts = Guards::default().doubts(Some(&before), &after);
            let first = doubts.first().map(|doubt| (doubt.field, doubt.reason.as_str()));
            match (first, wanted) {
                (None, None) => {}
                (Some((field, reason)), Some((wanted, words))) => {
                    assert_eq!(field, wanted);
                    assert!(reason.contains(words), "{reason}");
                }
                other => panic!("{after:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_new_product_and_one_whose_price_stays_are_not() {
        let odd = product(100, Some(50), "JPY");
        assert_eq!(Guards::default().doubts(Some(&odd), &Product { stock: Some(3), ..odd.clone() }), []);
        assert_eq!(Guards::default().doubts(None, &product(1, None, "EUR")), []);
        assert_eq!(Guards::default().doubts(None, &odd).len(), 1);
        let any = Guards { largest_drop: Ratio::ONE };
        assert_eq!(any.doubts(Some(&product(100, None, "EUR")), &product(0, None, "EUR")), []);
    }
}
