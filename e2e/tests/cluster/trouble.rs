//! Pods that can't start or can't go on: what the pipeline reports, and that it recovers when the cause is gone.

use serde_json::{Value, json};
use weir_e2e::cluster::{Rig, START_LIMIT, kubectl, rides, try_kubectl};
use weir_tests::deadline;
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::rides::Rides;
use weir_tests::topic::Record;

#[test]
fn a_pod_that_no_node_takes_is_said_and_runs_once_it_asks_for_less() {
    let rig = Rig::new("unschedulable", &rides(500).records());
    let mut document = rig.document();
    document["spec"]["resources"] = json!({"requests": {"cpu": "1000"}});
    rig.applied(&document);
    let message = rig.wait_for("Ready", "False/Unschedulable");
    assert!(message.contains("Insufficient cpu"), "{message}");
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_pod_that_has_too_little_memory_says_so_with_the_remedy_and_is_not_killed() {
    // Each ride is its own group with a large key, and all windows stay open.
    let mut records = Rides { step_us: 5_000, ..rides(80_000) }.records();
    for (i, record) in records.iter_mut().enumerate() {
        let mut ride: Value = serde_json::from_slice(&record.value).unwrap();
        ride["city"] = format!("{i:x<2000}").into();
        record.value = ride.to_string().into_bytes();
    }
    let rig = Rig::new("memory", &records);
    let mut document = rig.document();
    document["spec"]["resources"] = json!({"requests": {"memory": "192Mi"}, "limits": {"memory": "192Mi"}});
    rig.applied(&document);
    let message = rig.wait_for("Ready", "False/OutOfMemory");
    assert!(
        message.contains("of the memory limit of 192 MiB are used") && message.contains("spec.resources.limits.memory"),
        "{message}"
    );
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_bad_record_stops_the_pipeline_with_its_place_and_it_goes_on_when_told_to_drop_it() {
    let mut rig = Rig::new("bad-record", &rides(500).records());
    rig.produce(&[Record { partition: 1, key: None, value: b"no JSON".to_vec() }]);
    rig.applied(&rig.document());
    let message = rig.wait_for("Stalled", "True/BadRecord");
    assert!(message.contains(&format!("the record at {}-1 offset", rig.site.topic)), "{message}");
    rig.wait_for("Ready", "False/BadRecord");
    rig.pipeline.bad_records = BadRecords::Drop;
    rig.applied(&rig.document());
    rig.wait_for("Stalled", "False/UpToDate");
    rig.wait_until_read();
    assert_eq!(rig.assert_right().read, 501);
}

#[test]
fn the_second_pipeline_with_a_checkpoint_is_refused_and_never_goes_on_with_the_state_of_the_first() {
    let mut rig = Rig::new("shared", &rides(500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    let first = apply_second(&mut rig);
    rig.kubectl(&["delete", "streampipeline", &first, "--timeout=60s"]);
    let message = rig.wait_for("Stalled", "True/ConfigError");
    assert!(message.contains(&format!("belongs to pipeline {}/{first}", rig.namespace)), "{message}");
}

#[test]
fn the_second_pipeline_with_a_checkpoint_runs_when_the_first_is_deleted_and_never_ran() {
    let mut rig = Rig::new("shared-new", &rides(500).records());
    let mut document = rig.document();
    document["spec"]["suspend"] = json!(true);
    rig.applied(&document);
    rig.wait_for("Ready", "True/Suspended");
    let first = apply_second(&mut rig);
    rig.kubectl(&["delete", "streampipeline", &first, "--timeout=60s"]);
    rig.wait_for("Stalled", "False/UpToDate");
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    rig.assert_right();
}

/// Applies the rig's document under another name, and checks that it is refused. Returns the first pipeline's name.
fn apply_second(rig: &mut Rig) -> String {
    let first = std::mem::replace(&mut rig.pipeline.name, "second".into());
    // The second pipeline must not be created in the same second, since the time of creation decides which one was
    // first.
    deadline::until("a second has passed", START_LIMIT, || {
        let created =
            rig.kubectl(&["get", "streampipeline", &first, "--output=jsonpath={.metadata.creationTimestamp}"]);
        let now = rig.kubectl(&[
            "create",
            "configmap",
            "now",
            "--dry-run=server",
            "--output=jsonpath={.metadata.creationTimestamp}",
        ]);
        (created != now).then_some(())
    });
    rig.applied(&rig.document());
    let message = rig.wait_for("Stalled", "True/CheckpointInUse");
    assert!(message.contains(&format!("{}/{first}", rig.namespace)), "{message}");
    assert!(rig.pods().is_empty());
    first
}

#[test]
fn a_namespace_is_deleted_with_a_pipeline_that_runs_in_it() {
    let rig = Rig::new("doomed", &rides(500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    kubectl(&["delete", "namespace", &rig.namespace, "--wait=false"]);
    deadline::until("the namespace is gone", START_LIMIT, || {
        kubectl(&["get", "namespace", &rig.namespace, "--ignore-not-found", "--output=name"]).is_empty().then_some(())
    });
}

#[test]
fn a_pipeline_whose_pod_never_started_is_deleted_all_the_same() {
    let rig = Rig::new("broken", &[]);
    let mut document = rig.document();
    document["spec"]["image"] = json!("localhost/no-such-image:v1");
    rig.applied(&document);
    rig.wait_for("Ready", "False/ImagePullFailed");
    rig.delete();
}

#[test]
fn a_broken_pod_is_suspended_and_a_mended_one_resumed() {
    let rig = Rig::new("broken-pause", &rides(500).records());
    let mut document = rig.document();
    document["spec"]["image"] = json!("localhost/no-such-image:v1");
    rig.applied(&document);
    rig.wait_for("Ready", "False/ImagePullFailed");
    rig.suspend(true);
    rig.wait_for("Ready", "True/Suspended");
    assert!(rig.pods().is_empty());
    rig.wait_for("Stalled", "False/UpToDate");
    rig.suspend(false);
    rig.wait_for("Ready", "False/ImagePullFailed");
    rig.suspend(true);
    rig.wait_for("Ready", "True/Suspended");
    rig.applied(&rig.document());
    rig.suspend(false);
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_pipeline_of_no_replicas_is_suspended_and_resumed() {
    let rig = Rig::new("none", &rides(500).records());
    let mut document = rig.document();
    document["spec"]["replicas"] = json!(0);
    rig.applied(&document);
    rig.wait_for("Ready", "True/Suspended");
    rig.wait_for("Reconciling", "False/UpToDate");
    assert!(rig.pods().is_empty());
    rig.suspend(true);
    rig.wait_for("Ready", "True/Suspended");
    rig.suspend(false);
    rig.wait_for("Suspended", "True/Suspended");
    assert!(rig.pods().is_empty());
    // As an autoscaler does.
    try_kubectl(&["--namespace", &rig.namespace, "scale", "streampipeline", &rig.pipeline.name, "--replicas=1"], None)
        .unwrap();
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    rig.assert_right();
}
