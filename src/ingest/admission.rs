//! Who may publish, and into which channel.
//!
//! The stream key picks the channel and the rank. Publishers of different rank are there side by side; among
//! those of one rank the newest wins at once: an encoder that lost its connection comes back within two seconds
//! and must never be refused because its dead predecessor still holds the place (rivals' most reported fault).
//! Which of those present is on air is not decided here. Keys are known by their digests only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::callback::{self, Question};
use super::limits::{Limits, Origin};
use super::{Arrival, Pulse};
use crate::id::{self, Digest};
use crate::media::{Canvas, Packet, PublisherStatus, Role};
use crate::time::{ProgramClock, Stopwatch, WallTime};

/// Units between ingest and decoder. When it is full the connection is not read further, and the encoder is
/// slowed down.
const PACKETS: usize = 512;
/// Arrivals that a channel has not looked at yet.
const ARRIVALS: usize = 16;

/// Why a publisher was not let in. The text goes to the encoder and the log; the key does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No channel has this key.
    #[error("the stream key is not known here")]
    UnknownKey,
    /// The address has failed too often.
    #[error("too many failed tries from this address: wait a minute")]
    Barred,
    /// The address has too many publishers.
    #[error("this address publishes {0} times already")]
    TooMany(usize),
    /// An encoder of the source's rank is there.
    #[error("an encoder of the same rank is there: give the source a worse one")]
    Taken,
    /// The owner's service said no.
    #[error("{0}")]
    Refused(String),
    /// The server is stopping.
    #[error("the channel is stopping")]
    Stopping,
}

/// A key as the doorman knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose publishers end when it is gone.
    pub id: String,
    /// The channel that it opens.
    pub channel: String,
    /// For people.
    pub name: String,
    /// 0 is the best.
    pub rank: u32,
    /// Of the key itself.
    pub digest: Digest,
}

/// A channel as publishers meet it.
#[derive(Debug)]
struct Door {
    channel: String,
    canvas: Canvas,
    passphrase: Option<String>,
    clock: ProgramClock,
    arrivals: mpsc::Sender<Arrival>,
    presence: watch::Sender<Presence>,
    seats: Mutex<Vec<Place>>,
}

/// One who is in.
#[derive(Debug)]
struct Place {
    id: u64,
    key_id: String,
    digest: Digest,
    rank: u32,
    cancel: CancellationToken,
}

/// Who is there, for producers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Presence {
    /// By id.
    pub publishers: BTreeMap<u64, PublisherStatus>,
    /// How and why the last one ended.
    pub last_end: Option<String>,
}

/// What the owner allows.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Publishers of one address at once.
    pub publishers_per_address: usize,
    /// The service that is asked.
    pub callback: Option<String>,
    /// A pause of frames that counts as one.
    pub failover_ms: u32,
}

/// All doors of the server.
#[derive(Debug)]
pub struct Doorman {
    doors: Vec<Arc<Door>>,
    keys: Mutex<Vec<Key>>,
    limits: Arc<Mutex<Limits>>,
    rules: Rules,
    clock: Stopwatch,
}

/// What the channel's side holds of its door.
#[derive(Debug)]
pub struct Reception {
    /// Publishers that were let in, in order.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// What is known of those present.
    pub presence: watch::Receiver<Presence>,
}

/// Who wants in, and how.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// The key as given.
    pub key: &'a str,
    /// Where from.
    pub peer: SocketAddr,
    /// `rtmp`, `rtmps`, `srt`.
    pub protocol: &'static str,
}

/// What the right key gives.
#[derive(Debug, Clone)]
pub struct Pass {
    door: Arc<Door>,
    key: Key,
}

impl Pass {
    /// The passphrase of its channel, where SRT must have one.
    pub fn passphrase(&self) -> Option<&str> {
        self.door.passphrase.as_deref()
    }
}

/// A publisher's line in what producers see.
#[derive(Debug, Clone)]
pub struct Record {
    door: Arc<Door>,
    id: u64,
}

/// A publisher's place in its channel. Dropping it tells producers that the publisher is gone.
#[derive(Debug)]
pub struct Seat {
    /// What producers see.
    pub record: Record,
    /// Cancelled when a newer publisher takes over, the key is revoked or the server stops.
    pub cancel: CancellationToken,
    packets: mpsc::Sender<Packet>,
    failure: Arc<OnceLock<String>>,
    pulse: Arc<Pulse>,
    gap_nanos: i64,
    end: Mutex<String>,
    limits: Option<(Arc<Mutex<Limits>>, Origin)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doorman {
    /// A doorman without doors and keys.
    pub fn new(rules: Rules) -> Self {
        let (keys, limits) = (Mutex::default(), Arc::default());
        Self { doors: Vec::new(), keys, limits, rules, clock: Stopwatch::start() }
    }

    /// Adds a channel.
    pub fn add(
        &mut self,
        channel: &str,
        canvas: Canvas,
        passphrase: Option<String>,
        clock: ProgramClock,
    ) -> Reception {
        let (arrivals, arrivals_rx) = mpsc::channel(ARRIVALS);
        let (presence, presence_rx) = watch::channel(Presence::default());
        let (channel, seats) = (channel.into(), Mutex::default());
        self.doors.push(Arc::new(Door { channel, canvas, passphrase, clock, arrivals, presence, seats }));
        Reception { arrivals: arrivals_rx, presence: presence_rx }
    }

    /// The keys from now on. Publishers whose key is gone or another now are ended.
    pub fn set_keys(&self, keys: Vec<Key>) {
        let mut present = locked(&self.keys);
        for door in &self.doors {
            for place in locked(&door.seats).iter().filter(|place| !place.key_id.is_empty()) {
                if !keys.iter().any(|key| key.id == place.key_id && key.digest == place.digest) {
                    place.cancel.cancel();
                }
            }
        }
        *present = keys;
    }

    /// Looks at the key. Does not wait, so that a handshake can ask.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::Barred`].
    pub fn check(&self, applicant: Applicant) -> Result<Pass, Error> {
        // SRT's datagrams can bear anybody's address: what they do wrong is no reason to bar that address over TCP.
        let (from, now) =
            (Origin::new(applicant.peer.ip(), applicant.protocol == "srt"), self.clock.elapsed());
        if locked(&self.limits).is_barred(from, now) {
            return Err(Error::Barred);
        }
        let digest = id::digest(applicant.key);
        let keys = locked(&self.keys);
        // All are tried: how long it takes does not tell how many there are or which matched.
        let matching = keys.iter().filter(|key| id::digests_match(&key.digest, &digest)).collect::<Vec<_>>();
        let found = matching.first().and_then(|key| {
            let door = self.doors.iter().find(|door| door.channel == key.channel)?;
            Some(Pass { door: door.clone(), key: (*key).clone() })
        });
        if found.is_none() {
            locked(&self.limits).failed(from, now);
        }
        found.ok_or(Error::UnknownKey)
    }

    /// Lets the publisher in and ends the one of the same rank before it.
    ///
    /// # Errors
    /// [`Error`], for the encoder's eyes.
    pub async fn admit(&self, pass: Pass, applicant: Applicant<'_>) -> Result<Seat, Error> {
        let Pass { door, key } = pass;
        if let Some(url) = self.rules.callback.clone() {
            let question = Question {
                action: "publish",
                channel: door.channel.clone(),
                key_name: key.name.clone(),
                rank: key.rank,
                protocol: applicant.protocol,
                address: applicant.peer.to_string(),
            };
            callback::ask(url, question).await.map_err(Error::Refused)?;
        }
        let most = self.rules.publishers_per_address;
        let from = Origin::new(applicant.peer.ip(), applicant.protocol == "srt");
        // An encoder that comes back takes its own place, not another one.
        let ends_one = locked(&door.seats).iter().any(|place| place.rank == key.rank);
        if !locked(&self.limits).enter(from, most + usize::from(ends_one)) {
            return Err(Error::TooMany(most));
        }
        let limits = Some((self.limits.clone(), from));
        let status = PublisherStatus {
            protocol: Some(applicant.protocol),
            address: Some(applicant.peer.to_string()),
            key_name: Some(key.name.clone()),
            ..PublisherStatus::default()
        };
        self.seat(door, key, status, limits).await
    }

    /// Seats a source of the channel's own, which has no key.
    ///
    /// # Errors
    /// [`Error::Stopping`], also when there is no such channel.
    pub async fn seat_source(&self, channel: &str, rank: u32, address: String) -> Result<Seat, Error> {
        let door = self.doors.iter().find(|door| door.channel == channel).ok_or(Error::Stopping)?.clone();
        // Two of one rank would throw each other out for ever: the encoder stays.
        if locked(&door.seats).iter().any(|place| place.rank == rank && !place.key_id.is_empty()) {
            return Err(Error::Taken);
        }
        let key = Key {
            id: String::new(),
            channel: channel.into(),
            name: "source".into(),
            rank,
            digest: Digest::default(),
        };
        let status =
            PublisherStatus { protocol: Some("pull"), address: Some(address), ..PublisherStatus::default() };
        self.seat(door, key, status, None).await
    }

    async fn seat(
        &self,
        door: Arc<Door>,
        key: Key,
        status: PublisherStatus,
        limits: Option<(Arc<Mutex<Limits>>, Origin)>,
    ) -> Result<Seat, Error> {
        static PUBLISHERS: AtomicU64 = AtomicU64::new(1);
        let id = PUBLISHERS.fetch_add(1, Ordering::Relaxed);
        let cancel = CancellationToken::new();
        let (packets, packets_rx) = mpsc::channel(PACKETS);
        let (failure, pulse) = (Arc::new(OnceLock::new()), Arc::new(Pulse::default()));
        let record = Record { door: door.clone(), id };
        let seat = Seat {
            record: record.clone(),
            cancel: cancel.clone(),
            packets,
            failure: failure.clone(),
            pulse: pulse.clone(),
            gap_nanos: i64::from(self.rules.failover_ms) * 1_000_000,
            end: Mutex::new("the connection ended".into()),
            limits,
        };
        {
            let mut seats = locked(&door.seats);
            for before in seats.iter().filter(|place| place.rank == key.rank) {
                before.cancel.cancel();
            }
            let (key_id, digest, rank) = (key.id.clone(), key.digest, key.rank);
            seats.push(Place { id, key_id, digest, rank, cancel: cancel.clone() });
            let status = PublisherStatus {
                id,
                is_connected: true,
                rank,
                since: Some(WallTime::now()),
                role: Role::Waiting,
                ..status
            };
            door.presence.send_modify(|presence| {
                presence.publishers.insert(id, status);
            });
        }
        // Revoked between the look at the key and this place.
        if !key.id.is_empty()
            && !locked(&self.keys).iter().any(|known| known.id == key.id && known.digest == key.digest)
        {
            cancel.cancel();
        }
        let arrival = Arrival { id, rank: key.rank, packets: packets_rx, cancel, failure, pulse, record };
        door.arrivals.send(arrival).await.map_err(|_| Error::Stopping)?;
        Ok(seat)
    }
}

impl Record {
    /// Changes what producers see.
    pub fn report(&self, change: impl FnOnce(&mut PublisherStatus)) {
        self.door.presence.send_if_modified(|presence| match presence.publishers.get_mut(&self.id) {
            Some(status) => {
                let before = status.clone();
                change(status);
                *status != before
            }
            None => false,
        });
    }

    /// As producers see it now.
    pub fn status(&self) -> PublisherStatus {
        self.door.presence.borrow().publishers.get(&self.id).cloned().unwrap_or_default()
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.door.channel
    }

    /// The channel's picture.
    pub fn canvas(&self) -> Canvas {
        self.door.canvas
    }

    /// The channel's clock.
    pub fn clock(&self) -> &ProgramClock {
        &self.door.clock
    }
}

impl Seat {
    /// Hands a packet on; waits while the decoder is busy. `false` when the channel does not want more.
    pub async fn send(&self, packet: Packet) -> bool {
        self.packets.send(packet).await.is_ok()
    }

    /// A frame has arrived.
    pub fn beat(&self) {
        self.pulse.beat(self.record.clock().now(), self.gap_nanos);
    }

    /// Why the decoder gave it up, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Says why it ends, for producers.
    pub fn end_with(&self, reason: String) {
        *locked(&self.end) = reason;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Record { door, id } = &self.record;
        if let Some((limits, from)) = &self.limits {
            locked(limits).leave(*from);
        }
        let mut seats = locked(&door.seats);
        let rank = seats.iter().find(|place| place.id == *id).map(|place| place.rank);
        seats.retain(|place| place.id != *id);
        let was_replaced = seats.iter().any(|place| Some(place.rank) == rank);
        let reason = locked(&self.end).clone();
        door.presence.send_modify(|presence| {
            presence.publishers.remove(id);
            // The newer publisher's story stands.
            if !was_replaced {
                presence.last_end = Some(reason);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;
    use crate::time::MediaTime;

    const CANVAS: Canvas = Canvas { width: 1280, height: 720, rate: FrameRate { num: 30, den: 1 } };

    fn key(name: &str, rank: u32) -> Key {
        let digest = id::digest(format!("{name}-key"));
        Key { id: name.into(), channel: "main".into(), name: name.into(), rank, digest }
    }

    fn doorman(most: usize) -> (Doorman, Reception) {
        let rules = Rules { publishers_per_address: most, callback: None, failover_ms: 300 };
        let mut doorman = Doorman::new(rules);
        let clock = ProgramClock::start(WallTime(0), MediaTime::ZERO);
        let reception = doorman.add("main", CANVAS, None, clock);
        doorman.set_keys(vec![key("host", 0), key("backup", 1)]);
        (doorman, reception)
    }

    fn applicant(key: &str) -> Applicant<'_> {
        Applicant { key, peer: "192.0.2.7:5000".parse().unwrap(), protocol: "rtmp" }
    }

    async fn enter(doorman: &Doorman, key: &str) -> Result<Seat, Error> {
        let pass = doorman.check(applicant(key))?;
        doorman.admit(pass, applicant(key)).await
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused_without_naming_it_and_too_many_bar_the_address() {
        let (doorman, _reception) = doorman(8);
        for _ in 0..10 {
            let error = enter(&doorman, "wrongkey").await.unwrap_err();
            assert_eq!(error, Error::UnknownKey);
            assert!(!error.to_string().contains("wrongkey"));
        }
        assert_eq!(enter(&doorman, "host-key").await.unwrap_err(), Error::Barred);
    }

    #[tokio::test]
    async fn the_second_publisher_of_a_rank_ends_the_first_and_keeps_its_status() {
        let (doorman, mut reception) = doorman(8);
        let first = enter(&doorman, "host-key").await.unwrap();
        let second = enter(&doorman, "host-key").await.unwrap();
        assert!(first.cancel.is_cancelled() && !second.cancel.is_cancelled());
        drop(first);
        assert!(reception.presence.borrow().last_end.is_none());
        second.end_with("stalled".into());
        drop(second);
        assert_eq!(reception.presence.borrow().last_end.as_deref(), Some("stalled"));
        assert!(reception.presence.borrow().publishers.is_empty());
        assert!(reception.arrivals.recv().await.is_some());
    }

    #[tokio::test]
    async fn publishers_of_different_rank_are_there_side_by_side() {
        let (doorman, reception) = doorman(8);
        let host = enter(&doorman, "host-key").await.unwrap();
        let _backup = enter(&doorman, "backup-key").await.unwrap();
        assert!(!host.cancel.is_cancelled());
        assert_eq!(reception.presence.borrow().publishers.len(), 2);
    }

    #[tokio::test]
    async fn a_revoked_or_rotated_key_ends_its_publishers() {
        let (doorman, _reception) = doorman(8);
        let host = enter(&doorman, "host-key").await.unwrap();
        let backup = enter(&doorman, "backup-key").await.unwrap();
        doorman.set_keys(vec![Key { digest: id::digest("another"), ..key("host", 0) }, key("backup", 1)]);
        assert!(host.cancel.is_cancelled() && !backup.cancel.is_cancelled());
        doorman.set_keys(Vec::new());
        assert!(backup.cancel.is_cancelled());
    }

    #[tokio::test]
    async fn an_address_has_so_many_publishers_and_a_returning_one_is_not_counted_twice() {
        let (doorman, _reception) = doorman(1);
        let _host = enter(&doorman, "host-key").await.unwrap();
        let _again = enter(&doorman, "host-key").await.unwrap();
        assert_eq!(enter(&doorman, "backup-key").await.unwrap_err(), Error::TooMany(1));
    }
}
