//! A text that many fetch: compressed once for each coding, however many wait for it, and only when somebody asks.

use std::io::Write;
use std::sync::OnceLock;

use axum::http::HeaderMap;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Brotli's quality: beyond it, it takes longer than a viewer's line saves.
const BROTLI_QUALITY: u32 = 5;
/// And for texts beyond 16 KB, the whole list of half an hour: it would take 20 ms, in which nobody else is answered.
const LONG: usize = 16 * 1024;
const BROTLI_QUALITY_LONG: u32 = 1;
/// Brotli's window, as a power of two: 64 KiB hold a whole playlist's repetitions.
const BROTLI_WINDOW: u32 = 16;

/// How a text is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coding {
    /// As it is.
    #[default]
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The best that an `Accept-Encoding` takes. Source: RFC 9110, section 12.5.3; weights other than 0 count alike.
    pub fn chosen<'a>(accepted: impl Iterator<Item = &'a str>) -> Self {
        let (mut gzip, mut brotli) = (false, false);
        for coding in accepted.flat_map(|value| value.split(',')) {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let is_refused = parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            match name {
                "gzip" | "x-gzip" | "*" => gzip = !is_refused,
                "br" => brotli = !is_refused,
                _ => {}
            }
        }
        if brotli {
            Self::Brotli
        } else if gzip {
            Self::Gzip
        } else {
            Self::Plain
        }
    }
}

/// A text in the forms in which it is sent.
#[derive(Debug, Default)]
pub struct Document {
    plain: Bytes,
    /// By [`Coding`].
    forms: [OnceLock<Form>; 3],
    checksum: OnceLock<u64>,
}

/// A text in one coding, with what is said of it in every answer.
#[derive(Debug)]
pub(super) struct Form {
    /// What is sent.
    pub(super) data: Bytes,
    /// Its `ETag`: of its content, so that a restart does not change it.
    pub(super) tag: String,
    /// The answer's headers: those that are the same each time. Copying them is cheaper than setting them.
    pub(super) headers: HeaderMap,
}

impl Document {
    /// Of `text`.
    pub fn new(text: String) -> Self {
        Self { plain: text.into(), ..Self::default() }
    }

    /// As it was made.
    pub fn plain(&self) -> String {
        String::from_utf8_lossy(&self.plain).into_owned()
    }

    /// In a coding, made when it is asked for first. `headers` makes those of every answer, from the `ETag` and the length.
    pub(super) fn form(&self, coding: Coding, headers: impl Fn(&str, usize) -> HeaderMap) -> &Form {
        self.forms[coding as usize].get_or_init(|| {
            let data = match coding {
                Coding::Plain => self.plain.clone(),
                Coding::Gzip => gzip(&self.plain),
                Coding::Brotli => brotli(&self.plain),
            };
            let sum = self.checksum.get_or_init(|| checksum(&self.plain));
            let tag = match coding.name() {
                Some(name) => format!("\"{sum:016x}-{name}\""),
                None => format!("\"{sum:016x}\""),
            };
            let headers = headers(&tag, data.len());
            Form { data, tag, headers }
        })
    }
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::default());
    let done = encoder.write_all(plain).and_then(|()| encoder.finish());
    done.expect("writing to memory does not fail").into()
}

fn brotli(plain: &[u8]) -> Bytes {
    let out = Vec::with_capacity(plain.len() / 4);
    let quality = if plain.len() > LONG { BROTLI_QUALITY_LONG } else { BROTLI_QUALITY };
    let mut encoder = brotli::CompressorWriter::new(out, 4096, quality, BROTLI_WINDOW);
    encoder.write_all(plain).expect("writing to memory does not fail");
    encoder.into_inner().into()
}

/// FNV-1a: names, not secrets.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_that_is_taken_is_chosen() {
        let chosen = |accepted: &str| Coding::chosen([accepted].into_iter());
        assert_eq!(chosen("gzip, deflate, br, zstd"), Coding::Brotli);
        assert_eq!(chosen("br;q=0, gzip"), Coding::Gzip);
        assert_eq!(chosen("identity"), Coding::Plain);
        assert_eq!(chosen("*"), Coding::Gzip);
        assert_eq!(chosen(""), Coding::Plain);
    }

    #[test]
    fn both_codings_give_the_text_back() {
        use std::io::Read;
        let text = "#EXTM3U\n#EXTINF:2.00000,\nvideo/1.m4s\n".repeat(500);
        let document = Document::new(text.clone());
        let mut read = String::new();
        let form = |coding| document.form(coding, |_, _| HeaderMap::new());
        let gzip = &form(Coding::Gzip).data;
        flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        read.clear();
        let brotli = &form(Coding::Brotli).data;
        brotli::Decompressor::new(&brotli[..], 4096).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        assert!(brotli.len() < text.len() / 20);
        assert_ne!(form(Coding::Gzip).tag, form(Coding::Plain).tag);
    }
}
