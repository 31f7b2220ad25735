//! A channel's media as viewers may fetch it: the packaged windows, and one finished document for each playlist
//! version, however many wait for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::archive::Moment;
use super::arena::Arena;
use super::demand::Demand;
use super::disk::Disk;
use super::document::{Document, checksum};
use crate::media::Kind;
use crate::package::grid::Grid;
use crate::package::metadata::Ranges;
use crate::package::playlist::{self, Extent, Media};
use crate::package::segmenter::Part;
use crate::package::window::{Edge, Lookup, Window};
use crate::time::{MediaTime, Stopwatch, WallTime};

/// The track of a publisher's own picture and sound.
pub const CLEAN_TRACK: &str = "source";
/// Its segments that are listed: of two seconds mostly, and six at most. All is in memory, as a publisher sends it.
const CLEAN_LISTED: usize = 10;
/// Initialisation segments that are held: a publisher that changes its mind all the time takes no more memory.
const MOST_INITS: usize = 64;

/// One version of a media playlist.
#[derive(Debug)]
pub struct Edition {
    /// What comes next.
    pub edge: Edge,
    /// Whether a whole segment is listed, in every rendition.
    pub is_playable: bool,
    /// Parts of every finished segment.
    pub parts_per_segment: u32,
    /// How long ago it was made.
    pub age: Stopwatch,
    full: Document,
    delta: Document,
    delta_of_ranges: Document,
    key_frames: Arc<Document>,
}

impl Default for Edition {
    fn default() -> Self {
        Self {
            edge: Edge::default(),
            is_playable: false,
            parts_per_segment: 1,
            age: Stopwatch::start(),
            full: Document::default(),
            delta: Document::default(),
            delta_of_ranges: Document::default(),
            key_frames: Arc::default(),
        }
    }
}

impl Edition {
    /// Whether part `part` of segment `segment` is in it; without `part`, the whole segment.
    ///
    /// Source: draft-pantos-hls-rfc8216bis-22 6.2.5.2. A part past the last of a finished segment means
    /// the first of the next, which is there when anything of the next is.
    pub fn has(&self, segment: u64, part: Option<u32>) -> bool {
        match part {
            None => self.edge.segment > segment,
            Some(part) => {
                let next = segment.saturating_add(1);
                self.edge.segment > next
                    || (self.edge.segment == segment && self.edge.part > part)
                    || (self.edge.segment == next && (part < self.parts_per_segment || self.edge.part > 0))
            }
        }
    }

    /// Its text.
    pub fn text(&self, extent: Extent) -> &Document {
        match extent {
            Extent::Full => &self.full,
            Extent::Delta => &self.delta,
            Extent::DeltaOfRanges => &self.delta_of_ranges,
        }
    }

    /// The playlist of its key frames.
    pub fn key_frames(&self) -> &Document {
        &self.key_frames
    }
}

/// A rendition.
#[derive(Debug, Clone)]
pub struct Track {
    /// The directory of its media, and its playlist without the ending.
    pub name: String,
    /// Picture or sound.
    pub kind: Kind,
}

/// What a request for media gets.
#[derive(Debug)]
pub enum File {
    /// From memory, in pieces that are shared.
    Memory(Vec<Bytes>),
    /// From disk.
    Disk(PathBuf),
}

/// A channel's media.
#[derive(Debug)]
pub struct Live {
    grid: Grid,
    epoch: WallTime,
    tracks: Vec<Track>,
    /// Whether every segment starts with a key frame.
    is_independent: bool,
    inner: Mutex<Inner>,
    multivariant: watch::Sender<Option<[Arc<Document>; 2]>>,
    /// Told before the edition that lists it: who waits for a part has it first.
    arrivals: Vec<watch::Sender<()>>,
    editions: Vec<watch::Sender<Arc<Edition>>>,
    disk: Option<Disk>,
    /// Apart from segments, which stay longer.
    parts: Arena,
    segments: Arena,
    /// What its players ask for.
    pub demand: Demand,
}

#[derive(Debug)]
struct Inner {
    windows: Vec<Window>,
    /// Each initialisation segment under its file name; old ones stay, addresses never change meaning.
    inits: Vec<(usize, Arc<str>, Bytes)>,
    ranges: Ranges,
    /// Whether the ranges changed since they were kept.
    is_noted: bool,
}

impl Live {
    /// A channel of `tracks` that lists `listed` segments and was started `restarts` times before. What lies on
    /// `disk` of them is listed too.
    pub fn new(
        grid: Grid,
        epoch: WallTime,
        listed: usize,
        restarts: u64,
        tracks: Vec<Track>,
        disk: Option<Disk>,
    ) -> Self {
        let found: Vec<_> = (0..tracks.len())
            .map(|track| disk.as_ref().map_or_else(Vec::new, |disk| disk.found(track)))
            .collect();
        // The same number in all renditions.
        let before = found.iter().flatten().map(|segment| segment.discontinuities).max();
        let discontinuities = before.map_or(restarts, |before| before + 1);
        let windows = found.into_iter().map(|found| {
            let mut window = Window::new(grid, epoch, listed, discontinuities);
            window.restore(found);
            window
        });
        let ranges = Ranges::restored(disk.as_ref().map_or_else(Vec::new, Disk::ranges));
        let inner = Inner { windows: windows.collect(), inits: Vec::new(), ranges, is_noted: false };
        Self {
            grid,
            epoch,
            arrivals: tracks.iter().map(|_| watch::Sender::default()).collect(),
            editions: tracks.iter().map(|_| watch::Sender::default()).collect(),
            tracks,
            is_independent: true,
            inner: Mutex::new(inner),
            multivariant: watch::Sender::new(None),
            disk,
            parts: Arena::default(),
            segments: Arena::default(),
            demand: Demand::default(),
        }
    }

    /// A publisher's own picture and sound, in one track, cut where the publisher's key frames are. It goes back as far as
    /// memory does.
    pub fn clean(grid: Grid, epoch: WallTime, discontinuities: u64) -> Self {
        let track = Track { name: CLEAN_TRACK.into(), kind: Kind::Video };
        let live = Self::new(grid, epoch, CLEAN_LISTED, discontinuities, vec![track], None);
        Self { is_independent: false, ..live }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The renditions: rungs, then the sound.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The rendition with a name.
    pub fn track(&self, name: &str) -> Option<usize> {
        self.tracks.iter().position(|track| track.name == name)
    }

    /// Whether a track has a playlist of key frames.
    pub fn has_key_frames(&self, track: usize) -> bool {
        self.is_independent && self.tracks[track].kind == Kind::Video
    }

    /// Sets a track's initialisation segment. Its name comes from its bytes.
    pub fn set_init(&self, track: usize, bytes: Bytes) {
        let name: Arc<str> = format!("init-{:08x}.mp4", checksum(&bytes) as u32).into();
        if let Some(disk) = &self.disk {
            disk.keep_init(track, &name, bytes.clone());
        }
        let mut inner = self.lock();
        inner.inits.retain(|(of, known, _)| (*of, known) != (track, &name));
        inner.inits.push((track, name, bytes));
        if inner.inits.len() > MOST_INITS {
            inner.inits.remove(0);
        }
    }

    /// What is published next in a track begins something else.
    pub fn break_here(&self, track: usize) {
        self.lock().windows[track].break_here();
    }

    /// Sets the multivariant playlist, and the one without the sound alone.
    pub fn set_multivariant(&self, text: String, without_sound_alone: String) {
        let both = [text, without_sound_alone].map(|text| Arc::new(Document::new(text)));
        self.multivariant.send_replace(Some(both));
    }

    /// Changes the timed metadata; the next playlist of each track has it. `now` is programme time.
    pub fn note(&self, now: MediaTime, change: impl FnOnce(&mut Ranges)) {
        let mut inner = self.lock();
        change(&mut inner.ranges);
        let first = inner.windows.iter().filter_map(|window| window.listed().next().map(|s| s.wall)).min();
        inner.ranges.trim(first.unwrap_or_else(|| self.wall_of(now)), now, playlist::skip_nanos(&self.grid));
        inner.is_noted = true;
    }

    /// A publisher is in the picture, in the segment on air.
    pub fn note_live(&self, segment: u64) {
        let Some(disk) = &self.disk else { return };
        let start = self.wall_of(self.grid.segment_start(segment));
        let multivariant = self.multivariant.borrow().as_ref().map(|[text, _]| text.plain());
        disk.note_live(Moment { segment, start, multivariant: multivariant.unwrap_or_default() });
    }

    /// Nobody has published for so long that the show is over.
    pub fn note_over(&self) {
        if let Some(disk) = &self.disk {
            disk.note_over();
        }
    }

    /// Adds a part and issues the playlist that lists it.
    pub fn publish(&self, track: usize, part: Part) {
        let part = Part { data: self.parts.keep(std::slice::from_ref(&part.data)), ..part };
        let mut inner = self.lock();
        let init = inner.inits.iter().rev().find(|(of, _, _)| *of == track).map(|(_, name, _)| name.clone());
        let (number, is_last) = (part.segment, part.is_last);
        inner.windows[track].push(part, &init.unwrap_or_default());
        if let Some(disk) = self.disk.as_ref().filter(|_| is_last)
            && let Some(whole) = inner.windows[track].find(number).filter(|segment| !segment.is_gap())
        {
            disk.keep(track, whole.clone());
        }
        if let Some(disk) = self.disk.as_ref().filter(|_| inner.is_noted) {
            inner.is_noted = false; // once for each part, however many changed
            disk.keep_ranges(inner.ranges.all());
        }
        let before = self.editions[track].borrow().clone();
        let edition = self.edition(&inner, track, &before);
        drop(inner);
        self.arrivals[track].send_replace(());
        self.editions[track].send_replace(Arc::new(edition));
        if is_last {
            self.join(track, number);
        }
    }

    /// A whole segment goes out in one piece from now on.
    fn join(&self, track: usize, number: u64) {
        let found = self.lock().windows[track].segment(number);
        if let Lookup::Ready(pieces) = found {
            let whole = self.segments.keep(&pieces);
            self.lock().windows[track].join(number, whole);
        }
    }

    fn edition(&self, inner: &Inner, track: usize, before: &Edition) -> Edition {
        let window = &inner.windows[track];
        let others: Vec<(String, Edge)> = (0..self.tracks.len())
            .filter(|other| *other != track)
            .map(|other| (playlist::file(&self.tracks[other].name), inner.windows[other].edge()))
            .collect();
        let media = Media {
            grid: &self.grid,
            directory: &self.tracks[track].name,
            others: &others,
            ranges: &inner.ranges,
            is_independent: self.is_independent,
        };
        let edge = window.edge();
        let text = |extent| Document::new(playlist::media(window, &media, extent));
        let is_same = before.edge.segment == edge.segment || !self.has_key_frames(track);
        let key_frames = if is_same {
            before.key_frames.clone()
        } else {
            Arc::new(Document::new(playlist::key_frames(window, &media)))
        };
        Edition {
            edge,
            is_playable: inner.windows.iter().all(Window::has_whole_segment),
            parts_per_segment: window.newest_parts().unwrap_or(self.grid.parts_per_segment()),
            age: Stopwatch::start(),
            full: text(Extent::Full),
            delta: text(Extent::Delta),
            delta_of_ranges: text(Extent::DeltaOfRanges),
            key_frames,
        }
    }

    /// A whole segment lies on disk now. Returns the files that nobody can ask for any more.
    pub fn note_stored(&self, track: usize, number: u64) -> Vec<PathBuf> {
        let Some(disk) = &self.disk else { return Vec::new() };
        let gone = self.lock().windows[track].note_stored(number);
        gone.iter().map(|segment| disk.segment_path(track, segment)).collect()
    }

    /// Follows a track's playlist.
    pub fn follow(&self, track: usize) -> watch::Receiver<Arc<Edition>> {
        self.editions[track].subscribe()
    }

    /// The multivariant playlist, waited for while the channel starts; with or without the sound alone as a choice.
    pub async fn multivariant(&self, has_sound_alone: bool) -> Option<Arc<Document>> {
        let mut receiver = self.multivariant.subscribe();
        let found = tokio::time::timeout(self.patience(), receiver.wait_for(Option::is_some)).await;
        let [whole, without] = found.ok()?.ok()?.clone()?;
        Some(if has_sound_alone { whole } else { without })
    }

    /// When the oldest listed segment starts.
    pub fn first_listed(&self) -> Option<MediaTime> {
        self.lock().windows.iter().filter_map(|window| window.listed().next().map(|s| s.start)).min()
    }

    /// The civil time of a programme time, as in `EXT-X-PROGRAM-DATE-TIME`.
    pub fn wall_of(&self, time: MediaTime) -> WallTime {
        WallTime(self.epoch.0 + time.as_millis() as i64)
    }

    /// `EXT-X-TARGETDURATION` in seconds, on which all times of waiting and keeping depend.
    pub fn target_seconds(&self) -> u64 {
        self.grid.target_duration()
    }

    /// How many parts ahead a client may ask: the Advance Part Limit.
    pub fn advance_parts(&self) -> u32 {
        if self.grid.part_target() < 1.0 { (3.0 / self.grid.part_target()).ceil() as u32 } else { 3 }
    }

    /// Parts in a finished segment.
    pub fn parts_per_segment(&self) -> u32 {
        self.grid.parts_per_segment()
    }

    /// How far behind `now` a player plays that keeps to the first track's `PART-HOLD-BACK`: as far as the newest part's end
    /// was behind when it was listed, and that.
    pub fn delay(&self, now: MediaTime) -> Option<Duration> {
        let edition = self.editions.first()?.borrow().clone();
        if edition.edge == Edge::default() {
            return None;
        }
        let end = self.grid.part_start(edition.edge.segment, edition.edge.part);
        let behind = Duration::from_nanos(now.0.saturating_sub(end.0)).saturating_sub(edition.age.elapsed());
        Some(behind + Duration::from_secs_f64(playlist::part_hold_back(&self.grid)))
    }

    /// How long it takes until whoever was answered so asks again. Who asked ahead, waited so long and will again; who asked late
    /// has as much less to ask for. Without a directive it is after a target duration.
    pub fn worth(
        &self,
        (segment, part): (Option<u64>, Option<u32>),
        arrival: Edge,
        now: &Edition,
    ) -> Duration {
        let Some(segment) = segment else { return Duration::from_secs(self.target_seconds()) };
        let each = f64::from(self.grid.frames_per_segment()) / self.grid.rate().as_f64();
        let per_segment = u64::from(now.parts_per_segment.max(1));
        let place = |edge: Edge| edge.segment * per_segment + u64::from(edge.part);
        let wanted = match part {
            Some(part) => place(Edge { segment, part }) + 1,
            None => place(Edge { segment: segment.saturating_add(1), part: 0 }),
        };
        let waited = wanted.saturating_sub(place(arrival));
        let behind = (place(now.edge) + 1).saturating_sub(wanted);
        // No player asks for more than a playlist's end at a time.
        let parts = waited.max(behind).clamp(1, per_segment * 2);
        let part_seconds =
            if self.is_independent { each / per_segment as f64 } else { self.grid.part_target() };
        Duration::from_secs_f64(parts as f64 * part_seconds)
    }

    /// How long a request is held at most.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.target_seconds() * 3)
    }

    /// The file `name` of a track: an initialisation segment, a segment or a part. What comes next is
    /// waited for, so that no byte of a part is sent before all of it can be.
    pub async fn file(&self, track: usize, name: &str) -> Option<File> {
        if let Some(digits) = name.strip_prefix("init-") {
            let inner = self.lock();
            let found = inner.inits.iter().find(|(of, known, _)| *of == track && **known == *name);
            let is_name =
                digits.strip_suffix(".mp4").is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let on_disk = || self.disk.as_ref().filter(|_| is_name).map(|disk| disk.init_path(track, name));
            return found
                .map(|(_, _, bytes)| File::Memory(vec![bytes.clone()]))
                .or_else(|| on_disk().map(File::Disk));
        }
        let (segment, part) = media_name(name)?;
        let mut arrivals = self.arrivals[track].subscribe();
        let waited = tokio::time::timeout(self.patience(), async {
            loop {
                // Seen before the look-up, so that a part published between the two is not missed.
                arrivals.borrow_and_update();
                match self.look_up(track, segment, part) {
                    Found::File(file) => return Some(file),
                    Found::Absent => return None,
                    Found::Next => arrivals.changed().await.ok()?,
                }
            }
        });
        waited.await.ok().flatten()
    }

    fn look_up(&self, track: usize, segment: u64, part: Option<u32>) -> Found {
        let inner = self.lock();
        let window = &inner.windows[track];
        match part.map_or_else(|| window.segment(segment), |part| window.part(segment, part)) {
            Lookup::Ready(bytes) => Found::File(File::Memory(bytes)),
            Lookup::Stored => self
                .disk
                .as_ref()
                .zip(window.find(segment))
                .map_or(Found::Absent, |(disk, of)| Found::File(File::Disk(disk.segment_path(track, of)))),
            Lookup::Next => Found::Next,
            Lookup::Absent => Found::Absent,
        }
    }
}

enum Found {
    File(File),
    Next,
    Absent,
}

/// `123.m4s` or `123.4.m4s`.
fn media_name(name: &str) -> Option<(u64, Option<u32>)> {
    let stem = name.strip_suffix(".m4s")?;
    match stem.split_once('.') {
        Some((segment, part)) => Some((segment.parse().ok()?, Some(part.parse().ok()?))),
        None => Some((stem.parse().ok()?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hls;
    use crate::media::FrameRate;

    fn edition(segment: u64, part: u32) -> Edition {
        Edition { edge: Edge { segment, part }, parts_per_segment: 6, ..Edition::default() }
    }

    #[test]
    fn a_part_past_the_last_means_the_first_of_the_next_segment() {
        assert!(!edition(7, 0).has(6, Some(6)), "segment 6 has parts 0 to 5; the next has none yet");
        assert!(edition(7, 0).has(6, Some(5)));
        assert!(edition(7, 1).has(6, Some(6)));
        assert!(edition(7, 3).has(7, Some(2)) && !edition(7, 3).has(7, Some(3)));
        assert!(edition(7, 3).has(6, None) && !edition(7, 3).has(7, None));
        assert!(edition(9, 0).has(6, Some(40)));
    }

    #[test]
    fn every_way_of_asking_stands_for_the_time_until_it_asks_again() {
        let grid = Grid::new(FrameRate { num: 30, den: 1 }, &Hls::default());
        let track = Track { name: "video".into(), kind: Kind::Video };
        let live = Live::new(grid, WallTime(0), 6, 0, vec![track], None);
        let at = |segment, part| Edge { segment, part };
        let millis = |asked, arrival, now| {
            let edition = Edition { edge: now, ..edition(0, 0) };
            live.worth(asked, arrival, &edition).as_millis()
        };
        assert_eq!(millis((Some(7), Some(2)), at(7, 2), at(7, 3)), 333, "with every part");
        assert_eq!(millis((Some(7), Some(2)), at(7, 5), at(7, 5)), 1000, "far from here: three parts late");
        assert_eq!(millis((Some(7), Some(5)), at(7, 0), at(8, 0)), 2000, "for a segment's last part");
        assert_eq!(millis((Some(7), None), at(7, 0), at(8, 0)), 2000, "for a segment");
        assert_eq!(millis((None, None), at(7, 0), at(7, 0)), 2000, "again and again");
        assert_eq!(
            millis((Some(1), Some(0)), at(70, 0), at(70, 0)),
            4000,
            "who was away is one all the same"
        );
    }

    #[test]
    fn names_of_media_are_numbers() {
        assert_eq!(media_name("12.m4s"), Some((12, None)));
        assert_eq!(media_name("12.3.m4s"), Some((12, Some(3))));
        assert_eq!(media_name("12.3.4.m4s"), None);
        assert_eq!(media_name("../x.m4s"), None);
    }
}
