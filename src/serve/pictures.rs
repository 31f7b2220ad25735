//! A channel's pictures as viewers fetch them: poster, thumbnail, and the storyboard for scrubbing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;

use super::access::{self, Access};
use super::answer::{self, Asked, refusal};
use super::disk::Disk;
use super::files::Files;
use super::live::{File, Live};
use super::vod::VTT;
use crate::media::Picture;
use crate::package::storyboard::{self, Place, Sheet};

/// Seconds for which a cache may keep a thumbnail, a poster, and the list of tiles.
const THUMBNAIL_S: u64 = 2;
const POSTER_S: u64 = 10;
const LIST_S: u64 = 5;
/// Sheets that are held in memory: the one that is filled, and the one before, which may still be on its way to disk.
const RECENT: usize = 2;

/// A channel's pictures.
#[derive(Debug)]
pub struct Pictures {
    live: Arc<Live>,
    disk: Option<Disk>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    thumbnail: Option<Picture>,
    poster: Option<Picture>,
    sheets: BTreeMap<u64, Sheet>,
    recent: VecDeque<(Sheet, Bytes)>,
}

impl Pictures {
    /// Of `live`, with what lies on `disk` of them; without a disk a storyboard reaches back two sheets.
    pub fn new(live: Arc<Live>, disk: Option<Disk>) -> Self {
        let found = disk.as_ref().map_or_else(Vec::new, Disk::sheets);
        let sheets = found.into_iter().map(|sheet| (sheet.number, sheet)).collect();
        Self { live, disk, inner: Mutex::new(Inner { sheets, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the thumbnail.
    pub fn set_thumbnail(&self, picture: Picture) {
        self.lock().thumbnail = Some(picture);
    }

    /// Sets the poster.
    pub fn set_poster(&self, picture: Picture) {
        self.lock().poster = Some(picture);
    }

    /// The newest sheet and its file, if it can be read. Blocks.
    pub fn newest_sheet(&self) -> Option<(Sheet, Vec<u8>)> {
        let sheet = *self.lock().sheets.values().next_back()?;
        let data = std::fs::read(self.disk.as_ref()?.sheet_path(&sheet)).ok()?;
        Some((sheet, data))
    }

    /// Sets a sheet, in place of what was known of it.
    pub fn put_sheet(&self, sheet: Sheet, data: Bytes) {
        let first = self.live.first_listed().map_or(0, |first| Place::at(first).sheet);
        let mut inner = self.lock();
        inner.sheets.insert(sheet.number, sheet);
        inner.recent.retain(|(known, _)| known.number != sheet.number);
        inner.recent.push_back((sheet, data.clone()));
        if inner.recent.len() > RECENT {
            inner.recent.pop_front();
        }
        let held = inner.recent.front().map_or(0, |(sheet, _)| sheet.number);
        let oldest = if self.disk.is_some() { first } else { held };
        inner.sheets.retain(|number, _| *number >= oldest);
        drop(inner);
        if let Some(disk) = &self.disk {
            disk.keep_sheet(sheet, data, oldest);
        }
    }

    fn storyboard(&self) -> String {
        let sheets: Vec<Sheet> = self.lock().sheets.values().copied().collect();
        let epoch = self.live.wall_of(crate::time::MediaTime::ZERO);
        storyboard::live(&sheets, self.live.first_listed().unwrap_or_default(), epoch)
    }

    /// A sheet by its file's name. One with fewer tiles than there are now is not there any more.
    fn sheet(&self, file: &str) -> Option<File> {
        let sheet = Sheet::of(file)?;
        let inner = self.lock();
        let recent = inner.recent.iter().find(|(known, _)| *known == sheet);
        let in_memory = recent.map(|(_, data)| File::Memory(vec![data.clone()]));
        in_memory.or_else(|| Some(File::Disk(self.disk.as_ref()?.sheet_path(&sheet))))
    }
}

/// All channels by name.
pub type Galleries = Arc<BTreeMap<String, Arc<Pictures>>>;

/// The routes.
pub fn router(galleries: Galleries, access: Access, files: Files) -> Router {
    Router::new()
        .route("/live/{channel}/thumbnail.jpg", get(thumbnail))
        .route("/live/{channel}/poster.jpg", get(poster))
        .route("/live/{channel}/storyboard.vtt", get(list))
        .route("/live/{channel}/storyboard/{file}", get(sheet))
        .layer(Extension(files))
        .layer(middleware::from_fn_with_state(access, access::guard))
        .layer(middleware::from_fn(super::hls::cross_origin))
        .with_state(galleries)
}

async fn thumbnail(
    State(all): State<Galleries>,
    Path(channel): Path<String>,
    headers: HeaderMap,
) -> Response {
    let picture = all.get(&channel).and_then(|pictures| pictures.lock().thumbnail.clone());
    answered(picture, THUMBNAIL_S, &headers)
}

async fn poster(State(all): State<Galleries>, Path(channel): Path<String>, headers: HeaderMap) -> Response {
    let picture = all.get(&channel).and_then(|pictures| pictures.lock().poster.clone());
    answered(picture, POSTER_S, &headers)
}

fn answered(picture: Option<Picture>, lifetime_s: u64, headers: &HeaderMap) -> Response {
    let Some(picture) = picture else { return refusal(StatusCode::NOT_FOUND, 1) };
    let tag = format!("\"{:x}\"", picture.time.as_millis());
    let is_known = Asked::of(headers).knows(&tag);
    let head = [
        (header::CONTENT_TYPE, "image/jpeg".to_owned()),
        (header::CACHE_CONTROL, format!("public, max-age={lifetime_s}")),
        (header::ETAG, tag),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head, Body::empty()).into_response();
    }
    (head, Body::from(picture.jpeg)).into_response()
}

async fn list(State(all): State<Galleries>, Path(channel): Path<String>) -> Response {
    let Some(pictures) = all.get(&channel) else { return refusal(StatusCode::NOT_FOUND, LIST_S) };
    let kept = format!("public, max-age={LIST_S}");
    ([(header::CONTENT_TYPE, VTT.to_owned()), (header::CACHE_CONTROL, kept)], pictures.storyboard())
        .into_response()
}

async fn sheet(
    State(all): State<Galleries>,
    Extension(files): Extension<Files>,
    Path((channel, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match all.get(&channel).and_then(|pictures| pictures.sheet(&file)) {
        Some(found) => answer::media(found, "image/jpeg", &Asked::of(&headers), LIST_S, &files).await,
        None => refusal(StatusCode::NOT_FOUND, LIST_S),
    }
}
