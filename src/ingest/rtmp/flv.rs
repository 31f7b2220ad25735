//! FLV tag bodies, which RTMP carries, to formats and coded units: the old layout and Enhanced RTMP's. Pure.
//!
//! Of several tracks the first that comes is used; the others are named once.
//!
//! Source: Adobe Flash Video File Format 10.1, E.4.2 and E.4.3; Veovera Enhanced RTMP v2, "Enhanced Audio" and
//! "Enhanced Video".

mod enhanced;
mod keyframe;

use bytes::Bytes;

use crate::media::{Codec, Format, Kind};

/// Why a tag cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A picture codec that is not taken.
    #[error("the video codec {0} is not taken here: set the encoder to H.264 or HEVC")]
    VideoCodec(String),
    /// Too short to be a tag.
    #[error("a {0} tag is cut short")]
    Short(&'static str),
}

/// What a tag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// What follows is coded so.
    Format(Format),
    /// A coded unit.
    Unit {
        /// Shown this much later than decoded, in nanoseconds.
        cts_nanos: i64,
        /// Whether decoding can start here.
        is_keyframe: bool,
        /// The unit.
        data: Bytes,
    },
    /// Something that producers should know; said once for each text.
    Note(String),
}

/// Splits the tags of one publisher.
#[derive(Debug, Default)]
pub struct Splitter {
    tracks: [Track; 2],
}

#[derive(Debug, Default)]
struct Track {
    /// The track that is used: the first that came.
    id: Option<u8>,
    /// The codec last announced.
    codec: Option<Codec>,
    /// What was said already.
    said: Vec<String>,
}

/// Texts that one publisher can make us keep.
const MOST_NOTES: usize = 8;

impl Splitter {
    /// Splits a video tag's body.
    ///
    /// # Errors
    /// [`Error`].
    pub fn video(&mut self, body: &Bytes) -> Result<Vec<Tag>, Error> {
        let Some(first) = body.first().copied() else { return Ok(Vec::new()) };
        if first & 0x80 != 0 {
            return self.enhanced_video(body);
        }
        let codec = match first & 0x0f {
            7 => Codec::H264,
            // Not Adobe's: what many Chinese encoders send for HEVC, in the layout of H.264.
            12 => Codec::Hevc,
            2 => return Err(Error::VideoCodec("Sorenson H.263".into())),
            4 | 5 => return Err(Error::VideoCodec("VP6".into())),
            other => return Err(Error::VideoCodec(other.to_string())),
        };
        if first >> 4 == 5 || !self.is_used(Kind::Video, 0) {
            return Ok(Vec::new()); // a command to a player, such as the start of a seek
        }
        let [_, packet_type, c0, c1, c2, ..] = body[..] else { return Err(Error::Short("video")) };
        let data = body.slice(5..);
        match packet_type {
            0 => Ok(self.format(codec, data)),
            1 if !data.is_empty() => {
                Ok(self.unit(codec, signed_24([c0, c1, c2]) * 1_000_000, first >> 4 == 1, data))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Splits an audio tag's body. A codec that is not taken leaves the publisher without sound and is noted.
    ///
    /// # Errors
    /// [`Error::Short`].
    pub fn audio(&mut self, body: &Bytes) -> Result<Vec<Tag>, Error> {
        let Some(first) = body.first().copied() else { return Ok(Vec::new()) };
        if first >> 4 == 9 {
            return self.enhanced_audio(body);
        }
        let refused = match first >> 4 {
            10 | 2 | 14 => None,
            11 => Some("Speex".to_owned()),
            0 | 3 => Some("PCM".to_owned()),
            4..=6 => Some("Nellymoser".to_owned()),
            7 | 8 => Some("G.711".to_owned()),
            other => Some(other.to_string()),
        };
        if let Some(codec) = refused {
            return Ok(self.no_sound(&codec));
        }
        if !self.is_used(Kind::Audio, 0) {
            return Ok(Vec::new());
        }
        if first >> 4 != 10 {
            return Ok(self.unit(Codec::MpegAudio, 0, true, body.slice(1..)));
        }
        match body.get(1) {
            Some(0) if body.len() >= 4 => Ok(self.format(Codec::Aac, body.slice(2..))),
            Some(1) if body.len() > 2 => Ok(self.unit(Codec::Aac, 0, true, body.slice(2..))),
            Some(_) => Ok(Vec::new()),
            None => Err(Error::Short("audio")),
        }
    }

    /// Whether track `id` is the one that is used.
    fn is_used(&mut self, kind: Kind, id: u8) -> bool {
        *self.track(kind).id.get_or_insert(id) == id
    }

    fn track(&mut self, kind: Kind) -> &mut Track {
        &mut self.tracks[usize::from(kind == Kind::Audio)]
    }

    fn format(&mut self, codec: Codec, config: Bytes) -> Vec<Tag> {
        self.track(codec.kind()).codec = Some(codec);
        vec![Tag::Format(Format { codec, config })]
    }

    /// A unit, with its format before it where the codec needs no configuration and none was announced.
    fn unit(&mut self, codec: Codec, cts_nanos: i64, is_keyframe: bool, data: Bytes) -> Vec<Tag> {
        if data.is_empty() {
            return Vec::new();
        }
        let unit = Tag::Unit { cts_nanos, is_keyframe, data };
        if self.track(codec.kind()).codec == Some(codec) {
            return vec![unit];
        }
        match codec {
            // Nothing can be decoded before the configuration comes.
            Codec::H264 | Codec::Hevc | Codec::Aac | Codec::AacLatm | Codec::Opus => Vec::new(),
            Codec::Av1 | Codec::Vp9 | Codec::MpegAudio | Codec::Ac3 | Codec::Eac3 => {
                let mut tags = self.format(codec, Bytes::new());
                tags.push(unit);
                tags
            }
        }
    }

    fn no_sound(&mut self, codec: &str) -> Vec<Tag> {
        self.note(Kind::Audio, format!("the audio codec {codec} is not taken here: set the encoder to AAC"))
    }

    /// A note, the first time.
    fn note(&mut self, kind: Kind, text: String) -> Vec<Tag> {
        let said = &mut self.track(kind).said;
        if said.contains(&text) || said.len() >= MOST_NOTES {
            return Vec::new();
        }
        said.push(text.clone());
        vec![Tag::Note(text)]
    }
}

fn signed_24(bytes: [u8; 3]) -> i64 {
    i64::from(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> Splitter {
        let mut splitter = Splitter::default();
        let tags = splitter.video(&Bytes::from_static(&[0x17, 0, 0, 0, 0, 1, 100, 0])).unwrap();
        let config = Bytes::from_static(&[1, 100, 0]);
        assert_eq!(tags, [Tag::Format(Format { codec: Codec::H264, config })]);
        splitter
    }

    #[test]
    fn a_key_frame_with_reordering_is_split() {
        let body = Bytes::from_static(&[0x17, 1, 0, 0, 80, 1, 2, 3]);
        let data = Bytes::from_static(&[1, 2, 3]);
        let unit = Tag::Unit { cts_nanos: 80_000_000, is_keyframe: true, data };
        assert_eq!(configured().video(&body).unwrap(), [unit]);
    }

    #[test]
    fn a_negative_composition_offset_stays_negative() {
        let body = Bytes::from_static(&[0x27, 1, 0xff, 0xff, 0xd8, 9]);
        let tags = configured().video(&body).unwrap();
        assert!(matches!(tags[..], [Tag::Unit { cts_nanos: -40_000_000, is_keyframe: false, .. }]));
    }

    #[test]
    fn a_picture_codec_that_is_not_taken_is_an_error_and_sound_is_a_note_said_once() {
        let mut splitter = Splitter::default();
        let error = splitter.video(&Bytes::from_static(&[0x12, 0, 0, 0, 0])).unwrap_err().to_string();
        assert!(error.contains("H.263"), "{error}");
        let speex = Bytes::from_static(&[0xbf, 0]);
        assert!(matches!(&splitter.audio(&speex).unwrap()[..], [Tag::Note(text)] if text.contains("Speex")));
        assert!(splitter.audio(&speex).unwrap().is_empty());
    }

    #[test]
    fn mp3_needs_no_configuration() {
        let mut splitter = Splitter::default();
        let body = Bytes::from_static(&[0x2f, 0xff, 0xfb]);
        let tags = splitter.audio(&body).unwrap();
        let format = Tag::Format(Format { codec: Codec::MpegAudio, config: Bytes::new() });
        assert!(matches!(&tags[..], [first, Tag::Unit { .. }] if *first == format));
        assert_eq!(splitter.audio(&body).unwrap().len(), 1);
    }

    #[test]
    fn short_and_empty_tags_do_no_harm() {
        let mut splitter = Splitter::default();
        assert!(splitter.video(&Bytes::new()).unwrap().is_empty());
        assert_eq!(splitter.video(&Bytes::from_static(&[0x17, 0])).unwrap_err(), Error::Short("video"));
        assert_eq!(splitter.audio(&Bytes::from_static(&[0xaf])).unwrap_err(), Error::Short("audio"));
    }
}
