//! HTTPS with HTTP/2: certificate files, and an authority that gives certificates out by itself.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::stage::{Folder, Process, Server, until};

/// A certificate for `name` that signs itself, and its key, as files.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&files.0, made.cert.pem()).unwrap();
    std::fs::write(&files.1, made.signing_key.serialize_pem()).unwrap();
    files
}

/// curl's answer: HTTP version, status, and the text.
fn curl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "-w", "\n%{http_version} %{http_code}"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (text, about) = text.rsplit_once('\n').unwrap();
    (about.to_owned(), text.to_owned())
}

fn address(server: &Server) -> String {
    let endpoints = std::fs::read(server.data.0.join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_slice(&endpoints).unwrap();
    endpoints["https"].as_str().unwrap().to_owned()
}

#[test]
fn playlists_and_parts_come_over_http_2_with_the_owners_certificate() {
    let data = Folder::new();
    let (pem, key) = certificate(&data.0, "localhost");
    let file = data.0.join("https.toml");
    let text = format!(
        "https = \"127.0.0.1:0\"\n[tls]\ncertificate = {pem:?}\nkey = {key:?}\n[channels.main]\nrungs = []\n"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let server = Server::on(data, &["--config", &file]);
    let https = address(&server);
    let port = https.rsplit(':').next().unwrap().to_owned();
    let pem = pem.to_str().unwrap();
    let get = |path: &str, more: &[&str]| {
        let url = format!("https://localhost:{port}{path}");
        curl(&[&["--cacert", pem, &url], more].concat())
    };
    let (about, text) = get("/live/main/index.m3u8", &[]);
    assert!(about == "2 200" && text.contains("video.m3u8"), "{about}: {text}");
    let segment = server.live_segment();
    let next = segment + 1;
    let (about, text) = get(&format!("/live/main/video.m3u8?_HLS_msn={next}"), &[]);
    assert!(about == "2 200" && text.contains(&format!("video/{next}.m4s")), "held and answered: {about}");
    assert_eq!(get(&format!("/live/main/video/{next}.m4s"), &["-o", "/dev/null"]).0, "2 200");
    assert_eq!(get("/watch/main", &["--http1.1"]).0, "1.1 200");
    // For a proxy in front: HTTP/2 without TLS.
    let plain = format!("{}/live/main/index.m3u8", server.http);
    assert_eq!(curl(&["--http2-prior-knowledge", &plain]).0, "2 200");
    // Who does not speak TLS ends alone.
    let (about, _) = curl(&[&format!("http://{https}/live/main/index.m3u8")]);
    assert!(about.ends_with(" 000"), "{about}");
    assert_eq!(get("/healthz", &[]).0, "2 200");
}

#[test]
fn a_certificate_is_fetched_from_an_authority_and_kept() {
    let has = |program: &str| {
        Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success()
    };
    if !has("pebble") || !has("pebble-challtestsrv") {
        return; // the test authority is not packaged for this system
    }
    let data = Folder::new();
    let (pem, key) = certificate(&data.0, "localhost");
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let [directory, management, https, dns, dns_management] = [free(), free(), free(), free(), free()];
    let settings = json!({ "pebble": {
        "listenAddress": format!("127.0.0.1:{directory}"),
        "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": pem, "privateKey": key,
        "httpPort": 1, "tlsPort": https, "ocspResponderURL": "",
    } });
    std::fs::write(data.0.join("pebble.json"), settings.to_string()).unwrap();
    let quiet = |command: &mut Command| {
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let _names = quiet(Command::new("pebble-challtestsrv").args([
        "-defaultIPv4",
        "127.0.0.1",
        "-defaultIPv6",
        "",
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
        "-dns01",
        &format!("127.0.0.1:{dns}"),
        "-management",
        &format!("127.0.0.1:{dns_management}"),
    ]));
    let _authority = quiet(
        Command::new("pebble")
            .args(["-dnsserver", &format!("127.0.0.1:{dns}"), "-config"])
            .arg(data.0.join("pebble.json"))
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")]),
    );
    let directory = format!("https://localhost:{directory}/dir");
    let pem = pem.to_str().unwrap().to_owned();
    until("the authority", || curl(&["--cacert", &pem, &directory]).0.ends_with(" 200").then_some(()));
    let file = data.0.join("acme.toml");
    let text = format!(
        "https = \"127.0.0.1:{https}\"\n[acme]\ndomains = [\"live.shop.example\"]\ndirectory = {directory:?}\n\
         root = {pem:?}\n[channels.main]\nrungs = []\n"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let server = Server::on(data, &["--config", &file]);
    let root = server.data.0.join("root.pem");
    let fetched = curl(&["-k", &format!("https://localhost:{management}/roots/0")]);
    std::fs::write(&root, fetched.1).unwrap();
    let name = format!("live.shop.example:{https}");
    let with_name = ["--resolve", &format!("{name}:127.0.0.1"), "--cacert", root.to_str().unwrap()];
    let url = format!("https://{name}/live/main/index.m3u8");
    let get = || curl(&[&with_name[..], &[&url]].concat()).0;
    until("a certificate of the authority's", || (get() == "2 200").then_some(()));
    assert!(server.said().contains(&format!("https://{name}/control")), "{}", server.said());
    let kept = std::fs::read_dir(server.data.0.join("acme")).unwrap().count();
    assert!(kept >= 2, "the account and the certificate");
}
