//! Windows that no record would ever close: the last ones of a quiet topic (`eventTime.closeIdleWindowsAfter`), and those that are open when
//! an AvailableNow run ends (`trigger.onEnd: EmitAll`). Pure: the driver says what is open and what the clock shows.

use std::time::Duration;

use weir_plan::Plan;
use weir_plan::plan::OnEnd;

use super::keyed_stage::KeyedStage;
use crate::checkpoint::manifest::MovedBy;
use crate::keyed::edge::EdgeReport;

/// What an epoch is closed with.
pub struct Closing<'a> {
    pub clock_us: i64,
    /// The last one of a run: everything is read.
    pub ends_the_run: bool,
    /// For how long every partition has been at its end without a record, if all are.
    pub quiet_for: Option<Duration>,
    /// Per edge from the lanes.
    pub lanes: &'a [EdgeReport],
}

/// How far the watermark is to go beyond what the records say, and why.
#[must_use]
pub fn close(plan: &Plan, keyed: &KeyedStage, closing: &Closing<'_>) -> Option<(i64, MovedBy)> {
    if closing.ends_the_run && plan.on_end == OnEnd::EmitAll {
        return Some((keyed.greatest_end(closing.lanes)?, MovedBy::EndOfRun));
    }
    let event_time = plan.sources.iter().find_map(|source| source.event_time.as_ref())?;
    let after_us = event_time.close_idle_windows_after_us?;
    let quiet_us = i64::try_from(closing.quiet_for?.as_micros()).unwrap_or(i64::MAX);
    if quiet_us < after_us {
        return None;
    }
    // Not to the clock itself: what comes late is late for windows that have been closed, and for no others.
    Some((keyed.greatest_end_up_to(closing.clock_us.saturating_sub(after_us))?, MovedBy::Clock))
}
