//! Where cards are drawn and drawings are kept: fonts, templates and a bounded store of finished sprites, shared
//! by all channels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::colour::Format;
use super::content::Content;
use super::fonts::Missing;
use super::qr::{self, Area};
use super::raster::{self, Raster};
use super::sprite::Sprite;
use super::template::{Design, Library};

/// Bytes of finished sprites that are kept: a hundred cards of a 1080p canvas, and their crawling lines. The
/// one not used for the longest time goes first.
const MOST_BYTES: usize = 80 * 1024 * 1024;

/// A card drawn for one canvas, but for its QR.
#[derive(Debug)]
pub struct Base {
    /// Its planes; where the QR comes, white.
    pub sprite: Arc<Sprite>,
    /// Where the QR comes.
    pub code: Option<Area>,
    /// Where its crawling line runs.
    pub crawl: Option<Area>,
    /// Scripts whose letters were left out.
    pub missing: Vec<Missing>,
}

impl Base {
    /// The card with the QR of `link`.
    pub fn dressed(&self, link: &str) -> Arc<Sprite> {
        let Some(area) = self.code else { return self.sprite.clone() };
        let mut sprite = (*self.sprite).clone();
        if !qr::draw(&mut sprite, area, link) {
            tracing::warn!("the QR of {link} does not fit into {} x {} pixels", area.width, area.height);
        }
        Arc::new(sprite)
    }
}

/// What a drawing depends on: its content, part, scale in thousandths, and format.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    content: Content,
    part: &'static str,
    scale: u32,
    format: Format,
}

#[derive(Default)]
struct Kept {
    bases: HashMap<Key, (Arc<Base>, u64)>,
    bytes: usize,
    uses: u64,
}

/// Draws and keeps.
pub struct Studio {
    /// The drawing itself.
    pub raster: Raster,
    library: watch::Sender<Arc<Library>>,
    kept: Mutex<Kept>,
}

impl std::fmt::Debug for Studio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Studio")
    }
}

impl Studio {
    /// With these fonts and templates.
    pub fn new(raster: Raster, library: Library) -> Self {
        Self { raster, library: watch::Sender::new(Arc::new(library)), kept: Mutex::default() }
    }

    /// The templates in use.
    pub fn library(&self) -> Arc<Library> {
        self.library.borrow().clone()
    }

    /// Uses other templates from now on.
    pub fn set_library(&self, library: Library) {
        self.library.send_replace(Arc::new(library));
    }

    /// The design `id`.
    ///
    /// # Errors
    /// [`raster::Error::NoTemplate`].
    pub fn design(&self, id: &str) -> Result<Arc<Design>, raster::Error> {
        self.library().designs.get(id).cloned().ok_or_else(|| raster::Error::NoTemplate(id.to_owned()))
    }

    /// The card of `content`, drawn now or before.
    ///
    /// # Errors
    /// [`raster::Error`].
    pub fn card(
        &self,
        design: &Design,
        content: &Content,
        scale: f32,
        format: Format,
    ) -> Result<Arc<Base>, raster::Error> {
        self.part(design, content, ("card", scale), format)
    }

    /// The crawling line of `content`.
    ///
    /// # Errors
    /// [`raster::Error`].
    pub fn crawl(
        &self,
        design: &Design,
        content: &Content,
        scale: f32,
        format: Format,
    ) -> Result<Arc<Base>, raster::Error> {
        self.part(design, content, ("crawl", scale), format)
    }

    fn part(
        &self,
        design: &Design,
        content: &Content,
        (part, scale): (&'static str, f32),
        format: Format,
    ) -> Result<Arc<Base>, raster::Error> {
        let key = Key { content: content.clone(), part, scale: (scale * 1000.0).round() as u32, format };
        if let Some(base) = self.find(&key) {
            return Ok(base);
        }
        let drawn = if part == "crawl" {
            self.raster.crawl(design, content, scale)
        } else {
            self.raster.card(design, content, scale)
        }?;
        let base = Arc::new(Base {
            sprite: Arc::new(Sprite::from_rgba(&drawn.picture, format)),
            code: drawn.code,
            crawl: drawn.crawl,
            missing: drawn.missing,
        });
        // What moves is not shown again.
        if content.phase == super::content::Phase::Rest && content.roll.is_none() {
            self.keep(key, base.clone());
        }
        Ok(base)
    }

    fn find(&self, key: &Key) -> Option<Arc<Base>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (base, used) = kept.bases.get_mut(key)?;
        *used = now;
        Some(base.clone())
    }

    fn keep(&self, key: Key, base: Arc<Base>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += base.sprite.bytes();
        let used = kept.uses;
        if let Some((old, _)) = kept.bases.insert(key, (base, used)) {
            kept.bytes -= old.sprite.bytes();
        }
        while kept.bytes > MOST_BYTES {
            let oldest = kept.bases.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            let Some((old, _)) = oldest.and_then(|key| kept.bases.remove(&key)) else { break };
            kept.bytes -= old.sprite.bytes();
        }
    }

    /// Whether there is room to draw ahead without losing what is kept.
    pub fn has_room(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes < MOST_BYTES / 10 * 9
    }

    /// Whether the card of `content` is drawn already.
    pub fn has(&self, content: &Content, scale: f32, format: Format) -> bool {
        let key =
            Key { content: content.clone(), part: "card", scale: (scale * 1000.0).round() as u32, format };
        self.find(&key).is_some()
    }
}
