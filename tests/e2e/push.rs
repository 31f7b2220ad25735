//! Simulcast: the programme at other people's servers, and what happens here when they are slow, stopped or not there.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::pull::{free_port, quiet};
use crate::stage::{Folder, Process, Server, make_clip, run, until};

/// nginx-rtmp, which writes what it gets into its folder.
fn nginx(folder: &Path, port: u16) -> Process {
    let configuration = folder.join("nginx.conf");
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\ndaemon off; master_process off;\n\
         user root; pid {0}/pid; error_log {0}/log;\nevents {{ }}\n\
         rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; record all; record_path {0}; }} }} }}\n",
        folder.display()
    );
    std::fs::write(&configuration, text).unwrap();
    let process = quiet(Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(&configuration));
    until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    process
}

fn server(targets: &str) -> Server {
    let data = Folder::new();
    let file = data.0.join("push.toml");
    let channel = "rungs = []\nwidth = 640\nheight = 360\nvideo_kbps = 12000\npreset = \"ultrafast\"";
    std::fs::write(&file, format!("[archive]\ngap_min = 0.05\n[channels.main]\n{channel}\n{targets}"))
        .unwrap();
    let file = file.to_str().unwrap().to_owned();
    Server::on(data, &["--config", &file])
}

fn push(server: &Server, name: &str) -> Value {
    let pushes = server.channel()["pushes"].as_array().unwrap().clone();
    pushes.into_iter().find(|push| push["name"] == name).unwrap()
}

fn until_push(server: &Server, name: &str, state: &str) -> Value {
    until(&format!("{name} is {state}"), || Some(push(server, name)).filter(|push| push["state"] == state))
}

/// Noise: what fills a network's buffers within seconds.
fn noise() -> std::path::PathBuf {
    make_clip("noise", "color=gray:size=640x360:rate=30,noise=alls=60:allf=t", "sine=frequency=440")
}

/// Seconds of picture and of sound that an outside decoder finds in a file.
fn decoded(file: &Path) -> (f64, f64) {
    let seconds = |stream: &str| {
        let output = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-select_streams",
                stream,
                "-show_entries",
                "packet=pts_time",
                "-of",
                "csv=p=0",
            ])
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let times: Vec<f64> =
            text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect();
        times.last().unwrap_or(&0.0) - times.first().unwrap_or(&0.0)
    };
    (seconds("v:0"), seconds("a:0"))
}

#[test]
fn platforms_get_the_programme_and_one_that_stands_still_holds_up_nobody() {
    let folder = Folder::new();
    let (rtmp, srt, nobody) = (free_port(), free_port(), free_port());
    let nginx = nginx(&folder.0, rtmp);
    let received = folder.0.join("received.ts");
    let receiver = Command::new("srt-live-transmit")
        .args(["-q", &format!("srt://127.0.0.1:{srt}?mode=listener"), "file://con"])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&received).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let _receiver = Process(receiver.unwrap());
    let server = server(&format!(
        "[channels.main.push.nginx]\nurl = \"rtmp://127.0.0.1:{rtmp}/live\"\nkey = \"s3cret-key\"\n\
         [channels.main.push.srt]\nurl = \"srt://127.0.0.1:{srt}\"\n\
         [channels.main.push.nobody]\nurl = \"rtmp://127.0.0.1:{nobody}/live\"\nkey = \"s3cret-key\"\n"
    ));
    assert_eq!(push(&server, "nginx")["state"], "off", "nobody has published");
    let host = server.publish(&noise());
    server.until_showing("live");
    for name in ["nginx", "srt"] {
        until_push(&server, name, "on");
    }
    let failed = until_push(&server, "nobody", "waiting");
    assert!(failed["error"].is_string(), "{failed}");

    // Stopped, with its connection open.
    let signal = |name: &str| run(Command::new("kill").args([name, &nginx.0.id().to_string()]));
    signal("-STOP");
    let stuck = until("it is noticed", || {
        Some(push(&server, "nginx"))
            .filter(|push| push["state"] == "waiting" || push["state"] == "connecting")
    });
    let told = stuck["error"].as_str().unwrap_or("took nothing");
    assert!(told.contains("took nothing") || told.contains("timed out"), "{stuck}");
    // For a minute: viewers get every segment of it.
    let segment = server.live_segment();
    for ahead in 1..=30 {
        server.segment("video", segment + ahead);
    }
    assert!(
        server.channel()["behindMs"].as_u64() < Some(1000),
        "the programme does not wait: {}",
        server.channel()
    );
    assert_eq!(push(&server, "srt")["state"], "on", "nor does another platform");
    signal("-CONT");
    until_push(&server, "nginx", "on");
    server.segment("video", server.live_segment() + 1);
    drop(host);
    // The show is over: nothing is pushed any more, nor tried.
    for name in ["nginx", "srt", "nobody"] {
        until_push(&server, name, "off");
    }
    let log = server.log();
    assert!(!log.contains("s3cret-key") && !server.channel().to_string().contains("s3cret-key"), "{log}");
    let files = std::fs::read_dir(&folder.0).unwrap().flatten().map(|entry| entry.path());
    let flv: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "flv")).collect();
    for file in flv.iter().chain([&received]) {
        let (picture, sound) = decoded(file);
        assert!(picture > 1.0 && (picture - sound).abs() < 1.0, "{}: {picture} s, {sound} s", file.display());
    }
    assert!(decoded(&received).0 > 15.0, "through all of it");
}
