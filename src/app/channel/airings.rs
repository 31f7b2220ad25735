//! What is in the picture, as timed metadata in the playlists: at the frames that the overlay element reports; and what
//! producers announce themselves.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::id;
use crate::overlay::board::{Mark, MarkEvent};
use crate::package::event::{Change, Event};
use crate::package::metadata::{DateRange, Value};
use crate::serve::live::Live;
use crate::time::{MediaTime, ProgramClock, WallTime};

/// Marks that wait. They are a few a second at most, and taking one is a few microseconds' work.
pub(super) const MARKS: usize = 1024;
/// How far apart changes of one airing are told, and how often those that wait are looked at.
const SPACING_NANOS: i64 = 1_000_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The class of the ranges.
const CLASS: &str = "vitrine.airing";

/// Of what producers announce themselves.
const ANNOUNCED: &str = "vitrine.metadata";
/// How long an announcement lasts: players that look at ranges now and then would miss a moment.
const ANNOUNCED_MS: i64 = 1000;

/// Events on their way into the media. The packager takes them with the next picture; when it does not come, the oldest
/// goes.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Vec<Event>>);

/// Events that wait.
const EVENTS: usize = 64;

impl Events {
    fn tell(&self, event: Event) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == EVENTS {
            waiting.remove(0);
        }
        waiting.push(event);
    }

    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A rendition's playlists, and the way into its media.
#[derive(Debug, Clone)]
pub(super) struct Audience {
    pub(super) live: Arc<Live>,
    pub(super) events: Arc<Events>,
}

/// Notes a producer's own text, for every audience.
pub(super) fn announce(audiences: &[Audience], now: MediaTime, text: &str) {
    let id = id::new("meta");
    for audience in audiences {
        announce_to(audience, &id, now, text);
    }
}

fn announce_to(Audience { live, events }: &Audience, id: &str, now: MediaTime, text: &str) {
    let start = live.wall_of(now);
    let range = DateRange {
        subject: id.into(),
        id: id.into(),
        class: ANNOUNCED.into(),
        start,
        end: Some(WallTime(start.0 + ANNOUNCED_MS)),
        attributes: vec![("X-METADATA".into(), Value::Text(quotable(text)))],
    };
    events.tell(Event::new(&range, Change::Begin, now));
    live.note(now, |ranges| ranges.put(range, now));
}

/// What a quoted string may not hold, and `%`, as percent and two digits: `decodeURIComponent` gives the text back.
fn quotable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '"' | '%') || letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(letter);
        }
    }
    out
}

/// Notes marks until nobody sends them any more.
pub(super) async fn run(
    mut marks: mpsc::Receiver<(Arc<Mark>, MediaTime)>,
    clock: ProgramClock,
    audiences: Vec<Audience>,
) {
    let mut pace = Pace::default();
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        let due = tokio::select! {
            mark = marks.recv() => match mark {
                Some((mark, frame)) => pace.take(mark, frame),
                None => return,
            },
            _ = every.tick() => pace.due(clock.now()),
        };
        for (mark, frame) in due {
            for audience in &audiences {
                note(audience, &mark, frame, clock.now());
            }
        }
    }
}

/// Lets through a change of an airing a second. A price that is pushed at every frame would make lists that no player
/// reads: of the changes between, the last is told, with the frame that shows it.
#[derive(Default)]
struct Pace {
    /// The newest that was let through, of each airing.
    told: BTreeMap<String, MediaTime>,
    waiting: BTreeMap<String, (Arc<Mark>, MediaTime)>,
}

type Due = Vec<(Arc<Mark>, MediaTime)>;

impl Pace {
    fn take(&mut self, mark: Arc<Mark>, frame: MediaTime) -> Due {
        match &mark.event {
            MarkEvent::Shows { airing_id, .. } => {
                let is_early = |told: &MediaTime| frame.since(*told) < SPACING_NANOS;
                if self.told.get(airing_id).is_some_and(is_early) {
                    self.waiting.insert(airing_id.clone(), (mark, frame));
                    return Due::new();
                }
                self.told.insert(airing_id.clone(), frame);
                self.waiting.remove(airing_id);
                vec![(mark, frame)]
            }
            MarkEvent::Gone { airing_id, .. } => {
                self.told.remove(airing_id);
                self.waiting.remove(airing_id).into_iter().chain([(mark.clone(), frame)]).collect()
            }
            MarkEvent::Only { airing_ids } => {
                self.told.retain(|id, _| airing_ids.contains(id));
                self.waiting.retain(|id, _| airing_ids.contains(id));
                vec![(mark, frame)]
            }
        }
    }

    /// What has waited long enough.
    fn due(&mut self, now: MediaTime) -> Due {
        let told = &self.told;
        let is_due = |id: &String| told.get(id).is_none_or(|told| now.since(*told) >= SPACING_NANOS);
        let ids: Vec<String> = self.waiting.keys().filter(|id| is_due(id)).cloned().collect();
        let mut due = Due::new();
        for id in ids {
            due.extend(self.waiting.remove(&id));
            self.told.insert(id, now);
        }
        due
    }
}

/// What a mark says, for players.
fn note(Audience { live, events }: &Audience, mark: &Mark, frame: MediaTime, now: MediaTime) {
    let wall = live.wall_of(frame);
    let (mut begun, mut ended) = (None, Vec::new());
    live.note(now, |ranges| match &mark.event {
        MarkEvent::Shows { airing_id, attributes } => {
            begun = ranges.begin(airing_id, CLASS, attributes.clone(), wall, now);
        }
        MarkEvent::Gone { airing_id, .. } => {
            ended = ranges.end(|range| range.class == CLASS && range.subject == *airing_id, wall, now);
        }
        MarkEvent::Only { airing_ids } => {
            ended =
                ranges.end(|range| range.class == CLASS && !airing_ids.contains(&range.subject), wall, now);
        }
    });
    for range in ended {
        events.tell(Event::new(&range, Change::End, frame));
    }
    if let Some(range) = begun {
        events.tell(Event::new(&range, Change::Begin, frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(event: MarkEvent) -> Arc<Mark> {
        Arc::new(Mark { number: 1, at: MediaTime::ZERO, event })
    }

    fn shows(price: f64) -> Arc<Mark> {
        let attributes = vec![("X-PRICE-MINOR".to_owned(), Value::Number(price))];
        mark(MarkEvent::Shows { airing_id: "air_1".into(), attributes })
    }

    #[test]
    fn of_many_changes_the_last_is_told_with_its_frame() {
        let (mut pace, at) = (Pace::default(), |ms: u64| MediaTime(ms * 1_000_000));
        assert_eq!(pace.take(shows(1.0), at(0)).len(), 1);
        for change in 1..20 {
            assert!(pace.take(shows(f64::from(change)), at(40 * change as u64)).is_empty());
        }
        assert!(pace.due(at(900)).is_empty());
        let told: Vec<_> = pace.due(at(1000)).into_iter().map(|(_, frame)| frame).collect();
        assert_eq!(told, [at(760)]);
        assert!(pace.due(at(5000)).is_empty(), "once");
        assert_eq!(pace.take(shows(9.0), at(5000)).len(), 1, "at once again");
    }

    #[test]
    fn what_waits_is_told_before_the_end() {
        let (mut pace, at) = (Pace::default(), |ms: u64| MediaTime(ms * 1_000_000));
        pace.take(shows(1.0), at(0));
        pace.take(shows(2.0), at(500));
        let gone = MarkEvent::Gone { airing_id: "air_1".into(), is_planned: false };
        let told = pace.take(mark(gone), at(600));
        assert_eq!(told.iter().map(|(_, frame)| *frame).collect::<Vec<_>>(), [at(500), at(600)]);
    }
}
