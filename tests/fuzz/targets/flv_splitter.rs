//! FLV and Enhanced RTMP tags, one after another, of one publisher.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vitrine::ingest::rtmp::flv::{Splitter, Tag};

fuzz_target!(|bytes: &[u8]| {
    let mut splitter = Splitter::default();
    let mut notes = 0;
    let mut rest = bytes;
    while let Some((&[kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high & 0x0f, low])).min(after.len());
        let (body, next) = after.split_at(length);
        rest = next;
        let body = Bytes::copy_from_slice(body);
        let tags = if kind & 1 == 0 { splitter.video(&body) } else { splitter.audio(&body) };
        for tag in tags.unwrap_or_default() {
            match tag {
                Tag::Unit { data, .. } => assert!(!data.is_empty() && data.len() <= body.len()),
                Tag::Format(format) => assert!(format.config.len() <= body.len()),
                Tag::Note(text) => {
                    notes += 1;
                    assert!(notes <= 16 && text.len() < 200);
                }
            }
        }
    }
});
