//! Lays a [`Sprite`] over a frame's planes. Pure arithmetic on bytes; the only per-frame cost of a card.
//!
//! The inner loops are plain iterator chains over equal-length slices, which the compiler turns into
//! vector instructions; `make bench` compares them with `GStreamer`'s own composition.

use super::animate::Pose;
use super::sprite::{Plane, Sprite};

/// A writable plane of a frame.
#[derive(Debug)]
pub struct Target<'a> {
    /// Samples, `stride` a row.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples across.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Blends `sprite` at `pose` over one plane. `shift` is 0 for Y, 1 for the half-size planes.
/// What lies outside the frame is left out.
pub fn plane(target: &mut Target, sprite: &Sprite, index: usize, pose: &Pose) {
    let source = &sprite.planes[index];
    let shift = u32::from(index > 0);
    // Poses are even, so halves are whole.
    let (left, top) = ((pose.x >> shift) as isize, (pose.y >> shift) as isize);
    for row in 0..source.height {
        let y = top + row as isize;
        if y < 0 || y >= target.height as isize {
            continue;
        }
        let (first, last) = source.spans[row];
        let from = (first as isize).max(-left).max(0) as usize;
        let to = ((last as isize).min(target.width as isize - left)).max(0) as usize;
        if from >= to {
            continue;
        }
        let start = y as usize * target.stride + (left + from as isize) as usize;
        let Some(under) = target.data.get_mut(start..start + to - from) else { continue };
        blend_row(under, source, row * source.width + from, pose.opacity);
    }
}

fn blend_row(under: &mut [u8], source: &Plane, at: usize, opacity: u16) {
    let value = &source.value[at..at + under.len()];
    let alpha = &source.alpha[at..at + under.len()];
    if opacity >= 256 {
        for ((under, value), alpha) in under.iter_mut().zip(value).zip(alpha) {
            *under = over(*under, u16::from(*value), u16::from(*alpha));
        }
    } else {
        for ((under, value), alpha) in under.iter_mut().zip(value).zip(alpha) {
            *under = over(*under, (u16::from(*value) * opacity) >> 8, (u16::from(*alpha) * opacity) >> 8);
        }
    }
}

/// Premultiplied `value` with `alpha` over `under`; the division by 255 is exact to rounding.
#[inline]
fn over(under: u8, value: u16, alpha: u16) -> u8 {
    let rest = u16::from(under) * (255 - alpha) + 128;
    (value + ((rest + (rest >> 8)) >> 8)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::sprite::Rgba;

    fn white(width: u32, height: u32) -> Sprite {
        Sprite::from_rgba(&Rgba { width, height, data: vec![255; (width * height * 4) as usize] })
    }

    fn blended(sprite: &Sprite, x: i32, y: i32, opacity: u16) -> Vec<u8> {
        let mut data = vec![16; 16 * 8];
        let mut target = Target { data: &mut data, stride: 16, width: 12, height: 8 };
        plane(&mut target, sprite, 0, &Pose { x, y, opacity });
        data
    }

    #[test]
    fn opaque_pixels_replace_and_the_rest_stays() {
        let data = blended(&white(4, 2), 2, 2, 256);
        let changed: Vec<_> = data.iter().enumerate().filter(|(_, v)| **v != 16).map(|(at, _)| at).collect();
        assert_eq!(changed, [34, 35, 36, 37, 50, 51, 52, 53]);
        assert!(changed.iter().all(|at| data[*at] == 235));
    }

    #[test]
    fn half_opacity_is_half_way() {
        assert!((124..=126).contains(&blended(&white(2, 2), 0, 0, 128)[0]));
    }

    #[test]
    fn a_card_may_hang_over_every_edge() {
        for (x, y) in [(-2, -2), (10, 6), (-100, 0), (0, 100), (12, 8)] {
            let data = blended(&white(4, 4), x, y, 256);
            let padding = (0..8).flat_map(|row| row * 16 + 12..row * 16 + 16);
            assert!(padding.into_iter().all(|at| data[at] == 16), "padding untouched at {x},{y}");
        }
    }

    #[test]
    fn blending_never_leaves_the_range_of_bytes() {
        for under in 0..=255_u8 {
            for alpha in 0..=255_u16 {
                let value = (235 * alpha + 127) / 255;
                let exact = (f64::from(value) + f64::from(under) * f64::from(255 - alpha) / 255.0).round();
                assert!((f64::from(over(under, value, alpha)) - exact).abs() <= 1.0);
            }
        }
    }
}
