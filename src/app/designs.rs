//! Keeps the templates in use like the operator's folder: reads it again when a file in it changes.
//!
//! It looks once a second instead of being told, because network folders and editors that replace files tell
//! unreliably; a look costs a few system calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::control::Shelf;
use crate::director::DirectorHandle;
use crate::overlay::studio::Studio;
use crate::overlay::template::Library;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file's name, length and time of change.
type Print = Vec<(PathBuf, u64, Option<std::time::SystemTime>)>;

/// Reads the templates at the start and tells what is wrong with any.
pub(super) fn read(directory: &Path, before: Option<&Library>) -> Library {
    let library = Library::read(Some(directory), before);
    for fault in &library.faults {
        tracing::warn!("template {fault}; the last good version stays in use, if there was one");
    }
    library
}

/// What producers are told of a library.
pub(super) fn shelf(library: &Library) -> Shelf {
    Shelf { faults: library.faults.iter().map(ToString::to_string).collect() }
}

/// Follows the folder until it is dropped.
pub(super) async fn follow(
    directory: PathBuf,
    studio: Arc<Studio>,
    director: DirectorHandle,
    shelf: watch::Sender<Shelf>,
) {
    let look = || {
        let directory = directory.clone();
        async move { tokio::task::spawn_blocking(move || print(&directory)).await.unwrap_or_default() }
    };
    let mut seen = look().await;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = look().await;
        if now == seen {
            continue;
        }
        seen = now;
        let (directory, before) = (directory.clone(), studio.library());
        let Ok(library) = tokio::task::spawn_blocking(move || read(&directory, Some(&before))).await else {
            continue;
        };
        tracing::info!("{} templates read", library.designs.len());
        let (templates, told) = (library.templates(), self::shelf(&library));
        studio.set_library(library);
        if director.set_templates(templates).await.is_err() {
            return;
        }
        shelf.send_replace(told);
    }
}

fn print(directory: &Path) -> Print {
    let inside = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let mut print: Print = inside(directory)
        .iter()
        .flat_map(|folder| inside(folder))
        .filter_map(|path| {
            let data = path.metadata().ok()?;
            Some((path, data.len(), data.modified().ok()))
        })
        .collect();
    print.sort();
    print
}
