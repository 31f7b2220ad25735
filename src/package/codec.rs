//! `CODECS` strings (RFC 6381) from decoder configurations, exact as players compare them.

use std::fmt::Write;

use h264_reader::avcc::AvcDecoderConfigurationRecord;
use mp4_atom::{DecodeAtom, FourCC, Header, Hvcc};
use scuffle_h265::SpsNALUnit;

use super::Error;
use crate::media::{Codec, Format};

/// A picture's string.
///
/// # Errors
/// [`Error::Configuration`].
pub fn picture(format: &Format) -> Result<String, Error> {
    match format.codec {
        Codec::Hevc => hevc(&format.config),
        _ => avc(&format.config),
    }
}

/// A picture's pixels across and down, as shown: from the configuration's sequence parameter set.
///
/// # Errors
/// [`Error::Configuration`] when there is none that can be read.
pub fn size(format: &Format) -> Result<(u16, u16), Error> {
    let found = match format.codec {
        Codec::Hevc => hevc_size(&format.config).ok_or(("hvcC", "no sequence parameter set".to_owned())),
        _ => avc_size(&format.config).map_err(|detail| ("avcC", detail)),
    };
    found.map_err(|(codec, detail)| Error::Configuration { codec, detail })
}

fn avc_size(config: &[u8]) -> Result<(u16, u16), String> {
    let record = AvcDecoderConfigurationRecord::try_from(config).map_err(|error| format!("{error:?}"))?;
    let context = record.create_context().map_err(|error| format!("{error:?}"))?;
    let sps = context.sps().next().ok_or("no sequence parameter set")?;
    let (width, height) = sps.pixel_dimensions().map_err(|error| format!("{error:?}"))?;
    Ok((width.try_into().map_err(|_| "too wide")?, height.try_into().map_err(|_| "too high")?))
}

fn hevc_size(config: &[u8]) -> Option<(u16, u16)> {
    const SPS: u8 = 33;
    let mut bytes = config;
    let header = Header { kind: FourCC::new(b"hvcC"), size: Some(config.len()) };
    let hvcc = Hvcc::decode_atom(&header, &mut bytes).ok()?;
    let sps = hvcc.arrays.iter().find(|array| array.nal_unit_type == SPS)?.nalus.first()?.clone();
    let sps = SpsNALUnit::parse(std::io::Cursor::new(sps)).ok()?;
    Some((sps.rbsp.cropped_width().try_into().ok()?, sps.rbsp.cropped_height().try_into().ok()?))
}

/// `avc1.PPCCLL` from an `avcC` box's payload.
///
/// Source: ISO/IEC 14496-15 5.3.3.1 for the layout, RFC 6381 3.3 for the string.
///
/// # Errors
/// [`Error::Configuration`] when it is too short or of another version.
pub fn avc(avcc: &[u8]) -> Result<String, Error> {
    match avcc {
        [1, profile, constraints, level, _, _, ..] => {
            Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        _ => Err(Error::Configuration {
            codec: "avcC",
            detail: format!("{} bytes, version 1 wanted", avcc.len()),
        }),
    }
}

/// `hvc1.P.C.TL.B…` from an `hvcC` box's payload.
///
/// Source: ISO/IEC 14496-15 8.3.3.1 for the layout and annex E.3 for the string: profile with its space, compatibility
/// flags in reverse bit order, tier and level, constraint bytes without trailing zeros.
///
/// # Errors
/// [`Error::Configuration`] when it is too short or of another version.
pub fn hevc(hvcc: &[u8]) -> Result<String, Error> {
    let [1, profile, rest @ ..] = hvcc else {
        let detail = format!("{} bytes, version 1 wanted", hvcc.len());
        return Err(Error::Configuration { codec: "hvcC", detail });
    };
    let (Some(compatible), Some(constraints), Some(level)) =
        (rest.first_chunk::<4>(), rest.get(4..10), rest.get(10))
    else {
        let detail = format!("{} bytes, at least 13 wanted", hvcc.len());
        return Err(Error::Configuration { codec: "hvcC", detail });
    };
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::from_be_bytes(*compatible).reverse_bits();
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut text = format!("hvc1.{space}{}.{compatible:X}.{tier}{level}", profile & 0x1f);
    for byte in &constraints[..used] {
        let _ = write!(text, ".{byte:X}");
    }
    Ok(text)
}

/// Samples a second and channels from an `AudioSpecificConfig`. Nothing when it says neither.
///
/// Source: ISO/IEC 14496-3 1.6.2.1, and table 1.18 for the rates.
pub fn aac_sound(config: &[u8]) -> Option<(u32, u16)> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let [first, second, ..] = config else { return None };
    let rate = *RATES.get(usize::from((first & 7) << 1 | second >> 7))?;
    let channels = u16::from(second >> 3 & 0xf);
    (first >> 3 != 31 && (1..=8).contains(&channels)).then_some((rate, channels))
}

/// `mp4a.40.N` from an `AudioSpecificConfig`.
///
/// Source: ISO/IEC 14496-3 1.6.2.1, five bits of object type, 31 escapes to six more.
///
/// # Errors
/// [`Error::Configuration`] when it is too short.
pub fn aac(config: &[u8]) -> Result<String, Error> {
    match config {
        [first, second, ..] => {
            let object_type = match first >> 3 {
                31 => 32 + (u16::from(*first & 7) << 3 | u16::from(second >> 5)),
                plain => u16::from(plain),
            };
            Ok(format!("mp4a.40.{object_type}"))
        }
        _ => Err(Error::Configuration {
            codec: "AudioSpecificConfig",
            detail: format!("{} bytes, at least 2 wanted", config.len()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_as_players_expect_them() {
        assert_eq!(avc(&[1, 0x64, 0, 0x1f, 0xff, 0xe1]).unwrap(), "avc1.64001f");
        assert_eq!(aac(&[0x11, 0x90]).unwrap(), "mp4a.40.2");
        let main = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc(&main).unwrap(), "hvc1.1.6.L93.90");
        let main_10 = [1, 0x22, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 1, 150];
        assert_eq!(hevc(&main_10).unwrap(), "hvc1.2.4.H150.90.0.0.0.0.1");
        assert_eq!(aac_sound(&[0x11, 0x90]), Some((48_000, 2)));
        assert_eq!(aac_sound(&[0x12, 0x08]), Some((44_100, 1)));
        assert_eq!(aac_sound(&[0x17, 0x80]), None, "a rate of its own");
    }

    #[test]
    fn a_short_configuration_is_an_error() {
        assert!(avc(&[1, 0x64]).is_err());
        assert!(hevc(&[1, 1, 0x60]).is_err());
        assert!(aac(&[0x11]).is_err());
    }
}
