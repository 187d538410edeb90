#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weir_crds::resource::Reason;

use crate::fixtures::{cluster_running, empty_cluster, owner, rides, rides_with, settings, verdict};
use crate::verdict::judge;

fn assert_refused(pointer: &str, value: Value, reason: Reason, says: &str) {
    let observed = cluster_running(&rides());
    let found = verdict(&rides_with(pointer, value), &observed);
    let refusal = found.refusal.expect(pointer);
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    assert!(refusal.message.contains(says), "{}", refusal.message);
    assert_eq!(found.target.unwrap().name, observed.revisions[0].name, "what runs goes on");
}

#[test]
fn a_right_document_is_accepted_with_the_operators_image() {
    let found = verdict(&rides(), &empty_cluster());
    assert_eq!(found.refusal, None);
    assert_eq!(found.target.unwrap().inputs.image, "registry.example:5000/weir:1.0.0");
}

#[test]
fn a_wrong_document_is_refused_with_its_path_and_leaves_alone_what_runs() {
    assert_refused("/steps/0/map/where", json!("prise >= 0"), Reason::InvalidDocument, "spec.steps[0].map.where: there is no column");
}

#[test]
fn a_wrong_first_document_runs_nothing() {
    let found = verdict(&rides_with("/sinks/0/from", json!("nowhere")), &empty_cluster());
    assert_eq!((found.target, found.refusal.unwrap().reason), (None, Reason::InvalidDocument));
}

#[test]
fn a_missing_secret_or_key_is_named() {
    let mut observed = empty_cluster();
    observed.secrets.insert("lake".into(), Some(["accessKeyId".to_owned()].into()));
    let refusal = verdict(&rides(), &observed).refusal.unwrap();
    assert_eq!(refusal.message, "the Secret `lake` has no key `secretAccessKey`: it has accessKeyId");
    observed.secrets.insert("lake".into(), None);
    let refusal = verdict(&rides(), &observed).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::SecretMissing);
    assert!(refusal.message.starts_with("there is no Secret `lake` in this namespace: create it with the key `accessKeyId`"));
}

#[test]
fn changes_that_saved_state_fits_roll_out() {
    let observed = cluster_running(&rides());
    let changes = [
        ("/steps/0/map/where", json!("price > 1")),
        ("/sources/0/eventTime/watermarkDelay", json!("20m")),
        ("/limits", json!({"recordsPerEpoch": 1000})),
        ("/trigger/interval", json!("7s")),
    ];
    for (pointer, value) in changes {
        let found = verdict(&rides_with(pointer, value), &observed);
        assert_eq!(found.refusal, None, "{pointer}");
        assert_ne!(found.target.unwrap().name, observed.revisions[0].name, "{pointer}");
    }
}

#[test]
fn changes_that_saved_state_does_not_fit_are_refused_and_name_step_and_difference() {
    let state = Reason::StateIncompatible;
    assert_refused("/steps/1/aggregate/window/tumbling/size", json!("7m"), state, "step `revenue` had windows of 300 s and now has 420 s");
    assert_refused("/steps/1/aggregate/columns/2/expr", json!("max(price)"), state, "now needs max(price)");
    assert_refused("/sources/0/kafka/topics", json!(["other"]), state, "source `rides` read the topics");
}

#[test]
fn the_same_document_is_the_same_revision_whatever_the_operator_would_build_today() {
    let mut observed = cluster_running(&rides());
    // An older operator's template.
    observed.revisions[0].template.spec.as_mut().unwrap().termination_grace_period_seconds = Some(7);
    let mut newer = settings();
    newer.runtime_image = "registry.example:5000/weir:2.0.0".into();
    let target = judge(&rides(), &owner(), &observed, &newer).target.unwrap();
    assert_eq!(target, observed.revisions[0]);
    // Nor does a changed document take up the new image.
    let changed = judge(&rides_with("/steps/0/map/where", json!("price > 1")), &owner(), &observed, &newer).target.unwrap();
    assert_eq!(changed.inputs.image, "registry.example:5000/weir:1.0.0");
}

#[test]
fn an_image_that_the_spec_no_longer_names_is_not_kept() {
    for given in [("/image", "registry.example:5000/wrong:9"), ("/runtimeVersion", "9")] {
        let observed = cluster_running(&rides_with(given.0, json!(given.1)));
        let again = verdict(&rides(), &observed).target.unwrap();
        assert_eq!(again.inputs.image, "registry.example:5000/weir:1.0.0");
    }
}

#[test]
fn a_checkpoint_belongs_to_the_pipeline_that_was_there_first() {
    let mut observed = empty_cluster();
    observed.checkpoint_owner = Some("data/first".into());
    let refusal = verdict(&rides(), &observed).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::CheckpointInUse);
    assert!(refusal.message.contains("the pipeline data/first was there first"), "{}", refusal.message);
}

#[test]
fn a_state_action_lets_a_change_pass_until_it_was_done() {
    let observed = cluster_running(&rides());
    let mut changed = rides_with("/steps/1/aggregate/window/tumbling/size", json!("7m"));
    changed.spec["stateAction"] = json!({"token": "a", "discard": {}});
    assert_eq!(verdict(&changed, &observed).refusal, None);
    changed.status = serde_json::from_value(json!({"conditions": [], "replicas": 1, "stateActionToken": "a"})).unwrap();
    let refusal = verdict(&changed, &observed).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::StateIncompatible);
    assert!(refusal.message.ends_with("undo the change, or give a spec.stateAction with a new token"), "{}", refusal.message);
}
