//! Cards that are prepared, where they rest, and their times on air.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::{MediaTime, WallTime};

/// Where on the canvas a card rests, inside the safe area; one airing a slot, but for [`Slot::Free`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// Bottom left.
    #[default]
    LowerLeft,
    /// Bottom middle.
    Lower,
    /// Bottom right.
    LowerRight,
    /// Middle of the left side.
    Left,
    /// The middle.
    Center,
    /// Middle of the right side.
    Right,
    /// Top left.
    UpperLeft,
    /// Top middle.
    Upper,
    /// Top right.
    UpperRight,
    /// Across the bottom, below the lower slots: for tickers.
    Band,
    /// Wherever [`Card::position`] says; any number at once.
    Free,
}

impl Slot {
    /// Every slot, for forms.
    pub const ALL: [Self; 11] = [
        Self::LowerLeft,
        Self::Lower,
        Self::LowerRight,
        Self::Left,
        Self::Center,
        Self::Right,
        Self::UpperLeft,
        Self::Upper,
        Self::UpperRight,
        Self::Band,
        Self::Free,
    ];
}

/// A share or factor in ten-thousandths: exact, so that two equal ones are equal. A decimal number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(pub u32);

impl Ratio {
    /// The whole; no change of size.
    pub const ONE: Self = Self(10_000);
}

impl TryFrom<f64> for Ratio {
    type Error = &'static str;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if (0.0..=1000.0).contains(&value) {
            return Ok(Self((value * 10_000.0).round() as u32));
        }
        Err("it is not a number from 0 to 1000")
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> Self {
        Self::from(ratio.0) / 10_000.0
    }
}

/// A free place: 0 is at the left or top edge of the picture, 1 at the right or bottom one, as in CSS's
/// `background-position`. So no value leads out of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// 0 to 1, left to right.
    pub x: Ratio,
    /// 0 to 1, top to bottom.
    pub y: Ratio,
}

/// How a card comes, goes, or changes its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transition {
    /// At once.
    Cut,
    /// From and to transparent.
    Fade,
    /// In from the nearest edge of the picture, and out to it.
    Slide,
    /// Uncovered from the reading side.
    Wipe,
    /// Grows a little beyond its size and settles.
    Pop,
    /// Digits turn as on a counter; for changes of price only.
    Roll,
}

/// A card's own transitions; what is missing is the template's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transitions {
    /// How it comes.
    #[serde(default, rename = "in")]
    pub enter: Option<Transition>,
    /// How it goes.
    #[serde(default, rename = "out")]
    pub leave: Option<Transition>,
    /// How its price changes.
    #[serde(default)]
    pub change: Option<Transition>,
    /// How fast when, for coming; going is its mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub easing: Option<Easing>,
    /// Milliseconds that it takes to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_ms: Option<u32>,
    /// Milliseconds that it takes to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_ms: Option<u32>,
}

impl Transitions {
    /// These, and where they say nothing `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            enter: self.enter.or(others.enter),
            leave: self.leave.or(others.leave),
            change: self.change.or(others.change),
            easing: self.easing.or(others.easing),
            in_ms: self.in_ms.or(others.in_ms),
            out_ms: self.out_ms.or(others.out_ms),
        }
    }
}

/// How a movement's speed goes. Source: the keywords of CSS Easing Functions 1, and `back`, which overshoots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Easing {
    /// The same all the way.
    Linear,
    /// Slow at first.
    EaseIn,
    /// Slow at last.
    #[default]
    EaseOut,
    /// Slow at both ends.
    EaseInOut,
    /// Beyond, and back.
    Back,
}

/// A prepared item that can go on air.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Card {
    /// Chosen by people; unique.
    pub id: String,
    /// Which design.
    #[serde(default = "default_template")]
    pub template: String,
    /// The product that it shows, if its template shows one.
    #[serde(default)]
    pub sku: Option<String>,
    /// The products of a tray, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<String>,
    /// Where it rests; filled in from the template when the card is put without one.
    #[serde(default)]
    pub slot: Option<Slot>,
    /// With [`Slot::Free`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Size against the template's own; 0.25 to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Ratio>,
    /// Higher lies over lower; later over earlier in one height. -100 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<i32>,
    /// A title for this card instead of the product's.
    #[serde(default)]
    pub title: Option<String>,
    /// The template's own fields. Prices and stock are not among them: they are the product's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Value>,
    /// How it comes and goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<Transitions>,
    /// Taken out by itself after so many milliseconds; 0 is never; missing is as the template says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_ms: Option<u64>,
}

fn default_template() -> String {
    "product".into()
}

impl Card {
    /// A plain card of one product.
    pub fn of_product(id: &str, sku: &str) -> Self {
        Self { id: id.into(), template: default_template(), sku: Some(sku.into()), ..Self::default() }
    }

    /// The products that it shows.
    pub fn products(&self) -> impl Iterator<Item = &str> {
        self.sku.iter().chain(&self.skus).map(String::as_str)
    }

    /// Where it rests.
    pub fn place(&self) -> Slot {
        self.slot.unwrap_or_default()
    }
}

/// One time of a card on air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Airing {
    /// Unique for ever.
    pub id: String,
    /// The card.
    pub card_id: String,
    /// The product at the start, if it shows one.
    #[serde(default)]
    pub sku: Option<String>,
    /// Where it is shown.
    pub channel: String,
    /// The slot it rests in.
    pub slot: Slot,
    /// For `/go/{code}`.
    pub code: String,
    /// Civil time of the command.
    pub since: WallTime,
    /// Programme time of the command, in nanoseconds.
    pub since_programme: MediaTime,
    /// The template's step that it shows; the first is 1.
    #[serde(default = "first_step")]
    pub step: u32,
    /// Programme time at which it goes out by itself, in nanoseconds.
    #[serde(default)]
    pub ends_programme: Option<MediaTime>,
    /// It is of the product that the host explains now; one at most in a channel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pinned: bool,
    /// Its channel practises: no viewer sees it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_practice: bool,
}

fn first_step() -> u32 {
    1
}

/// Why an airing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// Somebody took it out.
    Hidden,
    /// Another card took its slot.
    Replaced,
    /// Its time was over.
    TimedOut,
    /// Everything was cut.
    Cleared,
}
