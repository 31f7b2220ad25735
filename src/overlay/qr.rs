//! QR codes that scan: drawn in whole pixels, black on white whatever the theme, with the quiet zone of their
//! standard; and read again, to know that they do.

use qrcodegen::{QrCode, QrCodeEcc};

use super::sprite::{Rgba, Sprite};

/// Light modules around a QR. Source: ISO/IEC 18004, section 6.3.8.
const QUIET_ZONE: i32 = 4;

/// A rectangle in pixels of the drawn card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// A code in an area: which pixels are dark.
struct Placed {
    code: QrCode,
    /// Pixels a module.
    module: u32,
    x: u32,
    y: u32,
}

impl Placed {
    /// The largest whole number of pixels a module that leaves the quiet zone inside the area.
    fn new(text: &str, area: Area) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let modules = (code.size() + 2 * QUIET_ZONE) as u32;
        let side = area.width.min(area.height);
        let module = side / modules;
        if module == 0 {
            return None;
        }
        let drawn = code.size() as u32 * module;
        Some(Self {
            code,
            module,
            x: area.x + (area.width - drawn) / 2,
            y: area.y + (area.height - drawn) / 2,
        })
    }

    /// Every run of dark modules: left, top, width, height in pixels.
    fn dark(&self) -> impl Iterator<Item = (u32, u32, u32, u32)> {
        let size = self.code.size();
        (0..size).flat_map(move |row| (0..size).map(move |column| (column, row))).filter_map(
            move |(column, row)| {
                let is_dark = |column| self.code.get_module(column, row);
                // From the first module of a run; the others are in it.
                if !is_dark(column) || is_dark(column - 1) {
                    return None;
                }
                let length = (column..size).take_while(|column| is_dark(*column)).count() as u32;
                let place = |module: i32, from: u32| from + module as u32 * self.module;
                Some((place(column, self.x), place(row, self.y), length * self.module, self.module))
            },
        )
    }
}

/// Draws the code of `text` into the white `area` of a sprite. `false` when it does not fit.
pub fn draw(sprite: &mut Sprite, area: Area, text: &str) -> bool {
    let Some(placed) = Placed::new(text, area) else { return false };
    for (x, y, width, height) in placed.dark() {
        sprite.fill_grey(x as usize, y as usize, width as usize, height as usize, 0);
    }
    true
}

/// Draws the code of `text` into the white `area` of a picture. `false` when it does not fit.
pub fn draw_rgba(picture: &mut Rgba, area: Area, text: &str) -> bool {
    let Some(placed) = Placed::new(text, area) else { return false };
    for (x, y, width, height) in placed.dark() {
        for row in y..(y + height).min(picture.height) {
            let start = ((row * picture.width + x.min(picture.width)) * 4) as usize;
            let end = ((row * picture.width + (x + width).min(picture.width)) * 4) as usize;
            picture.data[start..end].chunks_exact_mut(4).for_each(|pixel| pixel[..3].fill(0));
        }
    }
    true
}

/// A whole picture of a code, its quiet zone included.
pub fn picture(text: &str, side: u32) -> Rgba {
    let mut picture = Rgba { width: side, height: side, data: vec![255; (side * side * 4) as usize] };
    draw_rgba(&mut picture, Area { x: 0, y: 0, width: side, height: side }, text);
    picture
}

/// The texts of all codes that can be read in a grey picture, rows of `width`.
pub fn read(grey: &[u8], width: usize, height: usize) -> Vec<String> {
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
    image.detect_grids().iter().filter_map(|grid| grid.decode().ok().map(|(_, text)| text)).collect()
}

/// The same from a picture that is shown `rows` high.
pub fn read_at(grey: &[u8], width: usize, height: usize, rows: usize) -> Vec<String> {
    if rows >= height || height == 0 {
        return read(grey, width, height);
    }
    let columns = (width * rows).div_ceil(height);
    read(&super::sprite::resize(grey, (width, height), (columns, rows)), columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::colour::Format;

    const TEXT: &str = "http://192.168.100.100:8080/go/abcd2345";

    fn grey(picture: &Rgba) -> Vec<u8> {
        picture.data.chunks_exact(4).map(|pixel| pixel[1]).collect()
    }

    #[test]
    fn what_is_drawn_can_be_read() {
        for side in [111, 160, 300] {
            let picture = picture(TEXT, side);
            assert_eq!(read(&grey(&picture), side as usize, side as usize), [TEXT], "{side}");
        }
    }

    #[test]
    fn a_sprite_and_a_picture_get_the_same_code() {
        let white = Rgba { width: 200, height: 180, data: vec![255; 200 * 180 * 4] };
        let area = Area { x: 20, y: 10, width: 160, height: 150 };
        let mut sprite = Sprite::from_rgba(&white, Format::default());
        assert!(draw(&mut sprite, area, TEXT));
        let mut picture = white;
        assert!(draw_rgba(&mut picture, area, TEXT));
        assert_eq!(sprite.planes[0], Sprite::from_rgba(&picture, Format::default()).planes[0]);
    }

    #[test]
    fn a_code_that_does_not_fit_is_not_drawn() {
        let mut picture = picture("x", 60);
        let area = Area { x: 0, y: 0, width: 30, height: 30 };
        assert!(!draw_rgba(&mut picture, area, TEXT));
        assert!(!draw_rgba(&mut picture, Area { width: 60, height: 60, ..area }, &"x".repeat(4000)));
    }
}
