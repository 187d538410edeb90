//! Windows that no record would ever close: the last ones of a quiet topic (`eventTime.closeIdleWindowsAfter`), and those that are open when
//! an AvailableNow run ends (`trigger.onEnd: EmitAll`). Pure: the driver says what the clock shows, the keyed steps say when what they hold
//! leaves. Each gives how far the watermark is to go beyond what the records say, and why.

use std::time::Duration;

use weir_plan::plan::OnEnd;

use crate::checkpoint::manifest::MovedBy;
use crate::engine::worker::KeyedStage;

/// What the clock closes of a source, once every one of its partitions has been at its end without a record for so long (`None`: not all are). `keyed`
/// has not taken in the epoch's own rows yet: what they open waits for a later epoch. `sources_us` has the watermarks of the open epoch.
#[must_use]
pub fn by_clock(
    keyed: &KeyedStage,
    source: usize,
    sources_us: &[Option<i64>],
    clock_us: i64,
    quiet_for: Option<Duration>,
) -> Option<(i64, MovedBy)> {
    let after_us = keyed.plan().sources[source].event_time.as_ref()?.close_idle_windows_after_us?;
    let quiet_us = i64::try_from(quiet_for?.as_micros()).unwrap_or(i64::MAX);
    if quiet_us < after_us {
        return None;
    }
    // Not to the clock itself: what comes late is late for windows that have been closed, and for no others.
    Some((keyed.leaves_by(source, sources_us, clock_us.saturating_sub(after_us))?, MovedBy::Clock))
}

/// What the end of a run closes of a source, its last epoch included, which `keyed` has taken in.
#[must_use]
pub fn at_end(keyed: &KeyedStage, source: usize, sources_us: &[Option<i64>]) -> Option<(i64, MovedBy)> {
    if keyed.plan().on_end != OnEnd::EmitAll {
        return None;
    }
    Some((keyed.all_leave_by(source, sources_us)?, MovedBy::EndOfRun))
}
