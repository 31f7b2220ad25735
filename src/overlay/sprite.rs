//! A drawn card in the form that blending wants: premultiplied planes of the frame's own format.
//!
//! Converted once, when the card is drawn; per frame only multiply-adds are left (this is what makes the blend
//! ten times cheaper than converting at every frame). Pure.

use std::sync::Arc;

use super::colour::{self, Format, Pixels};

/// A picture with alpha: rows of straight (not premultiplied) RGBA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgba {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Four bytes a pixel.
    pub data: Vec<u8>,
}

impl Rgba {
    /// As a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        use image::ImageEncoder;
        let mut out = Vec::new();
        image::codecs::png::PngEncoder::new(&mut out)
            .write_image(&self.data, self.width, self.height, image::ExtendedColorType::Rgba8)
            .expect("four bytes a pixel, written to memory");
        out
    }

    /// As the planes of an I420 frame without alpha, in the layout of `GStreamer`'s own I420: rows padded to
    /// four bytes, planes one after another. Over black where it is transparent.
    pub fn to_i420(&self) -> Vec<u8> {
        let mut black = Rgba { data: Vec::with_capacity(self.data.len()), ..*self };
        for pixel in self.data.chunks_exact(4) {
            let over = |value: u8| div_255(u32::from(value) * u32::from(pixel[3]));
            black.data.extend_from_slice(&[over(pixel[0]), over(pixel[1]), over(pixel[2]), 255]);
        }
        let sprite = Sprite::from_rgba(&black, Format::default());
        let mut out = Vec::new();
        for plane in &sprite.planes {
            for row in plane.value.chunks_exact(plane.width.max(1)) {
                out.extend_from_slice(row);
                out.resize(out.len() + plane.width.next_multiple_of(4) - plane.width, 0);
            }
        }
        out
    }
}

/// What is to be seen in a row of a plane: nothing outside `first..last`, no transparency in `solid`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Samples outside of which alpha is 0.
    pub seen: (usize, usize),
    /// The longest run in which alpha is 255: it is copied, not blended.
    pub solid: (usize, usize),
}

/// Where there is something, and how much of it; planes of one size share it.
#[derive(Debug, PartialEq, Eq)]
pub struct Alpha {
    /// 0 to 255.
    pub data: Vec<u8>,
    /// Row by row.
    pub rows: Vec<Row>,
}

/// One plane, premultiplied, with its own alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Samples across.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// By how many bits a place in the picture is shifted to get one in this plane: across, down.
    pub shift: (u32, u32),
    /// Value times alpha, 0 to 255.
    pub value: Vec<u8>,
    /// Alpha at this plane's resolution.
    pub alpha: Arc<Alpha>,
}

/// A picture in the frame's own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sprite {
    /// Pixels across, even.
    pub width: u32,
    /// Pixels down, even.
    pub height: u32,
    /// The frame's format that it was made for.
    pub format: Format,
    /// Y, U, V; or Y and interleaved UV.
    pub planes: Vec<Plane>,
}

impl Sprite {
    /// Converts a picture. Odd sizes are padded with a transparent column or row.
    pub fn from_rgba(picture: &Rgba, format: Format) -> Self {
        let (width, height) =
            (picture.width.next_multiple_of(2) as usize, picture.height.next_multiple_of(2) as usize);
        let convert = colour::Converter::new(format);
        let mut luma = (vec![0; width * height], vec![0; width * height]);
        // Sums over 2x2 pixels of alpha and of alpha times U and V.
        let mut sums = vec![[0_u32; 3]; (width / 2) * (height / 2)];
        for (row, pixels) in picture.data.chunks_exact(picture.width.max(1) as usize * 4).enumerate() {
            for (column, pixel) in pixels.chunks_exact(4).enumerate() {
                let alpha = u32::from(pixel[3]);
                if alpha == 0 {
                    continue;
                }
                let [y, u, v] = convert.yuv(pixel[0], pixel[1], pixel[2]);
                let at = row * width + column;
                luma.0[at] = div_255(y * alpha);
                luma.1[at] = pixel[3];
                let sum = &mut sums[(row / 2) * (width / 2) + column / 2];
                *sum = [sum[0] + alpha, sum[1] + u * alpha, sum[2] + v * alpha];
            }
        }
        let alphas: Vec<u8> = sums.iter().map(|[alpha, ..]| ((alpha + 2) / 4) as u8).collect();
        let chroma = |at: usize| -> Vec<u8> { sums.iter().map(|sum| div_255((sum[at] + 2) / 4)).collect() };
        let mut planes = vec![Plane::new(width, height, (0, 0), luma.0, Alpha::new(luma.1, width))];
        planes.extend(chroma_planes(format, (width / 2, height / 2), [chroma(1), chroma(2)], alphas));
        Self { width: width as u32, height: height as u32, format, planes }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.planes.iter().map(|plane| plane.value.len() + plane.alpha.data.len()).sum::<usize>()
    }

    /// This one with every sample made by `with` from this one's and `other`'s; nothing when the two differ in
    /// size or format. Premultiplied values and alpha go the same way.
    pub fn mixed(&self, other: &Self, with: impl Fn(u8, u8) -> u8) -> Option<Self> {
        if (self.width, self.height, self.format) != (other.width, other.height, other.format) {
            return None;
        }
        let mix = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| with(*a, *b)).collect::<Vec<u8>>();
        let planes = self.planes.iter().zip(&other.planes).map(|(a, b)| {
            let alpha = Alpha::new(mix(&a.alpha.data, &b.alpha.data), a.width);
            Plane { value: mix(&a.value, &b.value), alpha, ..a.clone() }
        });
        Some(Self { planes: planes.collect(), ..*self })
    }

    /// This one in another size, each plane through `resize` (samples, from, to).
    #[must_use]
    pub fn resized(
        &self,
        (width, height): (u32, u32),
        resize: impl Fn(&[u8], (usize, usize), (usize, usize)) -> Vec<u8>,
    ) -> Self {
        let (width, height) = (width.next_multiple_of(2).max(2), height.next_multiple_of(2).max(2));
        // Interleaved chroma cannot be scaled across as one plane: it is taken apart and put together again.
        let from = (self.width as usize / 2, self.height as usize / 2);
        let half = (width as usize / 2, height as usize / 2);
        let luma = &self.planes[0];
        let full = (width as usize, height as usize);
        let scale_luma = |data: &[u8]| resize(data, (luma.width, luma.height), full);
        let mut planes = vec![Plane::new(
            full.0,
            full.1,
            (0, 0),
            scale_luma(&luma.value),
            Alpha::new(scale_luma(&luma.alpha.data), full.0),
        )];
        let chroma = self.chroma().map(|data| resize(&data, from, half));
        let [u, v, alpha] = chroma;
        planes.extend(chroma_planes(self.format, half, [u, v], alpha));
        Self { width, height, format: self.format, planes }
    }

    /// U, V and their alpha, each by itself.
    fn chroma(&self) -> [Vec<u8>; 3] {
        match self.format.pixels {
            Pixels::I420 => {
                let [_, u, v] = &self.planes[..] else { return Default::default() };
                [u.value.clone(), v.value.clone(), u.alpha.data.clone()]
            }
            Pixels::Nv12 => {
                let Some(uv) = self.planes.get(1) else { return Default::default() };
                let every = |data: &[u8], from: usize| data.iter().skip(from).step_by(2).copied().collect();
                [every(&uv.value, 0), every(&uv.value, 1), every(&uv.alpha.data, 0)]
            }
        }
    }

    /// Sets a rectangle of opaque pixels to a grey: 0 is black, 255 white. What lies outside is left out.
    pub fn fill_grey(&mut self, x: usize, y: usize, width: usize, height: usize, grey: u8) {
        let value = colour::Converter::new(self.format).yuv(grey, grey, grey)[0] as u8;
        let Some(luma) = self.planes.first_mut() else { return };
        for row in y..(y + height).min(luma.height) {
            let start = row * luma.width;
            let to = start + (x + width).min(luma.width);
            if let Some(samples) = luma.value.get_mut(start + x.min(luma.width)..to) {
                samples.fill(value);
            }
        }
    }
}

fn chroma_planes(
    format: Format,
    (width, height): (usize, usize),
    [u, v]: [Vec<u8>; 2],
    alpha: Vec<u8>,
) -> Vec<Plane> {
    match format.pixels {
        Pixels::I420 => {
            let alpha = Alpha::new(alpha, width);
            [u, v]
                .into_iter()
                .map(|value| Plane { width, height, shift: (1, 1), value, alpha: alpha.clone() })
                .collect()
        }
        Pixels::Nv12 => {
            let value = u.into_iter().zip(v).flat_map(|(u, v)| [u, v]).collect();
            let alpha = Alpha::new(alpha.into_iter().flat_map(|alpha| [alpha, alpha]).collect(), width * 2);
            vec![Plane { width: width * 2, height, shift: (0, 1), value, alpha }]
        }
    }
}

impl Plane {
    fn new(width: usize, height: usize, shift: (u32, u32), value: Vec<u8>, alpha: Arc<Alpha>) -> Self {
        Self { width, height, shift, value, alpha }
    }
}

impl Alpha {
    fn new(data: Vec<u8>, width: usize) -> Arc<Self> {
        let rows = data.chunks_exact(width.max(1)).map(Row::of).collect();
        Arc::new(Self { data, rows })
    }
}

impl Row {
    fn of(alpha: &[u8]) -> Self {
        let first = alpha.iter().position(|alpha| *alpha > 0);
        let last = alpha.iter().rposition(|alpha| *alpha > 0);
        let Some((first, last)) = first.zip(last) else { return Self::default() };
        let (mut solid, mut at) = ((first, first), first);
        for run in alpha[first..=last].chunk_by(|a, b| (*a == 255) == (*b == 255)) {
            if run[0] == 255 && run.len() > solid.1 - solid.0 {
                solid = (at, at + run.len());
            }
            at += run.len();
        }
        Self { seen: (first, last + 1), solid }
    }
}

/// Samples in another size, bilinear over their area.
pub fn resize(data: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    use fast_image_resize::images::{Image, ImageRef};
    use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut into = Image::new(to.0 as u32, to.1 as u32, PixelType::U8);
    if let Ok(source) = ImageRef::new(from.0 as u32, from.1 as u32, data, PixelType::U8) {
        let _ = Resizer::new().resize(&source, &mut into, &options); // both have one byte a pixel
    }
    into.into_vec()
}

fn div_255(value: u32) -> u8 {
    ((value + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sprite(width: u32, height: u32, data: Vec<u8>) -> Sprite {
        Sprite::from_rgba(&Rgba { width, height, data }, Format::default())
    }

    #[test]
    fn transparent_pixels_have_no_part_in_chroma() {
        // A red pixel beside three transparent green ones: the chroma is a quarter of red, no green.
        let mut data = [0, 255, 0, 0].repeat(4);
        data[..4].copy_from_slice(&[255, 0, 0, 255]);
        let sprite = sprite(2, 2, data);
        assert_eq!(sprite.planes[1].alpha.data, [64]);
        assert_eq!(sprite.planes[1].value, [26]); // 102 / 4
    }

    #[test]
    fn rows_know_what_is_seen_and_what_is_solid() {
        let alpha = [0, 0, 90, 255, 255, 80, 255, 0];
        assert_eq!(Row::of(&alpha), Row { seen: (2, 7), solid: (3, 5) });
        assert_eq!(Row::of(&[0, 0]), Row::default());
        assert_eq!(Row::of(&[0, 7]), Row { seen: (1, 2), solid: (1, 1) });
    }

    #[test]
    fn interleaved_chroma_has_the_same_samples() {
        let data: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(37)).collect();
        let picture = Rgba { width: 4, height: 4, data };
        let planar = Sprite::from_rgba(&picture, Format::default());
        let nv12 = Sprite::from_rgba(&picture, Format { pixels: Pixels::Nv12, ..Format::default() });
        assert_eq!(planar.chroma(), nv12.chroma());
        let copy = |data: &[u8], _, _| data.to_vec();
        assert_eq!(nv12.resized((4, 4), copy), nv12);
        assert_eq!(planar.resized((4, 4), copy), planar);
    }

    #[test]
    fn mixing_needs_two_of_one_size() {
        let (a, b) = (sprite(2, 2, vec![255; 16]), sprite(4, 2, vec![255; 32]));
        assert!(a.mixed(&b, |a, _| a).is_none());
        assert_eq!(a.mixed(&a, |a, _| a), Some(a));
    }
}
