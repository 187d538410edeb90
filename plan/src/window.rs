//! Window arithmetic, in microseconds since the epoch. Windows are half-open: `[start, end)`.
//!
//! The definition is Flink's `TimeWindow.getWindowStartWithOffset` and Spark's `window`: windows are aligned to
//! 1970-01-01T00:00:00Z, and times before it belong to the window that they lie in (the division rounds towards minus
//! infinity).

use serde::{Deserialize, Serialize};

/// How a step divides time into windows. The code that runs a step takes the kind it is made for: the kinds have little
/// in common (a session has no size, and a time lies in several hopping windows).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Tumbling(Tumbling),
}

impl Window {
    /// Tumbling windows of `size_us` microseconds.
    ///
    /// # Panics
    /// See [`Tumbling::new`].
    #[must_use]
    pub fn tumbling(size_us: i64) -> Self {
        Self::Tumbling(Tumbling::new(size_us))
    }

    /// What saved state depends on.
    pub(crate) fn fingerprint(self) -> WindowFingerprint {
        match self {
            Self::Tumbling(window) => WindowFingerprint::Tumbling { size_us: window.size_us() },
        }
    }
}

/// The window in saved state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum WindowFingerprint {
    Tumbling { size_us: i64 },
}

impl WindowFingerprint {
    /// How the window `now` differs from this one, in a text that begins with what the step had; `None` if they are
    /// equal.
    pub(crate) fn difference(self, now: Self) -> Option<String> {
        let (Self::Tumbling { size_us: then_us }, Self::Tumbling { size_us: now_us }) = (self, now);
        let differs = then_us != now_us;
        differs.then(|| format!("had windows of {} and now has {}", seconds(then_us), seconds(now_us)))
    }
}

/// The time in seconds as text: `300 s`.
fn seconds(us: i64) -> String {
    let (whole, rest) = (us / 1_000_000, us % 1_000_000);
    if rest == 0 { format!("{whole} s") } else { format!("{whole}.{rest:06} s") }
}

/// Windows of one size that follow each other without gaps or overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tumbling {
    size_us: i64,
}

impl Tumbling {
    /// Windows of `size_us` microseconds.
    ///
    /// # Panics
    /// If `size_us` is not positive, which lowering refuses.
    #[must_use]
    pub fn new(size_us: i64) -> Self {
        assert!(size_us > 0, "a window has a positive size, not {size_us} µs");
        Self { size_us }
    }

    #[must_use]
    pub fn size_us(self) -> i64 {
        self.size_us
    }

    /// The start of the window that `time_us` lies in. It saturates at the ends of i64, so no input can overflow.
    #[must_use]
    pub fn start_of(self, time_us: i64) -> i64 {
        time_us.saturating_sub(time_us.rem_euclid(self.size_us))
    }

    /// The end (exclusive) of the window that starts at `start_us`.
    #[must_use]
    pub fn end_of(self, start_us: i64) -> i64 {
        start_us.saturating_add(self.size_us)
    }

    /// The last moment of the window that starts at `start_us`: the watermark has passed it exactly when the window is
    /// over.
    #[must_use]
    pub fn last_of(self, start_us: i64) -> i64 {
        self.end_of(start_us).saturating_sub(1)
    }

    /// Whether a row is late for its window: the window's end is at or before the watermark at the start of the epoch.
    #[must_use]
    pub fn is_late(self, start_us: i64, watermark_us: i64) -> bool {
        self.end_of(start_us) <= watermark_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_the_window_that_starts_at_or_before_it() {
        let w = Tumbling::new(5);
        let starts: Vec<_> = [-6, -5, -1, 0, 4, 5, 9].iter().map(|t| w.start_of(*t)).collect();
        assert_eq!(starts, [-10, -5, -5, 0, 0, 5, 5]);
    }

    #[test]
    fn a_window_is_late_from_the_moment_its_end_is_the_watermark() {
        let w = Tumbling::new(5);
        assert!(!w.is_late(0, 4));
        assert!(w.is_late(0, 5));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let w = Tumbling::new(5);
        assert_eq!(w.start_of(i64::MIN), i64::MIN);
        assert_eq!(w.end_of(w.start_of(i64::MAX)), i64::MAX);
    }
}
