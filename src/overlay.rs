//! Cards onto the picture: from a design and the state to blended pixels.
//!
//! - [`template`]: the design, filled with a card's fields
//! - [`fonts`], [`raster`]: to pixels with alpha, by `takumi`
//! - [`sprite`]: to premultiplied planes, once (pure)
//! - [`animate`]: where a card is at a frame's time (pure)
//! - [`blend`]: onto a frame's planes (pure)
//! - [`element`]: the `GStreamer` element that does so for each frame
//! - [`desk`]: keeps a channel's scene like its state

pub mod animate;
pub mod blend;
pub mod desk;
pub mod element;
pub mod fonts;
pub mod raster;
pub mod sprite;
pub mod template;
