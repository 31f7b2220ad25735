//! Connections to answers, for both HTTP and HTTPS: what viewers of a live channel ask goes straight to it, the rest
//! through the routes.
//!
//! Thousands of players ask for the same few addresses several times a second. Routing, extractors and middleware cost
//! them as much again as the answer itself (measured: half of the CPU of a playlist), so these addresses are told apart
//! here. Connections are HTTP/1.1 or HTTP/2, with prior knowledge or as TLS agreed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::hls::Hls;

/// A connection on which no request comes for so long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(75);

/// What answers.
#[derive(Clone)]
pub struct Door {
    hls: Hls,
    rest: Router,
}

impl Door {
    /// `hls` before `rest`.
    pub fn new(hls: Hls, rest: Router) -> Self {
        Self { hls, rest }
    }

    /// Serves who comes to `listener`, until `stop`; then what goes on is finished, and no more.
    pub async fn serve<L: Listener<Addr = SocketAddr>>(
        self,
        mut listener: L,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_LIMIT);
        // For WebSockets over HTTP/2.
        builder.http2().timer(TokioTimer::new()).enable_connect_protocol();
        let (builder, door) = (Arc::new(builder), Arc::new(self));
        loop {
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (door, builder, stop) = (door.clone(), builder.clone(), stop.clone());
            tasks.spawn(async move { door.connection(TokioIo::new(stream), peer, &builder, &stop).await });
        }
    }

    async fn connection<I>(
        self: Arc<Self>,
        stream: TokioIo<I>,
        peer: SocketAddr,
        builder: &Builder<TokioExecutor>,
        stop: &CancellationToken,
    ) where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = hyper::service::service_fn(move |request| self.clone().answer(request, peer));
        let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(stream, service));
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::trace!(%peer, "a connection ended: {error}"); // viewers leave at any time
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response, Infallible> {
        let request = self.hls.access().read(request);
        if let Some(wanted) = self.hls.wanted(&request, peer.ip()) {
            // Its headers share the connection's buffer: kept while it is held, they would cost another.
            drop(request);
            return Ok(self.hls.answer(wanted).await);
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        // In a box, because every connection keeps room for what it may have to wait for.
        Box::pin(self.rest.clone().oneshot(request)).await
    }
}
