//! A producer's own words to players: timed metadata at the frame that is on air when it comes.
//!
//! The limits and manners are those of Amazon IVS's `PutMetadata`: 1 KB, five a second for a channel, 204.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Error, Kind};
use super::people::door::Caller;
use super::{Doors, perform};
use crate::state::Role;
use crate::time::Stopwatch;

/// Bytes of one.
const MOST_BYTES: usize = 1024;
/// So many in [`WHILE`].
const MOST: usize = 5;
const WHILE: Duration = Duration::from_secs(1);

/// What was announced lately, by channel.
#[derive(Debug, Default)]
pub struct Pace {
    lately: Mutex<BTreeMap<String, VecDeque<Stopwatch>>>,
}

impl Pace {
    /// Whether one more may be announced now.
    fn admits(&self, channel: &str) -> bool {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let times = lately.entry(channel.to_owned()).or_default();
        while times.front().is_some_and(|time| time.elapsed() > WHILE) {
            times.pop_front();
        }
        let is_free = times.len() < MOST;
        if is_free {
            times.push_back(Stopwatch::start());
        }
        is_free
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announcement {
    metadata: String,
}

/// An [`Announcement`] in JSON Schema.
pub(super) fn schema() -> Value {
    let metadata = json!({ "type": "string", "minLength": 1, "maxLength": MOST_BYTES });
    json!({ "type": "object", "required": ["metadata"], "additionalProperties": false,
        "properties": { "metadata": metadata } })
}

/// `POST /channels/{channel}/metadata {"metadata":"…"}`.
pub(super) async fn announce(
    Caller(doors): Caller,
    Path(channel): Path<String>,
    body: Bytes,
) -> Result<Response, Error> {
    let said = serde_json::from_slice::<Value>(&body).unwrap_or_default()["metadata"].clone();
    let outcome = tell(&doors, &channel, &body);
    let noted = outcome.as_ref().map(|()| Value::Null).map_err(Clone::clone);
    perform::note(&doors, "PutMetadata", json!({ "channel": channel, "metadata": said }), &noted).await;
    match outcome {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) if error.kind == Kind::TooMany => {
            Ok(([(header::RETRY_AFTER, "1")], error).into_response())
        }
        Err(error) => Err(error),
    }
}

fn tell(doors: &Doors, channel: &str, body: &[u8]) -> Result<(), Error> {
    doors.allow(Role::Producer)?;
    if !doors.status.contains_key(channel) {
        return Err(Error::no_channel(channel));
    }
    if doors.director.state().practice.contains(channel) {
        return Err(Error::field(Kind::Conflict, "channel", "it practises: nothing reaches viewers"));
    }
    let Announcement { metadata } = serde_json::from_slice(body)
        .map_err(|error| Error::field(Kind::BadField, "metadata", format!("a text is wanted: {error}")))?;
    if metadata.is_empty() || metadata.len() > MOST_BYTES {
        let reason = format!("{} bytes; 1 to {MOST_BYTES} are taken", metadata.len());
        return Err(Error::field(Kind::BadField, "metadata", reason));
    }
    if !doors.pace.admits(channel) {
        return Err(Error::plain(Kind::TooMany, format!("more than {MOST} in a second")));
    }
    (doors.announcer)(channel, &metadata);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_second_are_admitted_and_channels_do_not_share() {
        let pace = Pace::default();
        let admitted = (0..20).filter(|_| pace.admits("main")).count();
        assert_eq!(admitted, MOST);
        assert!(pace.admits("second"));
    }
}
