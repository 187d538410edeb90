//! The rides job from a real Kafka into a Delta table, on local disk and on S3.

use std::collections::BTreeMap;

use serde_json::json;
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::{deadline, engine, or_skip, table, topic};

#[test]
fn rides_become_a_local_table_as_the_oracle_has_it() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 6, &[]);
    // The rides of the second part lie in the first ten minutes, whose windows the first part has closed.
    let runs = rig.finish_in_parts(&[&Rides::new(5_400).records(), &Rides { seed: 2, ..Rides::new(600) }.records()]);
    let outcome = rig.assert_right();
    assert!(
        outcome.data_epochs >= 5 && outcome.late >= 600 && outcome.rows.len() > 50,
        "the input should try something: {outcome:?}"
    );
    rig.assert_delta_rs_agrees(&outcome, None);

    let over_both = |figure| -> u64 { runs.iter().map(|run| run.figure(figure)).sum() };
    let figures = ["records_read", "records_decoded", "records_late", "records_filtered", "epochs"].map(over_both);
    assert_eq!(figures, [6_000, 6_000, outcome.late, outcome.filtered, outcome.data_epochs]);
    let written: u64 = runs.iter().filter_map(|r| r.summary.as_ref().unwrap()["rows_written"]["table"].as_u64()).sum();
    assert_eq!(written, outcome.rows.len() as u64);
    let reports: usize = runs.iter().map(|r| r.progress.len()).sum();
    assert_eq!(reports as u64, outcome.data_epochs, "one progress report per epoch");
}

#[test]
fn rides_become_a_table_on_s3_as_the_oracle_has_it() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, None), 6, &Rides::new(4_000).records());
    rig.finish();
    let outcome = rig.assert_right();
    rig.assert_delta_rs_agrees(&outcome, Some(s3));
}

#[test]
fn each_commit_says_what_it_came_from() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::new(4_000) }.records());
    rig.finish();
    rig.assert_right();
    let commits: Vec<_> = table::history(&rig.table_folder()).into_iter().filter(|v| v.adds > 0).collect();
    assert!(commits.len() >= 2);
    for commit in commits {
        let info = commit.commit_info.to_string();
        let epoch = format!("{}", commit.txn[0].1);
        for part in ["rides-revenue", &epoch, &rig.site.topic] {
            assert!(info.contains(part), "{part} should be in {info}");
        }
    }
}

#[test]
fn what_kafkas_tools_were_not_told_before_a_crash_they_are_told_at_the_next_start() {
    let kafka = or_skip!(kafka::shared());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::new(900) }.records());
    // Runs to the end, because an epoch that the interval closed may have only a part of the rides.
    let exit = rig.start().fail_at("commit.after", 1).run(RUN_LIMIT);
    assert!(exit.aborted(), "{exit:?}");
    // Nothing more is read, so no later epoch publishes the offsets.
    let engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    let published =
        || topic::group_offsets(&kafka.bootstrap(), "weir-rides-revenue", &rig.site.topic, 2).values().sum::<i64>();
    deadline::until("the consumer group has come to the end", RUN_LIMIT, || (published() == 900).then_some(()));
    drop(engine);
}

#[test]
fn kafkas_tools_see_how_far_the_pipeline_has_come() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let all = Rides { partitions: 2, ..Rides::new(2_000) }.records();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &all[..1_000]);
    let ends =
        || rig.manifests().last().unwrap().partitions.iter().map(|p| (p.partition, p.end)).collect::<BTreeMap<_, _>>();
    let published = || topic::group_offsets(&kafka.bootstrap(), "weir-rides-revenue", &rig.site.topic, 2);
    // At its end a run waits only some seconds for the group's coordinator, which a broker that has just started must
    // find first.
    let _ = published();
    rig.finish();
    assert_eq!(published(), ends(), "a run that has ended has told");
    rig.produce(&all[1_000..]);
    let engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    deadline::until("a run that goes on tells after each commit", RUN_LIMIT, || {
        (published().values().sum::<i64>() == 2_000).then_some(())
    });
    assert_eq!(published(), ends());
    drop(engine);
}

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let all = Rides::new(6_000).records();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 6, &all[..3_000]);
    assert_eq!(rig.finish().figure("records_read"), 3_000);
    let first = rig.assert_right();
    rig.produce(&all[3_000..]);
    assert_eq!(rig.finish().figure("records_read"), 3_000);
    assert!(rig.assert_right().rows.len() > first.rows.len());
    assert_eq!(rig.finish().figure("records_read"), 0, "with nothing new there is nothing to do");
    rig.assert_right();
}

#[test]
fn sigterm_finishes_the_epoch_in_hand_and_exits_with_0() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 6, &Rides::new(4_000).records());
    let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    engine.wait_for_epochs(1, RUN_LIMIT);
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    rig.assert_right();
}

#[test]
fn an_interval_trigger_keeps_its_beat() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::new(3_500) }.records());
    let mut engine = rig.start_with(json!({"type": "Interval", "interval": "1s"})).spawn();
    // There are four epochs or more, since an epoch that the interval closes is not full.
    engine.wait_for_records(3_500, RUN_LIMIT);
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(engine::OK);
    let data: Vec<_> = rig.manifests().into_iter().filter(|m| !m.is_claim).collect();
    // A full epoch closes early, and no epoch is larger than its limit, however slow the machine is.
    assert!(data.iter().all(|m| m.read <= rig.site.records_per_epoch), "{data:?}");
    rig.assert_right();
}

#[test]
fn bad_records_are_dropped_and_counted_where_the_document_says_so() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let records = poisoned(Rides { partitions: 2, ..Rides::new(3_000) }.records(), 300);
    let pipeline = Pipeline { bad_records: BadRecords::Drop, ..Pipeline::rides() };
    let rig = Rig::new(pipeline, kafka, Store::Local, 2, &records);
    rig.finish();
    assert_eq!(rig.assert_right().dropped, 10);
}
