//! How a country writes an amount: sign, separators, digits, the order of the parts. Source: Unicode CLDR, in
//! `assets/locales/currency.json`. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use iso_currency::Currency;
use serde::Deserialize;

use super::{Money, digits};

const NO_BREAK: char = '\u{a0}';

/// One locale's way of writing.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Locale {
    #[serde(default)]
    digits: Digits,
    decimal: String,
    group: String,
    /// Size of the groups above the first three digits.
    #[serde(default = "three")]
    secondary: usize,
    /// Digits that must stand before the first group.
    #[serde(default = "one")]
    min_grouping: usize,
    pattern: String,
    neg_pattern: String,
    /// Signs that differ from the table's.
    #[serde(default)]
    symbols: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Digits {
    #[default]
    Latn,
    Arab,
    Arabext,
    Beng,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Table {
    symbols: BTreeMap<String, String>,
    shown_digits: BTreeMap<String, u32>,
    locales: BTreeMap<String, Locale>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../assets/locales/currency.json"))
        .expect("the table is ours and a test reads it")
});

fn three() -> usize {
    3
}

fn one() -> usize {
    1
}

impl Locale {
    /// By its BCP 47 name, such as `de-DE`; a language alone takes its first country in the table.
    pub fn named(name: &str) -> Option<&'static Self> {
        let locales = &TABLE.locales;
        locales.get(name).or_else(|| {
            let language = format!("{name}-");
            locales.iter().find(|(known, _)| known.starts_with(&language)).map(|(_, locale)| locale)
        })
    }

    /// Every name, for messages and tests.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.locales.keys().map(String::as_str)
    }

    /// The way of writing at home where `currency` is the money: what most shops want. Many countries share
    /// the euro; it is written the English way.
    pub fn of_currency(currency: Currency) -> &'static Self {
        let name = match currency {
            Currency::CNY => "zh-CN",
            Currency::TWD => "zh-TW",
            Currency::HKD => "zh-HK",
            Currency::JPY => "ja-JP",
            Currency::KRW => "ko-KR",
            Currency::INR => "en-IN",
            Currency::BRL => "pt-BR",
            Currency::VND => "vi-VN",
            Currency::THB => "th-TH",
            Currency::IDR => "id-ID",
            Currency::MYR => "ms-MY",
            Currency::PHP => "fil-PH",
            Currency::TRY => "tr-TR",
            Currency::UAH => "uk-UA",
            Currency::RUB => "ru-RU",
            Currency::PLN => "pl-PL",
            Currency::CZK => "cs-CZ",
            Currency::HUF => "hu-HU",
            Currency::RON => "ro-RO",
            Currency::SEK => "sv-SE",
            Currency::NOK => "nb-NO",
            Currency::DKK => "da-DK",
            Currency::CHF => "de-CH",
            Currency::GBP => "en-GB",
            Currency::AUD => "en-AU",
            Currency::CAD => "en-CA",
            Currency::NZD => "en-NZ",
            Currency::SGD => "en-SG",
            Currency::ZAR => "en-ZA",
            Currency::MXN => "es-MX",
            Currency::ARS => "es-AR",
            Currency::COP => "es-CO",
            Currency::ILS => "he-IL",
            _ => "en-US",
        };
        &TABLE.locales[name]
    }

    /// An amount in words of this locale.
    ///
    /// Hundredths that nobody uses (a Hungarian forint's) are left out when they are zero, as CLDR does, and
    /// written when they are not: a price is never rounded.
    pub(super) fn write(&self, money: Money) -> String {
        let code = money.currency.code();
        let exact = digits(money.currency) as usize;
        let digits = money.minor.unsigned_abs().to_string();
        let digits = format!("{digits:0>width$}", width = exact + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exact);
        let shown = TABLE.shown_digits.get(code).map_or(exact, |shown| *shown as usize);
        let is_whole = fraction.bytes().skip(shown).all(|digit| digit == b'0');
        let fraction = if is_whole { &fraction[..shown.min(exact)] } else { fraction };
        let mut number = self.grouped(whole);
        if !fraction.is_empty() {
            number.push_str(&self.decimal);
            number.push_str(fraction);
        }
        let number: String = number.chars().map(|c| self.digits.of(c)).collect();
        let symbol = self.symbols.get(code).or_else(|| TABLE.symbols.get(code)).map_or(code, String::as_str);
        self.arranged(money.minor < 0, symbol, &number)
    }

    /// The pattern, filled. A sign of letters keeps a space to the number that it touches.
    fn arranged(&self, is_negative: bool, symbol: &str, number: &str) -> String {
        let pattern = if is_negative { &self.neg_pattern } else { &self.pattern };
        let touches = |at: Option<char>| at.is_some_and(char::is_alphabetic);
        let mut out = String::new();
        let mut before = None;
        for letter in pattern.chars() {
            match (before, letter) {
                (Some('¤'), '#') if touches(symbol.chars().last()) => out.push(NO_BREAK),
                (Some('#'), '¤') if touches(symbol.chars().next()) => out.push(NO_BREAK),
                _ => {}
            }
            match letter {
                '¤' => out.push_str(symbol),
                '#' => out.push_str(number),
                other => out.push(other),
            }
            before = Some(letter);
        }
        out
    }

    fn grouped(&self, whole: &str) -> String {
        if whole.len() < 3 + self.min_grouping {
            return whole.to_owned();
        }
        let (high, low) = whole.split_at(whole.len() - 3);
        let first = high.len() % self.secondary;
        let mut out = high[..first].to_owned();
        for group in high.as_bytes()[first..].chunks(self.secondary) {
            if !out.is_empty() {
                out.push_str(&self.group);
            }
            out.extend(group.iter().map(|digit| char::from(*digit)));
        }
        out + &self.group + low
    }
}

impl Digits {
    fn of(self, letter: char) -> char {
        let zero = match self {
            Self::Latn => return letter,
            Self::Arab => '\u{660}',
            Self::Arabext => '\u{6f0}',
            Self::Beng => '\u{9e6}',
        };
        letter.to_digit(10).and_then(|digit| char::from_u32(zero as u32 + digit)).unwrap_or(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::money::currency;

    fn written(locale: &str, code: &str, minor: i64) -> String {
        Money { minor, currency: currency(code).unwrap() }.display(Locale::named(locale).unwrap())
    }

    #[test]
    fn amounts_are_written_as_in_their_country() {
        for (locale, code, minor, text) in [
            ("en-US", "USD", 1999, "$19.99"),
            ("zh-CN", "CNY", 123_456_789, "¥1,234,567.89"),
            ("de-DE", "EUR", 1999, "19,99\u{a0}€"),
            ("fr-FR", "EUR", 123_456_700, "1\u{202f}234\u{202f}567,00\u{a0}€"),
            ("en-IN", "INR", 12_345_678_900, "₹12,34,56,789.00"),
            ("ja-JP", "JPY", 1980, "￥1,980"),
            ("pt-BR", "BRL", 8900, "R$\u{a0}89,00"),
            ("es-ES", "EUR", 123_456, "1234,56\u{a0}€"),
            ("de-CH", "CHF", 150, "CHF\u{a0}1.50"),
            ("en-US", "KWD", 12_345, "KWD\u{a0}12.345"),
            ("ar-EG", "EGP", 150, "\u{200f}١٫٥٠\u{a0}ج.م.\u{200f}"),
        ] {
            assert_eq!(written(locale, code, minor), text, "{locale} {code}");
        }
    }

    #[test]
    fn unused_hundredths_are_left_out_only_when_they_are_zero() {
        assert_eq!(written("id-ID", "IDR", 8_900_000), "Rp\u{a0}89.000");
        assert_eq!(written("id-ID", "IDR", 8_900_050), "Rp\u{a0}89.000,50");
    }

    #[test]
    fn a_language_alone_and_a_currency_alone_are_enough() {
        assert!(std::ptr::eq(Locale::named("ja").unwrap(), Locale::named("ja-JP").unwrap()));
        assert!(std::ptr::eq(Locale::of_currency(currency("CNY").unwrap()), Locale::named("zh-CN").unwrap()));
        assert!(Locale::named("xx").is_none());
        for (code, _) in crate::state::money::table() {
            Locale::of_currency(currency(code).unwrap());
        }
    }
}
