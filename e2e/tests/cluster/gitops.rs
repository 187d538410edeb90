//! What Flux waits for: its own library's verdict on the statuses that the operator writes.

use serde_json::json;
use weir_e2e::cluster::{Rig, START_LIMIT, rides};
use weir_e2e::kstatus;
use weir_e2e::operator::Gone;
use weir_tests::{deadline, or_skip};

fn wait_for(rig: &Rig, verdict: &str) {
    deadline::until(&format!("kstatus says {verdict}"), START_LIMIT, || (rig.kstatus() == verdict).then_some(()));
}

/// The verdict on the object in which the condition was seen, so that nothing changes between the two.
fn verdict_while(rig: &Rig, kind: &str, expected: &str) -> String {
    deadline::until(&format!("{kind}={expected}"), START_LIMIT, || {
        let resource = rig.resource();
        let conditions = resource["status"]["conditions"].as_array()?;
        let found = conditions.iter().find(|c| c["type"] == kind)?;
        let is_seen = resource["status"]["observedGeneration"] == resource["metadata"]["generation"];
        let text = format!("{}/{}", found["status"].as_str()?, found["reason"].as_str()?);
        (is_seen && text == expected).then(|| kstatus::verdict(&resource))
    })
}

#[test]
fn flux_waits_for_a_pipeline_to_run_and_is_content_with_one_that_is_suspended() {
    or_skip!(kstatus::fetch());
    let rig = Rig::new("flux", &rides(500).records());
    rig.applied(&rig.document());
    assert_eq!(verdict_while(&rig, "Ready", "False/Starting"), "InProgress");
    assert_eq!(verdict_while(&rig, "Ready", "True/Running"), "Current");
    rig.suspend(true);
    assert_eq!(verdict_while(&rig, "Ready", "True/Suspended"), "Current");
    rig.suspend(false);
    assert_eq!(verdict_while(&rig, "Ready", "True/Running"), "Current");
}

#[test]
fn flux_takes_what_nobody_has_looked_at_yet_for_being_in_progress() {
    or_skip!(kstatus::fetch());
    let rig = Rig::new("flux-new", &[]);
    let gone = Gone::now();
    rig.applied(&rig.document());
    assert_eq!(rig.kstatus(), "InProgress", "{}", rig.resource());
    drop(gone);
}

#[test]
fn flux_takes_a_pipeline_that_a_person_must_mend_for_failed() {
    or_skip!(kstatus::fetch());
    let rig = Rig::new("flux-bad", &[]);
    let mut document = rig.document();
    document["spec"]["steps"][0]["map"]["where"] = json!("price >=");
    rig.applied(&document);
    assert_eq!(verdict_while(&rig, "Stalled", "True/InvalidDocument"), "Failed");
    document = rig.document();
    document["spec"]["image"] = json!("localhost/no-such-image:v1");
    rig.applied(&document);
    assert_eq!(verdict_while(&rig, "Ready", "False/ImagePullFailed"), "Failed");
    document["spec"].as_object_mut().unwrap().remove("image");
    document["spec"]["resources"] = json!({"requests": {"cpu": "1000"}});
    rig.applied(&document);
    assert_eq!(verdict_while(&rig, "Ready", "False/Unschedulable"), "InProgress");
    rig.applied(&rig.document());
    wait_for(&rig, "Current");
}

#[test]
fn flux_takes_a_finished_run_for_current() {
    or_skip!(kstatus::fetch());
    let mut rig = Rig::new("flux-job", &rides(500).records());
    rig.site.trigger = json!({"type": "AvailableNow"});
    rig.applied(&rig.document());
    assert_eq!(verdict_while(&rig, "Ready", "True/Completed"), "Current");
}
