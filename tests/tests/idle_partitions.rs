//! Partitions that have nothing to say do not hold windows open for ever.

use serde_json::json;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{deadline, engine, or_skip, table};

const SECOND_US: i64 = 1_000_000;

#[test]
fn a_partition_that_never_had_a_record_does_not_hold_an_available_now_run() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // Two of three partitions get rides; an hour is far from over when this test is.
    let pipeline = Pipeline { idle_after_us: Some(3_600 * SECOND_US), ..Pipeline::rides() };
    let rig = Rig::new(pipeline, kafka, Store::Local, 3, &Rides { partitions: 2, ..Rides::new(3_000) }.records());
    rig.finish();
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

    // The second one falls silent at 3000 s, the third has never said anything; the first goes on to 4000 s.
    rig.produce(&later);
    let quiet = deadline::until("the watermark has left the quiet partition behind", RUN_LIMIT, || {
        rig.manifests().into_iter().find(|m| m.partitions.get(1).is_some_and(|p| p.idle && p.watermark_us < m.watermark_after_us))
    });
    assert!(quiet.partitions[2].idle, "{quiet:?}");
    let all = later.last().map(|last| Pipeline::rides().decode(&last.value.clone().into(), i64::MAX).unwrap().0 - 600 * SECOND_US);
    deadline::until("the watermark is that of the first partition", RUN_LIMIT, || {
        rig.manifests().last().filter(|m| m.watermark_after_us == all).map(drop)
    });

    // What the second one has to say of 3000 s to 3100 s is late by now: its window ended at 3300 s, the watermark stands at 3399 s.
    let behind: Vec<Record> = later[..100].iter().map(|r| Record { partition: 1, ..r.clone() }).collect();
    rig.produce(&behind);
    run.wait_for_records(4_100, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    let woke =
        rig.manifests().into_iter().filter(|m| !m.is_claim && m.epoch > quiet.epoch).any(|m| m.partitions[1].end > m.partitions[1].start);
    assert!(woke, "the quiet partition was read again");
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!(outcome.late, 100);
}
