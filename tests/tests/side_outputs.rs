//! Bad records and late rows are kept in separate tables, in the epoch that read them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use weir_tests::engine::{DATA, OK, RETRY_EXHAUSTED};
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::{POISON, Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::{self, Record};
use weir_tests::{or_skip, table};

const HOUR_US: i64 = 3_600_000_000;

#[test]
fn a_bad_record_costs_only_itself_and_is_kept_with_the_place_at_fault() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let records = poisoned(Rides { partitions: 2, ..Rides::new(3_000) }.records(), 300);
    // These rides lie in the first minute, whose window the first part has closed.
    let late = Rides { partitions: 2, seed: 2, ..Rides::new(50) }.records();
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::S3(s3, None), 2, &[]);
    let exits = rig.finish_in_parts(&[&records, &late]);
    let outcome = rig.assert_right();
    assert_eq!((outcome.rejected.len(), exits[0].figure("records_dead_letter")), (10, 10));
    assert!(outcome.late >= 50, "the second part is late: {}", outcome.late);

    let found = table::read_log(&rig.side_folder("rejected"));
    let said = |poison: &[u8]| {
        let hex = poison.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let row = found
            .iter()
            .find(|row| row["value"] == json!(hex))
            .unwrap_or_else(|| panic!("no dead letter for {poison:?}"));
        (row["path"].clone(), row["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(said(POISON[4]), (json!("$.rideId"), "found a string, want a bigint".to_owned()));
    assert_eq!(said(POISON[5]), (json!("$.city"), "found null, and the column is required".to_owned()));
    let (path, reason) = said(POISON[7]);
    assert_eq!(path, Json::Null);
    assert_eq!(reason, "the event time 9999-12-31T23:59:59.000Z is ahead of the clock by more than maxFuture (3600s)");
}

/// A tombstone has no value, which differs from an empty value. The key of a record without a key is null.
#[test]
fn a_dead_letter_tells_no_value_from_an_empty_one() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::Local, 1, &[]);
    rig.produce(&[Record { partition: 0, key: None, value: Vec::new() }]);
    topic::produce_tombstone(&rig.site.bootstrap, &rig.site.topic, 0, "gone");
    rig.finish();
    let mut found: Vec<_> = table::read_log(&rig.side_folder("rejected"))
        .into_iter()
        .map(|r| (r["key"].clone(), r["value"].clone()))
        .collect();
    found.sort_by_key(|(key, _)| key.to_string());
    assert_eq!(found, [(json!("676f6e65"), Json::Null), (Json::Null, json!(""))]);
    rig.assert_right();
}

/// The policy for bad records does not apply to tombstones, and still stops at a broken record.
#[test]
fn tombstones_are_passed_over_and_counted_apart_where_the_document_says_so() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline { skips_tombstones: true, ..Pipeline::rides() };
    let rig = Rig::new(pipeline, kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::new(1_500) }.records());
    for n in 0..7 {
        topic::produce_tombstone(&rig.site.bootstrap, &rig.site.topic, n % 2, &n.to_string());
    }
    let exit = rig.finish();
    let outcome = rig.assert_right();
    assert_eq!((outcome.tombstones, exit.figure("tombstones_skipped"), exit.figure("records_decoded")), (7, 7, 1_500));
    let source = |field: &str| exit.progress.iter().map(|p| p["sources"][0][field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((source("tombstonesSkipped"), source("recordsDropped")), (7, 0));
    assert_eq!(exit.progress.last().unwrap()["totals"]["tombstonesSkipped"], 7);

    rig.produce(&[Record { partition: 0, key: None, value: Vec::new() }]);
    let stopped = rig.start().run(RUN_LIMIT);
    assert!(
        stopped.expect(DATA).stderr.contains("can't be processed"),
        "an empty value is no tombstone: {}",
        stopped.stderr
    );
}

/// A record from the future would move the watermark so far that everything after it would be late.
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

/// Records that their producer has stamped half an hour ahead look the same as all records look to a machine whose
/// clock is half an hour behind.
#[test]
fn records_that_are_ahead_by_kafkas_own_timestamps_too_say_that_the_clock_is_behind_and_none_is_bad() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let now_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let ride = |at_us: i64| {
        let value = format!(
            r#"{{"rideId":1,"userId":2,"city":"fr","distanceKm":1,"price":1,"ts":"{}"}}"#,
            time::format_iso(at_us)
        );
        (at_us / 1000, Record { partition: 0, key: None, value: value.into_bytes() })
    };
    let bootstrap = kafka.bootstrap();
    let create = |topic: &str| topic::create(&bootstrap, topic, 1);
    let pipeline = Pipeline { bad_records: BadRecords::Drop, max_future_us: Some(HOUR_US / 6), ..Pipeline::rides() };
    let mut rig = Rig::with_topic(pipeline, bootstrap.clone(), Store::Local, create, &[]);
    let produce = |rig: &Rig, ahead_us: &[i64]| {
        let records: Vec<_> = ahead_us.iter().map(|ahead_us| ride(now_us + ahead_us)).collect();
        topic::produce_stamped(&rig.site.bootstrap, &rig.site.topic, &records);
    };
    produce(&rig, &[0, 0, HOUR_US / 2, HOUR_US / 2]);
    // A run without an end, since a next AvailableNow run would continue to the same end offsets, and see no other
    // record.
    let exit = rig.start_with(json!({"type": "AsSoonAsPossible"})).run(RUN_LIMIT);
    exit.expect(RETRY_EXHAUSTED);
    let says = "this machine's clock seems to be behind, so no record counts as bad; set this machine's clock";
    assert!(exit.stderr.contains(says), "`{says}` should be in {}", exit.stderr);

    // Once a record with a correct time has come, the records that were ahead are at fault, and not the clock.
    produce(&rig, &[0]);
    rig.finish();
    assert_eq!(rig.assert_right().dropped, 2);
    // Nor is the clock at fault if records are ahead by less than the document allows.
    produce(&rig, &[HOUR_US / 2]);
    rig.pipeline.max_future_us = Some(HOUR_US);
    assert_eq!(rig.finish().figure("records_dropped"), 0);
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

    // The count continues over a restart: two more bad records are allowed, and a third one is not.
    rig.produce(&[POISON[0]; 2].map(|value| Record { partition: 0, key: None, value: value.to_vec() }));
    rig.finish();
    let before = rig.manifests().last().map(|m| m.totals);
    rig.produce(&[Record { partition: 0, key: None, value: POISON[4].to_vec() }]);
    let exit = rig.start().run(RUN_LIMIT);
    let said = format!(
        "source `input`: 13 of the last 1003 records are bad, more than badRecords.maxPerMillion allows; nothing of \
         this epoch is committed; \
         the first bad record of it is {}-0 offset 1002: at $.rideId: found a string, want a bigint; correct the \
         schema or the producer, or \
         raise maxPerMillion",
        rig.site.topic
    );
    assert!(exit.expect(DATA).stderr.contains(&said), "{}", exit.stderr);
    assert_eq!(rig.manifests().last().map(|m| m.totals), before);

    rig.pipeline.bad_records = BadRecords::OutputUpTo(13);
    rig.finish();
    assert_eq!(rig.assert_right().rejected.len(), 13);
}

/// Sums in the manifests, in `/progress` and in the summary agree, whatever was killed in between. The oracle checks
/// the manifests.
#[test]
fn counters_go_on_over_restarts() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let first = poisoned(Rides { partitions: 2, ..Rides::new(2_000) }.records(), 400);
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::Local, 2, &first);
    let exit = rig.start().fail_at("manifest.create.after", 2).run(RUN_LIMIT);
    assert!(exit.aborted(), "{exit:?}");
    // A run that was killed before it recorded that it reached its end continues to that end first.
    rig.finish();
    rig.produce(&poisoned(Rides { partitions: 2, ..Rides::new(1_000) }.starting(HOUR_US).records(), 400));
    let progress = rig.finish().progress;
    let outcome = rig.assert_right();
    let totals = &progress.last().unwrap()["totals"];
    let expected = json!({
        "epochs": outcome.data_epochs, "numInputRows": outcome.read, "tombstonesSkipped": 0, "recordsDropped": 0, "recordsRejected": outcome.rejected.len(), "recordsLost": 0, "recordsUnreadable": 0,
        "numRowsDroppedByWatermark": outcome.late,
    });
    assert_eq!(totals, &expected);
    assert_eq!(outcome.rejected.len(), 7);
    rig.start().run(RUN_LIMIT).expect(OK);
}
