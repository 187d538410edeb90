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

    engine.wait_for_epochs(1, RUN_LIMIT);
    kafka.kill();
    std::thread::sleep(Duration::from_secs(2)); // long enough to be noticed; nothing is waited for
    kafka.restart();
    rig.produce(&all[3_000..6_000]);
    let epochs = engine.progress().len();
    engine.wait_for_epochs(epochs + 1, RUN_LIMIT);

    kafka.stop();
    std::thread::sleep(Duration::from_secs(3));
    kafka.cont();
    rig.produce(&all[6_000..]);
    let epochs = engine.progress().len();
    engine.wait_for_epochs(epochs + 1, RUN_LIMIT);

    engine.terminate();
    engine.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    rig.assert_right();
}
