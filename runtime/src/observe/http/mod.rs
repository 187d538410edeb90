//! The HTTP port: `/metrics`, `/progress`, `/healthz` and `/readyz`. It is read-only. The document may ask for TLS and
//! for a token; what a client may take of the process is bounded either way.

mod certificate;
mod guard;
mod pages;
mod server;
#[cfg(test)]
mod tests;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub(super) use self::guard::Guard;
use self::server::Limits;
use super::shared::Shared;
use crate::failure::{Failure, Result};

/// Listens, and answers as long as the process lives.
///
/// # Errors
/// `Config` for an address that can't be listened on, and for a Secret that is not there or can't be used.
pub(super) async fn serve(address: SocketAddr, guard: Guard, shared: Arc<Shared>) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .map_err(|e| Failure::config(format!("listen on {address} for HTTP: {e}; give another --http address")))?;
    start(listener, guard, shared, server::LIMITS, guard::EVERY)
}

fn start(listener: TcpListener, guard: Guard, shared: Arc<Shared>, limits: Limits, look_every: Duration) -> Result<()> {
    let (mark, keys) = guard.read()?;
    if let Ok(address) = listener.local_addr() {
        let (tls, token) = (keys.tls.is_some(), keys.token.is_some());
        tracing::info!(%address, tls, token, "serving /metrics, /progress, /healthz, /readyz");
    }
    let (tell, current) = watch::channel(Arc::new(keys));
    let routes = pages::routes(shared, current.clone());
    tokio::spawn(server::serve(listener, routes, current, limits));
    if guard.may_change() {
        tokio::spawn(guard.renew(look_every, mark, tell));
    }
    Ok(())
}
