//! Formats as `GStreamer` says them.

use gstreamer as gst;

use super::Error;
use crate::media::{Codec, Format};

/// Every codec.
pub(super) const CODECS: [Codec; 10] = [
    Codec::H264,
    Codec::Hevc,
    Codec::Av1,
    Codec::Vp9,
    Codec::Aac,
    Codec::AacLatm,
    Codec::MpegAudio,
    Codec::Ac3,
    Codec::Eac3,
    Codec::Opus,
];

/// The pipeline that decodes it.
pub(super) fn pipeline_name(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "decode_h264",
        Codec::Hevc => "decode_hevc",
        Codec::Av1 => "decode_av1",
        Codec::Vp9 => "decode_vp9",
        Codec::Aac => "decode_aac",
        Codec::AacLatm => "decode_aac_latm",
        Codec::MpegAudio => "decode_mpeg_audio",
        Codec::Ac3 => "decode_ac3",
        Codec::Eac3 => "decode_eac3",
        Codec::Opus => "decode_opus",
    }
}

/// A track's caps.
///
/// # Errors
/// [`Error::Stream`] when the configuration is not what the codec wants.
pub(super) fn caps(format: &Format) -> Result<gst::Caps, Error> {
    let codec_data = || gst::Buffer::from_slice(format.config.clone());
    let with_data = |builder: gst::caps::Builder<gst::caps::NoFeature>| {
        if format.config.is_empty() { builder } else { builder.field("codec_data", codec_data()) }
    };
    Ok(match format.codec {
        Codec::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("codec_data", codec_data())
            .build(),
        Codec::Hevc => gst::Caps::builder("video/x-h265")
            .field("stream-format", "hvc1")
            .field("alignment", "au")
            .field("codec_data", codec_data())
            .build(),
        Codec::Av1 => with_data(
            gst::Caps::builder("video/x-av1").field("stream-format", "obu-stream").field("alignment", "tu"),
        )
        .build(),
        Codec::Vp9 => gst::Caps::new_empty_simple("video/x-vp9"),
        Codec::Aac => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4)
            .field("stream-format", "raw")
            .field("codec_data", codec_data())
            .build(),
        Codec::AacLatm => {
            gst::Caps::builder("audio/mpeg").field("mpegversion", 4).field("stream-format", "loas").build()
        }
        Codec::MpegAudio => gst::Caps::builder("audio/mpeg").field("mpegversion", 1).build(),
        Codec::Ac3 => gst::Caps::new_empty_simple("audio/x-ac3"),
        Codec::Eac3 => gst::Caps::new_empty_simple("audio/x-eac3"),
        Codec::Opus => opus(&format.config)?,
    })
}

/// From the `OpusHead` packet. Source: RFC 7845, section 5.1.
fn opus(head: &[u8]) -> Result<gst::Caps, Error> {
    let broken = || Error::Stream("the Opus configuration is cut short".into());
    // Some leave the magic word out.
    let head = head.strip_prefix(b"OpusHead").unwrap_or(head);
    let (channels, family) = (*head.get(1).ok_or_else(broken)?, head.get(10).copied().unwrap_or(0));
    let caps = gst::Caps::builder("audio/x-opus")
        .field("rate", 48_000)
        .field("channels", i32::from(channels.max(1)))
        .field("channel-mapping-family", i32::from(family));
    if family == 0 {
        return Ok(caps.build());
    }
    let mapping = head.get(13..13 + usize::from(channels)).ok_or_else(broken)?;
    let places = gst::Array::new(mapping.iter().map(|place| i32::from(*place)));
    Ok(caps
        .field("stream-count", i32::from(head[11]))
        .field("coupled-count", i32::from(head[12]))
        .field("channel-mapping", places)
        .build())
}
