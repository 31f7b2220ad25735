//! The pages for everybody: axe-core finds nothing against WCAG 2 AA, at 200 % zoom nothing is cut off, and they speak Chinese.

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::browser::{Driver, until};
use crate::stage::{Server, TOKEN};

/// What axe-core (in the page) finds wrong; each with where.
const CHECK: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })
        .then((found) => done(found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => `${node.target} ${node.any.map((any) => any.message)}`).join('; ')}`)));";

async fn check(client: &Client, what: &str) {
    let axe = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/oracle/node_modules/axe-core/axe.min.js"
    ));
    client.execute(&axe.expect("`make test` installs it"), Vec::new()).await.unwrap();
    let found = client.execute_async(CHECK, Vec::new()).await.unwrap();
    assert_eq!(found, json!([]), "{what}");
}

fn show() -> Server {
    let server = Server::start();
    server.product("cup", 8900);
    server.product("pot", 12_900);
    let friday = json!({ "title": "Friday", "items": [{ "title": "Kitchen" }, { "cardId": "cup", "notes": "hold it up" }, { "cardId": "pot" }] });
    for (method, path, body) in [
        ("PUT", "/rundowns/friday", friday),
        ("PUT", "/channels/main/rundown", json!({ "rundownId": "friday" })),
        ("POST", "/channels/main/take", json!({})),
    ] {
        assert_eq!(server.api(method, path, body.to_string().as_bytes()).0, 200, "{path}");
    }
    server
}

#[test]
fn the_pages_can_be_used_by_everybody() {
    let (server, driver) = (show(), Driver::start());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = driver.open(1280, 900).await;
        client.goto(&format!("{}/control", server.http)).await.unwrap();
        until(&client, "the form", "return !document.getElementById('login').hidden;").await;
        check(&client, "signing in").await;
        client.find(Locator::Id("password")).await.unwrap().send_keys(TOKEN).await.unwrap();
        client.find(Locator::Css("#login button")).await.unwrap().click().await.unwrap();
        until(&client, "the rundown", "return document.querySelectorAll('#items li').length === 3;").await;
        client.find(Locator::Css("#items li:nth-child(2) .line")).await.unwrap().click().await.unwrap();
        check(&client, "the room").await;
        for (open, dialog) in [("catalogue-open", "catalogue"), ("people-open", "people"), ("journal-open", "journal-dialog"), ("keys-help", "keys-dialog"), ("add", "editor"), ("add-card", "card-editor")] {
            client.execute(&format!("document.getElementById('{open}').click();"), Vec::new()).await.unwrap();
            until(&client, dialog, &format!("return document.getElementById('{dialog}').open;")).await;
            check(&client, dialog).await;
            client.execute(&format!("document.getElementById('{dialog}').close();"), Vec::new()).await.unwrap();
        }
        for path in ["/host", "/watch/main", "/api"] {
            client.goto(&format!("{}{path}", server.http)).await.unwrap();
            until(&client, path, "return document.readyState === 'complete' && !document.querySelector('#host[hidden]') && document.body.innerText.length > 20;").await;
            check(&client, path).await;
        }
        client.close().await.unwrap();
        // 1280 pixels at 200 % are 640.
        let client = driver.open(640, 450).await;
        client.goto(&format!("{}/control#{TOKEN}", server.http)).await.unwrap();
        until(&client, "the rundown", "return document.querySelectorAll('#items li').length === 3;").await;
        for path in ["/control", "/host", "/watch/main", "/api"] {
            client.goto(&format!("{}{path}", server.http)).await.unwrap();
            until(&client, path, "return document.readyState === 'complete' && document.body.innerText.length > 20;").await;
            until(&client, "nothing beside the page", "return document.documentElement.scrollWidth <= innerWidth + 1;").await;
        }
        client.close().await.unwrap();
    });
}

#[test]
fn the_pages_speak_chinese() {
    let (server, driver) = (show(), Driver::start());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = driver.open(1280, 900).await;
        client.goto(&format!("{}/control#{TOKEN}", server.http)).await.unwrap();
        until(&client, "the rundown", "return document.querySelectorAll('#items li').length === 3;").await;
        let choose = "const select = document.querySelector('header select.language'); select.value = 'zh'; select.dispatchEvent(new Event('change'));";
        client.execute(choose, Vec::new()).await.unwrap();
        until(&client, "Chinese", "return document.documentElement.lang === 'zh' && document.getElementById('take')?.textContent === '切入' && document.querySelectorAll('#items li').length === 3;").await;
        until(&client, "its own words too", "return document.getElementById('tally').textContent === '屏上: 1';").await;
        let left = client.execute(ENGLISH, Vec::new()).await.unwrap();
        assert_eq!(left, json!([]), "texts of the page that are English still");
        let names: Value = client.execute("return [...document.querySelectorAll('.language option')].map((one) => one.textContent);", Vec::new()).await.unwrap();
        assert!(names.as_array().unwrap().contains(&json!("中文")), "{names}");
        client.close().await.unwrap();
    });
}

/// Texts without a Chinese letter, but for names, numbers and what people typed.
const ENGLISH: &str = "
    const walker = document.createTreeWalker(document.getElementById('room'), NodeFilter.SHOW_TEXT);
    const left = [];
    const given = '#items, #cards .name, #next-name, #rundown-choice, select.language, kbd, #channel, #card-form, code, #publisher-detail, h1:first-child, #you, option';
    while (walker.nextNode()) {
        if (walker.currentNode.data.trim() === '中文' && !walker.currentNode.parentElement.closest('option')) left.push('the language, for nothing');
        const text = walker.currentNode.data.trim();
        if (/[A-Za-z]{3}/.test(text) && !/[\\u4e00-\\u9fff]/.test(text) && !walker.currentNode.parentElement.closest(given)) left.push(text);
    }
    return left;";
