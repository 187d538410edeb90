//! Pipelines that run to an end: runs that are done, due or without a pod.

use super::*;

#[test]
fn a_run_that_has_read_everything_is_ready_and_completed_and_not_made_again() {
    let pipeline = rides_with("/trigger", json!({"type": "AvailableNow"}));
    let mut observed = cluster_running(&rides());
    observed.deployment = None;
    let name = crate::desired::workload::job_name(&owner(), "first");
    let template = observed.revisions[0].template.clone();
    let job = json!({
        "metadata": {"name": name}, "spec": {"template": template},
        "status": {"startTime": "2026-01-01T11:00:00Z", "completionTime": "2026-01-01T11:30:00Z",
                   "conditions": [{"type": "Complete", "status": "True"}]},
    });
    observed.jobs = vec![serde_json::from_value(job).unwrap()];
    observed.pods.clear();
    let mut done = pipeline.clone();
    done.status = Some(found(&pipeline, &observed, None, None));
    // The Job is gone, but the status still knows its result.
    observed.jobs.clear();
    for status in [done.status.clone().unwrap(), found(&done, &observed, None, None)] {
        assert_conditions(&status, &["Ready=True/Completed", "Reconciling=False/UpToDate", "Stalled=False/UpToDate"]);
        let run = status.run.unwrap();
        assert_eq!((run.id.as_deref(), run.completed_at), (Some("first"), Some(at("2026-01-01T11:30:00Z"))));
    }
    // Another token is another run, which has not begun yet.
    let mut again = rides_with("/trigger", json!({"type": "AvailableNow", "runToken": "second"}));
    again.status = done.status;
    let run = found(&again, &observed, None, None).run.unwrap();
    assert_eq!((run.id.as_deref(), run.completed_at), (Some("second"), None));
}

#[test]
fn before_the_first_due_time_it_is_ready_and_says_when_that_is() {
    let mut pipeline = rides_with("/trigger", json!({"type": "AvailableNow", "schedule": "0 2 * * *"}));
    pipeline.metadata.creation_timestamp = Some(at(NOW));
    let status = found(&pipeline, &empty_cluster(), None, None);
    assert_conditions(&status, &["Ready=True/Scheduled", "Reconciling=False/UpToDate", "Stalled=False/UpToDate"]);
    assert_eq!(status.conditions[0].message, "no run was due yet; the next one is due at 2026-01-02T02:00:00Z");
    assert_eq!(status.run.unwrap().next_at, Some(at("2026-01-02T02:00:00Z")));
}

#[test]
fn a_job_without_a_pod_is_said_after_a_minute() {
    let pipeline = rides_with("/trigger", json!({"type": "AvailableNow"}));
    let mut observed = empty_cluster();
    for (started, ready) in
        [("2026-01-01T11:59:30Z", "Ready=False/Starting"), ("2026-01-01T11:50:00Z", "Ready=False/PodRefused")]
    {
        let name = crate::desired::workload::job_name(&owner(), "first");
        let metadata = json!({"name": name, "annotations": {"weir.dev/run": "first"}});
        observed.jobs =
            vec![serde_json::from_value(json!({"metadata": metadata, "status": {"startTime": started}})).unwrap()];
        assert_conditions(&found(&pipeline, &observed, None, None), &[ready]);
    }
}
