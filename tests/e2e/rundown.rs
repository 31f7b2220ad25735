//! A show by its rundown: by programs alone, and by two producers at two pages.

use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::{Driver, until};
use crate::stage::{Control, Server, TOKEN};

/// A server with three products, each on a card.
fn shop() -> Server {
    let server = Server::start();
    for (sku, price_minor) in [("cup", 8900), ("pot", 12_900), ("mat", 1900)] {
        server.product(sku, price_minor);
    }
    server
}

fn send(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = server.api(method, path, body.to_string().as_bytes());
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

fn lines(server: &Server) -> Vec<String> {
    let rundown = server.api("GET", "/rundowns/friday", b"").1["rundown"].clone();
    rundown["items"].as_array().unwrap().iter().map(|item| item["itemId"].as_str().unwrap().into()).collect()
}

/// Both pictures are there, and the card's corner lets through what is behind it.
const NEXT: &str = "
    const [under, over] = document.querySelectorAll('.over img');
    if (!(under.naturalWidth > 300 && over.naturalWidth > 300)) return false;
    const canvas = document.createElement('canvas');
    const pen = canvas.getContext('2d');
    pen.drawImage(over, 0, 0);
    return pen.getImageData(2, 2, 1, 1).data[3] === 0;";

fn on_air(server: &Server) -> Vec<String> {
    let state = server.api("GET", "/state", b"").1;
    state["airings"].as_array().unwrap().iter().map(|one| one["cardId"].as_str().unwrap().into()).collect()
}

#[test]
fn programs_alone_run_a_show_and_a_restart_goes_on_where_it_was() {
    let server = shop();
    let items = json!([{ "title": "Kitchen" }, { "cardId": "cup", "notes": "hold it up" }, { "cardId": "pot", "isDraft": true }]);
    send(&server, "PUT", "/rundowns/friday", &json!({ "title": "Friday", "items": items }));
    send(&server, "POST", "/rundowns/friday/items", &json!({ "cardId": "mat" }));
    assert_eq!(lines(&server), ["section", "cup", "pot", "mat"]);
    send(&server, "POST", "/rundowns/friday/items/mat/move", &json!({ "before": "cup" }));
    send(&server, "POST", "/rundowns/friday/items/cup/duplicate", &json!({}));
    assert_eq!(lines(&server), ["section", "mat", "cup", "cup-2", "pot"]);
    send(&server, "DELETE", "/rundowns/friday/items/cup-2", &json!({}));
    send(&server, "PUT", "/channels/main/rundown", &json!({ "rundownId": "friday" }));
    send(&server, "POST", "/channels/main/take", &json!({}));
    assert_eq!(on_air(&server), ["mat"]);

    let server = server.again(&[]);
    let mut producer = Control::connect(&server);
    producer.request("Take", &json!({}));
    assert_eq!(on_air(&server), ["cup"], "the next one, in the same place");
    let (status, _) = producer.ask("Take", &json!({}));
    assert_eq!(
        (status["result"].as_bool(), status["code"].as_u64()),
        (Some(false), Some(604)),
        "the end: {status}"
    );
    producer.request("CueItem", &json!({ "itemId": "mat" }));
    producer.request("SwapCard", &json!({ "cardId": "mat" }));
    producer.request("AdvanceCard", &json!({ "cardId": "mat" }));
    assert!(on_air(&server).is_empty(), "it has one step: out");
    let (status, answer) = server.api("PUT", "/rundowns/friday", br#"{ "title": "Friday", "itmes": [] }"#);
    assert_eq!((status, &answer["field"]), (400, &json!("itmes")));
    let (status, answer) = server.api("DELETE", "/cards/cup", b"");
    assert_eq!((status, &answer["field"]), (409, &json!("cardId")), "it is in a rundown");
    assert_eq!(server.api("GET", "/rundowns/nosuch", b"").0, 404);
}

#[test]
fn a_rundown_is_taken_to_another_server_with_all_that_it_needs() {
    let server = shop();
    let items = json!([{ "cardId": "cup", "notes": "first\nslowly" }, { "cardId": "mat" }]);
    send(&server, "PUT", "/rundowns/friday", &json!({ "title": "Friday", "items": items }));
    let mut bundle = server.api("GET", "/rundowns/friday/export", b"").1;
    assert_eq!(bundle["cards"].as_array().map(Vec::len), Some(2), "no card that it does not show: {bundle}");
    let other = Server::start();
    send(&other, "POST", "/rundowns/import", &bundle);
    assert_eq!(other.api("GET", "/rundowns/friday/export", b"").1, bundle);
    // With one mistake nothing of it is taken.
    let rev = other.api("GET", "/state", b"").1["rev"].clone();
    bundle["products"][0]["title"] = json!("Another cup");
    bundle["cards"][1]["template"] = json!("nosuch");
    let (status, answer) = other.api("POST", "/rundowns/import", bundle.to_string().as_bytes());
    assert_eq!((status, &answer["field"]), (400, &json!("template")));
    assert_eq!(other.api("GET", "/state", b"").1["rev"], rev);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_producers_at_two_pages_run_one_rundown() {
    let (server, driver) = tokio::task::spawn_blocking(|| (shop(), Driver::start())).await.unwrap();
    let address = format!("{}/control#{TOKEN}", server.http);
    let (first, second) = (driver.open(1360, 1000).await, driver.open(390, 844).await);
    for client in [&first, &second] {
        client.goto(&address).await.unwrap();
    }
    // A rundown by hand: its title, a heading, three cards.
    let click =
        async |css: &str| first.wait().for_element(Locator::Css(css)).await.unwrap().click().await.unwrap();
    until(&first, "the cards", "return document.querySelectorAll('#cards li').length === 3").await;
    click("#rundown-new").await;
    first.find(Locator::Css("#rundown-form [name=title]")).await.unwrap().send_keys("Friday").await.unwrap();
    click("#rundown-form [value=save]").await;
    until(&first, "it is chosen", "return !document.getElementById('rundown').hidden").await;
    let add = "document.querySelector('#cards li[data-card=\"CARD\"] .row button:last-child').click()";
    for (count, card) in ["mat", "cup", "pot"].iter().enumerate() {
        first.execute(&add.replace("CARD", card), Vec::new()).await.unwrap();
        let there = format!("return document.querySelectorAll('#items li').length === {}", count + 1);
        until(&first, "the line", &there).await;
        until(&second, "the line, at the other page", &there).await;
    }
    assert_eq!(lines(&server), ["mat", "cup", "pot"]);
    // The next card is drawn over the picture that is on air.
    until(&first, "the next card over the picture", NEXT).await;
    click("#take").await;
    let tally =
        |count: u32| format!("return document.getElementById('tally').textContent === 'ON AIR: {count}'");
    until(&second, "on air, at the other page", &tally(1)).await;
    assert_eq!(on_air(&server), ["mat"]);
    let next = |words: &str| format!("return document.getElementById('next-name').textContent === '{words}'");
    let title = server.api("GET", "/state", b"").1["products"]["cup"]["title"].as_str().unwrap().to_owned();
    until(&second, "the next one is known there", &next(&title)).await;

    // Keys: down to the second line, on air, moved up, out.
    let body = first.find(Locator::Css("body")).await.unwrap();
    let press = async |keys: &str| body.send_keys(keys).await.unwrap();
    press(&Key::Down).await;
    press(&Key::Down).await;
    until(
        &first,
        "the second line is chosen",
        "return document.querySelector('#items .is-chosen')?.dataset.item === 'cup'",
    )
    .await;
    press(" ").await;
    until(
        &first,
        "the second card",
        "return Boolean(document.querySelector('#items .is-on[data-item=cup]'))",
    )
    .await;
    press("d").await;
    until(&first, "a copy", "return document.querySelectorAll('#items li').length === 4").await;
    first.find(Locator::Id("item-up")).await.unwrap().click().await.unwrap();
    until(&second, "moved", "return document.querySelector('#items li').dataset.item === 'cup'").await;
    assert_eq!(lines(&server), ["cup", "mat", "cup-2", "pot"]);
    press(&Key::Escape).await;
    until(&second, "all out", "return document.getElementById('tally').textContent === 'Nothing on air'")
        .await;
    // A search leaves what fits.
    first.find(Locator::Id("rundown-search")).await.unwrap().send_keys("pot").await.unwrap();
    until(&first, "one line", "return document.querySelectorAll('#items li').length === 1").await;
    // The show is over, for both.
    click("main .menu summary").await;
    click("#rundown-archive").await;
    until(&second, "no rundown", "return document.getElementById('rundown').hidden").await;
    assert_eq!(server.api("GET", "/rundowns", b"").1["rundowns"][0]["isArchived"], true);
    for client in [first, second] {
        client.close().await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(30), tokio::task::spawn_blocking(move || drop(server)))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_sees_what_is_on_air_and_what_comes_next() {
    let (server, driver) = tokio::task::spawn_blocking(|| {
        let server = shop();
        let items = json!({ "title": "Friday", "items": [
            { "cardId": "cup", "notes": "hold it up" }, { "cardId": "pot", "notes": "lid off" }, { "cardId": "mat" },
        ] });
        assert_eq!(server.api("PUT", "/rundowns/friday", items.to_string().as_bytes()).0, 200);
        assert_eq!(server.api("PUT", "/channels/main/rundown", br#"{"rundownId":"friday"}"#).0, 200);
        assert_eq!(server.api("POST", "/channels/main/take", b"").0, 200);
        let screen = json!({ "role": "viewer", "password": "on the tablet" });
        assert_eq!(server.api("PUT", "/operators/host", screen.to_string().as_bytes()).0, 200);
        (server, Driver::start())
    })
    .await
    .unwrap();
    let client = driver.open(1180, 820).await;
    client.goto(&format!("{}/host", server.http)).await.unwrap();
    for (field, value) in [("name", "host"), ("password", "on the tablet")] {
        let field = client.wait().for_element(Locator::Id(field)).await.unwrap();
        field.send_keys(value).await.unwrap();
    }
    client.find(Locator::Css("#login button")).await.unwrap().click().await.unwrap();
    let text = |id: &str, word: &str| {
        format!("return document.getElementById('{id}').textContent.includes('{word}')")
    };
    until(&client, "its own notes", &text("on-air", "hold it up")).await;
    until(&client, "the next one's", &text("next-notes", "lid off")).await;
    until(&client, "its price", "return Boolean(document.querySelector('#on-air .price').textContent)").await;
    assert_eq!(server.api("POST", "/products/cup/stock", br#"{"stock":3}"#).0, 200);
    until(&client, "the stock, at once", &text("on-air", "3 left")).await;
    assert_eq!(server.api("POST", "/channels/main/take", b"").0, 200);
    until(&client, "the next card", &text("on-air", "lid off")).await;
    until(&client, "nobody publishes", &text("live", "do not see you")).await;
    let fits = "return document.documentElement.scrollWidth <= window.innerWidth";
    until(&client, "no sideways scrolling", fits).await;
    client.close().await.unwrap();
}
