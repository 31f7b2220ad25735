//! The addresses under `/live/{channel}`: delivery directives, cache lifetimes, media types.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 6.2.5 for the directives and appendix B for lifetimes; Apple's
//! HLS Authoring Specification 10 for media types and compression.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request as AnyRequest;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Access, Present};
use super::answer::{self, Asked, refusal};
use super::directives::Directives;
use super::files::Files;
use super::live::{Edition, Live};
use crate::media::Kind;
use crate::package::window::Edge;

/// What the addresses begin with.
const PREFIX: &str = "/live/";
/// The folder of a publisher's own picture.
const CLEAN: &str = "clean";

/// A channel's media: the programme, and the publisher's own picture where that is offered.
#[derive(Debug, Clone)]
pub struct Offer {
    /// With cards in the picture.
    pub programme: Arc<Live>,
    /// Without.
    pub clean: Option<Arc<Live>>,
}

/// All channels by name.
pub type Channels = Arc<BTreeMap<String, Offer>>;

/// Answers what viewers of live channels ask. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hls {
    channels: Channels,
    access: Access,
    files: Files,
}

/// A request, without what is not needed while it waits.
pub(super) struct Wanted {
    asked: Asked,
    what: Result<(Arc<Live>, What, Present), Response>,
}

enum What {
    Multivariant { has_sound_alone: bool },
    Playlist { track: usize, is_key_frames: bool, wanted: Directives },
    Media { track: usize, file: String },
}

impl Hls {
    /// For `channels`, to whom `access` admits.
    pub fn new(channels: Channels, access: Access, files: Files) -> Self {
        Self { channels, access, files }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// What a request is for; nothing when it is none of ours.
    #[allow(clippy::result_large_err)] // both are answers
    pub(super) fn wanted<B>(&self, request: &Request<B>, peer: IpAddr) -> Option<Wanted> {
        let rest = request.uri().path().strip_prefix(PREFIX)?;
        if !matches!(rest.rsplit('.').next(), Some("m3u8" | "m4s" | "mp4")) {
            return None; // pictures
        }
        let admitted = || self.access.admit(request.extensions(), Some(peer));
        let what = match *request.method() {
            Method::GET | Method::HEAD => admitted().and_then(|present| {
                let (live, what) = self.find(rest, request)?;
                Ok((live, what, present))
            }),
            Method::OPTIONS => Err(answer::preflight()),
            _ => {
                Err((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, OPTIONS")]).into_response())
            }
        };
        Some(Wanted { asked: Asked::of(request.headers()), what })
    }

    #[allow(clippy::result_large_err)] // both are answers
    fn find<B>(&self, rest: &str, request: &Request<B>) -> Result<(Arc<Live>, What), Response> {
        let mut names = rest.split('/');
        let offer = self.channels.get(names.next().unwrap_or_default());
        let names: Vec<&str> = names.collect();
        let (live, names) = match (&names[..], offer) {
            (_, None) => return Err(refusal(StatusCode::NOT_FOUND, 2)),
            ([CLEAN, names @ ..], Some(offer)) => (offer.clean.as_ref(), names),
            (names, Some(offer)) => (Some(&offer.programme), names),
        };
        let live = live.ok_or_else(|| refusal(StatusCode::NOT_FOUND, 2))?;
        let target = live.target_seconds();
        let nothing = || refusal(StatusCode::NOT_FOUND, target);
        let what = match names {
            ["index.m3u8"] => {
                // Caches need not tell the two apart: the one without lacks a choice that few take.
                let agent = request.headers().get(header::USER_AGENT).map(HeaderValue::as_bytes);
                What::Multivariant { has_sound_alone: !agent.is_some_and(|agent| agent.starts_with(b"VLC/")) }
            }
            [file] => {
                let (track, is_key_frames) = playlist_of(live, file).ok_or_else(nothing)?;
                let wanted = Directives::parse(request.uri().query().unwrap_or_default());
                let wanted = wanted.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, target * 4))?;
                What::Playlist { track, is_key_frames, wanted }
            }
            [track, file] => {
                let track = live.track(track).ok_or_else(nothing)?;
                What::Media { track, file: (*file).to_owned() }
            }
            _ => return Err(nothing()),
        };
        Ok((live.clone(), what))
    }

    /// The answer, as soon as there is one.
    pub(super) async fn answer(&self, wanted: Wanted) -> Response {
        let Wanted { asked, what } = wanted;
        match what {
            Err(mut refusal) => {
                answer::open_to_all(refusal.headers_mut());
                refusal
            }
            Ok((live, what, _present)) => match what {
                What::Multivariant { has_sound_alone } => match live.multivariant(has_sound_alone).await {
                    Some(document) => answer::playlist(&document, &asked, live.target_seconds() * 3, 0),
                    None => refusal(StatusCode::SERVICE_UNAVAILABLE, 1),
                },
                What::Playlist { track, is_key_frames, wanted } => {
                    media_playlist(&live, track, is_key_frames, wanted, &asked).await
                }
                What::Media { track, file } => self.media(&live, track, &file, &asked).await,
            },
        }
    }

    async fn media(&self, live: &Live, track: usize, file: &str, asked: &Asked) -> Response {
        let media_type = match live.tracks()[track].kind {
            Kind::Video => "video/mp4",
            Kind::Audio => "audio/mp4",
        };
        match live.file(track, file).await {
            // In a box: while a request is held, there need be no room for reading a file.
            Some(found) => {
                Box::pin(answer::media(found, media_type, asked, live.target_seconds(), &self.files)).await
            }
            None => refusal(StatusCode::NOT_FOUND, live.target_seconds()),
        }
    }
}

/// The same for others that are on the way to players.
pub(super) async fn cross_origin(request: AnyRequest, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return answer::preflight();
    }
    let mut response = next.run(request).await;
    answer::open_to_all(response.headers_mut());
    response
}

/// The rendition whose playlist `file` is, and whether it is that of its key frames.
fn playlist_of(live: &Live, file: &str) -> Option<(usize, bool)> {
    let stem = file.strip_suffix(".m3u8")?;
    match stem.strip_suffix("-iframes") {
        Some(name) => live.track(name).filter(|track| live.has_key_frames(*track)).map(|t| (t, true)),
        None => live.track(stem).map(|track| (track, false)),
    }
}

async fn media_playlist(
    live: &Live,
    track: usize,
    is_key_frames: bool,
    mut wanted: Directives,
    asked: &Asked,
) -> Response {
    let target = live.target_seconds();
    if is_key_frames && let Some(part) = wanted.part.take() {
        // It lists no parts: a segment is there when its last part is.
        wanted.segment = wanted.segment.filter(|_| part == 0).map(|n| n.saturating_sub(1)).or(wanted.segment);
    }
    let mut editions = live.follow(track);
    let arrival = editions.borrow().edge;
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
            if !is_key_frames {
                let worth = live.worth((wanted.segment, wanted.part), arrival, &edition);
                live.demand.count(live.tracks()[track].kind, worth);
            }
            let document = if is_key_frames { edition.key_frames() } else { edition.text(wanted.extent) };
            // A cache must know how old it was when it came.
            let age = if is_blocking { 0 } else { edition.age.elapsed().as_secs() };
            answer::playlist(document, asked, lifetime, age)
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
