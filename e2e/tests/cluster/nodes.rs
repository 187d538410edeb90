//! Nodes that are drained, that hang, or that lose power.

use std::time::{Duration, Instant};

use weir_e2e::cluster::{READ_LIMIT, Rig, rides};
use weir_e2e::node::{Away, Node};
use weir_tests::deadline;
use weir_tests::rides::Rides;

/// The time until a lost node's pods are replaced. The cluster gives up a silent node after 50 s, and its pods 20 s
/// later.
const LOST_LIMIT: Duration = Duration::from_secs(180);

#[test]
fn the_pod_of_a_drained_node_goes_on_on_another() {
    let rig = Rig::new("drain", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let node = Node::of(&rig.namespace, &rig.running_pod());
    let drained = node.drain();
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    assert_ne!(Node::of(&rig.namespace, &rig.running_pod()), node);
    drop(drained);
    rig.assert_right();
}

/// The writer wakes in the middle of its work, long after another one has taken over.
#[test]
fn the_pod_of_a_frozen_node_is_replaced_and_nothing_doubles_when_the_node_thaws() {
    lose_the_node("frozen", Node::freeze);
}

#[test]
fn the_pod_of_a_killed_node_is_replaced() {
    lose_the_node("killed", Node::kill);
}

fn lose_the_node(name: &str, take_away: impl FnOnce(&Node) -> Away) {
    let mut rig = Rig::new(name, &rides(5_000).records());
    rig.site.records_per_epoch = 50;
    rig.applied(&rig.document());
    let pod = rig.running_pod();
    let node = Node::of(&rig.namespace, &pod);
    deadline::until("some of it is read", READ_LIMIT, || (rig.records_committed() > 0).then_some(()));
    let away = take_away(&node);
    let lost = Instant::now();
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(5_000_000_000).records());
    deadline::until("the cluster gives the node up", LOST_LIMIT, || node.is_unreachable().then_some(()));
    let unreachable = lost.elapsed();
    deadline::until("another pod is ready", LOST_LIMIT, || {
        rig.ready_pods().iter().any(|ready| *ready != pod).then_some(())
    });
    let replaced = lost.elapsed();
    rig.wait_until_read();
    println!(
        "MEASURED node {name}: given up after {:.0} s, its pod replaced {:.0} s after that, everything read {:.0} s \
         after the loss",
        unreachable.as_secs_f64(),
        (replaced - unreachable).as_secs_f64(),
        lost.elapsed().as_secs_f64()
    );
    drop(away);
    rig.produce(&Rides { seed: 3, ..rides(500) }.starting(6_000_000_000).records());
    rig.wait_until_read();
    // The node's kubelet is back and has learned that the pod was deleted.
    deadline::until("the old pod is gone", LOST_LIMIT, || {
        rig.pods().iter().all(|(name, _)| *name != pod).then_some(())
    });
    rig.assert_right();
}
