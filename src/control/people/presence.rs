//! Who has a control connection open now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::Who;
use crate::state::Role;

/// Somebody who is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    /// As in the register.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// How many control connections they have.
    pub connections: u32,
}

#[derive(Debug, Default)]
struct Here {
    next: u64,
    connections: BTreeMap<u64, (String, Role)>,
}

/// Everybody who is there. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    here: Arc<Mutex<Here>>,
    changes: watch::Sender<u64>,
}

/// Somebody is there as long as it is kept.
#[derive(Debug)]
pub struct Seat {
    presence: Presence,
    number: u64,
}

impl Presence {
    /// Somebody comes.
    pub fn enter(&self, who: &Who) -> Seat {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.next += 1;
        let number = here.next;
        here.connections.insert(number, (who.name.clone(), who.role));
        drop(here);
        self.changes.send_modify(|n| *n += 1);
        Seat { presence: self.clone(), number }
    }

    /// Everybody, by name.
    pub fn all(&self) -> Vec<Present> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<&str, Present> = BTreeMap::new();
        for (name, role) in here.connections.values() {
            let fresh = || Present { name: name.clone(), role: *role, connections: 0 };
            all.entry(name).or_insert_with(fresh).connections += 1;
        }
        all.into_values().collect()
    }

    /// Counts comings and goings.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut here = self.presence.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.connections.remove(&self.number);
        drop(here);
        self.presence.changes.send_modify(|n| *n += 1);
    }
}
