//! Pictures of imported products, fetched after the products are there: one after the other from a queue, some at a time.
//!
//! Paths lead into the import directory; addresses are fetched by the rules of `fetch`. A picture that cannot be had leaves
//! the product as it is, and a line in [`Progress`].

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;

use crate::control::{Doors, fetch};
use crate::state::{Command, State};
use crate::store::pictures::MOST_BYTES;

/// At a time; other people's servers are behind some of them.
const AT_ONCE: usize = 4;
/// Of all imports together; further ones are told as problems.
const MOST_WAITING: usize = 50_000;
/// Problems that are kept, the newest.
const MOST_PROBLEMS: usize = 200;

/// A picture that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Whose.
    pub sku: String,
    /// In words.
    pub reason: String,
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Pictures that are not there yet.
    pub waiting: usize,
    /// Pictures of this run that are.
    pub done: usize,
    /// Those that could not be had, the newest.
    pub problems: Vec<Problem>,
}

/// A product's picture, and where it is.
#[derive(Debug)]
struct Wanted {
    sku: String,
    source: String,
    /// What it had when this was asked for: what somebody gives it meanwhile stays.
    before: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Wanted>,
    is_running: bool,
    under_way: usize,
    progress: Progress,
}

/// The queue. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Fetching {
    inner: Arc<Mutex<Inner>>,
    changes: watch::Sender<u64>,
}

impl Fetching {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let inner = self.lock();
        Progress { waiting: inner.waiting.len() + inner.under_way, ..inner.progress.clone() }
    }

    /// Counts what happens.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Fetches the pictures of products, each from its source, while the server runs. `state` is what they were wanted for.
    pub fn add(&self, doors: &Doors, state: &State, pictures: Vec<(String, String)>) {
        if pictures.is_empty() {
            return;
        }
        let mut inner = self.lock();
        if !inner.is_running {
            inner.progress = Progress::default();
        }
        for (sku, source) in pictures {
            if inner.waiting.len() < MOST_WAITING {
                let before = state.products.get(&sku).and_then(|product| product.image.clone());
                inner.waiting.push_back(Wanted { sku, source, before });
            } else {
                note(&mut inner.progress, sku, "too many pictures wait".into());
            }
        }
        if !std::mem::replace(&mut inner.is_running, true) {
            let (queue, doors) = (self.clone(), doors.clone());
            tokio::spawn(async move {
                let stop = doors.stop.clone();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = queue.run(&doors) => {}
                }
            });
        }
        drop(inner);
        self.changes.send_modify(|n| *n += 1);
    }

    async fn run(&self, doors: &Doors) {
        let waiting = stream::iter(std::iter::from_fn(|| self.next()));
        waiting.for_each_concurrent(AT_ONCE, |wanted| self.fetch(doors, wanted)).await;
    }

    /// The next of the queue; who finds it empty leaves, and the next to add something begins anew.
    fn next(&self) -> Option<Wanted> {
        let mut inner = self.lock();
        let next = inner.waiting.pop_front();
        inner.is_running = next.is_some();
        inner.under_way += usize::from(next.is_some());
        next
    }

    async fn fetch(&self, doors: &Doors, Wanted { sku, source, before }: Wanted) {
        let (pictures, directory) = (doors.pictures.clone(), doors.import_dir.clone());
        let hosts = doors.picture_hosts.clone();
        let added = tokio::task::spawn_blocking(move || {
            let bytes = bytes_of(&directory, &source, &hosts)?;
            pictures.add(&bytes).map_err(|error| format!("{source}: {error}"))
        });
        let image = added.await.unwrap_or_else(|error| Err(error.to_string()));
        let outcome = match image {
            Ok(_) if image_of(doors, &sku) != before => Ok(()),
            Ok(image) => {
                let command = Command::SetImage { sku: sku.clone(), image: Some(image) };
                doors.director.apply(command).await.map(drop).map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        };
        let mut inner = self.lock();
        inner.under_way -= 1;
        match outcome {
            Ok(()) => inner.progress.done += 1,
            Err(reason) => note(&mut inner.progress, sku, reason),
        }
        drop(inner);
        self.changes.send_modify(|n| *n += 1);
    }
}

fn image_of(doors: &Doors, sku: &str) -> Option<String> {
    doors.director.state().products.get(sku)?.image.clone()
}

fn note(progress: &mut Progress, sku: String, reason: String) {
    if progress.problems.len() >= MOST_PROBLEMS {
        progress.problems.remove(0);
    }
    progress.problems.push(Problem { sku, reason });
}

fn bytes_of(directory: &Path, source: &str, hosts: &[String]) -> Result<Vec<u8>, String> {
    if source.starts_with("http://") || source.starts_with("https://") {
        return fetch::fetch(source, hosts).map_err(|error| format!("{source}: {error}"));
    }
    let file =
        std::fs::File::open(inside(directory, source)?).map_err(|error| format!("{source}: {error}"))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| format!("{source}: {error}"))?;
    Ok(bytes)
}

/// A file in `directory` only: a list from elsewhere must not read the server's other files.
pub(super) fn inside(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("{name}: a path inside the import directory is wanted"));
    }
    Ok(directory.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_directory() {
        for source in ["../secret.png", "/etc/passwd", "a/../../b"] {
            assert!(bytes_of(Path::new("/tmp"), source, &[]).unwrap_err().contains("inside"), "{source}");
        }
    }
}
