//! A real broker with six partitions is killed, stopped and restarted under a running pipeline.

use std::time::Duration;

use serde_json::json;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::Kafka;
use weir_tests::{engine, or_skip, table};

#[test]
fn a_pipeline_outlives_its_broker() {
    let kafka = or_skip!(Kafka::start());
    or_skip!(table::readers());
    let all = Rides::new(9_000).records();
    let rig = Rig::new(Pipeline::rides(), &kafka, Store::Local, 6, &all[..3_000]);
    let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();

    engine.wait_for_records(3_000, RUN_LIMIT);
    kafka.kill();
    // The engine waits without a limit, and says what it waits for.
    engine.wait_for_words(&format!("Kafka can't be reached: {}", kafka.bootstrap()), RUN_LIMIT);
    kafka.restart();
    rig.produce(&all[3_000..6_000]);
    engine.wait_for_records(6_000, RUN_LIMIT);

    kafka.stop();
    std::thread::sleep(Duration::from_secs(3)); // a stopped broker shows no state that the test could poll for
    kafka.cont();
    rig.produce(&all[6_000..]);
    engine.wait_for_records(9_000, RUN_LIMIT);

    engine.terminate();
    engine.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    rig.assert_right();
}
