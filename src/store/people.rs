//! Who may come in, and what they did: a file of its own beside the state's, because a journal that is written at every
//! price would make commands wait.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Error;
use super::sqlite::{database, json};
use crate::time::WallTime;

/// Entries kept; half a year of busy shows.
const MOST_ENTRIES: u64 = 200_000;
/// How often the oldest are looked for: at every so many entries.
const PRUNED_EVERY: u64 = 1000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS people (kind TEXT NOT NULL, id TEXT NOT NULL, secret TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (n INTEGER PRIMARY KEY AUTOINCREMENT, wall INTEGER NOT NULL, body TEXT NOT NULL);
PRAGMA user_version = 1;
";

/// What somebody asked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its number; grows by time.
    #[serde(default)]
    pub n: u64,
    /// When.
    pub at: WallTime,
    /// Who.
    pub who: String,
    /// The role at the time.
    pub role: crate::state::Role,
    /// The request's name.
    pub request: String,
    /// Its data.
    pub data: serde_json::Value,
    /// The revision after it; nothing when it was refused, or changed no state.
    pub rev: Option<u64>,
    /// Why it was refused.
    pub refused: Option<String>,
    /// Each channel's programme time.
    pub programme_ms: std::collections::BTreeMap<String, u64>,
}

/// The file.
#[derive(Debug)]
pub struct People {
    connection: Connection,
}

impl People {
    /// Opens or makes it, for the owner's eyes only.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Directory`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path).map_err(database("open"))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, mode)
            .map_err(|source| Error::Directory { path: path.into(), source })?;
        connection.busy_timeout(Duration::from_secs(2)).map_err(database("open"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(database("open"))?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(database("open"))?;
        connection.execute_batch(SCHEMA).map_err(database("make its tables"))?;
        Ok(Self { connection })
    }

    /// All of a kind, each with its secret's proof.
    ///
    /// # Errors
    /// [`Error`].
    pub fn all<T: DeserializeOwned>(&self, kind: &'static str) -> Result<Vec<(String, T)>, Error> {
        let mut statement = (self.connection)
            .prepare("SELECT secret, body FROM people WHERE kind = ?1")
            .map_err(database("read"))?;
        let rows = statement
            .query_map([kind], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(database("read"))?;
        rows.map(|row| {
            let (secret, body) = row.map_err(database("read"))?;
            let found = serde_json::from_str(&body)
                .map_err(|error| Error::Content { what: kind, detail: error.to_string() })?;
            Ok((secret, found))
        })
        .collect()
    }

    /// Adds or replaces one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn put(
        &self,
        kind: &'static str,
        id: &str,
        secret: &str,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        self.connection
            .execute(
                "INSERT OR REPLACE INTO people VALUES (?1, ?2, ?3, ?4)",
                params![kind, id, secret, json(body)],
            )
            .map_err(database("save somebody"))?;
        Ok(())
    }

    /// Takes one out.
    ///
    /// # Errors
    /// [`Error`].
    pub fn remove(&self, kind: &'static str, id: &str) -> Result<(), Error> {
        self.connection
            .execute("DELETE FROM people WHERE kind = ?1 AND id = ?2", params![kind, id])
            .map_err(database("take somebody out"))?;
        Ok(())
    }

    /// Writes an entry down; the oldest make room.
    ///
    /// # Errors
    /// [`Error`].
    pub fn note(&self, entry: &Entry) -> Result<(), Error> {
        self.connection
            .execute("INSERT INTO journal (wall, body) VALUES (?1, ?2)", params![entry.at.0, json(entry)])
            .map_err(database("write the journal"))?;
        let n = self.connection.last_insert_rowid().unsigned_abs();
        if n.is_multiple_of(PRUNED_EVERY) {
            self.connection
                .execute("DELETE FROM journal WHERE n <= ?1", [n.saturating_sub(MOST_ENTRIES)])
                .map_err(database("shorten the journal"))?;
        }
        Ok(())
    }

    /// The newest `most` entries before number `before`, the newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn entries(&self, before: Option<u64>, most: u64) -> Result<Vec<Entry>, Error> {
        let mut statement = self
            .connection
            .prepare("SELECT n, body FROM journal WHERE n < ?1 ORDER BY n DESC LIMIT ?2")
            .map_err(database("read the journal"))?;
        let before = before.unwrap_or(i64::MAX as u64).min(i64::MAX as u64);
        let rows = statement
            .query_map(params![before, most], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))
            .map_err(database("read the journal"))?;
        rows.map(|row| {
            let (n, body) = row.map_err(database("read the journal"))?;
            let entry: Entry = serde_json::from_str(&body)
                .map_err(|error| Error::Content { what: "journal entry", detail: error.to_string() })?;
            Ok(Entry { n, ..entry })
        })
        .collect()
    }

    /// A value that is made once and then stays.
    ///
    /// # Errors
    /// [`Error`].
    pub fn constant(&self, name: &str, fresh: &str) -> Result<String, Error> {
        let query = "SELECT secret FROM people WHERE kind = 'constant' AND id = ?1";
        let found = self
            .connection
            .query_row(query, [name], |row| row.get(0))
            .optional()
            .map_err(database("read"))?;
        if let Some(found) = found {
            return Ok(found);
        }
        self.put("constant", name, fresh, &())?;
        Ok(fresh.to_owned())
    }
}
