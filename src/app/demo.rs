//! `vitrine demo`: a built-in host that publishes over real RTMP, and a looped show of sample cards over the real
//! WebSocket, for somebody without OBS or products. Nothing in the server knows that it is there.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gstreamer as gst;
use gstreamer::prelude::*;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoints::Endpoints;
use super::publishing::RunKeys;
use crate::config::Config;
use crate::control::{Doors, socket};
use crate::overlay::raster::{self, Raster};
use crate::pipeline::{self, description::Description};
use crate::state::Command;

/// How long each card is on air, and the pause after it.
const ON_AIR: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_secs(3);
/// After the host or the show has failed.
const AGAIN: Duration = Duration::from_secs(2);

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sample picture.
    #[error("a sample picture cannot be drawn")]
    Picture(#[from] raster::Error),
    /// A sample picture.
    #[error("a sample picture cannot be kept")]
    Keep(#[from] crate::store::pictures::Error),
    /// The sample products.
    #[error("a sample product is refused")]
    Product(#[from] crate::director::Error),
    /// The host.
    #[error("the built-in host cannot publish")]
    Host(#[from] pipeline::Error),
    /// The show.
    #[error("the show's connection failed: {0}")]
    Show(String),
}

struct Sample {
    sku: &'static str,
    title: &'static str,
    emoji: &'static str,
    colours: [&'static str; 2],
    price_minor: i64,
    old_price_minor: i64,
    currency: &'static str,
    slot: &'static str,
}

const SAMPLES: [Sample; 4] = [
    Sample {
        sku: "demo-cup",
        title: "手工陶瓷咖啡杯 Hand-made ceramic cup ☕",
        emoji: "☕",
        colours: ["#f7d9b9", "#c9814a"],
        price_minor: 8900,
        old_price_minor: 12_900,
        currency: "CNY",
        slot: "lower-left",
    },
    Sample {
        sku: "demo-headphones",
        title: "Wireless headphones, 40 hours",
        emoji: "🎧",
        colours: ["#cfd8ff", "#4b5bb8"],
        price_minor: 5999,
        old_price_minor: 8999,
        currency: "USD",
        slot: "lower-right",
    },
    Sample {
        sku: "demo-teapot",
        title: "南部鉄器の急須 とても長い名前なので二行目で省略される商品の例です",
        emoji: "🫖",
        colours: ["#d7f0e3", "#3f8f6d"],
        price_minor: 14_800,
        old_price_minor: 19_800,
        currency: "JPY",
        slot: "upper-left",
    },
    Sample {
        sku: "demo-sneakers",
        title: "Running shoes, all sizes 👟",
        emoji: "👟",
        colours: ["#ffd0d8", "#c73a5c"],
        price_minor: 7450,
        old_price_minor: 9900,
        currency: "EUR",
        slot: "lower-left",
    },
];

/// Starts both.
///
/// # Errors
/// [`Error`], when a sample is not taken.
pub async fn start(
    config: &Config,
    endpoints: &Endpoints,
    keys: &RunKeys,
    doors: &Doors,
    raster: &Raster,
    tasks: &TaskTracker,
) -> Result<(), Error> {
    let key = keys.demo.clone().unwrap_or_default();
    let location = format!("rtmp://127.0.0.1:{}/live/{key}", endpoints.rtmp.port());
    let replacements = config.pipelines.clone();
    tasks.spawn(host(replacements, location, doors.stop.clone()));
    for sample in &SAMPLES {
        let html = format!(
            "<div style='display:flex;width:100%;height:100%;align-items:center;justify-content:center;\
             font-size:180px;background:linear-gradient(135deg,{},{})'>{}</div>",
            sample.colours[0], sample.colours[1], sample.emoji
        );
        let image = doors.pictures.add(&raster.page("sample", &html, 400, 400)?.to_png())?;
        doors.director.apply(Command::PutProduct(sample.product(image))).await?;
    }
    let url = format!("ws://127.0.0.1:{}/ws", endpoints.http.port());
    let (token, stop) = (doors.people.password(), doors.stop.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = show(&url, &token) => if let Err(error) = ended {
                    tracing::warn!("the demonstration's show is interrupted: {error}");
                },
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    Ok(())
}

impl Sample {
    fn product(&self, image: String) -> crate::state::Product {
        crate::state::Product {
            sku: self.sku.into(),
            title: self.title.into(),
            image: Some(image),
            price_minor: self.price_minor,
            old_price_minor: Some(self.old_price_minor),
            currency: self.currency.into(),
            stock: Some(20),
            link: None,
        }
    }
}

/// Publishes until `stop`, again and again.
async fn host(replacements: Option<std::path::PathBuf>, location: String, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match publish(replacements.as_deref(), &location, &stop).await {
            Ok(None) => return,
            Ok(Some(ended)) => tracing::warn!("the built-in host was interrupted: {ended}"),
            Err(error) => tracing::error!("the built-in host cannot publish: {error}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Publishes until it is interrupted, and by what; nothing when the server stops.
async fn publish(
    replacements: Option<&std::path::Path>,
    location: &str,
    stop: &CancellationToken,
) -> Result<Option<String>, pipeline::Error> {
    let pipeline = Description::load("demo_host", replacements)?.build()?;
    pipeline.element::<gst::Element>("out_rtmp")?.set_property("location", location);
    let mut events = pipeline.events();
    let pipeline = pipeline.play().await?;
    let ended = loop {
        let event = tokio::select! {
            () = stop.cancelled() => break None,
            event = events.recv() => event,
        };
        match event {
            Some(pipeline::Event::Warning(_)) => {}
            // The element's words may hold the address, and the key is in it.
            Some(pipeline::Event::Error(detail)) => break Some(detail.replace(location, "(address)")),
            Some(pipeline::Event::Eos) | None => break Some("it ended".into()),
        }
    };
    pipeline.stop().await?;
    Ok(ended)
}

/// The show: each card on air for a while, with a price that falls while it is.
async fn show(url: &str, token: &str) -> Result<(), Error> {
    let mut client = Client::connect(url, token).await?;
    for sample in &SAMPLES {
        let card = json!({ "id": sample.sku, "sku": sample.sku, "slot": sample.slot });
        client.request("PutCard", card).await?;
    }
    loop {
        for sample in &SAMPLES {
            client.request("ShowCard", json!({ "cardId": sample.sku })).await?;
            tokio::time::sleep(ON_AIR / 2).await;
            let falls = json!({ "sku": sample.sku, "priceMinor": sample.price_minor * 9 / 10 });
            client.request("SetPrice", falls).await?;
            tokio::time::sleep(ON_AIR / 2).await;
            client.request("HideCard", json!({ "cardId": sample.sku })).await?;
            client
                .request("SetPrice", json!({ "sku": sample.sku, "priceMinor": sample.price_minor }))
                .await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

type Stream = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A minimal obs-websocket client.
struct Client {
    stream: Stream,
    requests: u64,
}

impl Client {
    async fn connect(url: &str, token: &str) -> Result<Self, Error> {
        let failed = |error: tungstenite::Error| Error::Show(error.to_string());
        let request = url.into_client_request().map_err(failed)?;
        let (stream, _) = tokio_tungstenite::connect_async(request).await.map_err(failed)?;
        let mut client = Self { stream, requests: 0 };
        let hello = client.next(0).await?;
        let text = |name: &str| hello["authentication"][name].as_str().unwrap_or_default().to_owned();
        let authentication = socket::authentication(token, &text("salt"), &text("challenge"));
        // No events: the show only gives commands.
        let identify = json!({ "rpcVersion": 1, "authentication": authentication, "eventSubscriptions": 0 });
        client.send(1, identify).await?;
        client.next(2).await?;
        Ok(client)
    }

    async fn request(&mut self, request_type: &str, data: Value) -> Result<(), Error> {
        self.requests += 1;
        let request_id = self.requests.to_string();
        self.send(6, json!({ "requestType": request_type, "requestId": request_id, "requestData": data }))
            .await?;
        let answer = self.next(7).await?;
        if answer["requestStatus"]["result"] == json!(true) {
            return Ok(());
        }
        Err(Error::Show(format!("{request_type}: {}", answer["requestStatus"]["comment"])))
    }

    async fn send(&mut self, op: u8, d: Value) -> Result<(), Error> {
        let message = Message::text(json!({ "op": op, "d": d }).to_string());
        self.stream.send(message).await.map_err(|error| Error::Show(error.to_string()))
    }

    /// The data of the next message of kind `op`.
    async fn next(&mut self, op: u8) -> Result<Value, Error> {
        while let Some(message) = self.stream.next().await {
            let message = message.map_err(|error| Error::Show(error.to_string()))?;
            let Message::Text(text) = message else { continue };
            let mut value: Value =
                serde_json::from_str(&text).map_err(|error| Error::Show(error.to_string()))?;
            if value["op"] == json!(op) {
                return Ok(value["d"].take());
            }
        }
        Err(Error::Show("the server closed the connection".into()))
    }
}
