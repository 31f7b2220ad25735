//! What viewers get: playlists, media, pages, and where a QR leads. Reads only; nobody changes anything here.
//!
//! - [`live`]: a channel's newest playlists and parts, and waiting for the next
//! - [`door`]: connections, and who answers
//! - `answer`: headers, conditions, ranges
//! - [`demand`]: how many players there are
//! - `arena`, [`direct`]: bodies that are not copied: where they lie, and how they go
//! - [`files`]: what is asked for often
//! - [`disk`]: older segments, and all of them after a restart
//! - [`access`]: who may watch
//! - [`archive`], [`vod`]: shows that are over, and clips and downloads of them
//! - [`document`], [`directives`]: a text in its codings, and what is asked of it
//! - [`hls`]: the addresses under `/live`
//! - [`pictures`]: poster, thumbnail, storyboard
//! - [`pages`]: the web pages and `/go/{code}`

pub mod access;
mod answer;
pub mod archive;
mod arena;
pub mod demand;
pub mod direct;
pub mod directives;
pub mod disk;
pub mod document;
pub mod door;
mod download;
pub mod files;
pub mod hls;
pub mod live;
pub mod pages;
pub mod pictures;
pub mod vod;
