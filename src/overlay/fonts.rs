//! The fonts that cards are drawn with: those installed, found by file name. Reads files; draws nothing.

use std::path::{Path, PathBuf};

use takumi::prelude::{FontResource, FontSource, Fonts, GenericFamily};

/// A font that cards want, and what is missing without it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The file's name, without its ending.
    pub file: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// The Debian and Ubuntu package that has it.
    pub package: &'static str,
}

/// In the order of preference.
pub const WANTED: [Wanted; 5] = [
    Wanted { file: "NotoSans-Regular", purpose: "Latin, Greek, Cyrillic", package: "fonts-noto-core" },
    Wanted { file: "NotoSans-Bold", purpose: "Latin, Greek, Cyrillic in bold", package: "fonts-noto-core" },
    Wanted { file: "NotoSansCJK-Regular", purpose: "Chinese, Japanese, Korean", package: "fonts-noto-cjk" },
    Wanted {
        file: "NotoSansCJK-Bold",
        purpose: "Chinese, Japanese, Korean in bold",
        package: "fonts-noto-cjk",
    },
    Wanted { file: "NotoColorEmoji", purpose: "emoji", package: "fonts-noto-color-emoji" },
];

/// Where fonts are installed.
const ROOTS: [&str; 3] = ["/usr/share/fonts", "/usr/local/share/fonts", "/opt/homebrew/share/fonts"];
/// How deep below a root files are looked for.
const DEPTH: u32 = 6;

/// The file of each wanted font, if it is installed.
pub fn find() -> Vec<(Wanted, Option<PathBuf>)> {
    let mut files = Vec::new();
    for root in ROOTS {
        collect(Path::new(root), DEPTH, &mut files);
    }
    let found = |wanted: &Wanted| {
        files.iter().find(|path| path.file_stem().is_some_and(|stem| stem == wanted.file)).cloned()
    };
    WANTED.iter().map(|wanted| (*wanted, found(wanted))).collect()
}

fn collect(directory: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, files);
            }
        } else if path.extension().is_some_and(|end| end == "ttf" || end == "otf" || end == "ttc") {
            files.push(path);
        }
    }
}

/// The file in memory for as long as the process lives: fonts are loaded once and never let go.
#[allow(unsafe_code)]
fn mapped(path: &Path) -> std::io::Result<&'static [u8]> {
    let file = std::fs::File::open(path)?;
    // SAFETY: the bytes must not change under us. Package managers replace a font by renaming a new file over
    // it, which leaves this one as it is.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Box::leak(Box::new(map)))
}

/// Loads what is installed of the wanted fonts; what is missing is logged with its package.
pub fn load() -> Fonts {
    let mut fonts = Fonts::default();
    for (wanted, path) in find() {
        let Some(path) = path else {
            tracing::warn!("no font for {}: install the package {}", wanted.purpose, wanted.package);
            continue;
        };
        let registered = mapped(&path).map_err(|error| error.to_string()).and_then(|bytes| {
            let mut font = FontResource::new(FontSource::from_static(bytes));
            if wanted.file == "NotoColorEmoji" {
                font = font.last_resort();
            } else {
                font = font.generic_family(GenericFamily::SANS_SERIF);
            }
            fonts.register(font).map_err(|error| error.to_string())
        });
        if let Err(error) = registered {
            tracing::warn!("the font {} cannot be used: {error}", path.display());
        }
    }
    fonts
}
