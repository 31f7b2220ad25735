//! The admin token: made at first start, kept in `secrets.json` for the owner's eyes only.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::config::Config;
use crate::id;

/// What opens the doors.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// The password of the control page, `/ws` and the API.
    admin_token: String,
    /// Stream keys in the clear, as earlier versions kept them; read once and written no more.
    #[serde(default, skip_serializing)]
    pub stream_keys: BTreeMap<String, String>,
    /// The configuration's password, which goes before the kept one.
    #[serde(skip)]
    configured: Option<String>,
}

/// Never by accident in a log.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(hidden)")
    }
}

impl Secrets {
    /// Reads the file, makes what is missing, and lets the configuration override.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn load(config: &Config) -> Result<Self, Error> {
        let path = config.data_dir.join("secrets.json");
        let failed = |source| Error::File { path: path.clone(), source };
        let mut secrets: Self = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(failed(error)),
        };
        if secrets.admin_token.is_empty() {
            secrets.admin_token = id::secret();
            save(&path, &secrets).map_err(failed)?;
        }
        // What the configuration sets holds for this run and is not written down.
        secrets.configured.clone_from(&config.admin_token);
        Ok(secrets)
    }

    /// The password of this run.
    pub fn token(&self) -> &str {
        self.configured.as_deref().unwrap_or(&self.admin_token)
    }

    /// The state has their digests now.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn forget_stream_keys(&mut self, config: &Config) -> Result<(), Error> {
        if std::mem::take(&mut self.stream_keys).is_empty() {
            return Ok(());
        }
        let path = config.data_dir.join("secrets.json");
        save(&path, self).map_err(|source| Error::File { path, source })
    }
}

fn save(path: &Path, secrets: &Secrets) -> std::io::Result<()> {
    let aside = path.with_extension("new");
    let _ = std::fs::remove_file(&aside);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(secrets)?)?;
    file.sync_all()?;
    std::fs::rename(aside, path)
}
