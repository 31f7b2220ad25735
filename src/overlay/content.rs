//! What a card shows at a moment: the state's words and prices, the template's fields, and the time, ready to be
//! filled into a design. Two equal contents look the same. Pure.
//!
//! Price, old price, stock and sold-out are read from the products here and nowhere else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use minijinja::Value as Filled;
use serde_json::{Map, Value, json};

use super::template::Design;
use super::template::manifest::Sample;
use super::text;
use crate::config::{Look as Configured, Theme};
use crate::state::template::Kind;
use crate::state::{Airing, Card, Money, Product, State, money};
use crate::time::{MediaTime, WallTime};

/// How a channel's cards look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Look {
    /// Colours, font and writing.
    pub configured: Configured,
    /// The picture stands.
    pub is_portrait: bool,
}

/// What moves in a card at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    /// Nothing.
    #[default]
    Rest,
    /// It comes; so many milliseconds in.
    In(u32),
    /// It goes.
    Out(u32),
    /// It calls for attention.
    Loop(u32),
    /// It shows another step.
    Step(u32),
}

/// A price that is turning into another: what it was, and how far, in thousandths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Roll {
    /// As it was written.
    pub from: String,
    /// 0 to 1000.
    pub permille: u16,
}

/// Everything that a card's picture depends on, but for its QR.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Content {
    /// The design, and its version.
    pub template: (String, String),
    /// How it looks.
    pub look: Look,
    /// By their names in the template.
    pub values: BTreeMap<String, String>,
    /// Pictures by their names in the template: ids in the store.
    pub pictures: BTreeMap<String, Option<String>>,
    /// The language whose letters fit, and whether it is read from the right.
    pub language: (&'static str, bool),
    /// A product that it shows alone is sold out.
    pub is_sold_out: bool,
    /// What moves.
    pub phase: Phase,
    /// Its price turns.
    pub roll: Option<Roll>,
}

/// When a card is looked at.
#[derive(Debug, Clone, Copy)]
pub struct When<'a> {
    /// Its time on air, if it is.
    pub airing: Option<&'a Airing>,
    /// The first frame that shows it.
    pub first_frame: MediaTime,
    /// The frame.
    pub now: MediaTime,
    /// Civil time of programme time zero.
    pub epoch: WallTime,
}

/// Programme time at which a card's countdown ends.
pub fn countdown_end(design: &Design, card: &Card, when: &When) -> Option<MediaTime> {
    let countdown = design.native.countdown.as_ref()?;
    let field = |name: &Option<String>| value_of(design, card, name.as_ref()?);
    if let Some(until) = field(&countdown.until).as_ref().and_then(Value::as_str).and_then(WallTime::parse) {
        return Some(MediaTime(((until.0 - when.epoch.0).max(0) as u64) * 1_000_000));
    }
    let duration = field(&countdown.duration)?.as_u64()?;
    Some(when.first_frame.offset((duration * 1_000_000) as i64))
}

/// A field as the card has it, else as the template's form begins.
fn value_of(design: &Design, card: &Card, name: &str) -> Option<Value> {
    let usual = || design.template.manifest["schema"]["properties"][name].get("default").cloned();
    card.data.get(name).cloned().or_else(usual)
}

/// Seconds left, each shown for one second: 10 until there are only 9 left.
pub fn seconds_left(end: MediaTime, now: MediaTime) -> u64 {
    end.0.saturating_sub(now.0).div_ceil(1_000_000_000)
}

impl Content {
    /// What `card` shows; nothing when a product of it is gone.
    pub fn of(design: &Design, look: &Look, card: &Card, state: &State, when: &When) -> Option<Self> {
        let products: Option<Vec<&Product>> = card.products().map(|sku| state.products.get(sku)).collect();
        Some(Self::made(design, look, card, &products?, when))
    }

    /// What the template's sample shows.
    pub fn sample(design: &Design, look: &Look) -> Self {
        Self::of_sample(design, look, &design.native.sample)
    }

    /// What given data would show.
    pub fn of_sample(design: &Design, look: &Look, sample: &Sample) -> Self {
        let (card, products) = sample_card(design, sample);
        let products: Vec<&Product> = products.iter().collect();
        let when = sample_moment();
        let mut content = Self::made(design, look, &card, &products, &when);
        if let Some(step) = sample.step {
            content.values.insert("step".into(), step.to_string());
        }
        content
    }

    fn made(design: &Design, look: &Look, card: &Card, products: &[&Product], when: &When) -> Self {
        let mut values = BTreeMap::new();
        let mut put = |name: &str, value: Value| values.insert(name.to_owned(), value.to_string());
        let mut pictures = BTreeMap::new();
        for field in &design.template.fields {
            let value = value_of(design, card, &field.name);
            if field.kind == Kind::Picture {
                pictures
                    .insert(field.name.clone(), value.as_ref().and_then(Value::as_str).map(str::to_owned));
            }
            put(&field.name, value.map_or(Value::Null, cleaned));
        }
        let look_at = |product: &Product| shown(product, look);
        let alone = card.sku.as_ref().and(products.first());
        if let Some(product) = alone {
            for (name, value) in look_at(product) {
                put(&name, value);
            }
            pictures.insert("photo".into(), product.image.clone());
        } else if !products.is_empty() {
            let each = products.iter().enumerate().map(|(n, product)| {
                pictures.insert(format!("photo{}", n + 1), product.image.clone());
                let mut fields = look_at(product);
                fields.insert("photo".into(), json!(format!("photo{}", n + 1)));
                Value::Object(fields)
            });
            let each: Vec<Value> = each.collect();
            put("products", each.into());
        }
        if let Some(title) = card.title.as_deref() {
            put("title", json!(text::safe(title)));
        }
        put("step", json!(when.airing.map_or(1, |airing| airing.step)));
        put("steps", json!(design.template.steps));
        if let Some(end) = countdown_end(design, card, when) {
            let total = end.since(when.first_frame).max(1) / 1_000_000_000;
            put("countdown", countdown(seconds_left(end, when.now), total as u64));
        }
        // What is read first decides which way the card is read.
        let words: String = ["title", "name", "text", "message", "prize", "item", "code"]
            .iter()
            .filter_map(|name| values.get(*name).and_then(|value| serde_json::from_str::<String>(value).ok()))
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            template: (design.template.id.clone(), design.template.version.clone()),
            look: look.clone(),
            language: (text::language(&values.values().cloned().collect::<String>()), text::is_rtl(&words)),
            is_sold_out: alone.is_some_and(|product| product.is_sold_out()),
            values,
            pictures,
            phase: Phase::Rest,
            roll: None,
        }
    }

    /// The price as it is written, if it shows one.
    pub fn price(&self) -> Option<String> {
        self.values.get("price").and_then(|price| serde_json::from_str(price).ok())
    }

    /// Every price that it shows, as written.
    pub fn prices(&self) -> Vec<String> {
        let own = ["price", "old_price"].iter().filter_map(|name| self.values.get(*name));
        let own = own.filter_map(|value| serde_json::from_str(value).ok());
        let list: Vec<Value> =
            self.values.get("products").and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
        let listed = list.iter().filter_map(|product| product["price"].as_str().map(str::to_owned));
        own.chain(listed).collect()
    }

    /// Whether it differs from `other` in its product's price and nothing else but what follows from it.
    pub fn differs_in_price_only(&self, other: &Self) -> bool {
        let rest = |content: &Self| {
            let mut content = content.clone();
            for name in ["price", "price_class", "old_price", "discount", "countdown"] {
                content.values.remove(name);
            }
            content
        };
        self.price() != other.price() && rest(self) == rest(other)
    }

    /// Every text in it with what `change` makes of it.
    pub fn map_text(&mut self, mut change: impl FnMut(&str) -> String) {
        for value in self.values.values_mut() {
            if let Ok(mut parsed) = serde_json::from_str::<Value>(value) {
                map_strings(&mut parsed, &mut change);
                *value = parsed.to_string();
            }
        }
    }
}

fn map_strings(value: &mut Value, change: &mut impl FnMut(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| map_strings(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| map_strings(field, change)),
        _ => {}
    }
}

fn cleaned(mut value: Value) -> Value {
    map_strings(&mut value, &mut |words| text::safe(words));
    value
}

/// A product as a template sees it.
fn shown(product: &Product, look: &Look) -> Map<String, Value> {
    let written = |minor| {
        let Some(currency) = money::currency(&product.currency) else { return String::new() };
        let own = look.configured.locale.as_deref().and_then(money::Locale::named);
        Money { minor, currency }.display(own.unwrap_or_else(|| money::Locale::of_currency(currency)))
    };
    let old = product.old_price_minor.filter(|old| *old > product.price_minor);
    // Rounded down: a discount is never said larger than it is.
    let discount = old.map(|old| (old - product.price_minor) * 100 / old.max(1));
    let mut fields = Map::new();
    fields.insert("title".into(), json!(text::safe(&product.title)));
    let price = written(product.price_minor);
    fields.insert("price_class".into(), json!(length_class(&price)));
    fields.insert("price".into(), json!(price));
    fields.insert("old_price".into(), json!(old.map(written)));
    fields.insert("discount".into(), json!(discount.filter(|percent| *percent > 0)));
    fields.insert("stock".into(), json!(product.stock));
    fields.insert("sold_out".into(), json!(product.is_sold_out()));
    fields
}

/// A long price is written smaller: it is never cut.
fn length_class(price: &str) -> &'static str {
    match price.chars().count() {
        0..=10 => "",
        11..=14 => " long",
        _ => " longer",
    }
}

fn countdown(left: u64, total: u64) -> Value {
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    let text = if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    };
    json!({
        "text": text, "left": left, "ended": left == 0,
        "hours": format!("{hours:02}"), "minutes": format!("{minutes:02}"), "seconds": format!("{seconds:02}"),
        "percent": (left * 100 / total.max(1)).min(100),
    })
}

fn sample_moment() -> When<'static> {
    When { airing: None, first_frame: MediaTime::ZERO, now: MediaTime::ZERO, epoch: WallTime(0) }
}

/// The card of a template's sample, and its products.
fn sample_card(design: &Design, sample: &Sample) -> (Card, Vec<Product>) {
    use crate::state::template::Products;
    let products = sample.products.clone();
    let skus: Vec<String> = products.iter().map(|product| product.sku.clone()).collect();
    let mut card = Card {
        id: "sample".into(),
        template: design.template.id.clone(),
        data: sample.data.clone(),
        ..Card::default()
    };
    match design.template.products {
        Products::One => card.sku = skus.into_iter().next(),
        Products::UpTo(_) => card.skus = skus,
        Products::None => {}
    }
    (card, products)
}

/// The markup of `content` in `design`: its template `name` inside the root that carries layout, theme and phase.
///
/// # Errors
/// The template's error with its line.
pub fn fill(design: &Design, content: &Content, name: &str) -> Result<String, minijinja::Error> {
    let mut values: BTreeMap<&str, Filled> = BTreeMap::new();
    for (name, value) in &content.values {
        let value: Value = serde_json::from_str(value).unwrap_or_default();
        values.insert(name, Filled::from(minijinja::value::Serde(value)));
    }
    if let (Some(roll), Some(price)) = (&content.roll, content.price()) {
        values.insert("price", Filled::from_safe_string(rolling(&roll.from, &price, roll.permille)));
    }
    for picture in content.pictures.keys() {
        if !values.contains_key(picture.as_str()) {
            values.insert(picture, Filled::from(picture.as_str()));
        }
    }
    values.insert("words", Filled::from(minijinja::value::Serde(words_of(content).clone())));
    values.insert("lang", Filled::from(content.language.0));
    values.insert("rtl", Filled::from(content.language.1));
    values.insert("portrait", Filled::from(content.look.is_portrait));
    let body = design.environment.get_template(name)?.render(&values)?;
    Ok(rooted(design, content, &body))
}

fn rooted(design: &Design, content: &Content, body: &str) -> String {
    let look = &content.look.configured;
    let phase = match content.phase {
        Phase::Rest => "",
        Phase::In(_) => " in",
        Phase::Out(_) => " out",
        Phase::Loop(_) => " loop",
        Phase::Step(_) => " step",
    };
    let layout = if content.look.is_portrait { "portrait" } else { "landscape" };
    let theme = if look.theme == Theme::Dark { "dark" } else { "light" };
    let direction = if content.language.1 { "rtl" } else { "ltr" };
    let is_stamped = content.is_sold_out && !design.native.shows_sold_out;
    let stamp = if is_stamped {
        format!(
            "<div class=\"sold-out-over\"><div class=\"sold-out-stamp\">{}</div></div>",
            words_of(content)["sold_out"].as_str().unwrap_or_default()
        )
    } else {
        String::new()
    };
    let brand = &look.brand_colour;
    let font = look.font.as_ref().map_or_else(String::new, |font| format!(";--font:'{font}'"));
    format!(
        "<div class=\"v {layout} {theme} {direction}{phase}\" dir=\"{direction}\" lang=\"{}\" \
         style=\"--brand:{brand};--on-brand:{}{font}\">{body}{stamp}</div>",
        content.language.0,
        on_colour(brand),
    )
}

/// The words that cards bring themselves, in the card's own language; Latin letters do not tell which, so there
/// it is the locale's.
fn words_of(content: &Content) -> &'static Value {
    static WORDS: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../../assets/locales/words.json"))
            .expect("the table is ours and a test reads it")
    });
    let locale = content.look.configured.locale.as_deref().unwrap_or_default();
    let of_locale = WORDS.get(locale.split('-').next().unwrap_or_default());
    match content.language.0 {
        "en" => of_locale.unwrap_or(&WORDS["en"]),
        other => WORDS.get(other).unwrap_or(&WORDS["en"]),
    }
}

/// Black or white, whichever can be read on a colour. Source: relative luminance of WCAG 2.2.
fn on_colour(colour: &str) -> &'static str {
    let channel = |at: usize| {
        let value = colour.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
    if luminance > 0.36 { "#16161a" } else { "#ffffff" }
}

/// A price whose digits turn: what differs from the old one, from the right, slides up into its place.
fn rolling(from: &str, to: &str, permille: u16) -> String {
    let escaped = |letter: Option<&char>| match letter {
        None | Some(' ' | '\u{a0}' | '\u{202f}') => "&nbsp;".to_owned(),
        Some('&') => "&amp;".into(),
        Some('<') => "&lt;".into(),
        Some(other) => other.to_string(),
    };
    let (old, new): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut out = String::from("<span class=\"roll\">");
    for n in (0..new.len()).rev() {
        let letter = &new[new.len() - 1 - n];
        let before = old.len().checked_sub(n + 1).and_then(|at| old.get(at));
        if before == Some(letter) {
            let _ = write!(out, "<span class=\"roll-still\">{}</span>", escaped(Some(letter)));
        } else {
            let up = f64::from(permille) / 1000.0;
            let _ = write!(
                out,
                "<span class=\"roll-one\"><span class=\"roll-new\">{}</span>\
                 <span class=\"roll-from\" style=\"top:{:.3}em\">{}</span>\
                 <span class=\"roll-to\" style=\"top:{:.3}em\">{}</span></span>",
                escaped(Some(letter)),
                -1.2 * up,
                escaped(before),
                1.2 * (1.0 - up),
                escaped(Some(letter)),
            );
        }
    }
    out + "</span>"
}

#[cfg(test)]
mod tests;
