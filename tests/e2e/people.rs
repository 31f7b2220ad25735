//! Who may do what: roles, tokens, sessions of browsers, two who change the same thing, and the journal.

use fantoccini::Locator;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::browser::{Driver, until};
use crate::stage::{Control, PATIENCE, Server, TOKEN};

fn token(server: &Server, name: &str, role: &str) -> (String, String) {
    let wish = json!({ "name": name, "role": role }).to_string();
    let (status, made) = server.api("POST", "/tokens", wish.as_bytes());
    assert_eq!(status, 200, "{made}");
    (made["tokenId"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

fn operator(server: &Server, name: &str, role: &str, password: &str) {
    let wish = json!({ "role": role, "password": password }).to_string();
    let (status, answer) = server.api("PUT", &format!("/operators/{name}"), wish.as_bytes());
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_string().contains("argon2"), "the hash is nobody's business: {answer}");
}

/// The status of a call with somebody's token.
fn with(server: &Server, token: &str, method: &str, path: &str, body: Value) -> u16 {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.ask(method, path, &[("authorization", &format!("Bearer {token}"))], body.as_bytes()).0
}

fn sign_in(server: &Server, name: &str, password: &str) -> (u16, String) {
    let login = json!({ "name": name, "password": password }).to_string();
    let (status, cookie, _) = server.ask("POST", "/session", &[], login.as_bytes());
    (status, cookie)
}

#[test]
fn each_role_may_what_it_is_for_and_the_journal_says_who_did_what() {
    let server = Server::start();
    server.product("cup", 8900);
    let (_, viewer) = token(&server, "wall display", "viewer");
    let (assistant_id, assistant) = token(&server, "Mei", "assistant");
    let (_, producer) = token(&server, "Stream Deck", "producer");
    let product = |price: i64| json!({ "title": "Pot", "priceMinor": price, "currency": "CNY" });

    assert_eq!(with(&server, &viewer, "GET", "/state", Value::Null), 200);
    assert_eq!(with(&server, &viewer, "PUT", "/products/pot", product(100)), 403);
    assert_eq!(with(&server, &viewer, "POST", "/clear", Value::Null), 403);

    assert_eq!(with(&server, &assistant, "PUT", "/products/pot", product(100)), 200, "not on air");
    assert_eq!(with(&server, &assistant, "PUT", "/cards/pot", json!({ "sku": "pot" })), 200);
    assert_eq!(with(&server, &assistant, "POST", "/cards/pot/show", Value::Null), 403);
    assert_eq!(with(&server, &producer, "POST", "/cards/pot/show", Value::Null), 200);
    assert_eq!(with(&server, &assistant, "PUT", "/products/pot", product(1)), 403, "a price on air");
    assert_eq!(with(&server, &assistant, "POST", "/products/pot/price", json!({ "priceMinor": 1 })), 403);
    assert_eq!(with(&server, &assistant, "PATCH", "/cards/pot", json!({ "title": "x" })), 403);
    assert_eq!(with(&server, &assistant, "POST", "/import", Value::Null), 403);
    assert_eq!(with(&server, &assistant, "POST", "/products/pot/stock", json!({ "stock": 3 })), 200);
    assert_eq!(with(&server, &assistant, "POST", "/clear", Value::Null), 200, "off air is always safe");
    assert_eq!(with(&server, &producer, "POST", "/stream-keys", json!({ "name": "x" })), 403);
    assert_eq!(with(&server, &producer, "GET", "/people", Value::Null), 403);
    assert_eq!(with(&server, &assistant, "GET", "/journal", Value::Null), 403);

    // The same on the WebSocket, and a button.
    let mut control = Control::connect_as(&server, &assistant);
    let you = control.event("StateSnapshot", |_| true)["you"].clone();
    assert_eq!(you, json!({ "name": "Mei", "role": "assistant" }));
    let (status, _) = control.ask("ShowCard", &json!({ "cardId": "pot" }));
    assert_eq!(status["code"], 703, "{status}");
    assert_eq!(server.get(&format!("/api/v1/panic?apikey={viewer}")).0, 403);
    assert_eq!(server.get(&format!("/api/v1/panic?apikey={producer}")).0, 200);

    let (status, journal) = server.api("GET", "/journal?limit=500", b"");
    assert_eq!(status, 200);
    let entries = journal["entries"].as_array().unwrap();
    let shown = entries.iter().find(|entry| entry["request"] == "ShowCard" && entry["rev"].is_u64()).unwrap();
    assert_eq!((&shown["who"], &shown["data"]["cardId"]), (&json!("Stream Deck"), &json!("pot")));
    assert!(shown["programmeMs"]["main"].as_u64().unwrap() > 0, "{shown}");
    let refused = entries.iter().find(|entry| entry["request"] == "SetPrice").unwrap();
    assert!(refused["refused"].as_str().unwrap().contains("producer"), "{refused}");
    let older = server.api("GET", &format!("/journal?limit=2&before={}", shown["n"]), b"").1;
    assert!(older["entries"][0]["n"].as_u64() < shown["n"].as_u64() && older["entries"][1].is_object());
    assert_eq!(server.api("GET", "/journal.csv", b"").0, 200);
    assert_eq!(with(&server, &assistant, "GET", "/journal.csv", Value::Null), 403);

    // An address may hold a key: only an owner sees all of it.
    let source = json!({ "url": "rtsp://me:secret-of-camera@127.0.0.1:9/stream" });
    assert_eq!(with(&server, TOKEN, "PUT", "/channels/main/source", source), 200);
    let told = control.event("SourceChanged", |event| !event["source"].is_null());
    assert_eq!(told["source"]["url"], "rtsp://127.0.0.1:9/…");
    let seen = server.ask("GET", "/state", &[("authorization", &format!("Bearer {viewer}"))], b"").2;
    assert_eq!(seen["sources"]["main"]["url"], "rtsp://127.0.0.1:9/…");
    assert!(server.text_with_token("/api/v1/state").contains("secret-of-camera"));
    assert!(!server.text_with_token("/api/v1/journal").contains("secret-of-camera"));

    // Taken back: at once, and the open connection ends.
    let listed = server.api("GET", "/people", b"").1;
    let mei = listed["tokens"].as_array().unwrap().iter().find(|one| one["name"] == "Mei").unwrap().clone();
    assert!(mei["lastUsed"].is_i64(), "{mei}");
    assert!(listed["present"].to_string().contains("Mei"), "{listed}");
    assert_eq!(server.api("DELETE", &format!("/tokens/{assistant_id}"), b"").0, 200);
    assert_eq!(with(&server, &assistant, "GET", "/state", Value::Null), 401);
    assert_eq!(control.until_closed(), 4009);

    // What is kept opens no door, and a restart forgets nobody.
    let kept = std::fs::read(server.data.0.join("people.db-wal")).unwrap_or_default();
    let kept = [kept, std::fs::read(server.data.0.join("people.db")).unwrap()].concat();
    assert!(!kept.windows(producer.len()).any(|window| window == producer.as_bytes()));
    let server = Server::on(server.kill(), &[]);
    assert_eq!(with(&server, &producer, "POST", "/cards/cup/show", Value::Null), 200);
    assert_eq!(with(&server, &assistant, "GET", "/state", Value::Null), 401);
    Control::connect_as(&server, &producer).request("GetState", &json!({}));
}

/// What a WebSocket with these headers is greeted with.
async fn greeting(server: &Server, cookie: &str, origin: &str) -> (Value, crate::stage::Stream) {
    let mut request = (server.http.replace("http://", "ws://") + "/ws").into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let (mut stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let Some(Ok(Message::Text(text))) = stream.next().await else { panic!("no greeting") };
    (serde_json::from_str(&text).unwrap(), stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_signed_in_needs_no_token_and_no_other_page_can_use_it() {
    tokio::task::spawn_blocking(|| {
        let server = Server::start();
        operator(&server, "Ana", "producer", "correct horse");
        assert_eq!(sign_in(&server, "Ana", "wrong horse").0, 401);
        assert_eq!(sign_in(&server, "Nobody", "correct horse").0, 401);
        let (status, cookie) = sign_in(&server, "Ana", "correct horse");
        assert_eq!(status, 200);

        let own = server.http.clone();
        let call = |method: &str, path: &str, origin: Option<&str>| {
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend(origin.map(|origin| ("origin", origin)));
            server.ask(method, path, &headers, b"").0
        };
        assert_eq!(call("GET", "/state", None), 200);
        assert_eq!(call("POST", "/clear", Some(&own)), 200);
        assert_eq!(call("POST", "/clear", None), 401, "nobody says which page asks");
        assert_eq!(call("POST", "/clear", Some("http://127.0.0.1:1")), 401, "another port is another page");
        assert_eq!(call("POST", "/clear", Some("null")), 401);
        assert_eq!(call("GET", "/panic", Some(&own)), 401, "a picture's address may not press a button");

        let runtime = tokio::runtime::Handle::current();
        let (hello, _) = runtime.block_on(greeting(&server, &cookie, "http://evil.example"));
        assert!(hello["d"]["authentication"].is_object(), "a strange page is asked for a token: {hello}");
        let (hello, mut stream) = runtime.block_on(greeting(&server, &cookie, &own));
        assert!(hello["d"].get("authentication").is_none(), "{hello}");
        let identify = Message::text(json!({ "op": 1, "d": { "rpcVersion": 1 } }).to_string());
        runtime.block_on(stream.send(identify)).unwrap();
        let Some(Ok(Message::Text(text))) = runtime.block_on(stream.next()) else { panic!("closed") };
        assert!(text.contains("negotiatedRpcVersion"), "{text}");

        // Another password: whoever knew the old one is out, at once.
        operator(&server, "Ana", "producer", "another horse");
        let closed = async {
            loop {
                match stream.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                    Some(Ok(_)) => {}
                    _ => return None,
                }
            }
        };
        let closed = runtime.block_on(async { tokio::time::timeout(PATIENCE, closed).await });
        assert_eq!(closed.unwrap(), Some(4009));
        assert_eq!(call("GET", "/state", None), 401);

        let (_, cookie) = sign_in(&server, "Ana", "another horse");
        let headers = [("cookie", cookie.as_str()), ("origin", own.as_str())];
        assert_eq!(server.ask("DELETE", "/session", &headers, b"").0, 204);
        assert_eq!(server.ask("GET", "/state", &headers, b"").0, 401, "signed out");
        let evil = [("cookie", cookie.as_str()), ("origin", "http://evil.example")];
        let login = br#"{"name":"Ana","password":"another horse"}"#;
        assert_eq!(server.ask("POST", "/session", &evil, login).0, 403);
        let tries: Vec<u16> =
            (0..12).map(|n| sign_in(&server, "Ana", &format!("guess number {n}")).0).collect();
        assert_eq!(tries.last(), Some(&429), "{tries:?}");
    })
    .await
    .unwrap();
}

#[test]
fn two_who_change_the_same_thing_do_not_overwrite_each_other_unknowingly() {
    let server = Server::start();
    server.product("cup", 8900);
    server.product("pot", 4900);
    let (mut first, mut second) = (Control::connect(&server), Control::connect(&server));
    let rev = first.request("GetState", &json!({}))["rev"].as_u64().unwrap();
    // Prices elsewhere are in nobody's way.
    second.request("SetPrice", &json!({ "sku": "pot", "priceMinor": 4800 }));
    let mine = json!({ "sku": "cup", "priceMinor": 8000, "ifRev": rev });
    let after = first.request("SetPrice", &mine)["rev"].as_u64().unwrap();
    let (status, answer) = second.ask("SetPrice", &json!({ "sku": "cup", "priceMinor": 1, "ifRev": rev }));
    assert_eq!((&status["code"], &answer["field"]), (&json!(604), &json!("ifRev")));
    assert!(status["comment"].as_str().unwrap().contains("cup"), "{status}");
    second.request("SetPrice", &json!({ "sku": "cup", "priceMinor": 7000, "ifRev": after }));
    assert_eq!(
        first.ask("SetStock", &json!({ "sku": "cup", "stock": 1, "ifRev": after + 100 })).0["code"],
        604
    );
    // What was read before a restart may be old.
    let server = Server::on(server.kill(), &[]);
    let mut first = Control::connect(&server);
    assert_eq!(first.ask("SetPrice", &json!({ "sku": "cup", "priceMinor": 1, "ifRev": rev })).0["code"], 604);
}

#[test]
fn an_edit_is_taken_back_by_whoever_made_it() {
    let server = Server::start();
    server.product("cup", 8900);
    let (_, assistant) = token(&server, "Mei", "assistant");
    let (mut mine, mut hers) = (Control::connect(&server), Control::connect_as(&server, &assistant));
    let price = || server.api("GET", "/state", b"").1["products"]["cup"]["priceMinor"].as_i64();
    hers.request("SetPrice", &json!({ "sku": "cup", "priceMinor": 7890 }));
    mine.request("SetStock", &json!({ "sku": "cup", "stock": 5 }));
    hers.request("Undo", &json!({}));
    assert_eq!(price(), Some(8900));
    assert_eq!(hers.ask("Undo", &json!({})).0["code"], 604, "the rest is not hers");
    assert_eq!(server.api("GET", "/state", b"").1["products"]["cup"]["stock"], 5);
    // Meanwhile on air: it is not hers to change any more, and so not to take back.
    hers.request("SetPrice", &json!({ "sku": "cup", "priceMinor": 7990 }));
    mine.request("ShowCard", &json!({ "cardId": "cup" }));
    assert_eq!(hers.ask("Undo", &json!({})).0["code"], 703);
    assert_eq!(price(), Some(7990));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_lets_an_assistant_in_and_both_see_each_other() {
    let (server, driver) = tokio::task::spawn_blocking(|| {
        let server = Server::start();
        server.product("cup", 8900);
        (server, Driver::start())
    })
    .await
    .unwrap();
    let (owner, assistant) = (driver.open(1360, 1000).await, driver.open(390, 844).await);
    owner.goto(&format!("{}/control#{TOKEN}", server.http)).await.unwrap();
    until(&owner, "the cards", "return document.querySelectorAll('#cards li').length === 1").await;
    owner.find(Locator::Css("#you")).await.unwrap().click().await.unwrap();
    owner.find(Locator::Id("people-open")).await.unwrap().click().await.unwrap();
    for (field, value) in [("name", "Mei"), ("password", "a long password")] {
        let css = format!("#operator-form [name={field}]");
        owner.find(Locator::Css(&css)).await.unwrap().send_keys(value).await.unwrap();
    }
    let choose = "document.querySelector('#operator-form [name=role]').value = 'assistant'";
    owner.execute(choose, Vec::new()).await.unwrap();
    owner.find(Locator::Css("#operator-form button")).await.unwrap().click().await.unwrap();
    until(&owner, "Mei is listed", "return document.getElementById('operators').textContent.includes('Mei')")
        .await;

    assistant.goto(&format!("{}/control", server.http)).await.unwrap();
    until(&assistant, "the form", "return !document.getElementById('login').hidden").await;
    for (field, value) in [("name", "Mei"), ("password", "not the password")] {
        assistant.find(Locator::Id(field)).await.unwrap().send_keys(value).await.unwrap();
    }
    assistant.find(Locator::Css("#login button")).await.unwrap().click().await.unwrap();
    let refused = "return document.getElementById('login-error').textContent.includes('not right')";
    until(&assistant, "refused", refused).await;
    let field = assistant.find(Locator::Id("password")).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys("a long password").await.unwrap();
    assistant.find(Locator::Css("#login button")).await.unwrap().click().await.unwrap();
    let present = "return document.getElementById('present').textContent";
    until(&assistant, "who is here", &format!("{present}.includes('owner')")).await;
    until(&owner, "who has come", &format!("{present}.includes('Mei (assistant)')")).await;
    let cannot = "return document.querySelector('button[data-card=cup]').disabled \
                  && !document.getElementById('panic').disabled && document.getElementById('people-open').hidden";
    until(&assistant, "an assistant's buttons", cannot).await;
    // A page that is opened again knows who it is.
    assistant.refresh().await.unwrap();
    until(&assistant, "signed in still", &format!("{present}.includes('owner')")).await;
    let fits = "return document.documentElement.scrollWidth <= window.innerWidth";
    until(&assistant, "no sideways scrolling on a phone", fits).await;

    owner.find(Locator::Css("#operators li button")).await.unwrap().click().await.unwrap();
    let out = "return document.getElementById('room').hidden && !document.getElementById('login').hidden";
    until(&assistant, "let in no more", out).await;
    owner.close().await.unwrap();
    assistant.close().await.unwrap();
}
