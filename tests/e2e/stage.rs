//! The stage that the stories play on: a server on free ports, publishers, a control client, a viewer.
//! Everything waits for a condition with a deadline; nothing sleeps for a guessed time.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use vitrine::control::socket::authentication;

pub(crate) const TOKEN: &str = "test-admin-token";
pub(crate) const KEY: &str = "test-stream-key";
/// Generous: CI machines are slow and shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// In place of arguments: no key from the command line.
const NO_KEY: &[&str] = &["no key"];

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(vitrine::id::new("vitrine-e2e"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[allow(clippy::disallowed_methods)] // a test's deadline is real time
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for: {what}");
        std::thread::sleep(Duration::from_millis(20)); // between two looks, not for the condition
    }
}

/// A process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who may use the machine: many stories at once, or one that measures times alone.
#[derive(Default)]
struct Turns {
    stories: usize,
    is_alone: bool,
    alone_waits: usize,
}

static TURNS: Mutex<Turns> = Mutex::new(Turns { stories: 0, is_alone: false, alone_waits: 0 });
static TURN_ENDED: Condvar = Condvar::new();

/// A story's turn, until it is dropped.
struct Turn {
    is_alone: bool,
}

impl Turn {
    fn take(is_alone: bool) -> Arc<Self> {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        if is_alone {
            turns.alone_waits += 1;
            while turns.is_alone || turns.stories > 0 {
                turns = TURN_ENDED.wait(turns).unwrap_or_else(PoisonError::into_inner);
            }
            turns.alone_waits -= 1;
            turns.is_alone = true;
        } else {
            while turns.is_alone || turns.alone_waits > 0 {
                turns = TURN_ENDED.wait(turns).unwrap_or_else(PoisonError::into_inner);
            }
            turns.stories += 1;
        }
        Arc::new(Self { is_alone })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_alone {
            turns.is_alone = false;
        } else {
            turns.stories -= 1;
        }
        TURN_ENDED.notify_all();
    }
}

/// A running server.
pub(crate) struct Server {
    process: Process,
    turn: Arc<Turn>,
    pub(crate) data: Folder,
    pub(crate) http: String,
    pub(crate) rtmp: String,
    /// `srt://address`, before the stream id.
    pub(crate) srt: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::on(Folder::new(), arguments)
    }

    /// With the machine to itself, for a story that measures times.
    pub(crate) fn alone() -> Self {
        Self::run(Turn::take(true), Folder::new(), &[], &[])
    }

    /// The same, configured.
    pub(crate) fn alone_on(data: Folder, arguments: &[&str]) -> Self {
        Self::run(Turn::take(true), data, &[], arguments)
    }

    /// A second server in the same story.
    pub(crate) fn beside(first: &Self) -> Self {
        Self::run(first.turn.clone(), Folder::new(), &[], &[])
    }

    /// In a network namespace of its own; its pages are out of reach.
    pub(crate) fn inside(namespace: &str) -> Self {
        Self::run(Turn::take(true), Folder::new(), &["ip", "netns", "exec", namespace], &[])
    }

    pub(crate) fn on(data: Folder, arguments: &[&str]) -> Self {
        Self::run(Turn::take(false), data, &[], arguments)
    }

    fn run(turn: Arc<Turn>, data: Folder, before: &[&str], arguments: &[&str]) -> Self {
        let endpoints = data.0.join("endpoints.json");
        let _ = std::fs::remove_file(&endpoints);
        let log = std::fs::OpenOptions::new().append(true).create(true).open(data.0.join("log")).unwrap();
        let said = std::fs::File::create(data.0.join("said")).unwrap();
        // One rung is enough for most stories, and leaves the machine to others.
        let plain = (!arguments.contains(&"--config")).then(|| {
            let file = data.0.join("plain.toml");
            std::fs::write(&file, "[channels.main]\nrungs = []\n").unwrap();
            file
        });
        let program = before.first().copied().unwrap_or(env!("CARGO_BIN_EXE_vitrine"));
        let process = Command::new(program)
            .args(before.iter().skip(1))
            .args((!before.is_empty()).then_some(env!("CARGO_BIN_EXE_vitrine")))
            .args(["--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0", "--srt", "127.0.0.1:0", "--data-dir"])
            .arg(&data.0)
            .args(["--admin-token", TOKEN])
            .args(if arguments == NO_KEY { &[][..] } else { &["--stream-key", KEY] })
            .args(if arguments == NO_KEY { &[] } else { arguments })
            .args(plain.iter().flat_map(|file| [OsStr::new("--config"), file.as_os_str()]))
            .stdout(said)
            .stderr(log)
            .spawn()
            .unwrap();
        let process = Process(process);
        let endpoints: Value =
            until("endpoints.json", || serde_json::from_slice(&std::fs::read(&endpoints).ok()?).ok());
        let http = format!("http://{}", endpoints["http"].as_str().unwrap());
        let rtmp = format!("rtmp://{}/live", endpoints["rtmp"].as_str().unwrap());
        let srt = format!("srt://{}", endpoints["srt"].as_str().unwrap());
        Self { process, turn, data, http, rtmp, srt }
    }

    /// Without a key of its own for this run: it makes one.
    pub(crate) fn without_key(data: Folder) -> Self {
        Self::run(Turn::take(false), data, &[], NO_KEY)
    }

    /// What it told the person at the terminal.
    pub(crate) fn said(&self) -> String {
        let path = self.data.0.join("said");
        until("the terminal's text", || {
            std::fs::read_to_string(&path).ok().filter(|said| said.contains("HLS"))
        })
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Killed, and at once there again with the same data.
    pub(crate) fn again(self, arguments: &[&str]) -> Self {
        let Self { process, data, turn, .. } = self;
        drop(process); // SIGKILL
        Self::run(turn, data, &[], arguments)
    }

    /// Ends it as a lost power supply would, and gives its data back.
    pub(crate) fn kill(self) -> Folder {
        let Self { process, data, .. } = self; // its turn ends too
        drop(process); // SIGKILL
        data
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data.0.join("log")).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let mut response = agent.get(format!("{}{path}", self.http)).call().unwrap();
        let body = response.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        (response.status().as_u16(), body)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}");
        String::from_utf8(body).unwrap()
    }

    /// A page of the API as text.
    pub(crate) fn text_with_token(&self, path: &str) -> String {
        self.api("GET", path.trim_start_matches("/api/v1"), b"").1.to_string()
    }

    /// A REST call; status and JSON.
    pub(crate) fn api(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let (status, _, body) =
            self.ask(method, path, &[("authorization", &format!("Bearer {TOKEN}"))], body);
        (status, body)
    }

    /// One with other headers; the cookie that the answer sets, too.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, Value) {
        let request =
            ureq::http::Request::builder().method(method).uri(format!("{}/api/v1{path}", self.http));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(body.to_vec()).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
        let mut response = agent.run(request).unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        let cookie = response.headers().get("set-cookie").map_or("", |value| value.to_str().unwrap());
        let cookie = cookie.split(';').next().unwrap().to_owned();
        (response.status().as_u16(), cookie, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) fn channel(&self) -> Value {
        self.api("GET", "/state", b"").1["channels"][0].clone()
    }

    pub(crate) fn until_showing(&self, what: &str) {
        until(&format!("the programme shows {what}"), || (self.channel()["showing"] == what).then_some(()));
    }

    /// A line is written when what it tells is over, which may be after the other side has noticed.
    pub(crate) fn until_logged(&self, words: &str) {
        until(&format!("the log says {words}"), || self.log().contains(words).then_some(()));
    }

    /// Publishes `clip` in a loop, as an encoder would.
    pub(crate) fn publish(&self, clip: &Path) -> Process {
        publisher(&format!("{}/{KEY}", self.rtmp), clip, Stdio::null())
    }

    /// A product with a card of the same name.
    pub(crate) fn product(&self, sku: &str, price_minor: i64) {
        let product = json!({
            "title": "Ceramic cup 陶瓷杯 ☕", "priceMinor": price_minor, "oldPriceMinor": 12900, "currency": "CNY",
        });
        let (status, answer) = self.api("PUT", &format!("/products/{sku}"), product.to_string().as_bytes());
        assert_eq!(status, 200, "{answer}");
        let card = json!({ "sku": sku }).to_string();
        let (status, answer) = self.api("PUT", &format!("/cards/{sku}"), card.as_bytes());
        assert_eq!(status, 200, "{answer}");
    }

    /// The segment's frames through an ffmpeg filter, as gray bytes, one vector a frame.
    pub(crate) fn frames(&self, segment: u64, filter: &str, frame_bytes: usize) -> Vec<Vec<u8>> {
        let bytes = self.segment("video", segment);
        let file = self.data.0.join(vitrine::id::new("segment"));
        std::fs::write(&file, bytes).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&file)
            .args(["-vf", filter, "-f", "rawvideo", "-pix_fmt", "gray", "-"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.chunks_exact(frame_bytes).map(<[u8]>::to_vec).collect()
    }

    /// How loud a segment is: the root of the mean square, 0 to 1.
    pub(crate) fn loudness(&self, segment: u64) -> f64 {
        let file = self.data.0.join(vitrine::id::new("sound"));
        std::fs::write(&file, self.segment("audio", segment)).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&file)
            .args(["-ac", "1", "-f", "s16le", "-"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let samples: Vec<f64> = output
            .stdout
            .chunks_exact(2)
            .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
            .collect();
        (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64).sqrt()
    }

    /// A rendition's initialisation segment.
    pub(crate) fn init(&self, track: &str) -> Vec<u8> {
        let playlist = self.text(&format!("/live/main/{track}.m3u8"));
        let init = playlist.split("#EXT-X-MAP:URI=\"").nth(1).unwrap().split('"').next().unwrap();
        let (status, bytes) = self.get(&format!("/live/main/{init}"));
        assert_eq!(status, 200, "{init}");
        bytes
    }

    /// A whole segment with its initialisation, waited for when it is the next.
    pub(crate) fn segment(&self, track: &str, segment: u64) -> Vec<u8> {
        let mut bytes = self.init(track);
        until(&format!("segment {segment}"), || {
            let (status, body) = self.get(&format!("/live/main/{track}/{segment}.m4s"));
            (status == 200).then(|| bytes.extend(body))
        });
        bytes
    }

    /// What `zbarimg` reads from the first frame of a segment.
    pub(crate) fn qr_in(&self, segment: u64) -> Option<String> {
        let bytes = self.segment("video", segment);
        let (file, png) = (self.data.0.join("qr.mp4"), self.data.0.join("qr.png"));
        std::fs::write(&file, bytes).unwrap();
        run(Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(&file)
            .args(["-frames:v", "1"])
            .arg(&png));
        let output = Command::new("zbarimg").args(["-q", "--raw"]).arg(&png).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// The segment in progress.
    pub(crate) fn live_segment(&self) -> u64 {
        let playlist = self.text("/live/main/video.m3u8");
        let hint = playlist.split("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"video/").nth(1).unwrap();
        hint.split('.').next().unwrap().parse().unwrap()
    }
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// ffmpeg, publishing a clip in a loop without encoding.
pub(crate) fn publisher(address: &str, clip: &Path, log: Stdio) -> Process {
    let child = Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip)
        .args(["-c", "copy", "-f", "flv", address])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Process(child)
}

/// A clip made once for all tests of this run: ten seconds of moving picture and a tone.
pub(crate) fn clip() -> &'static Path {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        make_clip("moving", "testsrc2=size=1280x720:rate=30", "sine=frequency=440:sample_rate=48000")
    })
}

/// The same in another size and rate, with B-frames and a distant key frame, as OBS sends by default.
pub(crate) fn other_clip() -> &'static Path {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        make_clip("other", "testsrc2=size=640x480:rate=25", "sine=frequency=880:sample_rate=44100")
    })
}

/// Encodes ten seconds of `video` and `audio` (ffmpeg's own sources) to FLV.
pub(crate) fn make_clip(name: &str, video: &str, audio: &str) -> PathBuf {
    let coding = ["-c:v", "libx264", "-bf", "2", "-g", "60", "-b:v", "1500k", "-c:a", "aac", "-ac", "2"];
    make(name, "flv", video, audio, &coding)
}

/// Encodes ten seconds of `video` and `audio` (ffmpeg's own sources, or nothing) to a file that ends in `end`.
pub(crate) fn make(name: &str, end: &str, video: &str, audio: &str, coding: &[&str]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.{end}", std::process::id()));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y"]);
    for source in [video, audio].iter().filter(|source| !source.is_empty()) {
        ffmpeg.args(["-f", "lavfi", "-i", source]);
    }
    run(ffmpeg.args(["-t", "10", "-preset", "veryfast", "-pix_fmt", "yuv420p"]).args(coding).arg(&path));
    path
}

pub(crate) type Stream =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A control client on the WebSocket.
pub(crate) struct Control {
    runtime: tokio::runtime::Runtime,
    stream: Stream,
    /// Events not yet looked at.
    events: Vec<Value>,
    requests: u64,
}

impl Control {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::connect_as(server, TOKEN)
    }

    pub(crate) fn connect_as(server: &Server, token: &str) -> Self {
        let url = server.http.replace("http://", "ws://") + "/ws";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stream, _) = runtime.block_on(tokio_tungstenite::connect_async(url)).unwrap();
        let mut control = Self { runtime, stream, events: Vec::new(), requests: 0 };
        let hello = control.receive();
        assert_eq!(hello["op"], 0);
        let text = |name: &str| hello["d"]["authentication"][name].as_str().unwrap().to_owned();
        let proof = authentication(token, &text("salt"), &text("challenge"));
        control.send(&json!({ "op": 1, "d": { "rpcVersion": 1, "authentication": proof } }));
        assert_eq!(control.receive()["op"], 2);
        control
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let message = Message::text(message.to_string());
        self.runtime.block_on(self.stream.send(message)).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Value {
        loop {
            let next = self.stream.next();
            let message = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, next).await });
            match message.expect("a message in time").expect("an open connection").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Reads until the server closes; the code that it gives.
    pub(crate) fn until_closed(&mut self) -> u16 {
        let closed = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map_or(0, |frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    _ => return 0,
                }
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, closed).await }).expect("an end in time")
    }

    /// Asks; the answer's `requestStatus` and data.
    pub(crate) fn ask(&mut self, request_type: &str, data: &Value) -> (Value, Value) {
        self.requests += 1;
        let id = self.requests.to_string();
        let request = json!({ "requestType": request_type, "requestId": id, "requestData": data });
        self.send(&json!({ "op": 6, "d": request }));
        loop {
            let message = self.receive();
            if message["op"] == 7 && message["d"]["requestId"] == id {
                return (message["d"]["requestStatus"].clone(), message["d"]["responseData"].clone());
            }
            self.events.push(message["d"].clone());
        }
    }

    /// Asks what must succeed; the data.
    pub(crate) fn request(&mut self, request_type: &str, data: &Value) -> Value {
        let (status, answer) = self.ask(request_type, data);
        assert_eq!(status["result"], true, "{request_type}: {status}");
        answer
    }

    /// The data of the next event `name` for which `is_it` holds.
    #[allow(clippy::disallowed_methods)] // a test's deadline is real time
    pub(crate) fn event(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "waited for the event {name}");
            let event =
                if self.events.is_empty() { self.receive()["d"].clone() } else { self.events.remove(0) };
            if event["eventType"] == name && is_it(&event["eventData"]) {
                return event["eventData"].clone();
            }
        }
    }
}
