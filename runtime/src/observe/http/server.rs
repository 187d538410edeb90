//! Takes connections and serves each within limits: how many there are at once, how large a request is, and how long a
//! handshake and an answer may take. A connection serves one request.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::guard::Keys;
use crate::clock::steady;

/// The most bytes of a request's line and headers: room for the longest token.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How often at most the log says that there are too many connections.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// The pause after an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);
/// The first byte of a TLS connection: a record of the type handshake.
const TLS_HANDSHAKE: u8 = 22;

/// What clients may take of the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many connections there are at once. One more closes the oldest one, so that whoever holds connections open
    /// does not keep the kubelet's probes out: a probe is answered within milliseconds.
    pub(super) connections: usize,
    /// The time to the end of the TLS handshake.
    pub(super) handshake: Duration,
    /// The time from there until the answer is taken.
    pub(super) answer: Duration,
}

pub(super) const LIMITS: Limits =
    Limits { connections: 64, handshake: Duration::from_secs(5), answer: Duration::from_secs(10) };

/// Serves connections as long as the process lives.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    keys: watch::Receiver<Arc<Keys>>,
    limits: Limits,
) -> Infallible {
    let mut connections = Connections::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The client was faster.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => continue,
            Err(e) => {
                tracing::warn!("no connection for HTTP can be taken: {e}");
                sleep(PAUSE).await;
                continue;
            }
        };
        let task = tokio::spawn(connection(stream, routes.clone(), Arc::clone(&keys.borrow()), limits));
        connections.add(task, limits.connections, steady());
    }
}

/// The connections that are open, the oldest first.
#[derive(Default)]
struct Connections {
    open: VecDeque<JoinHandle<()>>,
    told_at: Option<Instant>,
}

impl Connections {
    fn add(&mut self, task: JoinHandle<()>, max: usize, now: Instant) {
        self.open.retain(|task| !task.is_finished());
        if self.open.len() >= max
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
            if self.told_at.is_none_or(|at| now.duration_since(at) >= TELL_EVERY) {
                tracing::warn!("more than {max} connections for HTTP at once: the oldest ones are closed");
                self.told_at = Some(now);
            }
        }
        self.open.push_back(task);
    }
}

async fn connection(stream: TcpStream, routes: Router, keys: Arc<Keys>, limits: Limits) {
    let Some(tls) = &keys.tls else { return answer(stream, routes, limits).await };
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
            return Ok(Err(stream));
        }
        TlsAcceptor::from(Arc::clone(tls)).accept(stream).await.map(Ok)
    };
    match timeout(limits.handshake, handshake).await {
        Ok(Ok(Ok(stream))) => answer(stream, routes, limits).await,
        Ok(Ok(Err(plain))) => answer(plain, Router::new().fallback(needs_tls), limits).await,
        Ok(Err(e)) => tracing::debug!("a TLS handshake for HTTP failed: {e}"),
        Err(_) => tracing::debug!("a TLS handshake for HTTP took longer than {:?}", limits.handshake),
    }
}

async fn needs_tls() -> impl IntoResponse {
    (StatusCode::BAD_REQUEST, "this port speaks HTTPS: write https:// in place of http://\n")
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, routes: Router, limits: Limits) {
    let service = TowerToHyperService::new(routes.into_service::<hyper::body::Incoming>());
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(2 * HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(limits.answer, served).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::debug!("a connection for HTTP ended: {e}"),
        Err(_) => tracing::debug!("a request over HTTP took longer than {:?}", limits.answer),
    }
}
