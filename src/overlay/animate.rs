//! Where a card is and how opaque, at a frame's time. A function of times alone: the same commands at the
//! same times give the same frames, however fast or slowly they are made. Pure.

use crate::time::MediaTime;

/// How long a card takes to come.
pub const ENTER_NANOS: i64 = 400_000_000;
/// How long a card takes to go.
pub const LEAVE_NANOS: i64 = 267_000_000;
/// How far it travels while it comes or goes, as a share of the picture's height.
const TRAVEL: f64 = 0.04;

/// A layer's place in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pose {
    /// Left edge in pixels, even; may be outside the frame.
    pub x: i32,
    /// Top edge in pixels, even; may be outside the frame.
    pub y: i32,
    /// 0 to 256.
    pub opacity: u16,
}

/// When a layer comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The first frame's time; nothing means that it was there already.
    pub enter: Option<MediaTime>,
    /// When it starts to go.
    pub leave: Option<MediaTime>,
}

/// The pose at `now` of a layer that rests at (`x`, `y`), or nothing when it has gone.
///
/// The first frame of an entrance is already visible (an eighth or so), so that a command shows in the
/// next frame and not one later.
pub fn pose(
    times: Times,
    (x, y): (u32, u32),
    canvas_height: u32,
    frame_nanos: i64,
    now: MediaTime,
) -> Option<Pose> {
    let mut presence = 1.0;
    if let Some(enter) = times.enter {
        if now < enter {
            return None; // a programme that is late, or ahead of its first viewer, shows it when it is due
        }
        let age = now.since(enter) + frame_nanos;
        presence = ease_out((age as f64 / ENTER_NANOS as f64).min(1.0));
    }
    if let Some(leave) = times.leave {
        let age = now.since(leave) + frame_nanos;
        if age >= LEAVE_NANOS {
            return None;
        }
        presence *= 1.0 - (age.max(0) as f64 / LEAVE_NANOS as f64).powi(2);
    }
    let travel = f64::from(canvas_height) * TRAVEL * (1.0 - presence);
    Some(Pose {
        x: (x & !1) as i32,
        y: ((y & !1) as i32) + ((travel / 2.0).round() as i32) * 2,
        opacity: (presence * 256.0).round() as u16,
    })
}

/// Whether a layer has left for good.
pub fn has_gone(times: Times, now: MediaTime) -> bool {
    times.leave.is_some_and(|leave| now.since(leave) > LEAVE_NANOS)
}

/// Cubic: fast at first, then settling.
fn ease_out(progress: f64) -> f64 {
    1.0 - (1.0 - progress).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 33_333_333;

    fn at(times: Times, millis: u64) -> Option<Pose> {
        pose(times, (100, 200), 720, FRAME, MediaTime(millis * 1_000_000))
    }

    #[test]
    fn an_entrance_is_visible_in_its_first_frame_and_settles() {
        let times = Times { enter: Some(MediaTime(1_000_000_000)), leave: None };
        let first = at(times, 1000).unwrap();
        assert!(first.opacity > 40 && first.opacity < 100, "{first:?}");
        assert!(first.y > 200);
        assert_eq!(at(times, 999), None, "not before its time");
        let opacities: Vec<_> = (0..13).map(|n| at(times, 1000 + n * 33).unwrap().opacity).collect();
        assert!(opacities.is_sorted());
        assert_eq!(at(times, 1400).unwrap(), Pose { x: 100, y: 200, opacity: 256 });
    }

    #[test]
    fn a_card_gone_is_gone() {
        let times = Times { enter: None, leave: Some(MediaTime(1_000_000_000)) };
        assert_eq!(at(times, 999 - 34).unwrap().opacity, 256);
        assert!(at(times, 1100).unwrap().opacity < 256);
        assert_eq!(at(times, 1267), None);
    }

    #[test]
    fn the_same_times_give_the_same_pose() {
        let times = Times { enter: Some(MediaTime(7)), leave: Some(MediaTime(300_000_000)) };
        for millis in 0..600 {
            assert_eq!(at(times, millis), at(times, millis));
        }
    }
}
