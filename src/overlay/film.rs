//! The drawn states of a card over programme time: one picture for a still card, one a second for a countdown,
//! one a frame while something moves. The streaming thread only looks up which is due. Pure.

use std::sync::Arc;

use super::sprite::Sprite;
use crate::time::MediaTime;

/// A picture and from when it is shown.
#[derive(Debug, Clone)]
pub struct Face {
    /// The first frame's time.
    pub from: MediaTime,
    /// The picture.
    pub sprite: Arc<Sprite>,
    /// Its left and top in the canvas, in pixels.
    pub at: (i32, i32),
}

/// Pictures that come again and again.
#[derive(Debug, Clone)]
pub struct Round {
    /// When the first is due.
    pub from: MediaTime,
    /// How long each is shown.
    pub each_nanos: u64,
    /// One round of them; not empty.
    pub faces: Arc<Vec<Face>>,
}

/// A card's pictures, in order of time.
#[derive(Debug, Clone, Default)]
pub struct Film {
    faces: Vec<Face>,
    round: Option<Round>,
}

impl Film {
    /// The picture that is due at `now`; before the first there is the first.
    pub fn at(&self, now: MediaTime) -> Option<&Face> {
        let due = self.faces.partition_point(|face| face.from <= now);
        let due = self.faces.get(due.saturating_sub(1));
        if let Some(round) = &self.round
            && now >= round.from
            // What was drawn for later than the round goes before it.
            && due.is_none_or(|face| face.from <= round.from)
        {
            let nth = (now.0 - round.from.0) / round.each_nanos.max(1);
            return round.faces.get((nth % round.faces.len().max(1) as u64) as usize);
        }
        due
    }

    /// Shows `face` from its time on; what was planned for then or later is dropped.
    pub fn cut_to(&mut self, face: Face) {
        self.drop_from(face.from);
        self.faces.push(face);
    }

    /// Drops what was planned for `from` or later; what is shown before stays.
    pub fn drop_from(&mut self, from: MediaTime) {
        self.faces.retain(|planned| planned.from < from);
        self.round = None;
    }

    /// Plans `face` beside what is planned, in order of time.
    pub fn plan(&mut self, face: Face) {
        let at = self.faces.partition_point(|planned| planned.from <= face.from);
        self.faces.insert(at, face);
    }

    /// Begins to go round.
    pub fn go_round(&mut self, round: Round) {
        self.round = Some(round);
    }

    /// Forgets what is over at `now`.
    pub fn trim(&mut self, now: MediaTime) {
        let due = self.faces.partition_point(|face| face.from <= now);
        self.faces.drain(..due.saturating_sub(1));
    }

    /// The picture planned last.
    pub fn last(&self) -> Option<&Face> {
        self.faces.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::colour::Format;
    use crate::overlay::sprite::Rgba;

    fn face(from: u64) -> Face {
        let picture = Rgba { width: 2, height: 2, data: vec![255; 16] };
        Face {
            from: MediaTime(from),
            sprite: Arc::new(Sprite::from_rgba(&picture, Format::default())),
            at: (0, 0),
        }
    }

    fn film(times: &[u64]) -> Film {
        let mut film = Film::default();
        for from in times {
            film.plan(face(*from));
        }
        film
    }

    fn due(film: &Film, now: u64) -> u64 {
        film.at(MediaTime(now)).unwrap().from.0
    }

    #[test]
    fn each_picture_is_shown_from_its_time_to_the_next() {
        let film = film(&[30, 10, 20]);
        let seen: Vec<u64> = [0, 10, 19, 20, 29, 30, 99].iter().map(|now| due(&film, *now)).collect();
        assert_eq!(seen, [10, 10, 10, 20, 20, 30, 30]);
        assert!(Film::default().at(MediaTime(1)).is_none());
    }

    #[test]
    fn a_change_drops_what_was_planned_after_it() {
        let mut film = film(&[10, 20, 30]);
        film.cut_to(face(15));
        assert_eq!([due(&film, 12), due(&film, 15), due(&film, 35)], [10, 15, 15]);
    }

    #[test]
    fn what_is_over_is_forgotten_and_the_present_is_kept() {
        let mut film = film(&[10, 20, 30]);
        film.trim(MediaTime(25));
        assert_eq!((film.faces.len(), due(&film, 25), due(&film, 30)), (2, 20, 30));
    }

    #[test]
    fn a_round_comes_again_until_a_change() {
        let mut film = film(&[0]);
        let faces = Arc::new(vec![face(100), face(101), face(102)]);
        film.go_round(Round { from: MediaTime(10), each_nanos: 5, faces });
        let seen: Vec<u64> = [0, 9, 10, 14, 15, 20, 25].iter().map(|now| due(&film, *now)).collect();
        assert_eq!(seen, [0, 0, 100, 100, 101, 102, 100]);
        film.plan(face(27));
        film.plan(face(29));
        assert_eq!([due(&film, 26), due(&film, 27), due(&film, 28), due(&film, 40)], [100, 27, 27, 29]);
    }
}
