//! Buttons: addresses that do one thing, a picture for each, and the state that they show. And AMCP.

use std::process::Command;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::stage::{PATIENCE, Server, TOKEN, run};

fn press(server: &Server, path: &str) -> u16 {
    let mark = if path.contains('?') { '&' } else { '?' };
    server.get(&format!("/api/v1{path}{mark}apikey={TOKEN}")).0
}

/// What is pushed, until it is as wanted.
async fn pushed(
    socket: &mut (impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
    is_it: impl Fn(&Value) -> bool,
) -> Value {
    let wait = async {
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
            let told: Value = serde_json::from_str(&text).unwrap();
            if is_it(&told) {
                return told;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it is pushed")
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_take_a_show_through_and_show_where_it_is() {
    let server = tokio::task::spawn_blocking(|| {
        let server = Server::start();
        server.product("cup", 8900);
        server.product("pot", 12_900);
        let items = json!({ "title": "Friday", "items": [{ "cardId": "cup", "notes": "hold it up" }, { "cardId": "pot" }] });
        assert_eq!(server.api("PUT", "/rundowns/friday", items.to_string().as_bytes()).0, 200);
        server
    })
    .await
    .unwrap();
    let address = format!("{}/ws/state", server.http.replacen("http", "ws", 1));
    assert!(tokio_tungstenite::connect_async(format!("{address}?token=wrong")).await.is_err());
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("{address}?token={TOKEN}")).await.unwrap();
    let first = pushed(&mut socket, |_| true).await;
    assert_eq!((&first["onAirCount"], &first["next"]), (&json!(0), &Value::Null), "{first}");
    assert!(first.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()), "flat");

    assert_eq!(server.get("/api/v1/rundown/load?file=friday").0, 401, "a password is wanted");
    assert_eq!(server.get("/api/v1/item/play?apikey=wrong").0, 401);
    assert_eq!(press(&server, "/item/play"), 409, "nothing is cued");
    assert_eq!(press(&server, "/rundown/load?file=friday.json"), 200);
    let next = pushed(&mut socket, |told| told["next"] == "cup").await;
    assert_eq!(next["nextNotes"], "hold it up");
    assert_eq!(press(&server, "/rundown/focusNext"), 200);
    assert_eq!(press(&server, "/rundown/focusNext"), 409, "it ends there");
    assert_eq!(press(&server, "/rundown/focusPrevious"), 200);
    assert_eq!(press(&server, "/item/play"), 200);
    assert_eq!(press(&server, "/item/play/pot"), 200, "a line by its name");
    let told = pushed(&mut socket, |told| told["onAirCount"] == 1 && told["onAir"] == "pot").await;
    assert_eq!(told["next"], "cup", "playing a line moves nothing");

    let corner = |card: &str| {
        let (status, data) = server.get(&format!("/api/v1/cards/{card}/button.jpg?apikey={TOKEN}"));
        assert_eq!(status, 200);
        let picture = image::load_from_memory_with_format(&data, image::ImageFormat::Jpeg).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (144, 144));
        picture.get_pixel(2, 72).0
    };
    let ([red, green, _], [next_red, next_green, _]) = (corner("pot"), corner("cup"));
    assert!(red > 180 && green < 80, "on air is red around");
    assert!(next_red > 200 && next_green > 130, "next is yellow around");
    assert_eq!(server.get(&format!("/api/v1/cards/nosuch/button.jpg?apikey={TOKEN}")).0, 404);

    assert_eq!(press(&server, "/rundown/stopAllLayers"), 200);
    pushed(&mut socket, |told| told["onAirCount"] == 0).await;
    assert_eq!(press(&server, "/rundown/take"), 200);
    pushed(&mut socket, |told| told["onAir"] == "cup" && told["next"] == "pot").await;
    assert_eq!(press(&server, "/panic"), 200);
    assert_eq!(press(&server, "/item/explode/cup"), 404);
    pushed(&mut socket, |told| told["onAirCount"] == 0).await;
}

#[test]
fn an_outside_casparcg_client_puts_graphics_on_and_off() {
    let server = Server::with(&["--amcp", "127.0.0.1:0"]);
    server.product("cup", 8900);
    let guess = json!({ "template": "hidden-price", "sku": "cup" });
    assert_eq!(server.api("PUT", "/cards/guess", guess.to_string().as_bytes()).0, 200);
    let endpoints = std::fs::read_to_string(server.data.0.join("endpoints.json")).unwrap();
    let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
    let (host, port) = endpoints["amcp"].as_str().unwrap().rsplit_once(':').unwrap();
    let api = format!("{}/api/v1", server.http);
    run(Command::new("node").args(["tests/oracle/amcp.mjs", host, port, &api, TOKEN]));
}

#[tokio::test]
async fn amcp_answers_each_line_by_its_number_and_closes_on_one_without_end() {
    let server = tokio::task::spawn_blocking(|| Server::with(&["--amcp", "127.0.0.1:0"])).await.unwrap();
    let endpoints = std::fs::read_to_string(server.data.0.join("endpoints.json")).unwrap();
    let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
    let stream = tokio::net::TcpStream::connect(endpoints["amcp"].as_str().unwrap()).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut lines = tokio::io::BufReader::new(reader).lines();
    for (line, answers) in [
        ("VERSION", vec!["201 VERSION OK", concat!("Vitrine ", env!("CARGO_PKG_VERSION"))]),
        ("REQ 7 CLEAR 1", vec!["RES 7 202 CLEAR OK"]),
        ("CLEAR 4", vec!["401 CLEAR ERROR"]),
        ("CG 1-20", vec!["402 CG ERROR"]),
        ("CG 1-20 UPDATE 1 \"<templateData/>\"", vec!["403 CG ERROR"]),
        ("MIXER 1-1 FILL 0 0 1 1", vec!["400 ERROR", "MIXER 1-1 FILL 0 0 1 1"]),
    ] {
        writer.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        for answer in answers {
            let told = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            assert_eq!(told.as_deref(), Some(answer), "{line}");
        }
    }
    let _ = writer.write_all(&vec![b'x'; 1 << 20]).await; // it may be closed before the end
    let ended = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap();
    assert!(matches!(ended, Ok(None) | Err(_)), "{ended:?}");
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[test]
fn ografs_clients_load_play_change_and_clear_graphics() {
    let server = Server::start();
    server.product("cup", 8900);
    let renderer = format!("{}/ograf/v1/renderers/main", server.http);
    let ask = |method: &str, end: &str, body: &Value| -> (u16, Value) {
        let request = ureq::http::Request::builder().method(method).uri(format!("{renderer}{end}"));
        let request =
            request.header("authorization", format!("Bearer {TOKEN}")).body(body.to_string()).unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut response = agent.run(request).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    };
    let act = |id: &Value, action: &str, params: Value| {
        let body =
            json!({ "renderTarget": { "slot": "upper-left" }, "graphicInstanceId": id, "params": params });
        ask("POST", &format!("/target/graphicInstance/{action}"), &body)
    };
    let load = |graphic: &str, data: Value| {
        let body = json!({ "renderTarget": { "slot": "upper-left" }, "graphicId": graphic, "params": { "data": data } });
        ask("POST", "/target/graphicInstance/load", &body)
    };
    let on_air = || server.api("GET", "/state", b"").1["airings"].as_array().unwrap().len();
    let (status, loaded) = load("hidden-price", json!({ "sku": "cup" }));
    assert_eq!(status, 200, "{loaded}");
    let id = &loaded["graphicInstanceId"];
    assert_eq!((act(id, "playAction", json!({})).1["currentStep"].clone(), on_air()), (json!(1), 1));
    assert_eq!(act(id, "playAction", json!({})).1["currentStep"], 2);
    assert_eq!(act(id, "playAction", json!({ "goto": 1 })).0, 550, "it does not go back");
    assert_eq!(act(id, "updateAction", json!({ "data": { "nosuch": 1 } })).0, 550);
    assert_eq!((act(id, "stopAction", json!({})).0, on_air()), (200, 0));
    assert_eq!(load("nosuch", json!({})).0, 404);
    assert_eq!(act(&json!("nosuch"), "playAction", json!({})).0, 404);
    assert_eq!(ask("POST", "/target/graphicInstance/load", &json!([1])).0, 400);
    // What others put on air is an instance as well.
    assert_eq!(server.api("PUT", "/cards/cup", br#"{"sku":"cup","slot":"upper-left"}"#).0, 200);
    assert_eq!(server.api("POST", "/cards/cup/show", b"").0, 200);
    let there = ask("GET", "", &Value::Null).1["renderer"]["renderTargets"].clone();
    let there =
        there.as_array().unwrap().iter().find(|one| one["name"] == "upper-left").unwrap()["graphicInstances"]
            .clone();
    assert_eq!(there.as_array().unwrap().len(), 2, "{there}");
    let (status, cleared) =
        ask("PUT", "/target/graphicInstance/clear", &json!({ "filters": [{ "graphicId": "product" }] }));
    assert_eq!(
        (status, &cleared["graphicInstances"][0]["graphicInstanceId"], on_air()),
        (200, &json!("cup"), 0)
    );
    assert_eq!(
        ask("PUT", "/target/graphicInstance/clear", &json!({ "filters": [] })).1["graphicInstances"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let cards = server.api("GET", "/cards", b"").1["cards"].clone();
    assert_eq!(
        cards.as_array().unwrap().len(),
        1,
        "what was loaded is gone, what others made is there: {cards}"
    );
}
