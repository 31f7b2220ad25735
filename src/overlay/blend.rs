//! Lays a [`Sprite`] over a frame's planes. Pure arithmetic on bytes; the only per-frame cost of a card.
//!
//! What is opaque is copied. The rest goes through plain iterator chains over equal-length slices, which the
//! compiler turns into vector instructions; `make bench` counts those instructions and compares the whole with
//! other compositors.

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

/// Blends `sprite` at `pose` over one plane. What lies outside the frame or the pose's clip is left out.
pub fn plane(target: &mut Target, sprite: &Sprite, index: usize, pose: &Pose) {
    let Some(source) = sprite.planes.get(index) else { return };
    // Poses are even, so halves are whole.
    let across = |x: i32| (x >> source.shift.0) as isize;
    let down = |y: i32| (y >> source.shift.1) as isize;
    let (left, top) = (across(pose.x), down(pose.y));
    let (from_x, to_x) = (across(pose.clip.left).max(0), across(pose.clip.right).min(target.width as isize));
    let (from_y, to_y) = (down(pose.clip.top).max(0), down(pose.clip.bottom).min(target.height as isize));
    let rows = (from_y - top).max(0)..(to_y - top).min(source.height as isize);
    for row in rows {
        let shown = &source.alpha.rows[row as usize];
        let from = (shown.seen.0 as isize).max(from_x - left).max(0) as usize;
        let to = (shown.seen.1 as isize).min(to_x - left).max(0) as usize;
        if from >= to {
            continue;
        }
        let start = (top + row) as usize * target.stride + (left + from as isize) as usize;
        let Some(under) = target.data.get_mut(start..start + to - from) else { continue };
        let at = row as usize * source.width + from;
        if pose.opacity < 256 {
            faded(under, source, at, pose.opacity);
            continue;
        }
        let solid = shown.solid.0.clamp(from, to) - from..shown.solid.1.clamp(from, to) - from;
        mixed(&mut under[..solid.start], source, at);
        under[solid.clone()].copy_from_slice(&source.value[at + solid.start..at + solid.end]);
        mixed(&mut under[solid.end..], source, at + solid.end);
    }
}

fn mixed(under: &mut [u8], source: &Plane, at: usize) {
    let value = &source.value[at..at + under.len()];
    let alpha = &source.alpha.data[at..at + under.len()];
    for ((under, value), alpha) in under.iter_mut().zip(value).zip(alpha) {
        *under = over(*under, u16::from(*value), u16::from(*alpha));
    }
}

fn faded(under: &mut [u8], source: &Plane, at: usize, opacity: u16) {
    let value = &source.value[at..at + under.len()];
    let alpha = &source.alpha.data[at..at + under.len()];
    for ((under, value), alpha) in under.iter_mut().zip(value).zip(alpha) {
        *under = over(*under, (u16::from(*value) * opacity) >> 8, (u16::from(*alpha) * opacity) >> 8);
    }
}

/// Premultiplied `value` with `alpha` over `under`; the division by 255 is exact to rounding.
#[inline]
fn over(under: u8, value: u16, alpha: u16) -> u8 {
    let rest = u16::from(under) * (255 - alpha) + 128;
    // Rounding may take the sum one beyond white.
    (value as u8).saturating_add(((rest + (rest >> 8)) >> 8) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::animate::Clip;
    use crate::overlay::colour::{Format, Pixels};
    use crate::overlay::sprite::Rgba;

    fn white(width: u32, height: u32) -> Sprite {
        let data = vec![255; (width * height * 4) as usize];
        Sprite::from_rgba(&Rgba { width, height, data }, Format::default())
    }

    fn pose(x: i32, y: i32, opacity: u16) -> Pose {
        Pose { x, y, opacity, clip: Clip::ALL }
    }

    fn blended(sprite: &Sprite, pose: &Pose) -> Vec<u8> {
        let mut data = vec![16; 16 * 8];
        let mut target = Target { data: &mut data, stride: 16, width: 12, height: 8 };
        plane(&mut target, sprite, 0, pose);
        data
    }

    #[test]
    fn opaque_pixels_replace_and_the_rest_stays() {
        let data = blended(&white(4, 2), &pose(2, 2, 256));
        let changed: Vec<_> = data.iter().enumerate().filter(|(_, v)| **v != 16).map(|(at, _)| at).collect();
        assert_eq!(changed, [34, 35, 36, 37, 50, 51, 52, 53]);
        assert!(changed.iter().all(|at| data[*at] == 235));
    }

    #[test]
    fn half_opacity_is_half_way() {
        assert!((124..=126).contains(&blended(&white(2, 2), &pose(0, 0, 128))[0]));
    }

    #[test]
    fn a_card_may_hang_over_every_edge() {
        for (x, y) in [(-2, -2), (10, 6), (-100, 0), (0, 100), (12, 8)] {
            let data = blended(&white(4, 4), &pose(x, y, 256));
            let padding = (0..8).flat_map(|row| row * 16 + 12..row * 16 + 16);
            assert!(padding.into_iter().all(|at| data[at] == 16), "padding untouched at {x},{y}");
        }
    }

    #[test]
    fn only_what_is_inside_the_clip_is_drawn() {
        let clip = Clip { left: 4, top: 2, right: 6, bottom: 4 };
        let data = blended(&white(12, 8), &Pose { clip, ..pose(0, 0, 256) });
        let changed: Vec<_> = data.iter().enumerate().filter(|(_, v)| **v != 16).map(|(at, _)| at).collect();
        assert_eq!(changed, [36, 37, 52, 53]);
        let nowhere = Clip { left: 8, right: 4, ..clip };
        assert_eq!(blended(&white(12, 8), &Pose { clip: nowhere, ..pose(0, 0, 256) }), vec![16; 128]);
    }

    #[test]
    fn soft_edges_around_a_solid_middle_are_each_blended_right() {
        let mut data = vec![255; 8 * 2 * 4];
        for (at, alpha) in [(0, 0), (1, 128), (2, 255), (5, 255), (6, 128), (7, 64)] {
            data[at * 4 + 3] = alpha;
            data[(8 + at) * 4 + 3] = alpha;
        }
        let sprite = Sprite::from_rgba(&Rgba { width: 8, height: 2, data }, Format::default());
        let row = &blended(&sprite, &pose(0, 0, 256))[..8];
        assert_eq!(row, [16, 126, 235, 235, 235, 235, 126, 71]);
    }

    #[test]
    fn interleaved_chroma_lands_on_its_own_samples() {
        let red = Rgba { width: 2, height: 2, data: [255, 0, 0, 255].repeat(4) };
        let sprite = Sprite::from_rgba(&red, Format { pixels: Pixels::Nv12, ..Format::default() });
        let mut data = vec![128; 16];
        let mut target = Target { data: &mut data, stride: 8, width: 8, height: 2 };
        plane(&mut target, &sprite, 1, &pose(4, 2, 256));
        assert_eq!(data[8..], [128, 128, 128, 128, 102, 240, 128, 128]);
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
