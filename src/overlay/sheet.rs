//! All templates on one picture, for those who choose one.

use super::content::{Content, Look};
use super::desk::guides;
use super::raster::{self, Raster};
use super::sprite::Rgba;
use super::template::{Design, Library};
use crate::config::{Look as Configured, Theme};
use crate::state::Slot;

/// Half of what they are on a canvas 1280 wide: a sheet is looked at as a whole.
const SCALE: f32 = 0.5;

/// All templates below one another: lying and standing, light and dark; their QR codes lead to `link`.
///
/// # Errors
/// [`raster::Error`].
pub fn draw(library: &Library, raster: &Raster, link: &str) -> Result<Rgba, raster::Error> {
    const GAP: u32 = 24;
    let mut rows: Vec<Vec<Rgba>> = Vec::new();
    for design in library.designs.values() {
        rows.push(variants(design, raster, SCALE, link)?.into_iter().map(|(_, picture)| picture).collect());
    }
    // What goes from edge to edge is cut on the sheet.
    let is_band = |design: &Design| design.template.slot == Slot::Band;
    let cards = || rows.iter().zip(library.designs.values()).filter(|(_, design)| !is_band(design));
    let column = |n: usize| cards().map(|(row, _)| row[n].width).max().unwrap_or(0);
    let columns: Vec<u32> = (0..4).map(column).collect();
    let width = columns.iter().sum::<u32>() + 5 * GAP;
    let heights: Vec<u32> =
        rows.iter().map(|row| row.iter().map(|picture| picture.height).max().unwrap_or(0)).collect();
    let height = heights.iter().sum::<u32>() + (rows.len() as u32 + 1) * GAP;
    let behind = [118, 126, 138, 255].repeat((width * height) as usize);
    let mut sheet = Rgba { width, height, data: behind };
    let mut y = GAP;
    for (row, height) in rows.iter().zip(heights) {
        let mut x = GAP;
        for (picture, width) in row.iter().zip(&columns) {
            guides::lay(&mut sheet, &cropped(picture, *width), (x as i32, y as i32));
            x += width + GAP;
        }
        y += height + GAP;
    }
    Ok(sheet)
}

fn cropped(picture: &Rgba, width: u32) -> Rgba {
    let width = picture.width.min(width);
    let rows = picture.data.chunks_exact(picture.width.max(1) as usize * 4);
    Rgba {
        width,
        height: picture.height,
        data: rows.flat_map(|row| row[..width as usize * 4].to_vec()).collect(),
    }
}

/// A template's sample in both layouts and themes, with what each is called.
///
/// # Errors
/// [`raster::Error`].
pub fn variants(
    design: &Design,
    raster: &Raster,
    scale: f32,
    link: &str,
) -> Result<Vec<(String, Rgba)>, raster::Error> {
    let mut made = Vec::new();
    for is_portrait in [false, true] {
        for theme in [Theme::Light, Theme::Dark] {
            let look = Look { configured: Configured { theme, ..Configured::default() }, is_portrait };
            let drawn = raster.whole(design, &Content::sample(design, &look), scale)?;
            let layout = if is_portrait { "portrait" } else { "landscape" };
            let theme = if theme == Theme::Dark { "dark" } else { "light" };
            made.push((format!("{layout}-{theme}"), drawn.with_code(link)));
        }
    }
    Ok(made)
}
