//! `vitrine card …`: tools for those who design cards. They draw as the server does and need none running.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::designs;
use crate::config::{Config, Theme};
use crate::overlay::content::{Content, Look};
use crate::overlay::fonts::Fonts;
use crate::overlay::raster::{self, Raster};
use crate::overlay::sheet;
use crate::overlay::template::manifest::Sample;
use crate::overlay::template::{self, Design, Library};

/// Where the QR of a drawn sample leads.
const LINK: &str = "https://shop.example/go/preview0";

/// Why a card was not drawn or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template has a mistake.
    #[error("{0}")]
    Fault(template::Fault),
    /// There is none of that name.
    #[error("there is no template {name:?}; there are {known}")]
    NoTemplate {
        /// The name.
        name: String,
        /// The others.
        known: String,
    },
    /// The data.
    #[error("{path} cannot be used: {detail}")]
    Data {
        /// Which file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Drawing.
    #[error(transparent)]
    Draw(#[from] raster::Error),
    /// A file.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The name of a new one.
    #[error("{name:?} cannot be the name of a template: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
}

/// What to do with cards.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draw one card.
    Render(Render),
    /// Make a starter in the data directory's `cards`.
    New {
        /// Its name: letters, digits, - and _.
        name: String,
    },
    /// Draw all templates in both layouts and themes on one sheet.
    Sheet {
        /// The PNG to write.
        #[arg(short, long)]
        output: PathBuf,
        /// Only the templates of the program, with the font in the binary.
        #[arg(long)]
        built_in: bool,
    },
}

/// Draws one card.
#[derive(Debug, Args)]
pub struct Render {
    /// The template's name.
    template: String,
    /// Its data: `{"data":{…},"products":[…],"step":1}`; without a file the template's own sample.
    data: Option<PathBuf>,
    /// The PNG to write.
    #[arg(short, long)]
    output: PathBuf,
    /// For a standing picture.
    #[arg(long)]
    portrait: bool,
    /// In the dark theme.
    #[arg(long)]
    dark: bool,
    /// Times its size for 1280x720.
    #[arg(long, default_value_t = 1.0)]
    scale: f32,
}

/// Runs one command.
///
/// # Errors
/// [`Error`].
pub fn run(config: &Config, command: &Command) -> Result<(), Error> {
    match command {
        Command::Render(render) => draw_one(config, render),
        Command::New { name } => make(config, name),
        Command::Sheet { output, built_in } => {
            let (library, fonts) = if *built_in {
                (Library::built_in(), Fonts::bundled())
            } else {
                (designs::read(&directory(config), None), Fonts::load(&config.overlay.fonts))
            };
            let raster = Raster::new(fonts, sample_pictures(PathBuf::new()));
            write(output, &sheet::draw(&library, &raster, LINK)?.to_png())
        }
    }
}

fn directory(config: &Config) -> PathBuf {
    config.overlay.cards.clone().unwrap_or_else(|| config.data_dir.join("cards"))
}

/// A product's `image` is a sample's name, or a file beside the data.
fn sample_pictures(beside: PathBuf) -> raster::PictureBytes {
    std::sync::Arc::new(move |id| {
        template::sample_picture(id).or_else(|| std::fs::read(beside.join(id)).ok())
    })
}

fn draw_one(config: &Config, render: &Render) -> Result<(), Error> {
    let library = designs::read(&directory(config), None);
    if let Some(fault) = library.faults.iter().find(|fault| fault.template == render.template) {
        return Err(Error::Fault(fault.clone()));
    }
    let Some(design) = library.designs.get(&render.template) else {
        let known: Vec<&str> = library.designs.keys().map(String::as_str).collect();
        return Err(Error::NoTemplate { name: render.template.clone(), known: known.join(", ") });
    };
    let sample = match &render.data {
        None => design.native.sample.clone(),
        Some(path) => read_data(path, design)?,
    };
    let beside = render.data.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let raster = Raster::new(Fonts::load(&config.overlay.fonts), sample_pictures(beside));
    let usual = config.channels.iter().find(|channel| channel.name == "main").map(|main| main.look.clone());
    let mut configured = usual.unwrap_or_default();
    if render.dark {
        configured.theme = Theme::Dark;
    }
    let look = Look { configured, is_portrait: render.portrait };
    let drawn = raster.whole(design, &Content::of_sample(design, &look, &sample), render.scale)?;
    for missing in &drawn.missing {
        tracing::warn!("{missing}");
    }
    write(&render.output, &drawn.with_code(LINK).to_png())
}

fn read_data(path: &Path, design: &Design) -> Result<Sample, Error> {
    let failed = |detail: String| Error::Data { path: path.into(), detail };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let sample: Sample = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    design.template.check(&sample.data).map_err(|error| failed(error.to_string()))?;
    Ok(sample)
}

fn make(config: &Config, name: &str) -> Result<(), Error> {
    let refuse = |reason| Error::Name { name: name.to_owned(), reason };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.is_empty() || name.len() > 40 || !name.chars().all(is_plain) {
        return Err(refuse("it takes letters, digits, - and _"));
    }
    let folder = directory(config).join(name);
    if folder.exists() {
        return Err(refuse("there is one already"));
    }
    let failed = |source| Error::Write { path: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    for (file, bytes) in template::starter() {
        let is_manifest = file.ends_with(".ograf.json");
        let (file, bytes) = if is_manifest {
            let text = String::from_utf8_lossy(&bytes);
            let text = text
                .replace("vitrine.product", &format!("own.{name}"))
                .replace("\"Product\"", &format!("{name:?}"));
            (format!("{name}.ograf.json"), text.into_bytes())
        } else {
            (file, bytes)
        };
        write(&folder.join(file), &bytes)?;
    }
    tracing::info!("made {}; a running server uses it at once", folder.display());
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|source| Error::Write { path: path.into(), source })
}
