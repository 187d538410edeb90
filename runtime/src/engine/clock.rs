//! What the engine makes of the clock. An epoch reads it once, and everything in that epoch goes by that reading.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use weir_plan::ids::TopicPartition;

use crate::clock::{since, steady, wall_ms};
use crate::failure::Failure;
use crate::source::kafka::{TimeSetBy, Timestamp};

/// The clocks that the maintenance of tables uses: the engine's clocks, or, in tests whose hours must pass in seconds,
/// clocks that are ahead of them.
#[derive(Debug, Clone, Default)]
pub struct MaintenanceClock {
    /// A file that says how many seconds the clocks are ahead. It is read at each call. A second number in it moves
    /// only the wall clock, by so many seconds, as if a person had set it.
    pub ahead: Option<PathBuf>,
}

impl MaintenanceClock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let [ahead_s, stepped_s] = self.said();
        wall_ms().saturating_add(ahead_s.saturating_add(stepped_s).saturating_mul(1000))
    }

    /// Milliseconds since a fixed moment of this process, by a clock that nobody sets.
    #[must_use]
    pub fn steady_ms(&self) -> i64 {
        static BEGAN: LazyLock<Instant> = LazyLock::new(steady);
        let [ahead_s, _] = self.said();
        i64::try_from(since(*BEGAN).as_millis()).unwrap_or(i64::MAX).saturating_add(ahead_s.saturating_mul(1000))
    }

    fn said(&self) -> [i64; 2] {
        let said = self.ahead.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap_or_default());
        std::array::from_fn(|_| numbers.next().unwrap_or_default())
    }
}

/// µs. A clock is doubted when Kafka's timestamps are ahead of it by more than this, even if `maxFuture` is smaller.
/// The clocks of a cluster and of its producers may differ by this much, and waiting would not help.
const DOUBT_AFTER_US: i64 = 60_000_000;

/// Whether a record's own timestamp shows that a row is ahead because this machine's clock is behind: the timestamp is
/// too far ahead of the clock, too. A timestamp by the producer says nothing more if it is the row's event time itself.
#[must_use]
pub fn is_doubtful(stamp: Timestamp, is_event_time: bool, clock_us: i64, max_future_us: i64) -> bool {
    let is_evidence = !is_event_time || stamp.set_by == TimeSetBy::Broker;
    is_evidence && stamp.at_ms.saturating_mul(1000) > clock_us.saturating_add(max_future_us.max(DOUBT_AFTER_US))
}

/// The failure when rows ahead of the clock cannot be judged. `newest` is the timestamp of the partition's last record.
#[must_use]
pub fn doubtful(
    partition: &TopicPartition,
    time_us: i64,
    newest: Timestamp,
    clock_us: i64,
    max_future_us: i64,
) -> Failure {
    let (whose, remedy) = match newest.set_by {
        TimeSetBy::Broker => ("the broker's clock", "set this machine's clock, or the broker's"),
        TimeSetBy::Producer => (
            "its producer's clock",
            "set this machine's clock; if it is right, set the producer's, or raise eventTime.maxFuture",
        ),
    };
    Failure::retry(format!(
        "{partition}: the event time {} is ahead of this machine's clock, {}, by more than maxFuture ({:?}), but so \
         is Kafka's timestamp of the \
         newest record, {}, which is by {whose}: this machine's clock seems to be behind, so no record counts as \
         bad; {remedy}",
        rfc3339(time_us),
        rfc3339(clock_us),
        Duration::from_micros(max_future_us.unsigned_abs()),
        rfc3339(newest.at_ms.saturating_mul(1000)),
    ))
}

/// Why a row whose event time is too far in the future is bad.
#[must_use]
pub fn too_far_ahead(time_us: i64, max_future_us: i64) -> String {
    let allowed = Duration::from_micros(max_future_us.unsigned_abs());
    format!("the event time {} is ahead of the clock by more than maxFuture ({allowed:?})", rfc3339(time_us))
}

fn rfc3339(time_us: i64) -> String {
    let time = DateTime::from_timestamp_micros(time_us);
    time.map_or_else(|| format!("{time_us} µs"), |t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Remedy;

    #[test]
    fn a_clock_is_doubted_if_kafkas_own_timestamps_are_too_far_ahead_of_it() {
        const NOW_US: i64 = 1_700_000_000_000_000;
        let after = |seconds: i64| Timestamp { at_ms: NOW_US / 1000 + seconds * 1000, set_by: TimeSetBy::Producer };
        for (stamp_s, max_future_s, doubtful) in
            [(3601, 3600, true), (3600, 3600, false), (30, 0, false), (61, 0, true), (-5, 0, false)]
        {
            let max_future_us = max_future_s * 1_000_000;
            let by_producer = after(stamp_s);
            let by_broker = Timestamp { set_by: TimeSetBy::Broker, ..by_producer };
            let found = [(by_producer, false), (by_producer, true), (by_broker, true)];
            let found = found.map(|(stamp, is_event_time)| is_doubtful(stamp, is_event_time, NOW_US, max_future_us));
            assert_eq!(found, [doubtful, false, doubtful], "{stamp_s} {max_future_s}");
        }
    }

    #[test]
    fn what_is_said_of_a_clock_names_both_clocks_and_loses_nothing() {
        let at = TopicPartition { topic: "rides".into(), partition: 3 };
        for (set_by, says) in [
            (TimeSetBy::Broker, "by the broker's clock: this machine's clock seems"),
            (TimeSetBy::Producer, "by its producer's clock: this machine's clock seems"),
        ] {
            let failure = doubtful(&at, 7_200_000_000, Timestamp { at_ms: 7_100_000, set_by }, 0, 3_600_000_000);
            assert_eq!(failure.remedy, Remedy::Retry);
            let figures = "rides-3: the event time 1970-01-01T02:00:00.000Z is ahead of this machine's clock, \
                           1970-01-01T00:00:00.000Z, by more \
                           than maxFuture (3600s), but so is Kafka's timestamp of the newest record, \
                           1970-01-01T01:58:20.000Z, which is ";
            assert!(failure.message.starts_with(figures) && failure.message.contains(says), "{failure}");
        }
    }
}
