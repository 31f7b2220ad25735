//! Fetches a product's picture from the web: only from hosts that the owner has named, and never from an address
//! inside a network. So a list of products from elsewhere cannot make this server look around at home.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::store::pictures::MOST_BYTES;

const LIMIT: Duration = Duration::from_secs(15);
/// Each is checked like the first address.
const MOST_REDIRECTS: usize = 3;

/// The bytes at `address`.
///
/// # Errors
/// In words, for the one who wrote the address.
pub(super) fn fetch(address: &str, allowed: &[String]) -> Result<Vec<u8>, String> {
    let config =
        ureq::Agent::config_builder().timeout_global(Some(LIMIT)).max_redirects(0).proxy(None).build();
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), PublicOnly::default());
    let mut address = address.to_owned();
    for _ in 0..=MOST_REDIRECTS {
        check_host(&address, allowed)?;
        let mut response = agent.get(&address).call().map_err(|error| error.to_string())?;
        if response.status().is_redirection() {
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            let location = location.ok_or("it leads nowhere")?;
            let is_relative = location.starts_with('/') && !location.starts_with("//");
            address =
                if is_relative { format!("{}{location}", origin(&address)) } else { location.to_owned() };
            continue;
        }
        let mut bytes = Vec::new();
        let body = response.body_mut().as_reader();
        body.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        return Ok(bytes);
    }
    Err(format!("it leads elsewhere more than {MOST_REDIRECTS} times"))
}

/// Scheme and host of an address.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}

fn check_host(address: &str, allowed: &[String]) -> Result<(), String> {
    let uri: ureq::http::Uri = address.parse().map_err(|_| "it is not an address".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it does not start with https:// or http://".into());
    }
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    // "example.com" allows itself and what is below it.
    let is_below = |name: &String| {
        let name = name.trim_start_matches("*.").to_ascii_lowercase();
        !name.is_empty() && (host == name || host.ends_with(&format!(".{name}")))
    };
    if allowed.iter().any(is_below) {
        return Ok(());
    }
    Err(format!("pictures are not fetched from {host:?}: name it in [pictures] allow of the configuration"))
}

/// Finds only addresses that everybody on the Internet can reach. Checked where the connection's own address is
/// looked up, so no second answer of a name server gets past it.
#[derive(Debug, Default)]
struct PublicOnly(DefaultResolver);

impl Resolver for PublicOnly {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        if found.iter().all(|address| is_public(address.ip())) {
            return Ok(found);
        }
        let text = format!("{} is an address inside a network", uri.host().unwrap_or_default());
        Err(ureq::Error::Io(std::io::Error::new(std::io::ErrorKind::PermissionDenied, text)))
    }
}

/// Source: the special-purpose address registries of RFC 6890 and its successors.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4() {
        return is_public_v4(inner); // mapped or compatible; ::1 and :: among them
    }
    let first = address.segments();
    // Global unicast, but for what leads to IPv4 (Teredo, 6to4) and documentation.
    (0x2000..0x4000).contains(&first[0])
        && first[0] != 0x2002
        && !(first[0] == 0x2001 && (first[1] < 0x0200 || first[1] == 0x0db8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_are_asked() {
        let allowed = ["cdn.example.com".to_owned()];
        assert!(fetch("https://other.example/a.png", &allowed).unwrap_err().contains("[pictures] allow"));
        assert!(fetch("https://cdn.example.com.evil.example/a.png", &allowed).unwrap_err().contains("allow"));
        assert!(fetch("file:///etc/passwd", &allowed).is_err());
        assert!(fetch("ftp://cdn.example.com/a.png", &allowed).unwrap_err().contains("https://"));
        assert!(check_host("https://img.cdn.example.com/a.png", &allowed).is_ok());
        assert!(check_host("https://user@cdn.example.com/a.png", &allowed).is_ok());
        assert!(check_host("https://cdn.example.com@evil.example/a.png", &allowed).is_err());
    }

    #[test]
    fn a_named_host_at_home_is_not_asked_either() {
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let allowed = [host.to_owned()];
            let error = fetch(&format!("http://{host}:9/a.png"), &allowed).unwrap_err();
            assert!(error.contains("inside a network"), "{error}");
        }
    }

    #[test]
    fn addresses_inside_networks_are_known() {
        for inside in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.8.8.8",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "ff02::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }
}
