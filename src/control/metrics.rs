//! `/metrics`: the channels and their publishers as Prometheus text.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Doors;
use crate::media::{ChannelStatus, Level, PublisherStatus, Role};

type OfChannel = (&'static str, fn(&ChannelStatus) -> f64);
type OfPublisher = (&'static str, &'static str, fn(&PublisherStatus) -> Option<f64>);

const OF_CHANNEL: [OfChannel; 9] = [
    ("publisher_connected", |status| f64::from(u8::from(status.publisher.is_connected))),
    ("publisher_bitrate_kbps", |status| f64::from(status.publisher.bitrate_kbps)),
    ("publisher_fps", |status| status.publisher.fps),
    ("publishers", |status| status.publishers.len() as f64),
    ("programme_behind_ms", |status| status.behind_ms as f64),
    ("programme_skipped_frames", |status| status.skipped_frames as f64),
    ("viewers", |status| f64::from(status.viewers)),
    ("delay_ms", |status| status.delay_ms.map_or(f64::NAN, |delay| delay as f64)),
    ("encode_load", |status| status.encode_load.unwrap_or(f64::NAN)),
];

const OF_PUBLISHER: [OfPublisher; 16] = [
    ("ingest_on_air", "gauge", |one| Some(f64::from(u8::from(one.role == Role::OnAir)))),
    ("ingest_health", "gauge", |one| one.health.first().map(|worst| f64::from(2 - level(worst.level)))),
    ("ingest_bitrate_kbps", "gauge", |one| Some(f64::from(one.bitrate_kbps))),
    ("ingest_fps", "gauge", |one| Some(one.fps)),
    ("ingest_pace", "gauge", |one| Some(one.pace)),
    ("ingest_keyframe_interval_seconds", "gauge", |one| one.keyframe_interval_s),
    ("ingest_drift_ms", "gauge", |one| Some(one.drift_ms as f64)),
    ("ingest_frames_total", "counter", |one| Some(one.frames as f64)),
    ("ingest_frames_lost_total", "counter", |one| Some(one.frames_lost as f64)),
    ("ingest_frames_repaired_total", "counter", |one| Some(one.frames_repaired as f64)),
    ("ingest_timestamp_repairs_total", "counter", |one| Some(f64::from(one.timestamp_repairs))),
    ("ingest_srt_rtt_ms", "gauge", |one| one.srt.map(|srt| srt.rtt_ms)),
    ("ingest_srt_packets_total", "counter", |one| one.srt.map(|srt| srt.packets as f64)),
    ("ingest_srt_lost_total", "counter", |one| one.srt.map(|srt| srt.lost as f64)),
    ("ingest_srt_retransmitted_total", "counter", |one| one.srt.map(|srt| srt.retransmitted as f64)),
    ("ingest_srt_dropped_total", "counter", |one| one.srt.map(|srt| srt.dropped as f64)),
];

/// 2 is good, 1 a warning, 0 bad, once taken from 2.
fn level(level: Level) -> u8 {
    match level {
        Level::Good => 0,
        Level::Warning => 1,
        Level::Bad => 2,
    }
}

/// Label values are quoted; the names of keys are people's.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}

/// The handler.
pub async fn metrics(State(doors): State<Doors>) -> Response {
    let mut text = String::new();
    let all: Vec<_> = doors.status.iter().map(|(name, status)| (name, status.borrow().clone())).collect();
    for (name, value) in OF_CHANNEL {
        let _ = writeln!(text, "# TYPE vitrine_{name} gauge");
        for (channel, status) in &all {
            let _ = writeln!(text, "vitrine_{name}{{channel=\"{channel}\"}} {}", value(status));
        }
    }
    let _ = writeln!(text, "# TYPE vitrine_airings gauge");
    let state = doors.director.state();
    for (channel, _) in &all {
        let count = state.in_picture(channel).count();
        let _ = writeln!(text, "vitrine_airings{{channel=\"{channel}\"}} {count}");
    }
    for (name, kind, value) in OF_PUBLISHER {
        let _ = writeln!(text, "# TYPE vitrine_{name} {kind}");
        for (channel, status) in &all {
            for one in &status.publishers {
                let Some(value) = value(one) else { continue };
                let (protocol, key) = (one.protocol.unwrap_or_default(), one.key_name.as_deref().map(quoted));
                let _ = writeln!(
                    text,
                    "vitrine_{name}{{channel=\"{channel}\",publisher=\"{}\",protocol=\"{protocol}\",key=\"{}\"}} {value}",
                    one.id,
                    key.unwrap_or_default()
                );
            }
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
