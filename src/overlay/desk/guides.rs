//! A whole canvas to look at a card in: where it rests, and which parts platforms cover. For producers only.

use super::Preview;
use super::place::Safe;
use crate::media::Canvas;
use crate::overlay::sprite::Rgba;

/// What stands for the programme.
const BEHIND: [u8; 3] = [58, 60, 68];
/// What platforms cover.
const COVERED: [u8; 3] = [44, 45, 52];
const LINE: [u8; 3] = [255, 210, 64];

/// The canvas with `preview` in its place; with `has_guides` the safe area is marked.
pub fn canvas(canvas: Canvas, preview: &Preview, has_guides: bool) -> Rgba {
    let (left, top, right, bottom) = Safe::of(canvas).edges(canvas);
    let mut data = Vec::with_capacity((canvas.width * canvas.height * 4) as usize);
    for y in 0..canvas.height as i32 {
        for x in 0..canvas.width as i32 {
            let is_inside = (left..right).contains(&x) && (top..bottom).contains(&y);
            let on_edge = (x == left || x == right - 1) && (top..bottom).contains(&y)
                || (y == top || y == bottom - 1) && (left..right).contains(&x);
            let is_dash = (x + y) / 8 % 2 == 0;
            let [r, g, b] = match (has_guides, on_edge && is_dash, is_inside) {
                (true, true, _) => LINE,
                (true, _, false) => COVERED,
                _ => BEHIND,
            };
            data.extend_from_slice(&[r, g, b, 255]);
        }
    }
    let mut whole = Rgba { width: canvas.width, height: canvas.height, data };
    lay(&mut whole, &preview.picture, preview.at);
    whole
}

/// The canvas with `preview` in its place and nothing else: to be laid over a picture of the programme.
pub fn alone(canvas: Canvas, preview: &Preview) -> Rgba {
    let (width, height) = (canvas.width as usize, canvas.height as usize);
    let mut data = vec![0; width * height * 4];
    let row_bytes = preview.picture.width.max(1) as usize * 4;
    for (row, pixels) in preview.picture.data.chunks_exact(row_bytes).enumerate() {
        for (column, pixel) in pixels.chunks_exact(4).enumerate() {
            let place =
                (usize::try_from(preview.at.0 + column as i32), usize::try_from(preview.at.1 + row as i32));
            if let (Ok(x), Ok(y)) = place
                && x < width
                && y < height
            {
                let start = (y * width + x) * 4;
                data[start..start + 4].copy_from_slice(pixel);
            }
        }
    }
    Rgba { width: canvas.width, height: canvas.height, data }
}

/// Lays a picture over an opaque one.
pub fn lay(under: &mut Rgba, over: &Rgba, at: (i32, i32)) {
    for (row, pixels) in over.data.chunks_exact(over.width.max(1) as usize * 4).enumerate() {
        let y = at.1 + row as i32;
        if !(0..under.height as i32).contains(&y) {
            continue;
        }
        for (column, pixel) in pixels.chunks_exact(4).enumerate() {
            let x = at.0 + column as i32;
            if !(0..under.width as i32).contains(&x) {
                continue;
            }
            let start = (y as usize * under.width as usize + x as usize) * 4;
            let alpha = u32::from(pixel[3]);
            for (under, over) in under.data[start..start + 3].iter_mut().zip(pixel) {
                *under = ((u32::from(*over) * alpha + u32::from(*under) * (255 - alpha) + 127) / 255) as u8;
            }
        }
    }
}
