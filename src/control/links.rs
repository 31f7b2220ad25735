//! Addresses for viewers: signed when the owner wants that, the plain ones when everybody may watch.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Error, Kind};
use super::people::door::Caller;
use crate::time::WallTime;

/// Gives what stands before addresses of a scope until a time; empty when everybody may watch.
pub type Signer = Arc<dyn Fn(&str, WallTime) -> String + Send + Sync>;

/// Minutes without a wish, and at most: a month.
const USUAL_MIN: u32 = 720;
const MOST_MIN: u32 = 44_640;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    minutes: u32,
    show: Option<String>,
}

impl Default for Wish {
    fn default() -> Self {
        Self { minutes: USUAL_MIN, show: None }
    }
}

/// A [`Wish`] in JSON Schema.
pub(super) fn schema() -> Value {
    let minutes = json!({ "type": "integer", "minimum": 1, "maximum": MOST_MIN, "default": USUAL_MIN });
    json!({ "type": "object", "additionalProperties": false,
        "properties": { "minutes": minutes, "show": { "type": ["string", "null"] } } })
}

/// `POST /channels/{channel}/links {"minutes":720}`, with `"show"` for that show alone.
pub(super) async fn make(
    Caller(doors): Caller,
    Path(channel): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Error> {
    if !doors.status.contains_key(&channel) {
        return Err(Error::no_channel(&channel));
    }
    let wish = if body.is_empty() {
        Wish::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            Error::field(Kind::BadField, "minutes", format!("a number is wanted: {error}"))
        })?
    };
    if !(1..=MOST_MIN).contains(&wish.minutes) {
        let text = format!("{}; 1 to {MOST_MIN} are taken", wish.minutes);
        return Err(Error::field(Kind::BadField, "minutes", text));
    }
    let expires = WallTime(WallTime::now().0 + i64::from(wish.minutes) * 60_000);
    let mut told = if let Some(show) = &wish.show {
        let prefix = (doors.signer)(&format!("{channel}/{show}"), expires);
        json!({
            "playlist": format!("{prefix}/vod/{channel}/{show}/index.m3u8"),
            "download": format!("{prefix}/vod/{channel}/{show}/show.mp4"),
            "prefix": prefix,
        })
    } else {
        let prefix = (doors.signer)(&channel, expires);
        json!({
            "playlist": format!("{prefix}/live/{channel}/index.m3u8"),
            "watch": format!("{prefix}/watch/{channel}"),
            "prefix": prefix,
        })
    };
    told["expires"] = json!(expires);
    Ok(Json(told))
}
