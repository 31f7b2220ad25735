//! What the rules must know of a template: which products and which data its cards need. The design itself is
//! the overlay's. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Error, Slot, Transitions};

/// How many products a card of a template shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Products {
    /// None.
    None,
    /// Exactly one.
    One,
    /// One to so many.
    UpTo(u8),
}

/// What a field may hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Words.
    Text {
        /// Characters.
        most: usize,
        /// Line breaks are allowed.
        has_lines: bool,
    },
    /// A number.
    Number {
        /// Least value.
        least: f64,
        /// Greatest value.
        most: f64,
        /// Without a fraction.
        is_whole: bool,
    },
    /// Yes or no.
    Flag,
    /// One of these.
    Choice(Vec<String>),
    /// `#rrggbb`.
    Colour,
    /// An address on the web.
    Link,
    /// Milliseconds.
    Duration,
    /// A moment of civil time.
    Moment,
    /// The id of a picture in the store.
    Picture,
    /// So many lines of words.
    Lines {
        /// Lines.
        most: usize,
        /// Characters a line.
        most_letters: usize,
    },
}

/// A template's own field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// On the wire and in the template.
    pub name: String,
    /// What it may hold.
    pub kind: Kind,
    /// It must be there.
    pub is_needed: bool,
}

/// A template, as the rules see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The folder's name.
    pub id: String,
    /// Changes with any of its files.
    pub version: String,
    /// Which products its cards show.
    pub products: Products,
    /// Where its cards rest unless they say otherwise.
    pub slot: Slot,
    /// How its cards come and go unless they say otherwise.
    pub transition: Transitions,
    /// How many steps it has; 1 is none to take.
    pub steps: u32,
    /// When its cards go out by themselves, unless they say otherwise.
    pub out_ms: Option<u64>,
    /// Its own fields.
    pub fields: Vec<Field>,
    /// The OGraf manifest as it stands in the file, for forms.
    pub manifest: Arc<Value>,
}

/// All templates that can be used, by id. Two sets are equal when they are the same set.
#[derive(Debug, Clone, Default)]
pub struct Templates(pub Arc<BTreeMap<String, Template>>);

impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Templates {}

/// Names that templates may not give their own fields: they are the state's to tell.
pub const RESERVED: [&str; 14] = [
    "price",
    "priceMinor",
    "price_minor",
    "oldPrice",
    "oldPriceMinor",
    "old_price",
    "stock",
    "soldOut",
    "sold_out",
    "currency",
    "sku",
    "skus",
    "product",
    "products",
];

impl Template {
    /// Whether `data` fits: no field that is not known, none missing, each of its kind.
    ///
    /// # Errors
    /// [`Error::Field`], naming the field as `data.NAME`.
    pub fn check(&self, data: &BTreeMap<String, Value>) -> Result<(), Error> {
        for (name, value) in data {
            let Some(field) = self.fields.iter().find(|field| field.name == *name) else {
                let known: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
                let reason = if RESERVED.contains(&name.as_str()) {
                    "it comes from the product and cannot be typed".to_owned()
                } else if known.is_empty() {
                    format!("the template {:?} has no fields of its own", self.id)
                } else {
                    format!("the template {:?} has no such field; it has {}", self.id, known.join(", "))
                };
                return Err(wrong(name, reason));
            };
            field.kind.check(value).map_err(|reason| wrong(name, reason))?;
        }
        match self.fields.iter().find(|field| field.is_needed && !data.contains_key(&field.name)) {
            Some(field) => Err(wrong(&field.name, "it is missing".to_owned())),
            None => Ok(()),
        }
    }
}

fn wrong(name: &str, reason: String) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::Field { field: format!("data.{name}").into(), reason }
}

/// The end of the year 2099: beyond it nobody counts down.
const LAST_MOMENT: i64 = 4_102_444_800_000;

impl Kind {
    /// Whether a value is of this kind; what would be right when it is not.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match self {
            Self::Text { most, has_lines } => {
                let text = words(value)?;
                let is_bad = |c: char| c.is_control() && !(*has_lines && c == '\n');
                fits(text, *most)?;
                if text.chars().any(is_bad) { Err("it holds control characters".into()) } else { Ok(()) }
            }
            Self::Number { least, most, is_whole } => {
                let number = value.as_f64().ok_or("it is not a number")?;
                if *is_whole && number.fract() != 0.0 {
                    return Err(format!("{number} is not a whole number"));
                }
                if (*least..=*most).contains(&number) {
                    return Ok(());
                }
                Err(format!("{number} is not between {least} and {most}"))
            }
            Self::Duration => match value.as_u64() {
                Some(0..=86_400_000) => Ok(()),
                _ => Err("it is not a number of milliseconds up to a day".into()),
            },
            Self::Moment => match crate::time::WallTime::parse(words(value)?) {
                Some(time) if (0..LAST_MOMENT).contains(&time.0) => Ok(()),
                _ => Err("it is not a moment such as \"2026-11-22T20:00:00+08:00\"".into()),
            },
            Self::Flag => value.is_boolean().then_some(()).ok_or_else(|| "it is not true or false".into()),
            Self::Choice(choices) => {
                let text = words(value)?;
                if choices.iter().any(|choice| choice == text) {
                    return Ok(());
                }
                Err(format!("it is not one of {}", choices.join(", ")))
            }
            Self::Colour => {
                let text = words(value)?;
                let is_colour = text.len() == 7
                    && text.starts_with('#')
                    && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
                if is_colour { Ok(()) } else { Err("it is not a colour such as \"#d6123b\"".into()) }
            }
            Self::Link => super::product::check_link(words(value)?),
            Self::Picture => {
                let text = words(value)?;
                let is_id = text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                if is_id { Ok(()) } else { Err("it is not the id of an uploaded picture".into()) }
            }
            Self::Lines { most, most_letters } => {
                let lines = value.as_array().ok_or("it is not a list of lines")?;
                if lines.len() > *most {
                    return Err(format!("more than {most} lines"));
                }
                let line = Self::Text { most: *most_letters, has_lines: false };
                lines.iter().try_for_each(|value| line.check(value))
            }
        }
    }
}

fn words(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "it is not text".into())
}

fn fits(text: &str, most: usize) -> Result<(), String> {
    if text.chars().count() > most { Err(format!("longer than {most} characters")) } else { Ok(()) }
}

impl Templates {
    /// The template of that name.
    pub fn get(&self, id: &str) -> Option<&Template> {
        self.0.get(id)
    }
}

/// The data of a card with `changes` in it: a value sets, `null` removes.
pub fn merged(mut data: BTreeMap<String, Value>, changes: Map<String, Value>) -> BTreeMap<String, Value> {
    for (name, value) in changes {
        if value.is_null() {
            data.remove(&name);
        } else {
            data.insert(name, value);
        }
    }
    data
}

/// One of each kind that the rules tell apart.
#[cfg(test)]
pub(crate) fn samples() -> Templates {
    let template = |id: &str, products, steps, out_ms| Template {
        id: id.into(),
        version: "1".into(),
        products,
        slot: Slot::LowerLeft,
        transition: Transitions::default(),
        steps,
        out_ms,
        fields: vec![Field {
            name: "note".into(),
            kind: Kind::Text { most: 20, has_lines: false },
            is_needed: false,
        }],
        manifest: Arc::default(),
    };
    let all = [
        template("product", Products::One, 1, None),
        template("reveal", Products::One, 2, None),
        template("tray", Products::UpTo(2), 1, None),
        template("note", Products::None, 1, Some(5000)),
    ];
    Templates(Arc::new(all.into_iter().map(|template| (template.id.clone(), template)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        let field = |name: &str, kind, is_needed| Field { name: name.into(), kind, is_needed };
        Template {
            id: "t".into(),
            version: String::new(),
            products: Products::None,
            slot: Slot::Lower,
            transition: Transitions::default(),
            steps: 1,
            out_ms: None,
            fields: vec![
                field("name", Kind::Text { most: 5, has_lines: false }, true),
                field("seats", Kind::Number { least: 0.0, most: 9.0, is_whole: true }, false),
                field("colour", Kind::Colour, false),
                field("link", Kind::Link, false),
                field("lines", Kind::Lines { most: 2, most_letters: 3 }, false),
            ],
            manifest: Arc::default(),
        }
    }

    fn refused(data: &Value) -> Option<String> {
        let data = serde_json::from_value(data.clone()).unwrap();
        template().check(&data).err().map(|error| error.field().to_owned())
    }

    #[test]
    fn data_that_does_not_fit_is_refused_by_field() {
        use serde_json::json;
        assert_eq!(refused(&json!({ "name": "Ada" })), None);
        for (data, field) in [
            (json!({}), "data.name"),
            (json!({ "name": "Ada Lovelace" }), "data.name"),
            (json!({ "name": "A\u{7}" }), "data.name"),
            (json!({ "name": 7 }), "data.name"),
            (json!({ "name": "Ada", "seats": 1.5 }), "data.seats"),
            (json!({ "name": "Ada", "seats": 10 }), "data.seats"),
            (json!({ "name": "Ada", "colour": "red" }), "data.colour"),
            (json!({ "name": "Ada", "colour": "#fffffé" }), "data.colour"),
            (json!({ "name": "Ada", "link": "javascript:1" }), "data.link"),
            (json!({ "name": "Ada", "lines": ["a", "b", "c"] }), "data.lines"),
            (json!({ "name": "Ada", "lines": ["long"] }), "data.lines"),
            (json!({ "name": "Ada", "nosuch": 1 }), "data.nosuch"),
            (json!({ "name": "Ada", "price": "€1" }), "data.price"),
        ] {
            assert_eq!(refused(&data).as_deref(), Some(field), "{data}");
        }
    }

    #[test]
    fn changes_set_and_remove() {
        use serde_json::json;
        let data = serde_json::from_value(json!({ "a": 1, "b": 2 })).unwrap();
        let Value::Object(changes) = json!({ "b": null, "c": 3 }) else { panic!() };
        assert_eq!(json!(merged(data, changes)), json!({ "a": 1, "c": 3 }));
    }
}
