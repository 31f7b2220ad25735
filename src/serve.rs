//! What viewers get: playlists, media, pages, and where a QR leads. Reads only; nobody changes anything here.
//!
//! - [`live`]: a channel's newest playlists and parts, and waiting for the next
//! - `answer`: headers, conditions, ranges
//! - [`disk`]: older segments, and all of them after a restart
//! - [`access`]: who may watch
//! - [`archive`], [`vod`]: shows that are over, and clips and downloads of them
//! - [`document`], [`directives`]: a text in its codings, and what is asked of it
//! - [`hls`]: the addresses under `/live`
//! - [`pages`]: the web pages and `/go/{code}`

pub mod access;
mod answer;
pub mod archive;
pub mod directives;
pub mod disk;
pub mod document;
mod download;
pub mod hls;
pub mod live;
pub mod pages;
pub mod vod;
