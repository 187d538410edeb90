//! A broker that limits how fast a client reads.

use serde_json::json;
use weir_tests::engine::OK;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

const RIDES: usize = 6_000;
/// Rides in one batch, of some 20 kB: a broker hands out whole batches.
const BATCH: usize = 150;
/// The broker counts over ten seconds, and hands out at most that much at once, which is two or three batches. Reading
/// all rides would take two minutes.
const QUOTA_BYTES_PER_SECOND: u32 = 5_000;
const WITHOUT_QUOTA: u32 = u32::MAX >> 1;
/// The number of fetch answers that the test waits for. Without the quota, the first one would have everything.
const ANSWERS: usize = 3;

#[test]
fn a_throttled_pipeline_reads_slower_and_nothing_else_changes() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // The quota is for the client id, which contains this pipeline's name.
    let pipeline = Pipeline { name: "throttled".into(), ..Pipeline::rides() };
    let rides = Rides { partitions: 1, ..Rides::new(RIDES) };
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 1, &[]);
    rig.site.records_per_epoch = 2 * RIDES as u64;
    rides.records().chunks(BATCH).for_each(|batch| rig.produce(batch));
    kafka.throttle("weir/throttled", QUOTA_BYTES_PER_SECOND);
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_epochs(ANSWERS, RUN_LIMIT);
    let read: u64 = run.progress().iter().take(ANSWERS).map(|p| p["numInputRows"].as_u64().unwrap()).sum();
    assert!((1..RIDES as u64).contains(&read), "the quota did not bite: {ANSWERS} epochs have {read} records");
    kafka.throttle("weir/throttled", WITHOUT_QUOTA);
    rig.produce(&rides.clone().starting(6_000_000_000).records());
    run.wait_for_records(2 * RIDES as u64, RUN_LIMIT);
    run.terminate();
    let exit = run.wait(RUN_LIMIT);
    exit.expect(OK);
    assert!(!exit.stderr.contains("WARN"), "to be throttled is no trouble: {}", exit.stderr);
    rig.finish();
    rig.assert_right();
}
