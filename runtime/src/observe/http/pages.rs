//! The pages of the HTTP port, and who gets them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use super::guard::Keys;
use super::token::Token;
use crate::observe::progress::Report;
use crate::observe::shared::{Shared, lock};

/// The paths that need no token: the kubelet, which asks for them, can't send one. They say nothing of the pipeline
/// but whether it runs.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// All pages. Those that are not for probes need the token that is the current one when they are asked for.
pub(super) fn routes(shared: Arc<Shared>, keys: watch::Receiver<Arc<Keys>>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/progress", get(progress))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(shared)
        .layer(middleware::from_fn_with_state(keys, with_token))
}

async fn with_token(State(keys): State<watch::Receiver<Arc<Keys>>>, request: Request, next: Next) -> Response {
    let keys = Arc::clone(&keys.borrow());
    let refused = keys.token.as_ref().filter(|_| !PROBES.contains(&request.uri().path()));
    match refused.and_then(|token| refusal(token, request.headers())) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// The answer to a request without the token; `None` if it has the token. As in RFC 6750.
fn refusal(token: &Token, headers: &HeaderMap) -> Option<Response> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let (challenge, why) = match given {
        Some(given) if token.is(given) => return None,
        Some(_) => ("Bearer error=\"invalid_token\"", "this is not the token of this pipeline\n"),
        None => ("Bearer", "this page needs a token: send it as the header `Authorization: Bearer TOKEN`\n"),
    };
    Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], why).into_response())
}

/// The token of a header. The name of the scheme is compared as HTTP says, without regard to case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
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
