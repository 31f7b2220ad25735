//! Amounts of money: integer minor units and an ISO 4217 code, never a float; and how a shop writes them in its
//! customers' country. Pure.

mod locale;

use iso_currency::Currency;

pub use locale::Locale;

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// In the currency's smallest unit.
    pub minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

/// The currency of an ISO 4217 code, in capitals.
pub fn currency(code: &str) -> Option<Currency> {
    Currency::from_code(code)
}

/// Digits after the point of a currency, by ISO 4217's own table.
pub fn digits(currency: Currency) -> u32 {
    u32::from(currency.exponent().unwrap_or(0))
}

/// Every currency's code and digits, for programs: other tables differ (CLDR's has none for IDR).
pub fn table() -> impl Iterator<Item = (&'static str, u32)> {
    (b'A'..=b'Z')
        .flat_map(|a| (b'A'..=b'Z').flat_map(move |b| (b'A'..=b'Z').map(move |c| [a, b, c])))
        .filter_map(|code| {
            let currency = currency(std::str::from_utf8(&code).ok()?)?;
            Some((currency.code(), digits(currency)))
        })
}

impl Money {
    /// The amount as a shop writes it in `locale`.
    pub fn display(self, locale: &Locale) -> String {
        locale.write(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_currency_with_its_digits() {
        let table: std::collections::BTreeMap<_, _> = table().collect();
        assert_eq!([table["IDR"], table["JPY"], table["KWD"], table["USD"]], [2, 0, 3, 2]);
        assert!(table.len() > 150);
    }

    #[test]
    fn a_code_that_is_not_iso_4217_is_none() {
        assert!(currency("usd").is_none());
        assert!(currency("ABC").is_none());
    }
}
