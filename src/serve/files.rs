//! Files that many viewers ask for one after the other, such as a segment some minutes old: read once, and held in memory
//! while they are asked for. Bounded: what was not asked for longest goes first.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::arena;

/// Bytes that are held.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// A larger file is not held.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The files. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Files(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    files: HashMap<PathBuf, Entry>,
    bytes: usize,
    /// Counts requests: the order of the last ones.
    now: u64,
}

#[derive(Debug, Default)]
struct Entry {
    data: Arc<OnceCell<Bytes>>,
    bytes: usize,
    last: u64,
}

impl Held {
    fn place(&mut self, path: &Path) -> Arc<OnceCell<Bytes>> {
        self.now += 1;
        let entry = self.files.entry(path.into()).or_default();
        entry.last = self.now;
        entry.data.clone()
    }

    /// A file was read: what was not asked for longest is given up for it.
    fn count(&mut self, path: &Path, bytes: usize) {
        let Some(entry) = self.files.get_mut(path) else { return };
        entry.bytes = bytes;
        self.bytes += bytes;
        while self.bytes > MOST_BYTES {
            let oldest = self.files.iter().min_by_key(|(_, entry)| entry.last);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else { return };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, path: &Path) {
        self.bytes -= self.files.remove(path).map_or(0, |entry| entry.bytes);
    }
}

impl Files {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that never changes; nothing when it is too large to be held, or not there.
    pub(super) async fn read(&self, path: &Path) -> Option<Bytes> {
        let place = self.lock().place(path);
        // However many ask, one reads.
        let read = place.get_or_try_init(|| async {
            let about = tokio::fs::metadata(path).await?;
            if about.len() > LARGEST || !about.is_file() {
                return Err(std::io::Error::other("too large"));
            }
            let path_of_file = path.to_owned();
            let read = move || std::fs::read(path_of_file).map(|data| arena::alone(data.into()));
            let data = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
            self.lock().count(path, data.len());
            Ok(data)
        });
        let read = read.await.cloned();
        if read.is_err() {
            self.lock().forget(path);
        }
        read.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_not_asked_for_longest_goes_first() {
        let folder = std::env::temp_dir().join(crate::id::new("vitrine-files"));
        std::fs::create_dir_all(&folder).unwrap();
        let files = Files::default();
        for n in 0..8 {
            let path = folder.join(format!("{n}.m4s"));
            std::fs::write(&path, vec![n; 10 * 1024 * 1024]).unwrap();
            assert_eq!(files.read(&path).await.unwrap()[0], n);
            files.read(&folder.join("0.m4s")).await.unwrap(); // asked for all the time
        }
        assert!(files.read(&folder.join("nothing.m4s")).await.is_none());
        let mut held: Vec<String> = files
            .0
            .lock()
            .unwrap()
            .files
            .keys()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        held.sort();
        assert_eq!(held.first().map(String::as_str), Some("0.m4s"), "{held:?}");
        assert!(held.len() <= 7 && !held.contains(&"1.m4s".into()), "{held:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
