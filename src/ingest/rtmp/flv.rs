//! FLV tag bodies, which RTMP carries, to codec configuration and access units. Pure.
//!
//! Source: Adobe Flash Video File Format 10.1, E.4.2 and E.4.3.

use bytes::Bytes;

/// Why a tag cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A picture codec that is not taken.
    #[error("the video codec {0} is not taken here: set the encoder to H.264")]
    VideoCodec(String),
    /// A sound codec that is not taken.
    #[error("the audio codec {0} is not taken here: set the encoder to AAC")]
    AudioCodec(String),
    /// Too short to be a tag.
    #[error("a {0} tag is cut short")]
    Short(&'static str),
}

/// What a tag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// The decoder's configuration.
    Config(Bytes),
    /// A coded unit.
    Unit {
        /// Composition offset in milliseconds.
        cts_ms: i32,
        /// Whether decoding can start here.
        is_keyframe: bool,
        /// The unit.
        data: Bytes,
    },
    /// Nothing to decode.
    Nothing,
}

/// Splits a video tag's body.
///
/// # Errors
/// [`Error`].
pub fn video(body: &Bytes) -> Result<Tag, Error> {
    let Some(first) = body.first() else { return Ok(Tag::Nothing) };
    if first & 0x80 != 0 {
        let four_cc = body.get(1..5).unwrap_or_default();
        return Err(Error::VideoCodec(String::from_utf8_lossy(four_cc).escape_default().to_string()));
    }
    match first & 0x0f {
        7 => {}
        2 => return Err(Error::VideoCodec("Sorenson H.263".into())),
        4 | 5 => return Err(Error::VideoCodec("VP6".into())),
        12 => return Err(Error::VideoCodec("HEVC (12)".into())),
        other => return Err(Error::VideoCodec(other.to_string())),
    }
    if first >> 4 == 5 {
        return Ok(Tag::Nothing); // a command to a player, such as the start of a seek
    }
    let [_, packet_type, c0, c1, c2, ..] = body[..] else { return Err(Error::Short("video")) };
    match packet_type {
        0 => Ok(Tag::Config(body.slice(5..))),
        1 if body.len() > 5 => {
            // 24 bits, signed.
            let cts_ms = i32::from_be_bytes([c0, c1, c2, 0]) >> 8;
            Ok(Tag::Unit { cts_ms, is_keyframe: first >> 4 == 1, data: body.slice(5..) })
        }
        _ => Ok(Tag::Nothing),
    }
}

/// Splits an audio tag's body.
///
/// # Errors
/// [`Error`].
pub fn audio(body: &Bytes) -> Result<Tag, Error> {
    let Some(first) = body.first() else { return Ok(Tag::Nothing) };
    match first >> 4 {
        10 => {}
        2 | 14 => return Err(Error::AudioCodec("MP3".into())),
        9 => return Err(Error::AudioCodec("of Enhanced RTMP".into())),
        11 => return Err(Error::AudioCodec("Speex".into())),
        other => return Err(Error::AudioCodec(other.to_string())),
    }
    match body.get(1) {
        Some(0) if body.len() >= 4 => Ok(Tag::Config(body.slice(2..))),
        Some(1) if body.len() > 2 => Ok(Tag::Unit { cts_ms: 0, is_keyframe: true, data: body.slice(2..) }),
        Some(_) => Ok(Tag::Nothing),
        None => Err(Error::Short("audio")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_with_reordering_is_split() {
        let body = Bytes::from_static(&[0x17, 1, 0, 0, 80, 1, 2, 3]);
        let data = Bytes::from_static(&[1, 2, 3]);
        assert_eq!(video(&body).unwrap(), Tag::Unit { cts_ms: 80, is_keyframe: true, data });
    }

    #[test]
    fn a_negative_composition_offset_stays_negative() {
        let body = Bytes::from_static(&[0x27, 1, 0xff, 0xff, 0xd8, 9]);
        let Tag::Unit { cts_ms, is_keyframe, .. } = video(&body).unwrap() else { panic!() };
        assert_eq!((cts_ms, is_keyframe), (-40, false));
    }

    #[test]
    fn other_codecs_are_named_in_the_error() {
        let error = video(&Bytes::from_static(b"\x91hvc1....")).unwrap_err().to_string();
        assert!(error.contains("hvc1"), "{error}");
        let error = audio(&Bytes::from_static(&[0x2f, 0])).unwrap_err().to_string();
        assert!(error.contains("MP3"), "{error}");
    }

    #[test]
    fn short_and_empty_tags_do_no_harm() {
        assert_eq!(video(&Bytes::new()).unwrap(), Tag::Nothing);
        assert_eq!(video(&Bytes::from_static(&[0x17, 0])).unwrap_err(), Error::Short("video"));
        assert_eq!(audio(&Bytes::from_static(&[0xaf])).unwrap_err(), Error::Short("audio"));
    }
}
