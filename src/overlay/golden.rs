//! Pictures that must not change unnoticed: every template in both layouts and themes, and frames of movements.
//! `UPDATE_GOLDEN=1 cargo test` writes them anew; look at what changed before committing it.

use std::path::Path;

use super::fonts::Fonts;
use super::raster::Raster;
use super::sheet::variants;
use super::sprite::Rgba;
use super::template::{Library, sample_picture};

/// A sample may differ by so much, out of 255: other processors round differently.
const TOLERANCE: u8 = 6;
/// So many samples in ten thousand may differ by more.
const MOST_OUTLIERS: usize = 5;
/// The size of the pictures: small files, and still every line.
const SCALE: f32 = 0.5;

/// What every machine draws alike: the font in the binary and no other.
pub(super) fn raster() -> Raster {
    Raster::new(Fonts::bundled(), std::sync::Arc::new(sample_picture))
}

/// Compares with `tests/golden/NAME.png`, and says where the new one is when it differs.
pub(super) fn check(name: &str, picture: &Rgba) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = folder.join(format!("{name}.png"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, picture.to_png()).unwrap();
        return Ok(());
    }
    let golden = image::open(&path).map_err(|error| format!("{name}: {error}"))?.into_rgba8();
    let differs = if golden.dimensions() == (picture.width, picture.height) {
        let outliers = golden
            .as_raw()
            .chunks_exact(4)
            .zip(picture.data.chunks_exact(4))
            // What is transparent has no colour.
            .filter(|(a, b)| a[3] != 0 || b[3] != 0)
            .filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > TOLERANCE))
            .count();
        let most = (picture.width * picture.height) as usize * MOST_OUTLIERS / 10_000;
        (outliers > most).then(|| format!("{outliers} pixels differ"))
    } else {
        Some(format!("{:?} is now {} x {}", golden.dimensions(), picture.width, picture.height))
    };
    differs.map_or(Ok(()), |how| {
        let new = std::env::temp_dir().join(format!("{name}.png"));
        std::fs::write(&new, picture.to_png()).unwrap();
        Err(format!("{name}: {how}; see {}", new.display()))
    })
}

#[test]
fn every_template_looks_as_it_did() {
    let (library, raster) = (Library::built_in(), raster());
    assert_eq!(library.faults, [], "every template in the binary is whole");
    let mut wrong = Vec::new();
    for (id, design) in &library.designs {
        for (variant, picture) in
            variants(design, &raster, SCALE, "https://shop.example/go/preview0").unwrap()
        {
            wrong.extend(check(&format!("{id}-{variant}"), &picture).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(library.designs.len() >= 17);
}
