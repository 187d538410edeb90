//! A broker that lets a client read only so fast.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_tests::engine::OK;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

/// The broker counts over ten seconds: so much of the quota comes at once, and the rest as time goes by.
const QUOTA_BYTES_PER_SECOND: u32 = 25_000;
const WITHOUT_QUOTA: u32 = u32::MAX >> 1;

#[test]
fn a_throttled_pipeline_reads_slower_and_nothing_else_changes() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // A name of its own, which is in the id that the quota goes by.
    let pipeline = Pipeline { name: "throttled".into(), ..Pipeline::rides() };
    let rides = Rides { partitions: 2, ..Rides::new(6_000) };
    let rig = Rig::new(pipeline, kafka, Store::Local, 2, &rides.records());
    kafka.throttle("weir/throttled", QUOTA_BYTES_PER_SECOND);
    let began = Instant::now();
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(6_000, RUN_LIMIT);
    // Four hundred kB or so, of which the quota lets 250 through at once; without it this takes half a second.
    assert!(began.elapsed() > Duration::from_secs(3), "the quota did not bite: {:?}", began.elapsed());
    kafka.throttle("weir/throttled", WITHOUT_QUOTA);
    rig.produce(&rides.clone().starting(6_000_000_000).records());
    run.wait_for_records(12_000, RUN_LIMIT);
    run.terminate();
    let exit = run.wait(RUN_LIMIT);
    exit.expect(OK);
    assert!(!exit.stderr.contains("WARN"), "to be throttled is no trouble: {}", exit.stderr);
    rig.finish();
    rig.assert_right();
}
