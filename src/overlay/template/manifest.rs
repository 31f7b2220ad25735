//! A template's manifest: an OGraf v1 graphic whose `schema` gives the form and whose `v_vitrine` says the rest.
//! Source: EBU OGraf graphics specification v1, and its GDD types for fields. Pure.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::state::template::{Field, Kind, Products, RESERVED};
use crate::state::{Slot, Template, Transitions};

/// The address that marks a manifest as OGraf v1.
pub const SCHEMA: &str = "https://ograf.ebu.io/v1/specification/json-schemas/graphics/schema.json";
/// Letters of a field that says no number of its own.
const USUAL_LETTERS: usize = 300;
const USUAL_LINES: usize = 12;
const MOST_FIELDS: usize = 40;
/// Longest animation of a template's own.
const MOST_ANIMATION_MS: u32 = 3000;

/// OGraf's own keys, of which the native renderer needs a few.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ograf {
    #[serde(rename = "$schema")]
    schema_address: String,
    id: String,
    name: String,
    main: String,
    supports_real_time: bool,
    supports_non_real_time: bool,
    #[serde(default)]
    step_count: Option<i64>,
    #[serde(default)]
    schema: Option<Value>,
    #[serde(rename = "v_vitrine")]
    v_vitrine: Native,
}

/// Our own part, under `v_vitrine`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Native {
    /// `"none"`, `"one"` or `{"upTo": 6}`.
    #[serde(default)]
    pub products: WantedProducts,
    /// Where its cards rest.
    #[serde(default)]
    pub slot: Slot,
    /// How its cards come and go.
    #[serde(default)]
    pub transition: Transitions,
    /// When its cards go out by themselves.
    #[serde(default)]
    pub out_ms: Option<u64>,
    /// How long its own CSS animations last.
    #[serde(default)]
    pub animation: Animation,
    /// Which fields say when its countdown ends.
    #[serde(default)]
    pub countdown: Option<Countdown>,
    /// Pixels a second at which `crawl.html` runs through the element with the class `crawl`.
    #[serde(default)]
    pub crawl_speed: Option<u32>,
    /// The longer side of its product picture, in pixels at a canvas 1280 wide.
    #[serde(default)]
    pub photo: Option<u32>,
    /// It says itself that a product is sold out: no stamp is put over it.
    #[serde(default)]
    pub shows_sold_out: bool,
    /// What samples, thumbnails and tests show.
    #[serde(default)]
    pub sample: Sample,
}

/// See [`Products`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WantedProducts {
    /// None.
    #[default]
    None,
    /// One.
    One,
    /// A list.
    UpTo(u8),
}

/// A root element has the class `in`, `out`, `loop` or `step` while one of these runs, and its CSS animations are
/// drawn frame by frame.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Animation {
    /// Milliseconds.
    #[serde(default)]
    pub in_ms: u32,
    /// Milliseconds.
    #[serde(default)]
    pub out_ms: u32,
    /// Milliseconds of one round.
    #[serde(default)]
    pub loop_ms: u32,
    /// Milliseconds.
    #[serde(default)]
    pub step_ms: u32,
}

/// The fields of a countdown's end.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Countdown {
    /// Milliseconds from the card's first frame.
    #[serde(default)]
    pub duration: Option<String>,
    /// A moment of civil time.
    #[serde(default)]
    pub until: Option<String>,
}

/// What a sample shows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// The fields.
    #[serde(default)]
    pub data: std::collections::BTreeMap<String, Value>,
    /// The products.
    #[serde(default)]
    pub products: Vec<crate::state::Product>,
    /// The step.
    #[serde(default)]
    pub step: Option<u32>,
}

/// What is wrong with a manifest, and at which line.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// From 1; 0 is unknown.
    pub line: usize,
    /// In words.
    pub detail: String,
}

fn wrong(text: &str, near: &str, detail: impl Into<String>) -> Wrong {
    let line = text.find(near).map_or(0, |at| text[..at].matches('\n').count() + 1);
    Wrong { line, detail: detail.into() }
}

/// Reads the manifest of the template in the folder `id`.
///
/// # Errors
/// [`Wrong`].
pub fn read(id: &str, version: String, text: &str) -> Result<(Template, Native), Wrong> {
    let failed = |error: serde_json::Error| Wrong { line: error.line(), detail: error.to_string() };
    let manifest: Value = serde_json::from_str(text).map_err(failed)?;
    let ograf: Ograf = serde_json::from_str(text).map_err(failed)?;
    if ograf.schema_address != SCHEMA {
        return Err(wrong(text, "\"$schema\"", format!("$schema is not {SCHEMA}")));
    }
    if ograf.id.is_empty() || ograf.id.contains('/') {
        return Err(wrong(text, "\"id\"", "id is empty or holds a slash"));
    }
    if ograf.name.is_empty() || ograf.main.is_empty() {
        return Err(wrong(text, "\"name\"", "name or main is empty"));
    }
    if !ograf.supports_real_time && !ograf.supports_non_real_time {
        return Err(wrong(text, "\"supportsRealTime\"", "it supports neither real time nor other time"));
    }
    let steps = match ograf.step_count.unwrap_or(1) {
        steps @ 1..=20 => steps as u32,
        _ => return Err(wrong(text, "\"stepCount\"", "stepCount is not from 1 to 20")),
    };
    let native = ograf.v_vitrine;
    let moves = native.animation;
    if [moves.in_ms, moves.out_ms, moves.loop_ms, moves.step_ms].iter().any(|ms| *ms > MOST_ANIMATION_MS) {
        return Err(wrong(
            text,
            "\"animation\"",
            format!("an animation is longer than {MOST_ANIMATION_MS} ms"),
        ));
    }
    if moves.loop_ms > 0 && native.countdown.is_some() {
        return Err(wrong(text, "\"loopMs\"", "a countdown and a loop cannot be in one card"));
    }
    if native.out_ms.is_some_and(|ms| !(500..=86_400_000).contains(&ms)) {
        return Err(wrong(text, "\"outMs\"", "outMs is not from 500 to a day"));
    }
    let template = Template {
        id: id.to_owned(),
        version,
        products: match native.products {
            WantedProducts::None => Products::None,
            WantedProducts::One => Products::One,
            WantedProducts::UpTo(most) => Products::UpTo(most.clamp(1, 12)),
        },
        slot: native.slot,
        transition: native.transition,
        steps,
        out_ms: native.out_ms,
        fields: fields(text, ograf.schema.as_ref())?,
        manifest: Arc::new(manifest),
    };
    if let Some(countdown) = &native.countdown {
        for name in countdown.duration.iter().chain(&countdown.until) {
            if !template.fields.iter().any(|field| field.name == *name) {
                return Err(wrong(text, "\"countdown\"", format!("the countdown names no field: {name:?}")));
            }
        }
    }
    template
        .check(&native.sample.data)
        .map_err(|error| wrong(text, "\"sample\"", format!("its sample does not fit: {error}")))?;
    Ok((template, native))
}

fn fields(text: &str, schema: Option<&Value>) -> Result<Vec<Field>, Wrong> {
    let Some(schema) = schema else { return Ok(Vec::new()) };
    let Some(properties) = schema["properties"].as_object() else {
        return Err(wrong(text, "\"schema\"", "schema is not an object with properties"));
    };
    if properties.len() > MOST_FIELDS {
        return Err(wrong(text, "\"schema\"", format!("more than {MOST_FIELDS} fields")));
    }
    let needed: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let field = |(name, property): (&String, &Value)| {
        let near = format!("{name:?}");
        if RESERVED.contains(&name.as_str()) {
            return Err(wrong(text, &near, format!("{name} is the product's: it cannot be a field")));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_plain) {
            return Err(wrong(text, &near, format!("{name:?} is not a field's name: letters, digits and _")));
        }
        let kind = kind(property).map_err(|detail| wrong(text, &near, format!("{name}: {detail}")))?;
        if let Some(usual) = property.get("default") {
            kind.check(usual)
                .map_err(|detail| wrong(text, &near, format!("the default of {name}: {detail}")))?;
        }
        Ok(Field { name: name.clone(), kind, is_needed: needed.contains(&name.as_str()) })
    };
    properties.iter().map(field).collect()
}

fn kind(property: &Value) -> Result<Kind, String> {
    let gdd = property["gddType"].as_str().unwrap_or_default();
    let letters = |from: &Value| from["maxLength"].as_u64().map_or(USUAL_LETTERS, |most| most as usize);
    Ok(match (property["type"].as_str().unwrap_or_default(), gdd) {
        ("string", _) if property["enum"].is_array() => Kind::Choice(
            property["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        ("string", "color-rrggbb") => Kind::Colour,
        ("string", "file-path/image-path") => Kind::Picture,
        ("string", _) if property["format"] == "uri" => Kind::Link,
        ("string", _) if property["format"] == "date-time" => Kind::Moment,
        ("string", gdd) => Kind::Text { most: letters(property), has_lines: gdd == "multi-line" },
        ("integer", "duration-ms") => Kind::Duration,
        (number @ ("integer" | "number"), _) => Kind::Number {
            least: property["minimum"].as_f64().unwrap_or(-1e12),
            most: property["maximum"].as_f64().unwrap_or(1e12),
            is_whole: number == "integer",
        },
        ("boolean", _) => Kind::Flag,
        ("array", _) if property["items"]["type"] == "string" => Kind::Lines {
            most: property["maxItems"].as_u64().map_or(USUAL_LINES, |most| most as usize),
            most_letters: letters(&property["items"]),
        },
        (other, _) => return Err(format!("a field of type {other:?} cannot be drawn")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(schema: &str, native: &str) -> String {
        format!(
            "{{\n\"$schema\": \"{SCHEMA}\",\n\"id\": \"t\", \"name\": \"T\", \"main\": \"graphic.mjs\",\n\
             \"supportsRealTime\": true, \"supportsNonRealTime\": true,\n\"schema\": {schema},\n\
             \"v_vitrine\": {native}\n}}"
        )
    }

    fn refused(schema: &str, native: &str) -> (usize, String) {
        let wrong = read("t", String::new(), &manifest(schema, native)).unwrap_err();
        (wrong.line, wrong.detail)
    }

    const EMPTY: &str = r#"{"type":"object","properties":{}}"#;

    #[test]
    fn fields_have_the_kind_that_their_type_says() {
        let schema = r#"{"type":"object","required":["name"],"properties":{
            "name":{"type":"string","maxLength":20},
            "accent":{"type":"string","gddType":"color-rrggbb","pattern":"^#[0-9a-f]{6}$"},
            "durationMs":{"type":"integer","gddType":"duration-ms"},
            "lines":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":9}}}}"#;
        let native = r#"{"countdown":{"duration":"durationMs"},"sample":{"data":{"name":"Ada"}}}"#;
        let (template, _) = read("t", String::new(), &manifest(schema, native)).unwrap();
        let kind = |name: &str| template.fields.iter().find(|field| field.name == name).unwrap().kind.clone();
        assert_eq!(kind("name"), Kind::Text { most: 20, has_lines: false });
        assert_eq!(kind("accent"), Kind::Colour);
        assert_eq!(kind("durationMs"), Kind::Duration);
        assert_eq!(kind("lines"), Kind::Lines { most: 3, most_letters: 9 });
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        assert_eq!(read("t", String::new(), "{\n\"id\" 7}").unwrap_err().line, 2);
        let price = r#"{"type":"object","properties":{"price":{"type":"string"}}}"#;
        let (line, detail) = refused(price, "{}");
        assert!(line == 5 && detail.contains("price is the product's"), "{line}: {detail}");
        let (line, detail) = refused(EMPTY, r#"{"slott":"left"}"#);
        assert!(line == 6 && detail.contains("slott"), "{line}: {detail}");
        let (_, detail) = refused(EMPTY, r#"{"sample":{"data":{"nosuch":1}}}"#);
        assert!(detail.contains("data.nosuch"), "{detail}");
        let (_, detail) = refused(EMPTY, r#"{"countdown":{"until":"endsAt"}}"#);
        assert!(detail.contains("endsAt"), "{detail}");
    }
}
