//! The ladder, going back in time, and a restart in the middle of it: seen from outside.

use std::process::Command;

use serde_json::Value;

use crate::playlist::tag;
use crate::stage::{Folder, Server, clip, run, until};

/// With the usual rungs, as everybody starts.
const USUAL: &str = "[channels.main]\nwidth = 640\nheight = 360\nrungs = [{ height = 216, kbps = 300 }]\n";

fn server(data: Folder) -> Server {
    let file = data.0.join("usual.toml");
    std::fs::write(&file, USUAL).unwrap();
    let file = file.to_str().unwrap().to_owned();
    Server::on(data, &["--config", &file])
}

/// Key frames of a rendition's listed part of the programme, in milliseconds, as an outside demuxer sees them.
pub(crate) fn key_frames(server: &Server, rendition: &str, segments: std::ops::Range<u64>) -> Vec<i64> {
    let mut bytes = server.init(rendition);
    for n in segments {
        let (status, segment) = server.get(&format!("/live/main/{rendition}/{n}.m4s"));
        assert_eq!(status, 200);
        bytes.extend(segment);
    }
    let file = server.data.0.join(format!("{rendition}.mp4"));
    std::fs::write(&file, bytes).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pts_time,flags", "-of", "json"])
        .arg(&file)
        .output()
        .unwrap();
    let packets: Value = serde_json::from_slice(&output.stdout).unwrap();
    let is_key = |packet: &&Value| packet["flags"].as_str().unwrap().starts_with('K');
    let time = |packet: &Value| packet["pts_time"].as_str().unwrap().parse::<f64>().unwrap();
    packets["packets"].as_array().unwrap().iter().filter(is_key).map(|p| (time(p) * 1000.0) as i64).collect()
}

#[test]
fn a_rung_in_hevc_stands_beside_the_others_and_plays() {
    let data = Folder::new();
    let file = data.0.join("hevc.toml");
    let text = USUAL.replace("kbps = 300 }", "kbps = 300, codec = \"hevc\" }");
    std::fs::write(&file, text + "preset = \"ultrafast\"\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let server = Server::on(data, &["--config", &file]);
    let end = server.live_segment() + 2;
    server.segment("video", end);
    server.segment("video-216-hevc", end);
    let index = server.text("/live/main/index.m3u8");
    assert!(index.contains("CODECS=\"hvc1.") && index.contains("CODECS=\"avc1."), "{index}");
    let (top, low) =
        (key_frames(&server, "video", end - 3..end), key_frames(&server, "video-216-hevc", end - 3..end));
    assert!(top.len() == 3 && top == low, "{top:?} and {low:?}");
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries"])
        .args(["stream=codec_name,codec_tag_string,width,height,nb_read_frames", "-of", "csv=p=0"])
        .arg(server.data.0.join("video-216-hevc.mp4"))
        .output()
        .unwrap();
    let read = String::from_utf8(output.stdout).unwrap();
    assert!(read.starts_with("hevc,hvc1,384,216,"), "{read}"); // how many pictures is the machine's affair
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rungs_have_their_key_frames_and_parts_at_the_same_times() {
    let server = server(Folder::new());
    let _host = server.publish(clip());
    server.until_showing("live");
    let end = server.live_segment() + 2;
    server.segment("video", end);
    server.segment("video-216", end);
    let index = server.text("/live/main/index.m3u8");
    assert!(index.contains("RESOLUTION=640x360") && index.contains("RESOLUTION=384x216"), "{index}");
    assert!(index.contains("AUDIO=\"audio\"\naudio.m3u8"), "the sound alone: {index}");
    let (top, low) =
        (key_frames(&server, "video", end - 3..end), key_frames(&server, "video-216", end - 3..end));
    assert_eq!(top.len(), 3, "one in each segment: {top:?}");
    assert_eq!(top, low);
    // Part for part: the same place in the same segment begins at the same time.
    for part in 0..6 {
        let start = |rendition: &str| {
            let (status, bytes) = server.get(&format!("/live/main/{rendition}/{end}.{part}.m4s"));
            assert_eq!(status, 200);
            let at = bytes.windows(4).position(|four| four == b"tfdt").unwrap();
            u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap())
        };
        assert_eq!(start("video"), start("video-216"), "part {part}");
    }
    for playlist in ["video.m3u8", "video-216.m3u8", "audio.m3u8"] {
        let text = server.text(&format!("/live/main/{playlist}"));
        assert_eq!(text.matches("#EXT-X-RENDITION-REPORT:").count(), 2, "{text}");
    }
}

#[test]
fn a_delta_makes_the_whole_playlist_of_the_one_before() {
    let server = server(Folder::new());
    let segment = until("enough to leave out", || {
        Some(server.live_segment())
            .filter(|_| server.text("/live/main/video.m3u8").matches("#EXTINF").count() > 9)
    });
    let full = server.text("/live/main/video.m3u8");
    let delta = server.text(&format!("/live/main/video.m3u8?_HLS_msn={}&_HLS_skip=YES", segment + 1));
    let whole = server.text(&format!("/live/main/video.m3u8?_HLS_msn={}", segment + 1));
    let skipped: usize = tag(&delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS=").parse().unwrap();
    let first: u64 = tag(&delta, "#EXT-X-MEDIA-SEQUENCE:").parse().unwrap();
    // What a client does (6.3.7): its own segments for those that were left out.
    let addresses = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("video/")).map(str::to_owned).collect()
    };
    let known = addresses(&full);
    let from = known.iter().position(|line| *line == format!("video/{first}.m4s")).unwrap();
    let mut merged = known[from..from + skipped].to_vec();
    merged.extend(addresses(&delta));
    let wanted = addresses(&whole);
    assert_eq!(merged[..wanted.len().min(merged.len())], wanted[..wanted.len().min(merged.len())]);
    assert!(delta.len() < whole.len());
}

#[test]
fn one_key_frame_is_fetched_alone_and_is_a_picture() {
    let server = server(Folder::new());
    let text = until("a key frame", || {
        Some(server.text("/live/main/video-216-iframes.m3u8")).filter(|text| text.contains("#EXTINF"))
    });
    let range = text.lines().rfind(|line| line.starts_with("#EXT-X-BYTERANGE:")).unwrap();
    let length: usize = range["#EXT-X-BYTERANGE:".len()..].split('@').next().unwrap().parse().unwrap();
    let file = text.lines().last().unwrap();
    let agent = ureq::Agent::config_builder().build().new_agent();
    let request = agent.get(format!("{}/live/main/{file}", server.http));
    let mut answer = request.header("range", format!("bytes=0-{}", length - 1)).call().unwrap();
    assert_eq!(answer.status().as_u16(), 206);
    let mut bytes = server.init("video-216");
    bytes.extend(answer.body_mut().read_to_vec().unwrap());
    let (alone, picture) = (server.data.0.join("key.mp4"), server.data.0.join("key.png"));
    std::fs::write(&alone, bytes).unwrap();
    run(Command::new("ffmpeg").args(["-v", "error", "-xerror", "-i"]).arg(&alone).arg(&picture));
    let size = image::image_dimensions(&picture).unwrap();
    assert_eq!(size, (384, 216));
}

#[test]
fn after_a_kill_viewers_go_back_to_before_it() {
    let first = server(Folder::new());
    let segment = first.live_segment();
    first.segment("video", segment);
    let (_, before) = first.get(&format!("/live/main/video/{segment}.m4s"));
    let on_disk = first.data.0.join("hls/main/video");
    until("the segment on disk", || {
        let folders = std::fs::read_dir(&on_disk).unwrap().flatten().filter(|entry| entry.path().is_dir());
        let mut files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
        files.find(|file| file.file_name().to_string_lossy().starts_with(&format!("{segment}-")))
    });
    let old = first.text("/live/main/video.m3u8");
    let second = server(first.kill());
    let new = second.text("/live/main/video.m3u8");
    for name in ["#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:", "#EXT-X-MAP:"] {
        assert_eq!(tag(&old, name), tag(&new, name), "{new}");
    }
    let (listed, after) = new.split_once("#EXT-X-DISCONTINUITY\n").expect("one discontinuity");
    assert!(listed.contains(&format!("video/{segment}.m4s")), "{new}");
    assert!(!after.contains("#EXT-X-GAP"), "what is missing is before it: {new}");
    let (status, again) = second.get(&format!("/live/main/video/{segment}.m4s"));
    assert!(status == 200 && again == before, "the same bytes at the same address");
    // The sound goes the same way.
    let sound = second.text("/live/main/audio.m3u8");
    assert_eq!(tag(&sound, "#EXT-X-DISCONTINUITY-SEQUENCE:"), tag(&new, "#EXT-X-DISCONTINUITY-SEQUENCE:"));
    assert_eq!(sound.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
}
