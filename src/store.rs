//! Where state outlives the process: `SQLite` today, behind a trait that another database can fill.
//!
//! The store saves what `state` decided; it decides nothing. `director` is its only writer of state, `app`
//! writes how far each channel has come, so that a restart goes on after it.

pub mod people;
pub mod pictures;
mod sqlite;

pub use sqlite::Sqlite;

use crate::state::{Change, State};
use crate::time::WallTime;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error("cannot use {path}")]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error("the database refuses to {doing}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Its words.
        source: rusqlite::Error,
    },
    /// A saved row is not what this version writes.
    #[error("a saved {what} cannot be read: {detail}")]
    Content {
        /// `product`, `card`, `airing`.
        what: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// How far a channel has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRun {
    /// Civil time of programme time zero.
    pub epoch: WallTime,
    /// How often it was started before.
    pub restarts: u64,
    /// The newest segment that viewers may have seen.
    pub last_segment: Option<u64>,
    /// When a publisher was last on air.
    pub last_live: Option<WallTime>,
}

/// Where a code leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AiringRecord {
    /// The airing's id.
    pub id: String,
    /// The card.
    pub card_id: String,
    /// The product at the time, if the card shows one.
    pub sku: Option<String>,
}

/// A place to keep state. Calls block: they belong on a thread of their own.
pub trait Store: Send {
    /// Everything as saved last.
    ///
    /// # Errors
    /// [`Error`].
    fn load(&mut self) -> Result<State, Error>;

    /// Saves a revision's changes, all or none.
    ///
    /// # Errors
    /// [`Error`], and then nothing is saved.
    fn save(&mut self, state: &State, changes: &[Change]) -> Result<(), Error>;

    /// The airing with `code`, past or present.
    ///
    /// # Errors
    /// [`Error`].
    fn airing(&mut self, code: &str) -> Result<Option<AiringRecord>, Error>;

    /// Notes a start of `channel` and returns what was known before; `epoch` counts at the first only.
    ///
    /// # Errors
    /// [`Error`].
    fn start_channel(&mut self, channel: &str, epoch: WallTime) -> Result<ChannelRun, Error>;

    /// Notes the newest segment of `channel`, and when it last was live if it is.
    ///
    /// # Errors
    /// [`Error`].
    fn note_segment(&mut self, channel: &str, segment: u64, live: Option<WallTime>) -> Result<(), Error>;
}

#[cfg(test)]
mod tests;
