//! A channel's publishers: who is decoded, who is on air. Each decoder ends with its publisher.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clean::{Due, Formats};
use crate::config;
use crate::decode::{self, Decoder, Seen};
use crate::ingest::Arrival;
use crate::ingest::admission::Record;
use crate::media::{Canvas, Kind, Packet, Role};
use crate::program::choice::{self, Candidate, Rules};
use crate::program::{self, Mixer};
use crate::time::{MediaTime, ProgramClock};

/// How long before it is due a unit is decoded.
const DECODE_AHEAD_NANOS: i64 = 100_000_000;
/// Units of one publisher that wait for their time; beyond that it is held up.
const WAITING: usize = 600;
/// How often the choice is made anew: together with the gap that is waited for, a takeover stays under half a second.
const LOOK: Duration = Duration::from_millis(20);

/// Chooses among a channel's publishers.
pub(super) struct Switch {
    replacements: Option<PathBuf>,
    clock: ProgramClock,
    canvas: Canvas,
    mixer: Arc<Mixer>,
    rules: Rules,
    /// To the clean rendition, if there is one.
    clean: Option<mpsc::Sender<Due>>,
    stop: CancellationToken,
}

/// One publisher, as the switch sees it.
struct Present {
    id: u64,
    rank: u32,
    came: MediaTime,
    pulse: Arc<crate::ingest::Pulse>,
    record: Record,
    role: watch::Sender<Role>,
}

impl Switch {
    /// By the owner's wishes.
    pub(super) fn new(
        config: &config::Config,
        canvas: Canvas,
        clock: ProgramClock,
        mixer: Arc<Mixer>,
        clean: Option<mpsc::Sender<Due>>,
        stop: &CancellationToken,
    ) -> Self {
        let nanos = |ms: u32| i64::from(ms) * 1_000_000;
        let ingest = &config.ingest;
        let rules = Rules { gap_nanos: nanos(ingest.failover_ms), return_nanos: nanos(ingest.return_ms) };
        Self {
            replacements: config.pipelines.clone(),
            clock,
            canvas,
            mixer,
            rules,
            clean,
            stop: stop.clone(),
        }
    }

    /// Each decoder is a task of its own that the server's end waits for: a pipeline must be stopped, not dropped.
    pub(super) async fn run(self, mut arrivals: mpsc::Receiver<Arrival>, tasks: TaskTracker) {
        let (gone, mut leaving) = mpsc::unbounded_channel();
        let mut present: Vec<Present> = Vec::new();
        let mut on_air = None;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(arrival) => {
                        let better = present.iter().filter(|one| one.rank < arrival.rank).count();
                        // Two are decoded: on air and ready. Said before the first packet is looked at.
                        let role = if better < 2 { Role::Standby } else { Role::Waiting };
                        present.push(self.welcome(arrival, role, gone.clone(), &tasks));
                    }
                    None => return,
                },
                Some(id) = leaving.recv() => present.retain(|one| one.id != id),
                _ = look.tick(), if !present.is_empty() => {}
            }
            on_air = self.choose(on_air, &present);
        }
    }

    fn choose(&self, before: Option<u64>, present: &[Present]) -> Option<u64> {
        let candidates: Vec<Candidate> = present
            .iter()
            .map(|one| Candidate {
                id: one.id,
                rank: one.rank,
                last: one.pulse.last(),
                since: one.pulse.since(),
                came: one.came,
                is_ready: self.mixer.is_ready(one.id),
            })
            .collect();
        let now = self.clock.now();
        let on_air = choice::on_air(now, before, &candidates, self.rules);
        if let Some(id) = on_air.filter(|_| on_air != before) {
            self.mixer.put_on_air(id);
            if let (Some(_), Some(one)) = (before, present.iter().find(|one| one.id == id)) {
                let status = one.record.status();
                let name = status.key_name.unwrap_or_else(|| "source".into());
                tracing::info!(channel = one.record.channel(), "{name} (rank {}) is on air", one.rank);
            }
        }
        for ((_, role), one) in choice::roles(now, on_air, &candidates, self.rules).iter().zip(present) {
            if one.role.send_if_modified(|before| std::mem::replace(before, *role) != *role) {
                one.record.report(|status| status.role = *role);
            }
        }
        on_air
    }

    fn welcome(
        &self,
        arrival: Arrival,
        role: Role,
        gone: mpsc::UnboundedSender<u64>,
        tasks: &TaskTracker,
    ) -> Present {
        arrival.record.report(|status| status.role = role);
        let (role, role_rx) = watch::channel(role);
        let Arrival { id, rank, .. } = arrival;
        let (pulse, record) = (arrival.pulse.clone(), arrival.record.clone());
        let decoding = Decoding {
            replacements: self.replacements.clone(),
            clock: self.clock.clone(),
            canvas: self.canvas,
            mixer: self.mixer.clone(),
            record: arrival.record.clone(),
            id,
            stop: self.stop.clone(),
            formats: [None, None],
            clean: self.clean.clone(),
            due_formats: [None, None],
            waiting: Default::default(),
            decoder: None,
        };
        tasks.spawn(async move {
            let cancel = arrival.cancel.clone();
            decoding.run(arrival, role_rx).await;
            cancel.cancel();
            let _ = gone.send(id); // one for each publisher, of which there are few
        });
        Present { id, rank, came: self.clock.now(), pulse, record, role }
    }
}

/// Decodes one publisher's units shortly before they are due, while it is on air or ready. What rides out uneven
/// delivery waits coded: decoded it would be a hundred times larger, and out of the processor's caches by the time
/// it is used.
struct Decoding {
    replacements: Option<PathBuf>,
    clock: ProgramClock,
    canvas: Canvas,
    mixer: Arc<Mixer>,
    record: Record,
    id: u64,
    stop: CancellationToken,
    /// As announced last, for a decoder that starts later.
    formats: Formats,
    clean: Option<mpsc::Sender<Due>>,
    /// As they are of what is due.
    due_formats: Formats,
    /// What is not due yet, of picture and sound.
    waiting: [VecDeque<Packet>; 2],
    decoder: Option<Decoder>,
}

/// When it is decoded; a format at once, when what came before it is through.
fn due(packet: &Packet) -> MediaTime {
    match packet {
        Packet::Format(_) => MediaTime::ZERO,
        Packet::Unit(unit) => unit.dts,
    }
}

impl Decoding {
    async fn run(mut self, mut arrival: Arrival, role: watch::Receiver<Role>) {
        let (mut outcome, mut is_gone) = (Ok(()), false);
        // What a publisher that is gone has left is still shown, but not while the server ends.
        while outcome.is_ok() && !self.stop.is_cancelled() {
            let has_room = self.waiting.iter().map(VecDeque::len).sum::<usize>() < WAITING;
            let early = self.early();
            if is_gone && early.is_none() {
                break;
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                packet = arrival.packets.recv(), if has_room && !is_gone => match packet {
                    Some(packet) => {
                        let is_wanted = *role.borrow() != Role::Waiting;
                        outcome = self.take(packet, is_wanted).await;
                    }
                    None => is_gone = true,
                },
                () = tokio::time::sleep(early.unwrap_or_default()), if early.is_some() => {
                    let is_on_air = *role.borrow() == Role::OnAir;
                    outcome = self.decode_due(is_on_air).await;
                }
            }
        }
        if let Err(error) = &outcome {
            let _ = arrival.failure.set(error.to_string()); // the publisher's own line tells it
        }
        drop(arrival.packets);
        if let Some(decoder) = self.decoder.take()
            && let Err(error) = decoder.stop().await
        {
            tracing::warn!("{error}");
        }
    }

    /// How long what is due next has to wait; nothing when nothing waits.
    fn early(&self) -> Option<Duration> {
        let now = self.clock.now();
        let early = |packet: &Packet| (due(packet).since(now) - DECODE_AHEAD_NANOS).max(0).unsigned_abs();
        self.waiting.iter().filter_map(VecDeque::front).map(early).min().map(Duration::from_nanos)
    }

    /// Decodes what is due next, of either track: a track that runs ahead does not hold the other up.
    async fn decode_due(&mut self, is_on_air: bool) -> Result<(), decode::Error> {
        let heads = self.waiting.iter_mut().filter(|queue| !queue.is_empty());
        let next = heads.min_by_key(|queue| queue.front().map(due)).and_then(VecDeque::pop_front);
        self.pass_on(next.as_ref(), is_on_air);
        match (next, &mut self.decoder) {
            (Some(packet), Some(decoder)) => decoder.push(packet).await,
            _ => Ok(()),
        }
    }

    /// To the clean rendition, when it is on air.
    fn pass_on(&mut self, next: Option<&Packet>, is_on_air: bool) {
        let Some(clean) = &self.clean else { return };
        match next {
            Some(Packet::Format(format)) => {
                let place = usize::from(format.codec.kind() == Kind::Audio);
                self.due_formats[place] = Some(format.clone());
            }
            Some(Packet::Unit(unit)) if is_on_air => {
                let formats = self.due_formats.clone();
                // Full: what is left out is a hole up to the next picture.
                let _ = clean.try_send(Due { publisher: self.id, formats, unit: unit.clone() });
            }
            _ => {}
        }
    }

    async fn take(&mut self, packet: Packet, is_wanted: bool) -> Result<(), decode::Error> {
        if let Packet::Format(format) = &packet {
            self.formats[usize::from(format.codec.kind() == Kind::Audio)] = Some(format.clone());
        }
        if !is_wanted {
            self.waiting = Default::default();
            return match self.decoder.take() {
                Some(decoder) => decoder.stop().await,
                None => Ok(()),
            };
        }
        if self.decoder.is_none() {
            self.decoder = Some(self.start().await?);
        }
        let kind = match &packet {
            Packet::Format(format) => format.codec.kind(),
            Packet::Unit(unit) => unit.kind,
        };
        self.waiting[usize::from(kind == Kind::Audio)].push_back(packet);
        Ok(())
    }

    async fn start(&self) -> Result<Decoder, decode::Error> {
        let record = self.record.clone();
        let watcher = move |seen| {
            record.report(|status| match seen {
                Seen::Size { width, height } => (status.width, status.height) = (Some(width), Some(height)),
                Seen::Repaired => status.frames_repaired += 1,
                Seen::Note(text) => {
                    status.note(text);
                }
            });
        };
        let sink = program::attach(&self.mixer, self.id);
        let mut decoder = Decoder::new(self.replacements.clone(), self.canvas, sink, Arc::new(watcher));
        for format in self.formats.iter().flatten() {
            if let Err(error) = decoder.push(Packet::Format(format.clone())).await {
                let _ = decoder.stop().await; // the first error tells
                return Err(error);
            }
        }
        Ok(decoder)
    }
}
