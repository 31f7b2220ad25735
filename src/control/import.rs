//! Products from `DATA_DIR/import/products.json`: a list in the API's own words, pictures by path or address.
//!
//! Addresses are fetched from hosts that the configuration names, with limits on time and bytes. A row
//! with a mistake is reported by number and left out; the others are taken. A picture that cannot be had
//! leaves the product with a placeholder and a line in the report.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::{Doors, fetch, message};
use crate::director::Order;
use crate::state::{Card, Command};
use crate::store::pictures::MOST_BYTES;

const MOST_FILE: u64 = 16 * 1024 * 1024;

/// What an import did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Products taken.
    pub taken: usize,
    /// What was wrong, row by row.
    pub problems: Vec<String>,
}

/// Why there is nothing to import.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("{path} cannot be read: {detail}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

/// Whether there is a file to import.
pub fn is_there(import_dir: &Path) -> bool {
    import_dir.join("products.json").exists()
}

/// Which rows are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All: what an operator asks for.
    All,
    /// Products that are not in the catalogue: at a start, when what operators changed since must stand.
    New,
}

/// Imports the file. A product without a card gets one of the same name.
///
/// # Errors
/// [`Error::File`] when the file is not there or not a list.
pub async fn run(doors: &Doors, which: Take) -> Result<Report, Error> {
    let rows = read(&doors.import_dir)?;
    let mut report = Report::default();
    for (n, row) in rows.into_iter().enumerate() {
        let is_known =
            row["sku"].as_str().is_some_and(|sku| doors.director.state().products.contains_key(sku));
        if which == Take::New && is_known {
            continue;
        }
        match take(doors, row).await {
            Ok(None) => report.taken += 1,
            Ok(Some(problem)) => {
                report.taken += 1;
                report.problems.push(format!("row {}: {problem}", n + 1));
            }
            Err(problem) => report.problems.push(format!("row {}: {problem}", n + 1)),
        }
    }
    Ok(report)
}

fn read(import_dir: &Path) -> Result<Vec<Value>, Error> {
    let path = import_dir.join("products.json");
    let failed = |detail: String| Error::File { path: path.clone(), detail };
    let mut text = String::new();
    std::fs::File::open(&path)
        .and_then(|file| file.take(MOST_FILE).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(format!("it is not a list of products: {error}")))
}

/// Takes a row; returns what was wrong with its picture, if anything.
async fn take(doors: &Doors, mut row: Value) -> Result<Option<String>, String> {
    let source = match row.as_object_mut().and_then(|fields| fields.remove("image")) {
        None | Some(Value::Null) => None,
        Some(Value::String(source)) => Some(source),
        Some(_) => return Err("image: it is not a path or an address".into()),
    };
    let action = message::read("PutProduct", Some(row)).map_err(|error| error.to_string())?;
    let message::Action::Change(Order { command: Command::PutProduct(mut product), .. }) = action else {
        return Err("it is not a product".into());
    };
    let mut problem = None;
    // A picture that cannot be had this time does not take the one from before away.
    product.image = doors.director.state().products.get(&product.sku).and_then(|known| known.image.clone());
    if let Some(source) = source {
        let (pictures, directory) = (doors.pictures.clone(), doors.import_dir.clone());
        let hosts = doors.picture_hosts.clone();
        let added = tokio::task::spawn_blocking(move || {
            let bytes = bytes_of(&directory, &source, &hosts)?;
            pictures.add(&bytes).map_err(|error| format!("{source}: {error}"))
        });
        match added.await {
            Ok(Ok(image)) => product.image = Some(image),
            Ok(Err(error)) => problem = Some(format!("image: {error}")),
            Err(error) => problem = Some(format!("image: {error}")),
        }
    }
    let sku = product.sku.clone();
    doors.director.apply(Command::PutProduct(product)).await.map_err(|error| error.to_string())?;
    if !doors.director.state().cards.values().any(|card| card.products().any(|shown| shown == sku)) {
        let card = Card::of_product(&sku, &sku);
        doors.director.apply(Command::PutCard(card)).await.map_err(|error| error.to_string())?;
    }
    Ok(problem)
}

fn bytes_of(directory: &Path, source: &str, hosts: &[String]) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{source}: {error}");
    if source.starts_with("http://") || source.starts_with("https://") {
        return fetch::fetch(source, hosts).map_err(|error| failed(&error));
    }
    let path = Path::new(source);
    // Inside the directory only: a list from elsewhere must not read the server's other files.
    if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(failed(&"a path inside the import directory is wanted"));
    }
    let file = std::fs::File::open(directory.join(path)).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
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
