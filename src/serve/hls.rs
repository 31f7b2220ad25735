//! The addresses under `/live/{channel}`: delivery directives, cache lifetimes, media types.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 6.2.5 for the directives and appendix B for lifetimes; Apple's
//! HLS Authoring Specification 10 for media types and compression.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::access::{self, Access};
use super::answer::{self, refusal};
use super::directives::Directives;
use super::live::{Edition, Live};
use crate::media::Kind;
use crate::package::window::Edge;

/// All channels by name.
pub type Channels = Arc<BTreeMap<String, Arc<Live>>>;

/// The routes.
pub fn router(channels: Channels, access: Access) -> Router {
    Router::new()
        .route("/live/{channel}/index.m3u8", get(multivariant))
        .route("/live/{channel}/{playlist}", get(media_playlist))
        .route("/live/{channel}/{track}/{file}", get(media))
        .layer(middleware::from_fn_with_state(access, access::guard))
        .layer(middleware::from_fn(cross_origin))
        .with_state(channels)
}

/// Any page may play the stream.
pub(super) async fn cross_origin(request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    let mut set =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    set(header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match, If-Range");
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, Age, Content-Length, Content-Range, ETag");
    response
}

async fn multivariant(
    State(channels): State<Channels>,
    Path(channel): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(live) = channels.get(&channel) else { return refusal(StatusCode::NOT_FOUND, 2) };
    match live.multivariant().await {
        Some(document) => answer::playlist(&document, &headers, live.target_seconds() * 3, 0),
        None => refusal(StatusCode::SERVICE_UNAVAILABLE, 1),
    }
}

/// The rendition whose playlist `file` is, and whether it is that of its key frames.
fn playlist_of(live: &Live, file: &str) -> Option<(usize, bool)> {
    let stem = file.strip_suffix(".m3u8")?;
    match stem.strip_suffix("-iframes") {
        Some(name) => {
            live.track(name).filter(|track| live.tracks()[*track].kind == Kind::Video).map(|t| (t, true))
        }
        None => live.track(stem).map(|track| (track, false)),
    }
}

async fn media_playlist(
    State(channels): State<Channels>,
    Path((channel, playlist)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(live) = channels.get(&channel) else { return refusal(StatusCode::NOT_FOUND, 2) };
    let target = live.target_seconds();
    let Some((track, is_key_frames)) = playlist_of(live, &playlist) else {
        return refusal(StatusCode::NOT_FOUND, target);
    };
    let Some(mut wanted) = Directives::parse(query.as_deref().unwrap_or_default()) else {
        return refusal(StatusCode::BAD_REQUEST, target * 4);
    };
    if is_key_frames && let Some(part) = wanted.part.take() {
        // It lists no parts: a segment is there when its last part is.
        wanted.segment = wanted.segment.filter(|_| part == 0).map(|n| n.saturating_sub(1)).or(wanted.segment);
    }
    let mut editions = live.follow(track);
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
    let edition = held.ok().and_then(|held| held.ok().map(|edition| edition.clone()));
    let is_blocking = wanted.segment.is_some();
    let lifetime = if is_blocking { target * 6 } else { (target / 2).max(1) };
    match edition {
        Some(edition) => {
            let document = if is_key_frames { edition.key_frames() } else { edition.text(wanted.extent) };
            // A cache must know how old it was when it came.
            let age = if is_blocking { 0 } else { edition.age.elapsed().as_secs() };
            answer::playlist(document, &headers, lifetime, age)
        }
        None => refusal(StatusCode::SERVICE_UNAVAILABLE, if is_blocking { target * 4 } else { target }),
    }
}

/// More than two segments ahead, or further than the Advance Part Limit: no server should hold that.
fn is_too_far(edition: &Edition, segment: u64, part: Option<u32>, live: &Live) -> bool {
    let edge = edition.edge;
    if edge == Edge::default() {
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
    headers: HeaderMap,
) -> Response {
    let Some(live) = channels.get(&channel) else { return refusal(StatusCode::NOT_FOUND, 2) };
    let Some(track) = live.track(&track) else {
        return refusal(StatusCode::NOT_FOUND, live.target_seconds());
    };
    let media_type = match live.tracks()[track].kind {
        Kind::Video => "video/mp4",
        Kind::Audio => "audio/mp4",
    };
    match live.file(track, &file).await {
        Some(found) => answer::media(found, media_type, &headers, live.target_seconds()).await,
        None => refusal(StatusCode::NOT_FOUND, live.target_seconds()),
    }
}
