//! `/ws`: obs-websocket 5's envelope, so that its clients work as ours: Hello, Identify with a token, then requests and
//! events. A browser that has signed in need not prove anything: its Hello has no challenge.
//!
//! Beyond obs-websocket: every event and answer carries the state's revision (`rev`), and right after
//! Identified a `StateSnapshot` event carries everything. Source: obs-websocket, docs/generated/protocol.md.

pub(super) mod vendor;
pub mod wire;
mod written;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, mpsc};

use self::wire::{Frame, PROTOCOLS, Wire};
pub use self::written::Written;
use super::error::Error;
use super::people::{Who, door};
use super::{Doors, perform};
use crate::director::Event;
use crate::id;

/// A message larger than this closes the connection.
const MOST_BYTES: usize = 1024 * 1024;
/// Requests of one client in a second, those in batches too; more wait in its own connection.
const MOST_A_SECOND: i64 = 100;
/// How often some more may come.
const REFILL: Duration = Duration::from_millis(50);
/// Requests in one batch.
const MOST_BATCH: usize = 200;
/// From the connection to Identify.
const IDENTIFY_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may take to read.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// After events the next wait so long, and go out together: a change alone goes at once, and a flood costs one write for
/// several.
const PACE: Duration = Duration::from_millis(25);
/// Events that go out together.
const MOST_TOGETHER: usize = 64;
/// A channel's status is told so often at most: it may change with every frame.
const STATUS_PACE: Duration = Duration::from_millis(100);
/// Status messages that wait for a client; more are left out, the next says more.
const STATUS: usize = 16;

/// obs-websocket's event category "general"; it covers all of ours.
const INTENT: u32 = 1;

/// Why a connection is closed, as obs-websocket numbers it.
#[derive(Debug, Clone, Copy)]
enum Close {
    Decode = 4002,
    MissingField = 4003,
    UnknownOp = 4006,
    NotIdentified = 4007,
    AlreadyIdentified = 4008,
    Authentication = 4009,
    RpcVersion = 4010,
}

/// Upgrades the request.
pub async fn upgrade(
    State(doors): State<Doors>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    let signed_in = door::by_cookie(&doors, &headers, &uri, false);
    upgrade.protocols(PROTOCOLS).max_message_size(MOST_BYTES).on_upgrade(move |socket| async move {
        let stop = doors.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = Session { wire: Wire::of(&socket), doors, socket, snapshot_rev: 0 }.run(signed_in) => {}
        }
    })
}

struct Session {
    doors: Doors,
    socket: WebSocket,
    wire: Wire,
    /// The revision that the client has seen whole: events up to it are not sent again.
    snapshot_rev: u64,
}

/// How a session ends: `None` when the peer went away.
type Ended = Option<(Close, String)>;

impl Session {
    async fn run(mut self, signed_in: Option<Who>) {
        if let Err(Some((close, reason))) = self.serve(signed_in).await {
            tracing::debug!("a control connection is closed: {reason}");
            let frame = CloseFrame { code: close as u16, reason: reason.into() };
            let _ = tokio::time::timeout(SEND_LIMIT, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn serve(&mut self, signed_in: Option<Who>) -> Result<(), Ended> {
        let challenge = id::nonce();
        let mut hello = json!({
            // obws refuses to talk to an OBS older than it knows.
            "obsStudioVersion": "31.0.0",
            "obsWebSocketVersion": "5.5.0",
            "vitrineVersion": env!("CARGO_PKG_VERSION"),
            "rpcVersion": 1,
        });
        if signed_in.is_none() {
            hello["authentication"] = json!({ "challenge": challenge, "salt": self.doors.people.salt() });
        }
        self.send(0, hello).await?;
        let (who, mut intents) = tokio::time::timeout(IDENTIFY_LIMIT, self.identify(signed_in, &challenge))
            .await
            .map_err(|_| Some((Close::NotIdentified, "no Identify in time".to_owned())))??;
        let _seat = self.doors.people.presence().enter(&who);
        self.doors.who = who;
        let mut people = self.doors.people.changes();
        let mut presence = self.doors.people.presence().changes();
        let mut questions = self.doors.questions.changes();
        let mut fetching = self.doors.fetching.changes();
        let (mut may_ask, mut refill) = (MOST_A_SECOND, tokio::time::interval(REFILL));
        // Time in which nothing was asked gives no more than there can be.
        refill.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Subscribed before the snapshot is taken: nothing between the two is lost.
        let mut events = self.doors.director.events();
        let mut status = self.follow_status();
        let mut shelf = self.doors.shelf.clone();
        shelf.borrow_and_update();
        self.send(2, json!({ "negotiatedRpcVersion": 1 })).await?;
        self.snapshot(intents).await?;
        let (mut rest, mut is_resting) = (std::pin::pin!(tokio::time::sleep(PACE)), false);
        loop {
            tokio::select! {
                () = rest.as_mut(), if is_resting => is_resting = false,
                incoming = self.socket.recv(), if may_ask > 0 => match incoming {
                    Some(Ok(message)) => {
                        may_ask -= self.incoming(message, &mut intents).await?;
                    }
                    _ => return Ok(()),
                },
                _ = refill.tick(), if may_ask < MOST_A_SECOND => {
                    may_ask = MOST_A_SECOND.min(may_ask + MOST_A_SECOND * REFILL.as_millis() as i64 / 1000);
                }
                Ok(()) = people.changed() => self.check_again(intents).await?,
                Ok(()) = presence.changed() => {
                    let data = json!({ "present": self.doors.people.presence().all() });
                    self.send_event(intents, "PresenceChanged", data).await?;
                }
                Ok(()) = questions.changed() => {
                    let data = json!({ "questions": self.doors.questions.all() });
                    self.send_event(intents, "QuestionsChanged", data).await?;
                }
                Ok(()) = fetching.changed() => {
                    let data = json!({ "pictures": self.doors.fetching.progress() });
                    self.send_event(intents, "ImportChanged", data).await?;
                }
                event = events.recv(), if !is_resting => {
                    match event {
                        Ok(event) => self.events(&event, &mut events, intents).await?,
                        // Too slow for the events: the whole state, and on from there.
                        Err(broadcast::error::RecvError::Lagged(_)) => self.snapshot(intents).await?,
                        Err(broadcast::error::RecvError::Closed) => return Ok(()),
                    }
                    rest.set(tokio::time::sleep(PACE));
                    is_resting = true;
                }
                Ok(()) = shelf.changed() => {
                    let data = perform::templates(&self.doors);
                    self.send_event(intents, "TemplatesChanged", data).await?;
                }
                Some(channel) = status.recv() => {
                    self.status(&channel, intents).await?;
                }
            }
        }
    }

    /// Somebody's role has changed, or they may not come in any more.
    async fn check_again(&mut self, intents: u32) -> Result<(), Ended> {
        let Some(who) = self.doors.people.again(&self.doors.who) else {
            return Err(Some((Close::Authentication, "signed out".into())));
        };
        if who == self.doors.who {
            return Ok(());
        }
        self.doors.who = who;
        self.snapshot(intents).await
    }

    async fn identify(&mut self, signed_in: Option<Who>, challenge: &str) -> Result<(Who, u32), Ended> {
        let frame = loop {
            match self.socket.recv().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => break self.read(&message)?,
                _ => return Err(None),
            }
        };
        if frame.op != 1 {
            return Err(Some((Close::NotIdentified, "Identify comes first".into())));
        }
        match frame.d.get("rpcVersion").map(Value::as_u64) {
            None => return Err(Some((Close::MissingField, "rpcVersion is missing".into()))),
            Some(Some(1)) => {}
            Some(_) => return Err(Some((Close::RpcVersion, "rpcVersion 1 is spoken here".into()))),
        }
        let given = frame.d.get("authentication").and_then(Value::as_str).unwrap_or_default();
        let who = signed_in.or_else(|| self.doors.people.by_answer(given, challenge));
        let who = who.ok_or_else(|| Some((Close::Authentication, "the password is not right".to_owned())))?;
        Ok((who, intents_of(&frame.d)))
    }

    /// Tells which channel's status changed, as far as the client keeps up.
    fn follow_status(&self) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel(STATUS);
        for (channel, status) in self.doors.status.iter() {
            let (channel, mut status, sender) = (channel.clone(), status.clone(), sender.clone());
            tokio::spawn(async move {
                status.borrow_and_update();
                while status.changed().await.is_ok() {
                    match sender.try_send(channel.clone()) {
                        Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                        Err(mpsc::error::TrySendError::Closed(_)) => return,
                    }
                    tokio::time::sleep(STATUS_PACE).await;
                }
            });
        }
        receiver
    }

    /// Does what a message says. How many requests it counts for.
    async fn incoming(&mut self, message: Message, intents: &mut u32) -> Result<i64, Ended> {
        let frame = match message {
            Message::Ping(_) | Message::Pong(_) => return Ok(1),
            Message::Close(_) => return Err(None),
            message => self.read(&message)?,
        };
        match frame.op {
            1 => Err(Some((Close::AlreadyIdentified, "already identified".into()))),
            3 => {
                if frame.d.get("eventSubscriptions").is_some() {
                    *intents = intents_of(&frame.d);
                }
                self.send(2, json!({ "negotiatedRpcVersion": 1 })).await.map(|()| 1)
            }
            6 => {
                let answer = request(&self.doors, &frame.d).await;
                self.send(7, answer).await.map(|()| 1)
            }
            8 => self.batch(&frame.d).await,
            other => Err(Some((Close::UnknownOp, format!("op {other} is not known")))),
        }
    }

    /// Requests one after another, in order (execution type 0, the only one that makes sense here).
    async fn batch(&mut self, d: &Value) -> Result<i64, Ended> {
        let halts = d.get("haltOnFailure").and_then(Value::as_bool).unwrap_or(false);
        let requests = d.get("requests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut results = Vec::new();
        if requests.len() > MOST_BATCH {
            return Err(Some((Close::Decode, format!("a batch of more than {MOST_BATCH} requests"))));
        }
        for one in requests {
            let result = request(&self.doors, one).await;
            let has_failed = result["requestStatus"]["result"] == json!(false);
            results.push(result);
            if has_failed && halts {
                break;
            }
        }
        let request_id = d.get("requestId").cloned().unwrap_or_default();
        let count = results.len().max(1) as i64;
        self.send(9, json!({ "requestId": request_id, "results": results })).await.map(|()| count)
    }

    async fn snapshot(&mut self, intents: u32) -> Result<(), Ended> {
        let data = perform::snapshot(&self.doors);
        self.snapshot_rev = data["rev"].as_u64().unwrap_or_default();
        self.send_event(intents, "StateSnapshot", data).await
    }

    /// An event, and what is there already of those after it.
    async fn events(
        &mut self,
        first: &Event,
        others: &mut broadcast::Receiver<Arc<Event>>,
        intents: u32,
    ) -> Result<(), Ended> {
        self.event(first, intents).await?;
        for _ in 1..MOST_TOGETHER {
            match others.try_recv() {
                Ok(event) => self.event(&event, intents).await?,
                Err(broadcast::error::TryRecvError::Lagged(_)) => return self.snapshot(intents).await,
                Err(_) => break,
            }
        }
        in_time(self.socket.flush()).await
    }

    async fn event(&mut self, event: &Event, intents: u32) -> Result<(), Ended> {
        if event.rev <= self.snapshot_rev || intents & INTENT == 0 {
            return Ok(());
        }
        let messages = self.doors.written.event(event, self.wire, self.doors.who.role);
        for message in messages.iter() {
            in_time(self.socket.feed(message.clone())).await?;
        }
        Ok(())
    }

    async fn status(&mut self, channel: &str, intents: u32) -> Result<(), Ended> {
        if intents & INTENT == 0 {
            return Ok(());
        }
        let Some(status) = self.doors.status.get(channel).map(|status| status.borrow().clone()) else {
            return Ok(());
        };
        let value = || perform::channel(&self.doors, channel);
        let message = self.doors.written.channel(channel, &status, self.wire, value);
        in_time(self.socket.send(message)).await
    }

    async fn send_event(&mut self, intents: u32, name: &str, data: Value) -> Result<(), Ended> {
        if intents & INTENT == 0 {
            return Ok(());
        }
        self.send(5, written::told(name, data)).await
    }

    async fn send(&mut self, op: u8, d: Value) -> Result<(), Ended> {
        in_time(self.socket.send(self.wire.write(op, &d))).await
    }

    fn read(&self, message: &Message) -> Result<Frame, Ended> {
        self.wire.read(message).map_err(|reason| Some((Close::Decode, reason)))
    }
}

/// A client that does not read for too long is gone.
async fn in_time<E>(sending: impl Future<Output = Result<(), E>>) -> Result<(), Ended> {
    match tokio::time::timeout(SEND_LIMIT, sending).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(None),
    }
}

async fn request(doors: &Doors, d: &Value) -> Value {
    let request_type = d.get("requestType").and_then(Value::as_str).unwrap_or_default();
    let data = d.get("requestData").cloned();
    let outcome = if request_type == vendor::REQUEST {
        vendor::call(doors, data).await
    } else {
        perform::ask(doors, request_type, data).await
    };
    answer(request_type, d.get("requestId"), outcome)
}

fn intents_of(d: &Value) -> u32 {
    d.get("eventSubscriptions").and_then(Value::as_u64).map_or(u32::MAX, |intents| intents as u32)
}

fn answer(request_type: &str, request_id: Option<&Value>, outcome: Result<Value, Error>) -> Value {
    let request_id = request_id.cloned().unwrap_or_default();
    match outcome {
        Ok(data) => json!({
            "requestType": request_type,
            "requestId": request_id,
            "requestStatus": { "result": true, "code": 100 },
            "responseData": data,
        }),
        Err(error) => json!({
            "requestType": request_type,
            "requestId": request_id,
            "requestStatus": { "result": false, "code": error.kind.code(), "comment": error.detail },
            "responseData": { "field": error.field, "doubts": error.doubts },
        }),
    }
}

/// base64(sha256(base64(sha256(password + salt)) + challenge)).
pub fn authentication(password: &str, salt: &str, challenge: &str) -> String {
    answer_to(&STANDARD.encode(Sha256::digest(format!("{password}{salt}"))), challenge)
}

/// The same from base64(sha256(password + salt)).
pub fn answer_to(proof: &str, challenge: &str) -> String {
    STANDARD.encode(Sha256::digest(format!("{proof}{challenge}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_proven_as_obs_websocket_says() {
        // The worked example of its documentation.
        let proof = authentication(
            "supersecretpassword",
            "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=",
            "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=",
        );
        assert_eq!(proof, "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=");
    }
}
