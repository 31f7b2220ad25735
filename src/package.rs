//! Access units in; CMAF parts, segments and playlists out.
//!
//! Everything here is a function of its input: no clock, no sockets, no `GStreamer`, no tokio. `serve`
//! holds the result and answers viewers; `app` feeds it from the encoder.
//!
//! - [`grid`]: where parts and segments are cut, fixed for a channel's life
//! - [`cmaf`]: ISO BMFF boxes
//! - [`segmenter`]: units to parts, one per track
//! - [`window`]: which parts and segments are listed and which can still be fetched
//! - [`playlist`], [`multivariant`]: the text
//! - [`metadata`]: what is on air, for players
//! - [`show`], [`vod`], [`movie`]: what is kept of a show, its playlists, and one file of it
//! - [`codec`]: RFC 6381 strings

pub mod cmaf;
pub mod codec;
pub mod grid;
pub mod metadata;
pub mod movie;
pub mod multivariant;
pub mod playlist;
pub mod segmenter;
pub mod show;
pub mod vod;
pub mod window;

/// Why packaging cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The decoder configuration is not one.
    #[error("the {codec} configuration cannot be read: {detail}")]
    Configuration {
        /// `avcC` or `AudioSpecificConfig`.
        codec: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A unit came before the configuration.
    #[error("a {0:?} unit came before its configuration")]
    NoConfiguration(crate::media::Kind),
    /// The boxes cannot be written.
    #[error("a CMAF box cannot be written")]
    Boxes(#[from] mp4_atom::Error),
}
