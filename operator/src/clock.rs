//! The clocks of the machine, read here and nowhere else in the operator (a lint holds the others to that). What goes
//! into an object, or is compared with what stands in one, goes by the clock of the `Context`, which tests set.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

/// By the machine's clock, which a person may set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall() -> Timestamp {
    Timestamp::now()
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
