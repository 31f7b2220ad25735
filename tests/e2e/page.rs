//! A page in Chromium as somebody at it uses it: looks for what is there, presses it, waits for what follows. What it looked
//! like is kept as a picture.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::actions::{
    InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction,
};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::Value;

use crate::browser::{Driver, until};
use crate::stage::{PATIENCE, Server, TOKEN};

/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(50);

/// Where pictures of pages are kept: `target/tmp/screens`.
fn screens() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// An open page.
pub(crate) struct Page(pub(crate) Client);

impl Page {
    /// The control page, signed in as the owner.
    pub(crate) async fn control(driver: &Driver, server: &Server) -> Self {
        let page = Self::at(driver, &format!("{}/control#{TOKEN}", server.http)).await;
        page.until("it is drawn", "!document.getElementById('room').hidden && document.getElementById('rundown-choice').options.length").await;
        page
    }

    pub(crate) async fn at(driver: &Driver, address: &str) -> Self {
        let client = driver.open(1360, 1000).await;
        client.goto(address).await.unwrap();
        Self(client)
    }

    /// Until an expression is true.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        until(&self.0, what, &format!("return Boolean({expression});")).await;
    }

    /// Until an element shows a text.
    pub(crate) async fn until_text(&self, css: &str, text: &str) {
        let script = format!(
            "[...document.querySelectorAll({css:?})].some((one) => one.textContent.includes({text:?}))"
        );
        self.until(&format!("{css} says {text:?}"), &script).await;
    }

    async fn found(&self, css: &str) -> Element {
        self.0
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Presses it as soon as it is there and can be pressed; what is drawn anew meanwhile is looked for again.
    pub(crate) async fn click(&self, css: &str) {
        let pressing = async {
            loop {
                let element = self.found(css).await;
                if element.is_enabled().await.unwrap_or(false) && element.click().await.is_ok() {
                    return;
                }
                tokio::time::sleep(BETWEEN).await;
            }
        };
        let is_pressed = tokio::time::timeout(PATIENCE, pressing).await.is_ok();
        assert!(is_pressed, "{css} cannot be pressed: {:?}", self.found(css).await.click().await);
    }

    /// Writes in a field what is there alone then.
    pub(crate) async fn write(&self, css: &str, text: &str) {
        let field = self.found(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses a file for a field.
    pub(crate) async fn attach(&self, css: &str, file: &Path) {
        self.found(css).await.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    pub(crate) async fn choose(&self, css: &str, value: &str) {
        let choosing = async {
            while self.found(css).await.select_by_value(value).await.is_err() {
                tokio::time::sleep(BETWEEN).await; // it may be drawn anew meanwhile
            }
        };
        assert!(tokio::time::timeout(PATIENCE, choosing).await.is_ok(), "{css} has no {value:?}");
    }

    /// A range, a date, what a keyboard does not write.
    pub(crate) async fn set(&self, css: &str, value: &str) {
        let script = "const one = document.querySelector(arguments[0]); one.value = arguments[1];
            for (const name of ['input', 'change']) one.dispatchEvent(new Event(name, { bubbles: true }));";
        self.0.execute(script, vec![css.into(), value.into()]).await.unwrap();
    }

    /// Presses a key, wherever the page is.
    pub(crate) async fn press(&self, keys: &str) {
        self.type_held(&[], keys).await;
    }

    /// With some keys held; what has the focus gets it.
    async fn type_held(&self, held: &[char], keys: &str) {
        let down = |value: &char| KeyAction::Down { value: *value };
        let up = |value: &char| KeyAction::Up { value: *value };
        let typed: Vec<char> = keys.chars().collect();
        let strokes = typed.iter().flat_map(|key| [down(key), up(key)]);
        let all = held.iter().map(down).chain(strokes).chain(held.iter().map(up));
        let all = all.fold(KeyActions::new("keys".into()), InputSource::then);
        self.0.perform_actions(all).await.unwrap();
    }

    /// Alt or Ctrl with a key.
    pub(crate) async fn press_with(&self, held: Key, keys: &str) {
        let held: Vec<char> = held.chars().collect();
        self.type_held(&held, keys).await;
    }

    /// Answers what the page asks with yes; the question.
    pub(crate) async fn yes(&self) -> String {
        let asking = async {
            loop {
                if let Ok(text) = self.0.get_alert_text().await {
                    return text;
                }
                tokio::time::sleep(BETWEEN).await;
            }
        };
        let text = tokio::time::timeout(PATIENCE, asking).await.expect("a question");
        self.0.accept_alert().await.unwrap();
        text
    }

    /// Drags one thing onto the upper part of another with the mouse.
    pub(crate) async fn drag(&self, from: &str, onto: &str) {
        let show = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center' });";
        self.0.execute(show, vec![from.into()]).await.unwrap();
        let at = async |css: &str, share: f64| {
            let (x, y, width, height) = self.found(css).await.rectangle().await.unwrap();
            let scrolled = self.0.execute("return [scrollX, scrollY];", Vec::new()).await.unwrap();
            let place = |value: f64, n: usize| (value - scrolled[n].as_f64().unwrap()).round();
            (place(x + width / 2.0, 0), place(y + height * share, 1))
        };
        let ((x, y), (to_x, to_y)) = (at(from, 0.5).await, at(onto, 0.25).await);
        let way = |x, y| PointerAction::MoveTo { duration: Some(Duration::from_millis(80)), x, y };
        let mouse = MouseActions::new("mouse".into())
            .then(way(x, y))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(way(x, y + (to_y - y).signum() * 8.0))
            .then(way(to_x, to_y))
            .then(way(to_x, to_y + 1.0))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.0.perform_actions(mouse).await.unwrap();
    }

    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.0.execute(&format!("return {expression};"), Vec::new()).await.unwrap()
    }

    /// Keeps what it looks like.
    pub(crate) async fn keep(&self, name: &str) {
        let png = self.0.screenshot().await.unwrap();
        std::fs::write(screens().join(format!("{name}.png")), png).unwrap();
    }

    pub(crate) async fn close(self) {
        self.0.close().await.unwrap();
    }
}
