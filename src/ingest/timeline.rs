//! Maps one publisher's timestamps to programme time, and repairs what is wrong with them. Pure: the time of
//! arrival is given.
//!
//! Sound and picture share one offset, set at the first unit so that it is due `target` after its arrival:
//! the programme stays that far behind, to ride out uneven delivery. Afterwards
//! - 32-bit wraps and units out of order are unwrapped;
//! - a jump (the encoder's clock was reset) sets the track's offset anew; the other track, which jumps a moment
//!   later, takes over that offset, so that both stay in step; tracks on clocks of their own keep an offset each;
//! - a publisher that has become late for good moves later, one that comes much too early moves earlier;
//! - one that sends faster than real time is to be held up (`wait`), so that nothing is far ahead;
//! - clock drift is followed by at most 1 ms a second, which the sound's resampling hides.

use crate::media::Kind;
use crate::time::MediaTime;

const MS: i64 = 1_000_000;
/// A step of the timestamps against the arrival clock that is taken for a jump.
const JUMP: i64 = 3_000 * MS;
/// A step back in one track that is no reordering.
const BACK: i64 = 500 * MS;
/// How long leads are watched before the offset is changed.
const WINDOW: i64 = 2_000 * MS;
/// More than this much too early, for a whole window, and the offset is set anew.
const TOO_EARLY: i64 = 500 * MS;
/// Less lead than this, for a whole window, and the publisher is late for good.
const TOO_LATE: i64 = 10 * MS;
/// Deviations below this are left alone: the protocol's own rounding is a millisecond.
const DEAD_BAND: i64 = 15 * MS;
/// How much the offset may follow drift, in nanoseconds for each second.
const SLEW_PER_SECOND: i64 = MS;
/// Beyond the target by more than this, a unit has to wait: the publisher is faster than time.
const MOST_AHEAD: i64 = 2_000 * MS;
/// Composition offsets beyond this are nonsense: 16 frames, the most that H.264 reorders, at 5 a second.
const MOST_REORDER: i64 = 3_200 * MS;
/// Between the last unit before a jump and the first after it.
const JOINT: i64 = 10 * MS;
/// Timestamps are held within 36 years of zero, so that sums cannot overflow.
const FARTHEST: i64 = 1 << 60;

/// A timestamp as the protocol gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Milliseconds that wrap at 2^32 (RTMP).
    Millis(u32),
    /// Nanoseconds that do not wrap (demultiplexers).
    Nanos(i64),
}

/// What was mended, for the log and for producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repairs {
    /// Times the timestamps jumped.
    pub jumps: u32,
    /// Times the offset was set anew because the publisher came late or early.
    pub moves: u32,
    /// Units whose decode time did not grow.
    pub backward: u32,
    /// Tracks that were found to run on a clock of their own.
    pub splits: u32,
}

impl Repairs {
    /// All together.
    pub fn total(self) -> u32 {
        self.jumps.saturating_add(self.moves).saturating_add(self.backward).saturating_add(self.splits)
    }
}

/// When a unit is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it is shown; never before it is decoded.
    pub pts: MediaTime,
    /// When it is decoded; grows strictly in each track.
    pub dts: MediaTime,
    /// Nanoseconds to wait before it is handed on: after them `dts` is at most [`Timeline::limit_nanos`] ahead.
    pub wait: i64,
    /// The decode time on the publisher's own clock, in nanoseconds, unwrapped; for rates.
    pub stamp_nanos: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Track {
    /// The last unit's timestamp, unwrapped, and its arrival.
    last: Option<(i64, MediaTime)>,
    /// Programme time minus publisher time, nanoseconds.
    offset: Option<i64>,
    last_dts: Option<i64>,
}

/// The mapping of one publisher.
#[derive(Debug)]
pub struct Timeline {
    target: i64,
    tracks: [Track; 2],
    window_start: MediaTime,
    least: i64,
    /// The quickest unit of each track.
    most: [i64; 2],
    /// How far the largest negative composition offset reaches.
    lift: i64,
    drift: i64,
    repairs: Repairs,
}

impl Timeline {
    /// A mapping that keeps units due `target_ms` after they arrive.
    pub fn new(target_ms: u32) -> Self {
        Self {
            target: i64::from(target_ms) * MS,
            tracks: [Track::default(); 2],
            window_start: MediaTime::ZERO,
            least: i64::MAX,
            most: [i64::MIN; 2],
            lift: 0,
            drift: 0,
            repairs: Repairs::default(),
        }
    }

    /// What was mended so far.
    pub fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// How far the publisher's clock has run from ours since the start, in nanoseconds; positive when it is slow.
    pub fn drift_nanos(&self) -> i64 {
        self.drift
    }

    /// How far ahead of its arrival a unit can be due, once it has waited as told.
    pub fn limit_nanos(&self) -> i64 {
        self.target + MOST_AHEAD
    }

    /// When a unit is due that is decoded at `stamp`, shown `cts_nanos` later, and arrived at `now`.
    pub fn map(&mut self, kind: Kind, stamp: Stamp, cts_nanos: i64, now: MediaTime) -> Due {
        let track = usize::from(kind == Kind::Audio);
        let time = self.unwrap(track, stamp);
        let offset = self.offset(track, time, now);
        self.watch(track, time + offset - now.0 as i64, now);
        self.lift_for(cts_nanos);
        let offset = self.tracks[track].offset.unwrap_or(offset);
        let lift = if kind == Kind::Video { self.lift } else { 0 };
        let mut dts = (time + offset - lift).max(0);
        if let Some(last) = self.tracks[track].last_dts
            && dts <= last
        {
            self.repairs.backward = self.repairs.backward.saturating_add(1);
            dts = last + 1;
        }
        self.tracks[track].last_dts = Some(dts);
        let pts = (time + offset + cts_nanos.clamp(-MOST_REORDER, MOST_REORDER)).max(dts);
        let wait = (dts - now.0 as i64 - self.limit_nanos()).max(0);
        if wait > 0 {
            // Held up by us: how early it comes says nothing any more.
            self.restart_window(MediaTime((now.0 as i64 + wait) as u64));
            self.tracks[track].last = Some((time, MediaTime((now.0 as i64 + wait) as u64)));
        }
        Due { pts: MediaTime(pts as u64), dts: MediaTime(dts as u64), wait, stamp_nanos: time }
    }

    /// Some encoders send negative composition offsets: everything is shown that much later, once, so that nothing is
    /// shown before it is decoded.
    fn lift_for(&mut self, cts_nanos: i64) {
        let more = cts_nanos.clamp(-MOST_REORDER, 0).abs() - self.lift;
        if more > 0 {
            self.lift += more;
            for track in &mut self.tracks {
                track.offset = track.offset.map(|offset| offset + more);
            }
        }
    }

    /// The timestamp in nanoseconds, near the last one of its track, or of the other.
    fn unwrap(&self, track: usize, stamp: Stamp) -> i64 {
        match stamp {
            Stamp::Nanos(nanos) => nanos.clamp(-FARTHEST, FARTHEST),
            Stamp::Millis(stamp) => match self.tracks[track].last.or(self.tracks[1 - track].last) {
                // As a signed difference: a wrap at 2^32 ms is a small step forward, a reordered unit one back.
                Some((last, _)) => {
                    let step = stamp.wrapping_sub(last.div_euclid(MS) as u32) as i32;
                    (last + i64::from(step) * MS).clamp(-FARTHEST, FARTHEST)
                }
                None => i64::from(stamp) * MS,
            },
        }
    }

    /// The track's offset; found or set anew at its first unit and when its timestamps jump.
    fn offset(&mut self, track: usize, time: i64, now: MediaTime) -> i64 {
        let is_jump = self.tracks[track].last.is_some_and(|(last, arrival)| {
            let step = time - last;
            step < -BACK || ((step - now.since(arrival)).abs() > JUMP && step.abs() > JUMP / 3)
        });
        let has_rejoined = is_jump && self.is_nearer_the_other(track, time, now);
        self.tracks[track].last = Some((time, now));
        match self.tracks[track].offset {
            Some(offset) if !is_jump => offset,
            before => {
                // After what was promised already: a file that begins again goes on where it ended.
                let promised = self.tracks.iter().filter_map(|track| track.last_dts).max();
                let at_least = promised.filter(|_| is_jump).map_or(0, |promised| promised + JOINT);
                let fresh = (now.0 as i64 + self.target).max(at_least) - time + self.lift;
                // The other track's, when this unit fits there: it started, or jumped, first.
                let other = self.tracks[1 - track].offset;
                let has_moved = !is_jump || other != before;
                let offset = other.filter(|other| has_moved && (other - fresh).abs() <= JUMP);
                if has_rejoined && !has_moved {
                    self.tracks[1 - track].offset = Some(fresh);
                }
                if is_jump {
                    self.repairs.jumps = self.repairs.jumps.saturating_add(1);
                } else if before.is_none() && other.is_some() && offset.is_none() {
                    self.repairs.splits = self.repairs.splits.saturating_add(1);
                }
                let offset = offset.unwrap_or(fresh);
                self.tracks[track].offset = Some(offset);
                self.restart_window(now);
                offset
            }
        }
    }

    /// Whether a jump leads to where the other track is already: two resets came between two of its units, and it
    /// took over the offset of the first.
    fn is_nearer_the_other(&self, track: usize, time: i64, now: MediaTime) -> bool {
        let distance =
            |track: &Track| track.last.map(|(last, arrival)| (time - last - now.since(arrival)).abs());
        let (own, other) = (distance(&self.tracks[track]), distance(&self.tracks[1 - track]));
        own.zip(other).is_some_and(|(own, other)| other < own / 2)
    }

    fn restart_window(&mut self, now: MediaTime) {
        (self.window_start, self.least, self.most) = (now, i64::MAX, [i64::MIN; 2]);
    }

    /// Watches how far ahead of its time units arrive, and moves the offset when a whole window agrees.
    fn watch(&mut self, track: usize, lead: i64, now: MediaTime) {
        let lead = lead - self.lift;
        self.least = self.least.min(lead);
        self.most[track] = self.most[track].max(lead);
        let length = now.since(self.window_start);
        if length < WINDOW {
            return;
        }
        // Of the later track: sound that comes after its picture needs the time too.
        let most = self.most.into_iter().filter(|most| *most > i64::MIN).min().unwrap_or(self.target);
        let correction = if most < TOO_LATE {
            self.repairs.moves = self.repairs.moves.saturating_add(1);
            self.target - most
        } else if self.least > self.target + TOO_EARLY {
            self.repairs.moves = self.repairs.moves.saturating_add(1);
            self.target - self.least
        } else {
            // The quickest unit of a window shows the clocks' difference best: queues only add delay.
            let deviation = self.target - most;
            let limit = SLEW_PER_SECOND * (length / MS) / 1000;
            let slew = if deviation.abs() > DEAD_BAND { deviation.clamp(-limit, limit) } else { 0 };
            self.drift += slew;
            slew
        };
        for track in &mut self.tracks {
            track.offset = track.offset.map(|offset| offset + correction);
        }
        self.restart_window(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MediaTime {
        MediaTime(((1_000_000 + ms) * MS) as u64)
    }

    /// Feeds video every 40 ms; returns the last unit's lead in ms.
    fn feed(timeline: &mut Timeline, stamps: impl Iterator<Item = (u32, i64)>) -> i64 {
        let mut lead = 0;
        for (stamp, arrival) in stamps {
            let due = timeline.map(Kind::Video, Stamp::Millis(stamp), 0, at(arrival));
            lead = due.dts.since(at(arrival)) / MS;
        }
        lead
    }

    #[test]
    fn the_first_unit_is_due_the_target_after_it_arrives() {
        let mut timeline = Timeline::new(250);
        let due = timeline.map(Kind::Video, Stamp::Millis(777), 80 * MS, at(0));
        assert_eq!((due.dts, due.pts, due.wait), (at(250), at(330), 0));
        let audio = timeline.map(Kind::Audio, Stamp::Millis(790), 0, at(5));
        assert_eq!(audio.pts, at(263), "sound shares the picture's offset");
    }

    #[test]
    fn a_wrap_at_2_to_the_32_is_a_small_step() {
        let mut timeline = Timeline::new(250);
        let start = u32::MAX - 100;
        timeline.map(Kind::Video, Stamp::Millis(start), 0, at(0));
        let due = timeline.map(Kind::Video, Stamp::Millis(start.wrapping_add(200)), 0, at(200));
        assert_eq!(due.dts, at(450));
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn a_reset_of_the_encoders_clock_goes_on_at_the_target() {
        let mut timeline = Timeline::new(250);
        feed(&mut timeline, (0..50).map(|n| (500_000 + n * 40, i64::from(n) * 40)));
        let lead = feed(&mut timeline, (0..50).map(|n| (n * 40, 2000 + i64::from(n) * 40)));
        assert!((240..=260).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs().jumps, 1);
    }

    #[test]
    fn a_stall_and_its_burst_do_not_move_the_offset() {
        let mut timeline = Timeline::new(250);
        feed(&mut timeline, (0..100).map(|n| (n * 40, i64::from(n) * 40)));
        // 1.5 s of nothing, then everything at once, then as before.
        let lead = feed(&mut timeline, (100..300).map(|n| (n * 40, (i64::from(n) * 40).max(5500))));
        assert!((240..=260).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs().moves, 0);
    }

    #[test]
    fn a_publisher_late_for_good_is_moved_later() {
        let mut timeline = Timeline::new(250);
        feed(&mut timeline, (0..50).map(|n| (n * 40, i64::from(n) * 40)));
        let lead = feed(&mut timeline, (50..200).map(|n| (n * 40, i64::from(n) * 40 + 900)));
        assert!((200..=260).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs().moves, 1);
    }

    #[test]
    fn drift_of_100_ppm_is_followed_over_an_hour() {
        let mut timeline = Timeline::new(250);
        let lead = feed(
            &mut timeline,
            (0..90_000).map(|n| (n * 40, i64::from(n) * 40 - i64::from(n) * 40 / 10_000)),
        );
        assert!((230..=270).contains(&lead), "{lead}");
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn both_tracks_jump_and_stay_in_step() {
        let mut timeline = Timeline::new(250);
        let mut unit = |kind, stamp, arrival| timeline.map(kind, Stamp::Millis(stamp), 0, at(arrival)).dts;
        unit(Kind::Video, 500_000, 0);
        unit(Kind::Audio, 500_010, 10);
        let video = unit(Kind::Video, 0, 40);
        unit(Kind::Audio, 500_033, 45); // still on the old clock
        let audio = unit(Kind::Audio, 20, 160); // comes late, and is heard in step all the same
        assert_eq!(audio.since(video), 20 * MS);
    }

    #[test]
    fn two_resets_between_two_pictures_leave_sound_and_picture_in_step() {
        let mut timeline = Timeline::new(250);
        let mut unit = |kind, stamp, arrival| timeline.map(kind, Stamp::Millis(stamp), 0, at(arrival)).dts;
        unit(Kind::Video, 500_000, 0);
        unit(Kind::Audio, 500_000, 0);
        unit(Kind::Audio, 300_020, 20);
        unit(Kind::Video, 298_040, 40);
        unit(Kind::Audio, 298_040, 40);
        let (video, audio) = (unit(Kind::Video, 298_080, 80), unit(Kind::Audio, 298_080, 80));
        assert_eq!(audio.since(video), 0);
    }

    #[test]
    fn tracks_on_clocks_of_their_own_do_not_pull_at_each_other() {
        let mut timeline = Timeline::new(250);
        for n in 0..100 {
            timeline.map(Kind::Video, Stamp::Millis(n * 40), 0, at(i64::from(n) * 40));
            let due = timeline.map(Kind::Audio, Stamp::Millis(900_000 + n * 40), 0, at(i64::from(n) * 40));
            assert_eq!(due.dts, at(i64::from(n) * 40 + 250));
        }
        assert_eq!(timeline.repairs(), Repairs { splits: 1, ..Repairs::default() });
    }

    #[test]
    fn a_file_sent_at_once_is_held_to_real_time() {
        let mut timeline = Timeline::new(250);
        let mut now = 0;
        for n in 0..3000 {
            let due = timeline.map(Kind::Video, Stamp::Millis(n * 40), 0, at(0).offset(now));
            now += due.wait;
            assert!(due.dts.since(at(0).offset(now)) <= timeline.limit_nanos());
        }
        assert_eq!(timeline.repairs(), Repairs::default());
        assert!((now / MS - (2999 * 40 - 2000)).abs() < 100, "{} ms", now / MS);
    }

    #[test]
    fn sound_that_comes_long_after_its_picture_is_waited_for() {
        let mut timeline = Timeline::new(250);
        let mut lead = 0;
        for n in 0..300_i64 {
            timeline.map(Kind::Video, Stamp::Millis(n as u32 * 40), 0, at(n * 40));
            if n >= 15 {
                let stamp = (n as u32 - 15) * 40;
                lead =
                    timeline.map(Kind::Audio, Stamp::Millis(stamp), 0, at(n * 40)).dts.since(at(n * 40)) / MS;
            }
        }
        assert!(lead > 200, "{lead}");
        assert_eq!(timeline.repairs().moves, 1);
    }

    #[test]
    fn negative_composition_offsets_keep_the_order_of_pictures() {
        let mut timeline = Timeline::new(250);
        let mut shown = Vec::new();
        for (n, cts) in [0, 80, -40, -40, 0, 80, -40, -40].into_iter().enumerate() {
            let stamp = Stamp::Millis(n as u32 * 40);
            let due = timeline.map(Kind::Video, stamp, cts * MS, at(n as i64 * 40));
            assert!(due.pts >= due.dts);
            shown.push(due.pts.since(at(0)) / MS);
        }
        assert_eq!(shown[4..], [450, 570, 490, 530]);
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        fn stamp() -> impl Strategy<Value = Stamp> {
            prop_oneof![
                any::<u32>().prop_map(Stamp::Millis),
                (0_u32..5_000).prop_map(Stamp::Millis),
                any::<i64>().prop_map(Stamp::Nanos)
            ]
        }

        /// Back to zero, far away, a little back.
        fn jump() -> impl Strategy<Value = u32> {
            prop_oneof![any::<u32>(), (1_000_u32..10_000).prop_map(u32::wrapping_neg)]
        }

        proptest! {
            /// Whatever comes: decode times grow, nothing is shown before it is decoded or far ahead.
            #[test]
            fn times_grow_and_are_not_far_ahead(
                units in prop::collection::vec((any::<bool>(), stamp(), any::<i64>(), 0_i64..4_000), 1..400),
            ) {
                let mut timeline = Timeline::new(250);
                let (mut now, mut last) = (at(0), [None; 2]);
                for (is_audio, stamp, cts, gap) in units {
                    now = now.offset(gap * MS);
                    let kind = if is_audio { Kind::Audio } else { Kind::Video };
                    let due = timeline.map(kind, stamp, cts, now);
                    now = now.offset(due.wait);
                    prop_assert!(due.pts >= due.dts);
                    prop_assert!(due.dts.since(now) <= timeline.limit_nanos());
                    prop_assert!(due.pts.since(now) <= timeline.limit_nanos() + 2 * MOST_REORDER);
                    prop_assert!(last[usize::from(is_audio)].is_none_or(|last| due.dts > last));
                    last[usize::from(is_audio)] = Some(due.dts);
                }
            }

            /// A real session with everything that goes wrong in one: uneven delivery, stalls, a wrap, jumps of
            /// the encoder's clock, drift. Sound and picture stay within 40 ms wherever both are on one clock.
            #[test]
            fn sound_and_picture_stay_in_step(
                start in prop_oneof![Just(0_u32), Just(u32::MAX - 5_000), any::<u32>()],
                delays in prop::collection::vec(0_i64..200, 1200),
                stalls in prop::collection::vec((0_usize..1200, 0_i64..2_500), 0..4),
                jumps in prop::collection::vec((100_usize..1100, jump()), 0..3),
                ppm in -200_i64..200,
                reorder in 0_i64..120,
            ) {
                let mut timeline = Timeline::new(250);
                // What is wrong with sound by its own stamps and with the picture by its own, at each unit.
                let (mut arrival, mut base, mut settled) = (0, start, 0);
                let mut skews: [Option<i64>; 2] = [None; 2];
                for (n, delay) in delays.iter().enumerate() {
                    let media = n as i64 * 20; // sound every 20 ms, a picture every 40
                    for (_, jump) in jumps.iter().filter(|(when, _)| *when == n) {
                        base = base.wrapping_add(*jump);
                        (skews, settled) = ([None; 2], n + 5);
                    }
                    let stall: i64 = stalls.iter().filter(|(when, _)| *when == n).map(|(_, ms)| *ms).sum();
                    arrival = (media * (1_000_000 + ppm) / 1_000_000 + delay).max(arrival + stall);
                    let kinds: &[Kind] = if n % 2 == 0 { &[Kind::Video, Kind::Audio] } else { &[Kind::Audio] };
                    for kind in kinds {
                        let before = timeline.repairs();
                        let stamp = Stamp::Millis(base.wrapping_add(media as u32));
                        let cts = if *kind == Kind::Video { reorder * MS } else { 0 };
                        let due = timeline.map(*kind, stamp, cts, at(arrival));
                        let after = timeline.repairs();
                        if after.jumps + after.moves != before.jumps + before.moves {
                            (skews, settled) = ([None; 2], n + 5);
                        }
                        if after.backward == before.backward && n > settled {
                            let shown = due.pts.since(at(media)) - cts;
                            skews[usize::from(*kind == Kind::Audio)] = Some(shown);
                        }
                        if let [Some(picture), Some(sound)] = skews {
                            prop_assert!((picture - sound).abs() <= 40 * MS, "{} ms", (picture - sound) / MS);
                        }
                    }
                }
            }
        }
    }
}
