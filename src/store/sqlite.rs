//! The embedded store: one `SQLite` file in WAL mode. A killed process loses nothing that was saved, because
//! what is written reached the operating system; a lost machine may lose the last moments.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AiringRecord, ChannelRun, Error, Store};
use crate::id::Digest;
use crate::state::{Airing, Card, Change, Product, Rundown, State, StreamKey};
use crate::time::WallTime;

/// Bodies are JSON in the wire's own words, keys are columns: a new optional field needs no migration.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS revision (one INTEGER PRIMARY KEY CHECK (one = 1), rev INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS products (sku TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cards (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS airings (id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, sku TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS airings_on_air ON airings (started) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS channels (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, starts INTEGER NOT NULL, last_segment INTEGER, last_live INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream_keys (id TEXT PRIMARY KEY, digest BLOB NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (channel TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rundowns (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cues (channel TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS practices (channel TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 2;
";

/// The store in one file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
}

pub(super) fn database(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| Error::Database { doing, source }
}

impl Sqlite {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`Error::Database`] when it is not a database or cannot be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path).map_err(database("open"))?;
        connection.busy_timeout(Duration::from_secs(2)).map_err(database("open"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(database("open"))?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(database("open"))?;
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(database("read the version of"))?;
        if version == 1 {
            connection
                .execute_batch("ALTER TABLE revision DROP COLUMN cleared_rev")
                .map_err(database("bring up to date"))?;
        }
        connection.execute_batch(SCHEMA).map_err(database("make its tables"))?;
        Ok(Self { connection })
    }

    fn stream_keys(&self) -> Result<BTreeMap<String, StreamKey>, Error> {
        let mut statement =
            self.connection.prepare("SELECT digest, body FROM stream_keys").map_err(database("read"))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?)))
            .map_err(database("read"))?;
        rows.map(|row| {
            let (digest, body) = row.map_err(database("read"))?;
            let key: StreamKey = serde_json::from_str(&body)
                .map_err(|error| Error::Content { what: "stream key", detail: error.to_string() })?;
            Ok((key.id.clone(), StreamKey { digest: Digest(digest), ..key }))
        })
        .collect()
    }

    fn by_channel<T: DeserializeOwned>(
        &self,
        what: &'static str,
        query: &str,
    ) -> Result<BTreeMap<String, T>, Error> {
        let mut statement = self.connection.prepare(query).map_err(database("read"))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(database("read"))?;
        rows.map(|row| {
            let (channel, body) = row.map_err(database("read"))?;
            let found = serde_json::from_str(&body)
                .map_err(|error| Error::Content { what, detail: error.to_string() })?;
            Ok((channel, found))
        })
        .collect()
    }

    fn bodies<T: DeserializeOwned>(&self, what: &'static str, query: &str) -> Result<Vec<T>, Error> {
        let mut statement = self.connection.prepare(query).map_err(database("read"))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(database("read"))?;
        rows.map(|body| {
            let body = body.map_err(database("read"))?;
            serde_json::from_str(&body).map_err(|error| Error::Content { what, detail: error.to_string() })
        })
        .collect()
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("state has string keys and no failing parts")
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<State, Error> {
        let rev = self
            .connection
            .query_row("SELECT rev FROM revision", [], |row| row.get(0))
            .optional()
            .map_err(database("read"))?
            .unwrap_or_default();
        let products: Vec<Product> = self.bodies("product", "SELECT body FROM products")?;
        let cards: Vec<Card> = self.bodies("card", "SELECT body FROM cards")?;
        let airings: Vec<Airing> =
            self.bodies("airing", "SELECT body FROM airings WHERE ended IS NULL ORDER BY started, id")?;
        let rundowns: Vec<Rundown> = self.bodies("rundown", "SELECT body FROM rundowns")?;
        Ok(State {
            rev,
            products: products.into_iter().map(|product| (product.sku.clone(), product)).collect(),
            cards: cards.into_iter().map(|card| (card.id.clone(), card)).collect(),
            airings,
            stream_keys: self.stream_keys()?,
            sources: self.by_channel("source", "SELECT channel, body FROM sources")?,
            rundowns: rundowns.into_iter().map(|rundown| (rundown.id.clone(), rundown)).collect(),
            cues: self.by_channel("cue", "SELECT channel, body FROM cues")?,
            practice: self
                .by_channel::<bool>("practice", "SELECT channel, body FROM practices")?
                .into_keys()
                .collect(),
            ..State::default()
        })
    }

    fn save(&mut self, state: &State, changes: &[Change]) -> Result<(), Error> {
        let transaction = self.connection.transaction().map_err(database("begin"))?;
        for change in changes {
            save_change(&transaction, change).map_err(database("save a change"))?;
        }
        transaction
            .execute("INSERT OR REPLACE INTO revision VALUES (1, ?1)", [state.rev])
            .map_err(database("save the revision"))?;
        transaction.commit().map_err(database("commit"))
    }

    fn airing(&mut self, code: &str) -> Result<Option<AiringRecord>, Error> {
        self.connection
            .query_row("SELECT body FROM airings WHERE code = ?1", [code], |row| row.get::<_, String>(0))
            .optional()
            .map_err(database("look up a code"))?
            .map(|body| {
                let airing: Airing = serde_json::from_str(&body)
                    .map_err(|error| Error::Content { what: "airing", detail: error.to_string() })?;
                Ok(AiringRecord { id: airing.id, card_id: airing.card_id, sku: airing.sku })
            })
            .transpose()
    }

    fn start_channel(&mut self, channel: &str, epoch: WallTime) -> Result<ChannelRun, Error> {
        self.connection
            .execute(
                "INSERT INTO channels (name, epoch, starts) VALUES (?1, ?2, 1)
                 ON CONFLICT (name) DO UPDATE SET starts = starts + 1",
                params![channel, epoch.0],
            )
            .map_err(database("note a start"))?;
        self.connection
            .query_row(
                "SELECT epoch, starts, last_segment, last_live FROM channels WHERE name = ?1",
                [channel],
                |row| {
                    Ok(ChannelRun {
                        epoch: WallTime(row.get(0)?),
                        restarts: row.get::<_, u64>(1)? - 1,
                        last_segment: row.get(2)?,
                        last_live: row.get::<_, Option<i64>>(3)?.map(WallTime),
                    })
                },
            )
            .map_err(database("read a channel"))
    }

    fn note_segment(&mut self, channel: &str, segment: u64, live: Option<WallTime>) -> Result<(), Error> {
        self.connection
            .execute(
                "UPDATE channels SET last_segment = ?2, last_live = coalesce(?3, last_live) WHERE name = ?1",
                params![channel, segment, live.map(|live| live.0)],
            )
            .map_err(database("note a segment"))?;
        Ok(())
    }
}

fn save_change(transaction: &rusqlite::Transaction, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::ProductChanged { product } => transaction
            .execute("INSERT OR REPLACE INTO products VALUES (?1, ?2)", params![product.sku, json(product)]),
        Change::ProductRemoved { sku } => transaction.execute("DELETE FROM products WHERE sku = ?1", [sku]),
        Change::CardChanged { card } => {
            transaction.execute("INSERT OR REPLACE INTO cards VALUES (?1, ?2)", params![card.id, json(card)])
        }
        Change::CardRemoved { card_id } => transaction.execute("DELETE FROM cards WHERE id = ?1", [card_id]),
        Change::CardShown { airing } => transaction.execute(
            "INSERT INTO airings (id, code, sku, started, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                airing.id,
                airing.code,
                airing.sku.as_deref().unwrap_or_default(),
                airing.since.0,
                json(airing)
            ],
        ),
        Change::CardMoved { airing } | Change::CardStepped { airing } | Change::CardPinned { airing } => {
            transaction
                .execute("UPDATE airings SET body = ?2 WHERE id = ?1", params![airing.id, json(airing)])
        }
        Change::CardHidden { airing, until, .. } => {
            transaction.execute("UPDATE airings SET ended = ?2 WHERE id = ?1", params![airing.id, until.0])
        }
        Change::StreamKeyChanged { key } => transaction.execute(
            "INSERT OR REPLACE INTO stream_keys VALUES (?1, ?2, ?3)",
            params![key.id, key.digest.0, json(key)],
        ),
        Change::StreamKeyRevoked { key_id } => {
            transaction.execute("DELETE FROM stream_keys WHERE id = ?1", [key_id])
        }
        Change::SourceChanged { channel, source: Some(source) } => transaction
            .execute("INSERT OR REPLACE INTO sources VALUES (?1, ?2)", params![channel, json(source)]),
        Change::SourceChanged { channel, source: None } => {
            transaction.execute("DELETE FROM sources WHERE channel = ?1", [channel])
        }
        Change::RundownChanged { rundown } => transaction
            .execute("INSERT OR REPLACE INTO rundowns VALUES (?1, ?2)", params![rundown.id, json(rundown)]),
        Change::RundownRemoved { rundown_id } => {
            transaction.execute("DELETE FROM rundowns WHERE id = ?1", [rundown_id])
        }
        Change::CueChanged { channel, cue: Some(cue) } => {
            transaction.execute("INSERT OR REPLACE INTO cues VALUES (?1, ?2)", params![channel, json(cue)])
        }
        Change::CueChanged { channel, cue: None } => {
            transaction.execute("DELETE FROM cues WHERE channel = ?1", [channel])
        }
        Change::PracticeChanged { channel, is_on: true } => transaction
            .execute("INSERT OR REPLACE INTO practices VALUES (?1, ?2)", params![channel, json(&true)]),
        Change::PracticeChanged { channel, is_on: false } => {
            transaction.execute("DELETE FROM practices WHERE channel = ?1", [channel])
        }
        Change::AllCleared { .. } => Ok(0), // each airing's end is a change of its own
    }?;
    Ok(())
}
