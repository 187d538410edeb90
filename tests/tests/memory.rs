//! The process keeps within its memory: a sink that is slow holds up the reading, and windows that do not fit end the run with a sentence.

use std::time::Duration;

use rand::distr::Alphanumeric;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_tests::engine::{CONFIG, OK};
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const MIB: u64 = 1 << 20;

/// Rides with a text of this many bytes in one of their fields.
fn large(count: usize, field: &str, bytes: usize) -> Vec<Record> {
    let rides = Rides { partitions: 2, step_us: 10_000, ..Rides::ordered(count) }.records();
    // Random, so that nothing makes them smaller on the way.
    let mut rng = SmallRng::seed_from_u64(1);
    let large = |record: Record| {
        let mut ride: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        ride[field] = (&mut rng).sample_iter(Alphanumeric).take(bytes).map(char::from).collect::<String>().into();
        Record { value: ride.to_string().into_bytes(), ..record }
    };
    rides.into_iter().map(large).collect()
}

#[test]
fn a_slow_sink_holds_up_the_reading_and_fills_no_memory() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let proxy = Proxy::start(&s3.address());
    // Every part and file of the tables takes its time.
    proxy.inject(
        Rule::when(Fault::Delay(Duration::from_millis(400)), |r| r.method == "PUT" && r.target.contains(".parquet")).times(u32::MAX),
    );
    // A price that is no number: the whole record leaves by the sink of dead letters, 300 MB in all.
    let records = large(50_000, "price", 6_000);
    let mut rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::S3(s3, Some(&proxy.endpoint())), 2, &records);
    rig.site.records_per_epoch = 1_000_000;
    let exit = rig.start().arg("--memory").arg("256Mi").run(RUN_LIMIT);
    exit.expect(OK);
    assert_eq!(exit.figure("records_dead_letter"), 50_000);
    let used = exit.figure("memory_bytes_max") / MIB;
    println!("{used} MiB at most, of 256");
    assert!(used < 256 * 9 / 10, "{used} MiB");
}

#[test]
fn windows_that_do_not_fit_end_the_run_before_the_kernel_does_and_nothing_is_lost() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // Each ride is a group of its own, and all are in windows that stay open.
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &large(120_000, "city", 1_000));
    rig.site.records_per_epoch = 20_000;
    let exit = rig.start().arg("--memory").arg("192Mi").run(RUN_LIMIT);
    let said = &exit.expect(CONFIG).stderr;
    assert!(said.contains("of the memory limit of 192 MiB are used") && said.contains("spec.resources.limits.memory"), "{said}");
    let before = rig.manifests().iter().filter(|m| !m.is_claim).count();
    assert!(before > 0, "some of it was committed");
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!(outcome.read, 120_000);
}

#[test]
fn too_little_memory_for_anything_is_said_at_once() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    let exit = rig.start().arg("--memory").arg("16Mi").run(RUN_LIMIT);
    let said = &exit.expect(CONFIG).stderr;
    assert!(said.contains("the memory limit is 16 MiB, and a pipeline needs at least 64 MiB"), "{said}");
}
