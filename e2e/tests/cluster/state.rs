//! Saved state and changed documents: state actions of a person, and the operator's rollback.

use serde_json::{Value, json};
use weir_e2e::cluster::{Rig, START_LIMIT, rides};
use weir_tests::deadline;
use weir_tests::rides::Rides;

fn wait_for_token(rig: &Rig, token: &str) {
    deadline::until("the status has the token", START_LIMIT, || {
        let found =
            rig.kubectl(&["get", "streampipeline", &rig.pipeline.name, "--output=jsonpath={.status.stateActionToken}"]);
        (found == token).then_some(())
    });
}

fn with_windows_of(size: &str, mut document: Value) -> Value {
    let steps = document["spec"]["steps"].as_array_mut().unwrap();
    let step = steps.iter_mut().find(|s| s.get("aggregate").is_some()).unwrap();
    step["aggregate"]["window"]["tumbling"]["size"] = json!(size);
    document
}

#[test]
fn a_refused_change_rolls_out_with_a_state_action_and_the_token_acts_once() {
    let rig = Rig::new("discard", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    let mut document = with_windows_of("7m", rig.document());
    rig.applied(&document);
    rig.wait_for("Stalled", "True/StateIncompatible");
    let before = rig.pods();
    document["spec"]["stateAction"] = json!({"token": "seven", "discard": {}});
    rig.applied(&document);
    rig.wait_for("Stalled", "False/UpToDate");
    wait_for_token(&rig, "seven");
    deadline::until("other pods", START_LIMIT, || rig.pods().iter().all(|pod| !before.contains(pod)).then_some(()));
    rig.wait_for("Ready", "True/Running");
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    // This token was already used.
    rig.applied(&with_windows_of("9m", document));
    let message = rig.wait_for("Stalled", "True/StateIncompatible");
    assert!(message.contains("give a spec.stateAction with a new token"), "{message}");
}

#[test]
fn discarded_state_is_what_the_oracle_says_it_is() {
    let rig = Rig::new("discarded", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    let mut document = rig.document();
    document["spec"]["stateAction"] = json!({"token": "again", "discard": {}});
    rig.applied(&document);
    wait_for_token(&rig, "again");
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_change_that_its_own_runtime_refuses_goes_back_by_itself() {
    let rig = Rig::new("back", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.wait_for("Ready", "True/Running");
    let mut document = rig.document();
    // Only the runtime sees the table, so only it can refuse this.
    document["spec"]["sinks"][0]["delta"]["partitionBy"] = json!(["city"]);
    rig.applied(&document);
    let message = rig.wait_for("Stalled", "True/RolledBack");
    assert!(message.contains("is partitioned by date, but partitionBy says city"), "{message}");
    rig.wait_for("Ready", "True/Running");
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    rig.applied(&rig.document());
    rig.wait_for("Stalled", "False/UpToDate");
    rig.assert_right();
}

#[test]
fn a_pipeline_that_takes_its_checkpoint_with_it_leaves_its_table() {
    let rig = Rig::new("checkpoint-too", &rides(1_000).records());
    let mut document = rig.document();
    document["spec"]["deletionPolicy"] = json!("DeleteCheckpoint");
    rig.applied(&document);
    rig.wait_until_read();
    let rows = rig.table_rows();
    assert!(rows > 0, "some windows should have closed");
    rig.kubectl(&["delete", "streampipeline", &rig.pipeline.name, "--timeout=120s"]);
    assert_eq!(rig.manifests(), [], "of the checkpoint nothing is left");
    assert_eq!(rig.table_rows(), rows);
    // The table still holds what an earlier checkpoint wrote: the state action says that all of it may be written
    // again.
    document["spec"]["stateAction"] = json!({"token": "again", "discard": {}});
    rig.applied(&document);
    rig.wait_until_read();
    deadline::until("the rows come again", START_LIMIT, || (rig.table_rows() == 2 * rows).then_some(()));
}
