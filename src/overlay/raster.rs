//! HTML and CSS to pixels, by `takumi`, off the streaming thread. Fetches nothing: pictures are handed in.

use std::collections::HashMap;
use std::sync::Arc;

use qrcodegen::{QrCode, QrCodeEcc};
use takumi::prelude::{Fonts, FromHtmlOptions, ImageSource, Node, RenderOptions, StyleSheet, Viewport};

use super::sprite::Rgba;
use super::template::{self, Content};

/// Light modules around a QR, as its standard wants.
const QUIET_ZONE: i32 = 4;

/// Why something was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template does not fill.
    #[error("the template {name} cannot be filled")]
    Template {
        /// Which.
        name: String,
        /// With its line.
        source: minijinja::Error,
    },
    /// The markup does not lay out.
    #[error("{name} cannot be drawn: {detail}")]
    Draw {
        /// Which.
        name: String,
        /// What is wrong.
        detail: String,
    },
}

/// Draws cards and slates. Loading the fonts takes tens of milliseconds: make one, share it.
pub struct Raster {
    fonts: Fonts,
}

impl std::fmt::Debug for Raster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raster")
    }
}

impl Default for Raster {
    fn default() -> Self {
        Self { fonts: super::fonts::load() }
    }
}

impl Raster {
    /// Draws a card at `scale` (1 is for a canvas 1280 wide). `photo` is the product's picture as PNG;
    /// without one, or with a broken one, a placeholder is drawn.
    ///
    /// # Errors
    /// [`Error`].
    pub fn card(&self, content: &Content, photo: Option<&[u8]>, scale: f32) -> Result<Rgba, Error> {
        let name = content.template.clone();
        let filled =
            template::fill(content).map_err(|source| Error::Template { name: name.clone(), source })?;
        let source = |picture: &Rgba| {
            ImageSource::from_bytes(&picture.to_png())
                .map_err(|error| Error::Draw { name: name.clone(), detail: error.to_string() })
        };
        let photo = match photo.map(ImageSource::from_bytes) {
            Some(Ok(photo)) => photo,
            _ => source(&placeholder())?,
        };
        let images = [("photo", photo), ("code", source(&qr(&content.link))?)];
        let viewport = Viewport::new((None, None)).with_device_pixel_ratio(scale);
        self.html(&name, &filled.html, &filled.css, images, viewport)
    }

    /// Draws a page of `width` by `height`, such as a slate. Styles may be in `<style>` elements.
    ///
    /// # Errors
    /// [`Error::Draw`].
    pub fn page(&self, name: &str, html: &str, width: u32, height: u32) -> Result<Rgba, Error> {
        let css = styles(html);
        self.html(name, html, &css, [], Viewport::new((width, height)))
    }

    fn html<const N: usize>(
        &self,
        name: &str,
        html: &str,
        css: &str,
        images: [(&str, ImageSource); N],
        viewport: Viewport,
    ) -> Result<Rgba, Error> {
        let failed = |detail: String| Error::Draw { name: name.to_owned(), detail };
        let node: Node =
            takumi::from_html(html, FromHtmlOptions::default()).map_err(|error| failed(error.to_string()))?;
        let sources: HashMap<Arc<str>, ImageSource> =
            images.into_iter().map(|(name, source)| (name.into(), source)).collect();
        let options = RenderOptions::builder()
            .viewport(viewport)
            .node(node)
            .fonts(&self.fonts)
            .stylesheet(Arc::new(StyleSheet::parse_loosy(css)))
            .images(sources)
            .build();
        let bitmap = takumi::render(options).map_err(|error| failed(error.to_string()))?;
        Ok(Rgba { width: bitmap.width(), height: bitmap.height(), data: bitmap.into_raw() })
    }
}

/// The text of all `<style>` elements.
fn styles(html: &str) -> String {
    html.split("<style>").skip(1).filter_map(|rest| rest.split("</style>").next()).collect()
}

/// A QR of `text`: black on white whatever the theme, one pixel a module times 8, quiet zone included.
pub fn qr(text: &str) -> Rgba {
    const MODULE: u32 = 8;
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .or_else(|_| QrCode::encode_text("", QrCodeEcc::Low))
        .expect("an empty text fits every QR");
    let side = (code.size() + 2 * QUIET_ZONE) as u32 * MODULE;
    let mut data = vec![255; (side * side * 4) as usize];
    for (at, pixel) in data.chunks_exact_mut(4).enumerate() {
        let (x, y) = ((at as u32 % side) / MODULE, (at as u32 / side) / MODULE);
        if code.get_module(x as i32 - QUIET_ZONE, y as i32 - QUIET_ZONE) {
            pixel[..3].fill(0);
        }
    }
    Rgba { width: side, height: side, data }
}

/// A grey square with a frame and a hill: no picture, said without words.
fn placeholder() -> Rgba {
    const SIDE: u32 = 160;
    let mut data = Vec::with_capacity((SIDE * SIDE * 4) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let is_hill = y > 60 + x.abs_diff(60) && y < 120 && (30..130).contains(&x);
            let is_sun = (x.abs_diff(110)).pow(2) + (y.abs_diff(52)).pow(2) < 120;
            let value = if is_hill || is_sun { 170 } else { 226 };
            data.extend_from_slice(&[value, value, value + 4, 255]);
        }
    }
    Rgba { width: SIDE, height: SIDE, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(title: &str, price: &str) -> Content {
        Content {
            template: "product".into(),
            title: title.into(),
            price: price.into(),
            old_price: Some("$29.99".into()),
            image: None,
            link: "http://192.168.100.100:8080/go/abcd2345".into(),
        }
    }

    #[test]
    fn a_long_title_is_clipped_inside_the_card() {
        let raster = Raster::default();
        let short = raster.card(&content("Cup", "$19.99"), None, 1.0).unwrap();
        let long =
            raster.card(&content(&"Very long words 很长的标题 🎁 ".repeat(12), "$19.99"), None, 1.0).unwrap();
        assert_eq!((short.width, short.height), (long.width, long.height), "the card keeps its size");
        let corner = |picture: &Rgba| picture.data[3];
        assert_eq!(corner(&short), 0, "round corners are transparent");
    }

    #[test]
    fn another_price_is_another_picture_and_the_same_is_the_same() {
        let raster = Raster::default();
        let draw = |price| raster.card(&content("Cup", price), None, 1.0).unwrap();
        assert_eq!(draw("$19.99"), draw("$19.99"));
        assert_ne!(draw("$19.99"), draw("$18.99"));
    }

    #[test]
    fn a_broken_photo_gives_the_placeholder() {
        let raster = Raster::default();
        let without = raster.card(&content("Cup", "$1"), None, 1.0).unwrap();
        assert_eq!(raster.card(&content("Cup", "$1"), Some(b"junk"), 1.0).unwrap(), without);
    }
}
