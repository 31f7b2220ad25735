//! A practice that no viewer sees, and how far each card is.

use serde_json::json;

use crate::stage::{Control, Server, until};

#[test]
fn nothing_of_a_practice_reaches_viewers() {
    let server = Server::start();
    server.product("cup", 8900);
    let mut control = Control::connect(&server);
    control.request("SetPractice", &json!({ "isOn": true }));
    control.event("PracticeChanged", |event| event["isOn"] == true);
    let shown =
        control.request("ShowCard", &json!({ "cardId": "cup", "skipAnimation": true }))["rev"].clone();
    let airing = control.event("CardShown", |event| event["airing"]["cardId"] == "cup");
    assert_eq!(airing["airing"]["isPractice"], true);
    let status =
        control.event("ChannelStatusChanged", |status| status["drawnRev"].as_u64() >= shown.as_u64());
    assert_eq!(status["cards"], json!([]), "it is in no picture");
    let segment = server.live_segment() + 1;
    assert_eq!(server.qr_in(segment), None);
    assert!(!server.text("/live/main/video.m3u8").contains("vitrine.airing"));
    // Still so after a crash.
    drop(control);
    let server = server.again(&[]);
    assert_eq!(server.api("GET", "/state", b"").1["practice"], json!(["main"]));
    assert_eq!(server.qr_in(server.live_segment() + 1), None);
    // A card on air is not lost to a key that means something else.
    assert_eq!(server.api("PUT", "/channels/main/practice", br#"{"isOn":false}"#).0, 200);
    assert_eq!(server.api("GET", "/state", b"").1["airings"], json!([]), "what was practised with is gone");
    assert_eq!(server.api("POST", "/cards/cup/show", b"").0, 200);
    let (status, refused) = server.api("PUT", "/channels/main/practice", br#"{"isOn":true}"#);
    assert!(status == 409 && refused["detail"].to_string().contains("on air"), "{refused}");
    until("the card, for everybody", || server.qr_in(server.live_segment()));
}

#[test]
fn a_card_is_coming_then_on_air_then_going_and_then_gone() {
    let server = Server::start();
    server.product("cup", 8900);
    let mut control = Control::connect(&server);
    control.request("ShowCard", &json!({ "cardId": "cup" }));
    let mut phases = Vec::new();
    let is_in = |status: &serde_json::Value| status["cards"][0]["phase"].as_str().map(str::to_owned);
    for wanted in ["coming", "onAir"] {
        let status = control.event("ChannelStatusChanged", |status| is_in(status).as_deref() == Some(wanted));
        phases.push(status["programmeMs"].as_u64().unwrap());
    }
    control.request("HideCard", &json!({ "cardId": "cup" }));
    let going = control.event("ChannelStatusChanged", |status| is_in(status).as_deref() == Some("going"));
    let gone = control.event("ChannelStatusChanged", |status| is_in(status).is_none());
    phases.extend([going["programmeMs"].as_u64().unwrap(), gone["programmeMs"].as_u64().unwrap()]);
    assert!(phases.is_sorted(), "{phases:?}");
    assert_eq!(going["cards"][0]["cardId"], "cup");
    assert!(phases[3] - phases[2] < 2000, "its way out takes less than a second: {phases:?}");
}
