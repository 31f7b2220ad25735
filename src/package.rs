//! Access units in; CMAF parts, segments and playlists out.
//!
//! Everything here is a function of its input: no clock, no sockets, no `GStreamer`, no tokio. `serve`
//! holds the result and answers viewers; `app` feeds it from the encoder.
//!
//! - [`grid`]: where parts and segments are cut, fixed for a channel's life
//! - [`cmaf`]: ISO BMFF boxes
//! - [`segmenter`]: units to parts, one per track
//! - [`clean`]: a publisher's own units to parts, not coded again
//! - [`window`]: which parts and segments are listed and which can still be fetched
//! - [`playlist`], [`multivariant`]: the text
//! - [`metadata`]: what is on air, for players
//! - [`event`]: the same within the media
//! - [`show`], [`vod`], [`movie`]: what is kept of a show, its playlists, and one file of it
//! - [`storyboard`]: small pictures for scrubbing
//! - [`codec`], [`parameter_sets`]: RFC 6381 strings, and what decoders must know at a key frame

pub mod clean;
pub mod cmaf;
pub mod codec;
pub mod event;
pub mod grid;
pub mod metadata;
pub mod movie;
pub mod multivariant;
pub mod parameter_sets;
pub mod playlist;
pub mod segmenter;
pub mod show;
pub mod storyboard;
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
    /// Players of HLS do not know it.
    #[error("{0} cannot be passed on: H.264 or HEVC is wanted")]
    Unsuited(&'static str),
    /// The boxes cannot be written.
    #[error("a CMAF box cannot be written")]
    Boxes(#[from] mp4_atom::Error),
}
