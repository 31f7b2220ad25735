//! H.264 parameter sets before every key frame, beside those of the initialisation segment.
//!
//! ffmpeg, and what is made with it, reads another initialisation segment in mid-playlist and does not use it: when the
//! encoder or the publisher changes, it decodes the new pictures with the old sets. With these it does not. Pure.

use bytes::Bytes;

use crate::media::{AccessUnit, Codec, Format, Kind};

/// Kinds of units. Source: ITU-T H.264 table 7-1.
const SEQUENCE_SET: u8 = 7;
const DELIMITER: u8 = 9;

/// Those of one format, as its samples have them: each with its length in four bytes. None for other codecs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterSets(Bytes);

impl ParameterSets {
    /// From the configuration of H.264. Source: ISO/IEC 14496-15 5.3.3.1.
    pub fn of(format: &Format) -> Self {
        Self(if format.codec == Codec::H264 {
            read(&format.config).unwrap_or_default().into()
        } else {
            Bytes::new()
        })
    }

    /// A unit's data, which has them if it is a key frame.
    pub fn with(&self, unit: &AccessUnit) -> Bytes {
        if unit.kind == Kind::Video && unit.is_keyframe { self.before(&unit.data) } else { unit.data.clone() }
    }

    fn before(&self, data: &Bytes) -> Bytes {
        let unit = |at: usize| {
            let length = u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?) as usize;
            Some((data.get(at + 4)? & 0x1f, at + 4 + length))
        };
        let mut units = std::iter::successors(unit(0), |(_, end)| unit(*end));
        if self.0.is_empty() || units.any(|(kind, _)| kind == SEQUENCE_SET) {
            return data.clone(); // it has its own
        }
        // A delimiter stays the first.
        let first = unit(0).filter(|(kind, end)| *kind == DELIMITER && *end <= data.len());
        let at = first.map_or(0, |(_, end)| end);
        [&data[..at], &self.0, &data[at..]].concat().into()
    }
}

fn read(config: &[u8]) -> Option<Vec<u8>> {
    let are_lengths_of_four = config.get(4)? & 3 == 3;
    if !are_lengths_of_four {
        return None;
    }
    let (mut at, mut sets) = (5, Vec::new());
    // Sequence parameter sets, then picture parameter sets.
    for mask in [0x1f, 0xff] {
        let count = config.get(at)? & mask;
        at += 1;
        for _ in 0..count {
            let length = u16::from_be_bytes([*config.get(at)?, *config.get(at + 1)?]);
            let end = at + 2 + usize::from(length);
            sets.extend(u32::from(length).to_be_bytes());
            sets.extend(config.get(at + 2..end)?);
            at = end;
        }
    }
    Some(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `avcC` of 64x64 baseline, as x264 makes it.
    const AVCC: &[u8] = &[
        1, 0x42, 0xc0, 0x0a, 0xff, 0xe1, 0, 0x17, 0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0, 0,
        3, 0, 4, 0, 0, 3, 0, 0xc8, 0x3c, 0x48, 0x99, 0x20, 1, 0, 5, 0x68, 0xcb, 0x83, 0xcb, 0x20,
    ];

    #[test]
    fn key_frames_carry_their_sets_unless_they_have_their_own() {
        let ParameterSets(sets) =
            ParameterSets::of(&Format { codec: Codec::H264, config: Bytes::from_static(AVCC) });
        assert_eq!(sets[..5], [0, 0, 0, 0x17, 0x67]);
        assert_eq!(sets[27..], [0, 0, 0, 5, 0x68, 0xcb, 0x83, 0xcb, 0x20]);
        let with = |data: &[u8]| ParameterSets(sets.clone()).before(&Bytes::copy_from_slice(data));
        let slice = [0, 0, 0, 2, 0x65, 1];
        assert_eq!(with(&slice), [&sets[..], &slice].concat());
        let delimiter = [0, 0, 0, 2, 9, 0x10];
        assert_eq!(with(&[delimiter, slice].concat()), [&delimiter[..], &sets, &slice].concat());
        let own = [[0, 0, 0, 2, 0x67, 1], slice].concat();
        assert_eq!(with(&own), own);
        for torn in [&[][..], &[0, 0, 0, 200, 9, 1], &[255; 9]] {
            assert_eq!(with(torn), [&sets[..], torn].concat(), "not ours to judge");
        }
        assert_eq!(read(&AVCC[..12]), None);
    }
}
