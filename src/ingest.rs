//! Publishers in: protocols, who may publish, and the repair of their timestamps.
//!
//! What leaves is the same for every protocol: [`Arrival`]s, each with a bounded queue of
//! [`crate::media::Packet`]s on the programme's timeline. Whatever comes from the network ends in a clear
//! error for that publisher alone.
//!
//! - [`admission`]: keys and channels, and the takeover of a channel by a second publisher
//! - [`timeline`]: a publisher's timestamps to programme time (pure)
//! - [`meter`]: rates for producers (pure)
//! - [`rtmp`]: the protocol

pub mod admission;
pub mod meter;
pub mod rtmp;
pub mod timeline;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::media::Packet;

/// A publisher that was let in.
#[derive(Debug)]
pub struct Arrival {
    /// What it sends. Ends when the publisher does.
    pub packets: mpsc::Receiver<Packet>,
    /// Ends the publisher when cancelled.
    pub cancel: CancellationToken,
    /// Why the decoder gave it up, for the publisher's log line.
    pub failure: std::sync::Arc<std::sync::OnceLock<String>>,
}
