//! The certificate for RTMPS: the owner's files, or one signed by itself for trying out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("the TLS file {path} cannot be used")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not PEM, or holds nothing of the kind.
    #[error("the TLS file {path} holds no {what}: {detail}")]
    Content {
        /// Which.
        path: PathBuf,
        /// `certificate`, `private key`.
        what: &'static str,
        /// The parser's words.
        detail: String,
    },
    /// Certificate and key do not go together.
    #[error("the TLS certificate and key cannot be used")]
    Pair(#[source] tokio_rustls::rustls::Error),
    /// A certificate cannot be made.
    #[error("no self-signed certificate can be made")]
    Make(#[from] rcgen::Error),
}

/// A certificate chain and its key, both PEM.
///
/// # Errors
/// [`Error`], naming the file.
pub fn read(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| Error::File { path: path.into(), source });
    let content = |path: &Path, what| {
        let path = path.to_owned();
        move |detail: String| Error::Content { path, what, detail }
    };
    let pem = read(certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| content(certificate, "certificate")(error.to_string()))?;
    if chain.is_empty() {
        return Err(content(certificate, "certificate")("it is empty".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| content(key, "private key")(error.to_string()))?;
    Ok((chain, key))
}

/// An acceptor with the owner's certificate chain and key, both PEM.
///
/// # Errors
/// [`Error`], naming the file.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let (chain, key) = read(certificate, key)?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(Error::Pair)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes `cert.pem` and `key.pem` in `directory` if they are not there, for `names`; returns their paths.
///
/// # Errors
/// [`Error::File`], [`Error::Make`].
pub fn self_signed(directory: &Path, names: Vec<String>) -> Result<(PathBuf, PathBuf), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    std::fs::create_dir_all(directory).map_err(file(directory))?;
    let mut open = std::fs::OpenOptions::new();
    let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(&key).map_err(file(&key))?;
    out.write_all(made.signing_key.serialize_pem().as_bytes()).map_err(file(&key))?;
    std::fs::write(&certificate, made.cert.pem()).map_err(file(&certificate))?;
    Ok((certificate, key))
}
