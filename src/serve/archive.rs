//! Shows on disk: a folder for each, with the segments that were on air and `show.json`.
//!
//! Segments are linked from where the live playlist has them: keeping a show costs a name each, no copy. A folder holds
//! all that playing it takes. What goes wrong here is told, and never touches what is live.

use std::path::{Path, PathBuf};

use super::disk;
use crate::config;
use crate::package::metadata::DateRange;
use crate::package::show::{self, Show, Track};
use crate::package::storyboard::Sheet;
use crate::package::window::Segment;
use crate::time::WallTime;

/// The file that tells of a show.
const ABOUT: &str = "show.json";
/// Segments of all tracks after which `show.json` is written again: a crash leaves it so much behind.
const SAVE_EVERY: u32 = 60;

const GB: u64 = 1_000_000_000;

/// Why a show is not kept whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too little is free.
    #[error("Less than {0} GB of the disk are free: the show is not archived")]
    Full(u32),
    /// A file.
    #[error("The show cannot be archived: {0}")]
    File(String),
}

/// A publisher is in the picture.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The segment that is on air.
    pub segment: u64,
    /// When it begins.
    pub start: WallTime,
    /// The multivariant playlist.
    pub multivariant: String,
}

/// A channel's shows.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    rules: config::Archive,
    tracks: Vec<Track>,
    current: Option<Show>,
    unsaved: u32,
    problem: Option<String>,
}

impl Archive {
    /// Opens the folder `folder`. A show that a crash or a stop has cut off goes on when its last segment is younger than
    /// the gap that ends a show.
    pub fn open(folder: PathBuf, rules: config::Archive, tracks: Vec<Track>, now: WallTime) -> Self {
        let mut archive = Self { folder, rules, tracks, current: None, unsaved: 0, problem: None };
        let cut_off: Vec<Show> =
            list(&archive.folder).into_iter().filter(|show| show.end.is_none()).collect();
        for show in cut_off {
            archive.current = Some(show);
            let last = archive.last_end().unwrap_or_default();
            if now.0 - last.0 > archive.rules.gap_ms() {
                archive.finish();
            }
        }
        archive.prune(now);
        archive
    }

    /// When the newest kept segment of the present show ends.
    fn last_end(&self) -> Option<WallTime> {
        let show = self.current.as_ref()?;
        let track = show.tracks.first()?;
        let kept = disk::scan(&self.folder.join(&show.id).join(&track.name), track.timescale);
        show::end(&kept)
    }

    /// What is wrong now.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    /// The show goes on, or begins.
    pub(super) fn note_live(&mut self, moment: &Moment) {
        let tracks = &self.tracks;
        let show = self.current.get_or_insert_with(|| Show {
            id: show::id(moment.start),
            start: moment.start,
            end: None,
            first_segment: moment.segment,
            last_segment: moment.segment,
            tracks: tracks.clone(),
            multivariant: String::new(),
            ranges: Vec::new(),
            bytes: None,
        });
        show.last_segment = show.last_segment.max(moment.segment);
        if !moment.multivariant.is_empty() {
            show.multivariant.clone_from(&moment.multivariant);
        }
        show.tracks.clone_from(&self.tracks);
    }

    /// Keeps a segment that lies in the folder `live`, when it belongs to a show.
    pub(super) fn keep(&mut self, live: &Path, track: &str, segment: &Segment) {
        let Some(show) = self.current.as_ref().filter(|show| segment.number >= show.first_segment) else {
            return;
        };
        let into = self.folder.join(&show.id).join(track);
        let outcome = self.linked(&live.join(track), &into, segment);
        self.note(outcome);
        self.unsaved += 1;
        if self.unsaved >= SAVE_EVERY || self.unsaved == 1 && !into.with_file_name(ABOUT).exists() {
            self.save();
        }
    }

    fn linked(&self, from: &Path, into: &Path, segment: &Segment) -> Result<(), Error> {
        let name = disk::file(segment);
        let target = into.join(&name);
        let parent = target.parent().unwrap_or(into);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        let free = rustix::fs::statvfs(into).map_or(u64::MAX, |about| about.f_bavail * about.f_frsize);
        if free < u64::from(self.rules.free_gb) * GB {
            return Err(Error::Full(self.rules.free_gb));
        }
        link(&from.join(&*segment.init), &into.join(&*segment.init))?;
        link(&from.join(&name), &target)
    }

    /// Keeps pictures for scrubbing that lie in the folder `live`, while a show is on.
    pub(super) fn keep_sheet(&mut self, live: &Path, sheet: &Sheet) {
        let Some(show) = &self.current else { return };
        let into = self.folder.join(&show.id);
        let [from, to] =
            [live, into.as_path()].map(|folder| folder.join(disk::STORYBOARD).join(sheet.file()));
        let parent = to.parent().unwrap_or(&into);
        let made = std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error));
        let outcome = made.and_then(|()| link(&from, &to));
        if outcome.is_ok() {
            disk::forget_sheets(&into, |other| other.number == sheet.number && other != sheet);
        }
        self.note(outcome);
    }

    fn note(&mut self, outcome: Result<(), Error>) {
        self.problem = outcome.err().map(|error| error.to_string());
    }

    /// Takes over what is on air.
    pub(super) fn learn(&mut self, ranges: &[DateRange]) {
        if let Some(show) = &mut self.current {
            show.learn(ranges);
            self.save();
        }
    }

    /// The present show is over: it ends with the last segment that had a publisher's picture.
    pub(super) fn finish(&mut self) {
        self.problem = None; // it was of this show
        let Some(show) = &self.current else { return };
        let folder = self.folder.join(&show.id);
        for track in &show.tracks {
            let into = folder.join(&track.name);
            for late in disk::scan(&into, track.timescale).iter().filter(|s| s.number > show.last_segment) {
                let _ = std::fs::remove_file(into.join(disk::file(late))); // not there: nothing to do
            }
        }
        let end = self.last_end();
        if end.is_none() {
            let _ = std::fs::remove_dir_all(&folder); // nothing was kept: nothing is shown
            self.current = None;
            return;
        }
        if let Some(show) = &mut self.current {
            (show.end, show.bytes) = (end, Some(bytes(&folder)));
        }
        self.save();
        self.current = None;
        self.prune(WallTime::now());
    }

    fn save(&mut self) {
        self.unsaved = 0;
        let Some(show) = &self.current else { return };
        let text = serde_json::to_vec_pretty(show).expect("a show has no failing parts");
        let path = self.folder.join(&show.id).join(ABOUT);
        let outcome = disk::whole(&path, [text.into()].iter());
        if let Err(error) = outcome {
            self.problem = Some(error.in_words());
        }
    }

    /// Deletes shows that are too old, and the oldest while all together are too large.
    fn prune(&self, now: WallTime) {
        let oldest = now.0 - i64::from(self.rules.keep_days) * 86_400_000;
        let mut room = u64::from(self.rules.keep_gb) * GB;
        let over = list(&self.folder).into_iter().rev().filter(|show| show.end.is_some());
        for (n, show) in over.enumerate() {
            room = room.saturating_sub(size(&self.folder, &show));
            let is_too_much = room == 0 && n > 0; // the newest is what somebody waits for
            if is_too_much || show.end.is_some_and(|end| end.0 < oldest) {
                tracing::info!("show {} is deleted: over [archive] keep_days or keep_gb", show.id);
                let _ = remove(&self.folder, &show.id); // tried again with the next show
            }
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::File(format!("{}: {error}", path.display()))
}

/// Links a file, or copies it where the disk knows no links.
fn link(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        return Ok(());
    }
    std::fs::hard_link(from, to)
        .or_else(|_| std::fs::copy(from, to).map(|_| ()))
        .map_err(|error| failed(from, &error))
}

/// The shows in a channel's folder, the oldest first.
pub fn list(folder: &Path) -> Vec<Show> {
    let mut found: Vec<Show> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| read(&entry.path()))
        .collect();
    found.sort_by_key(|show| show.start);
    found
}

/// The show in a folder.
pub fn read(folder: &Path) -> Option<Show> {
    serde_json::from_slice(&std::fs::read(folder.join(ABOUT)).ok()?).ok()
}

/// Deletes a show that is over.
///
/// # Errors
/// When a file cannot be deleted; the show is not listed any more all the same.
pub fn remove(folder: &Path, id: &str) -> std::io::Result<()> {
    let folder = folder.join(id);
    std::fs::remove_file(folder.join(ABOUT))?; // from here on it is not there
    std::fs::remove_dir_all(folder)
}

/// Bytes of a show in a channel's folder. Blocks while it goes on.
pub fn size(folder: &Path, show: &Show) -> u64 {
    show.bytes.unwrap_or_else(|| bytes(&folder.join(&show.id)))
}

/// Bytes of all files in a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}
