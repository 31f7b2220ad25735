//! HTTPS, with HTTP/2: the owner's certificate files, read again when they change, or certificates by ACME.
//!
//! Handshakes are tasks of their own, a bounded number and time of them, so that nobody who is slow holds up others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::serve::Listener;
use futures_util::StreamExt;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, is_tls_alpn_challenge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::until;
use crate::config::{Acme, Config};
use crate::ingest::tls;
use crate::serve::direct;

/// Most that a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes at once; beyond that connections wait in the kernel.
const HANDSHAKES: usize = 512;
/// Connections that wait to be served.
const READY: usize = 64;
/// How often certificate files are looked at.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// What clients may speak, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why there is no HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Neither files nor names.
    #[error("https is set, but neither [tls] with certificate files nor [acme] with names")]
    NoCertificate,
    /// The socket.
    #[error("the socket cannot be used")]
    Socket(#[from] std::io::Error),
    /// The settings of TLS.
    #[error("TLS cannot be set up")]
    Settings(#[from] rustls::Error),
    /// The authority's root.
    #[error("the root {path} of the ACME authority cannot be used: {detail}")]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

/// Connections that have shaken hands.
pub(super) struct Ready {
    address: SocketAddr,
    streams: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Listener for Ready {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.streams.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await, // the server ends
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// How a connection is answered: by what it asks for.
#[derive(Clone)]
struct Settings {
    usual: Arc<ServerConfig>,
    /// For the authority's look at this machine.
    challenge: Option<Arc<ServerConfig>>,
}

/// Shakes hands on `listener` until `stop`.
///
/// # Errors
/// [`Error`].
pub(super) fn serve(
    listener: TcpListener,
    config: &Config,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Ready, Error> {
    let settings = match (&config.acme, &config.tls) {
        (Some(acme), _) => by_acme(acme, config, stop, tasks)?,
        (None, Some(files)) => {
            let files = Files::read(&files.certificate, &files.key)?;
            tasks.spawn(until(stop.clone(), files.clone().follow()));
            Settings { usual: settings(files)?, challenge: None }
        }
        (None, None) => return Err(Error::NoCertificate),
    };
    let address = listener.local_addr()?;
    let (ready, streams) = mpsc::channel(READY);
    tasks.spawn(until(stop.clone(), accept(listener, settings, ready)));
    Ok(Ready { address, streams })
}

async fn accept(
    listener: TcpListener,
    settings: Settings,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    let mut listener = listener;
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let (stream, peer) = Listener::accept(&mut listener).await;
        let (settings, ready) = (settings.clone(), ready.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, shake(stream, &settings)).await;
            drop(place);
            match shaken {
                Ok(Ok(Some(stream))) => _ = ready.send((stream, peer)).await, // nobody: the server ends
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::debug!(%peer, "no TLS: {error}"),
                Err(_) => tracing::debug!(%peer, "no TLS in time"),
            }
        });
    }
}

/// Nothing when it was the authority, which wants no more than the handshake.
async fn shake(stream: TcpStream, settings: &Settings) -> std::io::Result<Option<TlsStream<TcpStream>>> {
    direct::prepare(&stream);
    let Some(challenge) = &settings.challenge else {
        return TlsAcceptor::from(settings.usual.clone()).accept(stream).await.map(Some);
    };
    let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    if is_tls_alpn_challenge(&begun.client_hello()) {
        let mut stream = begun.into_stream(challenge.clone()).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await?;
        return Ok(None);
    }
    begun.into_stream(settings.usual.clone()).await.map(Some)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

fn settings(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, Error> {
    let mut settings = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    settings.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(settings))
}

/// Gets certificates, and new ones in time; they are kept in the data directory.
fn by_acme(
    acme: &Acme,
    config: &Config,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Settings, Error> {
    let mut order = AcmeConfig::new_with_provider(&acme.domains, provider()).directory(&acme.directory);
    if let Some(path) = &acme.root {
        order = order.client_tls_config(trusting(path)?);
    }
    let contact = acme.email.iter().map(|email| format!("mailto:{email}"));
    let mut state = order.contact(contact).cache(DirCache::new(config.data_dir.join("acme"))).state();
    let challenge = state.challenge_rustls_config_with_provider(provider());
    let usual = settings(state.resolver())?;
    let names = acme.domains.join(", ");
    tasks.spawn(until(stop.clone(), async move {
        while let Some(event) = state.next().await {
            match event {
                Ok(event) => tracing::info!("certificate for {names}: {event:?}"),
                Err(error) => tracing::error!("no certificate for {names} yet: {error}"),
            }
        }
    }));
    Ok(Settings { usual, challenge: Some(challenge) })
}

/// A client that trusts the root in a PEM file alone.
fn trusting(path: &Path) -> Result<Arc<rustls::ClientConfig>, Error> {
    let failed = |detail: String| Error::Root { path: path.into(), detail };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let root = root.map_err(|error| failed(error.to_string()))?;
        roots.add(root).map_err(|error| failed(error.to_string()))?;
    }
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

/// The owner's files, as they are now.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    read: RwLock<Arc<CertifiedKey>>,
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, Error> {
        let read = RwLock::new(Arc::new(certified(certificate, key)?));
        Ok(Arc::new(Self { certificate: certificate.into(), key: key.into(), read }))
    }

    /// When either was changed last.
    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).ok()?.modified().ok())
    }

    /// Reads them again whenever they change. What cannot be used is said, and the ones before stay.
    async fn follow(self: Arc<Self>) {
        let mut known = self.changed();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.changed();
            if now == known {
                continue;
            }
            known = now;
            match certified(&self.certificate, &self.key) {
                Ok(certified) => {
                    *self.read.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
                    tracing::info!("{} was read again", self.certificate.display());
                }
                Err(error) => tracing::error!("the certificate stays as it was: {error}"),
            }
        }
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn certified(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let (chain, key) = tls::read(certificate, key)?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}
