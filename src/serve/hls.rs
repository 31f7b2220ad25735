//! The addresses under `/live/{channel}`: delivery directives, cache lifetimes, media types.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 6.2.5 for the directives and appendix B for lifetimes; Apple's
//! HLS Authoring Specification 10 for media types and compression.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http::Method};
use futures_util::stream;

use super::live::{Document, Edition, Live};
use crate::media::Kind;

/// All channels by name.
pub type Channels = Arc<BTreeMap<String, Arc<Live>>>;

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// The routes.
pub fn router(channels: Channels) -> Router {
    Router::new()
        .route("/live/{channel}/index.m3u8", get(multivariant))
        .route("/live/{channel}/{playlist}", get(media_playlist))
        .route("/live/{channel}/{track}/{file}", get(media))
        .layer(middleware::from_fn(cross_origin))
        .with_state(channels)
}

/// Any page may play the stream.
async fn cross_origin(request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    let mut set =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    set(header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match");
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, Age, Content-Length");
    response
}

async fn multivariant(
    State(channels): State<Channels>,
    Path(channel): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(live) = channels.get(&channel) else { return refusal(StatusCode::NOT_FOUND, 2) };
    match live.multivariant().await {
        Some(document) => text(&document, &headers, live.target_seconds() * 3),
        None => refusal(StatusCode::SERVICE_UNAVAILABLE, 1),
    }
}

async fn media_playlist(
    State(channels): State<Channels>,
    Path((channel, playlist)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(live) = channels.get(&channel) else { return refusal(StatusCode::NOT_FOUND, 2) };
    let kind = match playlist.as_str() {
        "video.m3u8" => Kind::Video,
        "audio.m3u8" => Kind::Audio,
        _ => return refusal(StatusCode::NOT_FOUND, live.target_seconds()),
    };
    let target = live.target_seconds();
    let Ok(wanted) = Directives::parse(query.as_deref().unwrap_or_default()) else {
        return refusal(StatusCode::BAD_REQUEST, target * 4);
    };
    let mut editions = live.follow(kind);
    if let Some(segment) = wanted.segment
        && is_too_far(&editions.borrow(), segment, wanted.part, live)
    {
        return refusal(StatusCode::BAD_REQUEST, target * 4);
    }
    // Without a directive the playlist as it is, as soon as a player without parts can start on it.
    let is_there = |edition: &Arc<Edition>| match wanted.segment {
        Some(segment) => edition.has(segment, wanted.part),
        None => edition.is_playable,
    };
    let held = tokio::time::timeout(live.patience(), editions.wait_for(is_there)).await;
    let lifetime = if wanted.segment.is_some() { target * 6 } else { (target / 2).max(1) };
    match held {
        Ok(Ok(edition)) => text(&edition.document, &headers, lifetime),
        _ => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            if wanted.segment.is_some() { target * 4 } else { target },
        ),
    }
}

/// More than two segments ahead, or further than the Advance Part Limit: no server should hold that.
fn is_too_far(edition: &Edition, segment: u64, part: Option<u32>, live: &Live) -> bool {
    let edge = edition.edge;
    if edge == crate::package::window::Edge::default() {
        return false; // the channel is starting: hold the request
    }
    // The playlist's last segment is the one in progress when it has parts.
    let last = if edge.part > 0 { edge.segment } else { edge.segment.saturating_sub(1) };
    if segment > last + 2 {
        return true;
    }
    let Some(part) = part else { return false };
    let per_segment = u64::from(live.parts_per_segment());
    let wanted = segment * per_segment + u64::from(part.min(10_000));
    wanted > edge.segment * per_segment + u64::from(edge.part + live.advance_parts())
}

async fn media(
    State(channels): State<Channels>,
    Path((channel, track, file)): Path<(String, String, String)>,
) -> Response {
    let Some(live) = channels.get(&channel) else { return refusal(StatusCode::NOT_FOUND, 2) };
    let kind = match track.as_str() {
        "video" => Kind::Video,
        "audio" => Kind::Audio,
        _ => return refusal(StatusCode::NOT_FOUND, live.target_seconds()),
    };
    let Some(pieces) = live.file(kind, &file).await else {
        return refusal(StatusCode::NOT_FOUND, live.target_seconds());
    };
    let media_type = match kind {
        Kind::Video => "video/mp4",
        Kind::Audio => "audio/mp4",
    };
    let length: usize = pieces.iter().map(bytes::Bytes::len).sum();
    // The pieces are shared with the window: nothing is copied for a viewer.
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
    Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, length)
        .header(header::CACHE_CONTROL, "public, max-age=3600, immutable")
        .body(body)
        .expect("static headers and a number")
}

fn text(document: &Document, headers: &HeaderMap, lifetime_s: u64) -> Response {
    let takes_gzip = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            matches!(parts.next(), Some("gzip" | "*")) && !parts.any(|weight| weight == "q=0")
        });
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, PLAYLIST)
        .header(header::VARY, "Accept-Encoding")
        .header(header::CACHE_CONTROL, format!("public, max-age={lifetime_s}"));
    let body = if takes_gzip {
        response = response.header(header::CONTENT_ENCODING, "gzip");
        document.gzip.clone()
    } else {
        document.plain.clone()
    };
    response.body(Body::from(body)).expect("static headers and a number")
}

fn refusal(status: StatusCode, lifetime_s: u64) -> Response {
    let lifetime = format!("public, max-age={lifetime_s}");
    (status, [(header::CACHE_CONTROL, lifetime)], Body::empty()).into_response()
}

/// What a client asks of a playlist. Other parameters are none of ours and change nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Directives {
    segment: Option<u64>,
    part: Option<u32>,
}

impl Directives {
    /// An error for a number that is none, and for a part without its segment (6.2.5.2: MUST be 400).
    fn parse(query: &str) -> Result<Self, ()> {
        let mut directives = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "_HLS_msn" => directives.segment = Some(value.parse().map_err(|_| ())?),
                "_HLS_part" => directives.part = Some(value.parse().map_err(|_| ())?),
                _ => {}
            }
        }
        if directives.part.is_some() && directives.segment.is_none() {
            return Err(());
        }
        Ok(directives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_and_others_left_alone() {
        let both = Directives { segment: Some(7), part: Some(2) };
        assert_eq!(Directives::parse("x=1&_HLS_msn=7&_HLS_part=2&utm=a"), Ok(both));
        assert_eq!(Directives::parse(""), Ok(Directives::default()));
        assert_eq!(Directives::parse("_HLS_part=2"), Err(()));
        assert_eq!(Directives::parse("_HLS_msn=x"), Err(()));
        assert_eq!(Directives::parse("_HLS_msn=99999999999999999999999"), Err(()));
    }
}
