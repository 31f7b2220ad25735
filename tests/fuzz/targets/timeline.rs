//! Timestamps of any kind and order: decode times grow, nothing is shown before it is decoded or far ahead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitrine::ingest::timeline::{Stamp, Timeline};
use vitrine::media::Kind;
use vitrine::time::MediaTime;

fuzz_target!(|bytes: &[u8]| {
    let mut timeline = Timeline::new(250);
    let mut now = MediaTime(1_000_000_000_000);
    let mut last = [None; 2];
    for unit in bytes.chunks_exact(12) {
        let number = |at: usize| u32::from_be_bytes([unit[at], unit[at + 1], unit[at + 2], unit[at + 3]]);
        let kind = if unit[0] & 1 == 0 { Kind::Video } else { Kind::Audio };
        let stamp = match unit[0] & 6 {
            0 => Stamp::Nanos(i64::from(number(4)) << 32 | i64::from(number(8))),
            _ => Stamp::Millis(number(4)),
        };
        now = now.offset(i64::from(u16::from_be_bytes([unit[1], unit[2]])) * 100_000);
        let cts = i64::from(number(8).cast_signed()) * 1_000_000;
        let due = timeline.map(kind, stamp, cts, now);
        now = now.offset(due.wait);
        assert!(due.pts >= due.dts);
        assert!(due.dts.since(now) <= timeline.limit_nanos());
        let before = &mut last[usize::from(kind == Kind::Audio)];
        assert!(before.is_none_or(|before| due.dts > before));
        *before = Some(due.dts);
    }
});
