//! The addresses in use: for the terminal, for programs (`endpoints.json`), and for QR codes.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use serde::Serialize;
use tokio::net::TcpListener;

use super::Error;
use super::secrets::Secrets;
use crate::config::Config;

/// Where everything is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// HTTP, as bound.
    pub http: SocketAddr,
    /// RTMP, as bound.
    pub rtmp: SocketAddr,
    /// What viewers' phones use.
    pub public_url: String,
    /// The encoder's server field.
    pub rtmp_url: String,
}

impl Endpoints {
    /// From the sockets as bound: port 0 has become a number.
    pub fn new(config: &Config, http: &TcpListener, rtmp: &TcpListener) -> Self {
        let bound = |listener: &TcpListener, asked| listener.local_addr().unwrap_or(asked);
        let (http, rtmp) = (bound(http, config.http), bound(rtmp, config.rtmp));
        let public_url = config
            .public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", SocketAddr::new(reachable(http.ip()), http.port())));
        let rtmp_url = format!("rtmp://{}/live", SocketAddr::new(reachable(rtmp.ip()), rtmp.port()));
        Self { http, rtmp, public_url, rtmp_url }
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
    pub fn announce(&self, secrets: &Secrets) {
        let url = &self.public_url;
        println!("\n  Vitrine is on.\n");
        println!("  OBS: Settings > Stream > Service \"Custom...\"");
        println!("    Server      {}", self.rtmp_url);
        for (channel, key) in &secrets.stream_keys {
            println!("    Stream Key  {key}   (channel {channel})");
        }
        println!("\n  Control page  {url}/control#{}", percent_encoded(&secrets.admin_token));
        for channel in secrets.stream_keys.keys() {
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
