//! Where a card is, how opaque, and how much of it is uncovered, at a frame's time. A function of times alone:
//! the same commands at the same times give the same frames, however fast or slowly they are made. Pure.

use crate::state::{Easing, Slot, Transition, Transitions};
use crate::time::MediaTime;

/// Milliseconds that a card takes to come, unless it says otherwise.
const ENTER_MS: u32 = 400;
/// Milliseconds that a card takes to go, unless it says otherwise.
const LEAVE_MS: u32 = 267;

/// A rectangle of the picture in pixels: left, top, right, bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    /// First column.
    pub left: i32,
    /// First row.
    pub top: i32,
    /// After the last column.
    pub right: i32,
    /// After the last row.
    pub bottom: i32,
}

impl Clip {
    /// Everything.
    pub const ALL: Self = Self { left: i32::MIN, top: i32::MIN, right: i32::MAX, bottom: i32::MAX };

    /// What lies in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        }
    }
}

/// A layer's place in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pose {
    /// Left edge in pixels, even; may be outside the frame.
    pub x: i32,
    /// Top edge in pixels, even; may be outside the frame.
    pub y: i32,
    /// 0 to 256.
    pub opacity: u16,
    /// Only this is drawn; even edges.
    pub clip: Clip,
}

/// When a layer comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The first frame's time; nothing means that it was there already.
    pub enter: Option<MediaTime>,
    /// When it starts to go.
    pub leave: Option<MediaTime>,
}

/// To which side something slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edge {
    /// The left one.
    #[default]
    Left,
    /// The right one.
    Right,
    /// The top.
    Top,
    /// The bottom.
    Bottom,
}

impl Edge {
    /// The one that a slot is nearest to.
    pub fn of(slot: Slot) -> Self {
        match slot {
            Slot::LowerLeft | Slot::Left | Slot::UpperLeft => Self::Left,
            Slot::LowerRight | Slot::Right | Slot::UpperRight => Self::Right,
            Slot::Upper => Self::Top,
            Slot::Lower | Slot::Center | Slot::Band | Slot::Free => Self::Bottom,
        }
    }
}

/// How a layer moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moves {
    /// How it comes.
    pub enter: Transition,
    /// How it goes.
    pub leave: Transition,
    /// How long it takes to come.
    pub enter_nanos: i64,
    /// How long it takes to go.
    pub leave_nanos: i64,
    /// Its speed.
    pub easing: Easing,
    /// Where from and to.
    pub edge: Edge,
}

impl Moves {
    /// What `transitions` say, in a slot. The template's own animations last `own` nanoseconds in and out; they
    /// are drawn, and need the layer to stay where it is.
    pub fn new(transitions: Transitions, slot: Slot, own: (i64, i64)) -> Self {
        let enter = transitions.enter.unwrap_or(if own.0 > 0 { Transition::Cut } else { Transition::Fade });
        let leave = transitions.leave.unwrap_or(if own.1 > 0 { Transition::Cut } else { Transition::Fade });
        let nanos = |transition, ms: Option<u32>, usual, own| {
            let named =
                if transition == Transition::Cut { 0 } else { i64::from(ms.unwrap_or(usual)) * 1_000_000 };
            named.max(own)
        };
        Self {
            enter,
            leave,
            enter_nanos: nanos(enter, transitions.in_ms, ENTER_MS, own.0),
            leave_nanos: nanos(leave, transitions.out_ms, LEAVE_MS, own.1),
            easing: transitions.easing.unwrap_or_default(),
            edge: Edge::of(slot),
        }
    }

    /// The same, but there at once.
    #[must_use]
    pub fn without_entrance(self) -> Self {
        Self { enter: Transition::Cut, enter_nanos: 0, ..self }
    }

    /// At once, both ways.
    pub fn cut() -> Self {
        let (enter, leave) = (Transition::Cut, Transition::Cut);
        Self { enter, leave, enter_nanos: 0, leave_nanos: 0, easing: Easing::Linear, edge: Edge::Left }
    }
}

/// What is drawn, where it rests and in what picture; all in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Left and top.
    pub at: (i32, i32),
    /// Width and height of the layer.
    pub size: (u32, u32),
    /// Width and height of the picture.
    pub canvas: (u32, u32),
}

/// The pose at `now` of a layer at rest, or nothing when it has gone or not come.
///
/// The first frame of an entrance is already visible, so that a command shows in the next frame and not one
/// later.
pub fn pose(times: Times, moves: &Moves, rest: &Rest, frame_nanos: i64, now: MediaTime) -> Option<Pose> {
    let still = Pose { x: rest.at.0 & !1, y: rest.at.1 & !1, opacity: 256, clip: Clip::ALL };
    if let Some(enter) = times.enter
        && now < enter
    {
        return None; // a programme that is late, or ahead of its first viewer, shows it when it is due
    }
    if let Some(leave) = times.leave
        && now >= leave
    {
        let age = now.since(leave) + frame_nanos;
        if age > moves.leave_nanos {
            return None;
        }
        let left = 1.0 - age as f64 / moves.leave_nanos.max(1) as f64;
        return Some(moved(still, rest, moves, moves.leave, left));
    }
    let presence = times.enter.map_or(1.0, |enter| {
        let age = now.since(enter) + frame_nanos;
        (age as f64 / moves.enter_nanos.max(1) as f64).min(1.0)
    });
    if presence >= 1.0 {
        return Some(still);
    }
    Some(moved(still, rest, moves, moves.enter, presence))
}

/// `presence`: 0 is away, 1 is there, in equal steps of time.
fn moved(still: Pose, rest: &Rest, moves: &Moves, how: Transition, presence: f64) -> Pose {
    let eased = ease(moves.easing, presence);
    match how {
        Transition::Cut | Transition::Roll => still,
        // A pop is drawn in its sizes; beyond them it only fades.
        Transition::Fade | Transition::Pop => {
            Pose { opacity: (eased.clamp(0.0, 1.0) * 256.0).round() as u16, ..still }
        }
        Transition::Slide => {
            let (x, y) = (rest.at.0, rest.at.1);
            let (width, height) = (rest.size.0 as i32, rest.size.1 as i32);
            let far = match moves.edge {
                Edge::Left => (-(x + width), 0),
                Edge::Right => (rest.canvas.0 as i32 - x, 0),
                Edge::Top => (0, -(y + height)),
                Edge::Bottom => (0, rest.canvas.1 as i32 - y),
            };
            let share = |distance: i32| (f64::from(distance) * (1.0 - eased) / 2.0).round() as i32 * 2;
            Pose { x: still.x + share(far.0), y: still.y + share(far.1), ..still }
        }
        Transition::Wipe => {
            let shown = (f64::from(rest.size.0) * eased.clamp(0.0, 1.0) / 2.0).round() as i32 * 2;
            let clip = if moves.edge == Edge::Right {
                Clip { left: still.x + rest.size.0 as i32 - shown, ..Clip::ALL }
            } else {
                Clip { right: still.x + shown, ..Clip::ALL }
            };
            Pose { clip, ..still }
        }
    }
}

/// The size of a popping layer at a share of its entrance, 1 at its end.
pub fn pop_size(presence: f64) -> f64 {
    let rest = 1.0 - presence.clamp(0.0, 1.0);
    // Penner's "back", from 0.7 with an overshoot of some hundredths.
    1.0 - 0.3 * (rest * rest * (2.7 * rest - 1.7))
}

/// Whether a layer has left for good.
pub fn has_gone(times: Times, moves: &Moves, now: MediaTime) -> bool {
    times.leave.is_some_and(|leave| now.since(leave) > moves.leave_nanos)
}

/// Progress eased. Source: CSS Easing Functions 1, in polynomials that keep within a hundredth of its curves.
pub fn ease(easing: Easing, progress: f64) -> f64 {
    let rest = 1.0 - progress;
    match easing {
        Easing::Linear => progress,
        Easing::EaseIn => progress.powi(2),
        Easing::EaseOut => 1.0 - rest.powi(3),
        Easing::EaseInOut if progress < 0.5 => 2.0 * progress.powi(2),
        Easing::EaseInOut => 1.0 - 2.0 * rest.powi(2),
        Easing::Back => 1.0 - rest * rest * (2.7 * rest - 1.7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 33_333_333;
    const REST: Rest = Rest { at: (100, 200), size: (300, 100), canvas: (1280, 720) };

    fn moves(how: Transition) -> Moves {
        let transitions = Transitions { enter: Some(how), leave: Some(how), ..Transitions::default() };
        Moves::new(transitions, Slot::LowerLeft, (0, 0))
    }

    fn at(times: Times, how: Transition, millis: u64) -> Option<Pose> {
        pose(times, &moves(how), &REST, FRAME, MediaTime(millis * 1_000_000))
    }

    #[test]
    fn an_entrance_is_visible_in_its_first_frame_and_settles() {
        let times = Times { enter: Some(MediaTime(1_000_000_000)), leave: None };
        assert_eq!(at(times, Transition::Fade, 999), None, "not before its time");
        let first = at(times, Transition::Fade, 1000).unwrap();
        assert!(first.opacity > 40 && first.opacity < 100, "{first:?}");
        let opacities: Vec<_> =
            (0..13).map(|n| at(times, Transition::Fade, 1000 + n * 33).unwrap().opacity).collect();
        assert!(opacities.is_sorted());
        let first = at(times, Transition::Slide, 1000).unwrap();
        assert!(first.x < 0 && first.x + 300 > 0, "{first:?}");
        let first = at(times, Transition::Wipe, 1000).unwrap();
        assert!(first.clip.right > 100 && first.clip.right < 250, "{first:?}");
        for how in [Transition::Cut, Transition::Fade, Transition::Slide, Transition::Wipe, Transition::Pop] {
            let pose = at(times, how, 1400).unwrap();
            assert_eq!((pose.x, pose.y, pose.opacity, pose.clip), (100, 200, 256, Clip::ALL), "{how:?}");
        }
    }

    #[test]
    fn a_card_gone_is_gone() {
        let times = Times { enter: None, leave: Some(MediaTime(1_000_000_000)) };
        assert_eq!(at(times, Transition::Fade, 999).unwrap().opacity, 256);
        assert!(at(times, Transition::Fade, 1100).unwrap().opacity < 256);
        assert_eq!(at(times, Transition::Fade, 1267), None);
        assert_eq!(at(times, Transition::Cut, 1000), None, "a cut is gone in its first frame");
    }

    #[test]
    fn every_easing_starts_at_nothing_and_ends_at_all() {
        for easing in [Easing::Linear, Easing::EaseIn, Easing::EaseOut, Easing::EaseInOut, Easing::Back] {
            assert!(ease(easing, 0.0).abs() < 1e-9 && (ease(easing, 1.0) - 1.0).abs() < 1e-9, "{easing:?}");
        }
        assert!((0.65..0.75).contains(&pop_size(0.0)));
        assert!((pop_size(1.0) - 1.0).abs() < 1e-9);
        assert!(pop_size(0.6) > 1.0, "it overshoots");
    }

    #[test]
    fn the_same_times_give_the_same_pose() {
        let times = Times { enter: Some(MediaTime(7)), leave: Some(MediaTime(300_000_000)) };
        for millis in 0..600 {
            assert_eq!(at(times, Transition::Slide, millis), at(times, Transition::Slide, millis));
        }
    }
}
