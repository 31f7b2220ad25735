//! The pages in a real Chromium, driven over `WebDriver`.

use std::process::{Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::stage::{PATIENCE, Process, Server, TOKEN, clip};

/// A driver on a free port.
pub(crate) struct Driver {
    _process: Process,
    url: String,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = if Command::new("chromedriver").arg("--version").output().is_ok() {
            "chromedriver"
        } else {
            "chromium.chromedriver"
        };
        let process = Command::new(program)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        crate::stage::until("chromedriver", || std::net::TcpStream::connect(&address).ok());
        Self { _process: Process(process), url: format!("http://{address}") }
    }

    pub(crate) async fn open(&self, width: u32, height: u32) -> Client {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-quic",
            "--autoplay-policy=no-user-gesture-required",
            &format!("--window-size={width},{height}"),
        ];
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let serde_json::Value::Object(capabilities) = options else { panic!("an object") };
        ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&self.url).await.unwrap()
    }
}

/// Waits until a script returns true.
pub(crate) async fn until(client: &Client, what: &str, script: &str) {
    let wait = async {
        while client.execute(script, Vec::new()).await.unwrap() != json!(true) {
            tokio::time::sleep(Duration::from_millis(50)).await; // between two looks
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        let page = client.source().await.unwrap_or_default();
        panic!("waited {PATIENCE:?} for: {what}\n{page}");
    }
}

/// Spread of the decoded picture's brightness: a blank picture has none.
const PICTURE: &str = "
    const video = document.querySelector('video');
    const canvas = document.createElement('canvas');
    canvas.width = 64; canvas.height = 36;
    const pen = canvas.getContext('2d');
    pen.drawImage(video, 0, 0, 64, 36);
    const data = pen.getImageData(0, 0, 64, 36).data;
    let least = 255, most = 0;
    for (let n = 0; n < data.length; n += 4) { least = Math.min(least, data[n]); most = Math.max(most, data[n]); }
    return most - least > 60;";

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_page_plays_at_once_and_goes_on() {
    let (server, driver) = tokio::task::spawn_blocking(|| (Server::start(), Driver::start())).await.unwrap();
    let _host = server.publish(clip());
    let client = driver.open(412, 915).await;
    client.goto(&format!("{}/watch/main", server.http)).await.unwrap();
    until(&client, "the video plays", "return document.querySelector('video').currentTime > 0").await;
    client.execute("window.before = document.querySelector('video').currentTime", Vec::new()).await.unwrap();
    until(&client, "time advances", "return document.querySelector('video').currentTime > window.before + 2")
        .await;
    until(&client, "the picture is not blank", PICTURE).await;
    let fits = "return document.documentElement.scrollWidth <= window.innerWidth";
    until(&client, "no sideways scrolling on a phone", fits).await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_page_puts_a_card_on_air_and_takes_it_off() {
    let (server, driver) = tokio::task::spawn_blocking(|| (Server::start(), Driver::start())).await.unwrap();
    let server = tokio::task::spawn_blocking(move || {
        server.product("cup", 8900);
        server
    })
    .await
    .unwrap();
    let client = driver.open(1280, 900).await;
    client.goto(&format!("{}/control#{TOKEN}", server.http)).await.unwrap();
    let drawn = "const image = document.querySelector('#cards img'); return Boolean(image && image.naturalWidth > 300)";
    until(&client, "the card is drawn as it will look", drawn).await;
    until(&client, "the token has left the address bar", "return location.hash === ''").await;
    let take = Locator::Css("button[data-card=cup]");
    client.wait().for_element(take).await.unwrap().click().await.unwrap();
    until(&client, "on air", "return document.getElementById('tally').textContent === 'ON AIR: 1'").await;
    let state = server.api("GET", "/state", b"").1;
    assert_eq!(state["airings"][0]["cardId"], "cup", "the server says the same");
    client.find(Locator::Id("panic")).await.unwrap().click().await.unwrap();
    until(&client, "off air", "return document.getElementById('tally').textContent === 'Nothing on air'")
        .await;

    // A new product by the form, with an amount as people write it.
    client.find(Locator::Id("add")).await.unwrap().click().await.unwrap();
    for (name, value) in [("sku", "pot"), ("title", "Tea pot"), ("price", "19.90"), ("currency", "")] {
        let field = client.find(Locator::Css(&format!("#product [name={name}]"))).await.unwrap();
        field.send_keys(value).await.unwrap();
    }
    client.find(Locator::Id("save")).await.unwrap().click().await.unwrap();
    until(&client, "its card is there", "return Boolean(document.querySelector('li[data-card=pot]'))").await;
    let state = server.api("GET", "/state", b"").1;
    assert_eq!(state["products"]["pot"]["priceMinor"], 1990);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_page_makes_a_key_shows_it_once_and_tells_who_publishes() {
    let (server, driver) = tokio::task::spawn_blocking(|| (Server::start(), Driver::start())).await.unwrap();
    let client = driver.open(1280, 1200).await;
    client.goto(&format!("{}/control#{TOKEN}", server.http)).await.unwrap();
    until(&client, "nobody", "return document.getElementById('publisher').textContent.startsWith('Nobody')")
        .await;
    client
        .execute("document.getElementById('key-form').closest('details').open = true", Vec::new())
        .await
        .unwrap();
    client.find(Locator::Css("#key-form [name=name]")).await.unwrap().send_keys("backup").await.unwrap();
    client.find(Locator::Css("#key-form button")).await.unwrap().click().await.unwrap();
    until(&client, "the key is shown", "return document.querySelectorAll('#new-key[open] dd').length >= 3")
        .await;
    let key =
        client.execute("return document.querySelectorAll('#new-key dd')[1].textContent", Vec::new()).await;
    let key = key.unwrap().as_str().unwrap().to_owned();
    client.find(Locator::Css("#new-key [data-close]")).await.unwrap().click().await.unwrap();
    let page = client.source().await.unwrap();
    assert!(key.len() == 32 && !page.contains(&key), "the secret stays on the page");
    let host = crate::stage::publisher(&format!("{}/{key}", server.rtmp), clip(), Stdio::null());
    let told =
        "return document.querySelector('#publishers')?.textContent.includes('ON AIRbackupall is well')";
    until(&client, "who publishes and how well", told).await;
    // Taken back: who publishes with it is ended.
    client
        .find(Locator::Css("#keys button[aria-label='Revoke backup']"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    client.find(Locator::Id("sure-go")).await.unwrap().click().await.unwrap();
    until(&client, "nobody", "return document.getElementById('publisher').textContent.startsWith('Nobody')")
        .await;
    until(&client, "no key", "return !document.getElementById('no-keys').hidden").await;
    drop(host);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_does_not_notice_twenty_drops_and_returns() {
    let (server, driver) = tokio::task::spawn_blocking(|| (Server::alone(), Driver::start())).await.unwrap();
    let poll = crate::playlist::Poll::start(&server);
    let client = driver.open(412, 915).await;
    client.goto(&format!("{}/watch/main", server.http)).await.unwrap();
    until(&client, "the video plays", "return document.querySelector('video').currentTime > 1").await;
    let watch = "
        window.troubles = [];
        const video = document.querySelector('video');
        window.source = video.src;
        window.stalls = 0;
        video.addEventListener('waiting', () => window.stalls += 1);
        for (const name of ['emptied', 'error', 'ended', 'seeking'])
            video.addEventListener(name, () => window.troubles.push(name + ' at ' + video.currentTime));
        window.before = video.currentTime; window.since = performance.now();";
    client.execute(watch, Vec::new()).await.unwrap();
    let server = tokio::task::spawn_blocking(move || {
        let mut last = 0;
        for n in 0..20 {
            // Other sizes, rates and protocols each time, killed without a goodbye.
            let clip = if n % 2 == 0 { clip() } else { crate::stage::other_clip() };
            let host = if n % 3 == 2 {
                crate::srt::send(clip, &[], &format!("{}?streamid=publish:{}", server.srt, crate::stage::KEY))
            } else {
                server.publish(clip)
            };
            last = crate::stage::until(&format!("publisher {n} is on air"), || {
                let publisher = server.channel()["publisher"].clone();
                let is_new = publisher["role"] == "onAir" && publisher["id"].as_u64() > Some(last);
                is_new.then(|| publisher["id"].as_u64().unwrap())
            });
            server.until_showing("live");
            drop(host);
            if n % 5 == 4 {
                server.until_showing("backSoon"); // long enough for the slate
            }
        }
        server
    })
    .await
    .unwrap();
    let played = "
        const video = document.querySelector('video');
        const played = video.currentTime - window.before, passed = (performance.now() - window.since) / 1000;
        return { troubles: window.troubles, stalls: window.stalls, isSame: video.src === window.source, lag: passed - played };";
    let seen = client.execute(played, Vec::new()).await.unwrap();
    assert_eq!((&seen["troubles"], &seen["isSame"]), (&json!([]), &json!(true)), "{seen}");
    // A browser without a graphics card on a shared machine may stall once or twice by itself; if drops made it, it would
    // have stalled twenty times.
    assert!(seen["lag"].as_f64() < Some(4.0), "{seen}");
    assert!(seen["stalls"].as_u64() <= Some(2), "{seen}");
    client.close().await.unwrap();
    let versions = tokio::task::spawn_blocking(move || poll.stop()).await.unwrap();
    versions.check();
    for text in &versions.video {
        assert!(!text.contains("DISCONTINUITY\n") && !text.contains("GAP"), "{text}");
    }
    drop(server);
}
