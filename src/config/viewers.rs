//! Who may watch.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::Error;

/// Rules for viewers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Viewers {
    /// Secrets by name, with which addresses are signed; none means that everybody may watch. Any of them admits, so a
    /// new one can come before the old one goes.
    pub keys: BTreeMap<String, String>,
    /// The one that signs; the last by name without it.
    pub sign_with: Option<String>,
    /// Requests of one address that are answered at once; a low-latency player holds two or three.
    pub requests_per_address: usize,
    /// Addresses that are not counted: proxies, behind which everybody has theirs.
    pub proxies: Vec<IpAddr>,
}

impl Default for Viewers {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            sign_with: None,
            requests_per_address: 200,
            proxies: vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
        }
    }
}

impl Viewers {
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad = |key: &str, value: &str, reason| Error::Value {
            key: format!("viewers.{key}"),
            value: value.into(),
            reason,
        };
        let is_plain =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        for (name, secret) in &self.keys {
            if !is_plain(name) {
                return Err(bad("keys", name, "names of a-z, 0-9 and -"));
            }
            if secret.len() < 16 {
                return Err(bad("keys", name, "a secret of 16 characters or more"));
            }
        }
        match &self.sign_with {
            Some(name) if !self.keys.contains_key(name) => Err(bad("sign_with", name, "one of keys")),
            _ => Ok(()),
        }
    }
}
