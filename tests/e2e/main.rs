//! Stories against the built binary: a real ffmpeg publishes, a real WebSocket client commands, HLS is fetched
//! and decoded, a real Chromium looks at the pages. Nothing in the path is replaced.
//!
//! Needs `ffmpeg`, `zbarimg`, `chromium` with its driver, and `node`; `make test` installs them.

#![allow(clippy::unwrap_used)] // a failed step fails the test, with its place

mod access;
mod api;
mod archive;
mod around;
mod browser;
mod cards;
mod catalogue;
mod clean;
mod encoder;
mod endless;
mod enhanced;
mod hostile;
mod https;
mod keys;
mod ladder;
mod metadata;
mod pace;
mod page;
mod pages;
mod people;
mod pictures;
mod playlist;
mod practice;
mod publish;
mod pull;
mod push;
mod quirks;
mod relay;
mod room;
mod rundown;
mod show;
mod srt;
mod stage;
mod sync;
mod triggers;
