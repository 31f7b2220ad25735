//! What is around the rundown: programme and publishers, people and the journal, the shop's files, the pages of the host and of
//! viewers; each action as somebody does it in a browser.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::page::Page;
use crate::room::{SMALL, is_on_air, run, send, settled, shop, state};
use crate::stage::{KEY, Server, TOKEN, clip, publisher, until};

fn channel(server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) {
    until(what, || is_so(&server.channel()).then_some(()));
}

async fn menu(page: &Page, id: &str) {
    page.click("#you").await;
    page.click(id).await;
}

/// Tells of a price as a shop does.
fn tell_price(server: &Server, price_minor: u64) {
    let body = json!({ "sku": "cup", "priceMinor": price_minor }).to_string();
    let signature = format!("sha256={}", crate::catalogue::signature("a secret of sixteen", &body));
    let (status, _, answer) =
        server.ask("POST", "/hooks/shop", &[("x-hub-signature-256", &signature)], body.as_bytes());
    assert_eq!((status, &answer["waiting"]), (200, &json!(1)), "{answer}");
}

#[test]
fn the_programme_is_watched_practised_and_fed() {
    let rules = format!(
        "{SMALL}[channels.second]\nwidth = 640\nheight = 360\nrungs = []\n[hooks.shop]\nkind = \"signed\"\nsecret = \"a secret of sixteen\"\n"
    );
    let (server, driver) = shop(&rules);
    let host = server.publish(clip());
    server.until_showing("live");
    std::fs::create_dir_all(server.data.0.join("media")).unwrap();
    std::fs::copy(clip(), server.data.0.join("media/rehearsal.flv")).unwrap();
    run(async {
        let page = Page::control(&driver, &server).await;
        page.until("the picture on air", "document.getElementById('monitor').naturalWidth > 100").await;
        page.click("#as-viewers").await;
        page.until("what viewers see plays", "document.getElementById('video').currentTime > 0 && document.getElementById('video').videoWidth > 100").await;
        // A second player at the page counts: this one.
        page.until_text("#viewers", "1").await;
        page.click("#plots-panel summary").await;
        page.until("six plots", "document.querySelectorAll('#plots canvas').length === 6").await;
        page.until("how it is, in words", "[...document.querySelectorAll('#plots strong')].map((one) => one.textContent).every((text) => text && !text.startsWith('–'))").await;
        page.until("frames", "parseFloat(document.querySelectorAll('#plots strong')[1].textContent) > 20")
            .await;
        page.choose("#plots-span", "60").await;
        page.keep("plots").await;
        page.click("#as-viewers").await;
        page.until("the monitor again", "!document.getElementById('monitor').hidden").await;
        page.click("#plots-panel summary").await;

        menu(&page, "#practice").await;
        settled(&server, "a practice", |state| state["practice"] == json!(["main"]));
        page.click("#take").await;
        page.until(
            "its card over the monitor",
            "document.querySelector('#practice-cards img')?.naturalWidth > 100",
        )
        .await;
        page.keep("a practice").await;
        menu(&page, "#practice").await;
        settled(&server, "no practice", |state| state["practice"] == json!([]));

        // A price that a shop told and that looks wrong.
        tell_price(&server, 79);
        page.until("it is asked", "document.querySelectorAll('#questions li').length === 1").await;
        page.keep("a price to look at").await;
        page.click("#questions button:nth-of-type(2)").await;
        page.until("left", "document.getElementById('questions').hidden").await;
        assert_eq!(state(&server)["products"]["cup"]["priceMinor"], 8900);
        tell_price(&server, 78);
        page.click("#questions button:nth-of-type(1)").await;
        settled(&server, "taken", |state| state["products"]["cup"]["priceMinor"] == 78);

        // The other channel has nothing of this.
        page.choose("#channel", "second").await;
        page.until_text("#publisher", "Nobody publishes").await;
        page.click("#cards button.take[data-card=cup]").await;
        settled(&server, "on air there", |state| state["airings"][0]["channel"] == "second");
        page.click("#panic").await;
        is_on_air(&server, &[]);
        page.choose("#channel", "main").await;

        // A source of its own, then none.
        drop(host);
        let details = "details:has(#source-form) summary";
        page.click(details).await;
        page.write("#source-form [name=url]", "rehearsal.flv").await;
        page.click("#source-form button:not([type])").await;
        channel(&server, "it plays", |channel| channel["source"]["state"] == "on");
        page.click("#source-stop").await;
        settled(&server, "none", |state| state["sources"].get("main").is_none());

        // Stream keys.
        page.click("details:has(#key-form) > summary").await;
        page.write("#key-form [name=name]", "guest").await;
        page.write("#key-form [name=rank]", "5").await;
        page.click("#key-form button").await;
        page.until("shown once", "document.getElementById('new-key').open").await;
        page.click("#new-key-copy").await;
        let first = page.value("document.querySelectorAll('#new-key dd')[1].textContent").await;
        page.click("#new-key [data-close]").await;
        settled(&server, "its rank", |state| state["streamKeys"].to_string().contains("\"rank\":5"));
        page.click("#keys button[aria-label='New secret for guest']").await;
        page.click("#sure [data-close]").await;
        page.click("#keys button[aria-label='New secret for guest']").await;
        page.click("#sure-go").await;
        page.until("another", "document.getElementById('new-key').open").await;
        assert_ne!(page.value("document.querySelectorAll('#new-key dd')[1].textContent").await, first);
        page.click("#new-key [data-close]").await;
        page.close().await;
    });
}

#[test]
fn people_come_and_go_and_what_was_done_is_read() {
    let (server, driver) = shop(SMALL);
    for n in 0..60 {
        send(&server, "POST", "/products/cup/stock", &json!({ "stock": n }));
    }
    run(async {
        let page = Page::control(&driver, &server).await;
        menu(&page, "#people-open").await;
        page.write("#operator-form [name=name]", "mei").await;
        page.choose("#operator-form [name=role]", "assistant").await;
        page.write("#operator-form [name=password]", "on the floor").await;
        page.click("#operator-form button").await;
        page.until_text("#operators li", "mei").await;
        page.choose("#operators li select", "producer").await;
        let people = || server.api("GET", "/people", b"").1;
        until("another role", || people().to_string().contains("\"producer\"").then_some(()));
        page.write("#token-form [name=name]", "Stream Deck").await;
        page.click("#token-form button").await;
        page.until("the token, once", "document.getElementById('new-token').textContent.length > 20").await;
        page.keep("people").await;
        page.click("#tokens button").await;
        page.until("taken back", "document.querySelectorAll('#tokens li').length === 0").await;
        page.click("#people [data-close]").await;
        page.until("the token does not stay", "document.getElementById('new-token').textContent === ''")
            .await;

        menu(&page, "#journal-open").await;
        page.until("the newest", "document.querySelectorAll('#journal li').length === 50").await;
        page.click("#journal-more").await;
        page.until("older ones", "document.querySelectorAll('#journal li').length > 60").await;
        let link = page.value("document.querySelector('#journal-dialog a').href").await;
        let table = page
            .0
            .execute_async(
                "const done = arguments[1]; fetch(arguments[0]).then((one) => one.text()).then(done);",
                vec![link],
            )
            .await
            .unwrap();
        assert!(table.as_str().unwrap().contains("SetStock"), "{table}");
        page.click("#journal-dialog [data-close]").await;

        page.close().await;
    });
}

#[test]
fn whoever_is_taken_out_stands_at_the_door_and_chinese_is_spoken_there() {
    let (server, driver) = shop(SMALL);
    let mei = json!({ "role": "producer", "password": "on the floor" });
    assert_eq!(server.api("PUT", "/operators/mei", mei.to_string().as_bytes()).0, 200);
    run(async {
        let page = Page::control(&driver, &server).await;
        // A menu goes by Esc and by a click elsewhere.
        page.click("#you").await;
        page.0.active_element().await.unwrap().send_keys(&Key::Escape).await.unwrap();
        page.until("closed", "!document.querySelector('header .menu').open").await;
        page.click("#you").await;
        page.click("main h2").await;
        page.until("closed", "!document.querySelector('header .menu').open").await;
        let host = page.value("document.getElementById('host-page').href").await;
        assert!(host.as_str().unwrap().ends_with("/host?channel=main"), "{host}");
        menu(&page, "#sign-out").await;
        page.until(
            "the door",
            "!document.getElementById('login').hidden && document.getElementById('room').hidden",
        )
        .await;
        page.write("#name", "mei").await;
        page.write("#password", "on the floor").await;
        page.click("#login button").await;
        page.until_text("#you", "mei").await;
        // Taken out while she is here: she is at the door again, and comes in by another name.
        assert_eq!(server.api("DELETE", "/operators/mei", b"").0, 200);
        page.until("the door", "!document.getElementById('login').hidden").await;
        page.write("#name", "").await;
        page.write("#password", TOKEN).await;
        page.click("#login button").await;
        page.until_text("#you", "owner").await;
        page.click("#you").await;
        page.choose("header select.language", "zh").await;
        page.until(
            "in Chinese",
            "document.documentElement.lang === 'zh' && !document.getElementById('room').hidden",
        )
        .await;
        // In another language too, somebody is let in, and what the server says is said in it.
        menu(&page, "#people-open").await;
        page.write("#operator-form [name=name]", "lin").await;
        page.write("#operator-form [name=password]", "another one").await;
        page.click("#operator-form button").await;
        page.until_text("#operators li", "lin").await;
        page.keep("people in Chinese").await;
        page.click("#people [data-close]").await;
        page.click("#cards li[data-card=pot] .row button:nth-child(4)").await;
        page.write("#product [name=price]", "1").await;
        page.click("#save").await;
        let question = page.yes().await;
        assert!(question.contains("129.00 CNY") && !question.contains("fall"), "{question}");
        page.close().await;
    });
}

#[test]
fn a_shops_file_and_pictures_come_in_by_the_dialog() {
    let (server, driver) = shop(SMALL);
    let file = server.data.0.join("shop.csv");
    let mut table = "sku,title,price,currency\ncup,Cup of clay,8.90,CNY\nbad,Bad,abc,CNY\n".to_owned();
    let rows = (0..120).map(|n| format!("new-{n:03},New {n},{}.00,CNY\n", 10 + n));
    table.extend(rows);
    std::fs::write(&file, table).unwrap();
    let picture = server.data.0.join("cup.png");
    image::RgbImage::from_pixel(300, 300, image::Rgb([30, 90, 160])).save(&picture).unwrap();
    run(async {
        let page = Page::control(&driver, &server).await;
        menu(&page, "#catalogue-open").await;
        page.attach("#import-form [name=file]", &file).await;
        page.until_text("#import-summary", "120 new").await;
        page.until_text("#import-problems", "bad").await;
        page.until_text("#import-doubts", "cup").await;
        page.keep("what a file would change").await;
        page.choose("#import-form [name=format]", "table").await;
        page.until_text("#import-summary", "120 new").await;
        page.click("#import-form [name=cards]").await;
        page.until_text("#import-summary", "120 new").await;
        page.until("the report again", "!document.getElementById('import-report').hidden").await;
        page.click("#import-form [name=leaveOut]").await;
        page.click("#import-form [name=confirmed]").await;
        page.click("#import-take").await;
        page.until_text("#import-done", "120 new").await;
        assert_eq!(state(&server)["products"]["cup"]["priceMinor"], 890);
        assert!(state(&server)["cards"].get("new-000").is_none(), "no cards were wanted");
        page.attach("#pictures-files", &picture).await;
        settled(&server, "its picture", |state| state["products"]["cup"]["image"].is_string());
        page.until("fifty", "document.querySelectorAll('#products li').length === 50").await;
        page.click("#products-more").await;
        page.until("more", "document.querySelectorAll('#products li').length > 100").await;
        page.write("#catalogue-search", "new-007").await;
        page.until("one", "document.querySelectorAll('#products li').length === 1").await;
        page.click("#products button[aria-label='Make a card of New 7']").await;
        settled(&server, "its card", |state| state["cards"]["new-007"]["sku"] == "new-007");
        page.click("#products button[aria-label='Edit New 7']").await;
        page.write("#product [name=title]", "Seven").await;
        page.click("#save").await;
        settled(&server, "its title", |state| state["products"]["new-007"]["title"] == "Seven");
        page.click("#catalogue [data-close]").await;
        page.until("closed", "!document.getElementById('catalogue').open").await;
        page.close().await;
    });
}

#[test]
fn past_shows_are_watched_cut_and_deleted_and_viewers_have_sound() {
    let (server, driver) = shop(&format!("[archive]\ngap_min = 0.05\n{SMALL}"));
    let host = publisher(&format!("{}/{KEY}", server.rtmp), clip(), std::process::Stdio::null());
    server.until_showing("live");
    send(&server, "POST", "/cards/cup/show", &json!({}));
    server.segment("video", server.live_segment() + 2);
    run(async {
        let viewer = Page::at(&driver, &format!("{}/watch/main", server.http)).await;
        viewer.until("it plays", "document.getElementById('video').currentTime > 1").await;
        viewer.click("#sound").await;
        viewer
            .until(
                "with sound",
                "!document.getElementById('video').muted && document.getElementById('sound').hidden",
            )
            .await;
        viewer.0.execute("document.getElementById('video').currentTime -= 20;", Vec::new()).await.unwrap();
        viewer.click("#edge").await;
        viewer.until("at the edge", "parseFloat(document.getElementById('delay').textContent) < 6").await;
        viewer.keep("watching").await;
        viewer.close().await;
    });
    send(&server, "POST", "/cards/cup/hide", &json!({}));
    server.segment("video", server.live_segment() + 1);
    drop(host);
    let shows = || server.api("GET", "/channels/main/shows", b"").1["shows"].clone();
    until("the show is over", || (shows()[0]["isRunning"] == false).then_some(()));
    run(async {
        let page = Page::control(&driver, &server).await;
        page.click("#shows-panel > summary").await;
        page.until_text("#shows", "1 product").await;
        page.click("#shows details summary").await;
        let link = |css: &str| format!("document.querySelector({css:?}).href");
        let (watch, cut) =
            (page.value(&link("#shows li > a")).await, page.value(&link("#shows details a")).await);
        page.keep("past shows").await;
        page.0.goto(watch.as_str().unwrap()).await.unwrap();
        page.until("it plays", "document.getElementById('video').currentTime > 0").await;
        page.0.execute("document.getElementById('video').pause();", Vec::new()).await.unwrap();
        page.click("#chapters button").await;
        page.until("from there on", "!document.getElementById('video').paused").await;
        page.0.goto(cut.as_str().unwrap()).await.unwrap();
        page.until("its part", "document.getElementById('video').duration > 1 && document.getElementById('video').currentTime > 0").await;
        page.0.goto(&format!("{}/control", server.http)).await.unwrap();
        page.click("#shows-panel > summary").await;
        page.click("#shows li > button").await;
        assert!(page.yes().await.contains("for good"));
        until("gone", || shows().as_array().unwrap().is_empty().then_some(()));
        page.close().await;

        let host = Page::at(&driver, &format!("{}/host", server.http)).await;
        host.choose("#login select.language", "zh").await;
        host.until("in Chinese", "document.documentElement.lang === 'zh'").await;
        host.write("#password", "wrong").await;
        host.click("#login button").await;
        host.until(
            "refused, in Chinese",
            "/[\\u4e00-\\u9fff]/.test(document.getElementById('login-error').textContent)",
        )
        .await;
        host.write("#password", TOKEN).await;
        host.click("#login button").await;
        send(&server, "PUT", "/channels/main/pin", &json!({ "sku": "cup" }));
        host.until("explain this", "document.querySelector('#on-air .pinned')").await;
        host.keep("the host's page").await;
        host.close().await;
    });
}
