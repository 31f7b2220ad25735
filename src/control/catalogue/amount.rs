//! Amounts as people and shops write them into files, to minor units. What can be read in two ways is refused: a wrong price
//! must not come from a comma. Pure.

use crate::state::money;

/// The amount in minor units, and the currency that the text names, if it does.
///
/// `currency` is what holds when the text names none. With `has_point` a program wrote it, and a point alone is a decimal point.
///
/// # Errors
/// In words, for whoever wrote the file.
pub(super) fn read(text: &str, currency: Option<&str>, has_point: bool) -> Result<(i64, String), String> {
    let (code, number) = split(text.trim());
    let sign = SIGNS.iter().find(|(sign, _)| text.contains(*sign)).map(|(_, code)| (*code).to_owned());
    if let (Some(sign), Some(said)) = (&sign, code.as_deref().or(currency))
        && sign != said
    {
        return Err(format!("{:?} is not in {said}", shortened(text)));
    }
    let code = code.or(sign);
    let code =
        code.or(currency.map(str::to_owned)).ok_or("no currency is said, here or for the whole file")?;
    let known = money::currency(&code).ok_or_else(|| format!("{code:?} is not an ISO 4217 code"))?;
    Ok((minor(&number, money::digits(known) as usize, has_point)?, code))
}

/// A code such as `EUR` before or after the number, and the number without it or a sign such as `€`.
fn split(text: &str) -> (Option<String>, String) {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let is_code = letters.len() == 3;
    let is_beside = |c: &char| is_sign(*c) || is_code && c.is_ascii_alphabetic();
    let number = text.chars().filter(|c| !is_beside(c)).collect();
    (is_code.then(|| letters.to_ascii_uppercase()), number)
}

/// Signs of one currency alone.
const SIGNS: [(char, &str); 10] = [
    ('€', "EUR"),
    ('£', "GBP"),
    ('₩', "KRW"),
    ('₹', "INR"),
    ('₽', "RUB"),
    ('₫', "VND"),
    ('₺', "TRY"),
    ('₱', "PHP"),
    ('₴', "UAH"),
    ('₪', "ILS"),
];

/// Which country's ¥ or $ it is, a sign does not say.
fn is_sign(c: char) -> bool {
    matches!(c, '$' | '¢'..='¥' | '₠'..='⃀' | '元' | '円' | '원' | '￥' | '＄')
}

fn minor(number: &str, digits: usize, has_point: bool) -> Result<i64, String> {
    let text: String = number.chars().filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '’')).collect();
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    if text.is_empty() || !text.chars().all(is_number) || !text.contains(|c: char| c.is_ascii_digit()) {
        return Err(format!("{:?} is not an amount", shortened(number)));
    }
    let (whole, fraction) = parts(&text, has_point)?;
    let (kept, rest) = fraction.split_at(fraction.len().min(digits));
    if rest.contains(|c| c != '0') {
        return Err(format!(
            "{:?} has more than the currency's {digits} digits after the point",
            shortened(number)
        ));
    }
    format!("{whole}{kept:0<digits$}").parse().map_err(|_| format!("{:?} is too large", shortened(number)))
}

/// Digits before and after the point.
fn parts(text: &str, has_point: bool) -> Result<(String, &str), String> {
    let unclear = || {
        format!(
            "{text:?} can be read in two ways: write it with two digits after the point, and none between thousands"
        )
    };
    let wrong = || format!("{text:?} is not an amount");
    let last = text.rfind(['.', ',']);
    let Some(last) = last else { return Ok((text.to_owned(), "")) };
    let point = &text[last..=last];
    let (before, after) = (&text[..last], &text[last + 1..]);
    let other = if point == "." { ',' } else { '.' };
    let groups = |text: &str, separator: char| -> Option<String> {
        let mut groups = text.split(separator);
        let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
        let rest: Vec<&str> = groups.collect();
        let is_right = rest.iter().all(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()));
        (is_right && first.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{first}{}", rest.concat()))
    };
    if before.contains(other) {
        return Ok((groups(before, other).ok_or_else(wrong)?, after));
    }
    let separator = point.chars().next().unwrap_or('.');
    if before.contains(separator) {
        return Ok((groups(text, separator).ok_or_else(wrong)?, ""));
    }
    let could_be_thousands = !(has_point && separator == '.')
        && after.len() == 3
        && (1..=3).contains(&before.len())
        && before != "0";
    if could_be_thousands {
        Err(unclear())
    } else {
        Ok((if before.is_empty() { "0" } else { before }.to_owned(), after))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_all_countries_are_read() {
        for (text, currency, wanted) in [
            ("15.00 USD", None, (1500, "USD")),
            ("usd 15", None, (1500, "USD")),
            ("12,90", Some("EUR"), (1290, "EUR")),
            ("1.299,00 €", Some("EUR"), (129_900, "EUR")),
            ("1,299.5", Some("USD"), (129_950, "USD")),
            ("¥1299", Some("CNY"), (129_900, "CNY")),
            ("1299", Some("JPY"), (1299, "JPY")),
            ("1299.00", Some("JPY"), (1299, "JPY")),
            ("1\u{202f}299,00", Some("EUR"), (129_900, "EUR")),
            ("1’299.95", Some("CHF"), (129_995, "CHF")),
            ("1,299,000", Some("KRW"), (1_299_000, "KRW")),
            ("1299.9500", Some("USD"), (129_995, "USD")),
            ("0.5", Some("USD"), (50, "USD")),
            (".5", Some("USD"), (50, "USD")),
            ("1234.567", Some("KWD"), (1_234_567, "KWD")),
            ("89", Some("EUR"), (8900, "EUR")),
        ] {
            assert_eq!(read(text, currency, false), Ok((wanted.0, wanted.1.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_unclear_or_no_amount_is_refused() {
        for (text, reason) in [
            ("1,299", "two ways"),
            ("1.299", "two ways"),
            ("12.345", "two ways"),
            ("1234.567", "more than"),
            ("0.125", "more than"),
            ("-5", "not an amount"),
            ("free", "not an amount"),
            ("", "not an amount"),
            (".", "not an amount"),
            ("1.2.3", "not an amount"),
            ("1,2345.00", "not an amount"),
            ("99999999999999999999", "too large"),
        ] {
            let error = read(text, Some("EUR"), false).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(read("€5", Some("CNY"), false).unwrap_err().contains("not in CNY"), "a sign of another");
        assert_eq!(read("€5", None, false), Ok((500, "EUR".into())));
        assert_eq!(read("12.500 KWD", None, true), Ok((12_500, "KWD".into())), "as programs write it");
        assert!(read("5", None, false).unwrap_err().contains("currency"));
        assert!(read("5 QQQ", None, false).unwrap_err().contains("ISO 4217"));
    }
}
