//! Looks over AMF0 before `rml_amf0` decodes it: that decoder recurses as deep as the peer nests, and four
//! bytes a level are enough to end a process by its stack. Pure; decodes nothing itself.
//!
//! Source: Adobe's AMF0 specification, section 2.

/// How deep values may nest; real encoders stay at 3.
const DEEPEST: u32 = 16;
/// How many values a message may hold; `onMetaData` has some thirty.
const MOST: u32 = 2048;

/// Whether `bytes` are a sequence of AMF0 values of the kinds that can be decoded, within bounds.
pub fn is_sound(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut left = MOST;
    while !rest.is_empty() {
        match skip(rest, DEEPEST, &mut left) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// What follows the first value, or nothing when it is not sound.
fn skip<'a>(bytes: &'a [u8], depth: u32, left: &mut u32) -> Option<&'a [u8]> {
    *left = left.checked_sub(1)?;
    let depth = depth.checked_sub(1)?;
    let (marker, rest) = bytes.split_first()?;
    match marker {
        0 => rest.get(8..),
        1 => rest.get(1..),
        2 => skip_text(rest),
        3 => skip_properties(rest, depth, left),
        5 | 6 => Some(rest),
        8 => skip_properties(rest.get(4..)?, depth, left),
        10 => {
            let count = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
            let mut rest = rest.get(4..)?;
            for _ in 0..count {
                rest = skip(rest, depth, left)?;
            }
            Some(rest)
        }
        _ => None,
    }
}

fn skip_text(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
    let text = bytes.get(2..2 + length)?;
    std::str::from_utf8(text).ok()?;
    bytes.get(2 + length..)
}

fn skip_properties<'a>(mut bytes: &'a [u8], depth: u32, left: &mut u32) -> Option<&'a [u8]> {
    loop {
        if let Some(after) = bytes.strip_prefix(&[0, 0, 9]) {
            return Some(after);
        }
        if bytes.starts_with(&[0, 0]) {
            return None; // an empty name that is not the end
        }
        bytes = skip(skip_text(bytes)?, depth, left)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rml_amf0::Amf0Value;

    #[test]
    fn what_encoders_send_is_sound() {
        let object = Amf0Value::Object(
            [
                ("app".to_owned(), Amf0Value::Utf8String("live".into())),
                ("n".to_owned(), Amf0Value::Number(1.0)),
            ]
            .into(),
        );
        let values =
            vec![Amf0Value::Utf8String("connect".into()), object, Amf0Value::Null, Amf0Value::Boolean(true)];
        assert!(is_sound(&rml_amf0::serialize(&values).unwrap()));
    }

    #[test]
    fn endless_nesting_is_not() {
        let mut nested = Vec::new();
        for _ in 0..100_000 {
            nested.extend_from_slice(&[3, 0, 1, b'a']);
        }
        assert!(!is_sound(&nested));
        assert!(!is_sound(&[10, 0, 0, 0, 1].repeat(1000)));
    }

    #[test]
    fn lengths_that_lie_are_not() {
        assert!(!is_sound(&[2, 0xff, 0xff, b'a']));
        assert!(!is_sound(&[10, 0xff, 0xff, 0xff, 0xff, 5]));
        assert!(!is_sound(&[3, 0, 1, b'a']));
        assert!(!is_sound(&[0x0d]));
    }
}
