//! The scene over the programme, shared by the desk, which draws it, and the element, which blends it; and what the
//! element tells of it: which state a frame shows, and in which frame something begins or ends.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{mpsc, watch};

use super::animate::{self, Clip, Moves, Pose, Rest, Times};
use super::colour::Format;
use super::film::Film;
use super::sprite::Sprite;
use crate::package::metadata::Attributes;
use crate::time::MediaTime;

/// A line that runs through a window of its card, again and again.
#[derive(Debug, Clone)]
pub struct Crawl {
    /// The line.
    pub sprite: Arc<Sprite>,
    /// Its window: left, top, width and height in the card, in pixels.
    pub window: (i32, i32, u32, u32),
    /// Pixels a second, to the left; to the right when negative.
    pub speed: i32,
    /// When it enters the window.
    pub from: MediaTime,
}

/// One card in the scene.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The airing's id.
    pub id: String,
    /// The drawn card over time.
    pub film: Film,
    /// What runs through it.
    pub crawl: Option<Crawl>,
    /// When it comes and goes.
    pub times: Times,
    /// How it comes and goes.
    pub moves: Moves,
    /// The QR in it.
    pub code: Option<Code>,
}

/// A QR that is on air.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The card that shows it.
    pub card_id: String,
    /// What it says.
    pub text: String,
}

impl Scene {
    /// The codes that stand still in the frame at `now`.
    pub fn codes_at(&self, now: MediaTime) -> Vec<Code> {
        let stands = |layer: &&Layer| {
            let has_come = layer.times.enter.is_none_or(|enter| enter.offset(layer.moves.enter_nanos) <= now);
            has_come && layer.times.leave.is_none_or(|leave| leave > now)
        };
        self.layers.iter().filter(stands).filter_map(|layer| layer.code.clone()).collect()
    }
}

impl Layer {
    /// Its pose and picture at `now`, in a picture of the size `canvas`.
    pub(super) fn at(&self, canvas: (u32, u32), frame_nanos: i64, now: MediaTime) -> Option<(Pose, &Sprite)> {
        let face = self.film.at(now)?;
        let rest = Rest { at: face.at, size: (face.sprite.width, face.sprite.height), canvas };
        let pose = animate::pose(self.times, &self.moves, &rest, frame_nanos, now)?;
        Some((pose, &face.sprite))
    }
}

impl Crawl {
    /// Where the line is drawn at `now`, in a card at `card`: as often as it shows in its window.
    pub(super) fn poses(&self, card: &Pose, now: MediaTime) -> impl Iterator<Item = Pose> {
        let (left, top, width, height) = self.window;
        let (left, top) = ((card.x + left) & !1, (card.y + top) & !1);
        let (width, height) = (width as i32, height as i32);
        let clip = Clip { left, top, right: (left + width) & !1, bottom: top + height }.and(card.clip);
        let round = (self.sprite.width as i32).max(1);
        // It enters at the window's far edge; after that one line follows the other.
        let way = (now.since(self.from).max(0) as i128 * i128::from(self.speed.abs()) / 1_000_000_000) as i64;
        let copies = if way < i64::from(width) { 1 } else { width / round + 2 };
        let first = if way < i64::from(width) {
            width - way as i32
        } else {
            -(((way - i64::from(width)) % i64::from(round)) as i32)
        };
        let is_right = self.speed < 0;
        let y = top + (height - self.sprite.height as i32) / 2;
        let (opacity, y) = (card.opacity, y & !1);
        (0..copies).map(move |n| {
            let from_start = first + n * round;
            let x = if is_right { left + width - round - from_start } else { left + from_start };
            Pose { x: x & !1, y, opacity, clip }
        })
    }
}

/// All that is laid over the programme, bottom first.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// The revision of the state that it shows.
    pub rev: u64,
    /// From this time on: a programme that is late shows older states until then.
    pub due: MediaTime,
    /// Bottom first.
    pub layers: Vec<Layer>,
    /// What begins and ends in it, the newest last.
    pub marks: Vec<Arc<Mark>>,
}

/// Something begins or ends in the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Grows with every mark.
    pub number: u64,
    /// The frame from which on it is meant.
    pub at: MediaTime,
    /// What.
    pub event: MarkEvent,
}

/// What a [`Mark`] tells.
#[derive(Debug, Clone, PartialEq)]
pub enum MarkEvent {
    /// An airing shows this.
    Shows {
        /// Which.
        airing_id: String,
        /// What is to be known of it.
        attributes: Attributes,
    },
    /// An airing is not in the picture any more.
    Gone {
        /// Which.
        airing_id: String,
        /// It went by itself, at the mark's time, whenever that is told.
        is_planned: bool,
    },
    /// None but these airings are in the picture: the first thing that is told.
    Only {
        /// Which.
        airing_ids: Vec<String>,
    },
}

/// Which state the newest composed frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drawn {
    /// The state's revision.
    pub rev: u64,
    /// Programme time of the first frame that shows it.
    pub first_frame: MediaTime,
}

/// The scene's holder, shared by the one who draws and the element that blends.
#[derive(Debug)]
pub struct Board {
    scene: Mutex<Arc<Scene>>,
    drawn: watch::Sender<Drawn>,
    format: watch::Sender<Format>,
    /// The scene composed last, its marks told up to a number, and who is told.
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    scene: Weak<Scene>,
    number: u64,
    marks: Option<mpsc::Sender<(Arc<Mark>, MediaTime)>>,
}

impl Default for Board {
    fn default() -> Self {
        let (drawn, format) = (watch::Sender::new(Drawn::default()), watch::Sender::new(Format::default()));
        Self { scene: Mutex::default(), drawn, format, told: Mutex::default() }
    }
}

impl Board {
    /// Replaces the scene, from the next frame on.
    pub fn set(&self, scene: Scene) {
        *self.scene.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(scene);
    }

    /// The present scene.
    pub fn scene(&self) -> Arc<Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows which revision is in the picture.
    pub fn drawn(&self) -> watch::Receiver<Drawn> {
        self.drawn.subscribe()
    }

    /// Tells `marks` from now on of each mark and the frame that shows it first. What does not fit is lost.
    pub fn tell_marks(&self, marks: mpsc::Sender<(Arc<Mark>, MediaTime)>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).marks = Some(marks);
    }

    /// `scene` is in the frame at `now`.
    pub(super) fn compose(&self, scene: &Arc<Scene>, now: MediaTime) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Once for each scene.
        if std::ptr::eq(told.scene.as_ptr(), Arc::as_ptr(scene)) {
            return;
        }
        told.scene = Arc::downgrade(scene);
        let seen = told.number;
        for mark in scene.marks.iter().filter(|mark| mark.number > seen) {
            told.number = mark.number;
            let is_planned = matches!(mark.event, MarkEvent::Gone { is_planned: true, .. });
            let frame = if is_planned { mark.at } else { mark.at.max(now) };
            if let Some(marks) = &told.marks
                && marks.try_send((mark.clone(), frame)).is_err()
            {
                tracing::error!("timed metadata is lost: nobody takes it");
            }
        }
    }

    /// Follows the frames' format.
    pub fn formats(&self) -> watch::Receiver<Format> {
        self.format.subscribe()
    }

    /// The frames' format, for which sprites have to be made.
    pub fn format(&self) -> Format {
        *self.format.borrow()
    }

    /// The frames have another format from now on.
    pub(super) fn set_format(&self, format: Format) {
        self.format.send_if_modified(|known| std::mem::replace(known, format) != format);
    }

    /// A frame shows `scene`; what is not due yet is not in the picture yet.
    pub(super) fn note(&self, scene: &Scene, frame: MediaTime) {
        let has_come = |layer: &Layer| layer.times.enter.is_none_or(|enter| enter <= frame);
        self.drawn.send_if_modified(|drawn| {
            let is_new = drawn.rev != scene.rev && scene.due <= frame && scene.layers.iter().all(has_come);
            if is_new {
                *drawn = Drawn { rev: scene.rev, first_frame: frame };
            }
            is_new
        });
    }
}
