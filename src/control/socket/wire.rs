//! How messages are written on `/ws`: as JSON in text frames, or as `MessagePack` in binary ones, as the client's subprotocol
//! says. obs-websocket-js in Node and simpleobsws speak `MessagePack` unless told otherwise.
//!
//! Source: obs-websocket, docs/generated/protocol.md, "Connecting to obs-websocket"; msgpack/spec.md.

use axum::extract::ws::{Message, WebSocket};
use serde::Deserialize;
use serde_json::{Value, json};

/// Our own subprotocol beside obs-websocket's two.
pub(super) const PROTOCOLS: [&str; 3] = ["vitrine.json", "obswebsocket.json", MESSAGE_PACK];
const MESSAGE_PACK: &str = "obswebsocket.msgpack";
/// Arrays in arrays; JSON's own limit is 128.
const MOST_DEPTH: usize = 128;

/// A message: what kind, and its data.
#[derive(Debug, Deserialize)]
pub struct Frame {
    /// Which kind, as obs-websocket numbers them.
    pub op: u8,
    /// What it says.
    #[serde(default)]
    pub d: Value,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// In text frames.
    Json,
    /// In binary frames.
    MessagePack,
}

impl Wire {
    /// What was agreed on; JSON when nothing was.
    pub(super) fn of(socket: &WebSocket) -> Self {
        if socket.protocol().is_some_and(|protocol| protocol == MESSAGE_PACK) {
            Self::MessagePack
        } else {
            Self::Json
        }
    }

    /// A message's frame.
    pub(super) fn write(self, op: u8, d: &Value) -> Message {
        let message = json!({ "op": op, "d": d });
        match self {
            Self::Json => Message::Text(message.to_string().into()),
            Self::MessagePack => {
                Message::Binary(rmp_serde::to_vec_named(&message).expect("JSON has no failing parts").into())
            }
        }
    }

    /// What a frame says.
    ///
    /// # Errors
    /// Words for the client when it cannot be read.
    pub fn read(self, message: &Message) -> Result<Frame, String> {
        match (self, message) {
            (Self::Json, Message::Text(text)) => {
                serde_json::from_str(text).map_err(|error| format!("not an obs-websocket message: {error}"))
            }
            (Self::MessagePack, Message::Binary(bytes)) => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                reader.set_max_depth(MOST_DEPTH);
                Frame::deserialize(&mut reader)
                    .map_err(|error| format!("not an obs-websocket message in MessagePack: {error}"))
            }
            (Self::Json, _) => Err("text frames only".into()),
            (Self::MessagePack, _) => Err("binary frames only".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let data =
            json!({ "title": "陶瓷杯", "price": -8900, "share": 0.5, "none": null, "list": [true, {}] });
        for wire in [Wire::Json, Wire::MessagePack] {
            let frame = wire.read(&wire.write(6, &data)).unwrap();
            assert_eq!((frame.op, &frame.d), (6, &data), "{wire:?}");
        }
        assert!(Wire::Json.read(&Wire::MessagePack.write(6, &data)).is_err());
        assert!(Wire::MessagePack.read(&Wire::Json.write(6, &data)).is_err());
    }

    #[test]
    fn what_promises_more_than_it_holds_is_refused() {
        // A map {"op": 6, "d": X}.
        let frame = |d: &[u8]| Message::Binary([b"\x82\xa2op\x06\xa1d", d].concat().into());
        let read = |d: &[u8]| Wire::MessagePack.read(&frame(d));
        assert_eq!(read(b"\xc0").unwrap().d, Value::Null);
        assert!(read(b"\xdd\xff\xff\xff\xff").is_err(), "an array of four thousand million");
        assert!(read(b"\xdb\xff\xff\xff\xff").is_err(), "a text as long");
        assert!(read(&[0x91; 10_000]).is_err(), "ten thousand arrays in each other");
        assert!(read(b"\xc1").is_err(), "a byte that is never used");
    }
}
