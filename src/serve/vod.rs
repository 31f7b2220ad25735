//! The addresses under `/vod/{channel}/{show}`: shows that were on air, clips of a product, and each as one MP4.
//!
//! Everything is made from the show's folder when it is asked for. Work on files is done on threads for blocking work,
//! a few at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::access::{self, Access};
use super::answer::{self, Asked, refusal};
use super::document::Document;
use super::files::Files;
use super::live::File;
use super::{archive, disk, download};
use crate::media::Kind;
use crate::package::show::{self, Show, Track};
use crate::package::storyboard;
use crate::package::vod::{self, Kept, Vod};
use crate::time::WallTime;

/// Seconds for which a cache may keep what a running show has so far, and what is over.
const RUNNING_S: u64 = 2;
const OVER_S: u64 = 3600;
/// Answers that are made at once: each reads a folder.
const AT_ONCE: usize = 4;

pub(super) const VTT: &str = "text/vtt; charset=utf-8";

/// Where the shows lie.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: Arc<PathBuf>,
    turns: Arc<Semaphore>,
    files: Files,
}

/// The routes; `folder` has a folder for each channel.
pub fn router(folder: PathBuf, access: Access, files: Files) -> Router {
    let shelf = Shelf { folder: Arc::new(folder), turns: Arc::new(Semaphore::new(AT_ONCE)), files };
    Router::new()
        .route("/vod/{channel}/{show}/{file}", get(of_show))
        .route("/vod/{channel}/{show}/clips/{clip}/{file}", get(of_clip))
        .route("/vod/{channel}/{show}/{track}/{file}", get(init))
        .route("/vod/{channel}/{show}/{track}/{init}/{file}", get(segment))
        .layer(middleware::from_fn_with_state(access, access::guard))
        .layer(middleware::from_fn(super::hls::cross_origin))
        .with_state(shelf)
}

#[derive(Deserialize)]
struct Options {
    /// The rung of a download.
    rung: Option<String>,
}

async fn of_show(
    State(shelf): State<Shelf>,
    Path((channel, show, file)): Path<(String, String, String)>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    shelf.answer([channel, show], None, file, options, headers).await
}

async fn of_clip(
    State(shelf): State<Shelf>,
    Path((channel, show, clip, file)): Path<(String, String, String, String)>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    shelf.answer([channel, show], Some(clip), file, options, headers).await
}

async fn init(
    State(shelf): State<Shelf>,
    Path((channel, show, track, file)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    shelf.media(&[&channel, &show, &track, &file], &headers).await
}

async fn segment(
    State(shelf): State<Shelf>,
    Path((channel, show, track, init, file)): Path<(String, String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    shelf.media(&[&channel, &show, &track, &init, &file], &headers).await
}

/// Names of ours: nothing that leads out of a folder.
fn is_name(name: &str) -> bool {
    !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

impl Shelf {
    async fn media(&self, names: &[&str], headers: &HeaderMap) -> Response {
        let media_type = match names.last().and_then(|file| file.rsplit('.').next()) {
            _ if !names.iter().all(|name| is_name(name)) => return refusal(StatusCode::NOT_FOUND, RUNNING_S),
            Some("m4s" | "mp4") => "video/mp4",
            Some("jpg") => "image/jpeg",
            _ => return refusal(StatusCode::NOT_FOUND, RUNNING_S),
        };
        let path = names.iter().fold(self.folder.to_path_buf(), |path, name| path.join(name));
        answer::media(File::Disk(path), media_type, &Asked::of(headers), RUNNING_S, &self.files).await
    }

    /// A text or a download: of a show, or of a clip of it.
    async fn answer(
        self,
        [channel, show]: [String; 2],
        clip: Option<String>,
        file: String,
        options: Options,
        headers: HeaderMap,
    ) -> Response {
        let nothing = || refusal(StatusCode::NOT_FOUND, RUNNING_S);
        if !is_name(&channel) || !is_name(&show) {
            return nothing();
        }
        let Ok(turn) = self.turns.clone().acquire_owned().await else { return nothing() };
        let folder = self.folder.join(channel).join(show);
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let cut = Cut::of(folder, clip.as_deref())?;
            let lifetime = if cut.show.end.is_some() { OVER_S } else { RUNNING_S };
            Some((cut.make(&file, options.rung.as_deref())?, lifetime))
        });
        match made.await {
            Ok(Some((Made::Playlist(text), lifetime))) => {
                answer::playlist(&Document::new(text), &Asked::of(&headers), lifetime, 0)
            }
            Ok(Some((Made::Text(text, media_type), lifetime))) => {
                let kept = format!("public, max-age={lifetime}");
                let head = [(header::CONTENT_TYPE, media_type.to_owned()), (header::CACHE_CONTROL, kept)];
                (head, Body::from(text)).into_response()
            }
            Ok(Some((Made::Movie(movie, name), _))) => download::movie(movie, &name, &headers),
            Ok(None) | Err(_) => nothing(),
        }
    }
}

/// What an address leads to.
enum Made {
    Playlist(String),
    Text(String, &'static str),
    Movie(download::Files, String),
}

/// A show, or a part of it.
struct Cut {
    show: Show,
    folder: PathBuf,
    /// Where the show's folder is, seen from the playlist.
    up: &'static str,
    /// When it is of one product: the times when that was on air.
    spans: Option<Vec<(WallTime, WallTime)>>,
    end: WallTime,
    name: String,
}

impl Cut {
    fn of(folder: PathBuf, clip: Option<&str>) -> Option<Self> {
        let show = archive::read(&folder)?;
        let first = show.tracks.first()?;
        let end = show.end.or_else(|| show::end(&disk::scan(&folder.join(&first.name), first.timescale)))?;
        let spans = clip.map(|clip| {
            let chapters = show.chapters(end).into_iter();
            let is_it =
                |chapter: &show::Chapter| chapter.sku.as_deref() == Some(clip) || chapter.airing_id == clip;
            chapters.filter(is_it).map(|chapter| (chapter.start, chapter.end)).collect::<Vec<_>>()
        });
        if spans.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let name: String = clip.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
        let name =
            [show.id.as_str(), &name].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
        Some(Self {
            up: if clip.is_some() { "../../" } else { "" },
            name: name.join("-"),
            show,
            folder,
            spans,
            end,
        })
    }

    fn make(&self, file: &str, rung: Option<&str>) -> Option<Made> {
        if file == "index.m3u8" {
            return Some(Made::Playlist(self.multivariant()));
        }
        if let Some(stem) = file.strip_suffix(".m3u8") {
            let (name, is_keys) = stem.strip_suffix("-iframes").map_or((stem, false), |name| (name, true));
            let track = self.show.tracks.iter().find(|track| track.name == name)?;
            let (segments, directory) = (self.segments(track), format!("{}{name}", self.up));
            let whole = [(self.show.start, self.end)];
            let spans = self.spans.as_deref().unwrap_or(&whole);
            let ranges: Vec<_> =
                spans.iter().flat_map(|(start, end)| self.show.ranges_within(*start, *end)).collect();
            let start = self.spans.as_ref().and_then(|spans| spans.first()).map(|(start, _)| *start);
            let vod = Vod { directory: &directory, ranges: &ranges, start };
            let text = if is_keys && track.kind == Kind::Video {
                vod::key_frames(&segments, vod)
            } else if is_keys {
                return None;
            } else {
                vod::media(&segments, vod)
            };
            return Some(Made::Playlist(text));
        }
        let picture = self.show.tracks.iter().find(|track| track.kind == Kind::Video);
        match file {
            "chapters.json" => {
                let text = vod::chapters_json(&self.show.chapters(self.end), &self.segments(picture?));
                Some(Made::Text(text, "application/json"))
            }
            "chapters.vtt" => {
                let text = vod::chapters_vtt(&self.show.chapters(self.end), &self.segments(picture?));
                Some(Made::Text(text, VTT))
            }
            "storyboard.vtt" => {
                let text = storyboard::kept(&disk::sheets(&self.folder), &self.segments(picture?));
                // Addresses are relative to the show's folder; a clip lies deeper.
                let text = text.replace("\nstoryboard/", &format!("\n{}storyboard/", self.up));
                Some(Made::Text(text, VTT))
            }
            "show.mp4" | "clip.mp4" => {
                let wanted =
                    rung.map_or(picture, |name| self.show.tracks.iter().find(|track| track.name == name))?;
                let sound = self.show.tracks.iter().find(|track| track.kind == Kind::Audio)?;
                let tracks: Vec<_> = [wanted, sound]
                    .into_iter()
                    .map(|t| (self.folder.join(&t.name), self.segments(t)))
                    .collect();
                match download::Files::of(&tracks) {
                    Ok(files) => Some(Made::Movie(files, format!("{}.mp4", self.name))),
                    Err(error) => {
                        tracing::error!("{}: no download: {error}", self.folder.display());
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// The playlist of its time, and where its chapters are.
    fn multivariant(&self) -> String {
        let mut text = self.show.multivariant.clone();
        if self.spans.is_none() {
            text.push_str("#EXT-X-SESSION-DATA:DATA-ID=\"com.apple.hls.chapters\",URI=\"chapters.json\"\n");
        }
        text
    }

    /// Its segments in a track: those that are there in every track, so that all are of one length.
    fn segments(&self, track: &Track) -> Vec<Kept> {
        let of = |track: &Track| disk::scan(&self.folder.join(&track.name), track.timescale);
        let mut common: Option<BTreeSet<u64>> = None;
        for other in &self.show.tracks {
            let numbers: BTreeSet<u64> = of(other).iter().map(|segment| segment.number).collect();
            common = Some(match common {
                Some(common) => common.intersection(&numbers).copied().collect(),
                None => numbers,
            });
        }
        let common = common.unwrap_or_default();
        let all: Vec<_> = of(track).into_iter().filter(|segment| common.contains(&segment.number)).collect();
        let kept = self.spans.as_ref().map_or(all.clone(), |spans| show::within(&all, spans));
        kept.into_iter().map(|segment| (segment.clone(), disk::file(&segment))).collect()
    }
}
