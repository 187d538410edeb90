//! What can't be used is kept: bad records and late rows, in tables of their own, in the epoch that read them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use weir_tests::engine::{DATA, OK};
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::{POISON, Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const HOUR_US: i64 = 3_600_000_000;

#[test]
fn a_bad_record_costs_only_itself_and_is_kept_with_the_place_at_fault() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let records = poisoned(Rides { partitions: 2, ..Rides::new(3_000) }.records(), 300);
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::S3(s3, None), 2, &records);
    let exit = rig.finish();
    let outcome = rig.assert_right();
    assert_eq!((outcome.rejected.len(), exit.figure("records_dead_letter")), (10, 10));
    assert!(outcome.late > 0, "the input should try something");

    let found = table::read_log(&rig.side_folder("rejected"));
    let said = |poison: &[u8]| {
        let hex = poison.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let row = found.iter().find(|row| row["value"] == json!(hex)).unwrap_or_else(|| panic!("no dead letter for {poison:?}"));
        (row["path"].clone(), row["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(said(POISON[4]), (json!("$.rideId"), "found a string, want a bigint".to_owned()));
    assert_eq!(said(POISON[5]), (json!("$.city"), "found null, and the column is required".to_owned()));
    let (path, reason) = said(POISON[7]);
    assert_eq!(path, Json::Null);
    assert_eq!(reason, "the event time 9999-12-31T23:59:59.000Z is ahead of the clock by more than maxFuture (3600s)");
}

/// A tombstone has no value, which is not the same as an empty one; and a record without a key has none.
#[test]
fn a_dead_letter_tells_no_value_from_an_empty_one() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::Local, 1, &[]);
    rig.produce(&[Record { partition: 0, key: None, value: Vec::new() }]);
    weir_tests::topic::produce_tombstone(&rig.site.bootstrap, &rig.site.topic, 0, "gone");
    rig.finish();
    let mut found: Vec<_> =
        table::read_log(&rig.side_folder("rejected")).into_iter().map(|r| (r["key"].clone(), r["value"].clone())).collect();
    found.sort_by_key(|(key, _)| key.to_string());
    assert_eq!(found, [(json!("676f6e65"), Json::Null), (Json::Null, json!(""))]);
    rig.assert_right();
}

/// The watermark is what a record from the future would spoil: everything after it would be late.
#[test]
fn a_record_from_the_future_moves_no_watermark_and_one_within_the_bound_does() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let now_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let mut records = Rides { partitions: 1, late_per_million: 0, ..Rides::new(1_000) }.records();
    let from = |ahead_us: i64| {
        let at = time::format_iso(now_us + ahead_us);
        let ride = format!(r#"{{"rideId":1,"userId":2,"city":"fr","distanceKm":1,"price":1,"ts":"{at}"}}"#);
        Record { partition: 0, key: None, value: ride.into_bytes() }
    };
    records.insert(300, from(3 * HOUR_US));
    records.insert(600, from(-HOUR_US));
    records.push(from(HOUR_US));
    for bad_records in [BadRecords::Output, BadRecords::Drop] {
        let pipeline = Pipeline { bad_records, max_future_us: Some(2 * HOUR_US), ..Pipeline::rides() };
        let mut rig = Rig::new(pipeline, kafka, Store::Local, 1, &records);
        rig.site.records_per_epoch = 200;
        rig.finish();
        let outcome = rig.assert_right();
        assert_eq!(outcome.rejected.len() as u64 + outcome.dropped, 1);
        assert!(outcome.late > 150, "the one an hour ago is in time and moves the watermark: {} late", outcome.late);
        assert_eq!(outcome.watermark_us.map(|w| w > now_us), Some(true), "so does the one within the bound");
    }
}

#[test]
fn too_many_bad_records_stop_the_pipeline_and_commit_nothing_of_their_epoch() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let good = Rides { partitions: 1, ..Rides::new(1_000) }.records();
    let pipeline = Pipeline { bad_records: BadRecords::OutputUpTo(12), ..Pipeline::rides_with_side_outputs() };
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 1, &poisoned(good, 100));
    rig.finish();
    assert_eq!(rig.assert_right().rejected.len(), 10, "within the limit");

    // The count goes on over a restart: two more are allowed, and the third is not.
    rig.produce(&[POISON[0]; 2].map(|value| Record { partition: 0, key: None, value: value.to_vec() }));
    rig.finish();
    let before = rig.manifests().last().map(|m| m.totals);
    rig.produce(&[Record { partition: 0, key: None, value: POISON[4].to_vec() }]);
    let exit = rig.start().run(RUN_LIMIT);
    let said = format!(
        "source `input`: 13 of the last 1003 records are bad, more than badRecords.maxPerMillion allows; nothing of this epoch is committed; \
         the first bad record of it is {}-0 offset 1002: at $.rideId: found a string, want a bigint; correct the schema or the producer, or \
         raise maxPerMillion",
        rig.site.topic
    );
    assert!(exit.expect(DATA).stderr.contains(&said), "{}", exit.stderr);
    assert_eq!(rig.manifests().last().map(|m| m.totals), before);

    rig.pipeline.bad_records = BadRecords::OutputUpTo(13);
    rig.finish();
    assert_eq!(rig.assert_right().rejected.len(), 13);
}

/// Sums in the manifests, in `/progress` and in the summary are of one mind, whatever was killed in between: the oracle checks the manifests.
#[test]
fn counters_go_on_over_restarts() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let first = poisoned(Rides { partitions: 2, ..Rides::new(2_000) }.records(), 400);
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::Local, 2, &first);
    let exit = rig.start().fail_at("manifest.create.after", 2).run(RUN_LIMIT);
    assert!(exit.aborted(), "{exit:?}");
    // A run that had not told that it reached its end goes on to that end first.
    rig.finish();
    rig.produce(&poisoned(Rides { partitions: 2, ..Rides::new(1_000) }.starting(HOUR_US).records(), 400));
    let progress = rig.finish().progress;
    let outcome = rig.assert_right();
    let totals = &progress.last().unwrap()["totals"];
    let expected = json!({
        "epochs": outcome.data_epochs, "numInputRows": outcome.read, "recordsDropped": 0, "recordsRejected": outcome.rejected.len(), "recordsLost": 0,
        "numRowsDroppedByWatermark": outcome.late,
    });
    assert_eq!(totals, &expected);
    assert_eq!(outcome.rejected.len(), 7);
    rig.start().run(RUN_LIMIT).expect(OK);
}
