//! Where a card rests: named slots inside the safe area, or a free place. Pure.

use crate::media::Canvas;
use crate::state::{Position, Slot};

/// The parts of a picture that platforms and televisions leave free, in hundredths from each side.
///
/// A standing picture in a phone's app is covered at the top (name, viewers), at the right (buttons) and at the
/// bottom (comments, product bar): together a quarter of it. A lying one loses its edges to old televisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Safe {
    /// From the left.
    pub left: f64,
    /// From the top.
    pub top: f64,
    /// From the right.
    pub right: f64,
    /// From the bottom.
    pub bottom: f64,
}

impl Safe {
    /// For a canvas.
    pub fn of(canvas: Canvas) -> Self {
        if canvas.height > canvas.width {
            Self { left: 4.0, top: 12.0, right: 12.0, bottom: 22.0 }
        } else {
            Self { left: 4.0, top: 6.0, right: 4.0, bottom: 6.0 }
        }
    }

    /// The same in pixels: left, top, right and bottom edges.
    pub fn edges(&self, canvas: Canvas) -> (i32, i32, i32, i32) {
        let share = |percent: f64, length: u32| (percent * f64::from(length) / 100.0) as i32;
        let (width, height) = (canvas.width, canvas.height);
        (
            share(self.left, width),
            share(self.top, height),
            width as i32 - share(self.right, width),
            height as i32 - share(self.bottom, height),
        )
    }
}

/// Left and top, in pixels, of something of `size` in a slot or at a position. Always inside the picture if it
/// fits there at all.
pub fn rest(canvas: Canvas, slot: Slot, position: Option<Position>, size: (u32, u32)) -> (i32, i32) {
    let (width, height) = (size.0 as i32, size.1 as i32);
    let (all_width, all_height) = (canvas.width as i32, canvas.height as i32);
    let (left, top, right, bottom) = Safe::of(canvas).edges(canvas);
    let center_x = (all_width - width) / 2;
    let center_y = (all_height - height) / 2;
    let (x, y) = match slot {
        Slot::UpperLeft => (left, top),
        Slot::Upper => (center_x, top),
        Slot::UpperRight => (right - width, top),
        Slot::Left => (left, center_y),
        Slot::Center => (center_x, center_y),
        Slot::Right => (right - width, center_y),
        Slot::LowerLeft => (left, bottom - height),
        Slot::Lower => (center_x, bottom - height),
        Slot::LowerRight => (right - width, bottom - height),
        // Edge to edge; on a lying canvas at the very bottom, on a standing one above what covers it.
        Slot::Band if canvas.height > canvas.width => (center_x, bottom),
        Slot::Band => (center_x, all_height - height),
        Slot::Free => {
            let position = position.map_or((0.5, 0.5), |at| (f64::from(at.x), f64::from(at.y)));
            let share = |share: f64, room: i32| (share * f64::from(room)).round() as i32;
            (share(position.0, all_width - width), share(position.1, all_height - height))
        }
    };
    let inside = |at: i32, room: i32| at.clamp(0, room.max(0)) & !1;
    (inside(x, all_width - width), inside(y, all_height - height))
}

/// What lies over what when nobody says: bands under cards, cards under what is small and in the middle.
pub fn height(slot: Slot) -> i32 {
    match slot {
        Slot::Band => -10,
        Slot::Center => 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;
    use crate::state::Ratio;

    fn canvas(width: u32, height: u32) -> Canvas {
        Canvas { width, height, rate: FrameRate { num: 30, den: 1 } }
    }

    #[test]
    fn every_slot_keeps_inside_the_safe_area() {
        for (canvas, size) in [(canvas(1280, 720), (400, 180)), (canvas(720, 1280), (400, 180))] {
            let (left, top, right, bottom) = Safe::of(canvas).edges(canvas);
            for slot in Slot::ALL.into_iter().filter(|slot| !matches!(slot, Slot::Band | Slot::Free)) {
                let (x, y) = rest(canvas, slot, None, size);
                assert!(x >= left - 1 && y >= top - 1, "{slot:?} {x} {y}");
                assert!(x + size.0 as i32 <= right && y + size.1 as i32 <= bottom, "{slot:?} {x} {y}");
            }
        }
    }

    #[test]
    fn a_free_place_never_leads_out_of_the_picture() {
        let at = |x: u32, y: u32, size| {
            let position = Position { x: Ratio(x), y: Ratio(y) };
            rest(canvas(1280, 720), Slot::Free, Some(position), size)
        };
        assert_eq!(at(0, 0, (200, 100)), (0, 0));
        assert_eq!(at(10_000, 10_000, (200, 100)), (1080, 620));
        assert_eq!(at(5_000, 5_000, (200, 100)), (540, 310));
        assert_eq!(at(10_000, 0, (2000, 100)), (0, 0), "too wide to fit: from the left");
    }
}
