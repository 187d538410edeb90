//! Which run of an AvailableNow pipeline should run, and when the next one is due. Pure: the clock is an argument.
//!
//! Only one run runs at a time. A run that becomes due in the meantime starts when the current one has ended; of
//! several such runs only the latest starts, as for a CronJob with `concurrencyPolicy: Forbid`. The status remembers
//! which runs have been started, so that none is started again.

#[cfg(test)]
mod tests;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use weir_crds::Schedule;
use weir_crds::resource::StreamPipeline;

use crate::apply::is_complete;
use crate::desired::Run;
use crate::desired::workload::{is_in_runs, job_of};
use crate::labels::{Owner, RUN};
use crate::revision::Revision;

/// The id of the only run of a pipeline without a schedule and without a token.
const ONLY_RUN: &str = "first";

/// What to do about runs, and what the status must remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The id of the current or last run; `None` before the first run.
    pub id: Option<String>,
    pub is_done: bool,
    /// When the next run is due; in the past while it waits for the current run to end.
    pub next_at: Option<Timestamp>,
    pub schedule: Option<String>,
    /// Runs due up to this time have been dealt with.
    pub scheduled_until: Option<Timestamp>,
    /// The newest token for which a run was started.
    pub token: Option<String>,
}

impl Runs {
    #[must_use]
    pub fn to_run(&self) -> Run {
        match &self.id {
            Some(id) if !self.is_done => Run::Unfinished(id.clone()),
            _ => Run::None,
        }
    }
}

/// Decides about runs. `None` if the accepted document runs without an end.
#[must_use]
pub fn decide(
    pipeline: &StreamPipeline,
    owner: &Owner,
    target: &Revision,
    jobs: &[Job],
    suspend: bool,
    now: Timestamp,
) -> Option<Runs> {
    let spec = &target.inputs.document()["spec"];
    if !is_in_runs(spec) {
        return None;
    }
    let text = |field: &str| spec["trigger"].get(field).and_then(Value::as_str).map(str::to_owned);
    let schedule = text("schedule").and_then(|text| Schedule::parse(&text).ok());
    let token = text("runToken").or_else(|| schedule.is_none().then(|| ONLY_RUN.to_owned()));
    let is_done = |id: &str| job_of(owner, id, jobs).is_some_and(is_complete);

    let known = pipeline.status.as_ref().and_then(|s| s.run.clone());
    let created = pipeline.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
    let scheduled_until = schedule.as_ref().map(|_| match &known {
        None if is_new(pipeline) => created,
        Some(run) if run.schedule == text("schedule") => run.scheduled_until.as_ref().map_or(created, |t| t.0),
        // Runs that were due by another schedule, or before there was a schedule, are not made up for.
        _ => now,
    });
    let known = known.unwrap_or_default();
    let due = schedule.as_ref().and_then(|s| s.last_until(now)).filter(|due| Some(*due) > scheduled_until);

    let mut runs = Runs {
        id: None,
        is_done: false,
        next_at: None,
        schedule: text("schedule"),
        scheduled_until,
        token: known.token.clone(),
    };
    let was_running = known.id.clone().filter(|_| known.completed_at.is_none());
    if let Some(id) = running_job(jobs).or(was_running) {
        runs.is_done = is_done(&id);
        runs.id = Some(id);
    } else if suspend {
        (runs.id, runs.is_done) = (known.id, true);
    } else if let Some(token) = token.filter(|token| known.token.as_ref() != Some(token)) {
        runs.is_done = is_done(&token);
        runs.token = Some(token.clone());
        runs.id = Some(token);
    } else if let Some(due) = due {
        let id = due.strftime("%Y%m%dT%H%MZ").to_string();
        runs.is_done = is_done(&id);
        runs.scheduled_until = Some(due);
        runs.id = Some(id);
    } else {
        (runs.id, runs.is_done) = (known.id, true);
    }
    let waits = due.filter(|due| Some(*due) > runs.scheduled_until);
    runs.next_at = waits.or_else(|| schedule?.next_after(now)).filter(|_| !suspend);
    Some(runs)
}

/// Whether no operator has looked at the pipeline yet. The definition's default status of a new pipeline says so.
fn is_new(pipeline: &StreamPipeline) -> bool {
    pipeline.status.as_ref().and_then(|status| status.observed_generation).is_none_or(|generation| generation < 0)
}

/// The run of the newest Job that has not ended. The status may not know it, if the write of the status failed after
/// the Job was created.
fn running_job(jobs: &[Job]) -> Option<String> {
    let running = jobs.iter().filter(|job| !is_complete(job));
    let newest = running.max_by_key(|job| job.metadata.creation_timestamp.as_ref().map(|t| t.0))?;
    newest.metadata.annotations.as_ref()?.get(RUN).cloned()
}
