//! Templates as data: a folder of HTML, CSS and an OGraf manifest is a card's design. Draws nothing.
//!
//! Those in the binary come from `assets/cards`; folders of the same form in the operator's directory are added
//! or replace them. A mistake is told with its file and line, and the last good version stays in use.

pub mod check;
pub mod manifest;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use rust_embed::RustEmbed;
use takumi::prelude::StyleSheet;

use super::text;
use crate::state::{Template, Templates};
use manifest::Native;

#[derive(RustEmbed)]
#[folder = "assets/cards"]
struct Cards;

/// Styles that every card starts with: colours of the themes, sold-out stamp, turning digits.
const BASE: &str = "base.css";
/// The largest file of a template that is read.
const MOST_BYTES: u64 = 512 * 1024;
const MOST_TEMPLATES: usize = 200;

/// A mistake in a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{template}/{file}:{line}: {detail}")]
pub struct Fault {
    /// The folder.
    pub template: String,
    /// The file in it.
    pub file: String,
    /// From 1; 0 is unknown.
    pub line: usize,
    /// What is wrong.
    pub detail: String,
}

/// A design that can be drawn.
pub struct Design {
    /// What the rules know of it.
    pub template: Template,
    /// Our part of the manifest.
    pub native: Native,
    /// With the templates `card` and perhaps `crawl`.
    pub environment: Environment<'static>,
    /// The styles as text, for browsers.
    pub css: String,
    /// The styles, read.
    pub sheet: Arc<StyleSheet>,
    /// It has a QR.
    pub has_code: bool,
    /// It has a line that runs through.
    pub has_crawl: bool,
}

impl std::fmt::Debug for Design {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Design({} {})", self.template.id, self.template.version)
    }
}

/// A folder's files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// All designs, and what is wrong with others.
#[derive(Debug, Default)]
pub struct Library {
    /// By folder name.
    pub designs: BTreeMap<String, Arc<Design>>,
    /// What was found wrong at the last reading.
    pub faults: Vec<Fault>,
}

impl Library {
    /// Those in the binary.
    pub fn built_in() -> Self {
        Self::default().with(&embedded())
    }

    /// Those in the binary, and over them the folders in `directory`. `before` is what was in use: a template
    /// that is broken now stays as it was.
    pub fn read(directory: Option<&Path>, before: Option<&Self>) -> Self {
        let mut library = Self::built_in();
        let Some(directory) = directory else { return library };
        let own = folders(directory);
        library = library.with(&own);
        for fault in &library.faults {
            if let Some(good) = before.and_then(|before| before.designs.get(&fault.template)) {
                library.designs.insert(fault.template.clone(), good.clone());
            }
        }
        library
    }

    fn with(mut self, folders: &BTreeMap<String, Files>) -> Self {
        for (id, files) in folders.iter().take(MOST_TEMPLATES) {
            match compile(id, files) {
                Ok(design) => {
                    self.designs.insert(id.clone(), Arc::new(design));
                }
                Err(fault) => self.faults.push(fault),
            }
        }
        self
    }

    /// For the rules.
    pub fn templates(&self) -> Templates {
        Templates(Arc::new(
            self.designs.iter().map(|(id, design)| (id.clone(), design.template.clone())).collect(),
        ))
    }
}

fn embedded() -> BTreeMap<String, Files> {
    let mut folders: BTreeMap<String, Files> = BTreeMap::new();
    for path in Cards::iter() {
        if let (Some((folder, name)), Some(file)) = (path.split_once('/'), Cards::get(&path)) {
            if folder == "samples" {
                continue;
            }
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), file.data.into_owned());
        }
    }
    folders
}

fn folders(directory: &Path) -> BTreeMap<String, Files> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_name = |name: &str| {
        !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    entries
        .filter_map(|entry| {
            let id = entry.file_name().into_string().ok().filter(|name| is_name(name) && name.len() <= 64)?;
            let files: Files = std::fs::read_dir(entry.path())
                .ok()?
                .flatten()
                .filter(|file| file.metadata().is_ok_and(|data| data.is_file() && data.len() <= MOST_BYTES))
                .filter_map(|file| {
                    Some((file.file_name().into_string().ok()?, std::fs::read(file.path()).ok()?))
                })
                .collect();
            files.keys().any(|name| name.ends_with(".ograf.json")).then_some((id, files))
        })
        .collect()
}

/// Reads one template's files.
fn compile(id: &str, files: &Files) -> Result<Design, Fault> {
    let fault =
        |file: &str, line, detail: String| Fault { template: id.into(), file: file.into(), line, detail };
    let text = |name: &str| -> Result<Option<String>, Fault> {
        let Some(bytes) = files.get(name) else { return Ok(None) };
        String::from_utf8(bytes.clone()).map(Some).map_err(|_| fault(name, 0, "it is not UTF-8 text".into()))
    };
    let needed = |name: &str| text(name)?.ok_or_else(|| fault(name, 0, "the file is missing".into()));
    let manifest_name = files.keys().find(|name| name.ends_with(".ograf.json")).cloned();
    let manifest_name = manifest_name.unwrap_or_else(|| format!("{id}.ograf.json"));
    let (template, native) = manifest::read(id, version(files), &needed(&manifest_name)?)
        .map_err(|wrong| fault(&manifest_name, wrong.line, wrong.detail))?;

    let (card, crawl) = (needed("card.html")?, text("crawl.html")?);
    let own_css = text("card.css")?.unwrap_or_default();
    check::css(&own_css).map_err(|(line, detail)| fault("card.css", line, detail))?;
    let css = base_css() + &own_css;
    let has_crawl = crawl.is_some();
    let has_code = card.contains("src=\"code\"");
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // A misspelt field is a mistake; asking whether a field is there is none.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // A field that is not filled in is nothing to be seen.
    environment.set_formatter(|out, state, value| {
        if value.is_none() { Ok(()) } else { minijinja::escape_formatter(out, state, value) }
    });
    environment.set_fuel(Some(500_000));
    environment.add_filter("masked", |name: String| text::masked(&name));
    environment.add_filter("compact", text::compact);
    for (name, source) in [("card", Some(card)), ("crawl", crawl)] {
        let Some(source) = source else { continue };
        let file = format!("{name}.html");
        check::html(&source).map_err(|(line, detail)| fault(&file, line, detail))?;
        environment
            .add_template_owned(name, source)
            .map_err(|error| fault(&file, error.line().unwrap_or(0), words(&error)))?;
    }
    let sheet = Arc::new(StyleSheet::parse_loosy(&css));
    let design = Design { template, native, environment, css, sheet, has_code, has_crawl };
    for name in ["card"].into_iter().chain(has_crawl.then_some("crawl")) {
        let content = super::content::Content::sample(&design, &super::content::Look::default());
        super::content::fill(&design, &content, name)
            .map_err(|error| fault(&format!("{name}.html"), error.line().unwrap_or(0), words(&error)))?;
    }
    Ok(design)
}

/// An error of the template language without its own mention of file and line.
fn words(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

fn base_css() -> String {
    Cards::get(BASE).map_or_else(String::new, |file| String::from_utf8_lossy(&file.data).into_owned())
}

/// Changes with any byte of any file.
fn version(files: &Files) -> String {
    let mut all = Vec::new();
    for (name, bytes) in files {
        all.extend_from_slice(name.as_bytes());
        all.push(0);
        all.extend_from_slice(bytes);
    }
    all.extend_from_slice(base_css().as_bytes());
    let digest = crate::id::digest(&all).0;
    format!(
        "{:012x}",
        u64::from_be_bytes([0, 0, digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]])
    )
}

/// The files of a starter, for `vitrine card new`.
pub fn starter() -> Vec<(String, Vec<u8>)> {
    embedded().remove("product").into_iter().flatten().collect()
}

/// A picture that samples show, by its id: `sample-cup`.
pub fn sample_picture(id: &str) -> Option<Vec<u8>> {
    let is_name =
        id.starts_with("sample-") && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_name.then(|| Cards::get(&format!("samples/{id}.png"))).flatten().map(|file| file.data.into_owned())
}
