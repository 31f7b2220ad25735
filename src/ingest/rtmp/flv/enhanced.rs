//! Enhanced RTMP's tags: codecs by `FourCC`, several tracks, modifiers.
//!
//! Source: Veovera Enhanced RTMP v2, `ExVideoTagHeader`, `ExVideoTagBody`, `ExAudioTagHeader`, `ExAudioTagBody`.

use bytes::Bytes;

use super::{Error, Splitter, Tag, keyframe, signed_24};
use crate::ingest::rtmp::amf;
use crate::media::{Codec, Kind};

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MULTITRACK_AUDIO: u8 = 5;
const MULTITRACK_VIDEO: u8 = 6;
const MOD_EX: u8 = 7;
/// A video frame type that is no frame.
const COMMAND: u8 = 5;
/// `AvMultitrackType`.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// Reads a tag from its front; everything past the end is an error.
struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
    what: &'static str,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.body.get(self.at..self.at + N).ok_or(Error::Short(self.what))?;
        self.at += N;
        bytes.try_into().map_err(|_| Error::Short(self.what))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn size_24(&mut self) -> Result<usize, Error> {
        self.take::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]) as usize)
    }

    fn slice(&mut self, length: usize) -> Result<Bytes, Error> {
        if self.body.len() - self.at < length {
            return Err(Error::Short(self.what));
        }
        self.at += length;
        Ok(self.body.slice(self.at - length..self.at))
    }

    fn rest(&mut self) -> Bytes {
        let rest = self.body.slice(self.at..);
        self.at = self.body.len();
        rest
    }

    /// Modifiers before the packet: the packet's real type and the nanoseconds that they add.
    fn modifiers(&mut self, mut packet_type: u8) -> Result<(u8, i64), Error> {
        let mut nanos = 0;
        while packet_type == MOD_EX {
            let mut length = usize::from(self.byte()?) + 1;
            if length == 256 {
                length = usize::from(u16::from_be_bytes(self.take()?)) + 1;
            }
            let data = self.slice(length)?;
            let next = self.byte()?;
            // Type 0 is `TimestampOffsetNano`, 24 bits.
            if let (0, [a, b, c, ..]) = (next >> 4, &data[..]) {
                nanos = i64::from(u32::from_be_bytes([0, *a, *b, *c])).min(999_999);
            }
            packet_type = next & 0x0f;
        }
        Ok((packet_type, nanos))
    }
}

/// One packet of one track.
struct Packet {
    four_cc: [u8; 4],
    packet_type: u8,
    is_keyframe: Option<bool>,
    nanos: i64,
    data: Bytes,
}

impl Splitter {
    pub(super) fn enhanced_video(&mut self, body: &Bytes) -> Result<Vec<Tag>, Error> {
        let mut reader = Reader { body, at: 1, what: "video" };
        let frame_type = body[0] >> 4 & 7;
        let (packet_type, nanos) = reader.modifiers(body[0] & 0x0f)?;
        if frame_type == COMMAND && packet_type != METADATA {
            return Ok(Vec::new());
        }
        // Some relays leave the frame type at 0 in every tag: then the picture itself must tell.
        let is_keyframe = match frame_type {
            0 => None,
            frame_type => Some(frame_type == 1),
        };
        let packet = |four_cc, packet_type, data| Packet { four_cc, packet_type, is_keyframe, nanos, data };
        self.tracks(Kind::Video, &mut reader, packet_type, packet)
    }

    pub(super) fn enhanced_audio(&mut self, body: &Bytes) -> Result<Vec<Tag>, Error> {
        let mut reader = Reader { body, at: 1, what: "audio" };
        let (packet_type, nanos) = reader.modifiers(body[0] & 0x0f)?;
        let packet =
            |four_cc, packet_type, data| Packet { four_cc, packet_type, is_keyframe: None, nanos, data };
        self.tracks(Kind::Audio, &mut reader, packet_type, packet)
    }

    /// The packet of the track that is used, of the one or the many that the tag holds.
    fn tracks(
        &mut self,
        kind: Kind,
        reader: &mut Reader,
        packet_type: u8,
        packet: impl Fn([u8; 4], u8, Bytes) -> Packet,
    ) -> Result<Vec<Tag>, Error> {
        let multitrack = if kind == Kind::Video { MULTITRACK_VIDEO } else { MULTITRACK_AUDIO };
        if packet_type != multitrack {
            let four_cc = reader.take()?;
            let data = reader.rest();
            return if self.is_used(kind, 0) {
                self.packet(kind, packet(four_cc, packet_type, data))
            } else {
                Ok(Vec::new())
            };
        }
        let types = reader.byte()?;
        let (arrangement, packet_type) = (types >> 4, types & 0x0f);
        let mut four_cc = [0; 4];
        if arrangement != MANY_TRACKS_MANY_CODECS {
            four_cc = reader.take()?;
        }
        let mut tags = Vec::new();
        while reader.at < reader.body.len() {
            if arrangement == MANY_TRACKS_MANY_CODECS {
                four_cc = reader.take()?;
            }
            let id = reader.byte()?;
            let data = if arrangement == ONE_TRACK {
                reader.rest()
            } else {
                let length = reader.size_24()?;
                reader.slice(length)?
            };
            if self.is_used(kind, id) {
                tags.extend(self.packet(kind, packet(four_cc, packet_type, data))?);
            } else {
                let what = if kind == Kind::Video { "video" } else { "audio" };
                let used = self.track(kind).id.unwrap_or_default();
                let codec = printable(four_cc);
                tags.extend(
                    self.note(kind, format!("{what} track {id} ({codec}) is left out: track {used} is used")),
                );
            }
        }
        Ok(tags)
    }

    fn packet(&mut self, kind: Kind, packet: Packet) -> Result<Vec<Tag>, Error> {
        match kind {
            Kind::Video => self.video_packet(packet),
            Kind::Audio => Ok(self.audio_packet(packet)),
        }
    }

    fn video_packet(&mut self, packet: Packet) -> Result<Vec<Tag>, Error> {
        let Packet { four_cc, packet_type, is_keyframe, nanos, data } = packet;
        let codec = match &four_cc {
            b"avc1" => Codec::H264,
            b"hvc1" | b"hev1" => Codec::Hevc,
            b"av01" => Codec::Av1,
            b"vp09" => Codec::Vp9,
            _ if packet_type == METADATA => return Ok(self.metadata(&data)),
            _ => return Err(Error::VideoCodec(printable(four_cc))),
        };
        let is_key = |unit: &[u8]| is_keyframe.unwrap_or_else(|| keyframe::is_keyframe(codec, unit));
        match packet_type {
            // Empty before the real one comes, from ffmpeg.
            SEQUENCE_START if data.is_empty() && matches!(codec, Codec::H264 | Codec::Hevc) => Ok(Vec::new()),
            SEQUENCE_START => Ok(self.format(codec, data)),
            CODED_FRAMES if matches!(codec, Codec::H264 | Codec::Hevc) => {
                let Some((cts, unit)) = data.split_first_chunk::<3>() else {
                    return Err(Error::Short("video"));
                };
                let unit = data.slice_ref(unit);
                Ok(self.unit(codec, signed_24(*cts) * 1_000_000 + nanos, is_key(&unit), unit))
            }
            CODED_FRAMES | CODED_FRAMES_X => Ok(self.unit(codec, nanos, is_key(&data), data)),
            METADATA => Ok(self.metadata(&data)),
            _ => Ok(Vec::new()), // the end of a sequence, MPEG-2 TS's own configuration
        }
    }

    fn audio_packet(&mut self, packet: Packet) -> Vec<Tag> {
        let Packet { four_cc, packet_type, nanos, data, .. } = packet;
        let codec = match &four_cc {
            b"mp4a" => Codec::Aac,
            b"Opus" => Codec::Opus,
            b"ac-3" => Codec::Ac3,
            b"ec-3" => Codec::Eac3,
            b".mp3" => Codec::MpegAudio,
            _ => return self.no_sound(&printable(four_cc)),
        };
        match packet_type {
            SEQUENCE_START if data.is_empty() && matches!(codec, Codec::Aac | Codec::Opus) => Vec::new(),
            SEQUENCE_START => self.format(codec, data),
            CODED_FRAMES => self.unit(codec, nanos, true, data),
            _ => Vec::new(), // the end of a sequence, the loudspeakers' places
        }
    }

    /// `colorInfo`: 16 is PQ, 18 is HLG (ISO/IEC 23091-2).
    fn metadata(&mut self, data: &Bytes) -> Vec<Tag> {
        let values = amf::values(data).unwrap_or_default();
        let transfer = values.into_iter().filter_map(amf::properties).find_map(|colours| {
            let config = amf::properties(colours.get("colorConfig")?.clone())?;
            amf::number(config.get("transferCharacteristics")?)
        });
        match transfer {
            Some(16.0 | 18.0) => self
                .note(Kind::Video, "the picture is HDR and is shown as SDR: set the encoder to SDR".into()),
            _ => Vec::new(),
        }
    }
}

fn printable(four_cc: [u8; 4]) -> String {
    String::from_utf8_lossy(&four_cc).escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Format;

    fn format(codec: Codec, config: &'static [u8]) -> Tag {
        Tag::Format(Format { codec, config: Bytes::from_static(config) })
    }

    fn bytes(parts: &[&[u8]]) -> Bytes {
        parts.concat().into()
    }

    #[test]
    fn hevc_comes_with_and_without_a_composition_offset() {
        let mut splitter = Splitter::default();
        let start = splitter.video(&bytes(&[&[0x90], b"hvc1", &[1, 2]])).unwrap();
        assert_eq!(start, [format(Codec::Hevc, &[1, 2])]);
        let frame = splitter.video(&bytes(&[&[0x91], b"hvc1", &[0, 0, 40, 9]])).unwrap();
        let data = Bytes::from_static(&[9]);
        assert_eq!(frame, [Tag::Unit { cts_nanos: 40_000_000, is_keyframe: true, data: data.clone() }]);
        let frame = splitter.video(&bytes(&[&[0xa3], b"hvc1", &[9]])).unwrap();
        assert_eq!(frame, [Tag::Unit { cts_nanos: 0, is_keyframe: false, data }]);
    }

    #[test]
    fn modifiers_add_nanoseconds_and_unknown_ones_are_skipped() {
        let mut splitter = Splitter::default();
        splitter.video(&bytes(&[&[0x90], b"avc1", &[1]])).unwrap();
        // Type 0 with 500,000 ns, then an unknown one (type 3) of 300 bytes, then CodedFramesX.
        let body =
            bytes(&[&[0x97, 2, 0x07, 0xa1, 0x20, 0x07, 255, 0x01, 0x2b], &[0; 300], &[0x33], b"avc1", &[9]]);
        let tags = splitter.video(&body).unwrap();
        assert!(matches!(tags[..], [Tag::Unit { cts_nanos: 500_000, .. }]), "{tags:?}");
    }

    #[test]
    fn the_first_track_is_used_and_the_others_are_named_once() {
        let mut splitter = Splitter::default();
        // Many tracks, one codec: two sequence starts.
        let body = bytes(&[&[0x96, 0x10], b"avc1", &[0, 0, 0, 2, 7, 7], &[1, 0, 0, 1, 8]]);
        let tags = splitter.video(&body).unwrap();
        assert_eq!(tags[0], format(Codec::H264, &[7, 7]));
        assert!(matches!(&tags[1], Tag::Note(text) if text.contains("track 1 (avc1)")), "{tags:?}");
        // One track, and it is not ours.
        assert!(splitter.video(&bytes(&[&[0x96, 0x01], b"avc1", &[1, 0, 0, 0, 5]])).unwrap().is_empty());
        // Many tracks, many codecs.
        let body = bytes(&[&[0xa6, 0x23], b"avc1", &[0, 0, 0, 1, 9], b"hvc1", &[1, 0, 0, 1, 9]]);
        let tags = splitter.video(&body).unwrap();
        assert!(matches!(&tags[..], [Tag::Unit { .. }, Tag::Note(_)]), "{tags:?}");
    }

    #[test]
    fn without_a_frame_type_the_picture_tells() {
        let mut splitter = Splitter::default();
        splitter.video(&bytes(&[&[0x80], b"hvc1", &[1]])).unwrap();
        for (header, wanted) in [(0x26_u8, true), (0x02, false)] {
            let tags = splitter.video(&bytes(&[&[0x83], b"hvc1", &[0, 0, 0, 3, header, 1, 0]])).unwrap();
            assert!(matches!(tags[..], [Tag::Unit { is_keyframe, .. }] if is_keyframe == wanted), "{tags:?}");
        }
    }

    #[test]
    fn sound_by_four_cc() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.audio(&bytes(&[&[0x90], b"Opus", b"Op"])).unwrap(), [format(Codec::Opus, b"Op")]);
        assert_eq!(splitter.audio(&bytes(&[&[0x91], b"Opus", &[1]])).unwrap().len(), 1);
        // AC-3 has no sequence start: a change in mid-stream announces itself.
        let tags = splitter.audio(&bytes(&[&[0x91], b"ac-3", &[0x0b, 0x77]])).unwrap();
        assert_eq!(tags[0], format(Codec::Ac3, &[]));
        let tags = splitter.audio(&bytes(&[&[0x91], b"fLaC", &[1]])).unwrap();
        assert!(matches!(&tags[..], [Tag::Note(text)] if text.contains("fLaC")));
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        let mut splitter = Splitter::default();
        for body in [
            &[0x97_u8, 200, 0][..],
            &[0x97, 255, 0xff, 0xff],
            &[0x96, 0x10, b'a', b'v', b'c', b'1', 0, 0xff, 0xff, 0xff],
            &[0x91, b'h'],
            &[0x91, b'h', b'v', b'c', b'1', 0, 0],
        ] {
            assert_eq!(splitter.video(&Bytes::copy_from_slice(body)), Err(Error::Short("video")), "{body:?}");
        }
        assert!(matches!(splitter.video(&bytes(&[&[0x90], b"vvc1"])), Err(Error::VideoCodec(_))));
    }
}
