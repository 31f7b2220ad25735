//! The same metadata within the media: `emsg` boxes with ID3, for players and servers that read no playlist tags.
//!
//! An event tells a change. What holds on is in the playlist, where who joins late finds it.
//!
//! Source: ISO/IEC 23009-1 5.10.3.3 for the box; `AOMedia`'s "Carriage of ID3 Timed Metadata in CMAF" for the scheme;
//! ID3v2.4 for the tag.

use bytes::Bytes;
use mp4_atom::{Emsg, EmsgTimestamp, Encode};
use serde_json::json;

use super::Error;
use super::metadata::{DateRange, Value};
use crate::time::MediaTime;

const SCHEME: &str = "https://aomedia.org/emsg/ID3";
/// Ticks a second of events' times.
const TIMESCALE: u32 = 90_000;
/// It lasts until the next event says otherwise.
const UNKNOWN_DURATION: u32 = u32::MAX;

/// What an event tells of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It begins, in place of what was said of the same subject before.
    Begin,
    /// It is over.
    End,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The frame from which on it is so.
    pub at: MediaTime,
    change: Change,
    tag: Bytes,
}

impl Event {
    /// Of a range, from `at` on: as one JSON object in ID3's text frame, with the class of the range as its name.
    pub fn new(range: &DateRange, change: Change, at: MediaTime) -> Self {
        let word = if change == Change::Begin { "begin" } else { "end" };
        let mut text = json!({ "event": word, "id": range.id });
        if change == Change::Begin {
            for (name, value) in &range.shortened() {
                text[name] = match value {
                    Value::Text(text) => json!(text),
                    Value::Number(number) => json!(number),
                };
            }
        }
        Self { at, change, tag: id3(&range.class, &text.to_string()) }
    }

    /// Writes its box.
    ///
    /// # Errors
    /// [`Error::Boxes`].
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let emsg = Emsg {
            timescale: TIMESCALE,
            presentation_time: EmsgTimestamp::Absolute(self.at.as_ticks(TIMESCALE)),
            event_duration: if self.change == Change::Begin { UNKNOWN_DURATION } else { 0 },
            // The same in every rendition, and another for every other event: FNV-1a.
            id: self.tag.iter().fold(self.at.as_millis() as u32 ^ 0x811c_9dc5, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            }),
            scheme_id_uri: SCHEME.into(),
            value: String::new(),
            message_data: self.tag.to_vec(),
        };
        Ok(emsg.encode(out)?)
    }
}

/// A tag with one `TXXX` frame in UTF-8.
fn id3(name: &str, text: &str) -> Bytes {
    let mut frame = b"\x03".to_vec();
    frame.extend_from_slice(name.as_bytes());
    frame.push(0);
    frame.extend_from_slice(text.as_bytes());
    let mut tag = b"ID3\x04\x00\x00".to_vec();
    tag.extend_from_slice(&synchsafe(frame.len() + 10));
    tag.extend_from_slice(b"TXXX");
    tag.extend_from_slice(&synchsafe(frame.len()));
    tag.extend_from_slice(&[0, 0]);
    tag.extend_from_slice(&frame);
    tag.into()
}

/// Seven bits a byte: ID3v2.4 6.2.
fn synchsafe(length: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (length >> shift) as u8 & 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallTime;
    use mp4_atom::{Any, Decode};

    #[test]
    fn an_event_is_an_id3_tag_at_its_frame() {
        let range = DateRange {
            id: "air_1.5".into(),
            subject: "air_1".into(),
            class: "vitrine.airing".into(),
            start: WallTime(5),
            end: None,
            attributes: vec![("X-TITLE".into(), Value::Text("杯".repeat(300)))],
        };
        let mut out = Vec::new();
        Event::new(&range, Change::Begin, MediaTime(1_500_000_000)).write(&mut out).unwrap();
        let Any::Emsg(emsg) = Any::decode(&mut &out[..]).unwrap() else { panic!() };
        assert_eq!(emsg.presentation_time, EmsgTimestamp::Absolute(135_000));
        let data = &emsg.message_data;
        assert_eq!(&data[..6], b"ID3\x04\x00\x00");
        let length = data[6..10].iter().fold(0, |sum, byte| sum << 7 | usize::from(*byte));
        assert_eq!(length + 10, data.len());
        assert!(data.len() < 1024, "{} bytes", data.len());
        let text = String::from_utf8_lossy(&data[20..]);
        assert!(text.contains("vitrine.airing\0{") && text.contains("\"event\":\"begin\""), "{text}");
    }
}
