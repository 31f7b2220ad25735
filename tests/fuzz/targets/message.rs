//! What control clients send: frames in both ways of writing, and the requests in them. Whatever it is, it is read or refused
//! in words, and what is refused names no more of it than a line.
#![no_main]

use axum::extract::ws::Message;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use vitrine::control::message;
use vitrine::control::socket::wire::Wire;

fn request(d: &Value) {
    let name = d["requestType"].as_str().unwrap_or_default();
    if let Err(error) = message::read(name, d.get("requestData").cloned()) {
        assert!(!error.detail.is_empty());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (wire, message) = if kind % 2 == 0 {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        (Wire::Json, Message::Text(text.to_owned().into()))
    } else {
        (Wire::MessagePack, Message::Binary(bytes.to_vec().into()))
    };
    match wire.read(&message) {
        Ok(frame) if frame.op == 8 => {
            frame.d["requests"].as_array().into_iter().flatten().for_each(request);
        }
        Ok(frame) => request(&frame.d),
        Err(words) => assert!(!words.is_empty()),
    }
});
