//! Ctrl-C once finishes the open epoch; Ctrl-C twice stops at once. Neither loses anything.

use std::time::Duration;

use serde_json::json;
use weir_tests::engine::{CUT_SHORT, OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::{deadline, or_skip, table};

/// Shorter than a start waits for brokers that do not answer.
const WHILE_BROKERS_ARE_AWAITED: Duration = Duration::from_secs(30);

#[test]
fn a_second_ctrl_c_stops_at_once_and_loses_nothing() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let proxy = Proxy::start(&s3.address());
    // A manifest request that is never answered keeps the open epoch from being finished.
    proxy.inject(
        Rule::when(Fault::BlackHole, |r| r.method == "PUT" && r.path().contains("/checkpoint/epochs/"))
            .from(4)
            .times(u32::MAX),
    );
    let endpoint = proxy.endpoint();
    let mut rig = Rig::new(
        Pipeline::rides(),
        kafka,
        Store::S3(s3, Some(&endpoint)),
        3,
        &Rides { partitions: 3, ..Rides::new(3_000) }.records(),
    );
    rig.site.records_per_epoch = 500;
    let mut engine = rig.start().spawn();
    deadline::until("an epoch can't be decided", RUN_LIMIT, || (proxy.struck() > 0).then_some(()));

    engine.interrupt();
    engine.wait_for_words("finishing the epoch in hand", RUN_LIMIT);
    assert!(engine.ended().is_none(), "one Ctrl-C waits for the epoch in hand");
    engine.interrupt();
    let exit = engine.wait(RUN_LIMIT);
    assert!(
        exit.expect(CUT_SHORT).stderr.contains("the next run goes on from the last committed epoch"),
        "{}",
        exit.stderr
    );

    proxy.heal();
    rig.start().run(RUN_LIMIT).expect(OK);
    rig.assert_right();
}

#[test]
fn one_ctrl_c_finishes_the_epoch_in_hand() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &Rides { partitions: 3, ..Rides::new(3_000) }.records());
    let mut engine = rig.start_with(serde_json::json!({"type": "AsSoonAsPossible"})).spawn();
    engine.wait_for_epochs(1, RUN_LIMIT);
    engine.interrupt();
    let exit = engine.wait(RUN_LIMIT);
    exit.expect(OK);
    assert_eq!(exit.figure("last_epoch"), rig.manifests().last().unwrap().epoch, "what was begun was committed");
    rig.finish();
    rig.assert_right();
}

#[test]
fn a_named_run_that_is_told_to_stop_before_its_end_does_not_pass_for_a_finished_one() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let proxy = Proxy::start(&s3.address());
    let rides = Rides { partitions: 3, ..Rides::new(3_000) };
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&proxy.endpoint())), 3, &rides.records());
    rig.site.records_per_epoch = 50;
    // The third epoch can't be decided before the run has got the signal to end.
    let stopped_early = |start: Start| {
        let struck = proxy.struck();
        proxy.inject(
            Rule::when(Fault::Answer(503), |r| r.method == "PUT" && r.path().contains("/checkpoint/epochs/"))
                .from(4)
                .times(u32::MAX),
        );
        let mut engine = start.spawn();
        deadline::until("an epoch can't be decided", RUN_LIMIT, || (proxy.struck() > struck).then_some(()));
        engine.interrupt();
        engine.wait_for_words("finishing the epoch in hand", RUN_LIMIT);
        proxy.heal();
        engine.wait(RUN_LIMIT)
    };
    stopped_early(rig.start()).expect(OK);
    let exit = stopped_early(rig.start().env("WEIR_RUN", "nightly"));
    assert!(exit.expect(CUT_SHORT).stderr.contains("told to stop before everything was read"), "{}", exit.stderr);
    assert!(rig.outcome().read < 3_000);
    rig.finish();
    rig.assert_right();
}

#[test]
fn a_start_that_waits_for_its_store_ends_when_it_is_told_to() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some("http://127.0.0.1:1")), 1, &[]);
    let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).give_up_after(10 * RUN_LIMIT).spawn();
    engine.wait_for_words("is tried again", RUN_LIMIT);
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);
}

#[test]
fn a_start_that_waits_for_its_brokers_ends_when_it_is_told_to() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    rig.site.bootstrap = "127.0.0.1:1".into();
    let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    engine.wait_for_words("Connection refused", RUN_LIMIT);
    engine.terminate();
    engine.wait(WHILE_BROKERS_ARE_AWAITED).expect(OK);
}
