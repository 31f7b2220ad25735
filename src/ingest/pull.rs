//! Sources that a channel fetches itself: `rtmp`, `srt`, `rtsp`, HLS over `http`, or a file that begins again at its end.
//!
//! A source is a publisher like any other, of a rank of its own: an encoder of better rank takes its place. One that
//! fails is tried again, later and later.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;
use gstreamer_app::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::admission::{self, Doorman};
use super::feed::{self, Feed};
use super::streams::Streams;
use crate::config;
use crate::media::{SourceState, SourceStatus};
use crate::pipeline::description::Description;
use crate::pipeline::{self, Event};
use crate::state::shown_url as shown;
use crate::time::Stopwatch;

/// From the start of a source to its first picture or sound.
const FIND_LIMIT: Duration = Duration::from_secs(20);
/// The first wait after a failure, and the longest.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(30);
/// A source that was well for this long is tried again at once.
const WELL: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(1);
/// What may be pulled.
const SCHEMES: [&str; 8] = ["rtmp", "rtmps", "srt", "rtsp", "rtsps", "http", "https", "file"];

/// Why a source ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address.
    #[error("{0}")]
    Address(String),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// The channel.
    #[error(transparent)]
    Seat(#[from] admission::Error),
    /// The feed.
    #[error(transparent)]
    Feed(#[from] feed::Error),
    /// The source's own words.
    #[error("{0}")]
    Source(String),
    /// Nothing to show.
    #[error("no picture and no sound came within {0:?}")]
    Nothing(Duration),
    /// It ended by itself.
    #[error("the source ended")]
    Ended,
}

/// What is to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// An address, or a file's name in the media directory.
    pub url: String,
    /// 0 is the best.
    pub rank: u32,
}

/// Pulls for one channel.
pub struct Puller {
    /// The channel.
    pub channel: String,
    /// Seats it.
    pub doorman: Arc<Doorman>,
    /// How publishers are treated.
    pub ingest: config::Ingest,
    /// Replacement pipelines.
    pub pipelines: Option<PathBuf>,
    /// Where files are.
    pub media_dir: PathBuf,
    /// What producers see.
    pub status: watch::Sender<Option<SourceStatus>>,
}

/// The address that the pipeline takes.
///
/// # Errors
/// [`Error::Address`] for a scheme that is not taken, and for files outside the media directory.
pub fn address(url: &str, media_dir: &Path) -> Result<String, Error> {
    if let Some((scheme, rest)) = url.split_once("://") {
        if !SCHEMES.contains(&scheme) || scheme == "file" || rest.is_empty() {
            let schemes = SCHEMES[..7].join(", ");
            return Err(Error::Address(format!("{scheme}:// cannot be pulled: {schemes}, or a file's name")));
        }
        return Ok(url.to_owned());
    }
    // Only files that the owner has put there: the API must not open the rest of the disk.
    let wrong = |detail: &str| Error::Address(format!("{url:?} in {}: {detail}", media_dir.display()));
    let directory = media_dir.canonicalize().map_err(|error| wrong(&error.to_string()))?;
    let path = directory.join(url).canonicalize().map_err(|error| wrong(&error.to_string()))?;
    if !path.starts_with(&directory) || !path.is_file() {
        return Err(wrong("it is not a file there"));
    }
    Ok(gst::glib::filename_to_uri(&path, None).map_err(|error| wrong(&error.to_string()))?.into())
}

impl Puller {
    /// Pulls what is `wanted` until `stop`.
    pub async fn run(self, mut wanted: watch::Receiver<Option<Source>>, stop: CancellationToken) {
        let mut again = AGAIN;
        let mut feed: Option<Feed> = None;
        let mut fed: Option<Source> = None;
        loop {
            let next = wanted.borrow_and_update().clone();
            if next != fed
                && let Some(feed) = feed.take()
            {
                feed.end("another source", &fed.as_ref().map_or_else(String::new, |fed| shown(&fed.url)));
            }
            fed.clone_from(&next);
            let Some(source) = next else {
                self.status.send_replace(None);
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = wanted.changed() => if changed.is_err() { return },
                }
                again = AGAIN;
                continue;
            };
            if feed.is_none() {
                self.tell(&source, SourceState::Connecting, None);
            }
            let watch = Stopwatch::start();
            let change = async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = wanted.changed() => {}
                }
            };
            let outcome = self.pull(&source, change, &mut feed).await;
            // A file goes on from its beginning, as the same publisher.
            if !source.url.contains("://") && matches!(outcome, Err(Error::Ended)) && feed.is_some() {
                // A file of a moment does not spin.
                tokio::time::sleep(AGAIN.saturating_sub(watch.elapsed())).await;
                continue;
            }
            if let Some(feed) = feed.take() {
                let reason =
                    outcome.as_ref().map_or_else(ToString::to_string, |()| "another source".to_owned());
                feed.end(&reason, &shown(&source.url));
            }
            let Err(error) = outcome else {
                if stop.is_cancelled() {
                    return;
                }
                again = AGAIN; // another source
                continue;
            };
            if watch.elapsed() > WELL {
                again = AGAIN;
            }
            tracing::warn!(
                channel = self.channel,
                "source {}: {error}; again in {again:?}",
                shown(&source.url)
            );
            self.tell(&source, SourceState::Waiting, Some(error.to_string()));
            tokio::select! {
                () = stop.cancelled() => return,
                _ = wanted.changed() => again = AGAIN,
                () = tokio::time::sleep(again) => again = (again * 2).min(AGAIN_MOST),
            }
        }
    }

    fn tell(&self, source: &Source, state: SourceState, error: Option<String>) {
        let (url, rank) = (shown(&source.url), source.rank);
        self.status.send_replace(Some(SourceStatus { url, rank, state, error }));
    }

    /// `Ok` when `change` came first.
    async fn pull(
        &self,
        source: &Source,
        change: impl Future<Output = ()>,
        feed: &mut Option<Feed>,
    ) -> Result<(), Error> {
        let address = address(&source.url, &self.media_dir)?;
        let pipeline = Description::load("pull", self.pipelines.as_deref())?.build()?;
        let element: gst::Element = pipeline.element("source")?;
        element.set_property("uri", address);
        let mut streams = Streams::attach(pipeline.inner(), &element);
        let mut bus = pipeline.events();
        let pipeline = pipeline.play().await?;
        let outcome = tokio::select! {
            () = change => Ok(()),
            outcome = self.take(source, &mut streams, &mut bus, feed) => outcome,
        };
        drop(streams); // lets go of a pipeline that waits to hand something on
        pipeline.stop().await?;
        outcome
    }

    async fn take(
        &self,
        source: &Source,
        streams: &mut Streams,
        bus: &mut mpsc::Receiver<Event>,
        feed: &mut Option<Feed>,
    ) -> Result<(), Error> {
        let stall = Duration::from_millis(u64::from(self.ingest.stall_ms));
        let mut idle = tokio::time::interval(IDLE);
        let mut since = Stopwatch::start();
        loop {
            let step = tokio::select! {
                step = streams.next() => step,
                Some(event) = bus.recv() => match event {
                    // The element's words may hold the address, and passwords are in it.
                    Event::Error(detail) => {
                        return Err(Error::Source(detail.replace(&source.url, &shown(&source.url))));
                    }
                    Event::Eos => {
                        // What came before the end has been handed on by now, and waits.
                        while let (Some(step), Some(feed)) = (streams.rest().await, feed.as_mut()) {
                            streams.take(step, feed).await?;
                        }
                        return Err(Error::Ended);
                    }
                    Event::Warning(detail) => {
                        tracing::debug!(channel = self.channel, "source: {detail}");
                        continue;
                    }
                },
                _ = idle.tick() => {
                    let limit = if feed.is_some() { stall } else { FIND_LIMIT };
                    if since.elapsed() > limit {
                        return Err(Error::Nothing(limit));
                    }
                    if let Some(feed) = feed {
                        feed.idle();
                    }
                    continue;
                }
            };
            since = Stopwatch::start();
            let feed = if let Some(feed) = feed {
                feed
            } else {
                let seat = self.doorman.seat_source(&self.channel, source.rank, shown(&source.url)).await?;
                tracing::info!(channel = self.channel, "source {} on", shown(&source.url));
                self.tell(source, SourceState::On, None);
                feed.insert(Feed::new(seat, self.ingest.jitter_ms))
            };
            streams.take(step, feed).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_directory_and_schemes_are_few() {
        let directory = std::env::temp_dir().join(crate::id::new("vitrine-media"));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("clip.mp4"), b"x").unwrap();
        assert!(address("clip.mp4", &directory).unwrap().starts_with("file:///"));
        for url in
            ["../etc/passwd", "/etc/passwd", "nothing.mp4", "file:///etc/passwd", "gopher://x/", "rtmp://"]
        {
            assert!(matches!(address(url, &directory), Err(Error::Address(_))), "{url}");
        }
        assert_eq!(address("srt://192.0.2.1:9000", &directory).unwrap(), "srt://192.0.2.1:9000");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn keys_and_passwords_are_not_shown() {
        assert_eq!(shown("rtsp://me:pass@cam.example:554/stream?token=1"), "rtsp://cam.example:554/…");
        assert_eq!(shown("rtmp://host/live/key"), "rtmp://host/…");
        assert_eq!(shown("clip.mp4"), "clip.mp4");
    }
}
