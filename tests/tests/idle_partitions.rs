//! Partitions without new records do not hold windows open for ever.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::manifest::Manifest;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::services::s3::S3;
use weir_tests::topic::Record;
use weir_tests::{deadline, engine, or_skip, table};

const SECOND_US: i64 = 1_000_000;

#[test]
fn a_partition_that_never_had_a_record_does_not_hold_an_available_now_run() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // Two of three partitions get rides. This test ends long before an hour has passed.
    let pipeline = Pipeline { idle_after_us: Some(3_600 * SECOND_US), ..Pipeline::rides() };
    let rig = Rig::new(pipeline, kafka, Store::Local, 3, &Rides { partitions: 2, ..Rides::new(3_000) }.records());
    rig.finish_with_leaders_heard();
    let outcome = rig.assert_right();
    assert!(outcome.rows.len() > 20, "{} rows: the empty partition has held the windows", outcome.rows.len());
    let last = rig.manifests().pop().unwrap();
    assert_eq!(last.partitions.iter().map(|p| p.idle).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn a_partition_that_goes_quiet_lets_windows_close_and_what_it_says_later_may_be_late() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline { idle_after_us: Some(SECOND_US), ..Pipeline::rides() };
    let both = Rides { partitions: 2, ..Rides::ordered(3_000) };
    let rig = Rig::new(pipeline, kafka, Store::Local, 3, &both.records());
    let later = Rides { partitions: 1, ..Rides::ordered(1_000) }.starting(3_000 * SECOND_US).records();
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(3_000, RUN_LIMIT);

    // The second partition falls silent at 3000 s, the third never had a record, and the first goes on to 4000 s.
    rig.produce(&later);
    let quiet = deadline::until("the watermark has left the quiet partition behind", RUN_LIMIT, || {
        rig.manifests()
            .into_iter()
            .find(|m| m.partitions.get(1).is_some_and(|p| p.idle && p.watermark_us < m.watermark_after_us))
    });
    assert!(quiet.partitions[2].idle, "{quiet:?}");
    let all = later
        .last()
        .map(|last| Pipeline::rides().decode(&last.value.clone().into(), i64::MAX).unwrap().0 - 600 * SECOND_US);
    deadline::until("the watermark is that of the first partition", RUN_LIMIT, || {
        rig.manifests().last().filter(|m| m.watermark_after_us == all).map(drop)
    });

    // Records of the second partition from 3000 s to 3100 s are late by now: their window ended at 3300 s, and the
    // watermark is at 3399 s.
    let behind: Vec<Record> = later[..100].iter().map(|r| Record { partition: 1, ..r.clone() }).collect();
    rig.produce(&behind);
    run.wait_for_records(4_100, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    let woke = rig
        .manifests()
        .into_iter()
        .filter(|m| !m.is_claim && m.epoch > quiet.epoch)
        .any(|m| m.partitions[1].end > m.partitions[1].start);
    assert!(woke, "the quiet partition was read again");
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!(outcome.late, 100);
}

/// A process that was frozen for longer than `idleAfter` reads its clock before it has fetched anything.
#[test]
fn a_process_that_wakes_does_not_take_what_came_meanwhile_for_late() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline {
        idle_after_us: Some(SECOND_US),
        close_idle_windows_after_us: Some(3 * SECOND_US),
        ..Pipeline::rides()
    };
    let rides = Rides { partitions: 3, ..Rides::ordered(600) };
    let rig = Rig::new(pipeline, kafka, Store::Local, 3, &rides.records());
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(600, RUN_LIMIT);
    for nth in 1..4 {
        run.stop();
        rig.produce(&rides.clone().starting(nth * 600 * SECOND_US).records());
        let produced_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        std::thread::sleep(Duration::from_secs(4));
        run.cont();
        run.wait_for_records(600 * (u64::try_from(nth).unwrap() + 1), RUN_LIMIT);
        let all = rig.manifests();
        let read = |m: &&Manifest| m.partitions.iter().map(|p| p.end).sum::<i64>() == 600 * (nth + 1);
        let first = all.iter().find(read).unwrap();
        let early = all.iter().find(|m| m.epoch < first.epoch && m.moved_by.is_some() && m.clock_us > produced_us);
        assert_eq!(early, None, "windows were closed before what had come was read");
    }
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    rig.assert_right();
}

/// While a sink is away, the open epoch is full, and its lane takes nothing out of its queue. The queue is full of one
/// partition's records, so none of the other partition's records fit into it.
#[test]
fn a_partition_behind_a_full_queue_is_not_idle() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start());
    or_skip!(table::readers());
    let pipeline = Pipeline { idle_after_us: Some(SECOND_US), ..Pipeline::rides() };
    let both = Rides { partitions: 2, ..Rides::ordered(2_000) };
    let mut rig = Rig::new(pipeline, kafka, Store::S3(&s3, None), 2, &both.records());
    rig.site.records_per_epoch = 2_000;
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).arg("--lanes").arg("1").spawn();
    run.wait_for_records(2_000, RUN_LIMIT);

    s3.kill();
    // More records than a queue holds (50,000), all of nearly the same time, so that reading any of them closes no
    // window.
    let filling = Rides { partitions: 1, step_us: 1, ..Rides::ordered(60_000) }.starting(2_000 * SECOND_US).records();
    rig.produce(&filling);
    run.wait_for_words("Connection refused", RUN_LIMIT);
    // Then records of the other partition with the same time, and records that would close the windows if that
    // partition were idle.
    let behind = Rides { partitions: 1, ..Rides::ordered(100) }.starting(2_000 * SECOND_US).records();
    rig.produce(&behind.into_iter().map(|record| Record { partition: 1, ..record }).collect::<Vec<_>>());
    rig.produce(&Rides { partitions: 1, ..Rides::ordered(1_000) }.starting(60_000 * SECOND_US).records());
    // Longer than `idleAfter`.
    std::thread::sleep(Duration::from_secs(2));
    s3.restart();

    run.wait_for_records(63_100, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    assert_eq!(rig.assert_right().late, 0);
}
