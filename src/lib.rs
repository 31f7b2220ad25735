//! Vitrine (a shop window): one server between a host's encoder and the audience of a selling show.
//!
//! ```text
//! publisher ─▶ ingest ─▶ decode ─▶ program ─▶ overlay ─▶ encode ─▶ package ─▶ serve ─▶ viewer
//!            RTMP, SRT   GStreamer sync,slate  blend     x264,AAC  CMAF,m3u8  HTTP
//!                                                ▲
//! operator ─▶ control ─▶ director(state) ─▶ cards (raster)            director ─▶ store
//!              WS, HTTP   the only writer
//! ```
//!
//! Media flows right, control flows down. Viewers never write media or state; operators never touch media;
//! the director is the only writer of state. Nothing flows left but back-pressure.
//!
//! # Layers
//!
//! | Layer | Modules | May use | Never |
//! |---|---|---|---|
//! | 0 words | time id media config | std, serde, bytes | anything above |
//! | 1 rules | state package, files marked pure | 0 | tokio, `GStreamer`, SQL, reading a clock |
//! | 2 machines | pipeline store observe | 0 (store: state's types) | each other, but observe |
//! | 3 stages | ingest decode program overlay encode | 0-2 | one another |
//! | 4 doors | director control serve | 0-1, the director's handle, the store's words | stages, pipeline |
//! | 5 wiring | app main | all | |
//!
//! `tests/layers.rs` reads the `crate::` paths and keeps this table true.
//!
//! # Words
//!
//! A *publisher* is an encoder that sends to a *channel*, by the rank of its *stream key* on air or ready; a *source* is
//! one that the channel fetches itself; the *programme* is what the channel shows, publisher or
//! not; a *slate* is its picture without one. A *card* is a prepared item, an *airing* one time of it on air, with
//! its own id and code; a *slot* is where on the canvas it rests. A *segment* is two seconds of a *rendition*, a
//! *part* a sixth of that.

// Words.
pub mod config;
pub mod id;
pub mod media;
pub mod time;

// Media, in the order in which it flows.
pub mod ingest;

pub mod decode;

pub mod program;
pub mod push;

pub mod overlay;

pub mod encode;

pub mod package;

pub mod serve;

// Control.
pub mod control;

pub mod director;

pub mod state;

pub mod store;

// Machines and wiring.
pub mod observe;
pub mod pipeline;

pub mod app;
