//! Waiting: polls for a state, under a deadline. Tests never sleep in the hope that a state is reached meanwhile.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// Calls `look` until it gives something. Panics with `what` when `limit` has passed.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s in vain: {what}", limit.as_secs_f64());
        std::thread::sleep(POLL);
    }
}
