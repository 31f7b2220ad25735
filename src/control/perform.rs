//! Does what a request asks for and answers in the wire's words, for both doors alike.

use serde_json::{Value, json};

use super::error::Error;
use super::message::{self, Action, REQUESTS};
use super::people::desk;
use super::socket::vendor;
use super::{Doors, catalogue, questions, rundowns};
use crate::director::Order;
use crate::id;
use crate::media::ChannelStatus;
use crate::state::{Command, Role, StreamKey, shown_url};
use crate::store::people::Entry;
use crate::time::WallTime;

/// Data larger than this is not written into the journal.
const MOST_DATA: usize = 4096;
/// Of why something was refused, so much is written there.
const MOST_REASON: usize = 1000;

/// Does the request of whoever asks, and writes down what it was and what came of it.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub async fn ask(doors: &Doors, request: &str, data: Option<Value>) -> Result<Value, Error> {
    let action = message::read(request, data.clone())?;
    act(doors, request, action, data.unwrap_or_default()).await
}

/// The same of a request that is read; the journal gets `data`.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub async fn act(doors: &Doors, request: &str, action: Action, data: Value) -> Result<Value, Error> {
    if action.is_a_look() {
        doors.allow(action.needed(&doors.director.state()))?;
        return perform(doors, action).await;
    }
    let outcome = match doors.allow(action.needed(&doors.director.state())) {
        Ok(()) => perform(doors, action).await,
        Err(error) => Err(error),
    };
    note(doors, request, data, &outcome).await;
    outcome
}

/// Writes down what was asked for, by whom and when, and what came of it.
pub(super) async fn note(doors: &Doors, request: &str, mut data: Value, outcome: &Result<Value, Error>) {
    if let Some(password) = data.get_mut("password") {
        *password = Value::Null;
    }
    hide_address(&mut data);
    let length = data.to_string().len();
    if length > MOST_DATA {
        data = json!({ "bytes": length });
    }
    let now = WallTime::now();
    let programme =
        |status: &ChannelStatus| status.programme_ms.saturating_add_signed(now.0 - status.programme_wall.0);
    let entry = Entry {
        n: 0,
        at: now,
        who: doors.who.name.clone(),
        role: doors.who.role,
        request: request.to_owned(),
        data,
        rev: outcome.as_ref().ok().and_then(|answer| answer["rev"].as_u64()),
        refused: outcome.as_ref().err().map(|error| error.to_string().chars().take(MOST_REASON).collect()),
        programme_ms: (doors.status.iter())
            .map(|(name, status)| (name.clone(), programme(&status.borrow())))
            .collect(),
    };
    doors.people.note(entry).await;
}

/// Does `action` and returns the answer's data.
async fn perform(doors: &Doors, action: Action) -> Result<Value, Error> {
    match action {
        Action::GetState => Ok(snapshot(doors)),
        Action::GetVersion => Ok(json!({
            "vitrineVersion": env!("CARGO_PKG_VERSION"),
            // The words that obs-websocket clients look for.
            "obsVersion": "31.0.0",
            "obsWebSocketVersion": "5.5.0",
            "rpcVersion": 1,
            "availableRequests": ([REQUESTS, &[vendor::REQUEST]].concat()),
            "supportedImageFormats": ["png"],
            "platform": std::env::consts::OS,
            "platformDescription": "Vitrine",
        })),
        Action::GetTemplates => Ok(templates(doors)),
        Action::Change(order) => {
            let rev = doors.director.apply(Order { by: Some(doors.who.name.clone()), ..order }).await?;
            Ok(json!({ "rev": rev }))
        }
        Action::Undo => {
            let rev = doors.director.undo(doors.who.name.clone(), doors.who.role).await?;
            Ok(json!({ "rev": rev }))
        }
        Action::People(request) => desk::perform(doors, request).await,
        Action::ExportRundown { rundown_id } => rundowns::bundle(doors, &rundown_id),
        Action::Import { import, is_confirmed } => {
            let report = catalogue::run(doors, import, is_confirmed).await?;
            Ok(serde_json::to_value(report).unwrap_or_default())
        }
        Action::Answer { question_id, is_taken } => questions::answer(doors, &question_id, is_taken).await,
        Action::MakeStreamKey { channel, name, rank, if_rev } => {
            let (id, secret) = (id::new("key"), id::secret());
            let (made, digest) = (WallTime::now(), id::digest(&secret));
            let key = StreamKey { id: id.clone(), channel, name, rank, made, digest };
            give_key(doors, Command::PutStreamKey(key), if_rev, &id, &secret).await
        }
        Action::RotateStreamKey { key_id, if_rev } => {
            let secret = id::secret();
            let command = Command::RotateStreamKey { key_id: key_id.clone(), digest: id::digest(&secret) };
            give_key(doors, command, if_rev, &key_id, &secret).await
        }
    }
}

/// Saves a key's new secret, and tells it: this once.
async fn give_key(
    doors: &Doors,
    command: Command,
    if_rev: Option<u64>,
    key_id: &str,
    secret: &str,
) -> Result<Value, Error> {
    let rev = doors.director.apply(Order { if_rev, ..Order::from(command) }).await?;
    let addresses = &doors.publish;
    let mut answer = json!({
        "rev": rev, "keyId": key_id, "streamKey": secret,
        "rtmp": { "server": addresses.rtmp, "streamKey": secret },
        "srt": format!("{}?streamid=publish:{secret}", addresses.srt),
    });
    if let Some(server) = &addresses.rtmps {
        answer["rtmps"] = json!({ "server": server, "streamKey": secret });
    }
    Ok(answer)
}

/// The designs that cards can have, and what is wrong with others.
pub fn templates(doors: &Doors) -> Value {
    let state = doors.director.state();
    let templates: Vec<Value> = state
        .templates
        .0
        .values()
        .map(|template| {
            json!({
                "id": template.id,
                "name": template.manifest["name"],
                "version": template.version,
                "products": template.products,
                "slot": template.slot,
                "steps": template.steps,
                "outMs": template.out_ms,
                "schema": template.manifest["schema"],
                "thumbnail": format!("/api/v1/templates/{}/thumbnail.png", template.id),
            })
        })
        .collect();
    json!({ "templates": templates, "faults": doors.shelf.borrow().faults })
}

/// Everything that a client needs to draw itself: the state, who publishes, what viewers see.
pub fn snapshot(doors: &Doors) -> Value {
    let state = doors.director.state();
    let mut snapshot = serde_json::to_value(&*state).unwrap_or_default();
    let channels: Vec<Value> = doors.status.keys().map(|name| channel(doors, name)).collect();
    if doors.who.role < Role::Owner
        && let Some(Value::Object(sources)) = snapshot.get_mut("sources")
    {
        sources.values_mut().for_each(hide_address);
    }
    if let Value::Object(fields) = &mut snapshot {
        fields.insert("channels".into(), channels.into());
        if let Value::Object(designs) = templates(doors) {
            fields.extend(designs);
        }
        fields.insert("now".into(), json!(WallTime::now()));
        fields.insert("you".into(), json!({ "name": doors.who.name, "role": doors.who.role }));
        fields.insert("questions".into(), doors.questions.all());
        fields.insert("pictures".into(), json!(doors.fetching.progress()));
        fields.insert("present".into(), json!(doors.people.presence().all()));
    }
    snapshot
}

/// Leaves of an address in `url` what holds no user, password or key.
pub fn hide_address(source: &mut Value) {
    if let Some(Value::String(url)) = source.get_mut("url") {
        *url = shown_url(url);
    }
}

/// A channel's status by name.
pub fn channel(doors: &Doors, name: &str) -> Value {
    let status = doors.status.get(name).map(|status| status.borrow().clone()).unwrap_or_default();
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("id".into(), name.into());
        fields.insert("hls".into(), format!("/live/{name}/index.m3u8").into());
        fields.insert("watch".into(), format!("/watch/{name}").into());
    }
    value
}
