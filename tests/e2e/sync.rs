//! Sound and picture in step, measured on the HLS output with flashes and beeps.

use std::process::Command;

use crate::pace::in_time;
use crate::stage::{Server, make_clip, run};

/// Every second a white flash of 100 ms and, at the same instant, a beep of 100 ms.
pub(crate) fn flash_and_beep() -> std::path::PathBuf {
    make_clip(
        "flash",
        "color=black:size=640x360:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)'",
        "aevalsrc='if(lt(mod(t,1),0.1),0.8*sin(2*PI*1000*t),0)':sample_rate=48000",
    )
}

/// Starts of light or sound: where `values` rise above `level` after at least half a second below.
fn starts(values: &[f64], per_second: f64, level: f64) -> Vec<f64> {
    let mut found = Vec::new();
    let mut below = 0.0;
    for (n, value) in values.iter().enumerate() {
        if *value < level {
            below += 1.0 / per_second;
        } else {
            if below > 0.5 {
                found.push(n as f64 / per_second);
            }
            below = 0.0;
        }
    }
    found
}

#[test]
fn flash_and_beep_stay_within_40_ms() {
    in_time(|server| {
        let _host = server.publish(&flash_and_beep());
        server.until_showing("live");
        assert_in_step(server, server.live_segment() + 1, 3);
    });
}

/// Flashes and beeps of `count` segments from `first` on are within 40 ms of each other.
pub(crate) fn assert_in_step(server: &Server, first: u64, count: u64) {
    // The segments of each track, joined; both start on the programme's own grid.
    let joined = |track: &str| {
        let mut bytes = server.segment(track, first);
        for n in 1..count {
            server.segment(track, first + n); // waits
            bytes.extend(server.get(&format!("/live/main/{track}/{}.m4s", first + n)).1);
        }
        let file = server.data.0.join(format!("{track}-{first}.mp4"));
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let (video, audio) = (joined("video"), joined("audio"));
    let (light, sound) = (server.data.0.join("light"), server.data.0.join("sound"));
    // Both on one clock: -copyts keeps the track's own times, aresample fills from the common start.
    let start = first as f64 * 2.0;
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(&video)
        .args(["-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "gray"])
        .arg(&light));
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(&audio)
        .args(["-ac", "1", "-f", "s16le"])
        .arg(&sound));
    let audio_start = decode_time(&std::fs::read(&audio).unwrap()) as f64 / 48_000.0 - start;
    let light: Vec<f64> = std::fs::read(light).unwrap().iter().map(|value| f64::from(*value)).collect();
    let sound: Vec<f64> = std::fs::read(sound)
        .unwrap()
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])).abs())
        .collect();
    let flashes = starts(&light, 30.0, 100.0);
    let beeps: Vec<f64> = starts(&sound, 48_000.0, 4000.0).iter().map(|at| at + audio_start).collect();
    assert!(flashes.len() as u64 + 1 >= count * 3 / 2, "{flashes:?}");
    for flash in &flashes {
        let offset =
            beeps.iter().map(|beep| beep - flash).min_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
        assert!(offset.abs() <= 0.040, "sound is {offset:.3} s off: {flashes:?} {beeps:?}");
    }
}

/// The first `tfdt` in a file, version 1.
fn decode_time(bytes: &[u8]) -> u64 {
    let at = bytes.windows(4).position(|four| four == b"tfdt").unwrap();
    match bytes[at + 4] {
        1 => u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()),
        _ => u64::from(u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap())),
    }
}
