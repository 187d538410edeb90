#![allow(clippy::unwrap_used)]

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_crds::resource::{self, Status, StreamPipeline};

use super::{Runs, decide};
use crate::desired::Run;
use crate::desired::workload::job_name;
use crate::fixtures::{at, empty_cluster, owner, rides_with, verdict};

/// A pipeline that was created at 2026-01-01T00:00Z and runs every night at two.
fn nightly() -> StreamPipeline {
    rides_with("/trigger", json!({"type": "AvailableNow", "schedule": "0 2 * * *"}))
}

fn on_demand(token: &str) -> StreamPipeline {
    rides_with("/trigger", json!({"type": "AvailableNow", "runToken": token}))
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn found(pipeline: &StreamPipeline, jobs: &[Job], now: &str) -> Runs {
    let found = verdict(pipeline, &empty_cluster());
    decide(pipeline, &owner(), &found.target.unwrap(), jobs, found.suspend, time(now)).unwrap()
}

/// The pipeline with the status after these runs.
fn after(mut pipeline: StreamPipeline, runs: &Runs, completed: Option<&str>) -> StreamPipeline {
    let run = resource::Run {
        id: runs.id.clone(),
        completed_at: completed.map(at),
        schedule: runs.schedule.clone(),
        scheduled_until: runs.scheduled_until.map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time),
        token: runs.token.clone(),
        ..resource::Run::default()
    };
    pipeline.status = Some(Status { observed_generation: Some(1), run: Some(run), ..Status::default() });
    pipeline
}

fn job(run: &str, is_complete: bool) -> Job {
    let conditions = if is_complete { json!([{"type": "Complete", "status": "True"}]) } else { Value::Null };
    let metadata = json!({"name": job_name(&owner(), run), "annotations": {"weir.dev/run": run}});
    serde_json::from_value(json!({"metadata": metadata, "status": {"conditions": conditions}})).unwrap()
}

fn assert_runs(runs: &Runs, id: &str, next_at: &str) {
    assert_eq!(runs.to_run(), Run::Unfinished(id.to_owned()));
    assert_eq!(runs.next_at, Some(time(next_at)));
}

#[test]
fn nothing_runs_before_the_first_due_time() {
    let runs = found(&nightly(), &[], "2026-01-01T01:59:59Z");
    assert_eq!((runs.to_run(), runs.id, runs.next_at), (Run::None, None, Some(time("2026-01-01T02:00:00Z"))));
}

#[test]
fn a_run_starts_when_it_is_due_and_is_named_by_that_time() {
    assert_runs(&found(&nightly(), &[], "2026-01-01T02:00:00Z"), "20260101T0200Z", "2026-01-02T02:00:00Z");
}

#[test]
fn a_run_that_is_done_is_not_started_again_and_the_next_one_is() {
    let first = found(&nightly(), &[], "2026-01-01T02:00:00Z");
    let done = after(nightly(), &first, Some("2026-01-01T02:10:00Z"));
    for jobs in [vec![], vec![job("20260101T0200Z", true)]] {
        let runs = found(&done, &jobs, "2026-01-02T01:59:59Z");
        assert_eq!((runs.to_run(), runs.id.as_deref()), (Run::None, Some("20260101T0200Z")));
        assert_runs(&found(&done, &jobs, "2026-01-02T02:00:00Z"), "20260102T0200Z", "2026-01-03T02:00:00Z");
    }
}

#[test]
fn of_those_that_were_missed_the_latest_runs() {
    let first = found(&nightly(), &[], "2026-01-01T02:00:00Z");
    let done = after(nightly(), &first, Some("2026-01-01T02:10:00Z"));
    assert_runs(&found(&done, &[], "2026-01-09T12:00:00Z"), "20260109T0200Z", "2026-01-10T02:00:00Z");
    assert_runs(&found(&nightly(), &[], "2026-01-09T12:00:00Z"), "20260109T0200Z", "2026-01-10T02:00:00Z");
}

#[test]
fn no_run_starts_while_one_runs_and_the_latest_missed_one_starts_after_it() {
    let first = found(&nightly(), &[], "2026-01-01T02:00:00Z");
    let running = after(nightly(), &first, None);
    // The Job may exist, or somebody may have deleted it.
    for jobs in [vec![], vec![job("20260101T0200Z", false)]] {
        assert_runs(&found(&running, &jobs, "2026-01-03T03:00:00Z"), "20260101T0200Z", "2026-01-03T02:00:00Z");
    }
    // The run is first seen as completed, then the next run starts.
    let runs = found(&running, &[job("20260101T0200Z", true)], "2026-01-03T03:00:00Z");
    assert_eq!((runs.to_run(), runs.id.as_deref()), (Run::None, Some("20260101T0200Z")));
    let done = after(nightly(), &runs, Some("2026-01-03T02:59:00Z"));
    assert_runs(
        &found(&done, &[job("20260101T0200Z", true)], "2026-01-03T03:00:00Z"),
        "20260103T0200Z",
        "2026-01-04T02:00:00Z",
    );
}

#[test]
fn a_job_that_the_status_does_not_know_of_is_the_run() {
    assert_runs(
        &found(&nightly(), &[job("20260101T0200Z", false)], "2026-01-02T02:00:00Z"),
        "20260101T0200Z",
        "2026-01-02T02:00:00Z",
    );
    let again = found(&nightly(), &[job("20260102T0200Z", true)], "2026-01-02T02:00:00Z");
    assert_eq!(again.to_run(), Run::None, "the status was lost, and the Job is done");
}

#[test]
fn nothing_starts_while_it_is_suspended_and_a_run_goes_on_after_it() {
    let suspended = |mut pipeline: StreamPipeline| {
        pipeline.spec["suspend"] = json!(true);
        pipeline
    };
    let runs = found(&suspended(nightly()), &[], "2026-01-02T02:00:00Z");
    assert_eq!((runs.to_run(), runs.next_at), (Run::None, None));
    assert_eq!(found(&suspended(on_demand("a")), &[], "2026-01-02T02:00:00Z").to_run(), Run::None);
    // A run that has begun stays, with its Job suspended.
    let running = after(suspended(nightly()), &found(&nightly(), &[], "2026-01-01T02:00:00Z"), None);
    assert_eq!(found(&running, &[], "2026-01-02T02:00:00Z").to_run(), Run::Unfinished("20260101T0200Z".into()));
}

#[test]
fn another_schedule_makes_up_for_nothing() {
    let first = found(&nightly(), &[], "2026-01-01T02:00:00Z");
    let hourly = rides_with("/trigger", json!({"type": "AvailableNow", "schedule": "0 * * * *"}));
    let changed = after(hourly, &first, Some("2026-01-01T02:10:00Z"));
    let runs = found(&changed, &[], "2026-01-05T12:30:00Z");
    assert_eq!((runs.to_run(), runs.next_at), (Run::None, Some(time("2026-01-05T13:00:00Z"))));
    let mut first_one = nightly();
    first_one.status = Some(Status { observed_generation: Some(1), ..Status::default() });
    assert_eq!(found(&first_one, &[], "2026-01-05T12:30:00Z").to_run(), Run::None, "it had no schedule");
    let again = after(changed, &runs, Some("2026-01-01T02:10:00Z"));
    assert_runs(&found(&again, &[], "2026-01-05T13:00:00Z"), "20260105T1300Z", "2026-01-05T14:00:00Z");
}

#[test]
fn a_token_beside_a_schedule_is_an_extra_run_and_each_token_is_one() {
    let both = rides_with("/trigger", json!({"type": "AvailableNow", "schedule": "0 2 * * *", "runToken": "again"}));
    let extra = found(&both, &[], "2026-01-01T12:00:00Z");
    assert_runs(&extra, "again", "2026-01-01T02:00:00Z");
    let done = after(both, &extra, Some("2026-01-01T12:10:00Z"));
    let due = found(&done, &[job("again", true)], "2026-01-01T12:11:00Z");
    assert_runs(&due, "20260101T0200Z", "2026-01-02T02:00:00Z");
    let done = after(done, &due, Some("2026-01-01T12:20:00Z"));
    assert_eq!(found(&done, &[], "2026-01-01T12:21:00Z").to_run(), Run::None, "the token is not run again");
}

#[test]
fn without_a_schedule_there_is_one_run_for_each_token() {
    let only = found(&rides_with("/trigger", json!({"type": "AvailableNow"})), &[], "2026-01-01T12:00:00Z");
    assert_eq!((only.to_run(), only.next_at), (Run::Unfinished("first".into()), None));
    let first = found(&on_demand("a"), &[], "2026-01-01T12:00:00Z");
    let running = after(on_demand("b"), &first, None);
    assert_eq!(found(&running, &[job("a", false)], "2026-01-01T12:00:00Z").to_run(), Run::Unfinished("a".into()));
    let done = after(on_demand("b"), &first, Some("2026-01-01T12:10:00Z"));
    assert_eq!(found(&done, &[job("a", true)], "2026-01-01T12:11:00Z").to_run(), Run::Unfinished("b".into()));
}

#[test]
fn a_pipeline_that_goes_on_for_ever_has_no_runs() {
    let pipeline = crate::fixtures::rides();
    let target = verdict(&pipeline, &empty_cluster()).target.unwrap();
    assert_eq!(decide(&pipeline, &owner(), &target, &[], false, time("2026-01-01T12:00:00Z")), None);
}
