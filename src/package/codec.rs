//! `CODECS` strings (RFC 6381) from decoder configurations, exact as players compare them.

use super::Error;

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
    }

    #[test]
    fn a_short_configuration_is_an_error() {
        assert!(avc(&[1, 0x64]).is_err());
        assert!(aac(&[0x11]).is_err());
    }
}
