//! Pictures of what is on air: for producers at once, for viewers before they play, for scrubbing.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::pace::in_time;
use crate::stage::{PATIENCE, Server, TOKEN, clip, until};

/// The tiles that a storyboard names: start and end in seconds, address, and place on the sheet.
fn tiles(text: &str) -> Vec<(f64, f64, String, [u32; 4])> {
    let seconds =
        |stamp: &str| stamp.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    let cues = text.split("\n\n").filter_map(|block| {
        let (times, address) = block.trim().split_once('\n')?;
        let (start, end) = times.split_once(" --> ")?;
        let (file, place) = address.split_once("#xywh=")?;
        let place: Vec<u32> = place.split(',').map(|number| number.parse().unwrap()).collect();
        Some((seconds(start), seconds(end), file.to_owned(), place.try_into().unwrap()))
    });
    cues.collect()
}

fn image(server: &Server, address: &str) -> image::RgbImage {
    let (status, data) = server.get(address);
    assert_eq!(status, 200, "{address}");
    image::load_from_memory_with_format(&data, image::ImageFormat::Jpeg).unwrap().to_rgb8()
}

#[test]
fn a_poster_a_thumbnail_and_a_storyboard_show_what_was_on_air_and_a_restart_keeps_them() {
    let first = Server::start();
    let host = first.publish(clip());
    first.until_showing("live");
    let size = |server: &Server, name: &str| {
        let address = format!("/live/main/{name}");
        until("the picture is there", || (server.get(&address).0 == 200).then_some(()));
        image(server, &address).dimensions()
    };
    assert_eq!(size(&first, "thumbnail.jpg"), (640, 360));
    assert_eq!(size(&first, "poster.jpg"), (1280, 720));
    let board = |server: &Server| tiles(&server.text("/live/main/storyboard.vtt"));
    let before = until("a tile is there", || Some(board(&first)).filter(|tiles| !tiles.is_empty()));
    assert!(first.text("/live/main/storyboard.vtt").starts_with("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:"));
    until("the sheet lies on disk", || {
        std::fs::read_dir(first.data.0.join("hls/main/storyboard")).ok()?.next().map(|_| ())
    });
    let second = first.again(&[]);
    drop(host);
    let _host = second.publish(clip());
    let later =
        until("another tile is there", || Some(board(&second)).filter(|tiles| tiles.len() > before.len()));
    assert!((later[0].0 - before[0].0).abs() < 1e-6, "what was there before is there still");
    // Cue times are those of the media.
    let programme_s = second.channel()["programmeMs"].as_f64().unwrap() / 1000.0;
    let newest = later.last().unwrap();
    assert!(newest.0 <= programme_s + 3.0 && newest.1 > programme_s - 15.0, "{newest:?} at {programme_s}");
    for (_, _, address, [x, y, width, height]) in &later {
        let sheet = image(&second, &format!("/live/main/{address}"));
        assert_eq!((*width, *height), (160, 90));
        let tile = image::imageops::crop_imm(&sheet, *x, *y, *width, *height).to_image();
        let bright = tile.pixels().map(|pixel| pixel.0[1]).max().unwrap();
        assert!(bright > 60, "a picture, and not an empty place of the sheet");
    }
    assert_eq!(second.get("/live/main/storyboard/1-00000001-160x90.jpg").0, 404);
    assert_eq!(second.get("/live/nobody/thumbnail.jpg").0, 404);
}

#[test]
fn producers_see_the_picture_as_it_is_composed_and_nobody_without_the_token() {
    in_time(|server| {
        let times = watched(server);
        // The first was made before somebody watched.
        let steps: Vec<u64> = times.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
        let often = steps.iter().filter(|step| **step <= 200).count();
        assert!(times.is_sorted() && often >= 5, "{times:?}");
    });
}

/// Of twelve pictures of the monitor: the programme times that were told.
fn watched(server: &Server) -> Vec<u64> {
    let address = format!("{}/api/v1/channels/main/monitor", server.http.replacen("http", "ws", 1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let story = async {
        let (mut wrong, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
        wrong.send(Message::text(json!({ "token": "wrong" }).to_string())).await.unwrap();
        assert!(
            matches!(wrong.next().await, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 4009)
        );
        let (mut right, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
        right.send(Message::text(json!({ "token": TOKEN }).to_string())).await.unwrap();
        let mut times = Vec::new();
        while times.len() < 12 {
            match right.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let about: Value = serde_json::from_str(&text).unwrap();
                    times.push(about["programmeMs"].as_u64().unwrap());
                }
                Message::Binary(file) => {
                    let picture =
                        image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg).unwrap();
                    assert_eq!((picture.width(), picture.height()), (640, 360));
                }
                _ => {}
            }
        }
        times
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await }).expect("pictures come")
}
