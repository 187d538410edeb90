//! The operator is away, or its leader is gone, frozen or cut off: pipelines run without the operator, and never do two
//! operators act at once.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_e2e::cluster::{READ_LIMIT, Rig, START_LIMIT, kubectl, rides};
use weir_e2e::operator::{self, Gone};
use weir_e2e::outage::Outage;
use weir_tests::deadline;
use weir_tests::rides::Rides;

const AWAY: Duration = Duration::from_secs(60);
const RESTART_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn without_its_leader_the_operator_goes_on_with_the_next_one() {
    let rig = Rig::new("leader", &rides(1_000).records());
    let leader = operator::leader();
    kubectl(&["--namespace=weir", "delete", "pod", &leader, "--force", "--grace-period=0", "--wait=false"]);
    operator::wait_for_leader_other_than(&leader);
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.assert_right();
    operator::wait_until_rolled_out();
}

#[test]
fn without_an_operator_pipelines_go_on_and_a_change_rolls_out_when_it_is_back() {
    let mut rig = Rig::new("no-operator", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let away = Gone::now();
    rig.site.records_per_epoch = 500;
    rig.applied(&rig.document());
    let pod = rig.running_pod();
    rig.delete_at_once(&pod);
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    let before = rig.pods();
    assert!(before.iter().all(|(name, _)| *name != pod), "{before:?}");
    deadline::until("the operator was away for a while", 2 * AWAY, || {
        assert_eq!(rig.pods(), before, "nobody rolls anything");
        (away.since.elapsed() >= AWAY).then_some(())
    });
    drop(away);
    let back = Instant::now();
    rig.wait_until_gone(&before);
    println!("MEASURED operator-away: its change rolls {:.1} s after it is back", back.elapsed().as_secs_f64());
    rig.produce(&Rides { seed: 3, ..rides(1_000) }.starting(2_000_000_000).records());
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_leader_that_wakes_after_another_was_elected_ends_and_writes_nothing() {
    let mut rig = Rig::new("frozen-leader", &rides(500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let old = operator::leader();
    let starts = operator::container(&old)["restartCount"].clone();
    operator::signal(&old, "STOP");
    operator::wait_for_leader_other_than(&old);
    // The frozen leader knows the document from before this change.
    let before = rig.pods();
    rig.site.records_per_epoch = 500;
    rig.applied(&rig.document());
    rig.wait_until_gone(&before);
    rig.wait_for("Ready", "True/Running");
    let (pods, deployment) = (rig.pods(), rig.deployment());
    operator::signal(&old, "CONT");
    deadline::until("the old leader has ended", RESTART_LIMIT, || {
        (operator::container(&old)["restartCount"] != starts).then_some(())
    });
    let log = kubectl(&["--namespace=weir", "logs", "--previous", &old]);
    assert!(log.contains("the lease is lost"), "{log}");
    assert_ne!(operator::leader(), old);
    assert_eq!((rig.pods(), rig.deployment()), (pods, deployment));
    operator::wait_until_rolled_out();
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_leader_that_is_cut_off_from_the_api_server_has_ended_before_another_one_leads() {
    let rig = Rig::new("cut-leader", &rides(500).records());
    let old = operator::leader();
    let starts = operator::container(&old)["restartCount"].clone();
    let cut = Outage::cut_off(operator::NAMESPACE, &old);
    operator::wait_for_leader_other_than(&old);
    let acquired = operator::lease()["acquireTime"].clone();
    let ended = deadline::until("the old leader has ended", RESTART_LIMIT, || {
        let container = operator::container(&old);
        (container["restartCount"] != starts).then(|| container["lastState"]["terminated"]["finishedAt"].clone())
    });
    // Both times are RFC 3339 in UTC; the first one has no fraction.
    assert!(ended.as_str().unwrap() < acquired.as_str().unwrap(), "ended at {ended}, the next one led from {acquired}");
    rig.applied(&rig.document());
    rig.wait_until_read();
    drop(cut);
    rig.assert_right();
    operator::wait_until_rolled_out();
}

#[test]
fn replicas_of_zero_and_a_document_that_is_gone_meanwhile_are_seen_on_return() {
    let rig = Rig::new("gone", &rides(500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let away = Gone::now();
    let mut document = rig.document();
    document["spec"]["replicas"] = json!(0);
    rig.applied(&document);
    drop(away);
    deadline::until("no pods", START_LIMIT, || rig.pods().is_empty().then_some(()));
    let away = Gone::now();
    rig.kubectl(&["delete", "streampipeline", &rig.pipeline.name, "--wait=false"]);
    drop(away);
    deadline::until("everything of it is gone", READ_LIMIT, || rig.objects().is_empty().then_some(()));
}
