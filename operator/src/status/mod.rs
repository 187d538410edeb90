//! Computes the status from the facts. Pure: the clock is an argument, and equal facts give an equal status.

mod conditions;
mod events;
mod facts;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use weir_crds::resource::{Progress, Run, Runtime, SchemaWait, Status, StreamPipeline, TableVersion, WatermarkHold};
use weir_plan::report::Report;

use crate::desired::workload::job_of;
use crate::error::Error;
use crate::pods;
use crate::progress::held_by;

pub use crate::pods::{is_over, is_ready, reachable, reachable_ip, refused_to_go_on, restarts, trouble};
pub use events::events;
pub use facts::Facts;

/// The whole status.
#[must_use]
pub fn status(facts: &Facts<'_>) -> Status {
    let before = facts.before();
    let progress = progress(facts);
    let run = match &facts.verdict.target {
        Some(_) => run(facts),
        None => before.and_then(|b| b.run.clone()),
    };
    let conditions = conditions::conditions(facts, progress.as_ref(), run.as_ref());
    Status {
        observed_generation: Some(facts.generation()),
        conditions: conditions::with_transitions(conditions, before.map_or(&[], |b| &b.conditions)),
        replicas: i32::try_from(facts.observed.pods.iter().filter(|p| pods::is_live(p)).count()).unwrap_or(i32::MAX),
        selector: Some(facts.owner.selector_text()),
        runtime: match &facts.verdict.target {
            // If the revision could not be applied, it does not run.
            Some(revision) if facts.failure.is_none() => Some(Runtime {
                image: revision.inputs.image.clone(),
                revision: revision.name.clone(),
                generation: revision.generation,
            }),
            // The status keeps the last known revision if the running one can't be read.
            _ => before.and_then(|b| b.runtime.clone()),
        },
        progress,
        run,
        restarts: restarts(&facts.observed.pods).or_else(|| before.and_then(|b| b.restarts.clone())),
        state_action_token: facts
            .report
            .and_then(|r| r.state_action_token.clone())
            .or_else(|| before.and_then(|b| b.state_action_token.clone())),
    }
}

/// The previous status with the failure, for a look that was interrupted.
#[must_use]
pub fn interrupted(pipeline: &StreamPipeline, failure: &Error, now: &Time) -> Status {
    let before = pipeline.status.clone().unwrap_or_default();
    let conditions = conditions::interrupted(pipeline, failure, now);
    Status {
        observed_generation: pipeline.metadata.generation,
        conditions: conditions::with_transitions(conditions, &before.conditions),
        ..before
    }
}

/// The run of an AvailableNow pipeline: the state of its Job, or the last known state if the Job is gone.
fn run(facts: &Facts<'_>) -> Option<Run> {
    let runs = facts.runs?;
    let before = facts.before().and_then(|b| b.run.clone()).filter(|run| run.id == runs.id).unwrap_or_default();
    let job =
        runs.id.as_ref().and_then(|id| job_of(facts.owner, id, &facts.observed.jobs)).and_then(|j| j.status.as_ref());
    Some(Run {
        id: runs.id.clone(),
        started_at: job.and_then(|j| j.start_time.clone()).or(before.started_at),
        completed_at: job.and_then(|j| j.completion_time.clone()).or(before.completed_at),
        next_at: runs.next_at.map(Time),
        schedule: runs.schedule.clone(),
        scheduled_until: runs.scheduled_until.map(Time),
        token: runs.token.clone(),
    })
}

/// The progress that the runtime reports. While it can't be asked, this is the last report with rates of zero.
fn progress(facts: &Facts<'_>) -> Option<Progress> {
    let before = facts.before().and_then(|b| b.progress.as_ref());
    let Some(report) = facts.report else {
        let stands = |b: &Progress| Progress { input_rows_per_second: 0, processed_rows_per_second: 0, ..b.clone() };
        return before.map(stands);
    };
    let time = |text: &str| text.parse().ok().map(Time);
    let watermark = report.event_time.watermark.as_deref().and_then(time);
    let moved = before.is_none_or(|b| b.watermark != watermark);
    let last_commit = time(&report.timestamp);
    // Without new epochs, no report says that records have stopped arriving.
    let is_recent =
        last_commit.as_ref().is_some_and(|at| facts.now.0.duration_since(at.0) <= conditions::overdue_after(facts));
    let rate = |per_second: f64| if is_recent { rounded(per_second) } else { 0 };
    Some(Progress {
        input_rows_per_second: rate(report.input_rows_per_second),
        processed_rows_per_second: rate(report.processed_rows_per_second),
        lag: report.lag(),
        watermark_moved_at: if moved {
            watermark.as_ref().map(|_| facts.now.clone())
        } else {
            before.and_then(|b| b.watermark_moved_at.clone())
        },
        watermark,
        watermark_held_by: held_by(report).map(|(source, held)| {
            let because = Some(held.because.to_string());
            WatermarkHold { source: source.name.clone(), topic: held.topic.clone(), partition: held.partition, because }
        }),
        waits_for_schema: waits_for_schema(report),
        open_windows: count(report.state_operators.iter().map(|s| s.open_windows).sum()),
        state_bytes: count(report.state_stored_bytes),
        last_epoch: count(report.batch_id),
        last_commit,
        tables: report
            .sinks
            .iter()
            .filter_map(|s| Some(TableVersion { sink: s.name.clone(), version: s.table_version? }))
            .collect(),
        tombstones: count(report.totals.tombstones_skipped),
        dead_letters: count(report.totals.records_dropped.saturating_add(report.totals.records_rejected)),
        late_rows: count(report.totals.num_rows_dropped_by_watermark),
    })
}

/// The partition of any source that has waited longest for a schema.
fn waits_for_schema(report: &Report) -> Option<SchemaWait> {
    let waits = || report.sources.iter().filter_map(|source| Some((source, source.waits_for_schema.as_ref()?)));
    // Texts of one length in one time zone compare as the times do.
    let (source, longest) = waits().min_by_key(|(_, wait)| &wait.since)?;
    Some(SchemaWait {
        source: source.name.clone(),
        topic: longest.topic.clone(),
        partition: longest.partition,
        offset: longest.offset,
        schema_id: longest.schema_id.clone(),
        since: longest.since.parse().ok().map(Time),
        partitions: count(waits().map(|(_, wait)| wait.partitions).sum()),
    })
}

/// A count for the status, which has signed numbers as Kubernetes does.
fn count(reported: u64) -> i64 {
    i64::try_from(reported).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation)]
fn rounded(rate: f64) -> i64 {
    rate.round() as i64
}
