//! Runs by a schedule.

use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use weir_e2e::deadline;
use weir_tests::or_skip;

use crate::stage::{LIMIT, NAME, Stage};

#[tokio::test]
async fn the_latest_run_that_was_missed_starts_once_and_the_next_due_time_is_shown() {
    let mut stage = or_skip!(Stage::new().await);
    stage.kill_operator();
    stage.apply("/spec/trigger", json!({"type": "AvailableNow", "schedule": "0 2 * * *"})).await;
    // The status as an operator left it that has been away for a long time.
    let before = json!({"status": {"run": {"schedule": "0 2 * * *", "scheduledUntil": "2020-01-01T00:00:00Z"}}});
    stage.namespace.pipelines().patch_status(NAME, &PatchParams::default(), &Patch::Merge(before)).await.unwrap();

    stage.start_operator();
    let api = stage.api::<Job>();
    let jobs = async || api.list(&ListParams::default()).await.unwrap().items;
    let job = deadline::until("a Job", LIMIT, async || jobs().await.pop()).await;
    let run = job.metadata.annotations.unwrap()["weir.dev/run"].clone();
    assert!(run.ends_with("T0200Z"), "{run}");
    let container = &job.spec.unwrap().template.spec.unwrap().containers[0];
    let variables = container.env.iter().flatten().map(|v| (v.name.as_str(), v.value.as_deref().unwrap_or_default()));
    assert_eq!(variables.collect::<Vec<_>>(), [("WEIR_NAMESPACE", ""), ("WEIR_RUN", run.as_str())]);

    let name = job.metadata.name.unwrap();
    stage.complete_job(&name).await;
    let said = stage.wait_for("Ready", "True/Completed").await;
    assert!(said.contains(&format!("the run {run} has read everything; the next one is due at ")), "{said}");

    // Another operator does not start it again, whether its Job is there or not.
    stage.kill_operator();
    api.delete(&name, &kube::api::DeleteParams::background()).await.unwrap();
    stage.apply("/spec/trigger", json!({"type": "AvailableNow", "schedule": "0 2 * * *", "runToken": "again"})).await;
    stage.start_operator();
    let next = deadline::until("the Job of the token", LIMIT, async || {
        jobs().await.into_iter().find(|j| j.metadata.name.as_ref() != Some(&name))
    })
    .await;
    assert_eq!(next.metadata.annotations.unwrap()["weir.dev/run"], "again");
    assert_eq!(jobs().await.len(), 1);
}
