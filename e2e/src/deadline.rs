//! Waiting without blocking the async runtime: polls for a state, under a deadline.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(50);

/// Calls `look` until it gives something.
///
/// # Panics
/// With `what`, when `limit` has passed.
pub async fn until<T>(what: &str, limit: Duration, look: impl AsyncFn() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s in vain: {what}", limit.as_secs_f64());
        tokio::time::sleep(POLL).await;
    }
}
