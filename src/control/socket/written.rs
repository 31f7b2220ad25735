//! Events as they go out, coded once however many listen: 500 pages see 200 changes a second.
//!
//! Kept are the newest few; who is further behind has them coded again. Nothing waits here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::Message;
use serde_json::{Value, json};

use super::wire::Wire;
use super::{INTENT, perform};
use crate::director::Event;
use crate::media::ChannelStatus;
use crate::state::Role;

/// Revisions that are kept, each in up to four ways.
const MOST_EVENTS: usize = 128;

/// Messages of all of them.
const MOST_MESSAGES: usize = 2000;

/// What an event looks like for some of the clients.
type Key = (u64, Wire, bool);

/// The newest events and states of channels. Cheap to clone.
#[derive(Clone, Default)]
pub struct Written(Arc<Inner>);

/// A channel's newest status.
struct Channel {
    name: String,
    wire: Wire,
    status: ChannelStatus,
    message: Message,
}

#[derive(Default)]
struct Inner {
    events: Mutex<VecDeque<(Key, Arc<[Message]>)>>,
    channels: Mutex<Vec<Channel>>,
}

impl Written {
    /// An event's messages, for whoever is `role`.
    pub(super) fn event(&self, event: &Event, wire: Wire, role: Role) -> Arc<[Message]> {
        let key = (event.rev, wire, role >= Role::Owner);
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, messages)) = events.iter().rev().find(|(known, _)| *known == key) {
            return messages.clone();
        }
        let messages: Arc<[Message]> = messages(event, wire, role).into();
        events.push_back((key, messages.clone()));
        // An import is thousands of messages: it is not kept for long.
        let count =
            |events: &VecDeque<(Key, Arc<[Message]>)>| events.iter().map(|(_, all)| all.len()).sum::<usize>();
        while events.len() > MOST_EVENTS || (events.len() > 4 && count(&events) > MOST_MESSAGES) {
            events.pop_front();
        }
        messages
    }

    /// A channel's status, which `value` makes a message of.
    pub(super) fn channel(
        &self,
        name: &str,
        status: &ChannelStatus,
        wire: Wire,
        value: impl FnOnce() -> Value,
    ) -> Message {
        let mut channels = self.0.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let known = channels.iter_mut().find(|known| known.name == name && known.wire == wire);
        if let Some(known) = known {
            if known.status != *status {
                known.status = status.clone();
                known.message = wire.write(5, &told("ChannelStatusChanged", value()));
            }
            return known.message.clone();
        }
        let message = wire.write(5, &told("ChannelStatusChanged", value()));
        let (name, status) = (name.to_owned(), status.clone());
        channels.push(Channel { name, wire, status, message: message.clone() });
        message
    }
}

/// An event in obs-websocket's words.
pub(super) fn told(name: &str, data: Value) -> Value {
    json!({ "eventType": name, "eventIntent": INTENT, "eventData": data })
}

fn messages(event: &Event, wire: Wire, role: Role) -> Vec<Message> {
    let mut messages = Vec::with_capacity(event.changes.len());
    for change in &event.changes {
        let Ok(Value::Object(mut change)) = serde_json::to_value(change) else { continue };
        let mut data = change.remove("eventData").unwrap_or_default();
        let name = change.remove("eventType").unwrap_or_default();
        if let Some(source) = data.get_mut("source")
            && role < Role::Owner
        {
            perform::hide_address(source);
        }
        if let Value::Object(fields) = &mut data {
            fields.insert("rev".into(), event.rev.into());
            let times =
                event.programme.iter().map(|(channel, time)| (channel.clone(), time.as_millis().into()));
            fields.insert("programmeMs".into(), Value::Object(times.collect()));
        }
        messages.push(wire.write(5, &told(name.as_str().unwrap_or_default(), data)));
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, Source};

    #[test]
    fn an_event_is_coded_once_for_all_who_may_see_the_same() {
        let written = Written::default();
        let source = Source { url: "rtmp://user:secret@host/live".into(), rank: 0 };
        let changes = vec![Change::SourceChanged { channel: "main".into(), source: Some(source) }];
        let event = Event { rev: 7, changes, programme: [].into() };
        let of = |role| written.event(&event, Wire::Json, role);
        assert!(Arc::ptr_eq(&of(Role::Viewer), &of(Role::Producer)));
        assert!(!Arc::ptr_eq(&of(Role::Viewer), &of(Role::Owner)));
        let text = |role| of(role)[0].to_text().unwrap_or_default().to_owned();
        assert!(text(Role::Owner).contains("secret") && !text(Role::Producer).contains("secret"));
        assert!(text(Role::Viewer).contains("\"rev\":7"));
        for rev in 8..8 + MOST_EVENTS as u64 * 2 {
            written.event(
                &Event { rev, changes: Vec::new(), programme: [].into() },
                Wire::Json,
                Role::Viewer,
            );
        }
        assert_eq!(written.0.events.lock().unwrap().len(), MOST_EVENTS);
    }

    #[test]
    fn a_channels_status_is_coded_again_when_it_is_another() {
        let (written, mut count) = (Written::default(), 0);
        for behind_ms in [1, 1, 2, 2, 2] {
            let status = ChannelStatus { behind_ms, ..ChannelStatus::default() };
            written.channel("main", &status, Wire::Json, || {
                count += 1;
                json!({})
            });
        }
        assert_eq!(count, 2);
    }
}
