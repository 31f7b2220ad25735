//! Answers with their headers: codings, lifetimes, conditions, ranges.
//!
//! Source: RFC 9110 13 and 14 for conditions and ranges; Apple's HLS Authoring Specification 10 for media types and
//! compression.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::response::Builder;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::document::{Coding, Document};
use super::files::Files;
use super::live::File;

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// Bytes read from disk at once.
const CHUNK: usize = 128 * 1024;

/// What a request says of the answer that it wants.
#[derive(Debug, Default)]
pub(super) struct Asked {
    coding: Coding,
    /// `If-None-Match`, copied: headers share the connection's buffer.
    known: Option<Box<str>>,
    range: Option<Box<str>>,
}

impl Asked {
    /// From a request's headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let all = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let known = headers.contains_key(header::IF_NONE_MATCH);
        Self {
            coding: Coding::chosen(all(header::ACCEPT_ENCODING)),
            known: known.then(|| all(header::IF_NONE_MATCH).collect::<Vec<_>>().join(",").into()),
            range: headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(Into::into),
        }
    }

    /// Whether the client's copy is the same.
    pub(super) fn knows(&self, tag: &str) -> bool {
        let known = self.known.as_deref().unwrap_or_default();
        known.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == tag)
    }
}

/// Lifetimes whose headers are made once: more than any playlist's.
const USUAL_LIFETIMES: usize = 128;

/// Any page may play the stream.
pub(super) fn open_to_all(headers: &mut HeaderMap) {
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, Age, Content-Length, Content-Range, ETag");
}

/// A browser asks whether a page may.
pub(super) fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    open_to_all(headers);
    let mut allow = |name, value| headers.insert(name, HeaderValue::from_static(value));
    allow(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    allow(header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match, If-Range");
    response
}

/// `Cache-Control` for so many seconds.
fn lifetime(seconds: u64) -> HeaderValue {
    static USUAL: [OnceLock<HeaderValue>; USUAL_LIFETIMES] = [const { OnceLock::new() }; USUAL_LIFETIMES];
    let make = || {
        HeaderValue::from_str(&format!("public, max-age={seconds}"))
            .expect("a number is no control character")
    };
    match usize::try_from(seconds).ok().and_then(|place| USUAL.get(place)) {
        Some(usual) => usual.get_or_init(make).clone(),
        None => make(),
    }
}

/// A playlist that a cache may keep for `lifetime_s`, `age_s` of which are over.
pub(super) fn playlist(document: &Document, asked: &Asked, lifetime_s: u64, age_s: u64) -> Response {
    let form = document.form(asked.coding, |tag, length| {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAYLIST));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(header::ETAG, HeaderValue::from_str(tag).expect("hexadecimal digits"));
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(header::AGE, HeaderValue::from_static("0"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        if let Some(name) = asked.coding.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        open_to_all(&mut headers);
        headers
    });
    let is_known = asked.knows(&form.tag);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(form.data.clone()) });
    *response.headers_mut() = form.headers.clone();
    response.headers_mut().insert(header::CACHE_CONTROL, lifetime(lifetime_s));
    if age_s > 0 {
        response.headers_mut().insert(header::AGE, age_s.into());
    }
    if is_known {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

/// No answer, and how long a cache may keep that.
pub(super) fn refusal(status: StatusCode, lifetime_s: u64) -> Response {
    let mut response =
        (status, [(header::CACHE_CONTROL, lifetime(lifetime_s))], Body::empty()).into_response();
    open_to_all(response.headers_mut());
    response
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// Everything; also when it is not a range that we serve.
    All,
    /// From the first to before the last.
    Part(u64, u64),
    /// None of it is there.
    Nothing,
}

/// Reads one range; of several at once, all is sent, as RFC 9110 14.2 lets a server.
fn wanted(asked: &Asked, length: u64) -> Wanted {
    let range = asked.range.as_deref();
    // What never changes fits any condition but another file's.
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::All };
    let (first, last) = (first.trim(), last.trim());
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => (first, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Wanted::All,
    };
    if part.0 >= part.1 { Wanted::Nothing } else { Wanted::Part(part.0, part.1) }
}

/// The head of an answer with `length` bytes or the range of them that is wanted, and that range: from the first to before
/// the last. An answer when none of it is there.
#[allow(clippy::result_large_err)] // both are answers
pub(super) fn ranged(response: Builder, asked: &Asked, length: u64) -> Result<(Builder, u64, u64), Response> {
    let (status, first, end) = match wanted(asked, length) {
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part(first, end) => (StatusCode::PARTIAL_CONTENT, first, end),
        Wanted::Nothing => {
            let response = response.status(StatusCode::RANGE_NOT_SATISFIABLE);
            let response = response.header(header::CONTENT_RANGE, format!("bytes */{length}"));
            return Err(response.body(Body::empty()).expect("static headers and numbers"));
        }
    };
    let mut response = response.status(status).header(header::CONTENT_LENGTH, end - first);
    if status == StatusCode::PARTIAL_CONTENT {
        response = response.header(header::CONTENT_RANGE, format!("bytes {first}-{}/{length}", end - 1));
    }
    Ok((response, first, end))
}

/// A file of media, which never changes.
pub(super) async fn media(
    file: File,
    media_type: &'static str,
    asked: &Asked,
    missing_lifetime_s: u64,
    files: &Files,
) -> Response {
    let (length, mut opened, file) = match file {
        File::Memory(pieces) => {
            (pieces.iter().map(Bytes::len).sum::<usize>() as u64, None, File::Memory(pieces))
        }
        File::Disk(path) => match files.read(&path).await {
            Some(data) => (data.len() as u64, None, File::Memory(vec![data])),
            None => match open(&path).await {
                Ok((file, length)) => (length, Some(file), File::Disk(path)),
                Err(error) => {
                    tracing::debug!("{}: {error}", path.display());
                    return refusal(StatusCode::NOT_FOUND, missing_lifetime_s);
                }
            },
        },
    };
    let tag = format!("\"{length:x}\"");
    let mut response = Response::builder();
    if let Some(headers) = response.headers_mut() {
        headers.reserve(10); // it does not grow again
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600, immutable"));
        open_to_all(headers);
    }
    let response = response.header(header::ETAG, &tag);
    if asked.knows(&tag) {
        let response = response.status(StatusCode::NOT_MODIFIED).body(Body::empty());
        return response.expect("static headers and numbers");
    }
    let (response, first, end) = match ranged(response, asked, length) {
        Ok(ranged) => ranged,
        Err(refusal) => return refusal,
    };
    let body = match (file, opened.take()) {
        (File::Memory(pieces), _) => in_pieces(cut(pieces, first, end)),
        (File::Disk(_), Some(mut file)) => {
            if let Err(error) = file.seek(std::io::SeekFrom::Start(first)).await {
                tracing::warn!("a segment cannot be read: {error}");
                return refusal(StatusCode::NOT_FOUND, missing_lifetime_s);
            }
            Body::from_stream(ReaderStream::with_capacity(file.take(end - first), CHUNK))
        }
        (File::Disk(_), None) => Body::empty(), // opened above
    };
    response.body(body).expect("static headers and numbers")
}

/// The pieces are shared with the window: nothing is copied for a viewer.
fn in_pieces(mut pieces: Vec<Bytes>) -> Body {
    if pieces.len() == 1 {
        return Body::from(pieces.remove(0));
    }
    Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
}

async fn open(path: &std::path::Path) -> Result<(tokio::fs::File, u64), std::io::Error> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    Ok((file, length))
}

/// The bytes from `first` to before `end` of pieces that follow one another.
fn cut(pieces: Vec<Bytes>, first: u64, end: u64) -> Vec<Bytes> {
    let mut at = 0;
    let mut kept = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let length = piece.len() as u64;
        let (from, to) = (first.clamp(at, at + length) - at, end.clamp(at, at + length) - at);
        if from < to {
            kept.push(piece.slice(from as usize..to as usize));
        }
        at += length;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        wanted(&Asked::of(&headers), 100)
    }

    #[test]
    fn ranges_are_read_as_specified() {
        assert_eq!(asked("bytes=0-9"), Wanted::Part(0, 10));
        assert_eq!(asked("bytes=90-"), Wanted::Part(90, 100));
        assert_eq!(asked("bytes=-7"), Wanted::Part(93, 100));
        assert_eq!(asked("bytes=90-400"), Wanted::Part(90, 100));
        assert_eq!(asked("bytes=100-"), Wanted::Nothing);
        for all in ["bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=x-", "bytes=-"] {
            assert_eq!(asked(all), Wanted::All, "{all}");
        }
    }

    #[test]
    fn a_range_is_cut_from_shared_pieces() {
        let pieces =
            || vec![Bytes::from_static(b"abc"), Bytes::from_static(b"defg"), Bytes::from_static(b"h")];
        let joined = |first, end| cut(pieces(), first, end).concat();
        assert_eq!(joined(0, 8), b"abcdefgh");
        assert_eq!(joined(2, 5), b"cde");
        assert_eq!(joined(7, 8), b"h");
        assert_eq!(joined(3, 3), b"");
    }
}
