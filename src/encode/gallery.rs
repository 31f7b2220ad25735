//! Pictures of the programme as JPEG, cards and all: small ones for producers and for scrubbing, large ones as posters.
//!
//! They are taken from the frames that the encoders get: one every two seconds while nobody looks, eight a second while
//! somebody does. A frame that is not wanted goes no further than the first queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;
use tokio::sync::watch;

use crate::media::{Canvas, Picture};
use crate::pipeline::{self, Branch};
use crate::time::MediaTime;

/// The longer side of small pictures.
const SMALL: u32 = 640;
/// Between two small pictures while somebody watches: 8 a second.
const WATCHED_NANOS: u64 = 125_000_000;
/// And while nobody does: one for each thumbnail.
const UNWATCHED_NANOS: u64 = 2_000_000_000;
/// Between two posters.
const POSTER_NANOS: u64 = 10_000_000_000;

/// A channel's newest pictures. Newer ones replace those that nobody took.
#[derive(Debug, Default)]
pub struct Gallery {
    /// At most 640 pixels long.
    pub small: watch::Sender<Option<Picture>>,
    /// As large as the canvas.
    pub poster: watch::Sender<Option<Picture>>,
    watchers: AtomicUsize,
}

/// Somebody watches, until it is dropped.
#[derive(Debug)]
pub struct Watching(Arc<Gallery>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which pictures a branch makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Small,
    Poster,
}

impl Gallery {
    /// Makes small pictures come often as long as the answer is kept.
    pub fn watch(self: &Arc<Self>) -> Watching {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Watching(self.clone())
    }

    fn distance_nanos(&self, which: Which) -> u64 {
        match which {
            Which::Poster => POSTER_NANOS,
            Which::Small if self.watchers.load(Ordering::Relaxed) > 0 => WATCHED_NANOS,
            Which::Small => UNWATCHED_NANOS,
        }
    }

    /// Sets up a branch of `pictures.gst`.
    pub(super) fn hang(
        self: &Arc<Self>,
        branch: &Branch,
        which: Which,
        canvas: Canvas,
    ) -> Result<(), pipeline::Error> {
        let (width, height) = match which {
            Which::Small => small(canvas),
            Which::Poster => (canvas.width, canvas.height),
        };
        let size = gst::Caps::builder("video/x-raw")
            .field("width", width as i32)
            .field("height", height as i32)
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1));
        branch.element::<gst::Element>("size")?.set_property("caps", size.build());
        self.choose(&branch.element("in")?, which);
        self.deliver(&branch.element("out")?, which);
        Ok(())
    }

    /// Lets the frames in whose time has come.
    fn choose(self: &Arc<Self>, queue: &gst::Element, which: Which) {
        let (gallery, last) = (self.clone(), Mutex::new(None::<u64>));
        let Some(pad) = queue.static_pad("sink") else { return };
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, about| {
            let now = about.buffer().and_then(|buffer| buffer.pts()).map_or(0, gst::ClockTime::nseconds);
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            // A clock that went back, after an encoder was built anew, counts as due.
            let is_due = last.is_none_or(|last| now.abs_diff(last) >= gallery.distance_nanos(which));
            if is_due {
                *last = Some(now);
                gst::PadProbeReturn::Ok
            } else {
                gst::PadProbeReturn::Handled // gstreamer 0.25 lets the core free what it has freed itself after Drop
            }
        });
    }

    fn deliver(self: &Arc<Self>, out: &gst_app::AppSink, which: Which) {
        let gallery = self.clone();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |out| {
            let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(picture) = picture(&sample) {
                let place = if which == Which::Small { &gallery.small } else { &gallery.poster };
                place.send_replace(Some(picture));
            }
            Ok(gst::FlowSuccess::Ok)
        });
        out.set_callbacks(callbacks.build());
    }
}

fn picture(sample: &gst::Sample) -> Option<Picture> {
    let buffer = sample.buffer()?;
    let time = MediaTime(buffer.pts()?.nseconds());
    Some(Picture { time, jpeg: Bytes::copy_from_slice(&buffer.map_readable().ok()?) })
}

/// A small picture's size: even, in the canvas's shape.
fn small(canvas: Canvas) -> (u32, u32) {
    let longer = canvas.width.max(canvas.height);
    let fit = |side: u32| (f64::from(side * SMALL.min(longer)) / f64::from(longer) / 2.0).round() as u32 * 2;
    (fit(canvas.width), fit(canvas.height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;

    #[test]
    fn a_small_picture_has_the_canvas_s_shape() {
        let of = |width, height| small(Canvas { width, height, rate: FrameRate { num: 30, den: 1 } });
        assert_eq!(of(1280, 720), (640, 360));
        assert_eq!(of(1080, 1920), (360, 640));
        assert_eq!(of(320, 240), (320, 240), "never larger");
    }
}
