//! A drawn card in the form that blending wants: premultiplied planes of the frame's own format.
//!
//! Converted once, when the card is drawn; per frame only multiply-adds are left (DESIGN D5: this is what
//! makes the blend ten times cheaper than converting at every frame). Pure.

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
        let sprite = Sprite::from_rgba(&black);
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

/// One plane, premultiplied, with its own alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Samples across.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Value times alpha, 0 to 255.
    pub value: Vec<u8>,
    /// Alpha at this plane's resolution.
    pub alpha: Vec<u8>,
    /// For each row, the samples outside which alpha is 0.
    pub spans: Vec<(usize, usize)>,
}

/// A picture for I420 frames, BT.709, video range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sprite {
    /// Pixels across, even.
    pub width: u32,
    /// Pixels down, even.
    pub height: u32,
    /// Y, U, V; U and V at half size.
    pub planes: [Plane; 3],
}

impl Sprite {
    /// Converts a picture. Odd sizes are padded with a transparent column or row.
    pub fn from_rgba(picture: &Rgba) -> Self {
        let (width, height) =
            (picture.width.next_multiple_of(2) as usize, picture.height.next_multiple_of(2) as usize);
        let mut luma = Plane::empty(width, height);
        let mut chroma = [Plane::empty(width / 2, height / 2), Plane::empty(width / 2, height / 2)];
        // Sums over 2x2 pixels of alpha and of alpha times U and V.
        let mut sums = vec![[0_u32; 3]; (width / 2) * (height / 2)];
        for (row, pixels) in picture.data.chunks_exact(picture.width.max(1) as usize * 4).enumerate() {
            for (column, pixel) in pixels.chunks_exact(4).enumerate() {
                let alpha = u32::from(pixel[3]);
                let [y, u, v] = bt709(pixel[0], pixel[1], pixel[2]);
                let at = row * width + column;
                luma.value[at] = div_255(y * alpha);
                luma.alpha[at] = pixel[3];
                let sum = &mut sums[(row / 2) * (width / 2) + column / 2];
                *sum = [sum[0] + alpha, sum[1] + u * alpha, sum[2] + v * alpha];
            }
        }
        for (at, [alpha, u, v]) in sums.into_iter().enumerate() {
            for (plane, value) in chroma.iter_mut().zip([u, v]) {
                plane.alpha[at] = ((alpha + 2) / 4) as u8;
                plane.value[at] = div_255((value + 2) / 4);
            }
        }
        let [mut u, mut v] = chroma;
        luma.find_spans();
        u.find_spans();
        v.find_spans();
        Self { width: width as u32, height: height as u32, planes: [luma, u, v] }
    }
}

impl Plane {
    fn empty(width: usize, height: usize) -> Self {
        let size = width * height;
        Self { width, height, value: vec![0; size], alpha: vec![0; size], spans: Vec::new() }
    }

    fn find_spans(&mut self) {
        self.spans = self
            .alpha
            .chunks_exact(self.width.max(1))
            .map(|row| {
                let first = row.iter().position(|alpha| *alpha > 0);
                let last = row.iter().rposition(|alpha| *alpha > 0);
                first.zip(last).map_or((0, 0), |(first, last)| (first, last + 1))
            })
            .collect();
    }
}

fn div_255(value: u32) -> u8 {
    ((value + 127) / 255) as u8
}

/// Y, U and V of an sRGB colour, video range. Source: ITU-R BT.709 3.2 and 3.4, in 16.16 fixed point.
pub fn bt709(r: u8, g: u8, b: u8) -> [u32; 3] {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    let round = 1 << 15;
    let y = (11_966 * r + 40_254 * g + 4_064 * b + round) >> 16;
    let u = (-6_596 * r - 22_189 * g + 28_784 * b + round) >> 16;
    let v = (28_784 * r - 26_145 * g - 2_639 * b + round) >> 16;
    [(y + 16) as u32, (u + 128) as u32, (v + 128) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_convert_as_bt709_says() {
        assert_eq!(bt709(255, 255, 255), [235, 128, 128]);
        assert_eq!(bt709(0, 0, 0), [16, 128, 128]);
        assert_eq!(bt709(255, 0, 0), [63, 102, 240]);
        assert_eq!(bt709(0, 0, 255), [32, 240, 118]);
    }

    #[test]
    fn transparent_pixels_have_no_part_in_chroma() {
        // A red pixel beside three transparent green ones: the chroma is a quarter of red, no green.
        let mut data = [0, 255, 0, 0].repeat(4);
        data[..4].copy_from_slice(&[255, 0, 0, 255]);
        let sprite = Sprite::from_rgba(&Rgba { width: 2, height: 2, data });
        assert_eq!(sprite.planes[1].alpha, [64]);
        assert_eq!(sprite.planes[1].value, [26]); // 102 / 4
    }

    #[test]
    fn spans_leave_out_empty_margins() {
        let mut data = vec![0; 4 * 8 * 2];
        data[4 * 3 + 3] = 255;
        let sprite = Sprite::from_rgba(&Rgba { width: 8, height: 2, data });
        assert_eq!(sprite.planes[0].spans, [(3, 4), (0, 0)]);
    }
}
