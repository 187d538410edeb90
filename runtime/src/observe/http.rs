//! Serves `/metrics`, `/progress`, `/healthz` and `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::progress::Report;
use super::shared::{Shared, lock};
use crate::failure::{Failure, Result};

/// Listens, and answers as long as the process lives.
pub async fn serve(address: SocketAddr, shared: Arc<Shared>) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener
        .map_err(|e| Failure::config(format!("listen on {address} for HTTP: {e}; give another --http address")))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving /metrics, /progress, /healthz, /readyz");
    }
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/progress", get(progress))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(shared);
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, routes).await {
            tracing::error!("HTTP server: {e}");
        }
    });
    Ok(())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match shared.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("encode metrics: {e}")).into_response(),
    }
}

async fn progress(State(shared): State<Arc<Shared>>) -> Response {
    let (latest, pending) = (lock(&shared.latest).clone(), lock(&shared.pending).clone());
    let Some(progress) = latest else { return StatusCode::NO_CONTENT.into_response() };
    match serde_json::to_string(&Report { pending, ..progress.report }) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("encode progress: {e}")).into_response(),
    }
}

/// Answers OK unless the run has ended with a failure.
async fn health(State(shared): State<Arc<Shared>>) -> Response {
    if shared.ended.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "ended").into_response()
    } else {
        "ok".into_response()
    }
}

/// Answers OK while this process holds the checkpoint and reads records.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.ready.load(Ordering::Relaxed) {
        "ready".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting").into_response()
    }
}
