//! Changes of the document, of the chart, and of mind.

use serde_json::json;
use weir_e2e::cluster::{Rig, START_LIMIT, kubectl, rides};
use weir_tests::deadline;
use weir_tests::rides::Rides;

#[test]
fn a_change_that_saved_state_fits_rolls_out_and_goes_on() {
    let mut rig = Rig::new("fits", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    let before = rig.pods();
    rig.site.records_per_epoch = 500;
    rig.applied(&rig.document());
    deadline::until("other pods", START_LIMIT, || rig.pods().iter().all(|pod| !before.contains(pod)).then_some(()));
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_change_that_saved_state_does_not_fit_is_refused_and_the_old_pods_go_on() {
    let rig = Rig::new("refused", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let before = rig.pods();
    let mut document = rig.document();
    let steps = document["spec"]["steps"].as_array_mut().unwrap();
    let step = steps.iter_mut().find(|s| s.get("aggregate").is_some()).unwrap();
    step["aggregate"]["window"]["tumbling"]["size"] = json!("7m");
    rig.applied(&document);
    let message = rig.wait_for("Stalled", "True/StateIncompatible");
    assert!(message.contains("had windows of 300 s and now has 420 s"), "{message}");
    rig.wait_for("Ready", "True/Running");
    assert_eq!(rig.pods(), before);
    rig.applied(&rig.document());
    rig.wait_for("Stalled", "False/UpToDate");
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn suspended_pipelines_have_no_pods_and_resumed_ones_go_on() {
    let rig = Rig::new("suspend", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.assert_right();
    assert!(rig.pods().is_empty());
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.suspend(false);
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn an_upgrade_of_the_operator_rolls_no_pipeline() {
    let rig = Rig::new("chart", &rides(500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let before = rig.pods();
    let generation = || rig.kubectl(&["get", "deployment", &rig.pipeline.name, "--output=jsonpath={.metadata.generation}"]);
    let deployed = generation();
    // Every pod of the operator anew, with other settings.
    kubectl(&["--namespace=weir", "set", "env", "deployment", "--selector=app.kubernetes.io/name=weir-operator", "WEIR_LOG=debug"]);
    kubectl(&["--namespace=weir", "rollout", "status", "deployment", "--selector=app.kubernetes.io/name=weir-operator", "--timeout=90s"]);
    rig.kubectl(&["annotate", "streampipeline", &rig.pipeline.name, "test=looked-at"]);
    rig.produce(&Rides { seed: 2, ..rides(500) }.starting(500_000_000).records());
    rig.wait_until_read();
    assert_eq!((rig.pods(), generation()), (before, deployed));
}

#[test]
fn a_deleted_pipeline_leaves_nothing_but_its_table_and_checkpoint() {
    let rig = Rig::new("delete", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.kubectl(&["delete", "streampipeline", &rig.pipeline.name, "--timeout=60s"]);
    let kinds = "deployments,pods,services,serviceaccounts,configmaps,controllerrevisions,networkpolicies,streampipelines";
    let selector = format!("weir.dev/pipeline={}", rig.pipeline.name);
    deadline::until("everything of it is gone", START_LIMIT, || {
        rig.kubectl(&["get", kinds, "--selector", &selector, "--output=name"]).is_empty().then_some(())
    });
    // The same again goes on where it stopped.
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.assert_right();
}
