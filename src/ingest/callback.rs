//! Asks the owner's own service whether a publisher may come in: `POST` with a JSON body, 2xx lets it in.
//!
//! Asked after the key was found right, never instead of it. An answer that does not come is a refusal: a service
//! that is down must not open the door.

use std::time::Duration;

use serde::Serialize;

/// How long the service may take.
const LIMIT: Duration = Duration::from_secs(3);
/// Its words that are passed on to the encoder.
const MOST_WORDS: usize = 200;

/// What the service is told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Always `publish`.
    pub action: &'static str,
    /// The channel that the key is for.
    pub channel: String,
    /// The key's name, not the key.
    pub key_name: String,
    /// The key's rank.
    pub rank: u32,
    /// `rtmp`, `rtmps`, `srt`.
    pub protocol: &'static str,
    /// The encoder's address and port.
    pub address: String,
}

/// Asks; an error is the reason for the encoder and the log.
///
/// # Errors
/// The service's own words when it refuses, ours when it cannot be asked.
pub async fn ask(url: String, question: Question) -> Result<(), String> {
    let asked = tokio::task::spawn_blocking(move || ask_blocking(&url, &question)).await;
    asked.unwrap_or_else(|_| Err("the publish callback failed".into()))
}

fn ask_blocking(url: &str, question: &Question) -> Result<(), String> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(LIMIT))
        .max_redirects(0)
        .build()
        .new_agent();
    let body = serde_json::to_string(question).unwrap_or_default();
    let mut response = agent.post(url).content_type("application/json").send(body).map_err(|error| {
        tracing::warn!("the publish callback cannot be asked: {error}");
        "the publish callback does not answer".to_owned()
    })?;
    if response.status().is_success() {
        return Ok(());
    }
    let words = response.body_mut().with_config().limit(64 * 1024).read_to_string().unwrap_or_default();
    let words: String = words.trim().chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
    Err(if words.is_empty() {
        format!("refused by the publish callback ({})", response.status())
    } else {
        words
    })
}
