//! How many players follow a channel, by how often they ask. Nobody is told apart and nothing is kept of anybody: a
//! million behind one address count as a million.
//!
//! A player asks for each version of a playlist once: for every part when it waits for parts, for every segment when it
//! waits for those, else after every target duration (draft-pantos-hls-rfc8216bis-22 6.3.4 and 6.2.5.2). So each answer
//! stands for one player for as long as that takes (`Live::worth`). All who ask through one cache are counted as one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::media::Kind;
use crate::time::Stopwatch;

/// How far back a count looks. Of players that ask every two seconds it sees six answers of each.
const WINDOW: Duration = Duration::from_secs(12);
/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// Playing time that answers stood for, since the start, in microseconds.
#[derive(Debug, Default)]
pub struct Demand {
    pictures: AtomicU64,
    sound: AtomicU64,
}

impl Demand {
    /// A playlist of such a track went to a player that asks again after `worth`.
    pub fn count(&self, kind: Kind, worth: Duration) {
        let of = match kind {
            Kind::Video => &self.pictures,
            Kind::Audio => &self.sound,
        };
        of.fetch_add(worth.as_micros() as u64, Ordering::Relaxed);
    }

    fn total(&self) -> [u64; 2] {
        [&self.pictures, &self.sound].map(|of| of.load(Ordering::Relaxed))
    }
}

/// Players, lately.
#[derive(Debug)]
pub struct Crowd {
    clock: Stopwatch,
    /// When it was looked, since the start, and what had been asked until then.
    looks: VecDeque<(Duration, [u64; 2])>,
    count: u32,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { clock: Stopwatch::start(), looks: VecDeque::from([(Duration::ZERO, [0; 2])]), count: 0 }
    }
}

impl Crowd {
    /// How many there are. To be asked every second or so.
    pub fn count(&mut self, demand: &Demand) -> u32 {
        self.look(self.clock.elapsed(), demand.total())
    }

    fn look(&mut self, now: Duration, total: [u64; 2]) -> u32 {
        if self.looks.back().is_some_and(|(last, _)| now < *last + EVERY) {
            return self.count;
        }
        self.looks.push_back((now, total));
        while self.looks.get(1).is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.looks.pop_front();
        }
        let (since, before) = self.looks[0];
        // At first, as if nobody had asked before.
        let time = now.saturating_sub(since).max(WINDOW).as_micros() as f64;
        let players = |n: usize| (total[n] - before[n]) as f64 / time;
        // Who has a picture asks for the sound too, in a playlist of its own; some ask for the sound alone.
        self.count = players(0).max(players(1)).round() as u32;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Players of both kinds for a while; what is counted in the end.
    fn after(seconds: u64, with_parts: u64, with_target: u64) -> u32 {
        let (demand, mut crowd) = (Demand::default(), Crowd::default());
        for tick in 0..seconds * 6 {
            for _ in 0..if tick % 2 == 0 { with_parts } else { 0 } {
                demand.count(Kind::Video, Duration::from_nanos(333_333_333));
                demand.count(Kind::Audio, Duration::from_nanos(333_333_333));
            }
            for _ in 0..if tick % 12 == 5 { with_target } else { 0 } {
                demand.count(Kind::Video, Duration::from_secs(2));
            }
            crowd.look(Duration::from_millis(tick * 1000 / 6), demand.total());
        }
        crowd.count
    }

    #[test]
    fn players_are_counted_by_how_often_they_ask() {
        assert_eq!(after(30, 0, 0), 0);
        assert_eq!(after(30, 1, 0), 1);
        assert_eq!(after(30, 0, 1), 1);
        assert_eq!(after(30, 2, 1), 3);
        let many = after(60, 100_000, 10_000);
        assert!((107_000..113_000).contains(&many), "{many}");
    }

    #[test]
    fn who_only_listens_counts_and_who_is_gone_does_not() {
        let (demand, mut crowd) = (Demand::default(), Crowd::default());
        for second in 0..30 {
            if second < 14 {
                demand.count(Kind::Audio, Duration::from_secs(1));
            }
            crowd.look(Duration::from_secs(second), demand.total());
            match second {
                0..=4 | 21.. => assert_eq!(crowd.count, 0, "second {second}"),
                8..=18 => assert_eq!(crowd.count, 1, "second {second}"),
                _ => {}
            }
        }
    }
}
