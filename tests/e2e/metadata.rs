//! The join: what is burned into a frame and what the playlist says of that frame are one.

use std::collections::BTreeMap;

use mp4_atom::{Any, Decode, EmsgTimestamp};
use serde_json::{Value, json};
use vitrine::time::WallTime;

use crate::cards::{difference, drawn_frame, frames_from};
use crate::pace::in_time;
use crate::stage::{Control, Server, until};

/// The ranges in a playlist, by their attributes.
fn ranges(text: &str) -> Vec<BTreeMap<String, String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-DATERANGE:"));
    lines.map(attributes).collect()
}

fn attributes(line: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = line;
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').unwrap();
                (value, after.trim_start_matches(','))
            }
            None => value.split_once(',').unwrap_or((value, "")),
        };
        found.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    found
}

/// The frame, counted from the channel's start, that a date names by the playlist's own dates.
fn frame_of(text: &str, date: &str) -> u64 {
    let wall = |date: &str| WallTime::parse(date).unwrap().0;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    let first_date = wall(lines.next().unwrap());
    let first = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap();
    let first: u64 = first.parse().unwrap();
    let frames = ((wall(date) - first_date) as f64 * 30.0 / 1000.0).round();
    first * 60 + frames as u64
}

/// The programme has come to a frame.
fn until_frame(server: &Server, frame: u64) {
    until("the programme goes on", || {
        (server.channel()["programmeMs"].as_u64()? * 30 / 1000 > frame).then_some(())
    });
}

#[test]
fn picture_and_metadata_say_the_same_of_the_same_frame() {
    in_time(|server| {
        server.product("cup", 8900);
        assert_eq!(server.api("PUT", "/cards/cup", br#"{"sku":"cup"}"#).0, 200);
        let mut control = Control::connect(server);
        let rev =
            control.request("ShowCard", &json!({ "cardId": "cup", "skipAnimation": true }))["rev"].clone();
        let shown = drawn_frame(&mut control, &rev);
        until_frame(server, shown + 40);
        let set = json!({ "sku": "cup", "priceMinor": 5900, "skipAnimation": true });
        let rev = control.request("SetPrice", &set)["rev"].clone();
        let changed = drawn_frame(&mut control, &rev);
        until_frame(server, changed + 90);
        let rev =
            control.request("HideCard", &json!({ "cardId": "cup", "skipAnimation": true }))["rev"].clone();
        let gone = drawn_frame(&mut control, &rev);
        let text = until("both ranges, with their ends", || {
            let text = server.text("/live/main/video.m3u8");
            let found = ranges(&text);
            (found.len() == 2 && found.iter().all(|range| range.contains_key("END-DATE"))).then_some(text)
        });
        let told = ranges(&text);
        let prices: Vec<&str> = told.iter().map(|range| range["X-PRICE-MINOR"].as_str()).collect();
        assert_eq!(prices, ["8900", "5900"]);
        assert_ne!(told[0]["ID"], told[1]["ID"], "a player never reads an id again");
        assert_eq!(told[0]["END-DATE"], told[1]["START-DATE"]);
        until("the same in every rendition", || {
            (ranges(&server.text("/live/main/audio.m3u8")) == told).then_some(())
        });
        // The frames that the playlist names, in its own rectangle of the picture.
        let frames = [&told[0]["START-DATE"], &told[1]["START-DATE"], &told[1]["END-DATE"]];
        let [begins, changes, ends] = frames.map(|date| frame_of(&text, date));
        assert!(begins <= shown && changes <= changed && ends <= gone);
        let rectangle: Vec<f64> = told[0]["X-RECT"].split(',').map(|share| share.parse().unwrap()).collect();
        let pixels = |share: f64, of: f64| (share * of / 2.0).round() as u32 * 2;
        let crop = (
            pixels(rectangle[0], 1280.0),
            pixels(rectangle[1], 720.0),
            pixels(rectangle[2], 1280.0),
            pixels(rectangle[3], 720.0),
        );
        let (start, pictures) = frames_from(server, begins - 1, (ends / 60) - (begins - 1) / 60 + 1, crop);
        let moved = |n: u64| difference(&pictures[(n - 1 - start) as usize], &pictures[(n - start) as usize]);
        assert!(
            moved(begins) > 20.0,
            "the card is not in the frame before, and in this one: {}",
            moved(begins)
        );
        assert!(moved(changes) > 0.2, "another price from this frame on: {}", moved(changes));
        assert!(moved(ends) > 20.0, "gone from this frame on: {}", moved(ends));
        let quiet = (begins + 1..ends).filter(|n| *n != changes).map(moved).fold(0.0, f64::max);
        assert!(quiet < moved(changes), "nothing else changes in it: {quiet}");
        // What the phone reads from that picture is what the player is told.
        assert_eq!(
            server.qr_in(ends / 60).or_else(|| server.qr_in(ends / 60 - 1)),
            Some(told[0]["X-LINK"].clone())
        );
        // And the media itself says it, at the same frames. What begins takes the place of what was said of that airing.
        let heard = events(server, begins / 60..=ends / 60 + 1);
        let said = |change: &str, range: &BTreeMap<String, String>| (change.to_owned(), range["ID"].clone());
        assert_eq!(
            heard,
            [
                (begins, said("begin", &told[0])),
                (changes, said("begin", &told[1])),
                (ends, said("end", &told[1]))
            ]
        );
    });
}

/// What the segments themselves tell: the frame, the change, and the id of the range.
fn events(server: &Server, segments: std::ops::RangeInclusive<u64>) -> Vec<(u64, (String, String))> {
    let mut found = Vec::new();
    for segment in segments {
        let bytes = server.segment("video", segment);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let Any::Emsg(emsg) = Any::decode(&mut rest).unwrap() else { continue };
            assert_eq!(emsg.scheme_id_uri, "https://aomedia.org/emsg/ID3");
            let EmsgTimestamp::Absolute(ticks) = emsg.presentation_time else { panic!("relative") };
            let text = emsg.message_data.rsplit(|byte| *byte == 0).next().unwrap();
            let text: Value = serde_json::from_slice(text).unwrap();
            let word = |name: &str| text[name].as_str().unwrap().to_owned();
            assert!(text["event"] == "end" || text["X-SKU"] == "cup");
            let frame = (ticks as f64 * 30.0 / f64::from(emsg.timescale)).round() as u64;
            found.push((frame, (word("event"), word("id"))));
        }
    }
    found
}

#[test]
fn ranges_are_there_again_after_a_kill_and_one_that_goes_on_is_one() {
    let address = ["--public-url", "https://shop.example"];
    let server = Server::with(&address);
    server.product("cup", 8900);
    assert_eq!(server.api("PUT", "/cards/cup", br#"{"sku":"cup"}"#).0, 200);
    assert_eq!(server.api("POST", "/cards/cup/show", b"{}").0, 200);
    let before = until("the range on disk", || {
        let told = ranges(&server.text("/live/main/video.m3u8"));
        let kept = std::fs::read_to_string(server.data.0.join("hls/main/ranges.json")).ok()?;
        told.first().filter(|range| kept.contains(&range["ID"])).cloned()
    });
    // At least one segment has to be there again for the range to be of use.
    let segment = server.live_segment();
    server.segment("video", segment);
    let server = Server::on(server.kill(), &address);
    let after = ranges(&server.text("/live/main/video.m3u8"));
    assert_eq!(after, std::slice::from_ref(&before), "the same airing, the same id, the same first frame");
    assert_eq!(server.api("POST", "/cards/cup/hide", b"{}").0, 200);
    until("its end", || {
        let told = ranges(&server.text("/live/main/video.m3u8"));
        (told.len() == 1 && told[0].contains_key("END-DATE") && told[0]["ID"] == before["ID"]).then_some(())
    });
}

#[test]
fn a_producers_own_words_reach_players_whole_and_not_too_often() {
    let server = Server::start();
    server.text("/live/main/video.m3u8"); // on air
    let words = r#"{"name":"poll","data":"100 % \"wow\""}"#;
    let post = |text: &str| {
        let body = json!({ "metadata": text }).to_string();
        server.api("POST", "/channels/main/metadata", body.as_bytes())
    };
    assert_eq!(post(words).0, 204);
    let told = until("the words", || {
        ranges(&server.text("/live/main/video.m3u8"))
            .into_iter()
            .find(|range| range["CLASS"] == "vitrine.metadata")
    });
    let given = told["X-METADATA"].replace("%22", "\"").replace("%25", "%");
    assert_eq!(given, words);
    let (status, problem) = post(&"x".repeat(1025));
    assert_eq!((status, &problem["field"]), (400, &json!("metadata")));
    assert_eq!(server.api("POST", "/channels/tv/metadata", br#"{"metadata":"x"}"#).0, 404);
    let statuses: Vec<u16> = (0..30).map(|_| post("x").0).collect();
    assert!(statuses.contains(&429) && statuses.contains(&204), "{statuses:?}");
}

#[test]
fn what_is_explained_stays_beyond_its_time_and_players_are_told() {
    let server = Server::start();
    for (sku, price_minor) in [("cup", 8900), ("pot", 12_900)] {
        server.product(sku, price_minor);
    }
    assert_eq!(server.api("PUT", "/cards/cup", br#"{"sku":"cup","outMs":2000}"#).0, 200);
    let mut control = Control::connect(&server);
    control.request("ShowCard", &json!({ "cardId": "cup" }));
    control.request("PinProduct", &json!({ "sku": "cup" }));
    let airing = control.event("CardPinned", |event| event["airing"]["cardId"] == "cup")["airing"].clone();
    let since = airing["sinceProgramme"].as_u64().unwrap() / 1_000_000_000;
    until_frame(&server, (since + 4) * 30);
    let state = server.api("GET", "/state", b"").1;
    assert_eq!(state["airings"][0]["isPinned"], true, "its two seconds are over: {state}");
    let pinned = |text: &str| {
        ranges(text)
            .iter()
            .any(|one| one.get("X-PINNED").is_some_and(|is| is == "YES") && one["X-SKU"] == "cup")
    };
    until("players know", || pinned(&server.text("/live/main/video.m3u8")).then_some(()));
    assert_eq!(server.channel()["cards"][0]["phase"], "onAir");
    let rev = control.request("PinProduct", &json!({ "sku": "pot" }))["rev"].clone();
    let hidden = control.event("CardHidden", |event| event["rev"] == rev);
    let shown = control.event("CardShown", |event| event["rev"] == rev);
    assert_eq!((&hidden["airing"]["cardId"], &shown["airing"]["isPinned"]), (&json!("cup"), &json!(true)));
    let (status, _) = control.ask("PinProduct", &json!({ "sku": "nosuch" }));
    assert_eq!(status["code"], 600, "{status}");
}
