//! Owns the [`State`]: the only one who changes it.
//!
//! A command is checked by the rules, saved, then shown, in this order, so that viewers never see what a
//! crash would undo. The director has a thread of its own, because the store blocks. Everybody else has a
//! [`DirectorHandle`], snapshots and events.

mod history;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use self::history::History;
use crate::state::{self, Change, Command, Doubt, Guards, Moment, Role, State, Subject, Templates};
use crate::store::{self, AiringRecord, Store};

/// Commands waiting; when it is full, `apply` waits, so an operator feels the pressure rather than
/// losing a cue.
const COMMANDS: usize = 64;
/// Events kept for a slow client; one that falls further behind is told to read the state anew.
const EVENTS: usize = 256;
/// Things whose last change is remembered; more than a catalogue has.
const MOST_TOUCHED: usize = 50_000;
/// Idempotency keys remembered.
const KEYS: usize = 512;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules.
    #[error(transparent)]
    Refused(#[from] state::Error),
    /// What the command is about has changed since the client looked.
    #[error("ifRev: {what} was changed in revision {now}, after {wanted}")]
    Stale {
        /// A thing, or the whole state.
        what: String,
        /// The revision that changed it.
        now: u64,
        /// The one that the command was made for.
        wanted: u64,
    },
    /// It cannot be taken back.
    #[error(transparent)]
    Undo(#[from] history::Error),
    /// To take it back is more than whoever asks may do.
    #[error("to take this back needs the role {}", .0.name())]
    Forbidden(Role),
    /// Somebody should look at it again.
    #[error("confirmed: it is needed, because {}", in_words(.0))]
    Doubtful(Vec<Doubt>),
    /// An idempotency key came with another command before.
    #[error("idempotencyKey: it was used for another command")]
    KeyReused,
    /// It could not be saved, so it was not done.
    #[error("the change could not be saved, so it was not made")]
    Store(#[from] store::Error),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

fn in_words(doubts: &[Doubt]) -> String {
    let first: Vec<String> = doubts
        .iter()
        .take(3)
        .map(|doubt| format!("{} {}: {}", doubt.sku, doubt.field, doubt.reason))
        .collect();
    let more = match doubts.len().saturating_sub(3) {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    format!("{}{more}", first.join("; "))
}

/// A command and its conditions.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Only if what the command overwrites was not changed after this revision; with a command that is about more than
    /// one thing, only if nothing was.
    pub if_rev: Option<u64>,
    /// Do it once only, however often this key comes.
    pub idempotency_key: Option<String>,
    /// Show it at once, without animation.
    pub is_cut: bool,
    /// Do it although it looks like a mistake.
    pub is_confirmed: bool,
    /// Who can take it back; nobody when the server itself does it.
    pub by: Option<String>,
}

impl From<Command> for Order {
    fn from(command: Command) -> Self {
        Self { command, if_rev: None, idempotency_key: None, is_cut: false, is_confirmed: true, by: None }
    }
}

/// One revision's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The revision that they made.
    pub rev: u64,
    /// In order.
    pub changes: Vec<Change>,
    /// The moment of the command in each channel's programme time.
    pub programme: std::collections::BTreeMap<String, crate::time::MediaTime>,
}

enum Request {
    Apply(Box<Order>, oneshot::Sender<Result<u64, Error>>),
    Undo(String, Role, oneshot::Sender<Result<u64, Error>>),
    Resolve(String, oneshot::Sender<Result<Option<AiringRecord>, Error>>),
    NoteSegment(String, u64, Option<crate::time::WallTime>),
    Templates(Templates),
}

/// Asks the director. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DirectorHandle {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<State>>,
    events: broadcast::Sender<Arc<Event>>,
}

impl DirectorHandle {
    /// Does `order` and returns the revision after it.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed then.
    pub async fn apply(&self, order: impl Into<Order>) -> Result<u64, Error> {
        let (reply, outcome) = oneshot::channel();
        self.requests
            .send(Request::Apply(Box::new(order.into()), reply))
            .await
            .map_err(|_| Error::Stopped)?;
        outcome.await.map_err(|_| Error::Stopped)?
    }

    /// Takes back the last edit of `by`, who is `role`, and returns the revision after it.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed then.
    pub async fn undo(&self, by: String, role: Role) -> Result<u64, Error> {
        let (reply, outcome) = oneshot::channel();
        self.requests.send(Request::Undo(by, role, reply)).await.map_err(|_| Error::Stopped)?;
        outcome.await.map_err(|_| Error::Stopped)?
    }

    /// The airing that `code` belongs to, past or present.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Stopped`].
    pub async fn resolve(&self, code: String) -> Result<Option<AiringRecord>, Error> {
        let (reply, outcome) = oneshot::channel();
        self.requests.send(Request::Resolve(code, reply)).await.map_err(|_| Error::Stopped)?;
        outcome.await.map_err(|_| Error::Stopped)?
    }

    /// Uses other templates from now on. Not a revision: they come with files.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn set_templates(&self, templates: Templates) -> Result<(), Error> {
        self.requests.send(Request::Templates(templates)).await.map_err(|_| Error::Stopped)
    }

    /// Notes how far a channel has come. Dropped when the director is busy: the next one says more.
    pub fn note_segment(&self, channel: &str, segment: u64, live: Option<crate::time::WallTime>) {
        let _ = self.requests.try_send(Request::NoteSegment(channel.to_owned(), segment, live));
    }

    /// The present state.
    pub fn state(&self) -> Arc<State> {
        self.snapshots.borrow().clone()
    }

    /// Follows the state.
    pub fn snapshots(&self) -> watch::Receiver<Arc<State>> {
        self.snapshots.clone()
    }

    /// Changes from now on.
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }
}

/// Tells the moment of a command: the clocks and fresh ids, which the rules may not make themselves.
pub type MomentSource = Box<dyn Fn() -> Moment + Send>;

/// What the state must know from outside.
#[derive(Debug, Default)]
pub struct Rules {
    /// The channels that exist.
    pub channels: Vec<String>,
    /// The templates that cards can use.
    pub templates: Templates,
    /// After how many milliseconds a card with a price goes out whatever it says.
    pub longest_airing_ms: Option<u64>,
    /// Which prices are looked at twice.
    pub guards: Guards,
}

struct Director {
    state: Arc<State>,
    store: Box<dyn Store>,
    moment: MomentSource,
    snapshots: watch::Sender<Arc<State>>,
    events: broadcast::Sender<Arc<Event>>,
    done: VecDeque<(String, Command, u64)>,
    touched: Touched,
    history: History,
}

/// When each thing was changed last.
struct Touched {
    /// What is not listed counts as changed then.
    others: u64,
    by_subject: HashMap<Subject, u64>,
}

impl Touched {
    fn note(&mut self, rev: u64, changes: &[Change]) {
        if self.by_subject.len() > MOST_TOUCHED {
            (self.others, self.by_subject) = (rev, HashMap::new());
        }
        self.by_subject.extend(changes.iter().filter_map(Subject::of_change).map(|subject| (subject, rev)));
    }

    /// Refuses a `command` that was made when the state was at `wanted`, if it would overwrite something newer.
    fn check(&self, command: &Command, wanted: u64, now: u64) -> Result<(), Error> {
        let subjects = Subject::all_of_command(command);
        if subjects.is_empty() || wanted > now {
            let what = "the state".into();
            return if wanted == now { Ok(()) } else { Err(Error::Stale { what, now, wanted }) };
        }
        for subject in subjects {
            let now = self.by_subject.get(&subject).copied().unwrap_or(self.others);
            if now > wanted {
                return Err(Error::Stale { what: subject.to_string(), now, wanted });
            }
        }
        Ok(())
    }
}

/// Loads the state and starts the director's thread, which runs until every handle is dropped.
///
/// # Errors
/// [`store::Error`] when the saved state cannot be read.
pub fn start(
    mut store: Box<dyn Store>,
    rules: Rules,
    moment: MomentSource,
) -> Result<DirectorHandle, store::Error> {
    let mut state = store.load()?;
    // A channel taken out of the configuration takes its airings along.
    let Rules { channels, templates, longest_airing_ms, guards } = rules;
    state.airings.retain(|airing| channels.contains(&airing.channel));
    state.stream_keys.retain(|_, key| channels.contains(&key.channel));
    state.sources.retain(|channel, _| channels.contains(channel));
    state.cues.retain(|channel, _| channels.contains(channel));
    state.practice.retain(|channel| channels.contains(channel));
    (state.channels, state.templates) = (channels, templates);
    (state.longest_airing_ms, state.guards) = (longest_airing_ms, guards);
    let state = Arc::new(state);
    let touched = Touched { others: state.rev, by_subject: HashMap::new() };
    let (requests, mut inbox) = mpsc::channel(COMMANDS);
    let (snapshots, snapshots_rx) = watch::channel(state.clone());
    let events = broadcast::Sender::new(EVENTS);
    let handle = DirectorHandle { requests, snapshots: snapshots_rx, events: events.clone() };
    let mut director = Director {
        state,
        store,
        moment,
        snapshots,
        events,
        done: VecDeque::new(),
        touched,
        history: History::default(),
    };
    std::thread::Builder::new()
        .name("director".into())
        .spawn(move || {
            while let Some(request) = inbox.blocking_recv() {
                // A command that upsets the rules must not end the show: nothing is changed before it is saved.
                let handle = std::panic::AssertUnwindSafe(|| director.handle(request));
                if std::panic::catch_unwind(handle).is_err() {
                    tracing::error!("a command failed inside; the state stays as it was");
                }
            }
        })
        .map_err(|source| store::Error::Directory { path: "the director's thread".into(), source })?;
    Ok(handle)
}

impl Director {
    fn handle(&mut self, request: Request) {
        match request {
            Request::Apply(order, reply) => {
                let outcome = self.change(*order);
                let _ = reply.send(outcome); // the operator may have hung up
            }
            Request::Undo(by, role, reply) => {
                let _ = reply.send(self.undo(&by, role)); // as above
            }
            Request::Resolve(code, reply) => {
                let _ = reply.send(self.store.airing(&code).map_err(Error::from));
            }
            Request::Templates(templates) => {
                self.state = Arc::new(State { templates, ..(*self.state).clone() });
                self.snapshots.send_replace(self.state.clone());
            }
            Request::NoteSegment(channel, segment, live) => {
                if let Err(error) = self.store.note_segment(&channel, segment, live) {
                    tracing::warn!(%channel, "{error}");
                }
            }
        }
    }

    fn undo(&mut self, by: &str, role: Role) -> Result<u64, Error> {
        let command = self.history.undo(by, &self.state)?;
        let needed = Role::needed(&command, &self.state);
        if role < needed {
            return Err(Error::Forbidden(needed));
        }
        let rev = self.change(Order::from(command))?;
        self.history.forget(by);
        Ok(rev)
    }

    /// Applies one order: checked, saved, then shown.
    fn change(&mut self, order: Order) -> Result<u64, Error> {
        if let Some(key) = &order.idempotency_key
            && let Some((_, done, rev)) = self.done.iter().find(|(done, _, _)| done == key)
        {
            return if *done == order.command { Ok(*rev) } else { Err(Error::KeyReused) };
        }
        if let Some(wanted) = order.if_rev {
            self.touched.check(&order.command, wanted, self.state.rev)?;
        }
        let moment = Moment { is_cut: order.is_cut, ..(self.moment)() };
        let (next, changes) = self.state.apply(order.command.clone(), &moment)?;
        let doubts = if order.is_confirmed { Vec::new() } else { self.state.doubts(&order.command) };
        if !doubts.is_empty() {
            return Err(Error::Doubtful(doubts));
        }
        let rev = next.rev;
        if !changes.is_empty() {
            self.store.save(&next, &changes)?;
            self.touched.note(rev, &changes);
            if let Some(by) = &order.by {
                self.history.note(by, &order.command, &self.state, &next);
            }
            self.state = Arc::new(next);
            self.snapshots.send_replace(self.state.clone());
            let event = Event { rev, changes, programme: moment.programme };
            let _ = self.events.send(Arc::new(event)); // nobody may be listening
        }
        if let Some(key) = order.idempotency_key {
            self.done.push_back((key, order.command, rev));
            if self.done.len() > KEYS {
                self.done.pop_front();
            }
        }
        Ok(rev)
    }
}
