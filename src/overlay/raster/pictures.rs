//! Product pictures in the sizes that cards show them in: decoded and scaled once, kept while there is room.

use std::collections::HashMap;

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, Resizer};
use takumi::prelude::ImageSource;

use super::PictureBytes;
use crate::overlay::sprite::Rgba;

/// Bytes of decoded pictures that are kept; the one not used for the longest time goes first.
const MOST_BYTES: usize = 24 * 1024 * 1024;

struct Kept {
    source: ImageSource,
    bytes: usize,
    last_used: u64,
}

/// The pictures that are ready.
pub(super) struct Decoded {
    bytes_of: PictureBytes,
    kept: HashMap<(String, u32), Kept>,
    bytes: usize,
    uses: u64,
}

impl Decoded {
    pub(super) fn new(bytes_of: PictureBytes) -> Self {
        Self { bytes_of, kept: HashMap::new(), bytes: 0, uses: 0 }
    }

    /// The picture `id`, scaled so that its shorter side is `side`, never larger than it is. Nothing when it is
    /// not there or broken.
    pub(super) fn get(&mut self, id: &str, side: u32) -> Option<ImageSource> {
        self.uses += 1;
        let key = (id.to_owned(), side);
        if let Some(kept) = self.kept.get_mut(&key) {
            kept.last_used = self.uses;
            return Some(kept.source.clone());
        }
        let picture = scaled(&(self.bytes_of)(id)?, side)?;
        let source = ImageSource::from_bytes(&picture.to_png()).ok()?;
        let bytes = picture.data.len();
        while self.bytes + bytes > MOST_BYTES && !self.kept.is_empty() {
            let oldest =
                self.kept.iter().min_by_key(|(_, kept)| kept.last_used).map(|(key, _)| key.clone())?;
            self.bytes -= self.kept.remove(&oldest).map_or(0, |kept| kept.bytes);
        }
        self.bytes += bytes;
        self.kept.insert(key, Kept { source: source.clone(), bytes, last_used: self.uses });
        Some(source)
    }
}

/// With Lanczos over premultiplied pixels, so that no colour of what is transparent bleeds in.
fn scaled(file: &[u8], side: u32) -> Option<Rgba> {
    let picture = image::load_from_memory(file).ok()?.into_rgba8();
    let (width, height) = picture.dimensions();
    let shorter = width.min(height);
    if shorter <= side || side == 0 {
        return Some(Rgba { width, height, data: picture.into_raw() });
    }
    let to = |length: u32| (u64::from(length) * u64::from(side)).div_ceil(u64::from(shorter)) as u32;
    let from = Image::from_vec_u8(width, height, picture.into_raw(), PixelType::U8x4).ok()?;
    let mut into = Image::new(to(width), to(height), PixelType::U8x4);
    Resizer::new().resize(&from, &mut into, None).ok()?;
    Some(Rgba { width: to(width), height: to(height), data: into.into_vec() })
}
