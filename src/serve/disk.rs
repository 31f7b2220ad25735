//! A channel's segments on disk: what viewers go back to, and what is there again after a restart.
//!
//! One file is one segment, and its name says all that a playlist does: `N-START-WALL-TICKS-KEY-D.m4s` in a folder with
//! the name of its initialisation segment. A file is written beside and then renamed, so that it is whole or not
//! there. One thread writes; its queue is bounded, and what does not fit is not kept.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::archive::{Archive, Moment};
use super::live::Live;
use crate::package::grid::Grid;
use crate::package::metadata::DateRange;
use crate::package::storyboard::Sheet;
use crate::package::window::{Kept, Segment};
use crate::time::{MediaTime, WallTime};

/// Segments that wait to be written. More than a minute of a ladder: the disk does not keep up.
const QUEUE: usize = 128;
/// The file of timed metadata.
const RANGES: &str = "ranges.json";
/// The folder of pictures for scrubbing.
pub(super) const STORYBOARD: &str = "storyboard";

/// What is told when the queue is full.
const TOO_SLOW: &str = "The disk does not keep up, and not all segments are kept";

/// Why the disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be used for segments")]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

impl Error {
    /// With its cause, in a line.
    pub(super) fn in_words(&self) -> String {
        format!("{self}: {}", self.source)
    }
}

/// Something to write.
#[derive(Debug)]
enum Job {
    Init {
        track: usize,
        name: String,
        data: Bytes,
    },
    Segment {
        track: usize,
        segment: Box<Segment>,
    },
    Ranges(Vec<DateRange>),
    /// A sheet; those before `oldest` are wanted no more.
    Sheet {
        sheet: Sheet,
        data: Bytes,
        oldest: u64,
    },
    Live(Moment),
    Over,
}

/// A channel's folder.
#[derive(Debug, Clone)]
pub struct Disk {
    folder: PathBuf,
    /// Names and ticks a second of the tracks.
    tracks: Vec<(String, u32)>,
    jobs: SyncSender<Job>,
    /// What did not fit into the queue.
    dropped: Arc<AtomicU64>,
}

/// What writes into the folder, to be run in a thread of its own.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    tracks: Vec<(String, u32)>,
    jobs: Receiver<Job>,
    dropped: Arc<AtomicU64>,
    archive: Option<Archive>,
}

impl Disk {
    /// Opens the folder, made if it is not there. Segments that were cut by another plan than `grid` are deleted:
    /// their numbers mean other times. What is in a show is kept in `archive` too.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(
        folder: &Path,
        tracks: Vec<(String, u32)>,
        grid: &Grid,
        archive: Option<Archive>,
    ) -> Result<(Self, Writer), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error { path, source }
        };
        let plan = folder.join("plan");
        let own = format!("{} frames of {}/{}", grid.frames_per_segment(), grid.rate().num, grid.rate().den);
        if std::fs::read_to_string(&plan).is_ok_and(|known| known != own) {
            std::fs::remove_dir_all(folder).map_err(failed(folder))?;
        }
        for (name, _) in &tracks {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(failed(&path))?;
        }
        std::fs::write(&plan, own).map_err(failed(&plan))?;
        let (sender, jobs) = sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let writer =
            Writer { folder: folder.into(), tracks: tracks.clone(), jobs, dropped: dropped.clone(), archive };
        Ok((Self { folder: folder.into(), tracks, jobs: sender, dropped }, writer))
    }

    /// The whole segments that are there of a track, in order.
    pub fn found(&self, track: usize) -> Vec<Segment> {
        let (name, timescale) = &self.tracks[track];
        scan(&self.folder.join(name), *timescale)
    }

    /// A publisher is in the picture.
    pub fn note_live(&self, moment: Moment) {
        self.send(Job::Live(moment));
    }

    /// The show is over.
    pub fn note_over(&self) {
        self.send(Job::Over);
    }

    /// Keeps an initialisation segment.
    pub fn keep_init(&self, track: usize, name: &str, data: Bytes) {
        self.send(Job::Init { track, name: name.into(), data });
    }

    /// Keeps a whole segment.
    pub fn keep(&self, track: usize, segment: Segment) {
        self.send(Job::Segment { track, segment: Box::new(segment) });
    }

    /// Keeps the timed metadata.
    pub fn keep_ranges<'a>(&self, ranges: impl Iterator<Item = &'a DateRange>) {
        self.send(Job::Ranges(ranges.cloned().collect()));
    }

    /// Keeps pictures for scrubbing, and deletes those of sheets before `oldest`.
    pub fn keep_sheet(&self, sheet: Sheet, data: Bytes, oldest: u64) {
        self.send(Job::Sheet { sheet, data, oldest });
    }

    /// The pictures for scrubbing that are there.
    pub fn sheets(&self) -> Vec<Sheet> {
        sheets(&self.folder)
    }

    /// Where pictures for scrubbing lie.
    pub fn sheet_path(&self, sheet: &Sheet) -> PathBuf {
        self.folder.join(STORYBOARD).join(sheet.file())
    }

    /// The timed metadata that was kept.
    pub fn ranges(&self) -> Vec<DateRange> {
        let text = std::fs::read(self.folder.join(RANGES)).unwrap_or_default();
        if text.is_empty() {
            return Vec::new(); // the first start
        }
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::error!("{} cannot be read: {error}", self.folder.join(RANGES).display());
            Vec::new()
        })
    }

    fn send(&self, job: Job) {
        match self.jobs.try_send(job) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {} // gone: the server ends
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed); // the writer tells
            }
        }
    }

    /// Where a segment lies.
    pub fn segment_path(&self, track: usize, segment: &Segment) -> PathBuf {
        path(&self.folder, &self.tracks[track].0, segment)
    }

    /// Where an initialisation segment lies.
    pub fn init_path(&self, track: usize, name: &str) -> PathBuf {
        self.folder.join(&self.tracks[track].0).join(name)
    }
}

fn path(folder: &Path, track: &str, segment: &Segment) -> PathBuf {
    folder.join(track).join(file(segment))
}

/// A segment's file in the folder of its track.
pub(super) fn file(segment: &Segment) -> String {
    let init = segment.init.strip_suffix(".mp4").unwrap_or(&segment.init);
    format!("{init}/{}", Name::of(segment).text())
}

/// The whole segments that are there in the folder of a track, in order.
pub(super) fn scan(folder: &Path, timescale: u32) -> Vec<Segment> {
    let mut found = Vec::new();
    let inits = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for init in inits.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let file: Arc<str> = format!("{}.mp4", init.file_name().to_string_lossy()).into();
        for entry in std::fs::read_dir(init.path()).into_iter().flatten().flatten() {
            let bytes = entry.metadata().map_or(0, |about| about.len());
            let name = entry.file_name();
            let read = Name::parse(&name.to_string_lossy());
            found.extend(read.map(|read| read.segment(timescale, bytes, file.clone())));
        }
    }
    found.sort_by_key(|segment: &Segment| segment.number);
    found
}

/// The pictures for scrubbing in a folder, in order.
pub(super) fn sheets(folder: &Path) -> Vec<Sheet> {
    let entries = std::fs::read_dir(folder.join(STORYBOARD)).into_iter().flatten().flatten();
    let mut found: Vec<Sheet> =
        entries.filter_map(|entry| Sheet::of(&entry.file_name().to_string_lossy())).collect();
    found.sort();
    found
}

/// Deletes pictures for scrubbing.
pub(super) fn forget_sheets(folder: &Path, is_old: impl Fn(&Sheet) -> bool) {
    for old in sheets(folder).iter().filter(|sheet| is_old(sheet)) {
        let _ = std::fs::remove_file(folder.join(STORYBOARD).join(old.file())); // not there: nothing to do
    }
}

impl Writer {
    /// Writes until the channel is gone. `problem` is told what goes wrong, and nothing when all is well again.
    pub fn run(mut self, live: &Weak<Live>, problem: impl Fn(Option<String>)) {
        let folder = self.folder.display().to_string();
        let mut told: Option<String> = None;
        let mut calm = QUEUE; // jobs since one was dropped
        let mut tell = |text: Option<String>| {
            if told != text {
                if let Some(text) = &text {
                    tracing::error!("{folder}: {text}");
                }
                told.clone_from(&text);
                problem(text);
            }
        };
        while let Ok(job) = self.jobs.recv() {
            match self.write(&job) {
                Ok(()) => {
                    let dropped = self.dropped.swap(0, Ordering::Relaxed);
                    calm = if dropped > 0 { 0 } else { calm.saturating_add(1) };
                    self.archive_it(&job);
                    let slow = (calm < QUEUE).then(|| TOO_SLOW.to_owned());
                    tell(slow.or_else(|| self.archive.as_ref().and_then(Archive::problem)));
                    let Some(live) = live.upgrade() else { return };
                    if let Job::Segment { track, segment, .. } = &job {
                        for gone in live.note_stored(*track, segment.number) {
                            let _ = std::fs::remove_file(gone); // not there: nothing to do
                        }
                    }
                }
                Err(error) => tell(Some(format!("Segments cannot be kept: {}", error.in_words()))),
            }
        }
    }

    fn write(&self, job: &Job) -> Result<(), Error> {
        match job {
            Job::Init { track, name, data } => {
                let path = self.folder.join(&self.tracks[*track].0).join(name);
                whole(&path, [data.clone()].iter())
            }
            Job::Segment { track, segment } => {
                let path = path(&self.folder, &self.tracks[*track].0, segment);
                whole(&path, segment.parts.iter().map(|part| &part.data))
            }
            Job::Ranges(ranges) => {
                let text = serde_json::to_vec(ranges).expect("ranges have no failing parts");
                whole(&self.folder.join(RANGES), [text.into()].iter())
            }
            Job::Sheet { sheet, data, oldest } => {
                let folder = self.folder.join(STORYBOARD);
                whole(&folder.join(sheet.file()), [data.clone()].iter())?;
                forget_sheets(&self.folder, |other| {
                    other.number < *oldest || (other.number == sheet.number && other != sheet)
                });
                Ok(())
            }
            Job::Live(_) | Job::Over => Ok(()),
        }
    }

    fn archive_it(&mut self, job: &Job) {
        let Some(archive) = &mut self.archive else { return };
        match job {
            Job::Init { .. } => {}
            Job::Segment { track, segment } => archive.keep(&self.folder, &self.tracks[*track].0, segment),
            Job::Ranges(ranges) => archive.learn(ranges),
            Job::Sheet { sheet, .. } => archive.keep_sheet(&self.folder, sheet),
            Job::Live(moment) => archive.note_live(moment),
            Job::Over => archive.finish(),
        }
    }
}

/// Writes a file that is whole or not there.
pub(super) fn whole<'a>(path: &Path, data: impl Iterator<Item = &'a Bytes>) -> Result<(), Error> {
    use std::io::Write;
    let beside = path.with_extension("new");
    let outcome = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
        let mut file = std::fs::File::create(&beside)?;
        for piece in data {
            file.write_all(piece)?;
        }
        std::fs::rename(&beside, path)
    });
    outcome.map_err(|source| {
        let _ = std::fs::remove_file(&beside); // half of it only takes room
        Error { path: path.into(), source }
    })
}

/// A file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    number: u64,
    start: u64,
    wall: u64,
    ticks: u64,
    key_bytes: u32,
    discontinuities: u64,
    is_discontinuous: bool,
}

impl Name {
    fn of(segment: &Segment) -> Self {
        Self {
            number: segment.number,
            start: segment.start.0,
            wall: segment.wall.0.max(0) as u64,
            ticks: segment.ticks,
            key_bytes: segment.key_bytes,
            discontinuities: segment.discontinuities,
            is_discontinuous: segment.is_discontinuous,
        }
    }

    fn text(self) -> String {
        let Self { number, start, wall, ticks, key_bytes, discontinuities, is_discontinuous } = self;
        let mark = if is_discontinuous { "d" } else { "" };
        format!("{number}-{start}-{wall}-{ticks}-{key_bytes}-{discontinuities}{mark}.m4s")
    }

    fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(".m4s")?;
        let (stem, is_discontinuous) = stem.strip_suffix('d').map_or((stem, false), |stem| (stem, true));
        let mut fields = stem.split('-');
        let mut next = || fields.next()?.parse::<u64>().ok();
        let name = Self {
            number: next()?,
            start: next()?,
            wall: next()?,
            ticks: next()?,
            key_bytes: u32::try_from(next()?).ok()?,
            discontinuities: next()?,
            is_discontinuous,
        };
        fields.next().is_none().then_some(name)
    }

    fn segment(self, timescale: u32, bytes: u64, init: Arc<str>) -> Segment {
        Segment {
            number: self.number,
            start: MediaTime(self.start),
            wall: WallTime(self.wall as i64),
            ticks: self.ticks,
            timescale,
            bytes,
            key_bytes: self.key_bytes,
            init,
            parts: Vec::new(),
            whole: Bytes::new(),
            is_complete: true,
            is_discontinuous: self.is_discontinuous,
            discontinuities: self.discontinuities,
            kept: Kept::Disk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_all_and_others_are_left_alone() {
        let name = Name {
            number: 12,
            start: 24_000_000_000,
            wall: 1_790_000_000_000,
            ticks: 60_000,
            key_bytes: 31_000,
            discontinuities: 4,
            is_discontinuous: true,
        };
        assert_eq!(name.text(), "12-24000000000-1790000000000-60000-31000-4d.m4s");
        assert_eq!(Name::parse(&name.text()), Some(name));
        for other in ["12.m4s", "12-1-2-3-4-5.new", "x-1-2-3-4-5.m4s", "1-2-3-4-5-6-7.m4s", "1-2-3-4-5-d.m4s"]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
