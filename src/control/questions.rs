//! Changes that came from a shop by itself and look wrong: they wait here for somebody who knows.
//!
//! Kept in memory: after a restart the shop's next message asks again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::error::{Error, Kind};
use super::{Doors, perform};
use crate::id;
use crate::state::Doubt;
use crate::time::WallTime;

/// Those that wait; the oldest go.
const MOST: usize = 200;

/// A change that waits.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    id: String,
    /// Which webhook told of it.
    from: String,
    at: WallTime,
    sku: String,
    /// Why it waits.
    doubts: Vec<Doubt>,
    /// Of the request `SetPrice`.
    data: Value,
}

/// All that wait. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    waiting: Arc<Mutex<VecDeque<Question>>>,
    changes: watch::Sender<u64>,
}

impl Questions {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All, the oldest first.
    pub fn all(&self) -> Value {
        json!(self.lock().iter().collect::<Vec<_>>())
    }

    /// Counts what happens.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// One more; what waited of the same product is out of date. `data` is a `SetPrice` that wants a confirmation.
    pub(super) fn ask(&self, from: &str, sku: &str, data: Value, doubts: Vec<Doubt>) {
        let mut waiting = self.lock();
        waiting.retain(|one| one.sku != sku);
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        let (id, from, sku) = (id::new("ask"), from.to_owned(), sku.to_owned());
        waiting.push_back(Question { id, from, at: WallTime::now(), sku, doubts, data });
        drop(waiting);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Whatever waited of a product is out of date.
    pub(super) fn forget(&self, sku: &str) {
        let mut waiting = self.lock();
        let before = waiting.len();
        waiting.retain(|one| one.sku != sku);
        let is_less = waiting.len() < before;
        drop(waiting);
        if is_less {
            self.changes.send_modify(|n| *n += 1);
        }
    }
}

/// Takes what a question is about, or leaves it.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub(super) async fn answer(doors: &Doors, question_id: &str, is_taken: bool) -> Result<Value, Error> {
    let found = doors.questions.lock().iter().find(|one| one.id == question_id).cloned();
    let mut question = found.ok_or_else(|| {
        Error::field(Kind::NotFound, "questionId", "it was answered, or something newer came")
    })?;
    let mut answer = json!({ "rev": doors.director.state().rev });
    if is_taken {
        question.data["confirmed"] = true.into();
        answer = Box::pin(perform::ask(doors, "SetPrice", Some(question.data))).await?;
    }
    doors.questions.forget(&question.sku);
    Ok(answer)
}
