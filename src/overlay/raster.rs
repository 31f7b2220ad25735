//! HTML and CSS to pixels, by `takumi`, off the streaming thread. Fetches nothing: pictures are handed in.

mod pictures;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use takumi::prelude::{
    FromHtmlOptions, ImageSource, ImageSourceInput, Node, NodeKind, RenderOptions, StyleSheet, Viewport,
};
use takumi_core::layout::tree::RenderNode;
use takumi_core::scene::Scene;

use super::content::{self, Content, Phase};
use super::fonts::{Fonts, Missing};
use super::qr::{self, Area};
use super::sprite::Rgba;
use super::template::Design;
use pictures::Decoded;

/// Pixels beyond which a card is not drawn: a template's mistake must not take the memory.
const MOST_PIXELS: f32 = 3840.0 * 2160.0;
/// A product's picture, in pixels at a canvas 1280 wide, when the template does not say.
const USUAL_PHOTO: u32 = 320;

/// Why something was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such template.
    #[error("there is no template {0:?}")]
    NoTemplate(String),
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

/// A drawn card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Its pixels; where its QR comes, white.
    pub picture: Rgba,
    /// Where its QR comes.
    pub code: Option<Area>,
    /// Where its crawling line runs.
    pub crawl: Option<Area>,
    /// Scripts whose letters were left out.
    pub missing: Vec<Missing>,
}

/// Where pictures are read from: id in, file's bytes out.
pub type PictureBytes = Arc<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Draws cards and slates. Loading the fonts takes tens of milliseconds: make one, share it.
pub struct Raster {
    fonts: Fonts,
    decoded: Mutex<Decoded>,
    /// Stands where a product has no picture.
    placeholder: ImageSource,
    white: ImageSource,
}

impl std::fmt::Debug for Raster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raster")
    }
}

impl Raster {
    /// With these fonts; `pictures` reads those of products.
    pub fn new(fonts: Fonts, pictures: PictureBytes) -> Self {
        let source = |picture: &Rgba| {
            ImageSource::from_bytes(&picture.to_png()).expect("a PNG that was just written can be read")
        };
        Self {
            fonts,
            decoded: Mutex::new(Decoded::new(pictures)),
            placeholder: source(&placeholder()),
            white: source(&Rgba { width: 2, height: 2, data: vec![255; 16] }),
        }
    }

    /// Draws a card at `scale` (1 is for a canvas 1280 wide, or 720 when it stands). A product without a
    /// picture, or with a broken one, gets a placeholder.
    ///
    /// # Errors
    /// [`Error`].
    pub fn card(&self, design: &Design, content: &Content, scale: f32) -> Result<Drawn, Error> {
        self.part(design, content, "card", scale)
    }

    /// Draws the line that crawls through a card.
    ///
    /// # Errors
    /// [`Error`].
    pub fn crawl(&self, design: &Design, content: &Content, scale: f32) -> Result<Drawn, Error> {
        self.part(design, content, "crawl", scale)
    }

    /// Draws a card with what crawls through it at rest: to look at, not to animate.
    ///
    /// # Errors
    /// [`Error`].
    pub fn whole(&self, design: &Design, content: &Content, scale: f32) -> Result<Drawn, Error> {
        let mut drawn = self.card(design, content, scale)?;
        if let Some(window) = drawn.crawl.filter(|_| design.has_crawl) {
            let line = self.crawl(design, content, scale)?.picture;
            let lift = (i64::from(window.height) - i64::from(line.height)) / 2;
            for y in 0..line.height {
                let row = i64::from(window.y) + lift + i64::from(y);
                if !(0..i64::from(drawn.picture.height)).contains(&row) {
                    continue;
                }
                for x in 0..line.width.min(window.width) {
                    let column =
                        if content.language.1 { line.width - line.width.min(window.width) + x } else { x };
                    let from = ((y * line.width + column) * 4) as usize;
                    let to = (row as usize * drawn.picture.width as usize + (window.x + x) as usize) * 4;
                    let pixel = &line.data[from..from + 4];
                    if let Some(under) = drawn.picture.data.get_mut(to..to + 4) {
                        let alpha = u32::from(pixel[3]);
                        for (under, over) in under[..3].iter_mut().zip(pixel) {
                            *under =
                                ((u32::from(*over) * alpha + u32::from(*under) * (255 - alpha)) / 255) as u8;
                        }
                    }
                }
            }
        }
        Ok(drawn)
    }

    fn part(&self, design: &Design, content: &Content, part: &str, scale: f32) -> Result<Drawn, Error> {
        let name = format!("{}/{part}.html", design.template.id);
        let mut content = content.clone();
        let mut missing: Vec<Missing> = Vec::new();
        // A price without some of its digits would be another price.
        if let Some(lacking) = content.prices().iter().find_map(|price| self.fonts.drawable(price).1.pop()) {
            return Err(Error::Draw { name, detail: format!("its price cannot be written: {lacking}") });
        }
        content.map_text(|text| {
            let (kept, lacking) = self.fonts.drawable(text);
            missing.extend(lacking.into_iter().filter(|one| !missing.contains(one)).collect::<Vec<_>>());
            kept
        });
        let html = content::fill(design, &content, part)
            .map_err(|source| Error::Template { name: name.clone(), source })?;
        let mut images = vec![("code".to_owned(), self.white.clone())];
        let side = (design.native.photo.unwrap_or(USUAL_PHOTO) as f32 * scale).ceil() as u32;
        for (picture, id) in &content.pictures {
            let decoded = id
                .as_ref()
                .and_then(|id| self.decoded.lock().unwrap_or_else(PoisonError::into_inner).get(id, side));
            images.push((picture.clone(), decoded.unwrap_or_else(|| self.placeholder.clone())));
        }
        let time_ms = match content.phase {
            Phase::Rest => 0,
            Phase::In(ms) | Phase::Out(ms) | Phase::Loop(ms) | Phase::Step(ms) => ms,
        };
        let viewport = Viewport::new((None, None)).with_device_pixel_ratio(scale);
        let page = Page { html: &html, sheet: design.sheet.clone(), images, viewport, time_ms };
        // A text that upsets the layout must not take the thread along.
        let draw = || self.html(&name, page);
        let mut drawn =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(draw)).unwrap_or_else(|_| {
                Err(Error::Draw { name: name.clone(), detail: "the layout failed on this text".into() })
            })?;
        drawn.missing = missing;
        Ok(drawn)
    }

    /// Draws a page of `width` by `height`, such as a slate. Styles may be in `<style>` elements.
    ///
    /// # Errors
    /// [`Error::Draw`].
    pub fn page(&self, name: &str, html: &str, width: u32, height: u32) -> Result<Rgba, Error> {
        let sheet = Arc::new(StyleSheet::parse_loosy(&styles(html)));
        let viewport = Viewport::new((width, height));
        let page = Page { html, sheet, images: Vec::new(), viewport, time_ms: 0 };
        self.html(name, page).map(|drawn| drawn.picture)
    }

    fn html(&self, name: &str, page: Page) -> Result<Drawn, Error> {
        let failed = |detail: String| Error::Draw { name: name.to_owned(), detail };
        let words = |error: takumi::prelude::Error| failed(error.to_string());
        let node: Node = takumi::from_html(page.html, FromHtmlOptions::default())
            .map_err(|error| failed(error.to_string()))?;
        let sources: HashMap<Arc<str>, ImageSource> =
            page.images.into_iter().map(|(name, source)| (name.into(), source)).collect();
        let mut options = RenderOptions::builder()
            .viewport(page.viewport)
            .node(node.clone())
            .fonts(&self.fonts.registry)
            .stylesheet(page.sheet)
            .images(sources)
            .time_ms(u64::from(page.time_ms))
            .build();
        // Laid out and painted apart, to learn on the way where the QR and the crawling line come.
        let context = options.take_render_context();
        let scene =
            Scene::lay_out(RenderNode::from_node(&context, node), page.viewport, true).map_err(words)?;
        if scene.size.width < 1.0 || scene.size.height < 1.0 {
            // Nothing is filled in: nothing is to be seen.
            let picture = Rgba { width: 2, height: 2, data: vec![0; 16] };
            return Ok(Drawn { picture, code: None, crawl: None, missing: Vec::new() });
        }
        if scene.size.width * scene.size.height > MOST_PIXELS {
            return Err(failed(format!("it is {} x {} pixels large", scene.size.width, scene.size.height)));
        }
        let (code, crawl) = places(&scene);
        let bitmap = takumi_raster::render_scene(&scene).map_err(words)?;
        let picture = Rgba { width: bitmap.width(), height: bitmap.height(), data: bitmap.into_raw() };
        Ok(Drawn { picture, code, crawl, missing: Vec::new() })
    }
}

struct Page<'a> {
    html: &'a str,
    sheet: Arc<StyleSheet>,
    images: Vec<(String, ImageSource)>,
    viewport: Viewport,
    time_ms: u32,
}

/// Where the image `code` and the element with the class `crawl` are.
fn places(scene: &Scene) -> (Option<Area>, Option<Area>) {
    let (mut code, mut crawl) = (None, None);
    scene.view().for_each_paint(|paint| {
        let Some(node) = scene.root.node_at_path(&paint.path).and_then(|node| node.node.as_ref()) else {
            return;
        };
        let is_code = matches!(&node.kind, NodeKind::Image(image)
            if matches!(&image.src, ImageSourceInput::Url(url) if &**url == "code"));
        let is_crawl = node.classes().any(|class| class == "crawl");
        if !is_code && !is_crawl {
            return;
        }
        let Ok(layout) = scene.results.layout(paint.node_id) else { return };
        let round = |value: f32| value.max(0.0).round() as u32;
        let area = Area {
            x: round(paint.transform.x),
            y: round(paint.transform.y),
            width: round(layout.size.width),
            height: round(layout.size.height),
        };
        *(if is_code { &mut code } else { &mut crawl }) = Some(area);
    });
    (code, crawl)
}

/// The text of all `<style>` elements.
fn styles(html: &str) -> String {
    html.split("<style>").skip(1).filter_map(|rest| rest.split("</style>").next()).collect()
}

impl Drawn {
    /// The whole picture, with the QR of `link`.
    pub fn with_code(mut self, link: &str) -> Rgba {
        if let Some(area) = self.code {
            qr::draw_rgba(&mut self.picture, area, link);
        }
        self.picture
    }
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
mod tests;
