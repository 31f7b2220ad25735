//! REST as its description says it, and the programs of the README.

use std::process::Command;

use serde_json::json;

use crate::stage::{Server, TOKEN};

#[test]
fn every_address_that_is_described_is_there_and_refuses_in_one_form() {
    let server = Server::start();
    let (status, document) = server.api("GET", "/openapi.json", b"");
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let bearer = format!("Bearer {TOKEN}");
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let asked = format!("{} {path}", method.to_uppercase());
            let mut address = path.clone();
            for parameter in
                operation["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "path")
            {
                address = address.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), "nosuch");
            }
            let (status, _, answer) = server.ask(&method.to_uppercase(), &address, &[], b"{}");
            if operation["tags"] != json!(["Session"]) {
                assert_eq!((status, &answer["status"]), (401, &json!(401)), "{asked}: {answer}");
                let headers = [("authorization", bearer.as_str())];
                let (status, _, answer) = server.ask(&method.to_uppercase(), &address, &headers, b"[1");
                let known = operation["responses"].as_object().unwrap().contains_key(&status.to_string());
                assert!(known && status != 500, "{asked}: {status} {answer}");
                let is_problem = answer["status"] == json!(status)
                    && answer["detail"].is_string()
                    && answer["title"].is_string();
                assert!(status < 400 || is_problem, "{asked}: {answer}");
            }
            count += 1;
        }
    }
    assert!(count > 60, "{count} operations");
    // What the framework refuses has the same form.
    for (method, path, status) in
        [("GET", "/nosuch", 404), ("BREW", "/state", 405), ("GET", "/products?limit=many", 400)]
    {
        let (got, answer) = server.api(method, path, b"");
        assert_eq!((got, &answer["status"]), (status, &json!(status)), "{method} {path}: {answer}");
    }
    let (status, answer) = server.api("PUT", "/products/cup", &vec![b' '; 300 * 1024]);
    assert_eq!((status, &answer["status"]), (413, &json!(413)), "{answer}");
}

#[test]
fn lists_come_in_pages_and_a_key_makes_a_change_once() {
    let server = Server::start();
    for n in 0..5 {
        server.product(&format!("p{n}"), 100 + n);
    }
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.api("GET", &format!("/products?limit=2{after}"), b"").1;
        found.extend(page["products"].as_array().unwrap().iter().map(|product| product["sku"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(json!(found), json!(["p0", "p1", "p2", "p3", "p4"]));
    assert_eq!(server.api("GET", "/cards?limit=3", b"").1["next"], "p2");
    let bearer = format!("Bearer {TOKEN}");
    let once = |stock: u32| {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "order-1")];
        let (status, _, answer) = server.ask(
            "POST",
            "/products/p0/stock",
            &headers,
            json!({ "stock": stock }).to_string().as_bytes(),
        );
        (status, answer)
    };
    let (first, again) = (once(5), once(5));
    assert_eq!((first.0, &first), (200, &again));
    assert_eq!(once(4).0, 409, "the same key for something else");
}

/// The first block of a language in the README.
fn block(language: &str) -> String {
    let readme = include_str!("../../README.md");
    let rest = readme.split_once(&format!("```{language}\n")).expect("there is one").1;
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_programs_of_the_readme_run_as_they_stand() {
    let server = Server::start();
    let run = |program: &str, arguments: &[&str], text: String| -> String {
        assert!(text.lines().count() <= 25, "short enough to read");
        let output = Command::new(program)
            .args(arguments)
            .arg(text)
            .env("VITRINE_URL", &server.http)
            .env("VITRINE_TOKEN", TOKEN)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("python3", &["-c"], block("python")), "mug is on air on main\n");
    let said = run("node", &["--input-type=module", "-e"], block("js"));
    assert!(said.contains("would fall from 49.00 EUR to 4.90 EUR") && said.ends_with("Pot 3900\n"), "{said}");
    let state = server.api("GET", "/state", b"").1;
    assert_eq!((&state["airings"], &state["products"]["mug"]["stock"]), (&json!([]), &json!(0)));
}

/// Thousands of requests made from the description, right ones and wrong ones: none breaks the server, and every answer is
/// one that the description knows.
#[test]
fn an_outside_tester_finds_every_answer_described() {
    let server = Server::start();
    for sku in ["cup", "pot"] {
        server.product(sku, 8900);
    }
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/venv/bin/schemathesis"))
        .args(["run", &format!("{}/api/v1/openapi.json", server.http)])
        .args(["-H", &format!("Authorization: Bearer {TOKEN}"), "--max-time", "45", "-n", "10"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        // Nothing outside this machine is fetched.
        .args(["--exclude-path", "/channels/{channel}/source", "--phases", "examples,coverage,fuzzing"])
        .args(["--generation-deterministic", "--no-color", "--no-shrink"])
        .current_dir(&server.data.0)
        .output()
        .expect("`make test` installs it");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(server.get("/healthz").0, 200);
}
