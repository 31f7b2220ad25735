//! How cards look, how long they may stay, and where their pictures may come from.

use std::path::PathBuf;

use serde::Deserialize;

use super::Error;

/// Which colours cards have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Dark letters on light cards.
    #[default]
    Light,
    /// Light letters on dark cards.
    Dark,
}

/// A shop's own look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Look {
    /// The colours of cards.
    pub theme: Theme,
    /// `#rrggbb`: prices, stamps, bars.
    pub brand_colour: String,
    /// A font's family; nothing is the one in the binary.
    pub font: Option<String>,
    /// How prices are written, such as `de-DE`; nothing is as at home where the currency is money.
    pub locale: Option<String>,
}

impl Default for Look {
    fn default() -> Self {
        Self { theme: Theme::Light, brand_colour: "#d6123b".into(), font: None, locale: None }
    }
}

/// The file's part for one channel, or for all.
#[derive(Debug, Clone, Default)]
pub(super) struct LookFile {
    pub(super) theme: Option<Theme>,
    pub(super) brand_colour: Option<String>,
    pub(super) font: Option<String>,
    pub(super) locale: Option<String>,
}

impl LookFile {
    /// This one's values, where there is none `usual`'s.
    pub(super) fn over(self, usual: &Look, key: &str) -> Result<Look, Error> {
        let bad = |name: &str, value: &str, reason| {
            Err(Error::Value { key: format!("{key}.{name}"), value: value.into(), reason })
        };
        let look = Look {
            theme: self.theme.unwrap_or(usual.theme),
            brand_colour: self.brand_colour.unwrap_or_else(|| usual.brand_colour.clone()),
            font: self.font.or_else(|| usual.font.clone()),
            locale: self.locale.or_else(|| usual.locale.clone()),
        };
        let colour = &look.brand_colour;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if colour.len() != 7 || !colour.starts_with('#') || !is_hex(&colour[1..]) {
            return bad("brand_colour", colour, "such as \"#d6123b\"");
        }
        let is_plain = |c: char| c.is_alphanumeric() || " -_".contains(c);
        if let Some(font) = look.font.as_ref().filter(|font| font.is_empty() || !font.chars().all(is_plain)) {
            return bad("font", font, "a font family's name");
        }
        // Whether the locale is in the table is checked where the table is, at the start.
        Ok(look)
    }
}

/// `[overlay]` in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OverlayFile {
    cards: Option<PathBuf>,
    fonts: Vec<PathBuf>,
    longest_airing_min: Option<u32>,
    qr_percent: Option<f64>,
    theme: Option<Theme>,
    brand_colour: Option<String>,
    font: Option<String>,
    locale: Option<String>,
}

/// Cards on the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    /// The operator's own templates; nothing is `cards` in the data directory.
    pub cards: Option<PathBuf>,
    /// Font files beside those installed.
    pub fonts: Vec<PathBuf>,
    /// Minutes after which a card with a price goes out, whatever it says; 0 is never.
    pub longest_airing_min: u32,
    /// The least height of a QR, in hundredths of the picture's shorter side.
    pub qr_percent: f64,
    /// All channels', unless they say otherwise.
    pub look: Look,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            cards: None,
            fonts: Vec::new(),
            longest_airing_min: 60,
            qr_percent: 15.0,
            look: Look::default(),
        }
    }
}

impl OverlayFile {
    pub(super) fn read(self) -> Result<Overlay, Error> {
        let usual = Overlay::default();
        let look = LookFile {
            theme: self.theme,
            brand_colour: self.brand_colour,
            font: self.font,
            locale: self.locale,
        };
        let overlay = Overlay {
            cards: self.cards,
            fonts: self.fonts,
            longest_airing_min: self.longest_airing_min.unwrap_or(usual.longest_airing_min),
            qr_percent: self.qr_percent.unwrap_or(usual.qr_percent),
            look: look.over(&usual.look, "overlay")?,
        };
        let bad = |key: &str, value: String, reason| Err(Error::Value { key: key.into(), value, reason });
        if overlay.longest_airing_min > 24 * 60 {
            return bad("overlay.longest_airing_min", overlay.longest_airing_min.to_string(), "0 to 1440");
        }
        if !(5.0..=60.0).contains(&overlay.qr_percent) {
            return bad("overlay.qr_percent", overlay.qr_percent.to_string(), "5 to 60");
        }
        Ok(overlay)
    }
}

/// `[pictures]`: what may be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pictures {
    /// Hosts that pictures may be fetched from; without any, none are.
    pub allow: Vec<String>,
}
