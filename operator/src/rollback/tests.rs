#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weir_crds::resource::{Reason, StreamPipeline};

use super::{failed, good, last_good};
use crate::fixtures::{cluster_running, owner, pod, rides, rides_with, verdict};
use crate::marks::Good;
use crate::observed::Observed;
use crate::revision::Revision;
use crate::verdict::Verdict;

/// The rides pipeline did well, and then `pipeline` was rolled out: the cluster with its pods, before they report
/// anything.
fn rolled_out(pipeline: &StreamPipeline) -> Observed {
    let mut before = cluster_running(&rides());
    before.revisions[0].marks.good = Some(Good::Committed);
    with_target(pipeline, before)
}

/// The cluster after the accepted revision of `pipeline` was applied to it.
fn with_target(pipeline: &StreamPipeline, mut observed: Observed) -> Observed {
    let target = verdict(pipeline, &observed).target.unwrap();
    observed.deployment = cluster_running(pipeline).deployment;
    let template = &mut observed.deployment.as_mut().unwrap().spec.as_mut().unwrap().template;
    annotate(template.metadata.as_mut().unwrap().annotations.as_mut().unwrap(), &target);
    observed.pods = vec![pod_of(&target, json!({"running": {}}), false)];
    observed.revisions.retain(|r| r.name != target.name);
    observed.revisions.push(Revision::from_object(&target.to_object(&owner())).unwrap());
    observed
}

fn annotate(annotations: &mut std::collections::BTreeMap<String, String>, revision: &Revision) {
    annotations.insert("weir.dev/revision".into(), revision.name.clone());
    annotations.insert("weir.dev/secrets".into(), "lake=s1".into());
}

fn pod_of(revision: &Revision, state: Value, ready: bool) -> k8s_openapi::api::core::v1::Pod {
    let mut pod = pod(state, ready);
    annotate(pod.metadata.annotations.get_or_insert_default(), revision);
    pod
}

fn ended(code: i32, said: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": "Error", "message": said}})
}

fn changed() -> StreamPipeline {
    rides_with("/steps/0/map/where", json!("price > 1"))
}

/// The revision that was rolled out last.
fn newest(observed: &Observed) -> Revision {
    observed.revisions.iter().max_by_key(|r| r.number).unwrap().clone()
}

fn with_state(mut observed: Observed, state: Value) -> Observed {
    observed.pods = vec![pod_of(&newest(&observed), state, false)];
    observed
}

/// Writes the mark first, as a reconcile does.
fn marked(mut observed: Observed) -> Observed {
    let failed = failed(&observed).expect("it has failed");
    observed.revisions.retain(|r| r.name != failed.name);
    observed.revisions.push(Revision::from_object(&failed.to_object(&owner())).unwrap());
    observed
}

fn assert_goes_back(found: &Verdict, says: &[&str]) {
    let refusal = found.refusal.as_ref().unwrap();
    assert_eq!(refusal.reason, Reason::RolledBack, "{}", refusal.message);
    let first = cluster_running(&rides()).revisions[0].name.clone();
    assert_eq!(found.target.as_ref().unwrap().name, first);
    for part in says.iter().chain(&[first.as_str()]) {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}

#[test]
fn a_runtime_that_ends_with_config_or_bug_before_its_first_epoch_gives_way_to_the_last_good_revision() {
    for (code, reason) in [(2, "ConfigError"), (70, "RuntimeBug")] {
        let observed = marked(with_state(rolled_out(&changed()), ended(code, "there is no bucket `lake`")));
        assert_goes_back(&verdict(&changed(), &observed), &[reason, "there is no bucket `lake`"]);
    }
}

#[test]
fn what_has_acted_on_the_state_is_not_gone_back_from() {
    let acting = rides_with("/stateAction", json!({"token": "a", "discard": {}}));
    let observed = with_state(rolled_out(&acting), ended(2, "no"));
    assert!(failed(&observed).is_some(), "it ended before it was ready: nothing was done");
    let mut acted = observed;
    let newest = newest(&acted).name;
    acted.revisions.iter_mut().find(|r| r.name == newest).unwrap().marks.good = Some(Good::Ready);
    assert_eq!(failed(&acted), None);
}

#[test]
fn a_container_that_waits_to_run_again_has_ended_too() {
    let mut observed = with_state(rolled_out(&changed()), json!({"waiting": {"reason": "CrashLoopBackOff"}}));
    let status = observed.pods[0].status.as_mut().unwrap();
    status.container_statuses.as_mut().unwrap()[0].last_state = Some(serde_json::from_value(ended(2, "no")).unwrap());
    assert!(failed(&observed).is_some());
}

#[test]
fn an_outage_a_fence_tight_memory_a_kill_and_a_pod_that_cannot_start_are_waited_for() {
    let states = [
        ended(3, "S3 was away"),
        ended(4, "a record"),
        ended(5, "fenced"),
        ended(6, "the memory limit"),
        ended(1, ""),
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
        json!({"waiting": {"reason": "ImagePullBackOff"}}),
        json!({"waiting": {"reason": "CreateContainerConfigError"}}),
        json!({"waiting": {"reason": "ContainerCreating"}}),
        json!({"running": {}}),
    ];
    for state in states {
        assert_eq!(failed(&with_state(rolled_out(&changed()), state.clone())), None, "{state}");
    }
    let mut evicted = with_state(rolled_out(&changed()), ended(2, "no"));
    evicted.pods[0].status.as_mut().unwrap().phase = Some("Failed".into());
    assert_eq!(failed(&evicted), None);
}

#[test]
fn a_revision_that_has_committed_an_epoch_stays() {
    let mut observed = rolled_out(&changed());
    observed.revisions = vec![observed.revisions[0].clone(), good(&observed, true).unwrap()];
    assert_eq!(failed(&with_state(observed, ended(2, "the bucket is gone"))), None);
}

#[test]
fn one_that_was_ready_and_has_committed_nothing_gives_way() {
    let mut observed = rolled_out(&changed());
    observed.pods = vec![pod_of(&newest(&observed), json!({"running": {}}), true)];
    observed.revisions = vec![observed.revisions[0].clone(), good(&observed, false).unwrap()];
    let observed = marked(with_state(observed, ended(2, "no access to the table")));
    assert_goes_back(&verdict(&changed(), &observed), &["no access to the table"]);
}

#[test]
fn the_first_revision_has_nothing_to_go_back_to() {
    let mut observed = cluster_running(&rides());
    observed.pods = vec![pod_of(&observed.revisions[0], ended(2, "no bucket"), false)];
    assert_eq!(failed(&observed), None);
    assert_eq!(verdict(&rides(), &observed).refusal, None);
}

#[test]
fn one_that_has_failed_is_not_tried_again_and_nothing_is_marked_twice() {
    let failing = marked(with_state(rolled_out(&changed()), ended(2, "no bucket")));
    assert_eq!(failed(&failing), None, "the pod is still there");
    // The old revision runs again.
    let back = with_state(with_target(&rides(), failing), json!({"running": {}}));
    assert_eq!(failed(&back), None);
    assert_goes_back(&verdict(&changed(), &back), &["no bucket"]);
    assert_eq!(verdict(&rides(), &back).refusal, None, "the person takes the change back");
}

#[test]
fn another_document_another_image_and_other_secrets_are_tried() {
    let failing = || marked(with_state(rolled_out(&changed()), ended(2, "no bucket")));
    assert_eq!(verdict(&rides_with("/steps/0/map/where", json!("price > 2")), &failing()).refusal, None);
    let mut other_image = changed();
    other_image.spec["runtimeVersion"] = json!("2.0.0");
    assert_eq!(verdict(&other_image, &failing()).refusal, None);
    let mut other_secrets = failing();
    other_secrets.secrets.get_mut("lake").unwrap().as_mut().unwrap().version = "s2".into();
    assert_eq!(verdict(&changed(), &other_secrets).refusal, None);
}

#[test]
fn a_revision_without_its_mark_is_tried_again() {
    let mut observed = marked(with_state(rolled_out(&changed()), ended(2, "no bucket")));
    let failed_one = newest(&observed).name;
    observed.revisions.iter_mut().for_each(|r| r.marks.failed = None);
    assert_eq!(verdict(&changed(), &observed).target.unwrap().name, failed_one);
}

#[test]
fn a_wrong_document_does_not_keep_a_failed_revision_alive() {
    let observed = marked(with_state(rolled_out(&changed()), ended(2, "no bucket")));
    let found = verdict(&rides_with("/sinks/0/from", json!("nowhere")), &observed);
    assert_eq!(found.refusal.unwrap().reason, Reason::InvalidDocument);
    assert_eq!(found.target.unwrap().marks.good, Some(Good::Committed));
}

#[test]
fn what_ran_before_is_what_it_goes_back_to_and_not_what_was_made_before() {
    let mut observed = rolled_out(&changed());
    observed.revisions.iter_mut().for_each(|r| r.marks.good = Some(Good::Committed));
    // A person returns to the first document, and then continues with a third one.
    let observed = with_target(&rides(), observed);
    let third = rides_with("/steps/0/map/where", json!("price > 3"));
    let observed = marked(with_state(with_target(&third, observed), ended(2, "no bucket")));
    assert_goes_back(&verdict(&third, &observed), &["no bucket"]);
}

#[test]
fn a_finished_run_is_nothing_to_go_back_to() {
    let mut run = cluster_running(&rides_with("/trigger", json!({"type": "AvailableNow"}))).revisions.remove(0);
    run.marks.good = Some(Good::Committed);
    let next = Revision { number: 2, name: "next".into(), ..run.clone() };
    assert_eq!(last_good(&next, &[run]), None);
}

#[test]
fn a_report_of_another_revisions_pod_is_no_good_mark() {
    let mut observed = rolled_out(&changed());
    let old = pod_of(&observed.revisions[0], json!({"running": {}}), true);
    observed.pods = vec![old, pod_of(&newest(&observed), json!({"waiting": {"reason": "ContainerCreating"}}), false)];
    assert_eq!(good(&observed, true), None);
    observed.pods.remove(0);
    assert_eq!(good(&observed, false), None);
}
