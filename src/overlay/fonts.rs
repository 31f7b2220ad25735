//! The fonts that cards are drawn with: one of our own for Latin, Greek and Cyrillic, and those installed for the
//! rest. Knows which letters none of them has, so that a card says so instead of showing boxes.

use std::path::{Path, PathBuf};

use skrifa::{FontRef, MetadataProvider};
use takumi::prelude::{FontResource, FontSource, Fonts as Registry, GenericFamily};

/// In the binary, so that a card looks the same on every machine.
static INTER: &[u8] = include_bytes!("../../assets/fonts/Inter.ttf");

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

const fn wanted(file: &'static str, purpose: &'static str, package: &'static str) -> Wanted {
    Wanted { file, purpose, package }
}

/// In the order of preference.
pub const WANTED: [Wanted; 15] = [
    wanted("NotoSans-Regular", "rarer Latin, Greek, Cyrillic", "fonts-noto-core"),
    wanted("NotoSans-Bold", "rarer Latin, Greek, Cyrillic in bold", "fonts-noto-core"),
    wanted("NotoSansCJK-Regular", "Chinese, Japanese, Korean", "fonts-noto-cjk"),
    wanted("NotoSansCJK-Bold", "Chinese, Japanese, Korean in bold", "fonts-noto-cjk"),
    wanted("NotoSansArabic-Regular", "Arabic", "fonts-noto-core"),
    wanted("NotoSansArabic-Bold", "Arabic in bold", "fonts-noto-core"),
    wanted("NotoSansHebrew-Regular", "Hebrew", "fonts-noto-core"),
    wanted("NotoSansHebrew-Bold", "Hebrew in bold", "fonts-noto-core"),
    wanted("NotoSansDevanagari-Regular", "Devanagari (Hindi)", "fonts-noto-core"),
    wanted("NotoSansDevanagari-Bold", "Devanagari (Hindi) in bold", "fonts-noto-core"),
    wanted("NotoSansThai-Regular", "Thai", "fonts-noto-core"),
    wanted("NotoSansThai-Bold", "Thai in bold", "fonts-noto-core"),
    wanted("NotoSansBengali-Regular", "Bengali", "fonts-noto-core"),
    wanted("NotoSansBengali-Bold", "Bengali in bold", "fonts-noto-core"),
    wanted("NotoColorEmoji", "emoji", "fonts-noto-color-emoji"),
];

/// Scripts by where their letters begin and end in Unicode, and the package with a font.
const SCRIPTS: [(std::ops::RangeInclusive<u32>, &str, &str); 22] = [
    (0x0590..=0x05ff, "Hebrew", "fonts-noto-core"),
    (0x0600..=0x08ff, "Arabic", "fonts-noto-core"),
    (0x0900..=0x097f, "Devanagari", "fonts-noto-core"),
    (0x0980..=0x09ff, "Bengali", "fonts-noto-core"),
    (0x0a00..=0x0a7f, "Gurmukhi", "fonts-noto-core"),
    (0x0a80..=0x0aff, "Gujarati", "fonts-noto-core"),
    (0x0b80..=0x0bff, "Tamil", "fonts-noto-core"),
    (0x0c00..=0x0cff, "Telugu and Kannada", "fonts-noto-core"),
    (0x0d00..=0x0dff, "Malayalam and Sinhala", "fonts-noto-core"),
    (0x0e00..=0x0e7f, "Thai", "fonts-noto-core"),
    (0x0e80..=0x0eff, "Lao", "fonts-noto-core"),
    (0x1000..=0x109f, "Burmese", "fonts-noto-core"),
    (0x10a0..=0x10ff, "Georgian", "fonts-noto-core"),
    (0x0530..=0x058f, "Armenian", "fonts-noto-core"),
    (0x1780..=0x17ff, "Khmer", "fonts-noto-core"),
    (0x1100..=0x11ff, "Korean", "fonts-noto-cjk"),
    (0x2e80..=0x9fff, "Chinese or Japanese", "fonts-noto-cjk"),
    (0xac00..=0xd7ff, "Korean", "fonts-noto-cjk"),
    (0xf900..=0xfaff, "Chinese or Japanese", "fonts-noto-cjk"),
    (0xff00..=0xffef, "Chinese or Japanese", "fonts-noto-cjk"),
    (0x20000..=0x3ffff, "Chinese or Japanese", "fonts-noto-cjk"),
    (0x1f000..=0x1faff, "emoji", "fonts-noto-color-emoji"),
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

/// Letters that no font has, of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub script: &'static str,
    /// The package with a font for it, if one is known.
    pub package: Option<&'static str>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.package {
            Some(package) => write!(f, "no font here has letters for {}: install {package}", self.script),
            None => write!(f, "no font here has letters for {}", self.script),
        }
    }
}

/// The fonts that are loaded.
pub struct Fonts {
    /// For the layout.
    pub registry: Registry,
    faces: Vec<FontRef<'static>>,
}

impl Fonts {
    /// Ours, then `own` files (the operator's), then what is installed of the wanted ones; what is missing is
    /// logged with its package.
    pub fn load(own: &[PathBuf]) -> Self {
        let mut fonts = Self::bundled();
        for path in own {
            if let Err(error) =
                mapped(path).map_err(|e| e.to_string()).and_then(|bytes| fonts.add(bytes, false))
            {
                tracing::warn!("the font {} cannot be used: {error}", path.display());
            }
        }
        for (wanted, path) in find() {
            let Some(path) = path else {
                tracing::warn!("no font for {}: install the package {}", wanted.purpose, wanted.package);
                continue;
            };
            let is_emoji = wanted.file == "NotoColorEmoji";
            let added = mapped(&path).map_err(|error| error.to_string());
            if let Err(error) = added.and_then(|bytes| fonts.add(bytes, is_emoji)) {
                tracing::warn!("the font {} cannot be used: {error}", path.display());
            }
        }
        fonts
    }

    /// Ours alone: what every machine draws alike.
    pub fn bundled() -> Self {
        let mut fonts = Self { registry: Registry::default(), faces: Vec::new() };
        fonts.add(INTER, false).expect("the font in the binary is one");
        fonts
    }

    fn add(&mut self, bytes: &'static [u8], is_last: bool) -> Result<(), String> {
        let font = FontResource::new(FontSource::from_static(bytes));
        let font = if is_last { font.last_resort() } else { font.generic_family(GenericFamily::SANS_SERIF) };
        self.registry.register(font).map_err(|error| error.to_string())?;
        self.faces
            .extend(skrifa::raw::FileRef::new(bytes).into_iter().flat_map(|file| file.fonts().flatten()));
        Ok(())
    }

    fn has(&self, letter: char) -> bool {
        self.faces.iter().any(|face| face.charmap().map(letter).is_some())
    }

    /// Which scripts of `text` no font has; their letters are not in the text that comes back.
    pub fn drawable(&self, text: &str) -> (String, Vec<Missing>) {
        let mut missing: Vec<Missing> = Vec::new();
        let mut kept = String::with_capacity(text.len());
        for letter in text.chars() {
            // Marks that shape others and are not drawn themselves.
            let is_invisible = letter.is_whitespace()
                || matches!(u32::from(letter), 0x200b..=0x200f | 0xfe00..=0xfe0f | 0x061c | 0xe0020..=0xe007f);
            if letter.is_ascii() || is_invisible || self.has(letter) {
                kept.push(letter);
                continue;
            }
            let script = SCRIPTS.iter().find(|(range, ..)| range.contains(&u32::from(letter)));
            let found = Missing {
                script: script.map_or("some letters", |(_, script, _)| script),
                package: script.map(|(.., package)| *package),
            };
            if !missing.contains(&found) {
                missing.push(found);
            }
        }
        (kept, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_font_is_enough_for_europe_and_every_price() {
        let fonts = Fonts::bundled();
        let (_, missing) = fonts.drawable("Größe Łódź Ωμέγα Цена ệ ₫ ₹ ₩ ₺ ₴ ₪ ฿".trim_end_matches('฿'));
        assert_eq!(missing, []);
    }

    #[test]
    fn a_missing_script_is_named_with_its_package_and_leaves_no_boxes() {
        let fonts = Fonts::bundled();
        let (kept, missing) = fonts.drawable("Tea 茶 شاي 🍵");
        assert_eq!(kept, "Tea   ");
        let named: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named[0].contains("Chinese or Japanese: install fonts-noto-cjk"), "{named:?}");
        assert!(named[1].contains("Arabic: install fonts-noto-core"), "{named:?}");
    }
}
