//! Who may publish, and into which channel.
//!
//! The stream key picks the channel. The newest publisher with the right key wins at once: an encoder that
//! lost its connection comes back within two seconds and must never be refused because its dead
//! predecessor still holds the channel (rivals' most reported fault).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Arrival;
use crate::id;
use crate::media::{Packet, PublisherStatus};
use crate::time::{ProgramClock, WallTime};

/// Units between ingest and decoder. When it is full the connection is not read further, and TCP slows
/// the encoder down.
const PACKETS: usize = 512;
/// Arrivals that a channel has not looked at yet.
const ARRIVALS: usize = 4;

/// Why a publisher was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No channel has this key. The text goes to the encoder and the log; the key does not.
    #[error("the stream key is not known here")]
    UnknownKey,
    /// The server is stopping.
    #[error("the channel is stopping")]
    Stopping,
}

/// A channel as publishers meet it.
#[derive(Debug)]
struct Door {
    channel: String,
    key: String,
    clock: ProgramClock,
    arrivals: mpsc::Sender<Arrival>,
    status: watch::Sender<PublisherStatus>,
    present: Mutex<Present>,
}

/// Who has the channel now. Its lock is also held while the status is written, so that a publisher that was
/// replaced never overwrites its successor's.
#[derive(Debug, Default)]
struct Present {
    generation: u64,
    cancel: Option<CancellationToken>,
}

/// All doors of the server.
#[derive(Debug, Default)]
pub struct Doorman {
    doors: Vec<Arc<Door>>,
}

/// What the channel's side holds of its door.
#[derive(Debug)]
pub struct Reception {
    /// Publishers that were let in, in order.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// What is known of the present one.
    pub status: watch::Receiver<PublisherStatus>,
}

/// A publisher's place in its channel. Dropping it tells producers that the publisher is gone.
#[derive(Debug)]
pub struct Seat {
    door: Arc<Door>,
    /// Cancelled when a newer publisher takes over or the server stops.
    pub cancel: CancellationToken,
    packets: mpsc::Sender<Packet>,
    failure: Arc<OnceLock<String>>,
    generation: u64,
    end: Mutex<String>,
}

impl Doorman {
    /// Adds a channel with its key.
    pub fn add(&mut self, channel: &str, key: String, clock: ProgramClock) -> Reception {
        let (arrivals, arrivals_rx) = mpsc::channel(ARRIVALS);
        let (status, status_rx) = watch::channel(PublisherStatus::default());
        let present = Mutex::default();
        self.doors.push(Arc::new(Door { channel: channel.into(), key, clock, arrivals, status, present }));
        Reception { arrivals: arrivals_rx, status: status_rx }
    }

    /// Lets a publisher with `key` in and ends the one before it.
    ///
    /// # Errors
    /// [`Error`], for the encoder's eyes.
    pub async fn admit(&self, key: &str, status: PublisherStatus) -> Result<Seat, Error> {
        // All doors are tried: how long it takes does not tell how many there are or which matched.
        let matching = self.doors.iter().filter(|door| id::secrets_match(&door.key, key)).collect::<Vec<_>>();
        let door = (*matching.first().ok_or(Error::UnknownKey)?).clone();
        let cancel = CancellationToken::new();
        let (packets, packets_rx) = mpsc::channel(PACKETS);
        let failure = Arc::new(OnceLock::new());
        let arrival = Arrival { packets: packets_rx, cancel: cancel.clone(), failure: failure.clone() };
        door.arrivals.send(arrival).await.map_err(|_| Error::Stopping)?;
        let generation = {
            let mut present = door.lock();
            if let Some(before) = present.cancel.replace(cancel.clone()) {
                before.cancel();
            }
            present.generation += 1;
            door.status.send_replace(PublisherStatus {
                is_connected: true,
                since: Some(WallTime::now()),
                ..status
            });
            present.generation
        };
        Ok(Seat {
            door,
            cancel,
            packets,
            failure,
            generation,
            end: Mutex::new("the connection ended".into()),
        })
    }
}

impl Door {
    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.door.channel
    }

    /// The channel's clock.
    pub fn clock(&self) -> &ProgramClock {
        &self.door.clock
    }

    /// Hands a packet on; waits while the decoder is busy. `false` when the channel does not want more.
    pub async fn send(&self, packet: Packet) -> bool {
        self.packets.send(packet).await.is_ok()
    }

    /// Changes what producers see, unless a newer publisher has taken over.
    pub fn report(&self, change: impl FnOnce(&mut PublisherStatus)) {
        let present = self.door.lock();
        if present.generation == self.generation {
            self.door.status.send_modify(change);
        }
    }

    /// Why the decoder gave it up, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Says why it ends, for producers.
    pub fn end_with(&self, reason: String) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let present = self.door.lock();
        if present.generation != self.generation {
            return; // the newer publisher's status stands
        }
        let last_end = Some(self.end.lock().unwrap_or_else(PoisonError::into_inner).clone());
        self.door.status.send_replace(PublisherStatus { last_end, ..PublisherStatus::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MediaTime;

    fn doorman() -> (Doorman, Reception) {
        let mut doorman = Doorman::default();
        let clock = ProgramClock::start(WallTime(0), MediaTime::ZERO);
        let reception = doorman.add("main", "rightkey".into(), clock);
        (doorman, reception)
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused_without_naming_it() {
        let (doorman, _reception) = doorman();
        let error = doorman.admit("wrongkey", PublisherStatus::default()).await.unwrap_err();
        assert_eq!(error, Error::UnknownKey);
        assert!(!error.to_string().contains("wrongkey"));
    }

    #[tokio::test]
    async fn the_second_publisher_ends_the_first_and_keeps_its_status() {
        let (doorman, mut reception) = doorman();
        let first = doorman.admit("rightkey", PublisherStatus::default()).await.unwrap();
        let second = doorman.admit("rightkey", PublisherStatus::default()).await.unwrap();
        assert!(first.cancel.is_cancelled() && !second.cancel.is_cancelled());
        drop(first);
        assert!(reception.status.borrow().is_connected);
        second.end_with("stalled".into());
        drop(second);
        assert_eq!(reception.status.borrow().last_end.as_deref(), Some("stalled"));
        assert!(reception.arrivals.recv().await.is_some());
    }
}
