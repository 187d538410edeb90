//! The process stays within its memory limit: a slow sink holds up the reading, and windows that do not fit end the run
//! with a message.

use std::ops::Range;
use std::time::{Duration, Instant};

use rand::distr::Alphanumeric;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use weir_tests::engine::{CONFIG, Engine, MEMORY, OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::Record;
use weir_tests::{deadline, or_skip, table};

const MIB: u64 = 1 << 20;

/// Rides with a string of this many bytes in one of their fields.
fn large(count: usize, field: &str, bytes: usize) -> Vec<Record> {
    let rides = Rides { partitions: 2, step_us: 10_000, ..Rides::ordered(count) }.records();
    // Random, so that compression does not make them smaller.
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
    // Every upload of a part or file of the tables is delayed.
    proxy.inject(
        Rule::when(Fault::Delay(Duration::from_millis(400)), |r| r.method == "PUT" && r.target.contains(".parquet"))
            .times(u32::MAX),
    );
    // The price is not a number, so the whole record goes to the sink of dead letters, 300 MB in all.
    let records = large(50_000, "price", 6_000);
    let mut rig =
        Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::S3(s3, Some(&proxy.endpoint())), 2, &records);
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
    // Each ride is its own group, and all are in windows that stay open.
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &large(120_000, "city", 1_000));
    rig.site.records_per_epoch = 20_000;
    let exit = rig.start().arg("--memory").arg("192Mi").run(RUN_LIMIT);
    let said = &exit.expect(MEMORY).stderr;
    assert!(
        said.contains("of the memory limit of 192 MiB are used") && said.contains("spec.resources.limits.memory"),
        "{said}"
    );
    let before = rig.manifests().iter().filter(|m| !m.is_claim).count();
    assert!(before > 0, "some of it was committed");
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!(outcome.read, 120_000);
}

/// Records per epoch. Only this limit closes epochs in the test.
const CUT: usize = 2_000;
/// Groups of 1,000 bytes each, in windows that stay open.
const GROUPS: usize = 60_000;
/// Percent of the memory limit that state may take at rest. This is above the mark from which freed memory is given
/// back at once, and leaves room to work in.
const RESTS: Range<u64> = 71..86;
/// Percent of the memory limit at which the test begins.
const AIM: Range<u64> = 75..80;

/// An epoch of rides for the largest windows, in few groups.
fn few_groups() -> Vec<Record> {
    let last_us = i64::try_from(GROUPS).unwrap() * 10_000;
    Rides { partitions: 1, step_us: 1, ..Rides::ordered(CUT) }.starting(last_us).records()
}

/// The bytes in use, once they have not changed for as long as it takes to give freed memory back.
fn resting_bytes(engine: &Engine) -> u64 {
    let (mut used, mut since) = (0, Instant::now());
    deadline::until("memory comes to rest", RUN_LIMIT, || {
        let now = engine.anonymous_bytes() / MIB;
        if now != used {
            (used, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_secs(3)).then_some(used * MIB)
    })
}

#[test]
fn state_that_rests_at_three_quarters_of_the_memory_changes_no_beat_and_stops_no_maintenance() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // Windows that close write small files. Then come the large windows, which stay open.
    let early = Rides { partitions: 1, ..Rides::ordered(3_000) }.starting(-4_000_000_000).records();
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &early);
    rig.site.records_per_epoch = 300;
    rig.finish();
    rig.site.records_per_epoch = 20_000;
    let large: Vec<_> =
        large(GROUPS, "city", 1_000).into_iter().map(|record| Record { partition: 0, ..record }).collect();
    rig.finish_in_parts(&[&large]);
    let (before, files) = (rig.manifests().last().unwrap().epoch, table::history(&rig.table_folder()).len());
    assert!(files > 5, "there should be something to compact: {files} versions");

    // Within the hour only the limit of records closes an epoch.
    rig.site.records_per_epoch = CUT as u64;
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["trigger"] = json!({"type": "Interval", "interval": "1h"});
    document["spec"]["sinks"][0]["delta"]["maintenance"] = json!({"checkpointEvery": 100, "compactEvery": "1m"});
    let start = Start { document: document.into(), ..rig.start() }.arg("--lanes").arg("1");
    // The first limit is so large that it does not matter.
    let mut limit = 64 << 30;
    let mut engine = deadline::until("state rests at three quarters of the memory", 2 * RUN_LIMIT, || {
        rig.produce(&few_groups());
        let mut engine = start.clone().arg("--memory").arg(&limit.to_string()).spawn();
        engine.wait_for_epochs(1, RUN_LIMIT);
        let used = resting_bytes(&engine);
        println!("{} MiB are used, of {} MiB", used / MIB, limit / MIB);
        if AIM.contains(&(used * 100 / limit)) {
            return Some(engine);
        }
        engine.terminate();
        engine.wait(RUN_LIMIT).expect(OK);
        limit = used * 100 / (AIM.start + 2);
        None
    });
    for epochs in 2..=4 {
        rig.produce(&few_groups());
        engine.wait_for_epochs(epochs, RUN_LIMIT);
    }
    deadline::until("the table is compacted", RUN_LIMIT, || {
        table::history(&rig.table_folder()).iter().any(|v| v.commit_info["operation"] == "OPTIMIZE").then_some(())
    });
    let rests = resting_bytes(&engine) * 100 / limit;
    assert!(RESTS.contains(&rests), "state rests at {rests} % of the memory");
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);
    let read: Vec<u64> = rig.manifests().iter().filter(|m| m.epoch > before && m.read > 0).map(|m| m.read).collect();
    assert!(read.len() >= 5 && read.iter().all(|read| *read == CUT as u64), "records by epoch: {read:?}");
    rig.finish();
    rig.assert_right();
}

#[test]
fn the_least_memory_that_is_taken_holds_a_small_pipeline() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &Rides { partitions: 1, ..Rides::new(1_000) }.records());
    let exit = rig.start().arg("--memory").arg("64Mi").run(RUN_LIMIT);
    exit.expect(OK);
    println!("{} KiB at most", exit.figure("memory_bytes_max") >> 10);
    rig.assert_right();
}

#[test]
fn too_little_memory_for_anything_is_said_at_once() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    let exit = rig.start().arg("--memory").arg("16Mi").run(RUN_LIMIT);
    let said = &exit.expect(CONFIG).stderr;
    assert!(
        said.contains("the memory limit is 16 MiB, and a pipeline needs at least 64 MiB to begin: write 64Mi or more"),
        "{said}"
    );
}
