//! Product pictures: checked, decoded, brought to one form, kept by content under the data directory.
//!
//! Bytes from outside are decoded here once, with limits on bytes, pixels and memory. What is kept is our
//! own PNG of at most [`LONGEST`] pixels a side, so drawing never meets a foreign file. Fetches nothing.

use std::fmt::Write;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, Resizer};
use image::{ImageReader, Limits, RgbaImage};
use moxcms::{ColorProfile, Layout, TransformOptions};
use sha2::{Digest, Sha256};

/// The most bytes of a picture from outside.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The most pixels a side of a picture from outside.
const MOST_SIDE: u32 = 10_000;
/// The most pixels of a picture from outside; this bounds the time that it takes, too (2 s on a slow machine).
const MOST_PIXELS: u64 = 40_000_000;
/// The longest side that is kept; a card shows a few hundred pixels.
const LONGEST: u32 = 800;

/// Why a picture was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many bytes.
    #[error("the picture has {0} bytes; at most {MOST_BYTES} are taken")]
    TooLarge(usize),
    /// Not a picture that can be read.
    #[error("the picture cannot be read as JPEG, PNG, WebP or GIF: {0}")]
    Unreadable(String),
    /// The disk.
    #[error("the picture cannot be kept at {path}")]
    Keep {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The folder of pictures.
#[derive(Debug, Clone)]
pub struct Pictures {
    directory: PathBuf,
}

impl Pictures {
    /// The folder `pictures` in the data directory, made if it is not there.
    ///
    /// # Errors
    /// [`super::Error::Directory`].
    pub fn open(data_dir: &Path) -> Result<Self, super::Error> {
        let directory = data_dir.join("pictures");
        std::fs::create_dir_all(&directory)
            .map_err(|source| super::Error::Directory { path: directory.clone(), source })?;
        Ok(Self { directory })
    }

    /// Takes a picture and returns its id. Blocks while it decodes.
    ///
    /// # Errors
    /// [`Error`], in words for the one who sent it.
    pub fn add(&self, bytes: &[u8]) -> Result<String, Error> {
        let picture = decode(bytes)?;
        let mut png = Cursor::new(Vec::new());
        picture
            .write_to(&mut png, image::ImageFormat::Png)
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        let png = png.into_inner();
        let id = Sha256::digest(&png).iter().take(12).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        let path = self.path(&id);
        // Written aside, then renamed: a killed process leaves no half picture under an id.
        let aside = self.directory.join(crate::id::new("new"));
        let keep = |source| Error::Keep { path: path.clone(), source };
        std::fs::write(&aside, png).map_err(keep)?;
        std::fs::rename(&aside, &path).map_err(|source| Error::Keep { path: path.clone(), source })?;
        Ok(id)
    }

    /// Where the PNG of `id` is. Ids that this store did not make lead nowhere.
    pub fn path(&self, id: &str) -> PathBuf {
        let is_ours = id.len() == 24 && id.chars().all(|c| c.is_ascii_hexdigit());
        self.directory.join(if is_ours { format!("{id}.png") } else { "none".into() })
    }
}

fn decode(bytes: &[u8]) -> Result<image::DynamicImage, Error> {
    if bytes.len() > MOST_BYTES {
        return Err(Error::TooLarge(bytes.len()));
    }
    let unreadable = |error: image::ImageError| Error::Unreadable(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Error::Unreadable(error.to_string()))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_SIDE);
    limits.max_image_height = Some(MOST_SIDE);
    limits.max_alloc = Some(256 * 1024 * 1024);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = image::ImageDecoder::dimensions(&decoder);
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Error::Unreadable(format!("{width} x {height} pixels; at most {MOST_PIXELS} are taken")));
    }
    let profile = image::ImageDecoder::icc_profile(&mut decoder).ok().flatten();
    // Phones write the picture lying down and say so in EXIF.
    let orientation = image::ImageDecoder::orientation(&mut decoder).map_err(unreadable)?;
    let mut picture = image::DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    picture.apply_orientation(orientation);
    let mut picture = picture.into_rgba8();
    if let Some(profile) = profile {
        to_srgb(&mut picture, &profile);
    }
    Ok(smaller(picture).into())
}

/// Brings colours of another profile (cameras' Adobe RGB, phones' Display P3) to sRGB. A profile that cannot be
/// used leaves them as they are, as browsers do.
fn to_srgb(picture: &mut RgbaImage, profile: &[u8]) {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return };
    let options = TransformOptions::default();
    let Ok(transform) =
        profile.create_transform_8bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgba, options)
    else {
        return;
    };
    let mut converted = vec![0; picture.as_raw().len()];
    if transform.transform(picture.as_raw(), &mut converted).is_ok() {
        picture.copy_from_slice(&converted);
    }
}

/// At most [`LONGEST`] pixels a side.
fn smaller(picture: RgbaImage) -> RgbaImage {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest <= LONGEST {
        return picture;
    }
    let to = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1) as u32;
    let mut into = Image::new(to(width), to(height), PixelType::U8x4);
    let from = Image::from_vec_u8(width, height, picture.into_raw(), PixelType::U8x4);
    // Lanczos over premultiplied pixels; four bytes a pixel on both sides, so neither can fail.
    if let Ok(from) = from {
        let _ = Resizer::new().resize(&from, &mut into, None);
    }
    RgbaImage::from_raw(to(width), to(height), into.into_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (PathBuf, Pictures) {
        let path = std::env::temp_dir().join(crate::id::new("vitrine-pictures"));
        let pictures = Pictures::open(&path).unwrap();
        (path, pictures)
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image::RgbImage::from_pixel(width, height, image::Rgb([200, 10, 10]))
            .write_to(&mut out, image::ImageFormat::Png)
            .unwrap();
        out.into_inner()
    }

    #[test]
    fn a_large_picture_is_kept_smaller_and_under_one_id() {
        let (path, pictures) = folder();
        let id = pictures.add(&png(1600, 400)).unwrap();
        assert_eq!(pictures.add(&png(1600, 400)).unwrap(), id);
        assert_eq!(image::open(pictures.path(&id)).unwrap().width(), 800);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_broken_picture_is_an_error_in_words() {
        let (path, pictures) = folder();
        let mut cut = png(64, 64);
        cut.truncate(60);
        for bytes in [&b"not a picture"[..], &cut, &[]] {
            let error = pictures.add(bytes).unwrap_err().to_string();
            assert!(error.starts_with("the picture cannot be read"), "{error}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_picture_bomb_is_refused_before_it_is_unpacked() {
        let (path, pictures) = folder();
        // A PNG header that claims 60000 x 60000 pixels.
        let mut bomb = png(1, 1);
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        assert!(pictures.add(&bomb).is_err());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn colours_of_a_camera_come_out_as_srgb() {
        let encoded = |profile: Option<Vec<u8>>| {
            use image::ImageEncoder;
            let mut out = Vec::new();
            let mut encoder = image::codecs::png::PngEncoder::new(&mut out);
            if let Some(profile) = profile {
                encoder.set_icc_profile(profile).unwrap();
            }
            let pixels = [200, 40, 40].repeat(16);
            encoder.write_image(&pixels, 4, 4, image::ExtendedColorType::Rgb8).unwrap();
            decode(&out).unwrap().into_rgba8().get_pixel(1, 1).0
        };
        assert_eq!(encoded(None), [200, 40, 40, 255]);
        assert_eq!(encoded(Some(b"no profile".to_vec())), [200, 40, 40, 255]);
        let wide = encoded(Some(ColorProfile::new_display_p3().encode().unwrap()));
        assert!(wide[0] > 208 && wide[1] < 36, "the same numbers mean a stronger red: {wide:?}");
    }

    #[test]
    fn a_picture_keeps_its_alpha_and_a_gif_gives_its_first_frame() {
        let mut out = Cursor::new(Vec::new());
        let half = image::RgbaImage::from_pixel(4, 4, image::Rgba([10, 200, 10, 128]));
        half.write_to(&mut out, image::ImageFormat::WebP).unwrap();
        assert_eq!(decode(out.get_ref()).unwrap().into_rgba8().get_pixel(0, 0).0, [10, 200, 10, 128]);
        let frame = |grey: u8| {
            image::Frame::new(image::RgbaImage::from_pixel(4, 4, image::Rgba([grey, grey, grey, 255])))
        };
        let mut gif = Vec::new();
        image::codecs::gif::GifEncoder::new(&mut gif).encode_frames([frame(0), frame(255)]).unwrap();
        assert_eq!(decode(&gif).unwrap().into_rgba8().get_pixel(0, 0).0[0], 0);
    }

    #[test]
    fn an_id_from_outside_cannot_leave_the_folder() {
        let (path, pictures) = folder();
        assert!(pictures.path("../../../../etc/passwd").ends_with("none"));
        std::fs::remove_dir_all(path).unwrap();
    }
}
