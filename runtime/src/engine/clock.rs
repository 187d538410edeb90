//! The engine's one clock. An epoch reads it once, and everything in that epoch goes by that reading.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};

/// Microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The clock that the maintenance of tables goes by: the engine's, or one that is ahead of it, for tests, whose hours must pass in seconds.
#[derive(Debug, Clone, Default)]
pub struct MaintenanceClock {
    /// The file says by how many seconds, and is read at each look.
    pub ahead: Option<PathBuf>,
}

impl MaintenanceClock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let said = self.ahead.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let ahead_s: i64 = said.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
        (now_us() / 1000).saturating_add(ahead_s.saturating_mul(1000))
    }
}

/// Why a row is bad whose event time is in the future.
#[must_use]
pub fn too_far_ahead(time_us: i64, max_future_us: i64) -> String {
    let time = DateTime::from_timestamp_micros(time_us);
    let time = time.map_or_else(|| format!("{time_us} µs"), |t| t.to_rfc3339_opts(SecondsFormat::Millis, true));
    let allowed = Duration::from_micros(max_future_us.unsigned_abs());
    format!("the event time {time} is ahead of the clock by more than maxFuture ({allowed:?})")
}
