//! `GStreamer` pipelines as things with a beginning and an end: built from a description, played and stopped
//! by a deadline, their bus turned into events.
//!
//! No state change runs on a tokio worker, and none is waited for without a limit: an element can block for
//! ever, and then its thread is abandoned, counted and never reused. Knows nothing of what flows.

pub mod description;
pub mod raw;
pub mod scale;

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::{mpsc, oneshot};

/// How long a pipeline may take to change state.
pub const STATE_LIMIT: Duration = Duration::from_secs(5);
/// Bus events kept for a slow reader; beyond that the newest are dropped, the first tell the cause.
const EVENTS: usize = 64;

/// What went wrong with a pipeline.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The description is not a pipeline.
    #[error("pipeline {name} cannot be built: {detail}")]
    Description {
        /// Which.
        name: String,
        /// The parser's words: a missing element or a property that is not there.
        detail: String,
    },
    /// A replacement file cannot be read.
    #[error("pipeline file {path} cannot be read")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An element that the code needs is not in the description.
    #[error("pipeline {pipeline} has no {kind} named {element}")]
    NoElement {
        /// Which.
        pipeline: String,
        /// The wanted type.
        kind: &'static str,
        /// The wanted name.
        element: String,
    },
    /// It did not start.
    #[error("pipeline {name} refuses to play: an element cannot start")]
    Refused {
        /// Which.
        name: String,
    },
    /// It did not change state in time and was abandoned.
    #[error("pipeline {name} did not reach {state:?} within {limit:?} and was abandoned")]
    Frozen {
        /// Which.
        name: String,
        /// The state asked for.
        state: gst::State,
        /// The limit.
        limit: Duration,
    },
}

/// What a pipeline reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something stopped it: the element and its words.
    Error(String),
    /// Something to know.
    Warning(String),
    /// Everything has gone through.
    Eos,
}

/// A built pipeline.
#[derive(Debug)]
pub struct Pipeline {
    name: String,
    inner: gst::Pipeline,
}

/// A part of a pipeline with elements of its own.
#[derive(Debug)]
pub struct Branch {
    name: String,
    bin: gst::Bin,
}

impl Branch {
    /// The element `name` of this branch, which must be a `T`.
    ///
    /// # Errors
    /// [`Error::NoElement`].
    pub fn element<T: IsA<gst::Element>>(&self, name: &str) -> Result<T, Error> {
        element(&self.bin, &self.name, name)
    }
}

fn element<T: IsA<gst::Element>>(bin: &impl IsA<gst::Bin>, of: &str, name: &str) -> Result<T, Error> {
    bin.by_name(name).and_then(|element| element.downcast::<T>().ok()).ok_or_else(|| Error::NoElement {
        pipeline: of.to_owned(),
        kind: T::static_type().name(),
        element: name.to_owned(),
    })
}

impl Pipeline {
    /// The element `name`, which must be a `T`.
    ///
    /// # Errors
    /// [`Error::NoElement`].
    pub fn element<T: IsA<gst::Element>>(&self, name: &str) -> Result<T, Error> {
        element(&self.inner, &self.name, name)
    }

    /// The pipeline itself, for elements that come while it plays.
    pub fn inner(&self) -> &gst::Pipeline {
        &self.inner
    }

    /// Its events from now on. Call once, before [`Self::play`].
    pub fn events(&self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(EVENTS);
        if let Some(bus) = self.inner.bus() {
            bus.set_sync_handler(move |_, message| {
                if let Some(event) = event_of(message) {
                    let _ = sender.try_send(event); // full: the first events tell the cause
                }
                gst::BusSyncReply::Drop
            });
        }
        receiver
    }

    /// Starts it and gives it back; one that does not start is ended.
    ///
    /// # Errors
    /// [`Error::Refused`] when an element fails, [`Error::Frozen`] when it takes longer than [`STATE_LIMIT`].
    pub async fn play(self) -> Result<Self, Error> {
        let error = match change(&self.name, &self.inner, gst::State::Playing, STATE_LIMIT).await {
            Some(true) => return Ok(self),
            Some(false) => Error::Refused { name: self.name.clone() },
            None => self.frozen(gst::State::Playing),
        };
        // A pipeline dropped while it plays is never freed.
        let _ = self.stop().await;
        Err(error)
    }

    /// Stops it, or gives up after [`STATE_LIMIT`]: its thread is then abandoned with it.
    ///
    /// # Errors
    /// [`Error::Frozen`].
    pub async fn stop(self) -> Result<(), Error> {
        let stopped = change(&self.name, &self.inner, gst::State::Null, STATE_LIMIT).await;
        if stopped.is_some() {
            return Ok(());
        }
        let error = self.frozen(gst::State::Null);
        // Dropping the last reference would touch the frozen elements on this thread.
        std::mem::forget(self.inner);
        Err(error)
    }

    fn frozen(&self, state: gst::State) -> Error {
        Error::Frozen { name: self.name.clone(), state, limit: STATE_LIMIT }
    }
}

/// `None` when the limit passed. A named thread, not `spawn_blocking`: a stuck blocking task would hold up
/// the runtime's end.
async fn change(name: &str, pipeline: &gst::Pipeline, state: gst::State, limit: Duration) -> Option<bool> {
    let (done, changed) = oneshot::channel();
    let pipeline = pipeline.clone();
    let spawned = std::thread::Builder::new().name(format!("state-{name}")).spawn(move || {
        let outcome = pipeline.set_state(state);
        let _ = done.send(outcome.is_ok()); // nobody listens: already given up
    });
    if spawned.is_err() {
        return Some(false);
    }
    tokio::time::timeout(limit, changed).await.ok().map(|outcome| outcome.unwrap_or(false))
}

fn event_of(message: &gst::Message) -> Option<Event> {
    let source = || message.src().map_or_else(String::new, |source| source.name().to_string());
    match message.view() {
        gst::MessageView::Error(error) => {
            // The debug text may hold whole addresses, with passwords in them.
            Some(Event::Error(format!("{}: {}", source(), error.error())))
        }
        gst::MessageView::Warning(warning) => {
            Some(Event::Warning(format!("{}: {}", source(), warning.error())))
        }
        gst::MessageView::Eos(_) => Some(Event::Eos),
        _ => None,
    }
}
