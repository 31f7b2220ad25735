//! A channel's segments on disk: what viewers go back to, and what is there again after a restart.
//!
//! One file is one segment, and its name says all that a playlist does: `N-START-WALL-TICKS-KEY-D.m4s` in a folder with
//! the name of its initialisation segment. A file is written beside and then renamed, so that it is whole or not
//! there. One thread writes; its queue is bounded, and what does not fit is not kept.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::live::Live;
use crate::package::grid::Grid;
use crate::package::metadata::DateRange;
use crate::package::window::{Kept, Segment};
use crate::time::{MediaTime, WallTime};

/// Segments that wait to be written. More than a minute of a ladder: the disk does not keep up.
const QUEUE: usize = 128;

/// The file of timed metadata.
const RANGES: &str = "ranges.json";

/// Why the disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be used for segments")]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// Something to write.
#[derive(Debug)]
enum Job {
    Init { track: usize, name: String, data: Bytes },
    Segment { track: usize, segment: Box<Segment> },
    Ranges(Bytes),
}

/// A channel's folder.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    /// Names and ticks a second of the tracks.
    tracks: Vec<(String, u32)>,
    jobs: SyncSender<Job>,
}

/// What writes into the folder, to be run in a thread of its own.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    tracks: Vec<(String, u32)>,
    jobs: Receiver<Job>,
}

impl Disk {
    /// Opens the folder, made if it is not there. Segments that were cut by another plan than `grid` are deleted:
    /// their numbers mean other times.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(folder: &Path, tracks: Vec<(String, u32)>, grid: &Grid) -> Result<(Self, Writer), Error> {
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
        let writer = Writer { folder: folder.into(), tracks: tracks.clone(), jobs };
        Ok((Self { folder: folder.into(), tracks, jobs: sender }, writer))
    }

    /// The whole segments that are there of a track, in order.
    pub fn found(&self, track: usize) -> Vec<Segment> {
        let (name, timescale) = &self.tracks[track];
        let mut found = Vec::new();
        let inits = std::fs::read_dir(self.folder.join(name)).into_iter().flatten().flatten();
        for init in inits.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let file: Arc<str> = format!("{}.mp4", init.file_name().to_string_lossy()).into();
            for entry in std::fs::read_dir(init.path()).into_iter().flatten().flatten() {
                let bytes = entry.metadata().map_or(0, |about| about.len());
                let name = entry.file_name();
                let read = Name::parse(&name.to_string_lossy());
                found.extend(read.map(|read| read.segment(*timescale, bytes, file.clone())));
            }
        }
        found.sort_by_key(|segment: &Segment| segment.number);
        found
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
        let text = serde_json::to_vec(&ranges.collect::<Vec<_>>());
        self.send(Job::Ranges(text.expect("ranges have no failing parts").into()));
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
                tracing::error!("the disk does not keep up: {} is not kept whole", self.folder.display());
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
    let init = segment.init.strip_suffix(".mp4").unwrap_or(&segment.init);
    folder.join(track).join(init).join(Name::of(segment).text())
}

impl Writer {
    /// Writes until the channel is gone. `problem` is told what goes wrong, and nothing when all is well again.
    pub fn run(self, live: &Weak<Live>, problem: impl Fn(Option<String>)) {
        let mut is_failing = false;
        while let Ok(job) = self.jobs.recv() {
            match self.write(&job) {
                Ok(()) => {
                    if std::mem::take(&mut is_failing) {
                        problem(None);
                    }
                    let Some(live) = live.upgrade() else { return };
                    if let Job::Segment { track, segment, .. } = &job {
                        for gone in live.note_stored(*track, segment.number) {
                            let _ = std::fs::remove_file(gone); // not there: nothing to do
                        }
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!("segments cannot be kept: {error}: {}", error.source);
                        problem(Some(format!("Segments cannot be kept: {}", error.source)));
                    }
                }
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
            Job::Ranges(text) => whole(&self.folder.join(RANGES), [text.clone()].iter()),
        }
    }
}

/// Writes a file that is whole or not there.
fn whole<'a>(path: &Path, data: impl Iterator<Item = &'a Bytes>) -> Result<(), Error> {
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
