//! Partitions that change their leader, on a cluster of two brokers, either of which may be lost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{NewTopic, TopicReplication};
use serde_json::json;
use weir_tests::engine::Start;
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::Site;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::cluster::Cluster;
use weir_tests::{deadline, engine, or_skip, table, topic};

/// A rig with a topic whose partitions lie on these brokers; the first one named leads.
fn rig(cluster: &Cluster, replicas: &[&[i32]], unclean: &str, rides: &Rides) -> Rig {
    let bootstrap = cluster.bootstrap();
    let create = |name: &str| {
        let topic = NewTopic::new(name, rides.partitions, TopicReplication::Variable(replicas));
        topic::create_as(&bootstrap, &topic.set("unclean.leader.election.enable", unclean));
    };
    Rig::with_topic(Pipeline::rides(), bootstrap.clone(), Store::Local, create, &rides.records())
}

/// One test for both, with one cluster, since a cluster takes a while to start.
#[test]
fn a_lost_leader_costs_nothing_and_an_unclean_one_is_refused() {
    let cluster = or_skip!(Cluster::start());
    or_skip!(table::readers());
    goes_on_with_the_other_broker(&cluster);
    a_partition_whose_leader_is_out_of_reach_is_not_idle(&cluster);
    an_available_now_run_does_not_wait_for_a_leader_for_ever(&cluster);
    refuses_a_leader_that_lacks_what_was_read(&cluster);
    refuses_it_also_if_the_log_was_cut_while_nobody_read(&cluster);
}

/// A run that uses the outer listeners and closes idle windows.
fn start_outside(cluster: &Cluster, rig: &Rig, trigger: &str) -> Start {
    let site = Site { bootstrap: cluster.outer_bootstrap(), trigger: json!({"type": trigger}), ..rig.site.clone() };
    Start { document: rig.pipeline.document(&site).into(), ..rig.start() }
}

/// Only Weir can't reach the leader; producers can.
fn a_partition_whose_leader_is_out_of_reach_is_not_idle(cluster: &Cluster) {
    let rides = Rides { partitions: 2, ..Rides::ordered(2_000) };
    let mut rig = rig(cluster, &[&[2, 3], &[3, 2]], "false", &rides);
    rig.pipeline.idle_after_us = Some(3_000_000);
    let near = cluster.forwarder(2);
    let far = cluster.forwarder(3);
    let mut run = start_outside(cluster, &rig, "AsSoonAsPossible").spawn();
    run.wait_for_records(2_000, RUN_LIMIT);
    far.hold();
    let held_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    // Both partitions get more records, though one leader can't be reached; then only the reachable one does.
    rig.produce(&rides.clone().starting(2_000_000_000).records());
    let mut time_us = 4_000_000_000;
    deadline::until("the second partition is said to have no leader that answers", RUN_LIMIT, || {
        rig.produce(&Rides { partitions: 1, ..Rides::ordered(1) }.starting(time_us).records());
        time_us += 1_000_000;
        let progress = run.progress();
        let held_by = &progress.last()?["sources"][0]["watermarkHeldBy"];
        (*held_by == json!({"topic": rig.site.topic, "partition": 1, "because": "LeaderSilent"})).then_some(())
    });
    // Before this, the partition may have been idle on a slow machine. Later epochs asked a leader that could not
    // answer.
    let since = rig.manifests().into_iter().filter(|m| m.clock_us > held_us);
    assert!(since.map(|m| m.partitions).all(|of| !of.iter().any(|p| p.partition == 1 && p.idle)), "it was not idle");
    far.let_go();
    let produced: usize = topic::read(&rig.site.bootstrap, &rig.site.topic).values().map(|all| all.len()).sum();
    run.wait_for_records(u64::try_from(produced).unwrap(), RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    drop(near);
    rig.finish();
    assert_eq!(rig.assert_right().late, 0, "what was out of sight is in time");
}

fn an_available_now_run_does_not_wait_for_a_leader_for_ever(cluster: &Cluster) {
    let rides = Rides { partitions: 2, ..Rides::new(2_000) };
    let rig = rig(cluster, &[&[2, 3], &[3, 2]], "false", &rides);
    let (_near, far) = (cluster.forwarder(2), cluster.forwarder(3));
    // The run knows its end offsets; then the leader of one partition is gone before anything was read.
    let run =
        start_outside(cluster, &rig, "AvailableNow").give_up_after(Duration::from_secs(10)).stop_at("claim.after", 1);
    let mut run = run.spawn();
    run.wait_until_stopped(RUN_LIMIT);
    far.hold();
    run.cont();
    let exit = run.wait(RUN_LIMIT);
    exit.expect(engine::RETRY_EXHAUSTED);
    let says =
        format!("(--give-up-after), and no leader answers for {}-1; what was read before is committed", rig.site.topic);
    assert!(exit.stderr.contains(&says), "`{says}` should be in {}", exit.stderr);
    far.let_go();
    rig.finish();
    rig.assert_right();
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
        // The broker copies what it lacks from the other one, which is lost next.
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
    // The policy that would skip most if retention had deleted these offsets.
    let mut document =
        rig.pipeline.document(&Site { trigger: json!({"type": "AsSoonAsPossible"}), ..rig.site.clone() });
    document["spec"]["sources"][0]["kafka"]["onLostOffsets"] = json!("Latest");
    let mut run = Start { document: document.into(), ..rig.start() }.spawn();
    cluster.kill(3);
    rig.produce(&rides.clone().starting(1_500_000_000).records());
    run.wait_for_records(3_000, RUN_LIMIT);
    cluster.kill(2);
    cluster.restart(3);
    // The log now reaches beyond the pipeline's offset, so the offset alone shows no fault.
    rig.produce(&Rides { partitions: 1, ..Rides::new(3_000) }.starting(3_000_000_000).records());
    let exit = run.wait(RUN_LIMIT);
    exit.expect(engine::CONFIG);
    assert!(exit.stderr.contains("-0: Kafka's log was cut below the next offset"), "{}", exit.stderr);
}

/// The pipeline does not run when the leader changes, so none of its clients sees the change.
fn refuses_it_also_if_the_log_was_cut_while_nobody_read(cluster: &Cluster) {
    cluster.restart(2);
    let rides = Rides { partitions: 1, ..Rides::new(1_500) };
    let rig = rig(cluster, &[&[2, 3]], "true", &rides);
    let all = rig.start_reading("AsSoonAsPossible", &json!({"onLostOffsets": "Latest"}));
    let mut run = all.spawn();
    cluster.kill(3);
    rig.produce(&rides.clone().starting(1_500_000_000).records());
    run.wait_for_records(3_000, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    cluster.kill(2);
    cluster.restart(3);
    rig.produce(&Rides { partitions: 1, ..Rides::new(3_000) }.starting(3_000_000_000).records());
    let exit = all.run(RUN_LIMIT);
    exit.expect(engine::CONFIG);
    assert!(exit.stderr.contains("-0: Kafka's log was cut below the next offset"), "{}", exit.stderr);
}
