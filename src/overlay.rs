//! Cards onto the picture: from a design and the state to blended pixels.
//!
//! - [`template`]: designs as data: HTML, CSS and a manifest
//! - [`content`], [`text`]: what a card shows at a moment (pure)
//! - [`fonts`], [`raster`], [`qr`]: to pixels with alpha, by `takumi`
//! - [`colour`], [`sprite`]: to premultiplied planes of the frame's format, once (pure)
//! - [`studio`]: drawings that are kept
//! - [`film`], [`animate`]: which picture is due at a frame's time, and where (pure)
//! - [`blend`]: onto a frame's planes (pure)
//! - [`element`]: the `GStreamer` element that does so for each frame
//! - [`desk`]: keeps a channel's scene like its state
//! - [`sheet`]: all templates on one picture

pub mod animate;
pub mod blend;
pub mod board;
pub mod colour;
pub mod content;
pub mod desk;
pub mod element;
pub mod film;
pub mod fonts;
#[cfg(test)]
mod golden;
pub mod qr;
pub mod raster;
pub mod sheet;
pub mod sprite;
pub mod studio;
pub mod template;
pub mod text;
