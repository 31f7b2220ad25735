//! Whether decoding can start at a unit, from the unit itself. Only for senders that do not say.

use crate::media::Codec;

/// H.264: an IDR slice (7.4.1, type 5). HEVC: a random access picture (7.4.2.2, types 16 to 21). AV1: a sequence
/// header (5.3.1, type 1), which stands before every key frame. VP9: the frame header's own bit (6.2).
pub(super) fn is_keyframe(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H264 => nal_headers(unit).any(|header| header & 0x1f == 5),
        Codec::Hevc => nal_headers(unit).any(|header| (16..=21).contains(&(header >> 1 & 0x3f))),
        Codec::Av1 => has_sequence_header(unit),
        Codec::Vp9 => unit.first().is_some_and(|first| first >> 6 == 2 && first & 0x0c == 0),
        _ => true,
    }
}

/// The first byte of each unit, of units behind four bytes of length.
fn nal_headers(mut bytes: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (unit, after) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = after;
        unit.first().copied()
    })
}

fn has_sequence_header(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_first() {
        if header >> 3 & 0x0f == 1 {
            return true;
        }
        // The temporal delimiter and others carry their size; without one the rest is one unit.
        let extension = usize::from(header & 4 != 0);
        let Some((size, after)) = rest.get(extension..).filter(|_| header & 2 != 0).and_then(leb128) else {
            return false;
        };
        let Some(after) = after.get(size..) else { return false };
        bytes = after;
    }
    false
}

/// Source: AV1, 4.10.5.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for n in 0..4 {
        let byte = *bytes.get(n)?;
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[n + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn av1_and_h264_tell() {
        assert!(is_keyframe(Codec::Av1, &[0x12, 0, 0x0a, 1, 0, 0x32, 1, 0]));
        assert!(!is_keyframe(Codec::Av1, &[0x12, 0, 0x32, 1, 0]));
        assert!(is_keyframe(Codec::H264, &[0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65]));
        assert!(!is_keyframe(Codec::H264, &[0, 0, 0, 1, 0x41, 0, 0, 0xff, 0]));
        assert!(!is_keyframe(Codec::Av1, &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff]));
    }
}
