//! Figures of each channel, second by second, for plots: how it was in the last quarter of an hour. They are memory only;
//! what is to be kept longer is taken from `/metrics`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::api::{Parameter, parameter};
use super::error::Error;
use super::http::Answer;
use super::people::door::Caller;
use crate::media::ChannelStatus;
use crate::time::WallTime;

/// A sample is taken so often.
const EVERY: Duration = Duration::from_secs(1);
/// Samples that are kept: a quarter of an hour.
const MOST: usize = 900;

/// What may stand behind the `?`.
pub(super) const SINCE: &[Parameter] =
    &[parameter("after", "integer", "Only what is newer than this `at`; all without it")];

/// How a channel was in one second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    at: WallTime,
    bitrate_kbps: u32,
    fps: f64,
    lost_frames: u64,
    skipped_frames: u64,
    encode_load: Option<f64>,
    delay_ms: Option<u64>,
    viewers: u32,
}

/// A channel's samples, and what its counters said last.
#[derive(Debug, Default)]
struct Series {
    all: VecDeque<Sample>,
    /// By publisher, while it is connected.
    lost: BTreeMap<u64, u64>,
    skipped: u64,
}

impl Series {
    fn take(&mut self, at: WallTime, status: &ChannelStatus) {
        let publisher = &status.publisher;
        // What one lost before it was seen here is nothing of this second.
        let lost_before = self.lost.get(&publisher.id).copied().unwrap_or(publisher.frames_lost);
        let sample = Sample {
            at,
            bitrate_kbps: publisher.bitrate_kbps,
            fps: publisher.fps,
            lost_frames: publisher.frames_lost.saturating_sub(lost_before),
            skipped_frames: status.skipped_frames.saturating_sub(self.skipped),
            encode_load: status.encode_load,
            delay_ms: status.delay_ms,
            viewers: status.viewers,
        };
        let all = status.publishers.iter().chain([publisher]);
        self.lost = all.map(|one| (one.id, one.frames_lost)).collect();
        self.skipped = status.skipped_frames;
        self.all.push_back(sample);
        if self.all.len() > MOST {
            self.all.pop_front();
        }
    }

    /// What is newer than `after`: a list for each figure, as plots want it.
    fn columns(&self, after: Option<i64>) -> Value {
        let wanted: Vec<_> =
            self.all.iter().filter(|sample| after.is_none_or(|after| sample.at.0 > after)).collect();
        let column = |of: fn(&Sample) -> Value| wanted.iter().map(|sample| of(sample)).collect::<Vec<_>>();
        json!({
            "everyMs": EVERY.as_millis() as u64,
            "at": column(|one| json!(one.at)),
            "bitrateKbps": column(|one| json!(one.bitrate_kbps)),
            "fps": column(|one| json!(one.fps)),
            "lostFrames": column(|one| json!(one.lost_frames)),
            "skippedFrames": column(|one| json!(one.skipped_frames)),
            "encodeLoad": column(|one| json!(one.encode_load)),
            "delayMs": column(|one| json!(one.delay_ms)),
            "viewers": column(|one| json!(one.viewers)),
        })
    }
}

/// The samples of all channels. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Samples(Arc<Mutex<BTreeMap<String, Series>>>);

impl Samples {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes samples of `channels` from now on; never returns.
    pub async fn take(self, channels: Arc<BTreeMap<String, watch::Receiver<ChannelStatus>>>) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let now = WallTime::now();
            for (channel, status) in channels.iter() {
                self.lock().entry(channel.clone()).or_default().take(now, &status.borrow());
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    after: Option<i64>,
}

/// `GET /channels/{channel}/samples`
pub(super) async fn list(
    Caller(doors): Caller,
    Path(channel): Path<String>,
    Query(since): Query<Since>,
) -> Answer {
    if !doors.status.contains_key(&channel) {
        return Err(Error::no_channel(&channel));
    }
    Ok(Json(doors.samples.lock().entry(channel).or_default().columns(since.after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_from_the_start_is_told_for_each_second() {
        let mut series = Series::default();
        let mut status = ChannelStatus { viewers: 3, encode_load: Some(0.5), ..ChannelStatus::default() };
        status.publisher.id = 1;
        for (at, (publisher, lost, skipped)) in
            [(1, 0, 0), (1, 5, 2), (1, 5, 2), (2, 1, 2), (2, 4, 2)].into_iter().enumerate()
        {
            (status.publisher.id, status.publisher.frames_lost, status.skipped_frames) =
                (publisher, lost, skipped);
            series.take(WallTime(at as i64 * 1000), &status);
        }
        let all = series.columns(None);
        assert_eq!(all["lostFrames"], json!([0, 5, 0, 0, 3]), "the second publisher's own");
        assert_eq!(all["skippedFrames"], json!([0, 2, 0, 0, 0]));
        assert_eq!(all["viewers"], json!([3, 3, 3, 3, 3]));
        assert_eq!(series.columns(Some(1000))["at"], json!([2000, 3000, 4000]));
    }

    #[test]
    fn a_quarter_of_an_hour_is_kept() {
        let mut series = Series::default();
        for at in 0..2000 {
            series.take(WallTime(at * 1000), &ChannelStatus::default());
        }
        let at = series.columns(None)["at"].as_array().unwrap().len();
        assert_eq!((at, series.all[0].at), (900, WallTime(1_100_000)));
    }
}
