//! The server's configuration: flags over environment over file over defaults, merged here and nowhere
//! else. An unknown key or a bad value ends the start with a sentence that names it; nothing falls
//! back silently.

mod archive;
mod catalogue;
mod channel;
mod https;
mod ladder;
mod look;
mod push;
mod viewers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

pub use archive::Archive;
pub use catalogue::{Catalogue, Hook, HookKind};
use channel::ChannelFile;
pub use channel::{Channel, DEFAULT_SOURCE_RANK, ENCODERS, Mode, PRESETS};
pub use https::Acme;
pub use ladder::{Coding, Rung};
use look::OverlayFile;
pub use look::{Look, Overlay, Pictures, Theme};
pub use push::{Protocol, Push, When};
pub use viewers::Viewers;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there or not readable.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or a type that is not known.
    #[error("the configuration file {path} is not valid: {detail}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's words, with line and column.
        detail: String,
    },
    /// A value is outside what the server can do.
    #[error("{key} = {value} cannot be used: {reason}")]
    Value {
        /// The key, dotted.
        key: String,
        /// The value as given.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
}

/// Segments that a live playlist lists at least. Apple wants 6 or more.
const LEAST_LISTED: usize = 15;
/// Half a day: a playlist is read whole by everyone who comes.
const MOST_DVR_MIN: u32 = 720;
/// The flags that stand for configuration keys; each has an environment variable too.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Where the pages, the API and HLS are served.
    #[arg(long, env = "VITRINE_HTTP", global = true)]
    pub http: Option<SocketAddr>,
    /// The same over HTTPS; off unless set. [tls] or [acme] says which certificate.
    #[arg(long, env = "VITRINE_HTTPS", global = true)]
    pub https: Option<SocketAddr>,
    /// Where encoders publish over RTMP.
    #[arg(long, env = "VITRINE_RTMP", global = true)]
    pub rtmp: Option<SocketAddr>,
    /// Where encoders publish over SRT; the stream id says the key.
    #[arg(long, env = "VITRINE_SRT", global = true)]
    pub srt: Option<SocketAddr>,
    /// Where encoders publish over RTMPS; off unless set.
    #[arg(long, env = "VITRINE_RTMPS", global = true)]
    pub rtmps: Option<SocketAddr>,
    /// Where programs speak AMCP, such as 127.0.0.1:5250; off unless set, because it has no passwords.
    #[arg(long, env = "VITRINE_AMCP", global = true)]
    pub amcp: Option<SocketAddr>,
    /// Where state and secrets are kept.
    #[arg(long, env = "VITRINE_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// The address that viewers' phones can reach, for the QR on the cards.
    #[arg(long, env = "VITRINE_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,
    /// A directory whose *.gst files replace the built-in pipelines.
    #[arg(long, env = "VITRINE_PIPELINES", global = true)]
    pub pipelines: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, env = "VITRINE_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// The password of the control page and the API, instead of the one made at first start.
    #[arg(long, env = "VITRINE_ADMIN_TOKEN", hide_env_values = true, global = true)]
    pub admin_token: Option<String>,
    /// The stream key of channel `main`, instead of the one made at first start.
    #[arg(long, env = "VITRINE_STREAM_KEY", hide_env_values = true, global = true)]
    pub stream_key: Option<String>,
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    http: Option<SocketAddr>,
    rtmp: Option<SocketAddr>,
    rtmps: Option<SocketAddr>,
    srt: SrtFile,
    tls: Option<Tls>,
    amcp: Option<SocketAddr>,
    https: Option<SocketAddr>,
    acme: Option<Acme>,
    data_dir: Option<PathBuf>,
    public_url: Option<String>,
    pipelines: Option<PathBuf>,
    hls: Hls,
    archive: Archive,
    viewers: Viewers,
    ingest: Ingest,
    overlay: OverlayFile,
    catalogue: Catalogue,
    hooks: BTreeMap<String, Hook>,
    pictures: Pictures,
    channels: BTreeMap<String, ChannelFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SrtFile {
    address: Option<SocketAddr>,
    latency_ms: Option<u32>,
    peer_idle_ms: Option<u32>,
    passphrase: Option<String>,
}

/// The certificate for HTTPS and RTMPS.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM, the server's certificate first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// How SRT listens.
#[derive(Debug, Clone, PartialEq)]
pub struct Srt {
    /// Where.
    pub address: SocketAddr,
    /// The time in which lost packets can come again; a caller may ask for more.
    pub latency_ms: u32,
    /// Silence after which a caller is taken for gone.
    pub peer_idle_ms: u32,
}

/// How HLS is cut.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hls {
    /// Seconds a segment lasts; a key frame starts each.
    pub segment_s: f64,
    /// Parts in a segment.
    pub parts_per_segment: u32,
    /// Minutes that viewers can go back, kept on disk; 0 keeps nothing there.
    pub dvr_min: u32,
}

impl Hls {
    /// Whole segments that a live playlist lists.
    pub fn listed_segments(&self) -> usize {
        ((f64::from(self.dvr_min) * 60.0 / self.segment_s).ceil() as usize).max(LEAST_LISTED)
    }
}

impl Default for Hls {
    fn default() -> Self {
        Self { segment_s: 2.0, parts_per_segment: 6, dvr_min: 30 }
    }
}

/// How publishers are treated.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Milliseconds by which the programme stays behind the publisher, to ride out uneven delivery.
    pub jitter_ms: u32,
    /// Milliseconds for which the last picture is held before the slate.
    pub hold_ms: u32,
    /// Milliseconds without a byte after which a publisher is taken for gone.
    pub stall_ms: u32,
    /// Milliseconds without a frame after which a publisher of another rank takes over.
    pub failover_ms: u32,
    /// Milliseconds for which a better one must have sent before it comes back.
    pub return_ms: u32,
    /// Publishers of one address at once.
    pub publishers_per_address: usize,
    /// A service that is asked whether a publisher may come in.
    pub callback: Option<String>,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            jitter_ms: 250,
            hold_ms: 1500,
            stall_ms: 10_000,
            failover_ms: 300,
            return_ms: 5000,
            publishers_per_address: 32,
            callback: None,
        }
    }
}

/// Everything the server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// HTTP address.
    pub http: SocketAddr,
    /// RTMP address.
    pub rtmp: SocketAddr,
    /// RTMPS address, if it is on.
    pub rtmps: Option<SocketAddr>,
    /// Where programs speak AMCP.
    pub amcp: Option<SocketAddr>,
    /// HTTPS address, if it is on.
    pub https: Option<SocketAddr>,
    /// The owner's certificate.
    pub tls: Option<Tls>,
    /// Where else certificates come from.
    pub acme: Option<Acme>,
    /// SRT.
    pub srt: Srt,
    /// Data directory.
    pub data_dir: PathBuf,
    /// Address in QR codes; nothing means this machine's address in its network.
    pub public_url: Option<String>,
    /// Directory of replacement pipelines.
    pub pipelines: Option<PathBuf>,
    /// How HLS is cut.
    pub hls: Hls,
    /// How shows are kept.
    pub archive: Archive,
    /// Who may watch.
    pub viewers: Viewers,
    /// How publishers are treated.
    pub ingest: Ingest,
    /// Cards on the picture.
    pub overlay: Overlay,
    /// Rules for products.
    pub catalogue: Catalogue,
    /// Shops that tell of changes, by name.
    pub hooks: BTreeMap<String, Hook>,
    /// Where pictures may come from.
    pub pictures: Pictures,
    /// The channels, `main` among them.
    pub channels: Vec<Channel>,
    /// Overrides the admin token of the data directory.
    pub admin_token: Option<String>,
    /// Overrides the stream key of `main`.
    pub stream_key: Option<String>,
}

impl Config {
    /// Merges flags (which clap has already filled from the environment) over the file over defaults.
    ///
    /// # Errors
    /// [`Error`], naming the file or the key.
    pub fn load(flags: Flags) -> Result<Self, Error> {
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        Self::merge(flags, file)
    }

    fn merge(flags: Flags, file: File) -> Result<Self, Error> {
        let mut described = file.channels;
        described.entry("main".into()).or_default();
        let passphrase = file.srt.passphrase;
        let overlay = file.overlay.read()?;
        let channels = described.into_iter().map(|(name, mut channel)| {
            channel.srt_passphrase = channel.srt_passphrase.or_else(|| passphrase.clone());
            channel::read(name, channel, &overlay.look)
        });
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let config = Self {
            http: flags.http.or(file.http).unwrap_or(any(8080)),
            rtmp: flags.rtmp.or(file.rtmp).unwrap_or(any(1935)),
            rtmps: flags.rtmps.or(file.rtmps),
            amcp: flags.amcp.or(file.amcp),
            https: flags.https.or(file.https),
            tls: file.tls,
            acme: file.acme,
            srt: Srt {
                address: flags.srt.or(file.srt.address).unwrap_or(any(8890)),
                latency_ms: file.srt.latency_ms.unwrap_or(250),
                peer_idle_ms: file.srt.peer_idle_ms.unwrap_or(5000),
            },
            data_dir: flags.data_dir.or(file.data_dir).unwrap_or_else(|| "data".into()),
            public_url: flags.public_url.or(file.public_url).map(|url| url.trim_end_matches('/').to_owned()),
            pipelines: flags.pipelines.or(file.pipelines),
            hls: file.hls,
            archive: file.archive,
            viewers: file.viewers,
            ingest: file.ingest,
            channels: channels.collect::<Result<_, _>>()?,
            catalogue: file.catalogue,
            hooks: file.hooks,
            pictures: file.pictures,
            overlay,
            admin_token: flags.admin_token,
            stream_key: flags.stream_key,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let value = |key: &str, value: String, reason| Err(Error::Value { key: key.into(), value, reason });
        self.viewers.check()?;
        self.catalogue.check()?;
        self.hooks.iter().try_for_each(|(name, hook)| hook.check(name))?;
        self.acme.as_ref().map_or(Ok(()), Acme::check)?;
        if !(1.0..=10.0).contains(&self.hls.segment_s) {
            return value("hls.segment_s", self.hls.segment_s.to_string(), "1 to 10 seconds");
        }
        if !(1..=20).contains(&self.hls.parts_per_segment) {
            return value("hls.parts_per_segment", self.hls.parts_per_segment.to_string(), "1 to 20");
        }
        if self.hls.dvr_min > MOST_DVR_MIN {
            return value("hls.dvr_min", self.hls.dvr_min.to_string(), "up to 720 minutes");
        }
        // Less and sound is not there when its tick comes; more and the frames that wait fill the memory.
        if !(60..=1500).contains(&self.ingest.jitter_ms) {
            return value("ingest.jitter_ms", self.ingest.jitter_ms.to_string(), "60 to 1500 milliseconds");
        }
        for (key, ms, range) in [
            ("ingest.failover_ms", self.ingest.failover_ms, 100..=5000),
            ("ingest.return_ms", self.ingest.return_ms, 0..=600_000),
            ("srt.latency_ms", self.srt.latency_ms, 20..=8000),
            ("srt.peer_idle_ms", self.srt.peer_idle_ms, 1000..=60_000),
        ] {
            if !range.contains(&ms) {
                let reason = match key {
                    "ingest.failover_ms" => "100 to 5000 milliseconds",
                    "ingest.return_ms" => "up to 600000 milliseconds",
                    "srt.latency_ms" => "20 to 8000 milliseconds",
                    _ => "1000 to 60000 milliseconds",
                };
                return value(key, ms.to_string(), reason);
            }
        }
        if let Some(url) = &self.ingest.callback
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return value("ingest.callback", url.clone(), "an address that starts with http:// or https://");
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return value("public_url", url.clone(), "an address that starts with http:// or https://");
        }
        for (key, secret) in [("admin_token", &self.admin_token), ("stream_key", &self.stream_key)] {
            if secret.as_ref().is_some_and(|secret| secret.len() < 4 || secret.len() > 200) {
                return value(key, "(hidden)".into(), "4 to 200 characters");
            }
        }
        // Encoders put it into an address.
        if self.stream_key.as_ref().is_some_and(|key| key.contains(['/', '?', '&', ',', ' '])) {
            return value("stream_key", "(hidden)".into(), "without / ? & , and spaces");
        }
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<File, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    toml::from_str(&text).map_err(|error| Error::Parse { path: path.into(), detail: error.to_string() })
}

#[cfg(test)]
mod tests;
