//! Closes windows that no record would ever close: the last ones of a quiet topic (`eventTime.closeIdleWindowsAfter`),
//! and those that are open when an AvailableNow run ends (`trigger.onEnd: EmitAll`). The driver says what the clock
//! shows, and the workers say when their entries leave; workers are asked only where it matters. Each function returns
//! how far the watermark goes beyond what the records say, and why.

use std::time::Duration;

use weir_plan::Plan;
use weir_plan::plan::OnEnd;

use crate::checkpoint::manifest::MovedBy;
use crate::engine::worker::Workers;
use crate::failure::Result;

/// Where the clock moves the watermark of a source, once all partitions of all sources whose rows may meet its rows
/// have been at their ends without a record for long enough. `quiet_for` says how long that is for each source; `None`
/// if not all of its partitions are at their ends. `workers` have not taken in the epoch's own rows yet, so windows
/// that these rows open wait for a later epoch.
pub async fn by_clock(
    workers: &mut Workers,
    source: usize,
    clock_us: i64,
    quiet_for: &[Option<Duration>],
) -> Result<Option<(i64, MovedBy)>> {
    let plan = workers.plan();
    let limits = quiet_for.iter().enumerate().filter(|(other, _)| workers.are_of_one_part(source, *other));
    let limits = limits.map(|(other, quiet_for)| limit_by_clock_us(plan, other, clock_us, *quiet_for));
    // `None` is less than `Some`, so a source that is not quiet, or does not ask for this, holds the others.
    let Some(limit_us) = limits.min().flatten() else { return Ok(None) };
    Ok(workers.leaves_by(source, limit_us).await?.map(|at_us| (at_us, MovedBy::Clock)))
}

/// The time (µs) up to which the clock closes windows. The watermark moves to the end of such a window, not to the
/// clock itself: a record that comes late is then late only for windows that have been closed.
fn limit_by_clock_us(plan: &Plan, source: usize, clock_us: i64, quiet_for: Option<Duration>) -> Option<i64> {
    let after_us = plan.sources[source].event_time.as_ref()?.close_idle_windows_after_us?;
    let quiet_us = i64::try_from(quiet_for?.as_micros()).unwrap_or(i64::MAX);
    (quiet_us >= after_us).then(|| clock_us.saturating_sub(after_us))
}

/// Where the end of a run moves the watermark of a source. This includes the run's last epoch, which `workers` have
/// taken in.
pub async fn at_end(workers: &mut Workers, source: usize) -> Result<Option<(i64, MovedBy)>> {
    if workers.plan().on_end != OnEnd::EmitAll {
        return Ok(None);
    }
    Ok(workers.all_leave_by(source).await?.map(|at_us| (at_us, MovedBy::EndOfRun)))
}
