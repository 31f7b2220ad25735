//! Card designs: HTML and CSS from `assets/cards`, filled with a card's fields. Draws nothing.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, context};
use rust_embed::RustEmbed;

use crate::state::{Airing, Card, Money, Product, money};

#[derive(RustEmbed)]
#[folder = "assets/cards"]
struct Cards;

/// What a card shows, in words and ready to draw. Two equal ones look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The design.
    pub template: String,
    /// What it is called.
    pub title: String,
    /// As a shop writes it.
    pub price: String,
    /// As a shop writes it.
    pub old_price: Option<String>,
    /// The picture's id.
    pub image: Option<String>,
    /// What the QR says.
    pub link: String,
}

impl Content {
    /// What `card` shows of `product`, with a QR to `link`.
    pub fn of(card: &Card, product: &Product, link: String) -> Self {
        let text = |minor| {
            money::currency(&product.currency)
                .map_or_else(String::new, |currency| Money { minor, currency }.display())
        };
        Self {
            template: card.template.clone(),
            title: card.title.clone().unwrap_or_else(|| product.title.clone()),
            price: text(product.price_minor),
            old_price: product.old_price_minor.filter(|old| *old > product.price_minor).map(text),
            image: product.image.clone(),
            link,
        }
    }
}

/// Where the QR of an airing leads.
pub fn link(public_url: &str, airing: &Airing) -> String {
    format!("{public_url}/go/{}", airing.code)
}

/// A filled design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Markup; pictures are named `photo` and `code`.
    pub html: String,
    /// Styles.
    pub css: String,
}

/// Fills the design of `content`.
///
/// # Errors
/// The template's error with its line.
pub fn fill(content: &Content) -> Result<Filled, minijinja::Error> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_loader(|name| Ok(text(name)));
        environment
    });
    let html = ENVIRONMENT.get_template(&format!("{}/card.html", content.template))?.render(context! {
        title => &content.title,
        price => &content.price,
        old_price => &content.old_price,
        lang => language(&content.title),
    })?;
    let css = text(&format!("{}/card.css", content.template)).unwrap_or_default();
    Ok(Filled { html, css })
}

fn text(name: &str) -> Option<String> {
    Cards::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned())
}

/// The language whose letter shapes fit a text: the same code point is drawn differently in Japanese.
fn language(text: &str) -> &'static str {
    let has = |range: std::ops::RangeInclusive<char>| text.chars().any(|c| range.contains(&c));
    if has('\u{3040}'..='\u{30ff}') {
        "ja"
    } else if has('\u{ac00}'..='\u{d7a3}') {
        "ko"
    } else if has('\u{4e00}'..='\u{9fff}') {
        "zh-Hans"
    } else {
        "en"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped() {
        let content = Content {
            template: "product".into(),
            title: "<script>A & B</script>".into(),
            price: "$1".into(),
            old_price: None,
            image: None,
            link: String::new(),
        };
        let filled = fill(&content).unwrap();
        assert!(filled.html.contains("&lt;script&gt;A &amp; B"), "{}", filled.html);
        assert!(!filled.html.contains("class=\"old\""));
        assert!(filled.css.contains(".price"));
    }

    #[test]
    fn scripts_are_told_apart() {
        assert_eq!(
            [language("杯子"), language("カップ"), language("컵"), language("Cup")],
            ["zh-Hans", "ja", "ko", "en"]
        );
    }
}
