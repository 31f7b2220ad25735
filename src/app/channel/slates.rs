//! A channel's slates: the pictures for when nobody publishes, built in or the owner's own.

use std::path::PathBuf;

use gstreamer as gst;

use super::Error;
use crate::config::Config;
use crate::media::Canvas;
use crate::overlay::raster::Raster;
use crate::overlay::sprite::Rgba;
use crate::program::Slates;

/// The slates: `DATA_DIR/slates/NAME.{png,jpg,html}` if there, else the ones built in.
pub(super) fn load(raster: &Raster, config: &Config, canvas: Canvas) -> Result<Slates, Error> {
    let slate = |name: &str, built_in: &str| -> Result<gst::Buffer, Error> {
        let directory = config.data_dir.join("slates");
        let file = ["png", "jpg", "html"].map(|end| directory.join(format!("{name}.{end}")));
        let picture = match file.into_iter().find(|path| path.exists()) {
            Some(path) => read_slate(raster, path, canvas)?,
            None => raster.page(name, built_in, canvas.width, canvas.height)?,
        };
        Ok(gst::Buffer::from_slice(picture.to_i420()))
    };
    Ok(Slates {
        starting_soon: slate("starting-soon", include_str!("../../../assets/slates/starting-soon.html"))?,
        back_soon: slate("back-soon", include_str!("../../../assets/slates/back-soon.html"))?,
    })
}

fn read_slate(raster: &Raster, path: PathBuf, canvas: Canvas) -> Result<Rgba, Error> {
    let failed = |detail: String| Error::Slate { path: path.clone(), detail };
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    if path.extension().is_some_and(|end| end == "html") {
        let html = String::from_utf8(bytes).map_err(|error| failed(error.to_string()))?;
        return Ok(raster.page("slate", &html, canvas.width, canvas.height)?);
    }
    let picture = image::load_from_memory(&bytes).map_err(|error| failed(error.to_string()))?;
    let filled = picture.resize_to_fill(canvas.width, canvas.height, image::imageops::FilterType::Lanczos3);
    Ok(Rgba { width: canvas.width, height: canvas.height, data: filled.into_rgba8().into_raw() })
}
