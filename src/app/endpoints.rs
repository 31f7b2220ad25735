//! The addresses in use: for the terminal, for programs (`endpoints.json`), and for QR codes.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use serde::Serialize;
use tokio::net::TcpListener;

use super::Error;
use super::publishing::{Listeners, RunKeys, Told};
use super::secrets::Secrets;
use crate::config::Config;
use crate::control::Publish;

/// Where everything is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// HTTP, as bound.
    pub http: SocketAddr,
    /// HTTPS, as bound, if it is on.
    pub https: Option<SocketAddr>,
    /// RTMP, as bound.
    pub rtmp: SocketAddr,
    /// RTMPS, as bound, if it is on.
    pub rtmps: Option<SocketAddr>,
    /// SRT, as bound.
    pub srt: SocketAddr,
    /// AMCP, as bound, if it is on.
    pub amcp: Option<SocketAddr>,
    /// What viewers' phones use.
    pub public_url: String,
    /// The encoder's server field.
    pub rtmp_url: String,
    /// The same for RTMPS.
    pub rtmps_url: Option<String>,
    /// The encoder's address for SRT, before `?streamid=`.
    pub srt_url: String,
}

impl Endpoints {
    /// From the sockets as bound: port 0 has become a number. SRT is bound later: see [`Self::with_srt`].
    pub fn new(
        config: &Config,
        http: &TcpListener,
        https: Option<&TcpListener>,
        listeners: &Listeners,
    ) -> Self {
        let bound = |listener: &TcpListener, asked| listener.local_addr().unwrap_or(asked);
        let (http, rtmp) = (bound(http, config.http), bound(&listeners.rtmp, config.rtmp));
        let rtmps = listeners.rtmps.as_ref().and_then(|listener| listener.local_addr().ok());
        let outside = |address: SocketAddr| SocketAddr::new(reachable(address.ip()), address.port());
        let https = https.and_then(|listener| listener.local_addr().ok());
        let named = config.acme.as_ref().zip(https).map(|(acme, https)| match https.port() {
            443 => format!("https://{}", acme.domains[0]),
            port => format!("https://{}:{port}", acme.domains[0]),
        });
        let public_url = config.public_url.clone().or(named);
        let public_url = public_url.unwrap_or_else(|| format!("http://{}", outside(http)));
        let rtmp_url = format!("rtmp://{}/live", outside(rtmp));
        let rtmps_url = rtmps.map(|address| format!("rtmps://{}/live", outside(address)));
        let srt = config.srt.address;
        let srt_url = format!("srt://{}", outside(srt));
        Self { http, https, rtmp, rtmps, srt, amcp: None, public_url, rtmp_url, rtmps_url, srt_url }
    }

    /// With SRT's address as bound.
    #[must_use]
    pub fn with_srt(self, srt: SocketAddr) -> Self {
        let outside = SocketAddr::new(reachable(srt.ip()), srt.port());
        Self { srt, srt_url: format!("srt://{outside}"), ..self }
    }

    /// With AMCP's address as bound.
    #[must_use]
    pub fn with_amcp(self, listener: Option<&TcpListener>) -> Self {
        Self { amcp: listener.and_then(|listener| listener.local_addr().ok()), ..self }
    }

    /// For those who hand out stream keys.
    pub fn publish(&self) -> Publish {
        Publish { rtmp: self.rtmp_url.clone(), rtmps: self.rtmps_url.clone(), srt: self.srt_url.clone() }
    }

    /// Names by which encoders may reach this machine, for a certificate.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend(self.rtmps.map(|address| reachable(address.ip()).to_string()));
        names.dedup();
        names
    }

    /// Writes `endpoints.json`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, data_dir: &Path) -> Result<(), Error> {
        let path = data_dir.join("endpoints.json");
        let aside = data_dir.join("endpoints.new");
        let text = serde_json::to_vec_pretty(self).expect("addresses and texts");
        std::fs::write(&aside, text)
            .and_then(|()| std::fs::rename(&aside, &path))
            .map_err(|source| Error::File { path, source })
    }

    /// Tells the person at the terminal where to go.
    #[allow(clippy::print_stdout)] // for a person to copy from, not a log
    pub fn announce(&self, secrets: &Secrets, keys: &RunKeys) {
        let url = &self.public_url;
        println!("\n  Vitrine is on.\n");
        println!("  OBS: Settings > Stream > Service \"Custom...\"");
        println!("    Server      {}", self.rtmp_url);
        if let Some(rtmps) = &self.rtmps_url {
            println!("    or          {rtmps}");
        }
        for (channel, key) in &keys.told {
            match key {
                Told::Configured(key) => println!("    Stream Key  {key}   (channel {channel})"),
                Told::Made(key) => {
                    println!("    Stream Key  {key}   (channel {channel}; shown this once, so keep it)");
                }
                Told::Before => println!(
                    "    Stream Key  shown when it was made; a new one: control page, Publishers (channel {channel})"
                ),
            }
        }
        println!("  SRT           {}?streamid=publish:STREAM_KEY", self.srt_url);
        println!("\n  Control page  {url}/control#{}", percent_encoded(secrets.token()));
        for channel in keys.told.keys() {
            println!("  Watch page    {url}/watch/{channel}");
            println!("  HLS           {url}/live/{channel}/index.m3u8");
        }
        println!("\n  The control page's address holds the password: do not show it on stream.\n");
    }
}

/// For the fragment of an address.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// This machine's address in its network, when bound to all.
fn reachable(ip: IpAddr) -> IpAddr {
    if !ip.is_unspecified() {
        return ip;
    }
    // Connecting a datagram socket sends nothing: it only asks which of our addresses would be used.
    // 192.0.2.1 is set aside for documentation (RFC 5737).
    let ours = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr())
    });
    ours.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}
