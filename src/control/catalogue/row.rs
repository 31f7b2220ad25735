//! What one row says, and the draft of a product that it makes. Pure.

use sha2::{Digest, Sha256};

use super::amount;
use super::feed::{Draft, Note, Options};
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
