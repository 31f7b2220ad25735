use super::*;
use mp4_atom::{Any, Decode};

/// An `avcC` of 64x64 baseline, as x264 makes it.
fn h264() -> Format {
    let config: &[u8] = &[
        1, 0x42, 0xc0, 0x0a, 0xff, 0xe1, 0, 0x17, 0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0, 0,
        3, 0, 4, 0, 0, 3, 0, 0xc8, 0x3c, 0x48, 0x99, 0x20, 1, 0, 5, 0x68, 0xcb, 0x83, 0xcb, 0x20,
    ];
    Format { codec: Codec::H264, config: Bytes::from_static(config) }
}

fn aac() -> Format {
    Format { codec: Codec::Aac, config: Bytes::from_static(&[0x12, 0x10]) }
}

fn picture(ms: u64, is_keyframe: bool) -> AccessUnit {
    let dts = MediaTime(ms * 1_000_000);
    AccessUnit {
        kind: Kind::Video,
        pts: dts.offset(80_000_000),
        dts,
        is_keyframe,
        data: Bytes::from_static(b"v"),
    }
}

fn block(ms: u64) -> AccessUnit {
    let dts = MediaTime(ms * 1_000_000);
    AccessUnit { kind: Kind::Audio, pts: dts, dts, is_keyframe: true, data: Bytes::from_static(b"a") }
}

/// A publisher of `fps` with a key frame every `gop` frames and 44.1 kHz sound, for `seconds`.
fn parts(fps: u64, gop: u64, seconds: u64) -> Vec<Part> {
    let mut muxer = Muxer::new(&grid(), 7);
    muxer.begin(&Header::new(&h264(), Some(&aac())).unwrap());
    let mut units: Vec<AccessUnit> =
        (0..fps * seconds).map(|n| picture(n * 1000 / fps, n % gop == 0)).collect();
    units.extend((0..seconds * 44_100 / 1024).map(|n| block(n * 1024 * 1000 / 44_100)));
    units.sort_by_key(|unit| unit.dts);
    let mut parts: Vec<Part> = units.iter().filter_map(|unit| muxer.push(unit).unwrap()).collect();
    parts.extend(muxer.end().unwrap());
    parts
}

fn lengths(parts: &[Part]) -> Vec<(u64, f64)> {
    let mut found: Vec<(u64, f64)> = Vec::new();
    for part in parts {
        match found.last_mut() {
            Some((number, length)) if *number == part.segment => *length += part.seconds(),
            _ => found.push((part.segment, part.seconds())),
        }
    }
    found
}

#[test]
fn segments_end_where_key_frames_come_and_none_is_too_long() {
    let obs = parts(30, 60, 10);
    assert_eq!(
        lengths(&obs).iter().map(|(n, s)| (*n, s.round())).collect::<Vec<_>>(),
        [(7, 2.0), (8, 2.0), (9, 2.0), (10, 2.0), (11, 2.0)]
    );
    assert!(obs.iter().filter(|part| part.index == 0).all(|part| part.is_independent));
    let rare = parts(30, 250, 20);
    assert!(lengths(&rare).iter().all(|(_, seconds)| *seconds < 6.4), "{:?}", lengths(&rare));
    assert!(rare.iter().filter(|part| part.is_independent).count() == 3, "at 0, 8.3 and 16.7 seconds");
}

#[test]
fn parts_keep_to_their_target_at_every_rate() {
    let target = grid().part_target();
    for (fps, gop) in [(10, 20), (15, 30), (24, 48), (25, 50), (30, 60), (50, 100), (60, 120)] {
        for part in parts(fps, gop, 9) {
            assert!(part.seconds() <= target, "{} at {fps}", part.seconds());
            let is_free = part.is_last || part.is_independent;
            assert!(is_free || part.seconds() >= target * 0.85, "{} at {fps}", part.seconds());
        }
    }
}

#[test]
fn picture_and_sound_are_in_one_chunk_and_follow_without_a_hole() {
    let (mut picture_next, mut sound_next) = (0, 0);
    for part in parts(30, 60, 4) {
        let mut rest = &part.data[..];
        let mut payload = 0;
        while !rest.is_empty() {
            match Any::decode(&mut rest).unwrap() {
                Any::Moof(moof) => {
                    for traf in &moof.traf {
                        let mp4_atom::TrunSamples::Explicit(entries) = &traf.trun[0].samples else {
                            panic!()
                        };
                        let start = traf.tfdt.as_ref().unwrap().base_media_decode_time;
                        let length: u32 = entries.iter().map(|entry| entry.duration.unwrap()).sum();
                        let next = if traf.tfhd.track_id == 1 { &mut picture_next } else { &mut sound_next };
                        assert_eq!(start, *next, "track {}", traf.tfhd.track_id);
                        *next = start + u64::from(length);
                        payload += entries.iter().map(|entry| entry.size.unwrap() as usize).sum::<usize>();
                        let shift = if traf.tfhd.track_id == 1 { Some(7200) } else { None };
                        assert_eq!(entries[0].cts, shift, "shown 80 ms after it is decoded");
                    }
                }
                Any::Mdat(mdat) => assert_eq!(mdat.data.len(), payload),
                _ => {}
            }
        }
        assert_eq!(
            part.start,
            MediaTime::from_ticks(picture_next + 7200, 90_000)
                .offset(-(part.duration_ticks as i64 * 1_000_000 / 90))
        );
    }
}

#[test]
fn a_hole_in_the_picture_makes_no_part_too_long_and_no_sound_comes_twice() {
    let mut muxer = Muxer::new(&grid(), 0);
    muxer.begin(&Header::new(&h264(), Some(&aac())).unwrap());
    let mut found = Vec::new();
    for ms in (0..500).step_by(40).chain((1400..4000).step_by(40)) {
        found.extend(muxer.push(&picture(ms, ms == 0)).unwrap());
    }
    found.extend(muxer.end().unwrap());
    assert!(found.iter().all(|part| part.seconds() <= grid().part_target()));
    assert!(found[0].seconds() > 0.99, "the last picture stands as long as it may");
    assert!(found[1].start.since(found[0].start) > 1_350_000_000, "and time goes on");
    muxer.begin(&Header::new(&h264(), Some(&aac())).unwrap());
    for ms in [0, 23, 46, 0, 10, 70] {
        muxer.push(&block(ms)).unwrap();
    }
    let ends: Vec<u32> = muxer.sound.unwrap().samples.iter().map(|sample| sample.duration).collect();
    assert_eq!(ends, [1024; 4], "0, 23, 46 and 70");
}

#[test]
fn what_players_cannot_have_is_said() {
    let av1 = Format { codec: Codec::Av1, config: Bytes::new() };
    assert!(matches!(Header::new(&av1, None), Err(Error::Unsuited("AV1"))));
    let broken = Format { codec: Codec::H264, config: Bytes::from_static(b"\x01\x42") };
    assert!(Header::new(&broken, None).is_err());
    let opus = Format { codec: Codec::Opus, config: Bytes::new() };
    let header = Header::new(&h264(), Some(&opus)).unwrap();
    assert_eq!(header.codecs, "avc1.42c00a", "without sound");
    assert_eq!(header.size, (64, 64));
}
