//! The clocks of the machine, read here and nowhere else in the data plane (a lint holds the others to that). What
//! decides something is given a [`Clock`] or a moment; [`steady`] and [`since`] are for the edge: deadlines of
//! requests, and how long something took.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that is passed in. The name of the field says the unit, and since when.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Microseconds since 1970-01-01T00:00:00Z, by the machine's clock. A person may set it, and then it steps.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970-01-01T00:00:00Z, by the machine's clock.
#[must_use]
pub fn wall_ms() -> i64 {
    wall_us().div_euclid(1000)
}

/// Now, by a clock that nobody sets.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the steady clock")]
pub fn steady() -> Instant {
    Instant::now()
}

/// How long ago `began` was.
#[must_use]
pub fn since(began: Instant) -> Duration {
    steady().saturating_duration_since(began)
}
