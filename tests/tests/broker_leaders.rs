//! Partitions that change their leader: a cluster of two brokers of which either may be lost.

use rdkafka::admin::{NewTopic, TopicReplication};
use serde_json::json;
use weir_tests::engine::Start;
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::Site;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::cluster::Cluster;
use weir_tests::{engine, or_skip, table, topic};

/// A topic of which each partition lies on both brokers; the first one named leads.
fn rig(cluster: &Cluster, replicas: &[&[i32]], unclean: &str, rides: &Rides) -> Rig {
    let bootstrap = cluster.bootstrap();
    let create = |name: &str| {
        let topic = NewTopic::new(name, rides.partitions, TopicReplication::Variable(replicas));
        topic::create_as(&bootstrap, &topic.set("unclean.leader.election.enable", unclean));
    };
    Rig::with_topic(Pipeline::rides(), bootstrap.clone(), Store::Local, create, &rides.records())
}

/// One cluster for both, since it takes a while to start.
#[test]
fn a_lost_leader_costs_nothing_and_an_unclean_one_is_refused() {
    let cluster = or_skip!(Cluster::start());
    or_skip!(table::readers());
    goes_on_with_the_other_broker(&cluster);
    refuses_a_leader_that_lacks_what_was_read(&cluster);
}

fn goes_on_with_the_other_broker(cluster: &Cluster) {
    let rides = Rides { partitions: 2, ..Rides::new(3_000) };
    let rig = rig(cluster, &[&[2, 3], &[3, 2]], "false", &rides);
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(3_000, RUN_LIMIT);
    for (i, lost) in (1..).zip([2, 3]) {
        cluster.kill(lost);
        rig.produce(&rides.clone().starting(i * 3_000_000_000).records());
        run.wait_for_records(3_000 * (1 + u64::try_from(i).unwrap()), RUN_LIMIT);
        // What it lacks, it copies from the other one, which is lost next.
        cluster.restart(lost);
        topic::wait_for_replicas(&rig.site.bootstrap, &rig.site.topic, 2);
    }
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    rig.assert_right();
}

fn refuses_a_leader_that_lacks_what_was_read(cluster: &Cluster) {
    let rides = Rides { partitions: 1, ..Rides::new(1_500) };
    let rig = rig(cluster, &[&[2, 3]], "true", &rides);
    // The policy that would skip most, were these offsets that retention took.
    let mut document = rig.pipeline.document(&Site { trigger: json!({"type": "AsSoonAsPossible"}), ..rig.site.clone() });
    document["spec"]["sources"][0]["kafka"]["onLostOffsets"] = json!("Latest");
    let mut run = Start { document: document.into(), ..rig.start() }.spawn();
    cluster.kill(3);
    rig.produce(&rides.clone().starting(1_500_000_000).records());
    run.wait_for_records(3_000, RUN_LIMIT);
    cluster.kill(2);
    cluster.restart(3);
    // Past where the pipeline is, so that by its offset alone everything is well.
    rig.produce(&Rides { partitions: 1, ..Rides::new(3_000) }.starting(3_000_000_000).records());
    let exit = run.wait(RUN_LIMIT);
    exit.expect(engine::CONFIG);
    assert!(exit.stderr.contains("-0: Kafka's log was cut behind what comes next"), "{}", exit.stderr);
}
