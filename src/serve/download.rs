//! A movie as it goes to whoever downloads it: its head from memory, the rest from the segments' files, with ranges, so
//! that a download that broke off goes on.

use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::answer::{Asked, ranged};
use crate::package::movie::{self, Chunk, Movie, MovieError, Track};
use crate::package::vod::Kept;

/// Bytes read from disk at once.
const CHUNK: u64 = 256 * 1024;

/// Why there is no download.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file.
    #[error("{path} cannot be read: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("{path}: {source}")]
    Segment {
        /// Which.
        path: PathBuf,
        /// Why.
        source: MovieError,
    },
    /// The whole.
    #[error(transparent)]
    Movie(#[from] crate::package::Error),
}

/// A movie and the files that it takes its samples from.
#[derive(Debug)]
pub(super) struct Files {
    movie: Movie,
    /// Of each track.
    paths: Vec<Vec<PathBuf>>,
}

impl Files {
    /// Reads the headers of all segments of `tracks`, each with its folder. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn of(tracks: &[(PathBuf, Vec<Kept>)]) -> Result<Self, Error> {
        let mut found = Vec::new();
        let mut paths = Vec::new();
        for (folder, segments) in tracks {
            let (mut names, mut inits, mut init_of_file) = (Vec::<&str>::new(), Vec::new(), Vec::new());
            let mut runs: Vec<Vec<Chunk>> = Vec::new();
            let (mut next, mut files) = (None, Vec::new());
            for (n, (segment, name)) in segments.iter().enumerate() {
                let known = names.iter().position(|known| *known == &*segment.init);
                if known.is_none() {
                    let path = folder.join(&*segment.init);
                    let bytes = std::fs::read(&path).map_err(|source| Error::File { path, source })?;
                    names.push(&segment.init);
                    inits.push(Bytes::from(bytes));
                }
                init_of_file.push(known.unwrap_or(names.len() - 1));
                let path = folder.join(name);
                let chunks = chunks(n, &path)?;
                if next != Some(segment.number) || segment.is_discontinuous {
                    runs.push(Vec::new());
                }
                runs.last_mut().into_iter().for_each(|run| run.extend(chunks.iter().cloned()));
                next = Some(segment.number + 1);
                files.push(path);
            }
            found.push(Track { inits, init_of_file, runs });
            paths.push(files);
        }
        Ok(Self { movie: movie::movie(&found)?, paths })
    }
}

fn chunks(n: usize, path: &std::path::Path) -> Result<Vec<Chunk>, Error> {
    let file = std::fs::File::open(path).map_err(|source| Error::File { path: path.into(), source })?;
    // Small reads: the samples are passed over.
    let mut file = std::io::BufReader::with_capacity(4096, file);
    let _ = file.seek(SeekFrom::Start(0));
    movie::chunks(n, &mut file).map_err(|source| Error::Segment { path: path.into(), source })
}

/// The answer.
pub(super) fn movie(files: Files, name: &str, headers: &HeaderMap) -> Response {
    let length = files.movie.length();
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "video/mp4")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))
        .header(header::CACHE_CONTROL, "no-cache");
    let (response, first, end) = match ranged(response, &Asked::of(headers), length) {
        Ok(ranged) => ranged,
        Err(refusal) => return refusal,
    };
    let body =
        Body::from_stream(futures_util::stream::unfold(Sending::new(files, first, end), Sending::next));
    response.body(body).expect("a name of letters and digits, and numbers")
}

/// How far it has come.
struct Sending {
    files: Files,
    /// The next byte of the whole, and the one after the last.
    at: u64,
    end: u64,
    /// The piece in which `at` lies, counted with the head as the first, and where it begins.
    piece: usize,
    piece_start: u64,
    open: Option<((usize, usize), tokio::fs::File)>,
}

impl Sending {
    fn new(files: Files, at: u64, end: u64) -> Self {
        Self { files, at, end, piece: 0, piece_start: 0, open: None }
    }

    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        let head = self.files.movie.head.len() as u64;
        loop {
            if self.at >= self.end {
                return None;
            }
            let length = match self.piece.checked_sub(1) {
                None => head,
                Some(n) => self.files.movie.pieces.get(n)?.length,
            };
            if self.at < self.piece_start + length {
                break;
            }
            self.piece_start += length;
            self.piece += 1;
        }
        let within = self.at - self.piece_start;
        let outcome = match self.piece.checked_sub(1) {
            None => Ok(self
                .files
                .movie
                .head
                .slice(within as usize..(self.end - self.piece_start).min(head) as usize)),
            Some(n) => self.read(n, within).await,
        };
        self.at += outcome.as_ref().map_or(self.end, |bytes| bytes.len() as u64); // nothing comes after a failure
        Some((outcome, self))
    }

    async fn read(&mut self, n: usize, within: u64) -> std::io::Result<Bytes> {
        let piece = self.files.movie.pieces[n];
        let place = (piece.track, piece.file);
        if self.open.as_ref().is_none_or(|(open, _)| *open != place) {
            let file = tokio::fs::File::open(&self.files.paths[piece.track][piece.file]).await?;
            self.open = Some((place, file));
        }
        let Some((_, file)) = &mut self.open else { return Err(std::io::ErrorKind::NotFound.into()) };
        file.seek(SeekFrom::Start(piece.offset + within)).await?;
        let most = (piece.length - within).min(self.end - self.at).min(CHUNK);
        let mut bytes = vec![0; most as usize];
        file.read_exact(&mut bytes).await?;
        Ok(bytes.into())
    }
}
