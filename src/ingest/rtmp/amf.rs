//! Reads AMF0, and AMF3 inside it, into `rml_amf0`'s values. Pure.
//!
//! `rml_amf0`'s own decoder is not used: it recurses as deep as the peer nests (four bytes a level end a process
//! by its stack), and knows nothing of AMF3, which Flash-era encoders put into type 17 messages. Here depth,
//! values and text are bounded.
//!
//! Source: Adobe's AMF0 specification, section 2; AMF3 specification, section 3.

use std::collections::HashMap;

pub use rml_amf0::Amf0Value as Value;

/// How deep values may nest; real encoders stay at 3.
const DEEPEST: u32 = 16;
/// How many values a message may hold; `onMetaData` has some thirty.
const MOST: u32 = 2048;
/// Bytes of text in a message, repetitions by reference counted.
const MOST_TEXT: usize = 256 * 1024;

/// A message's values, or nothing when they are not sound or exceed a bound.
pub fn values(bytes: &[u8]) -> Option<Vec<Value>> {
    let mut reader =
        Reader { bytes, left: MOST, text_left: MOST_TEXT, strings: Vec::new(), traits: Vec::new() };
    let mut values = Vec::new();
    while !reader.bytes.is_empty() {
        values.push(reader.value(DEEPEST)?);
    }
    Some(values)
}

/// An object's properties.
pub fn properties(value: Value) -> Option<HashMap<String, Value>> {
    match value {
        Value::Object(properties) => Some(properties),
        _ => None,
    }
}

/// A number's value.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// An AMF3 object's shape.
#[derive(Clone)]
struct Traits {
    is_dynamic: bool,
    names: Vec<String>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    left: u32,
    text_left: usize,
    strings: Vec<String>,
    traits: Vec<Traits>,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self, length: usize) -> Option<String> {
        self.text_left = self.text_left.checked_sub(length)?;
        std::str::from_utf8(self.take(length)?).ok().map(str::to_owned)
    }

    fn short_text(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.array()?);
        self.text(usize::from(length))
    }

    /// One value less may come, one level deeper.
    fn descend(&mut self, depth: u32) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        depth.checked_sub(1)
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        let depth = self.descend(depth)?;
        Some(match self.array::<1>()?[0] {
            0 => Value::Number(f64::from_be_bytes(self.array()?)),
            1 => Value::Boolean(self.array::<1>()?[0] != 0),
            2 => Value::Utf8String(self.short_text()?),
            3 => self.object(depth)?,
            5 => Value::Null,
            6 => Value::Undefined,
            // A reference to an object that came before: no encoder needs one.
            7 => self.take(2).map(|_| Value::Undefined)?,
            8 => {
                self.take(4)?; // the number of entries, which is only a hint
                self.object(depth)?
            }
            10 => {
                let count = u32::from_be_bytes(self.array()?);
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(depth)?);
                }
                Value::StrictArray(items)
            }
            11 => self.take(10).map(|_| Value::Undefined)?, // a date
            12 | 15 => {
                let length = u32::from_be_bytes(self.array()?);
                Value::Utf8String(self.text(length as usize)?)
            }
            16 => {
                self.short_text()?; // the class
                self.object(depth)?
            }
            17 => self.value_3(depth)?,
            _ => return None,
        })
    }

    fn object(&mut self, depth: u32) -> Option<Value> {
        let mut properties = HashMap::new();
        loop {
            if let Some(after) = self.bytes.strip_prefix(&[0, 0, 9]) {
                self.bytes = after;
                return Some(Value::Object(properties));
            }
            let name = self.short_text().filter(|name| !name.is_empty())?;
            properties.insert(name, self.value(depth)?);
        }
    }

    /// AMF3's integer of up to 29 bits (1.3.1).
    fn u29(&mut self) -> Option<u32> {
        let mut value = 0;
        for n in 0..4 {
            let [byte] = self.array()?;
            if n == 3 {
                return Some(value << 8 | u32::from(byte));
            }
            value = value << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(value)
    }

    fn text_3(&mut self) -> Option<String> {
        let head = self.u29()?;
        if head & 1 == 0 {
            let text = self.strings.get((head >> 1) as usize)?.clone();
            self.text_left = self.text_left.checked_sub(text.len())?;
            return Some(text);
        }
        let text = self.text((head >> 1) as usize)?;
        if !text.is_empty() {
            self.strings.push(text.clone());
        }
        Some(text)
    }

    fn value_3(&mut self, depth: u32) -> Option<Value> {
        let depth = self.descend(depth)?;
        Some(match self.array::<1>()?[0] {
            0 => Value::Undefined,
            1 => Value::Null,
            2 => Value::Boolean(false),
            3 => Value::Boolean(true),
            // 29 bits, signed.
            4 => Value::Number(f64::from((self.u29()? << 3).cast_signed() >> 3)),
            5 => Value::Number(f64::from_be_bytes(self.array()?)),
            6 => Value::Utf8String(self.text_3()?),
            8 => {
                if self.u29()? & 1 == 1 {
                    self.take(8)?;
                }
                Value::Undefined
            }
            9 => self.array_3(depth)?,
            10 => self.object_3(depth)?,
            7 | 11 | 12 => {
                let head = self.u29()?;
                if head & 1 == 1 {
                    self.take((head >> 1) as usize)?;
                }
                Value::Undefined
            }
            _ => return None,
        })
    }

    fn array_3(&mut self, depth: u32) -> Option<Value> {
        let head = self.u29()?;
        if head & 1 == 0 {
            return Some(Value::Undefined);
        }
        let mut properties = HashMap::new();
        self.dynamic_3(&mut properties, depth)?;
        let mut items = Vec::new();
        for _ in 0..head >> 1 {
            items.push(self.value_3(depth)?);
        }
        Some(if properties.is_empty() { Value::StrictArray(items) } else { Value::Object(properties) })
    }

    fn object_3(&mut self, depth: u32) -> Option<Value> {
        let head = self.u29()?;
        if head & 1 == 0 {
            return Some(Value::Undefined);
        }
        let traits = match head & 0b111 {
            0b111 => return None, // it would write itself, and only its own class knows how
            0b011 => {
                self.text_3()?; // the class
                let mut names = Vec::new();
                for _ in 0..head >> 4 {
                    self.left = self.left.checked_sub(1)?;
                    names.push(self.text_3()?);
                }
                let traits = Traits { is_dynamic: head & 0b1000 != 0, names };
                self.traits.push(traits.clone());
                traits
            }
            _ => {
                let traits = self.traits.get((head >> 2) as usize)?;
                let text: usize = traits.names.iter().map(String::len).sum();
                self.text_left = self.text_left.checked_sub(text)?;
                traits.clone()
            }
        };
        let mut properties = HashMap::new();
        for name in traits.names {
            properties.insert(name, self.value_3(depth)?);
        }
        if traits.is_dynamic {
            self.dynamic_3(&mut properties, depth)?;
        }
        Some(Value::Object(properties))
    }

    /// Names and values up to an empty name.
    fn dynamic_3(&mut self, properties: &mut HashMap<String, Value>, depth: u32) -> Option<()> {
        loop {
            let name = self.text_3()?;
            if name.is_empty() {
                return Some(());
            }
            properties.insert(name, self.value_3(depth)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_encoders_send_comes_back_as_it_was() {
        let object = Value::Object(
            [("app".to_owned(), Value::Utf8String("live".into())), ("n".to_owned(), Value::Number(1.0))]
                .into(),
        );
        let sent = vec![Value::Utf8String("connect".into()), object, Value::Null, Value::Boolean(true)];
        assert_eq!(values(&rml_amf0::serialize(&sent).unwrap()).unwrap(), sent);
    }

    #[test]
    fn amf3_inside_amf0_is_read() {
        // Marker 17, then an object without class: one sealed name, dynamic ones by reference.
        let bytes = [
            &[17_u8, 10, 0x1b, 1, 7, b'a', b'p', b'p', 6, 9][..],
            b"live",
            &[9, b'f', b'p', b'a', b'd', 2, 3, b'n', 4, 0xbf, 0xff, 0xff, 0xff, 3, b'x', 6, 0, 1],
        ]
        .concat();
        let read = values(&bytes).unwrap().into_iter().find_map(properties).unwrap();
        assert_eq!(read["app"], Value::Utf8String("live".into()));
        assert_eq!((&read["fpad"], &read["n"]), (&Value::Boolean(false), &Value::Number(268_435_455.0)));
        assert_eq!(read["x"], Value::Utf8String("app".into()));
    }

    #[test]
    fn endless_nesting_is_refused() {
        assert!(values(&[3, 0, 1, b'a'].repeat(100_000)).is_none());
        assert!(values(&[10, 0, 0, 0, 1].repeat(1000)).is_none());
        assert!(values(&[&[17_u8][..], &[9, 3, 1].repeat(10_000)].concat()).is_none());
    }

    #[test]
    fn text_by_reference_is_bounded() {
        let mut bytes = vec![17, 9, 0x8f, 0x7f, 1, 6, 0x83, 0x86, 0x21]; // 2047 values, the first of 50,000 bytes
        bytes.extend(vec![b'a'; 50_000]);
        bytes.extend([6, 0].repeat(2000));
        assert!(values(&bytes).is_none());
    }

    #[test]
    fn names_by_reference_are_bounded() {
        // An object with one name of 50,000 bytes, then objects of the same shape.
        let mut bytes = vec![17, 9, 0x8f, 0x7f, 1, 10, 0x13, 1, 0x86, 0x8d, 0x21];
        bytes.extend(vec![b'a'; 50_000]);
        bytes.push(1);
        let once = bytes.clone();
        bytes.extend([10, 1, 1].repeat(2000));
        assert!(values(&bytes).is_none());
        assert!(once.len() > 50_000);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &[2_u8, 0xff, 0xff, b'a'][..],
            &[10, 0xff, 0xff, 0xff, 0xff, 5],
            &[3, 0, 1, b'a'],
            &[0x0d],
            &[17, 10, 0xff, 0xff, 0xff, 0xfb, 1],
            &[17, 6, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(values(bytes).is_none(), "{bytes:?}");
        }
    }
}
