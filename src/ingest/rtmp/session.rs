//! One RTMP connection from the server's side, without its socket: bytes in, events and bytes out. Pure.
//!
//! The handshake and the messages' writing are `rml_rtmp`'s. The conversation is ours, because what encoders
//! expect differs from what that crate's session says: replies to `FCPublish` and `releaseStream`, a
//! refusal that OBS shows, acknowledgements that count from the start, Enhanced RTMP's capabilities.
//!
//! Source: Adobe's RTMP specification 1.0, sections 5.4 and 7; Veovera Enhanced RTMP v2, "Enhancing
//! `NetConnection` connect Command".

use std::collections::HashMap;

use bytes::Bytes;
use rml_amf0::Amf0Value;
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::messages::{MessagePayload, PeerBandwidthLimitType, RtmpMessage, UserControlEventType};
use rml_rtmp::time::RtmpTimestamp;

use super::chunk::{self, ChunkReader, Limits, Message};
use super::{amf, flv};
use crate::media::Kind;

/// What a peer may send before it is admitted: commands are short.
const BEFORE_ADMISSION: Limits = Limits { message: 64 * 1024, unfinished: 128 * 1024, streams: 16 };
/// What a publisher may send: a key frame of 4K at 100 Mbit/s stays under 4 MiB.
const PUBLISHING: Limits = Limits { message: 8 * 1024 * 1024, unfinished: 16 * 1024 * 1024, streams: 64 };
/// Bytes after which the peer wants to hear from us, and we from it.
const WINDOW: u32 = 2_500_000;
const CHUNK_SIZE: u32 = 4096;
const STREAM_ID: u32 = 1;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not RTMP at all.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// Not chunks.
    #[error("the chunk stream is broken: {0}")]
    Chunk(#[from] chunk::Error),
    /// A message that is not what its type says.
    #[error("a message of type {type_id} is broken: {detail}")]
    Message {
        /// RTMP message type.
        type_id: u8,
        /// What is wrong.
        detail: String,
    },
    /// A codec that is not taken, or a cut tag.
    #[error(transparent)]
    Tag(#[from] flv::Error),
    /// Commands in an order that makes no sense.
    #[error("{0}")]
    Order(&'static str),
}

/// What the peer said.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It wants to publish. Answer with [`Session::accept`] or [`Session::refuse`].
    Publish {
        /// What it gave as stream key.
        key: String,
    },
    /// What the encoder tells of itself.
    Metadata(Metadata),
    /// A tag's content, at milliseconds.
    Media(Kind, u32, Vec<flv::Tag>),
    /// It has stopped publishing.
    Finished,
}

/// `onMetaData`, as far as it is of use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// Pixels across.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
    /// The encoder's name.
    pub encoder: Option<String>,
}

enum Stage {
    Handshake(Box<Handshake>),
    Open,
}

/// A connection's state.
pub struct Session {
    stage: Stage,
    reader: ChunkReader,
    writer: ChunkSerializer,
    output: Vec<u8>,
    /// Bytes received in all, and when the last acknowledgement was sent.
    received: (u64, u64),
    ack_window: u64,
    splitter: flv::Splitter,
    app: String,
    is_connected: bool,
    is_publishing: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            stage: Stage::Handshake(Box::new(Handshake::new(PeerType::Server))),
            reader: ChunkReader::new(BEFORE_ADMISSION),
            writer: ChunkSerializer::new(),
            output: Vec::new(),
            received: (0, 0),
            ack_window: u64::from(WINDOW),
            splitter: flv::Splitter::default(),
            app: String::new(),
            is_connected: false,
            is_publishing: false,
        }
    }
}

impl Session {
    /// Takes bytes from the peer.
    ///
    /// # Errors
    /// [`Error`]; the connection cannot go on.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Error> {
        self.received.0 += bytes.len() as u64;
        let rest;
        let bytes = match &mut self.stage {
            Stage::Open => bytes,
            Stage::Handshake(handshake) => {
                let result =
                    handshake.process_bytes(bytes).map_err(|error| Error::Handshake(error.to_string()))?;
                match result {
                    HandshakeProcessResult::InProgress { response_bytes } => {
                        self.output.extend(response_bytes);
                        return Ok(Vec::new());
                    }
                    HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                        self.output.extend(response_bytes);
                        self.stage = Stage::Open;
                        rest = remaining_bytes;
                        &rest[..]
                    }
                }
            }
        };
        self.reader.feed(bytes);
        let mut events = Vec::new();
        while let Some(message) = self.reader.next_message()? {
            self.message(message, &mut events)?;
        }
        self.acknowledge()?;
        Ok(events)
    }

    /// Bytes for the peer.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Lets it publish.
    ///
    /// # Errors
    /// [`Error::Message`] when the answer cannot be written.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.is_publishing = true;
        self.reader.set_limits(PUBLISHING);
        self.send(RtmpMessage::UserControl {
            event_type: UserControlEventType::StreamBegin,
            stream_id: Some(STREAM_ID),
            buffer_length: None,
            timestamp: None,
        })?;
        self.status("status", "NetStream.Publish.Start", "publishing")
    }

    /// Refuses it. `NetStream.Publish.Denied` is the code that OBS shows as a refused key, ffmpeg ends at,
    /// and `rtmp2sink` reports as not authorised; it also makes OBS stop trying again.
    ///
    /// # Errors
    /// [`Error::Message`] when the answer cannot be written.
    pub fn refuse(&mut self, reason: &str) -> Result<(), Error> {
        self.status("error", "NetStream.Publish.Denied", reason)
    }

    fn acknowledge(&mut self) -> Result<(), Error> {
        if self.received.0 - self.received.1 < self.ack_window {
            return Ok(());
        }
        self.received.1 = self.received.0;
        // Counted from the start and wrapping (5.4.3).
        self.send(RtmpMessage::Acknowledgement { sequence_number: self.received.0 as u32 })
    }

    fn message(&mut self, message: Message, events: &mut Vec<Event>) -> Result<(), Error> {
        let broken = |detail: &str| Error::Message { type_id: message.type_id, detail: detail.into() };
        let number = || {
            let bytes = message.body.get(..4).ok_or_else(|| broken("cut short"))?;
            Ok::<_, Error>(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        match message.type_id {
            1 => self.reader.set_chunk_size(number()? & 0x7fff_ffff)?,
            2 => self.reader.abort(number()?),
            5 => self.ack_window = u64::from(number()?.max(1024) / 2),
            4 => self.user_control(&message.body)?,
            8 | 9 | 22 if !self.is_publishing => return Err(Error::Order("media before publish")),
            8 | 9 => self.media(message.type_id, message.timestamp, &message.body, events)?,
            22 => self.aggregate(message.timestamp, &message.body, events)?,
            20 => events.extend(self.command(&values(20, &message.body)?)?),
            // An AMF3 command is AMF0 behind one zero byte, with AMF3 values in it.
            17 => events.extend(self.command(&values(17, message.body.get(1..).unwrap_or_default())?)?),
            // Before publish nobody has a use for it, and nobody unknown makes us keep anything.
            18 if self.is_publishing => events.extend(metadata(&message.body).map(Event::Metadata)),
            15 if self.is_publishing => {
                events.extend(metadata(message.body.get(1..).unwrap_or_default()).map(Event::Metadata));
            }
            _ => {} // acknowledgements, peer bandwidth, shared objects: nothing to do
        }
        Ok(())
    }

    fn media(&mut self, type_id: u8, stamp: u32, body: &Bytes, events: &mut Vec<Event>) -> Result<(), Error> {
        let (kind, tags) = match type_id {
            8 => (Kind::Audio, self.splitter.audio(body)?),
            9 => (Kind::Video, self.splitter.video(body)?),
            18 => {
                events.extend(metadata(body).map(Event::Metadata));
                return Ok(());
            }
            _ => return Ok(()),
        };
        if !tags.is_empty() {
            events.push(Event::Media(kind, stamp, tags));
        }
        Ok(())
    }

    /// FLV tags in one message; their timestamps count from the message's (7.1.6).
    fn aggregate(&mut self, stamp: u32, body: &Bytes, events: &mut Vec<Event>) -> Result<(), Error> {
        let cut = || Error::Message { type_id: 22, detail: "cut short".into() };
        let (mut at, mut first) = (0, None);
        while at < body.len() {
            let [type_id, l0, l1, l2, t0, t1, t2, t3, ..] = body[at..] else { return Err(cut()) };
            let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
            let tag_stamp = u32::from_be_bytes([t3, t0, t1, t2]);
            let base = *first.get_or_insert(tag_stamp);
            if body.len() < at + 11 + length {
                return Err(cut());
            }
            let tag = body.slice(at + 11..at + 11 + length);
            self.media(type_id & 0x1f, stamp.wrapping_add(tag_stamp.wrapping_sub(base)), &tag, events)?;
            at += 11 + length + 4; // the back pointer, which some leave out at the end
        }
        Ok(())
    }

    fn user_control(&mut self, body: &Bytes) -> Result<(), Error> {
        // A ping request (6) is answered with its own time (7).
        if let [0, 6, a, b, c, d, ..] = body[..] {
            let timestamp = Some(RtmpTimestamp::new(u32::from_be_bytes([a, b, c, d])));
            let event_type = UserControlEventType::PingResponse;
            self.send(RtmpMessage::UserControl {
                event_type,
                stream_id: None,
                buffer_length: None,
                timestamp,
            })?;
        }
        Ok(())
    }

    fn command(&mut self, values: &[Amf0Value]) -> Result<Option<Event>, Error> {
        let [Amf0Value::Utf8String(name), Amf0Value::Number(transaction), rest @ ..] = values else {
            return Err(Error::Message { type_id: 20, detail: "no name and number".into() });
        };
        match name.as_str() {
            "connect" => self.connect(*transaction, rest.first())?,
            "createStream" => {
                self.result(*transaction, Amf0Value::Null, Amf0Value::Number(f64::from(STREAM_ID)))?;
            }
            "releaseStream" | "_checkbw" | "getStreamLength" => {
                self.result(*transaction, Amf0Value::Null, Amf0Value::Undefined)?;
            }
            "FCPublish" => {
                self.result(*transaction, Amf0Value::Null, Amf0Value::Undefined)?;
                self.invoke(
                    "onFCPublish",
                    0.0,
                    Amf0Value::Null,
                    info("status", "NetStream.Publish.Start", ""),
                )?;
            }
            "publish" => {
                if !self.is_connected || self.is_publishing {
                    return Err(Error::Order("publish before connect, or twice"));
                }
                return Ok(Some(Event::Publish { key: self.key_of(rest.get(1)) }));
            }
            "FCUnpublish" | "deleteStream" | "closeStream" if self.is_publishing => {
                self.is_publishing = false;
                return Ok(Some(Event::Finished));
            }
            _ => {} // play, pause and the like: nobody who publishes needs an answer
        }
        Ok(None)
    }

    /// The stream key, wherever encoders' fields put it: `?key=` in the name or the app; else the name; in
    /// `rtmp://host/live/KEY` with no name, the end of the app.
    fn key_of(&self, name: Option<&Amf0Value>) -> String {
        let name = match name {
            Some(Amf0Value::Utf8String(name)) => name.as_str(),
            _ => "",
        };
        let in_query = |text: &str| {
            let (_, query) = text.split_once('?')?;
            let pair = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
            (!pair.is_empty()).then(|| pair.to_owned())
        };
        if let Some(key) = in_query(name).or_else(|| in_query(&self.app)) {
            return key;
        }
        let path = |text: &str| text.split('?').next().unwrap_or_default().trim_matches('/').to_owned();
        let (name, app) = (path(name), path(&self.app));
        let whole = if name.is_empty() { app } else { name };
        whole.rsplit('/').next().unwrap_or_default().to_owned()
    }

    fn connect(&mut self, transaction: f64, object: Option<&Amf0Value>) -> Result<(), Error> {
        if self.is_connected {
            return Err(Error::Order("connect twice"));
        }
        if let Some(Amf0Value::Object(properties)) = object
            && let Some(Amf0Value::Utf8String(app)) = properties.get("app")
        {
            self.app.clone_from(app);
        }
        self.is_connected = true;
        self.send(RtmpMessage::WindowAcknowledgement { size: WINDOW })?;
        self.send(RtmpMessage::SetPeerBandwidth {
            size: WINDOW,
            limit_type: PeerBandwidthLimitType::Dynamic,
        })?;
        let packet = self
            .writer
            .set_max_chunk_size(CHUNK_SIZE, RtmpTimestamp::new(0))
            .map_err(|error| Error::Message { type_id: 1, detail: error.to_string() })?;
        self.output.extend(packet.bytes);
        let mut server = vec![
            ("fmsVer", Amf0Value::Utf8String("FMS/3,5,7,7009".into())),
            ("capabilities", Amf0Value::Number(31.0)),
        ];
        let mut status = info("status", "NetConnection.Connect.Success", "connected");
        if let Amf0Value::Object(status) = &mut status {
            status.insert("objectEncoding".into(), Amf0Value::Number(0.0));
            // In both objects: the specification has them in the second, some clients look in the first.
            server.extend(enhanced_capabilities());
            status.extend(enhanced_capabilities().map(|(name, value)| (name.to_owned(), value)));
        }
        let server = properties(server);
        self.result(transaction, server, status)
    }

    fn result(&mut self, transaction: f64, object: Amf0Value, argument: Amf0Value) -> Result<(), Error> {
        self.invoke("_result", transaction, object, argument)
    }

    fn status(&mut self, level: &str, code: &str, description: &str) -> Result<(), Error> {
        let message = RtmpMessage::Amf0Command {
            command_name: "onStatus".into(),
            transaction_id: 0.0,
            command_object: Amf0Value::Null,
            additional_arguments: vec![info(level, code, description)],
        };
        self.send_on(STREAM_ID, message)
    }

    fn invoke(
        &mut self,
        name: &str,
        transaction: f64,
        object: Amf0Value,
        argument: Amf0Value,
    ) -> Result<(), Error> {
        self.send(RtmpMessage::Amf0Command {
            command_name: name.into(),
            transaction_id: transaction,
            command_object: object,
            additional_arguments: vec![argument],
        })
    }

    fn send(&mut self, message: RtmpMessage) -> Result<(), Error> {
        self.send_on(0, message)
    }

    fn send_on(&mut self, stream_id: u32, message: RtmpMessage) -> Result<(), Error> {
        let type_id = message.get_message_type_id();
        let payload: MessagePayload = message
            .into_message_payload(RtmpTimestamp::new(0), stream_id)
            .map_err(|error| Error::Message { type_id, detail: error.to_string() })?;
        let packet = self
            .writer
            .serialize(&payload, true, false)
            .map_err(|error| Error::Message { type_id, detail: error.to_string() })?;
        self.output.extend(packet.bytes);
        Ok(())
    }
}

fn values(type_id: u8, body: &[u8]) -> Result<Vec<Amf0Value>, Error> {
    amf::values(body).ok_or_else(|| Error::Message { type_id, detail: "not AMF, or nested too deep".into() })
}

/// What Enhanced RTMP clients may send here. 1 is `CanDecode`; of `capsEx`, 2 is multitrack, 4 modifiers, 8 nanosecond
/// offsets.
fn enhanced_capabilities() -> [(&'static str, Amf0Value); 4] {
    let video = ["avc1", "hvc1", "av01", "vp09"];
    let audio = ["mp4a", "Opus", "ac-3", "ec-3", ".mp3"];
    let can_decode =
        |codecs: &[&'static str]| properties(codecs.iter().map(|name| (*name, Amf0Value::Number(1.0))));
    let list = video.iter().chain(&audio).map(|name| Amf0Value::Utf8String((*name).into())).collect();
    [
        ("fourCcList", Amf0Value::StrictArray(list)),
        ("videoFourCcInfoMap", can_decode(&video)),
        ("audioFourCcInfoMap", can_decode(&audio)),
        ("capsEx", Amf0Value::Number(14.0)),
    ]
}

/// `@setDataFrame` or bare `onMetaData`. What cannot be read is left out: encoders put odd things there.
fn metadata(body: &[u8]) -> Option<Metadata> {
    let values = amf::values(body)?;
    let is_metadata =
        |value: &Amf0Value| matches!(value, Amf0Value::Utf8String(name) if name == "onMetaData");
    if !values.iter().take(2).any(is_metadata) {
        return None; // cues, time codes
    }
    let properties = values.into_iter().find_map(amf::properties)?;
    let number = |name: &str| match properties.get(name) {
        Some(Amf0Value::Number(value)) if (1.0..=16_384.0).contains(value) => Some(*value as u32),
        _ => None,
    };
    let encoder = match properties.get("encoder") {
        Some(Amf0Value::Utf8String(name)) => {
            Some(name.chars().filter(|c| !c.is_control()).take(80).collect())
        }
        _ => None,
    };
    Some(Metadata { width: number("width"), height: number("height"), encoder })
}

fn properties<'a>(pairs: impl IntoIterator<Item = (&'a str, Amf0Value)>) -> Amf0Value {
    Amf0Value::Object(
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<HashMap<_, _>>(),
    )
}

fn info(level: &str, code: &str, description: &str) -> Amf0Value {
    properties([
        ("level", Amf0Value::Utf8String(level.into())),
        ("code", Amf0Value::Utf8String(code.into())),
        ("description", Amf0Value::Utf8String(description.into())),
    ])
}

#[cfg(test)]
mod tests;
