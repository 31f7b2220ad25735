//! Products from shops' files, and prices that are probably wrong.

use serde_json::{Value, json};

use crate::stage::{Control, Folder, Server, until};

const SHOPIFY: &str = "Handle,Title,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Variant Compare At Price,Status\n\
    cup,Cup,Blue,cup,shopify,5,79.00,129.00,active\n\
    pot,Pot,Default Title,pot,shopify,2,40.00,,active\n";

fn send(server: &Server, query: &str, file: &str) -> (u16, Value) {
    server.api("POST", &format!("/import/file?{query}"), file.as_bytes())
}

#[test]
fn a_shops_file_is_looked_at_first_and_then_taken_whole() {
    let server = Server::start();
    server.product("cup", 8900);
    let mut control = Control::connect(&server);
    let rev = server.api("GET", "/state", b"").1["rev"].clone();
    let words = "currency=CNY&shop=https://shop.example";
    let (status, report) = send(&server, &format!("{words}&dryRun=true"), SHOPIFY);
    assert_eq!(
        (status, &report["format"], &report["isTaken"]),
        (200, &json!("shopify"), &json!(false)),
        "{report}"
    );
    assert_eq!((&report["added"], &report["changed"]), (&json!(1), &json!(1)), "{report}");
    let cup = report["lines"].as_array().unwrap().iter().find(|line| line["sku"] == "cup").unwrap();
    assert_eq!(cup["fields"]["priceMinor"], json!([8900, 7900]), "{cup}");
    assert_eq!(server.api("GET", "/state", b"").1["rev"], rev, "a look changes nothing");
    let (status, report) = send(&server, words, SHOPIFY);
    assert_eq!((status, &report["isTaken"]), (200, &json!(true)), "{report}");
    let told = control.event("ProductChanged", |event| event["product"]["sku"] == "pot");
    assert_eq!(told["rev"], report["rev"], "one revision");
    let state = server.api("GET", "/state", b"").1;
    assert_eq!(state["products"]["pot"]["link"], "https://shop.example/products/pot");
    assert_eq!(
        (&state["products"]["cup"]["stock"], &state["cards"]["pot"]["sku"]),
        (&json!(5), &json!("pot"))
    );
    let (_, again) = send(&server, words, SHOPIFY);
    assert_eq!((&again["unchanged"], &again["rev"]), (&json!(2), &report["rev"]), "{again}");
    // A row with a mistake keeps the others out, unless it is to be left out.
    let broken = format!("{SHOPIFY}mat,Mat,Default Title,mat,,,\"1,299\",,active\n");
    let broken = broken.replace("79.00", "69.00");
    let (status, refused) = send(&server, words, &broken);
    assert!(status == 400 && refused["detail"].to_string().contains("row 4: price"), "{refused}");
    assert_eq!(server.api("GET", "/state", b"").1["products"]["cup"]["priceMinor"], 7900);
    assert_eq!(send(&server, &format!("{words}&leaveOut=true"), &broken).0, 200);
    assert_eq!(server.api("GET", "/state", b"").1["products"]["cup"]["priceMinor"], 6900);
    for (file, words, reason) in [
        ("hello", "", "no columns"),
        ("sku,title,price\na,A,5\n", "", "currency"),
        ("sku,title,price\na,A,5\n", "currency=EUR&colour=red", "colour"),
        ("<rss/>", "", "no item"),
    ] {
        let (status, refused) = send(&server, words, file);
        assert!(status == 400 && refused.to_string().contains(reason), "{file}: {refused}");
    }
}

#[test]
fn a_price_that_looks_wrong_waits_for_a_confirmation() {
    let server = Server::start();
    server.product("cup", 8900);
    let mut control = Control::connect(&server);
    let price = || server.api("GET", "/state", b"").1["products"]["cup"]["priceMinor"].clone();
    for change in [
        json!({ "sku": "cup", "priceMinor": 890 }),
        json!({ "sku": "cup", "priceMinor": 13_000 }),
        json!({ "sku": "cup", "currency": "JPY" }),
    ] {
        let (status, answer) = control.ask("SetPrice", &change);
        assert_eq!((&status["code"], &answer["field"]), (&json!(604), &json!("confirmed")), "{status}");
        assert_eq!(price(), 8900);
    }
    let file = "sku,price,currency\ncup,8.90,CNY\n";
    let (status, refused) = send(&server, "", file);
    assert!(
        status == 409 && refused["detail"].to_string().contains("from 89.00 CNY to 8.90 CNY"),
        "{refused}"
    );
    let (_, report) = send(&server, "dryRun=true", file);
    assert_eq!((&report["doubtCount"], &report["doubts"][0]["sku"]), (&json!(1), &json!("cup")), "{report}");
    assert_eq!(send(&server, "confirmed=true", file).0, 200);
    assert_eq!(price(), 890);
    control.request("SetPrice", &json!({ "sku": "cup", "priceMinor": 100, "confirmed": true }));
    assert_eq!(price(), 100);
}

#[test]
fn ten_thousand_products_come_in_at_once_and_leave_the_programme_alone() {
    let server = Server::start();
    let mut control = Control::connect(&server);
    let rows =
        (0..9_990).map(|n| format!("sku-{n},Product number {n},{n}.50,7\n")).collect::<Vec<_>>().concat();
    let file = format!("sku,title,price,stock\n{rows}");
    let (status, report) = send(&server, "currency=EUR&cards=false", &file);
    assert_eq!((status, &report["added"], &report["cards"]), (200, &json!(9_990), &json!(0)), "{report}");
    let last = control.event("ProductChanged", |event| event["product"]["sku"] == "sku-9989");
    assert_eq!(last["rev"], report["rev"]);
    let (status, refused) = send(&server, "currency=EUR&cards=false", &file.replace("sku-", "other-"));
    assert!(status == 409 && refused["detail"].to_string().contains("full"), "{refused}");
    let behind = until("the programme's next state", || server.channel()["behindMs"].as_u64());
    assert!(behind < 500, "{behind} ms late");
}

/// Hex of the HMAC-SHA256 of `body`, by openssl.
pub(crate) fn signature(secret: &str, body: &str) -> String {
    use std::io::Write;
    let mut openssl = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret, "-hex"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let told = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
    told.trim().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_shop_tells_of_other_prices_by_itself_and_an_odd_one_waits_for_somebody() {
    let data = Folder::new();
    let config = data.0.join("vitrine.toml");
    std::fs::write(&config, "[hooks.shop]\nkind = \"signed\"\nsecret = \"a secret of sixteen\"\n").unwrap();
    let server = Server::on(data, &["--config", config.to_str().unwrap()]);
    server.product("cup", 8900);
    let mut control = Control::connect(&server);
    let tell = |body: &str, signature: &str| {
        let signature = format!("sha256={signature}");
        let headers = [("x-hub-signature-256", signature.as_str())];
        let (status, _, answer) = server.ask("POST", "/hooks/shop", &headers, body.as_bytes());
        (status, answer)
    };
    let told = |body: &str| tell(body, &signature("a secret of sixteen", body));
    let product = || server.api("GET", "/products/cup", b"").1["product"].clone();
    let body = r#"{"products":[{"sku":"cup","priceMinor":7900,"stock":3},{"sku":"unknown","stock":1}]}"#;
    let (status, answer) = told(body);
    assert_eq!((status, &answer["taken"], &answer["passedOver"]), (200, &json!(1), &json!(1)), "{answer}");
    assert_eq!((&product()["priceMinor"], &product()["stock"]), (&json!(7900), &json!(3)));
    assert_eq!(tell(body, &signature("another secret", body)).0, 401);
    assert_eq!(tell(body, "zz").0, 401);
    let (status, answer) = told(r#"{"sku":"cup","priceMinor":79}"#);
    assert_eq!((status, &answer["waiting"]), (200, &json!(1)), "{answer}");
    assert_eq!(product()["priceMinor"], 7900);
    let asked = control.event("QuestionsChanged", |event| event["questions"][0]["sku"] == "cup");
    let question = asked["questions"][0]["id"].clone();
    control.request("SetStock", &json!({ "sku": "cup", "stock": 2 }));
    control.request("AnswerQuestion", &json!({ "questionId": question, "isTaken": true }));
    assert_eq!(
        (&product()["priceMinor"], &product()["stock"]),
        (&json!(79), &json!(2)),
        "the stock is as it is now"
    );
    assert_eq!(
        control.ask("AnswerQuestion", &json!({ "questionId": question, "isTaken": true })).0["code"],
        600
    );
}
