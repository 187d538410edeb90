//! From `kubectl apply` to rows in Delta, with a correct status.

use serde_json::json;
use weir_e2e::cluster::{Rig, rides};
use weir_tests::deadline;

#[test]
fn rides_applied_with_kubectl_become_the_table_that_the_oracle_has() {
    let rig = Rig::new("deploy", &rides(4_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    let progress = deadline::until("the status has caught up", weir_e2e::cluster::READ_LIMIT, || {
        let progress = rig.resource()["status"]["progress"].clone();
        (progress["lag"] == 0 && progress["lastEpoch"].as_i64() > Some(3)).then_some(progress)
    });
    assert!(progress["watermark"].as_str().unwrap().starts_with("2026-01-01T"), "{progress}");
    let resource = rig.resource();
    assert_eq!((&resource["status"]["replicas"], &resource["status"]["observedGeneration"]), (&json!(1), &json!(1)));
    let outcome = rig.assert_right();
    assert!(outcome.read == 4_000 && outcome.rows.len() > 20, "{outcome:?}");
}

#[test]
fn a_missing_secret_is_named_and_when_it_appears_the_pipeline_starts_by_itself() {
    let rig = Rig::new("secret", &rides(500).records());
    rig.kubectl(&["delete", "secret", "lake"]);
    rig.applied(&rig.document());
    let message = rig.wait_for("Validated", "False/SecretMissing");
    assert!(message.contains("there is no Secret `lake` in this namespace"), "{message}");
    assert!(rig.pods().is_empty());
    rig.make_secret("weir-secret-key");
    rig.wait_for("Ready", "True/Running");
}

#[test]
fn keys_that_the_store_refuses_are_said_in_the_runtimes_own_words() {
    let rig = Rig::new("keys", &[]);
    rig.kubectl(&["delete", "secret", "lake"]);
    rig.make_secret("wrong");
    rig.applied(&rig.document());
    let message = rig.wait_for("Stalled", "True/ConfigError");
    assert!(message.contains("refused the secret key of"), "{message}");
    // The test only corrects the keys: the operator replaces the pods by itself.
    rig.kubectl(&["delete", "secret", "lake"]);
    rig.make_secret("weir-secret-key");
    rig.wait_for("Stalled", "False/UpToDate");
}

#[test]
fn an_image_that_is_not_there_is_said() {
    let rig = Rig::new("image", &[]);
    let mut document = rig.document();
    document["spec"]["image"] = json!("localhost/no-such-image:v1");
    rig.applied(&document);
    let message = rig.wait_for("Ready", "False/ImagePullFailed");
    assert!(message.contains("localhost/no-such-image:v1"), "{message}");
}
