//! Where certificates come from.

use std::path::PathBuf;

use serde::Deserialize;

use super::Error;

/// Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Certificates from an authority that gives them out by itself (RFC 8555).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// Names under which this machine is reached from the internet, on port 443.
    pub domains: Vec<String>,
    /// Who is written to when something is wrong with a certificate.
    #[serde(default)]
    pub email: Option<String>,
    /// The authority.
    #[serde(default = "directory")]
    pub directory: String,
    /// A PEM file with the authority's own root, when it is not a public one.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

fn directory() -> String {
    DIRECTORY.into()
}

impl Acme {
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad = |key: &str, value: &str, reason| Error::Value {
            key: format!("acme.{key}"),
            value: value.into(),
            reason,
        };
        let is_name = |name: &str| {
            name.contains('.')
                && name.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
        };
        if self.domains.is_empty() {
            return Err(bad("domains", "", "one name at least"));
        }
        match self.domains.iter().find(|name| !is_name(name)) {
            Some(name) => Err(bad("domains", name, "such as live.example.com; no wildcards")),
            None if !self.directory.starts_with("https://") => {
                Err(bad("directory", &self.directory, "an address with https://"))
            }
            None => Ok(()),
        }
    }
}
