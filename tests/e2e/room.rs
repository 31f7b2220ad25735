//! Every action of the control page, as somebody at a keyboard and a mouse does it; the server is asked what came of it.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::Driver;
use crate::page::Page;
use crate::stage::{Folder, Server, until};

pub(crate) fn send(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = server.api(method, path, body.to_string().as_bytes());
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

pub(crate) fn state(server: &Server) -> Value {
    server.api("GET", "/state", b"").1
}

fn on_air(server: &Server) -> Vec<String> {
    let state = state(server);
    state["airings"].as_array().unwrap().iter().map(|one| one["cardId"].as_str().unwrap().into()).collect()
}

fn lines(server: &Server, rundown: &str) -> Vec<String> {
    let items = state(server)["rundowns"][rundown]["items"].clone();
    items.as_array().unwrap().iter().map(|item| item["itemId"].as_str().unwrap().into()).collect()
}

/// Three products on cards, in a rundown.
fn fill(server: &Server) {
    for (sku, price_minor) in [("cup", 8900), ("pot", 12_900), ("mat", 1900)] {
        server.product(sku, price_minor);
    }
    let items =
        json!([{ "title": "Kitchen" }, { "cardId": "cup" }, { "cardId": "pot" }, { "cardId": "mat" }]);
    send(server, "PUT", "/rundowns/friday", &json!({ "title": "Friday", "items": items }));
    send(server, "PUT", "/channels/main/rundown", &json!({ "rundownId": "friday" }));
}

pub(crate) fn shop(rules: &str) -> (Server, Driver) {
    let data = Folder::new();
    let config = data.0.join("room.toml");
    std::fs::write(&config, rules).unwrap();
    let server = Server::on(data, &["--config", config.to_str().unwrap()]);
    fill(&server);
    (server, Driver::start())
}

pub(crate) const SMALL: &str = "[channels.main]\nwidth = 640\nheight = 360\nrungs = []\n";

pub(crate) fn run(story: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(story);
}

/// Waits until the server's state is so.
pub(crate) fn settled(server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) {
    until(what, || is_so(&state(server)).then_some(()));
}

fn has_lines(server: &Server, rundown: &str, wanted: &[&str]) {
    until(&format!("the lines {wanted:?}"), || (lines(server, rundown) == wanted).then_some(()));
}

pub(crate) fn is_on_air(server: &Server, wanted: &[&str]) {
    until(&format!("on air: {wanted:?}"), || (on_air(server) == wanted).then_some(()));
}

#[test]
fn every_line_of_a_rundown_is_moved_changed_and_taken_with_the_mouse() {
    let (server, driver) = shop(SMALL);
    run(async {
        let page = Page::control(&driver, &server).await;
        page.until("the lines", "document.querySelectorAll('#items li').length === 4").await;
        page.drag("#items li:nth-child(4)", "#items li:nth-child(2)").await;
        has_lines(&server, "friday", &["section", "mat", "cup", "pot"]);
        page.click("#items li[data-item=cup] .line").await;
        page.click("#item-down").await;
        has_lines(&server, "friday", &["section", "mat", "pot", "cup"]);
        page.click("#item-up").await;
        has_lines(&server, "friday", &["section", "mat", "cup", "pot"]);
        page.click("#item-advance").await;
        is_on_air(&server, &["cup"]);
        page.until_text("#item-advance", "Out").await;
        page.keep("a card on air").await;
        page.click("#item-advance").await;
        is_on_air(&server, &[]);
        page.click("#item-pin").await;
        settled(&server, "it is explained", |state| state["airings"][0]["isPinned"] == true);
        page.until_text("#on-air", "EXPLAINED").await;
        page.click("#items li[data-item=pot] .line").await;
        page.click("#item-pin").await;
        settled(&server, "the other one is", |state| {
            state["airings"].as_array().unwrap().iter().filter(|one| one["isPinned"] == true).count() == 1
                && state["airings"].to_string().contains("pot")
        });
        page.click("#items li[data-item=mat] .line").await;
        page.click("#item-swap").await;
        is_on_air(&server, &["mat"]);
        page.click("#all-out").await;
        is_on_air(&server, &[]);
        page.click("#item-cue").await;
        settled(&server, "it is next", |state| state["cues"]["main"]["itemId"] == "mat");
        page.click("#item-duplicate").await;
        has_lines(&server, "friday", &["section", "mat", "mat-2", "cup", "pot"]);
        page.click("#items li[data-item=mat-2] .line").await;
        page.click("#item-edit").await;
        page.write("#item-form [name=notes]", "hold it up").await;
        page.click("#item-form [name=isDraft]").await;
        page.click("#item-form [value=save]").await;
        settled(&server, "a draft with notes", |state| {
            let line = &state["rundowns"]["friday"]["items"][2];
            line["notes"] == "hold it up" && line["isDraft"] == true
        });
        page.click("#item-edit").await;
        page.click("#item-form [data-close]").await;
        page.click("#item-remove").await;
        has_lines(&server, "friday", &["section", "mat", "cup", "pot"]);
        page.click("#rundown-heading").await;
        page.write("#item-form [name=title]", "Sofas").await;
        page.click("#item-form [value=save]").await;
        settled(&server, "a heading", |state| state["rundowns"]["friday"].to_string().contains("Sofas"));
        page.click("#items li[data-item=cup] .line").await;
        page.click("#item-card").await;
        page.until("its form", "document.getElementById('card-editor').open").await;
        page.click("#card-cancel").await;
        page.until("closed", "!document.getElementById('card-editor').open").await;
        page.close().await;
    });
}

#[test]
fn rundowns_are_named_kept_brought_back_and_deleted() {
    let (server, driver) = shop(SMALL);
    run(async {
        let page = Page::control(&driver, &server).await;
        let menu = async |id: &str| {
            page.click("main .menu summary").await;
            page.click(id).await;
        };
        menu("#rundown-rename").await;
        page.write("#rundown-form [name=title]", "Saturday").await;
        page.click("#rundown-form [value=save]").await;
        settled(&server, "another title", |state| state["rundowns"]["friday"]["title"] == "Saturday");
        page.click("#rundown-new").await;
        page.click("#rundown-form [data-close]").await;
        page.choose("#rundown-choice", "").await;
        settled(&server, "none", |state| state["cues"].get("main").is_none());
        page.choose("#rundown-choice", "friday").await;
        settled(&server, "chosen", |state| state["cues"]["main"]["rundownId"] == "friday");
        // A file of it, under another name, comes in.
        let mut bundle = server.api("GET", "/rundowns/friday/export", b"").1;
        bundle["rundown"]["rundownId"] = json!("copy");
        let file = server.data.0.join("copy.json");
        std::fs::write(&file, bundle.to_string()).unwrap();
        page.0.execute("window.saved = []; HTMLAnchorElement.prototype.click = function () { window.saved.push([this.download, this.href]); };", Vec::new()).await.unwrap();
        menu("#rundown-export").await;
        page.until("a file", "window.saved.length === 1 && window.saved[0][0] === 'friday.json'").await;
        page.attach("#rundown-import", &file).await;
        settled(&server, "it is here and chosen", |state| state["cues"]["main"]["rundownId"] == "copy");
        // A show that is over can be looked at, brought back, and deleted.
        menu("#rundown-archive").await;
        settled(&server, "over", |state| state["rundowns"]["copy"]["isArchived"] == true);
        page.until(
            "in the list",
            "document.querySelector('#rundown-choice optgroup:last-child option[value=copy]')",
        )
        .await;
        page.choose("#rundown-choice", "copy").await;
        page.until_text("#rundown-archive", "Bring back").await;
        page.keep("a past show").await;
        menu("#rundown-archive").await;
        settled(&server, "back", |state| {
            state["rundowns"]["copy"]["isArchived"] != true && state["cues"]["main"]["rundownId"] == "copy"
        });
        page.until_text("#rundown-archive", "The show is over").await;
        menu("#rundown-archive").await;
        page.until(
            "in the list",
            "document.querySelector('#rundown-choice optgroup:last-child option[value=copy]')",
        )
        .await;
        page.choose("#rundown-choice", "copy").await;
        menu("#rundown-remove").await;
        assert!(page.yes().await.contains("Saturday"));
        settled(&server, "gone", |state| state["rundowns"].get("copy").is_none());
        page.close().await;
    });
}

#[test]
fn every_key_does_what_the_help_says_and_can_be_changed() {
    let (server, driver) = shop(SMALL);
    run(async {
        let page = Page::control(&driver, &server).await;
        page.until("the lines", "document.querySelectorAll('#items li').length === 4").await;
        let chosen = async |item: &str| {
            page.until(
                item,
                &format!("document.querySelector('#items .is-chosen')?.dataset.item === {item:?}"),
            )
            .await;
        };
        for _ in 0..3 {
            page.press(&Key::Down).await;
        }
        chosen("pot").await;
        page.press(&Key::Up).await;
        chosen("cup").await;
        page.press("n").await;
        settled(&server, "it is next", |state| state["cues"]["main"]["itemId"] == "cup");
        page.press("t").await;
        is_on_air(&server, &["cup"]);
        page.press("3").await;
        is_on_air(&server, &["mat"]); // the same place
        page.press("s").await;
        is_on_air(&server, &["cup"]);
        page.press("p").await;
        settled(&server, "explained", |state| state["airings"][0]["isPinned"] == true);
        page.press(&Key::Escape).await;
        is_on_air(&server, &[]);
        page.press_with(Key::Alt, &Key::Down).await;
        has_lines(&server, "friday", &["section", "pot", "cup", "mat"]);
        page.press_with(Key::Control, "z").await;
        has_lines(&server, "friday", &["section", "cup", "pot", "mat"]);
        let is_back = "[...document.querySelectorAll('#items li')].map((one) => one.dataset.item).join() === 'section,cup,pot,mat'";
        page.until("the page has them so too", is_back).await;
        page.press_with(Key::Alt, &Key::Up).await;
        has_lines(&server, "friday", &["cup", "section", "pot", "mat"]);
        page.press(&Key::Enter).await;
        page.until("the card's form", "document.getElementById('card-editor').open").await;
        page.click("#card-cancel").await;

        page.press("?").await;
        page.until("the keys", "document.getElementById('keys-dialog').open").await;
        page.keep("the keys").await;
        page.click("#keys-list [data-action=take]").await;
        page.press("x").await;
        page.until(
            "changed",
            "[...document.querySelectorAll('#keys-list kbd')].some((one) => one.textContent === 'X')",
        )
        .await;
        page.click("#keys-list [data-action=out]").await;
        page.press(&Key::Escape).await;
        page.until("Esc is taken as a key", "document.getElementById('keys-dialog').open").await;
        page.click("#keys-dialog [data-close]").await;
        page.press("t").await;
        page.press("x").await;
        // T means nothing now: the one that was next is on air, and not the one after it.
        settled(&server, "taken by the new key, once", |state| {
            state["airings"][0]["cardId"] == "pot" && state["cues"]["main"]["itemId"] == "mat"
        });
        page.press(&Key::Escape).await;
        is_on_air(&server, &[]);
        page.press("?").await;
        page.click("#keys-reset").await;
        page.until(
            "as at first",
            "![...document.querySelectorAll('#keys-list kbd')].some((one) => one.textContent === 'X')",
        )
        .await;
        page.click("#keys-dialog [data-close]").await;
        page.close().await;
    });
}

#[test]
fn cards_are_designed_shown_stepped_and_removed() {
    let (server, driver) = shop(SMALL);
    let logo = server.data.0.join("logo.png");
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 30, 60])).save(&logo).unwrap();
    run(async {
        let page = Page::control(&driver, &server).await;
        page.click("#add-card").await;
        page.write("#card-form [name=id]", "draw").await;
        page.choose("#card-form [name=template]", "lucky-draw").await;
        page.choose("#card-form [name=slot]", "free").await;
        page.set("#card-form [name=x]", "30").await;
        page.set("#card-form [name=y]", "60").await;
        page.write("#card-form [name=outS]", "600").await;
        for css in ["#card-fields input[type=text]", "#card-fields textarea"] {
            let count =
                page.value(&format!("document.querySelectorAll({css:?}).length")).await.as_u64().unwrap();
            for n in 0..count {
                page.0
                    .execute(
                        "document.querySelectorAll(arguments[0])[arguments[1]].id = 'this-one';",
                        vec![css.into(), n.into()],
                    )
                    .await
                    .unwrap();
                page.write("#this-one", "Anna").await;
                page.0.execute("document.getElementById('this-one').id = '';", Vec::new()).await.unwrap();
            }
        }
        page.until("its picture", "document.getElementById('card-picture').naturalWidth > 300").await;
        page.keep("designing a card").await;
        page.click("#card-form [value=save]").await;
        settled(&server, "the card", |state| {
            state["cards"]["draw"]["outMs"] == 600_000 && state["cards"]["draw"]["slot"] == "free"
        });
        page.click("#cards button.take[data-card=draw]").await;
        is_on_air(&server, &["draw"]);
        page.click("#cards li[data-card=draw] .row button:nth-child(2)").await;
        settled(&server, "its second step", |state| state["airings"][0]["step"] == 2);
        // On air its place changes.
        page.click("#cards li[data-card=draw] .row button:nth-child(5)").await;
        page.until("what is on air keeps its template", "document.querySelector('#card-form [name=template]').disabled && document.getElementById('card-remove').disabled").await;
        page.choose("#card-form [name=slot]", "center").await;
        page.click("#card-form [value=save]").await;
        settled(&server, "elsewhere", |state| state["airings"][0]["slot"] == "center");
        page.click("#cards button.take[data-card=draw]").await;
        is_on_air(&server, &[]);
        page.click("#cards li[data-card=draw] .row button:nth-child(5)").await;
        page.click("#card-remove").await;
        settled(&server, "gone", |state| state["cards"].get("draw").is_none());
        // Several products on one card, and a picture of one's own.
        let templates = server.api("GET", "/templates", b"").1["templates"].clone();
        let of = |wanted: &dyn Fn(&Value) -> bool| {
            templates
                .as_array()
                .unwrap()
                .iter()
                .find(|one| wanted(one))
                .map(|one| one["id"].as_str().unwrap().to_owned())
        };
        let tray = of(&|one| one["products"].get("upTo").is_some()).expect("a tray");
        page.click("#add-card").await;
        page.write("#card-form [name=id]", "tray").await;
        page.choose("#card-form [name=template]", &tray).await;
        page.0.execute("for (const one of document.querySelector('#card-form [name=products]').options) one.selected = ['cup', 'pot'].includes(one.value);", Vec::new()).await.unwrap();
        page.click("#card-form [value=save]").await;
        settled(&server, "a tray of two", |state| state["cards"]["tray"]["skus"] == json!(["cup", "pot"]));
        let framed = of(&|one| one["schema"].to_string().contains("image-path") && one["products"] == "none")
            .expect("one with a picture");
        page.click("#add-card").await;
        page.write("#card-form [name=id]", "brand").await;
        page.choose("#card-form [name=template]", &framed).await;
        page.attach("#card-fields input[type=file]", &logo).await;
        page.click("#card-form [value=save]").await;
        let design = templates.as_array().unwrap().iter().find(|one| one["id"] == framed).unwrap();
        let fields = design["schema"]["properties"].as_object().unwrap();
        let (picture, _) = fields.iter().find(|(_, field)| field.to_string().contains("image-path")).unwrap();
        settled(&server, "a card with a picture", |state| {
            state["cards"]["brand"]["data"][picture].as_str().is_some_and(|id| id.len() > 5)
        });
        page.close().await;
    });
}

#[test]
fn products_are_written_changed_confirmed_and_removed() {
    let (server, driver) = shop(SMALL);
    let picture = server.data.0.join("cup.png");
    image::RgbImage::from_pixel(300, 300, image::Rgb([30, 90, 160])).save(&picture).unwrap();
    run(async {
        let page = Page::control(&driver, &server).await;
        let edit = async |card: &str| {
            page.click(&format!("#cards li[data-card={card}] .row button:nth-child(4)")).await;
        };
        edit("cup").await;
        for (field, text) in
            [("price", "79"), ("oldPrice", "99.50"), ("stock", "7"), ("link", "https://shop.example/cup")]
        {
            page.write(&format!("#product [name={field}]"), text).await;
        }
        page.choose("#product [name=slot]", "right").await;
        page.attach("#product [name=image]", &picture).await;
        page.keep("a product").await;
        page.click("#save").await;
        settled(&server, "all of it", |state| {
            let cup = &state["products"]["cup"];
            cup["priceMinor"] == 7900
                && cup["oldPriceMinor"] == 9950
                && cup["stock"] == 7
                && cup["link"] == "https://shop.example/cup"
                && cup["image"].is_string()
                && state["cards"]["cup"]["slot"] == "right"
        });
        // Much cheaper: asked first.
        edit("cup").await;
        page.write("#product [name=price]", "7.9").await;
        page.click("#save").await;
        assert!(page.yes().await.contains("79"), "the price that it was");
        settled(&server, "cheap", |state| state["products"]["cup"]["priceMinor"] == 790);
        edit("cup").await;
        page.write("#product [name=currency]", "EUR").await;
        page.click("#save").await;
        assert!(page.yes().await.contains("EUR"));
        settled(&server, "another currency", |state| state["products"]["cup"]["currency"] == "EUR");
        // Somebody else was quicker.
        edit("pot").await;
        page.write("#product [name=title]", "Pot of clay").await;
        send(&server, "POST", "/products/pot/stock", &json!({ "stock": 3 }));
        page.click("#save").await;
        assert!(page.yes().await.contains("Somebody else"));
        settled(&server, "overwritten", |state| state["products"]["pot"]["title"] == "Pot of clay");
        edit("mat").await;
        page.click("#cancel").await;
        // It is in the rundown: nothing of it goes.
        edit("mat").await;
        page.click("#remove").await;
        page.until("refused", "document.getElementById('editor-error').textContent.length > 5").await;
        assert!(state(&server)["cards"].get("mat").is_some());
        page.click("#cancel").await;
        page.click("#items li[data-item=mat] .line").await;
        page.click("#item-remove").await;
        edit("mat").await;
        page.click("#remove").await;
        settled(&server, "both gone", |state| {
            state["cards"].get("mat").is_none() && state["products"].get("mat").is_none()
        });
        page.click("#undo").await;
        page.close().await;
    });
}
