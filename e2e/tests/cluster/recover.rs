//! What goes wrong around a pipeline, and that it goes on by itself with nothing lost or doubled.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use weir_e2e::cluster::{READ_LIMIT, Rig, START_LIMIT, kill_in_node_of, kubectl, rides};
use weir_tests::deadline;
use weir_tests::rides::Rides;
use weir_tests::rig::SetOnDrop;

const KILLS: usize = 20;
/// Rides per kill: the pipeline should have something to read each time.
const RIDES: usize = 800;

#[test]
fn a_pod_killed_twenty_times_under_load_loses_and_doubles_nothing() {
    let mut rig = Rig::new("kill", &[]);
    rig.site.records_per_epoch = 100;
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        scope.spawn(|| {
            for n in 0..KILLS {
                let more = Rides { seed: n as u64, ..rides(RIDES) };
                rig.produce(&more.starting(i64::try_from(n * RIDES).unwrap() * 1_000_000).records());
                if done.load(std::sync::atomic::Ordering::Acquire) {
                    return;
                }
            }
        });
        for _ in 0..KILLS {
            let (pod, _) = one_running_pod(&rig);
            rig.kubectl(&["delete", "pod", &pod, "--force", "--grace-period=0", "--wait=false"]);
            deadline::until("another pod", START_LIMIT, || rig.pods().iter().all(|(name, _)| *name != pod).then_some(()));
        }
        drop(stop);
    });
    rig.wait_until_read();
    let outcome = rig.assert_right();
    assert_eq!(outcome.read, u64::try_from(KILLS * RIDES).unwrap());
}

#[test]
fn without_its_leader_the_operator_goes_on_with_the_next_one() {
    let rig = Rig::new("leader", &rides(1_000).records());
    let holder = || kubectl(&["--namespace=weir", "get", "lease", "weir-operator", "--output=jsonpath={.spec.holderIdentity}"]);
    let leader = holder();
    kubectl(&["--namespace=weir", "delete", "pod", &leader, "--force", "--grace-period=0", "--wait=false"]);
    deadline::until("another leader", Duration::from_secs(60), || (holder() != leader).then_some(()));
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn kafka_and_s3_may_restart_under_a_pipeline() {
    let rig = Rig::new("restart", &rides(1_500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    kill_in_node_of("data", "kafka-0", "kafka[.]Kafka");
    kill_in_node_of("data", "s3-0", "versitygw");
    rig.produce(&Rides { seed: 2, ..rides(1_500) }.starting(1_500_000_000).records());
    rig.wait_until_read();
    deadline::until("it is ready again", READ_LIMIT, || rig.condition("Ready").filter(|(c, _)| c.starts_with("True/")));
    rig.assert_right();
}

fn one_running_pod(rig: &Rig) -> (String, String) {
    deadline::until("a pod that runs", START_LIMIT, || {
        let (name, uid) = rig.pods().into_iter().next()?;
        let phase = rig.kubectl(&["get", "pod", &name, "--ignore-not-found", "--output=jsonpath={.status.phase}"]);
        (phase == "Running").then_some((name, uid))
    })
}
