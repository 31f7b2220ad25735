//! Enhanced RTMP: HEVC, AV1, Opus and AC-3 made by `GStreamer`, put into tags here as the specification has them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_app::prelude::*;

use crate::encoder::Encoder;
use crate::stage::{Server, until};

/// A coded unit: milliseconds decoded, milliseconds shown later, key frame, bytes.
struct Unit {
    dts_ms: u32,
    cts_ms: u32,
    is_keyframe: bool,
    data: Bytes,
}

/// Runs a pipeline that ends in `appsink name=out`; its configuration and units.
fn coded(description: &str) -> (Bytes, Vec<Unit>) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let out = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let (mut config, mut units, mut origin) = (Bytes::new(), Vec::new(), None);
    while let Ok(sample) = out.pull_sample() {
        let structure = sample.caps().unwrap().structure(0).unwrap().to_owned();
        if let Ok(data) = structure.get::<gst::Buffer>("codec_data") {
            config = Bytes::copy_from_slice(&data.map_readable().unwrap());
        }
        let buffer = sample.buffer().unwrap();
        let ms = |time: gst::ClockTime| time.mseconds() as i64;
        let pts = buffer.pts().map_or(0, ms);
        let dts = buffer.dts().map_or(pts, ms);
        let origin = *origin.get_or_insert(dts);
        units.push(Unit {
            dts_ms: (dts - origin) as u32,
            cts_ms: (pts - dts) as u32,
            is_keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            data: Bytes::copy_from_slice(&buffer.map_readable().unwrap()),
        });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    (config, units)
}

const PICTURE: &str =
    "videotestsrc num-buffers=120 pattern=ball ! video/x-raw,width=320,height=180,framerate=30/1";

fn hevc() -> (Bytes, Vec<Unit>) {
    coded(&format!(
        "{PICTURE},format=I420 ! x265enc key-int-max=30 speed-preset=ultrafast option-string=log-level=none ! h265parse ! \
         video/x-h265,stream-format=hvc1,alignment=au ! appsink name=out sync=false"
    ))
}

fn sound(encoder: &str) -> (Bytes, Vec<Unit>) {
    coded(&format!(
        "audiotestsrc num-buffers=200 samplesperbuffer=960 volume=0.5 ! audio/x-raw,rate=48000,channels=2 ! {encoder} ! \
         appsink name=out sync=false"
    ))
}

fn tag(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

/// Sends pictures and sound in real time; each unit's tag is made by the caller.
fn play(
    encoder: &mut Encoder,
    video: &[Unit],
    audio: &[Unit],
    video_tag: impl Fn(&Unit) -> Bytes,
    audio_tag: impl Fn(&Unit) -> Bytes,
) {
    let mut all: Vec<(bool, &Unit)> =
        video.iter().map(|unit| (true, unit)).chain(audio.iter().map(|unit| (false, unit))).collect();
    all.sort_by_key(|(_, unit)| unit.dts_ms);
    let origin = all.first().map_or(0, |(_, unit)| unit.dts_ms);
    #[allow(clippy::disallowed_methods)] // an encoder sends in real time
    let start = Instant::now();
    for (is_video, unit) in all {
        let due = Duration::from_millis(u64::from(unit.dts_ms - origin));
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let sent = if is_video {
            encoder.video(unit.dts_ms, video_tag(unit))
        } else {
            encoder.audio(unit.dts_ms, audio_tag(unit))
        };
        sent.unwrap();
    }
}

#[test]
fn hevc_with_opus_and_a_second_track() {
    let server = Server::start();
    let (video_config, video) = hevc();
    let (_, audio) = sound("opusenc");
    assert!(video.len() > 100 && video.iter().filter(|unit| unit.is_keyframe).count() >= 3);
    let mut encoder = Encoder::publish(&server);
    encoder.video(0, tag(&[&[0x90], b"hvc1", &video_config])).unwrap();
    // A second video track, which is left out and said; and HDR.
    encoder.video(0, tag(&[&[0x96, 0x00], b"hvc1", &[1], &video_config])).unwrap();
    let hdr = [
        &[2_u8, 0, 9][..],
        b"colorInfo",
        &[3, 0, 11],
        b"colorConfig",
        &[3, 0, 23],
        b"transferCharacteristics",
        &[0, 0x40, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 9],
    ]
    .concat();
    encoder.video(0, tag(&[&[0x84], b"hvc1", &hdr])).unwrap();
    encoder
        .audio(0, tag(&[&[0x90], b"Opus", b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"]))
        .unwrap();
    let video_tag = |unit: &Unit| {
        let kind = if unit.is_keyframe { 0x10 } else { 0x20 };
        let cts = unit.cts_ms.to_be_bytes();
        // With a nanosecond offset, and with the composition time where there is one.
        if unit.cts_ms == 0 {
            tag(&[&[0x87 | kind, 2, 0x07, 0xa1, 0x20, 0x03], b"hvc1", &unit.data])
        } else {
            tag(&[&[0x81 | kind], b"hvc1", &cts[1..], &unit.data])
        }
    };
    play(&mut encoder, &video, &audio, video_tag, |unit| tag(&[&[0x91], b"Opus", &unit.data]));
    let publisher = server.channel()["publisher"].clone();
    assert_eq!((&publisher["videoCodec"], &publisher["audioCodec"]), (&"HEVC".into(), &"Opus".into()));
    assert_eq!((&publisher["width"], &publisher["role"]), (&320.into(), &"onAir".into()), "{publisher}");
    let notes = publisher["notes"].to_string();
    assert!(notes.contains("video track 1 (hvc1) is left out") && notes.contains("HDR"), "{notes}");
    let segment = server.live_segment();
    assert!(server.loudness(segment) > 0.05);
}

#[test]
fn av1_with_ac3() {
    let server = Server::start();
    let (config, video) = coded(&format!(
        "{PICTURE} ! av1enc cpu-used=9 usage-profile=realtime keyframe-max-dist=30 lag-in-frames=0 ! av1parse ! \
         video/x-av1,stream-format=obu-stream,alignment=tu ! appsink name=out sync=false"
    ));
    let (_, audio) = sound("audioconvert ! avenc_ac3 ! ac3parse");
    let mut encoder = Encoder::publish(&server);
    encoder.video(0, tag(&[&[0x90], b"av01"])).unwrap(); // empty first, as ffmpeg sends it
    encoder.video(0, tag(&[&[0x90], b"av01", &config])).unwrap();
    let video_tag = |unit: &Unit| tag(&[&[if unit.is_keyframe { 0x91 } else { 0xa1 }], b"av01", &unit.data]);
    play(&mut encoder, &video, &audio, video_tag, |unit| tag(&[&[0x91], b"ac-3", &unit.data]));
    let publisher = server.channel()["publisher"].clone();
    assert_eq!((&publisher["videoCodec"], &publisher["audioCodec"]), (&"AV1".into(), &"AC-3".into()));
    assert_eq!((&publisher["width"], &publisher["role"]), (&320.into(), &"onAir".into()), "{publisher}");
    assert_eq!(publisher["framesLost"], 0, "{publisher}");
}

#[test]
fn the_codec_may_change_in_mid_stream() {
    let server = Server::start();
    let (config, video) = hevc();
    let old = crate::encoder::flv_tags(crate::stage::other_clip());
    let mut encoder = Encoder::publish(&server);
    crate::quirks::play(&mut encoder, &old[..200], |_, _| true);
    until("H.264 is on air", || (server.channel()["publisher"]["width"] == 640).then_some(()));
    let base = old[199].1 + 40;
    encoder.video(base, tag(&[&[0x90], b"hvc1", &config])).unwrap();
    let late: Vec<Unit> = video.into_iter().map(|unit| Unit { dts_ms: unit.dts_ms + base, ..unit }).collect();
    let video_tag = |unit: &Unit| {
        let cts = unit.cts_ms.to_be_bytes();
        tag(&[&[if unit.is_keyframe { 0x91 } else { 0xa1 }], b"hvc1", &cts[1..], &unit.data])
    };
    play(&mut encoder, &late, &[], video_tag, |_| Bytes::new());
    let publisher = server.channel()["publisher"].clone();
    assert_eq!((&publisher["videoCodec"], &publisher["width"]), (&"HEVC".into(), &320.into()), "{publisher}");
    assert_eq!(
        (&publisher["role"], &publisher["timestampRepairs"]),
        (&"onAir".into(), &0.into()),
        "{publisher}"
    );
}

#[test]
fn a_codec_that_is_not_taken_is_said_to_the_encoder_and_in_the_log() {
    let server = Server::start();
    let mut encoder = Encoder::publish(&server);
    encoder.video(0, tag(&[&[0x90], b"vvc1", &[1]])).unwrap();
    until("the server closes", || encoder.is_closed().then_some(()));
    let last_end =
        until("the reason", || server.channel()["publisher"]["lastEnd"].as_str().map(str::to_owned));
    assert!(last_end.contains("vvc1") && last_end.contains("H.264 or HEVC"), "{last_end}");
}
