//! Amounts of money: integer minor units and an ISO 4217 code, never a float. Pure.

use iso_currency::Currency;

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
    /// The amount as a shop writes it: symbol, thousands separated, the currency's own number of digits.
    ///
    /// One way of writing for all languages, so far: symbol first, comma and full stop.
    pub fn display(self) -> String {
        let digits = digits(self.currency);
        let unit = 10_u64.pow(digits);
        let (whole, rest) = (self.minor.unsigned_abs() / unit, self.minor.unsigned_abs() % unit);
        let sign = if self.minor < 0 { "-" } else { "" };
        let fraction =
            if digits == 0 { String::new() } else { format!(".{rest:0width$}", width = digits as usize) };
        format!("{sign}{}{}{fraction}", symbol(self.currency), grouped(whole))
    }
}

/// The sign that a price tag carries; the code and a space where the sign would be ambiguous or unknown.
fn symbol(currency: Currency) -> String {
    match currency {
        Currency::CNY | Currency::JPY => "¥".into(),
        Currency::USD => "$".into(),
        Currency::EUR => "€".into(),
        Currency::GBP => "£".into(),
        Currency::KRW => "₩".into(),
        Currency::INR => "₹".into(),
        Currency::VND => "₫".into(),
        Currency::BRL => "R$".into(),
        Currency::THB => "฿".into(),
        Currency::PHP => "₱".into(),
        Currency::UAH => "₴".into(),
        Currency::TRY => "₺".into(),
        Currency::ILS => "₪".into(),
        Currency::HKD => "HK$".into(),
        Currency::TWD => "NT$".into(),
        Currency::SGD => "S$".into(),
        Currency::AUD => "A$".into(),
        Currency::CAD => "CA$".into(),
        other => format!("{} ", other.code()),
    }
}

fn grouped(whole: u64) -> String {
    let digits = whole.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (code, minor, text) in [
            ("USD", 1999, "$19.99"),
            ("USD", 5, "$0.05"),
            ("CNY", 123_456_789, "¥1,234,567.89"),
            ("JPY", 1980, "¥1,980"),
            ("KRW", 38_000, "₩38,000"),
            ("KWD", 12_345, "KWD 12.345"),
            ("EUR", -150, "-€1.50"),
            ("VND", 250_000, "₫250,000"),
        ] {
            let money = Money { minor, currency: currency(code).unwrap() };
            assert_eq!(money.display(), text);
        }
    }

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
