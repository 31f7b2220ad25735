//! Connections to answers, for both HTTP and HTTPS: what viewers of a live channel ask goes straight to it, the rest
//! through the routes.
//!
//! Thousands of players ask for the same few addresses several times a second. Routing, extractors and middleware cost
//! them as much again as the answer itself (measured: half of the CPU of a playlist), so these addresses are told apart
//! here. Connections are HTTP/1.1 or HTTP/2, with prior knowledge or as TLS agreed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::direct;
use super::hls::Hls;

/// A connection on which no request comes for so long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// What is half there cannot be waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// How HTTP/2 begins. Source: RFC 9113, section 3.4.
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// What answers.
#[derive(Clone)]
pub struct Door {
    hls: Hls,
    rest: Router,
}

/// A connection of which can be told whether it is HTTP/1.1: that alone needs a third of the memory of "either".
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether it surely is, once something has come.
    fn is_http1(&self) -> impl Future<Output = bool> + Send;
}

impl Stream for direct::Connection {
    async fn is_http1(&self) -> bool {
        let mut first = [0; HTTP2.len()];
        loop {
            match self.peek(&mut first).await {
                // The beginning of either; whoever calls does not wait for ever.
                Ok(count) if (1..HTTP2.len()).contains(&count) && HTTP2.starts_with(&first[..count]) => {
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                Ok(count) => return count > 0 && !HTTP2.starts_with(&first[..count]),
                Err(_) => return false,
            }
        }
    }
}

impl Stream for TlsStream<TcpStream> {
    async fn is_http1(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"http/1.1")
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// How connections are served.
struct Builders {
    http1: http1::Builder,
    either: auto::Builder<TokioExecutor>,
}

impl Builders {
    fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(IDLE_LIMIT);
        let mut either = auto::Builder::new(TokioExecutor::new());
        either.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_LIMIT);
        // For WebSockets over HTTP/2.
        either.http2().timer(TokioTimer::new()).enable_connect_protocol();
        Self { http1, either }
    }
}

/// Waits for a connection's end; after `stop`, for the end of the answer that goes on.
macro_rules! served {
    ($connection:expr, $stop:expr) => {{
        let mut connection = $connection;
        tokio::select! {
            outcome = connection.as_mut() => outcome.map_err(|error| error.to_string()),
            () = $stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await.map_err(|error| error.to_string())
            }
        }
    }};
}

impl Door {
    /// `hls` before `rest`.
    pub fn new(hls: Hls, rest: Router) -> Self {
        Self { hls, rest }
    }

    /// Serves who comes to `listener`, until `stop`; then what goes on is finished, and no more.
    pub async fn serve<L>(self, mut listener: L, stop: CancellationToken, tasks: TaskTracker)
    where
        L: Listener<Addr = SocketAddr, Io: Stream>,
    {
        let (builders, door) = (Arc::new(Builders::new()), Arc::new(self));
        loop {
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (door, builders, stop) = (door.clone(), builders.clone(), stop.clone());
            tasks.spawn(async move {
                let first = tokio::time::timeout(IDLE_LIMIT, stream.is_http1());
                let first = tokio::select! {
                    first = first => first,
                    () = stop.cancelled() => return,
                };
                if let Ok(is_http1) = first {
                    door.connection(stream, is_http1, peer, &builders, &stop).await;
                }
            });
        }
    }

    /// In boxes of their own, so that each connection takes no more than its protocol needs.
    fn connection<'a>(
        self: Arc<Self>,
        stream: impl Stream,
        is_http1: bool,
        peer: SocketAddr,
        builders: &'a Builders,
        stop: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let service = hyper::service::service_fn(move |request| self.clone().answer(request, peer));
        let stream = TokioIo::new(stream);
        let note = move |outcome: Result<(), String>| {
            if let Err(error) = outcome {
                tracing::trace!(%peer, "a connection ended: {error}"); // viewers leave at any time
            }
        };
        if is_http1 {
            let connection = Box::pin(builders.http1.serve_connection(stream, service).with_upgrades());
            Box::pin(async move { note(served!(connection, stop)) })
        } else {
            let connection = Box::pin(builders.either.serve_connection_with_upgrades(stream, service));
            Box::pin(async move { note(served!(connection, stop)) })
        }
    }

    /// What is held for a player is as small as it can be: thousands of them wait at a time.
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answering {
        let request = self.hls.access().read(request);
        if let Some(wanted) = self.hls.wanted(&request, peer.ip()) {
            // Its headers share the connection's buffer: kept while it is held, they would cost another.
            drop(request);
            return Box::pin(async move { Ok(self.hls.answer(wanted).await) });
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        Box::pin(self.rest.clone().oneshot(request))
    }
}
