//! Faults around a pipeline: it goes on by itself, with nothing lost or doubled.

use std::sync::atomic::AtomicBool;

use weir_e2e::cluster::{READ_LIMIT, Rig, START_LIMIT, rides};
use weir_e2e::node::Node;
use weir_tests::deadline;
use weir_tests::rides::Rides;
use weir_tests::rig::SetOnDrop;

const KILLS: usize = 20;
/// Rides per kill, so that the pipeline has something to read each time.
const RIDES: usize = 800;

#[test]
fn a_pod_killed_twenty_times_under_load_loses_and_doubles_nothing() {
    let mut rig = Rig::new("kill", &[]);
    rig.site.records_per_epoch = 100;
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let done = AtomicBool::new(false);
    let produced = std::thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        // One batch per kill, or fewer if the producer is slower than the kills.
        let producer = scope.spawn(|| {
            let goes_on = |_: &usize| !done.load(std::sync::atomic::Ordering::Acquire);
            let parts = (0..KILLS).take_while(goes_on).map(|n| {
                let more = Rides { seed: n as u64, ..rides(RIDES) };
                rig.produce(&more.starting(i64::try_from(n * RIDES).unwrap() * 1_000_000).records());
                RIDES
            });
            parts.sum::<usize>()
        });
        for _ in 0..KILLS {
            let pod = rig.running_pod();
            rig.delete_at_once(&pod);
            deadline::until("another pod", START_LIMIT, || {
                rig.pods().iter().all(|(name, _)| *name != pod).then_some(())
            });
        }
        drop(stop);
        producer.join().unwrap()
    });
    rig.wait_until_read();
    let outcome = rig.assert_right();
    assert_eq!(outcome.read, u64::try_from(produced).unwrap());
}

#[test]
fn kafka_and_s3_may_restart_under_a_pipeline() {
    let rig = Rig::new("restart", &rides(1_500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    Node::of("data", "kafka-0").signal("KILL", "kafka[.]Kafka");
    Node::of("data", "s3-0").signal("KILL", "versitygw");
    rig.produce(&Rides { seed: 2, ..rides(1_500) }.starting(1_500_000_000).records());
    rig.wait_until_read();
    deadline::until("it is ready again", READ_LIMIT, || rig.condition("Ready").filter(|(c, _)| c.starts_with("True/")));
    rig.assert_right();
}
