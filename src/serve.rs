//! What viewers get: playlists, media, pages, and where a QR leads. Reads only; nobody changes anything here.
//!
//! - [`live`]: a channel's newest playlists and parts, and waiting for the next
//! - [`hls`]: the addresses under `/live`
//! - [`pages`]: the web pages and `/go/{code}`

pub mod hls;
pub mod live;
pub mod pages;
