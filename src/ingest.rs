//! Publishers in: protocols, who may publish, and the repair of their timestamps.
//!
//! What leaves is the same for every protocol: [`Arrival`]s, each with a bounded queue of
//! [`crate::media::Packet`]s on the programme's timeline. Whatever comes from the network ends in a clear
//! error for that publisher alone.
//!
//! - [`admission`]: keys and channels, ranks, and the takeover of a channel
//! - [`limits`]: tries and publishers of each address (pure)
//! - [`callback`]: asks the owner's own service
//! - [`feed`]: what every protocol does with its units
//! - [`timeline`]: a publisher's timestamps to programme time (pure)
//! - [`meter`], [`health`]: rates, and what they mean for producers (pure)
//! - [`rtmp`], [`srt`]: encoders that come to us
//! - [`pull`]: sources that we go to
//! - [`streams`]: a demultiplexer's output to formats and units

pub mod admission;
pub mod callback;
pub mod feed;
pub mod health;
pub mod limits;
pub mod meter;
pub mod pull;
pub mod rtmp;
pub mod srt;
pub mod streams;
pub mod timeline;
pub mod tls;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::media::Packet;
use crate::time::MediaTime;

/// A publisher that was let in.
#[derive(Debug)]
pub struct Arrival {
    /// Unique while the server runs; later ones are greater.
    pub id: u64,
    /// 0 is the best.
    pub rank: u32,
    /// What it sends. Ends when the publisher does.
    pub packets: mpsc::Receiver<Packet>,
    /// Ends the publisher when cancelled.
    pub cancel: CancellationToken,
    /// Why the decoder gave it up, for the publisher's log line.
    pub failure: Arc<OnceLock<String>>,
    /// Whether frames come.
    pub pulse: Arc<Pulse>,
    /// What producers see of it.
    pub record: admission::Record,
}

/// When a publisher's frames arrive, in programme time; written by ingest, read by who chooses among publishers.
#[derive(Debug, Default)]
pub struct Pulse {
    last: AtomicU64,
    since: AtomicU64,
}

impl Pulse {
    /// A frame arrived at `now`; a pause of more than `gap_nanos` before it begins a new run.
    pub fn beat(&self, now: MediaTime, gap_nanos: i64) {
        let last = MediaTime(self.last.swap(now.0, Ordering::AcqRel));
        if last.0 == 0 || now.since(last) > gap_nanos {
            self.since.store(now.0, Ordering::Release);
        }
    }

    /// When the last frame arrived, if one did.
    pub fn last(&self) -> Option<MediaTime> {
        Some(MediaTime(self.last.load(Ordering::Acquire))).filter(|last| last.0 > 0)
    }

    /// Since when frames arrive without a pause.
    pub fn since(&self) -> MediaTime {
        MediaTime(self.since.load(Ordering::Acquire))
    }
}
