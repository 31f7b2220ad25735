//! How busy the encoders are: each rung scales and codes in one thread of its pipeline, from the queue before it to the
//! sink behind it. Of the time that goes by, the share in which that thread works is the load; at 1 it falls behind.
//!
//! An encoder that hands its work to a chip, or to threads of its own (x264 with more than one, which is so above 1280x720 at
//! 30), lets that thread go at once: nothing is told of it here, rather than something that is not so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::time::Stopwatch;

/// Whether the work of an encoder of this name is done in the thread that brings the frames.
pub(super) fn is_told(encoder: &gst::Element, name: &str) -> bool {
    match name {
        "x264" => encoder.property::<u32>("threads") == 1,
        "openh264" => true,
        _ => false,
    }
}

/// One rung's work.
#[derive(Debug, Default)]
pub(super) struct Rung {
    /// Which thread has a frame, and for how long.
    at_work: Mutex<Option<(ThreadId, Stopwatch)>>,
    busy_nanos: AtomicU64,
}

impl Rung {
    /// Begins with every frame that leaves `queue`.
    pub(super) fn watch(self: &Arc<Self>, queue: &gst::Element) {
        let Some(pad) = queue.static_pad("src") else { return };
        let rung = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            rung.begin();
            gst::PadProbeReturn::Ok
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(ThreadId, Stopwatch)>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        *self.lock() = Some((thread::current().id(), Stopwatch::start()));
    }

    /// A coded frame is there.
    pub(super) fn end(&self) {
        let mut at_work = self.lock();
        if let Some((thread, time)) = *at_work
            && thread == thread::current().id()
        {
            *at_work = None;
            self.busy_nanos.fetch_add(time.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
    }
}

/// All rungs of an encoder.
#[derive(Debug)]
pub struct Load {
    rungs: Vec<Arc<Rung>>,
    seen: Vec<u64>,
    since: Stopwatch,
}

impl Load {
    pub(super) fn new(rungs: Vec<Arc<Rung>>) -> Self {
        Self { seen: vec![0; rungs.len()], rungs, since: Stopwatch::start() }
    }

    /// The busiest rung's load since this was asked last; nothing when none tells.
    pub fn share(&mut self) -> Option<f64> {
        let time = std::mem::replace(&mut self.since, Stopwatch::start()).elapsed().as_nanos() as f64;
        let each = self.rungs.iter().zip(&mut self.seen).map(|(rung, seen)| {
            let now = rung.busy_nanos.load(Ordering::Relaxed);
            let busy = now - std::mem::replace(seen, now);
            (now > 0).then(|| busy as f64 / time)
        });
        let each: Vec<Option<f64>> = each.collect();
        // Without the first, which has the most to do, it would be no answer.
        each.first().copied().flatten().and_then(|_| each.into_iter().flatten().max_by(f64::total_cmp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_took_the_frame_tells_how_long_it_had_it() {
        let rung = Arc::<Rung>::default();
        let mut load = Load::new(vec![rung.clone()]);
        assert_eq!(load.share(), None, "nothing is known yet");
        rung.begin();
        std::thread::scope(|scope| scope.spawn(|| rung.end()).join().unwrap());
        assert_eq!(load.share(), None, "another thread ended it");
        rung.begin();
        rung.end();
        rung.end();
        let share = load.share().unwrap();
        assert!(share > 0.0 && share < 1.0, "{share}");
        assert_eq!(load.share(), Some(0.0), "nothing was done since");
    }
}
