//! From sRGB to what a frame says its samples mean: matrix, range and order. Pure.

/// Which luma and chroma a colour has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition.
    Bt601,
    /// ITU-R BT.709: high definition.
    #[default]
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

/// Which sample values are black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Range {
    /// 16 to 235, chroma to 240.
    #[default]
    Video,
    /// 0 to 255.
    Full,
}

/// In which order samples lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pixels {
    /// Y, U and V planes.
    #[default]
    I420,
    /// A Y plane and one of U and V in turn.
    Nv12,
}

/// A frame's format. Always 8 bits and half-size chroma: deeper frames are brought to 8 bits when decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Format {
    /// The order.
    pub pixels: Pixels,
    /// The colours.
    pub matrix: Matrix,
    /// The range.
    pub range: Range,
}

/// Converts colours to one format, in 16.16 fixed point.
#[derive(Debug, Clone, Copy)]
pub struct Converter {
    y: [i32; 3],
    u: [i32; 3],
    v: [i32; 3],
    black: i32,
}

impl Converter {
    /// For frames of `format`. Source: ITU-R BT.601-7 2.5, BT.709-6 3.2 and 3.4, BT.2020-2 table 4.
    pub fn new(format: Format) -> Self {
        let (red, blue) = match format.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        };
        let (luma, chroma, black) = match format.range {
            Range::Video => (219.0 / 255.0, 224.0 / 255.0, 16),
            Range::Full => (1.0, 1.0, 0),
        };
        let green: f64 = 1.0 - red - blue;
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        let row = |[r, g, b]: [f64; 3]| [fixed(r), fixed(g), fixed(b)];
        let (to_u, to_v) = (0.5 * chroma / (1.0 - blue), 0.5 * chroma / (1.0 - red));
        Self {
            y: row([red * luma, green * luma, blue * luma]),
            u: row([-red * to_u, -green * to_u, (1.0 - blue) * to_u]),
            v: row([(1.0 - red) * to_v, -green * to_v, -blue * to_v]),
            black,
        }
    }

    /// Y, U and V of an sRGB colour.
    #[inline]
    pub fn yuv(&self, r: u8, g: u8, b: u8) -> [u32; 3] {
        let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
        let sum = |row: &[i32; 3]| (row[0] * r + row[1] * g + row[2] * b + (1 << 15)) >> 16;
        let sample = |value: i32| value.clamp(0, 255) as u32;
        [sample(sum(&self.y) + self.black), sample(sum(&self.u) + 128), sample(sum(&self.v) + 128)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yuv(matrix: Matrix, range: Range, rgb: [u8; 3]) -> [u32; 3] {
        Converter::new(Format { matrix, range, ..Format::default() }).yuv(rgb[0], rgb[1], rgb[2])
    }

    #[test]
    fn colours_convert_as_the_standards_say() {
        let (video, full) = (Range::Video, Range::Full);
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            assert_eq!(yuv(matrix, video, [255; 3]), [235, 128, 128]);
            assert_eq!(yuv(matrix, video, [0; 3]), [16, 128, 128]);
            assert_eq!(yuv(matrix, full, [255; 3]), [255, 128, 128]);
            assert_eq!(yuv(matrix, full, [0; 3]), [0, 128, 128]);
        }
        assert_eq!(yuv(Matrix::Bt709, video, [255, 0, 0]), [63, 102, 240]);
        assert_eq!(yuv(Matrix::Bt709, video, [0, 0, 255]), [32, 240, 118]);
        assert_eq!(yuv(Matrix::Bt601, video, [255, 0, 0]), [81, 90, 240]);
        assert_eq!(yuv(Matrix::Bt601, video, [0, 255, 0]), [145, 54, 34]);
        assert_eq!(yuv(Matrix::Bt601, full, [0, 0, 255]), [29, 255, 107]);
    }
}
