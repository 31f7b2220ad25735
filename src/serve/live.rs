//! A channel's media as viewers may fetch it: the packaged windows, and one finished document for each playlist
//! version, built and compressed once however many wait for it.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::watch;

use crate::media::Kind;
use crate::package::grid::Grid;
use crate::package::playlist::{self, Media};
use crate::package::segmenter::Part;
use crate::package::window::{Edge, Lookup, Window};
use crate::time::{MediaTime, WallTime};

/// A text in both forms that are sent.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// As it is.
    pub plain: Bytes,
    /// Compressed.
    pub gzip: Bytes,
}

impl Document {
    /// Compresses `text`.
    pub fn new(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::default());
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        Self { plain: text.into(), gzip: gzip.expect("writing to memory does not fail").into() }
    }
}

/// One version of a media playlist.
#[derive(Debug, Clone, Default)]
pub struct Edition {
    /// What comes next.
    pub edge: Edge,
    /// Whether a whole segment is listed.
    pub is_playable: bool,
    /// Parts of every finished segment.
    pub parts_per_segment: u32,
    /// The text.
    pub document: Document,
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
}

/// A channel's media.
#[derive(Debug)]
pub struct Live {
    grid: Grid,
    epoch: WallTime,
    windows: Mutex<Windows>,
    multivariant: watch::Sender<Option<Document>>,
    video: watch::Sender<Arc<Edition>>,
    audio: watch::Sender<Arc<Edition>>,
}

#[derive(Debug)]
struct Windows {
    video: Window,
    audio: Window,
    /// Each initialisation segment under its file name; old ones stay, addresses never change meaning.
    inits: Vec<(Kind, String, Bytes)>,
}

/// The directory of a track's media, and its playlist without the ending.
pub fn track_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
    }
}

impl Live {
    /// A channel that lists `listed` segments and was started `restarts` times before.
    pub fn new(grid: Grid, epoch: WallTime, listed: usize, restarts: u64) -> Self {
        let window = || Window::new(grid, listed, restarts);
        let windows = Windows { video: window(), audio: window(), inits: Vec::new() };
        Self {
            grid,
            epoch,
            windows: Mutex::new(windows),
            multivariant: watch::Sender::new(None),
            video: watch::Sender::default(),
            audio: watch::Sender::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a track's initialisation segment. Its name comes from its bytes.
    pub fn set_init(&self, kind: Kind, bytes: Bytes) {
        let name = format!("init-{:08x}.mp4", checksum(&bytes));
        let mut windows = self.lock();
        windows.inits.retain(|(_, known, _)| *known != name);
        windows.inits.push((kind, name, bytes));
    }

    /// Sets the multivariant playlist.
    pub fn set_multivariant(&self, text: String) {
        self.multivariant.send_replace(Some(Document::new(text)));
    }

    /// Adds a part and issues the playlist that lists it.
    pub fn publish(&self, part: Part) {
        let kind = part.kind;
        let mut windows = self.lock();
        windows.window(kind).push(part);
        let init = windows.inits.iter().rev().find(|(of, _, _)| *of == kind).map(|(_, name, _)| name.clone());
        let other = match kind {
            Kind::Video => ("audio.m3u8", windows.audio.edge()),
            Kind::Audio => ("video.m3u8", windows.video.edge()),
        };
        let (grid, epoch) = (&self.grid, self.epoch);
        let directory = track_name(kind);
        let window = windows.window(kind);
        let init = init.unwrap_or_default();
        let text = playlist::media(window, &Media { grid, epoch, directory, init: &init, other });
        let edition = Edition {
            edge: window.edge(),
            is_playable: window.has_whole_segment(),
            parts_per_segment: self.grid.parts_per_segment(),
            document: Document::new(text),
        };
        drop(windows);
        self.editions(kind).send_replace(Arc::new(edition));
    }

    fn editions(&self, kind: Kind) -> &watch::Sender<Arc<Edition>> {
        match kind {
            Kind::Video => &self.video,
            Kind::Audio => &self.audio,
        }
    }

    /// Follows a track's playlist.
    pub fn follow(&self, kind: Kind) -> watch::Receiver<Arc<Edition>> {
        self.editions(kind).subscribe()
    }

    /// The multivariant playlist, waited for while the channel starts.
    pub async fn multivariant(&self) -> Option<Document> {
        let mut receiver = self.multivariant.subscribe();
        let found = tokio::time::timeout(self.patience(), receiver.wait_for(Option::is_some)).await;
        found.ok()?.ok().and_then(|document| document.clone())
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

    /// How long a request is held at most.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.target_seconds() * 3)
    }

    /// The file `name` of a track: an initialisation segment, a segment or a part. What comes next is
    /// waited for, so that no byte of a part is sent before all of it can be.
    pub async fn file(&self, kind: Kind, name: &str) -> Option<Vec<Bytes>> {
        if name.starts_with("init-") {
            let windows = self.lock();
            let found = windows.inits.iter().find(|(of, known, _)| *of == kind && known == name);
            return found.map(|(_, _, bytes)| vec![bytes.clone()]);
        }
        let (segment, part) = media_name(name)?;
        let mut editions = self.follow(kind);
        let waited = tokio::time::timeout(self.patience(), async {
            loop {
                // Seen before the look-up, so that a part published between the two is not missed.
                editions.borrow_and_update();
                match self.look_up(kind, segment, part) {
                    Lookup::Ready(bytes) => return Some(bytes),
                    Lookup::Absent => return None,
                    Lookup::Next => editions.changed().await.ok()?,
                }
            }
        });
        waited.await.ok().flatten()
    }

    fn look_up(&self, kind: Kind, segment: u64, part: Option<u32>) -> Lookup {
        let mut windows = self.lock();
        let window = windows.window(kind);
        part.map_or_else(|| window.segment(segment), |part| window.part(segment, part))
    }
}

impl Windows {
    fn window(&mut self, kind: Kind) -> &mut Window {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }
}

/// `123.m4s` or `123.4.m4s`.
fn media_name(name: &str) -> Option<(u64, Option<u32>)> {
    let stem = name.strip_suffix(".m4s")?;
    match stem.split_once('.') {
        Some((segment, part)) => Some((segment.parse().ok()?, Some(part.parse().ok()?))),
        None => Some((stem.parse().ok()?, None)),
    }
}

/// FNV-1a: names, not secrets.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn names_of_media_are_numbers() {
        assert_eq!(media_name("12.m4s"), Some((12, None)));
        assert_eq!(media_name("12.3.m4s"), Some((12, Some(3))));
        assert_eq!(media_name("12.3.4.m4s"), None);
        assert_eq!(media_name("../x.m4s"), None);
    }
}
