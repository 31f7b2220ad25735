//! Templates, countdowns, slots and fonts in the picture, and the templates' HTML beside a real browser's.

use std::process::Command;

use serde_json::{Value, json};
use vitrine::overlay::content::{Content, Look, fill};
use vitrine::overlay::fonts::Fonts;
use vitrine::overlay::raster::Raster;
use vitrine::overlay::sprite::Rgba;
use vitrine::overlay::template::{Library, sample_picture};
use vitrine::state::Money;
use vitrine::state::money::{self, Locale};

use crate::pace::in_time;
use crate::stage::{Control, Folder, Server, clip, until};

pub(crate) fn difference(a: &[u8], b: &[u8]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// The frame, counted from the channel's start, that first shows a revision.
pub(crate) fn drawn_frame(control: &mut Control, rev: &Value) -> u64 {
    let status = control.event("ChannelStatusChanged", |status| status["drawnRev"].as_u64() >= rev.as_u64());
    (status["drawnMs"].as_u64().unwrap() * 30).div_ceil(1000)
}

/// Frames from `first` to the end of the `segments`th segment, cropped, and the number of the first.
pub(crate) fn frames_from(
    server: &Server,
    first: u64,
    segments: u64,
    crop: (u32, u32, u32, u32),
) -> (u64, Vec<Vec<u8>>) {
    let (x, y, width, height) = crop;
    let filter = format!("crop={width}:{height}:{x}:{y}");
    let start = first / 60;
    let frames = (start..start + segments)
        .flat_map(|segment| server.frames(segment, &filter, (width * height) as usize))
        .collect();
    (start * 60, frames)
}

#[test]
fn a_countdown_shows_each_second_once_and_changes_on_the_second() {
    in_time(|server| {
        server.product("cup", 8900);
        let card =
            json!({ "template": "flash-sale", "sku": "cup", "data": { "durationMs": 5000 } }).to_string();
        let (status, answer) = server.api("PUT", "/cards/sale", card.as_bytes());
        assert_eq!(status, 200, "{answer}");
        let mut control = Control::connect(server);
        let rev =
            control.request("ShowCard", &json!({ "cardId": "sale", "skipAnimation": true }))["rev"].clone();
        let shown = drawn_frame(&mut control, &rev);
        // The clock in the card's upper right, and nothing else that moves.
        let (start, frames) = frames_from(server, shown, 5, (480, 508, 96, 36));
        let changes: Vec<u64> = (shown + 1..shown + 210)
            .filter(|n| {
                let at = (n - start) as usize;
                difference(&frames[at - 1], &frames[at]) > 1.5
            })
            .collect();
        // It began with its command, and was told as drawn when it surely was.
        let first = changes.first().unwrap_or(&0) - 30;
        assert!((shown - 29..=shown).contains(&first), "{shown}: {changes:?}");
        let wanted: Vec<u64> = (1..=5).map(|second| first + second * 30).collect();
        assert_eq!(changes, wanted, "5, 4, 3, 2, 1, and then the end");
    });
}

#[test]
fn the_next_card_of_a_slot_comes_when_the_one_before_has_gone() {
    in_time(|server| {
        server.product("cup", 8900);
        for (id, template) in [("a", "price-tag"), ("b", "product")] {
            let moves = json!({ "in": "fade", "out": "fade" });
            let card = json!({ "template": template, "sku": "cup", "slot": "center", "transition": moves });
            assert_eq!(server.api("PUT", &format!("/cards/{id}"), card.to_string().as_bytes()).0, 200);
        }
        let mut control = Control::connect(server);
        let rev =
            control.request("ShowCard", &json!({ "cardId": "a", "skipAnimation": true }))["rev"].clone();
        let first = drawn_frame(&mut control, &rev);
        let rev = control.request("ShowCard", &json!({ "cardId": "b" }))["rev"].clone();
        control.event("CardHidden", |event| event["ending"] == "replaced");
        let second = drawn_frame(&mut control, &rev);
        // In the middle of the picture, where both are.
        let (start, frames) = frames_from(server, first, second / 60 - first / 60 + 2, (600, 340, 80, 40));
        let slate = server.frames(first / 60 - 1, "crop=80:40:600:340", 80 * 40).remove(0);
        let between = (first..=second + 20).map(|n| difference(&frames[(n - start) as usize], &slate));
        let between: Vec<f64> = between.collect();
        assert!(between[0] > 30.0, "the first is there: {between:?}");
        assert!(*between.last().unwrap() > 30.0, "the second is there: {between:?}");
        assert!(between.iter().any(|away| *away < 3.0), "and between them neither: {between:?}");
    });
}

#[test]
fn a_card_goes_out_by_itself_at_its_frame_and_the_state_says_so() {
    in_time(|server| {
        let cut = json!({ "in": "cut", "out": "cut" });
        let card = json!({ "template": "lucky-draw", "data": { "prize": "A teapot" }, "outMs": 1500, "transition": cut });
        let (status, answer) = server.api("PUT", "/cards/draw", card.to_string().as_bytes());
        assert_eq!(status, 200, "{answer}");
        let mut control = Control::connect(server);
        control.request("ShowCard", &json!({ "cardId": "draw" }));
        let since = control.event("CardShown", |_| true)["airing"]["sinceProgramme"].as_u64().unwrap();
        let first = since * 30 / 1_000_000_000 + 10;
        let hidden = control.event("CardHidden", |_| true);
        assert_eq!(hidden["ending"], "timedOut");
        // Its coloured frame, at the left of the middle: there or not.
        let (start, frames) = frames_from(server, first, 3, (362, 350, 4, 20));
        let before = &frames[(first - start) as usize];
        let gone =
            (first..first + 90).find(|n| difference(&frames[(n - start) as usize], before) > 20.0).unwrap();
        let wanted = ((since + 1_500_000_000) * 30).div_ceil(1_000_000_000);
        assert!(gone.abs_diff(wanted) <= 1, "gone at frame {gone}, wanted {wanted}");
    });
}

#[test]
fn a_template_in_the_folder_is_used_at_once_and_a_broken_one_stays_as_it_was() {
    let server = Server::start();
    let folder = server.data.0.join("cards/hello");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = json!({
        "$schema": "https://ograf.ebu.io/v1/specification/json-schemas/graphics/schema.json",
        "id": "own.hello", "name": "Hello", "main": "graphic.mjs", "supportsRealTime": true,
        "supportsNonRealTime": false,
        "schema": { "type": "object", "properties": { "who": { "type": "string", "maxLength": 10 } }, "required": ["who"] },
        "v_vitrine": { "slot": "upper", "sample": { "data": { "who": "World" } } },
    });
    std::fs::write(folder.join("card.html"), "<div class=\"hello\">Hello {{ who }}</div>").unwrap();
    std::fs::write(folder.join("hello.ograf.json"), manifest.to_string()).unwrap();
    let put = |data: Value| {
        server.api("PUT", "/cards/h", json!({ "template": "hello", "data": data }).to_string().as_bytes())
    };
    until("the template is known", || (put(json!({ "who": "you" })).0 == 200).then_some(()));
    let (status, problem) = put(json!({ "who": "everybody here" }));
    assert_eq!((status, &problem["field"]), (400, &json!("data.who")));
    assert_eq!(put(json!({ "price": 5 })).1["field"], "data.price");

    let faults = || server.api("GET", "/templates", b"").1["faults"].clone();
    assert_eq!(faults(), json!([]));
    std::fs::write(folder.join("card.html"), "<div class=\"hello\">\n<b>Hello {{ who }}\n</div>").unwrap();
    let fault = until("the mistake is told", || faults()[0].as_str().map(str::to_owned));
    assert!(fault.starts_with("hello/card.html:3: </div>"), "{fault}");
    assert_eq!(put(json!({ "who": "me" })).0, 200, "the last good version stays in use");
    assert_eq!(server.api("POST", "/cards/h/show", b"").0, 200);
    std::fs::write(folder.join("card.html"), "<div class=\"hello\">Hi {{ who }}</div>").unwrap();
    until("it is mended", || (faults() == json!([])).then_some(()));
}

#[test]
fn producers_are_told_at_which_height_a_code_can_be_scanned() {
    let folder = Folder::new();
    let file = folder.0.join("rungs.toml");
    std::fs::write(&file, "[channels.main]\nrungs = [{ height = 432, kbps = 1100 }]\n").unwrap();
    let server = Server::with(&["--config", file.to_str().unwrap()]);
    server.product("cup", 8900);
    let _host = server.publish(clip());
    server.until_showing("live");
    assert_eq!(server.api("POST", "/cards/cup/show", b"").0, 200);
    let codes =
        until("the check", || Some(server.channel()["codes"].clone()).filter(|codes| codes[0].is_object()));
    assert_eq!(codes[0]["cardId"], "cup");
    let heights: Vec<u64> =
        codes[0]["heights"].as_array().unwrap().iter().map(|one| one["height"].as_u64().unwrap()).collect();
    assert_eq!(heights, [720, 540, 480, 432, 360], "432 as coded for slower lines, the others made smaller");
    assert_eq!(codes[0]["heights"][0]["isScannable"], true, "{codes}");
    // A quarter of the size is too small, and that is said as well.
    let small = json!({ "cardId": "cup", "scale": 0.4 });
    let mut control = Control::connect(&server);
    control.request("UpdateCard", &small);
    until("the size is named", || {
        let problems = server.channel()["cardProblems"].to_string();
        problems.contains("% of the picture high").then_some(())
    });
}

#[test]
fn a_draft_is_drawn_or_refused_like_a_card() {
    let server = Server::start();
    server.product("cup", 8900);
    let draft = json!({ "id": "x", "template": "price-tag", "sku": "cup" }).to_string();
    for path in ["/preview", "/preview?view=canvas&guides=true"] {
        assert_eq!(server.api("POST", path, draft.as_bytes()).0, 200, "{path}");
    }
    let wrong = json!({ "id": "x", "template": "coupon", "data": { "headline": "5 off" } }).to_string();
    let (status, problem) = server.api("POST", "/preview", wrong.as_bytes());
    assert_eq!((status, &problem["field"]), (400, &json!("data.code")));
    assert_eq!(server.api("GET", "/state", b"").1["cards"]["x"], Value::Null, "nothing is kept");
    assert_eq!(server.api("GET", "/templates/coupon/thumbnail.png", b"").0, 200);
    assert_eq!(server.api("GET", "/templates/coupon", b"").1["id"], "vitrine.coupon");
}

#[test]
fn designers_make_and_draw_cards_without_a_server() {
    let folder = Folder::new();
    let card = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_vitrine"))
            .arg("card")
            .args(arguments)
            .arg("--data-dir")
            .arg(&folder.0)
            .output()
            .unwrap()
    };
    let png = folder.0.join("out.png");
    assert!(card(&["new", "mine"]).status.success());
    assert!(!card(&["new", "mine"]).status.success(), "it is not written over");
    let made = card(&["render", "mine", "-o", png.to_str().unwrap(), "--dark"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(image::open(&png).unwrap().width() > 600);
    std::fs::write(folder.0.join("cards/mine/card.css"), ".a {\n width: banana;\n}").unwrap();
    let broken = card(&["render", "mine", "-o", png.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert!(!broken.status.success() && said.contains("mine/card.css:1"), "{said}");
}

#[test]
fn prices_are_written_as_browsers_write_them() {
    let amounts =
        [0_i64, 5, 99, 100, 1999, 99_900, 100_000, 123_456, 1_000_000, 123_456_789, 123_456_789_012, -150];
    let codes = [
        "CNY", "USD", "EUR", "JPY", "KRW", "INR", "BRL", "KWD", "VND", "GBP", "THB", "PHP", "UAH", "TRY",
        "ILS", "HKD", "TWD", "SGD", "AUD", "CAD", "NZD", "AED", "SAR", "EGP", "MXN", "MYR", "RUB", "KZT",
        "PLN", "CZK", "RON", "SEK", "NOK", "DKK", "CHF", "ZAR", "BDT", "BHD", "IDR", "HUF", "COP",
    ];
    let mut rows = Vec::new();
    for name in Locale::names() {
        for code in codes {
            let currency = money::currency(code).unwrap();
            for minor in amounts {
                let ours = Money { minor, currency }.display(Locale::named(name).unwrap());
                rows.push(json!([name, code, money::digits(currency), minor, ours]));
            }
        }
    }
    let folder = Folder::new();
    let file = folder.0.join("prices.json");
    std::fs::write(&file, Value::Array(rows).to_string()).unwrap();
    // Hundredths that nobody uses are ours to show when they are not zero: the digits are given.
    let script = "
        const rows = JSON.parse(require('fs').readFileSync(process.argv[1]));
        const wrong = rows.filter(([locale, currency, digits, minor, ours]) => {
          const unused = ['IDR', 'HUF', 'COP'].includes(currency) && minor % 100 === 0;
          const shown = unused ? 0 : digits;
          const options = { style: 'currency', currency, minimumFractionDigits: shown, maximumFractionDigits: shown };
          return new Intl.NumberFormat(locale, options).format(minor / 10 ** digits) !== ours;
        });
        console.log(JSON.stringify([rows.length, wrong.length, wrong.slice(0, 5)]));";
    let output = Command::new("node").args(["-e", script]).arg(&file).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told[0].as_u64().unwrap() > 25_000, "{told}");
    // Other versions of the tables write a few signs otherwise.
    let most = told[0].as_u64().unwrap() / 100;
    assert!(told[1].as_u64().unwrap() <= most, "{told}");
}

/// Structural similarity of two grey pictures, over windows of 8x8. Source: Wang et al. 2004, equation 13.
fn similarity(a: &[f64], b: &[f64], width: usize, height: usize) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for top in (0..height.saturating_sub(7)).step_by(4) {
        for left in (0..width.saturating_sub(7)).step_by(4) {
            let window = |of: &[f64]| -> Vec<f64> {
                (0..64).map(|n| of[(top + n / 8) * width + left + n % 8]).collect()
            };
            let (x, y) = (window(a), window(b));
            let mean = |of: &[f64]| of.iter().sum::<f64>() / 64.0;
            let (mx, my) = (mean(&x), mean(&y));
            let covariance = |p: &[f64], mp: f64, q: &[f64], mq: f64| {
                p.iter().zip(q).map(|(p, q)| (p - mp) * (q - mq)).sum::<f64>() / 63.0
            };
            let (vx, vy, vxy) =
                (covariance(&x, mx, &x, mx), covariance(&y, my, &y, my), covariance(&x, mx, &y, my));
            let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
            sum += (2.0 * mx * my + c1) * (2.0 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2));
            count += 1.0;
        }
    }
    sum / count
}

/// Brightness over a middle grey, as the page is.
fn grey(picture: &Rgba) -> Vec<f64> {
    let over = |value: u8, alpha: f64| f64::from(value) * alpha + 128.0 * (1.0 - alpha);
    let one = |pixel: &[u8]| {
        let alpha = f64::from(pixel[3]) / 255.0;
        0.299 * over(pixel[0], alpha) + 0.587 * over(pixel[1], alpha) + 0.114 * over(pixel[2], alpha)
    };
    picture.data.chunks_exact(4).map(one).collect()
}

#[test]
fn a_browser_draws_the_same_cards() {
    use base64::Engine;
    let url = |bytes: &[u8]| {
        format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
    };
    let raster = Raster::new(Fonts::bundled(), std::sync::Arc::new(sample_picture));
    let font = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fonts/Inter.ttf");
    let white = Rgba { width: 2, height: 2, data: vec![255; 16] }.to_png();
    let folder = Folder::new();
    let mut worst = Vec::new();
    for (id, design) in &Library::built_in().designs {
        for is_portrait in [false, true] {
            let look = Look { is_portrait, ..Look::default() };
            let content = Content::sample(design, &look);
            let ours = raster.card(design, &content, 1.0).unwrap().picture;
            let mut html = fill(design, &content, "card").unwrap();
            html = html.replace("src=\"code\"", &format!("src=\"{}\"", url(&white)));
            for (name, id) in &content.pictures {
                let bytes = id.as_deref().and_then(sample_picture).unwrap_or_default();
                html = html.replace(&format!("src=\"{name}\""), &format!("src=\"{}\"", url(&bytes)));
            }
            let page = format!(
                "<!doctype html><meta charset=utf-8><style>@font-face {{ font-family: Inter; src: url(file://{font}); \
                 font-weight: 100 900 }} html {{ background: rgb(128,128,128) }} body {{ margin: 0; display: flex; \
                 align-items: flex-start }} {}</style>{html}",
                design.css
            );
            let (file, shot) = (folder.0.join("page.html"), folder.0.join("shot.png"));
            std::fs::write(&file, page).unwrap();
            let chromium = ["chromium", "chromium-browser"]
                .into_iter()
                .find(|name| Command::new(name).arg("--version").output().is_ok())
                .unwrap();
            crate::stage::run(
                Command::new(chromium)
                    .args([
                        "--headless=new",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-quic",
                        "--hide-scrollbars",
                    ])
                    .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
                    .args([
                        "--disable-lcd-text",
                        "--force-color-profile=srgb",
                        "--allow-file-access-from-files",
                    ])
                    .arg(format!("--user-data-dir={}", folder.0.join("profile").display()))
                    .arg(format!("--window-size={},{}", ours.width.max(600), ours.height + 200))
                    .arg(format!("--screenshot={}", shot.display()))
                    .arg(format!("file://{}", file.display())),
            );
            let theirs = image::open(&shot).unwrap().crop_imm(0, 0, ours.width, ours.height).into_rgba8();
            let theirs = Rgba { width: ours.width, height: ours.height, data: theirs.into_raw() };
            let (width, height) = (ours.width as usize, ours.height as usize);
            let alike = similarity(&grey(&ours), &grey(&theirs), width, height);
            if alike < 0.95 {
                let kept = std::env::temp_dir().join(format!("browser-{id}-{is_portrait}.png"));
                std::fs::copy(&shot, kept).unwrap();
                worst.push(format!("{id} {is_portrait}: {alike:.3}"));
            }
        }
    }
    assert!(worst.is_empty(), "less than 0.95 alike: {}", worst.join(", "));
}
