//! Tables and checkpoints that go away while a pipeline runs, and come back. The pipeline waits, says what it waits
//! for, stays within its memory limit, and goes on by itself.

use std::io::Write;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::disk::Disk;
use weir_tests::engine::{Engine, OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::s3::S3;
use weir_tests::services::{kafka, ports, s3};
use weir_tests::topic::Record;
use weir_tests::{deadline, or_skip, table, web};

/// Enough space for everything that these tests write.
const ENOUGH_KIB: u32 = 64 << 10;

/// Two thousand rides from this second of event time on.
fn rides_from(second: i64) -> Vec<Record> {
    Rides { partitions: 2, ..Rides::new(2_000) }.starting(second * 1_000_000).records()
}

/// A run that has committed the first two thousand rides, and its HTTP address.
fn running(rig: &Rig) -> (Engine, String) {
    let address = format!("127.0.0.1:{}", ports::free());
    let mut run =
        rig.start_with(json!({"type": "AsSoonAsPossible"})).arg("--lanes").arg("1").arg("--http").arg(&address).spawn();
    run.wait_for_records(2_000, RUN_LIMIT);
    (run, address)
}

/// Waits until the run has said each of these, and then reports over HTTP that it is alive and has an epoch that waits.
fn wait_for_trouble(run: &mut Engine, address: &str, says: &[&str]) {
    for words in says {
        run.wait_for_words(words, RUN_LIMIT);
    }
    deadline::until("/progress has an epoch that waits", RUN_LIMIT, || {
        let progress: Json = serde_json::from_str(&web::get(address, "/progress").unwrap().body).unwrap();
        progress["pending"]["records"].as_u64().filter(|records| *records > 0).map(drop)
    });
    assert_eq!(web::get(address, "/healthz").unwrap().status, 200);
}

fn end(run: Engine, rig: &Rig) {
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    rig.finish();
    rig.assert_right();
}

/// The whole test: takes something away, checks what the run says about it, and gives it back.
fn outlives(rig: &Rig, take_away: impl FnOnce(), says: &[&str], give_back: impl FnOnce()) {
    let (mut run, address) = running(rig);
    take_away();
    rig.produce(&rides_from(2_000));
    wait_for_trouble(&mut run, &address, says);
    give_back();
    run.wait_for_records(4_000, RUN_LIMIT);
    // The progress file has an epoch a moment earlier.
    deadline::until("nothing waits any more", RUN_LIMIT, || {
        let progress: Json = serde_json::from_str(&web::get(&address, "/progress").unwrap().body).unwrap();
        progress["pending"].is_null().then_some(())
    });
    end(run, rig);
}

const GIVEN_BACK: &str = "it was allowed when this run began, and is tried again in case it is given back";

#[test]
fn an_s3_server_that_is_away_or_refuses_the_keys_is_waited_for() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start());
    or_skip!(table::readers());
    let rig = || Rig::new(Pipeline::rides(), kafka, Store::S3(&s3, None), 2, &rides_from(0));
    outlives(&rig(), || s3.kill(), &["tried again", "Connection refused"], || s3.restart());
    outlives(&rig(), || s3.restart_with_secret("another"), &["refuse", GIVEN_BACK], || s3.restart());
}

#[test]
fn rights_that_are_taken_away_are_waited_for_wherever_they_are_missed() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let proxy = Proxy::start(&s3.address());
    let endpoint = proxy.endpoint();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&endpoint)), 2, &rides_from(0));
    let (mut run, address) = running(&rig);
    for (i, (method, part, says)) in (1..).zip([
        ("PUT", ".parquet", "denied access to the bucket"),
        ("PUT", "/checkpoint/state", "denied access to the bucket"),
        ("PUT", "/checkpoint/epochs/", "denied access to the bucket"),
        ("PUT", "/table/_delta_log/", "denied access to the bucket"),
        ("HEAD", "/table/_delta_log/", "denied access to the bucket"),
    ]) {
        let said = run.stderr().matches(says).count();
        proxy.inject(
            Rule::when(Fault::Answer(403), move |r| r.method == method && r.path().contains(part)).times(u32::MAX),
        );
        rig.produce(&rides_from(2_000 * i));
        deadline::until(&format!("{part} is missed"), RUN_LIMIT, || {
            (run.stderr().matches(says).count() > said).then_some(())
        });
        wait_for_trouble(&mut run, &address, &[GIVEN_BACK]);
        proxy.heal();
        run.wait_for_records(2_000 * (1 + i.unsigned_abs()), RUN_LIMIT);
    }
    end(run, &rig);
}

#[test]
fn a_disk_that_is_full_or_read_only_is_waited_for() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &rides_from(0));
    let disk = or_skip!(Disk::mount(&rig.folder().join("lake"), ENOUGH_KIB));
    let ballast = rig.folder().join("lake").join("ballast");
    let (mut run, address) = running(&rig);

    disk.resize(2 << 10);
    let mut ballast = std::fs::File::create(ballast).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    drop(ballast); // the kernel refuses to make a disk read-only while a file on it is open for writing
    rig.produce(&rides_from(2_000));
    wait_for_trouble(&mut run, &address, &["the disk is full"]);
    disk.resize(ENOUGH_KIB);
    run.wait_for_records(4_000, RUN_LIMIT);

    disk.turn_read_only();
    rig.produce(&rides_from(4_000));
    wait_for_trouble(&mut run, &address, &[GIVEN_BACK]);
    disk.turn_writable();
    run.wait_for_records(6_000, RUN_LIMIT);
    end(run, &rig);
}

/// A file of this size is uploaded in parts.
#[test]
fn a_large_file_for_whose_second_part_the_disk_had_no_room_is_whole_in_the_end() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // One partition has one lane, whose sink has one writer, so there is one file however busy the machine is.
    let records = rides_from(0).into_iter().enumerate();
    let records: Vec<_> = records.map(|(i, ride)| Record { partition: 0, ..with_long_city(ride, i) }).collect();
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records);
    rig.site.records_per_epoch = 10_000;
    let disk = or_skip!(Disk::mount(&rig.folder().join("lake"), 10 << 10));
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["steps"].as_array_mut().unwrap().truncate(1);
    document["spec"]["sinks"][0]["from"] = json!("before");
    document["spec"]["sinks"][0]["delta"].as_object_mut().unwrap().remove("partitionBy");
    let mut run = Start { document: document.into(), ..rig.start() }.spawn();
    run.wait_for_words("the disk is full", RUN_LIMIT);
    let written = std::fs::read_dir(rig.table_folder()).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    assert!(written.max() >= Some(8 << 20), "the first part should be there");
    disk.resize(ENOUGH_KIB);
    run.wait(RUN_LIMIT).expect(OK);
    let cities: Vec<u64> =
        table::read_log(&rig.table_folder()).iter().map(|row| row["city"].as_str().unwrap().len() as u64).collect();
    assert_eq!(cities, vec![10_000; 2_000]);
}

/// Replaces the city by ten kilobytes that hardly compress.
fn with_long_city(record: Record, seed: usize) -> Record {
    let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
    let city: String = (0..10_000).map(|_| char::from(rng.random_range(b'A'..=b'Z'))).collect();
    let mut ride: Json = serde_json::from_slice(&record.value).unwrap();
    ride["city"] = json!(city);
    Record { value: serde_json::to_vec(&ride).unwrap(), ..record }
}

/// The bytes that one lane may have fetched ahead, and that reading them takes.
const MORE_BYTES_MAX: u64 = 64 << 20;

#[test]
fn memory_is_bounded_while_a_sink_is_away_and_records_keep_coming() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::S3(&s3, None), 2, &rides_from(0));
    let (mut run, address) = running(&rig);
    let before = run.resident_bytes();
    s3.kill();
    let mut most = before;
    for round in 1..=8 {
        // Each round has twenty megabytes; together they are two and a half times the bound.
        rig.produce(&padded(rides_from(2_000 * round), 10_000));
        most = most.max(run.resident_bytes());
    }
    wait_for_trouble(&mut run, &address, &["tried again"]);
    most = most.max(run.resident_bytes());
    assert!(most - before < MORE_BYTES_MAX, "{} MiB more than {} MiB", (most - before) >> 20, before >> 20);
    s3.restart();
    run.wait_for_records(18_000, RUN_LIMIT);
    end(run, &rig);
}

/// Adds a field of this many bytes to each record. The pipeline does not read it, and it hardly compresses.
fn padded(records: Vec<Record>, note_bytes: usize) -> Vec<Record> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Repetitions are too far apart for a compressor to find them.
    let noise: Vec<u8> = (0..400_000 + note_bytes).map(|_| rng.random_range(b'a'..=b'z')).collect();
    let padded = records.into_iter().enumerate().map(|(i, record)| {
        let mut value = record.value;
        assert_eq!(value.pop(), Some(b'}'));
        value.extend_from_slice(br#","note":""#);
        value.extend_from_slice(&noise[i * note_bytes % 400_000..][..note_bytes]);
        value.extend_from_slice(br#""}"#);
        Record { value, ..record }
    });
    padded.collect()
}
