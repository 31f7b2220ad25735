//! Who may publish into which channel, and what channels fetch themselves.

use serde::{Deserialize, Serialize};

use super::apply::{Changes, check_name, check_text, conflict, field, not_found};
use super::{Change, Error, State};
use crate::id::Digest;
use crate::time::WallTime;

const MOST_KEYS: usize = 1000;
const MOST_RANK: u32 = 1000;

/// A stream key, of which only the digest is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamKey {
    /// Unique for ever.
    pub id: String,
    /// The channel that it opens.
    pub channel: String,
    /// For people: host, backup, guest.
    pub name: String,
    /// Which of several publishers is on air: 0 is the best.
    pub rank: u32,
    /// When this secret was made.
    pub made: WallTime,
    /// Of the secret. Never on the wire.
    #[serde(skip)]
    pub digest: Digest,
}

/// What a channel fetches itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// An address, or a file's name in the media directory.
    pub url: String,
    /// Which of several publishers is on air: 0 is the best.
    #[serde(default = "default_rank")]
    pub rank: u32,
}

/// For people: without user, password, path and query, where keys are.
pub fn shown_url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/…")
        }
        None => url.to_owned(),
    }
}

fn default_rank() -> u32 {
    crate::config::DEFAULT_SOURCE_RANK
}

impl State {
    pub(super) fn put_stream_key(&mut self, key: StreamKey) -> Result<Changes, Error> {
        check_name("keyId", &key.id)?;
        check_text("name", &key.name, 60)?;
        check_rank(key.rank)?;
        if !self.channels.contains(&key.channel) {
            return Err(not_found("channel", "channel", &key.channel));
        }
        if self.stream_keys.values().any(|other| other.id != key.id && other.digest == key.digest) {
            return Err(conflict("key", "another key has this secret".into()));
        }
        let is_taken =
            |other: &StreamKey| other.id != key.id && other.channel == key.channel && other.name == key.name;
        if self.stream_keys.values().any(is_taken) {
            return Err(conflict("name", format!("the channel has a key {:?} already", key.name)));
        }
        if self.stream_keys.len() >= MOST_KEYS && !self.stream_keys.contains_key(&key.id) {
            return Err(conflict("name", format!("there are {MOST_KEYS} keys already")));
        }
        self.stream_keys.insert(key.id.clone(), key.clone());
        Ok(vec![Change::StreamKeyChanged { key }])
    }

    pub(super) fn rotate_stream_key(
        &mut self,
        key_id: &str,
        digest: Digest,
        made: WallTime,
    ) -> Result<Changes, Error> {
        let key = self.stream_keys.get(key_id).ok_or_else(|| not_found("keyId", "stream key", key_id))?;
        self.put_stream_key(StreamKey { made, digest, ..key.clone() })
    }

    pub(super) fn revoke_stream_key(&mut self, key_id: String) -> Result<Changes, Error> {
        self.stream_keys.remove(&key_id).ok_or_else(|| not_found("keyId", "stream key", &key_id))?;
        Ok(vec![Change::StreamKeyRevoked { key_id }])
    }

    pub(super) fn set_source(&mut self, channel: String, source: Option<Source>) -> Result<Changes, Error> {
        if !self.channels.contains(&channel) {
            return Err(not_found("channel", "channel", &channel));
        }
        if let Some(source) = &source {
            check_text("url", &source.url, 2000)?;
            check_rank(source.rank)?;
        }
        if self.sources.get(&channel) == source.as_ref() {
            return Ok(Vec::new());
        }
        match &source {
            Some(source) => self.sources.insert(channel.clone(), source.clone()),
            None => self.sources.remove(&channel),
        };
        Ok(vec![Change::SourceChanged { channel, source }])
    }
}

fn check_rank(rank: u32) -> Result<(), Error> {
    if rank > MOST_RANK {
        return Err(field("rank", format!("{rank} is not 0 to {MOST_RANK}")));
    }
    Ok(())
}
