//! Words from outside, made safe to draw: nothing that turns a card's reading order round, climbs out of its
//! line, or is too long to lay out. Pure.

/// The most letters of one text that are laid out; no card shows more.
pub const MOST_LETTERS: usize = 400;
/// Marks that may sit on one letter.
const MOST_MARKS: usize = 4;

/// `text` without what does harm.
pub fn safe(text: &str) -> String {
    let mut marks = 0;
    text.chars()
        .filter(|letter| {
            marks = if is_mark(*letter) { marks + 1 } else { 0 };
            marks <= MOST_MARKS && !is_harmful(*letter)
        })
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MOST_LETTERS)
        .collect()
}

/// Overrides, embeddings and isolates of direction; invisible separators; letters that are none. The joiners
/// that make one emoji of several stay.
fn is_harmful(letter: char) -> bool {
    matches!(u32::from(letter),
        0x202a..=0x202e | 0x2066..=0x2069 | 0x200b | 0x2060..=0x2064 | 0xfeff | 0xfff9..=0xfffd | 0xe000..=0xf8ff)
}

fn is_mark(letter: char) -> bool {
    matches!(u32::from(letter), 0x0300..=0x036f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

/// Whether a text is read from right to left: by its first letter that has a direction.
pub fn is_rtl(text: &str) -> bool {
    let has_direction = |letter: &char| letter.is_alphabetic();
    text.chars().find(has_direction).is_some_and(|letter| {
        matches!(u32::from(letter), 0x0590..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefc | 0x10800..=0x10fff | 0x1e800..=0x1efff)
    })
}

/// The language whose letter shapes fit a text: the same code point is drawn differently in Japanese.
pub fn language(text: &str) -> &'static str {
    let has = |range: std::ops::RangeInclusive<char>| text.chars().any(|c| range.contains(&c));
    if has('\u{3040}'..='\u{30ff}') {
        "ja"
    } else if has('\u{ac00}'..='\u{d7a3}') {
        "ko"
    } else if has('\u{4e00}'..='\u{9fff}') {
        "zh-Hans"
    } else if has('\u{0600}'..='\u{06ff}') {
        "ar"
    } else if has('\u{0590}'..='\u{05ff}') {
        "he"
    } else {
        "en"
    }
}

/// A buyer's name as strangers may see it: the first letter, the rest hidden.
pub fn masked(name: &str) -> String {
    name.trim().chars().next().map_or_else(|| "***".into(), |first| format!("{first}***"))
}

/// A large number as people say it: 3812, 71.2K, 7.1M.
pub fn compact(number: i64) -> String {
    let (unit, sign) = match number {
        10_000_000_000.. => (1_000_000_000, "B"),
        1_000_000.. => (1_000_000, "M"),
        10_000.. => (1_000, "K"),
        _ => return number.to_string(),
    };
    // Rounded down: a number of likes is never said larger than it is.
    let tenths = number / (unit / 10);
    if tenths % 10 == 0 {
        format!("{}{sign}", tenths / 10)
    } else {
        format!("{}.{}{sign}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_harm_is_taken_out() {
        assert_eq!(safe("a\u{202e}b\u{7}c\u{200b}d\u{feff}"), "ab cd");
        assert_eq!(safe("👩\u{200d}🚀"), "👩\u{200d}🚀", "one emoji of several stays one");
        assert_eq!(safe(&format!("a{}", "\u{301}".repeat(50))).chars().count(), 1 + MOST_MARKS);
        assert_eq!(safe(&"x".repeat(10_000)).len(), MOST_LETTERS);
    }

    #[test]
    fn scripts_and_directions_are_told_apart() {
        assert_eq!(
            ["杯子", "カップ", "컵", "كوب", "ספל", "Cup"].map(language),
            ["zh-Hans", "ja", "ko", "ar", "he", "en"]
        );
        assert!(is_rtl("\"كوب\" 12") && is_rtl("ספל Cup") && !is_rtl("Cup ספל") && !is_rtl("12"));
    }

    #[test]
    fn large_numbers_are_said_short() {
        let said = [3812, 10_000, 71_290, 7_120_000, 12_000_000_000].map(compact);
        assert_eq!(said, ["3812", "10K", "71.2K", "7.1M", "12B"]);
    }

    #[test]
    fn names_of_buyers_are_hidden() {
        assert_eq!([masked("Margarethe"), masked(" 王小明 "), masked("")], ["M***", "王***", "***"]);
    }
}
