//! What operators and programs ask for: obs-websocket's envelope on `/ws`, the same verbs as REST under
//! `/api/v1`. Both doors turn a request into the same [`message::Action`] and give the same errors.
//!
//! - [`message`]: requests by name, in one place (pure)
//! - [`error`]: one table from errors to codes
//! - [`perform`]: asks the director
//! - [`socket`], [`http`]: the doors
//! - [`metrics`]: for Prometheus
//! - [`import`]: products from the data directory

pub mod error;
pub mod http;
pub mod import;
pub mod message;
pub mod metrics;
pub mod perform;
pub mod socket;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::director::DirectorHandle;
use crate::media::ChannelStatus;
use crate::store::pictures::Pictures;

/// Draws a card as it will look in a channel: card and channel in, a PNG or words out. Blocks.
pub type Painter = Arc<dyn Fn(&str, &str) -> Result<Vec<u8>, String> + Send + Sync>;

/// Where encoders publish, without keys.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// The server field for RTMP.
    pub rtmp: String,
    /// The server field for RTMPS, if it is on.
    pub rtmps: Option<String>,
    /// The address for SRT, before `?streamid=`.
    pub srt: String,
}

/// What the doors work with. Cheap to clone.
#[derive(Clone)]
pub struct Doors {
    /// Asks for changes.
    pub director: DirectorHandle,
    /// Each channel's status.
    pub status: Arc<BTreeMap<String, watch::Receiver<ChannelStatus>>>,
    /// Draws previews.
    pub painter: Painter,
    /// Keeps pictures.
    pub pictures: Pictures,
    /// The password of both doors.
    pub token: Arc<str>,
    /// Where encoders publish.
    pub publish: Arc<Publish>,
    /// Where products are imported from.
    pub import_dir: PathBuf,
    /// The server stops.
    pub stop: CancellationToken,
}
