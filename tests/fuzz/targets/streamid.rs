//! SRT stream ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitrine::ingest::srt::streamid;

fuzz_target!(|text: &str| {
    if let Ok(key) = streamid::key(text) {
        assert!(!key.is_empty() && text.ends_with(key) | text.contains(key) && !key.contains('/'));
    }
});
