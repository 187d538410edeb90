//! A record's Kafka metadata as columns, compared with what a plain consumer sees of the topic, across a crash.

use std::collections::BTreeMap;

use rdkafka::admin::{NewTopic, TopicReplication};
use serde_json::{Value as Json, json};
use weir_tests::engine::{OK, Start};
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record, Stored};
use weir_tests::{or_skip, table};

const FIELDS: [&str; 8] = ["Key", "Value", "Topic", "Partition", "Offset", "Timestamp", "TimestampType", "Headers"];

/// The rig's pipeline with all metadata columns, each named like its field, with these steps and this input of its
/// table. The event time is the timestamp among them.
fn start(rig: &Rig, trigger: &Json, steps: Json, from: &str) -> Start {
    let event_time = json!({"expr": "Timestamp", "watermarkDelay": "0s", "maxFuture": "99999h"});
    start_timed(rig, trigger, &event_time, steps, from)
}

fn start_timed(rig: &Rig, trigger: &Json, event_time: &Json, steps: Json, from: &str) -> Start {
    let mut document = rig.pipeline.document(&rig.site);
    let source = &mut document["spec"]["sources"][0];
    source["kafka"]["metadataColumns"] = FIELDS.iter().map(|field| json!({"name": field, "field": field})).collect();
    source["columns"] = json!([{"name": "n", "type": "bigint", "required": true}]);
    source["eventTime"] = event_time.clone();
    document["spec"]["trigger"] = trigger.clone();
    document["spec"]["steps"] = steps;
    document["spec"]["sinks"] =
        json!([{"name": "table", "from": from, "mode": "Append", "delta": {"uri": rig.site.table_uri}}]);
    Start { document: document.into(), ..rig.start() }
}

fn pipeline() -> Pipeline {
    Pipeline { bad_records: BadRecords::Drop, ..Pipeline::rides() }
}

fn numbered(partition: i32, n: usize, key: Option<&str>) -> Record {
    Record { partition, key: key.map(str::to_owned), value: format!(r#"{{"n": {n}}}"#).into_bytes() }
}

/// A row of the table as it should be.
fn expected(topic: &str, partition: i32, offset: i64, stored: &Stored, timestamp_type: i32) -> Json {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let headers = stored.headers.iter().map(|(key, value)| json!({"key": key, "value": value.as_ref().map(hex)}));
    json!({
        "Key": stored.key.as_ref().map(hex), "Value": stored.value.as_ref().map(hex), "Topic": topic, "Partition": partition,
        "Offset": offset, "Timestamp": time::format_micros(stored.timestamp_ms.unwrap() * 1000), "TimestampType": timestamp_type,
        "Headers": headers.collect::<Vec<_>>(),
    })
}

fn sorted(mut rows: Vec<Json>) -> Vec<Json> {
    rows.sort_by_key(|row| (row["Partition"].as_i64(), row["Offset"].as_i64()));
    rows
}

#[test]
fn every_field_of_a_record_is_a_column_and_a_crash_changes_none() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // The records have the timestamps that their producer chose.
    let create = |topic: &str| topic::create(&kafka.bootstrap(), topic, 2);
    let rig = Rig::with_topic(pipeline(), kafka.bootstrap(), Store::Local, create, &[]);
    let (bootstrap, topic) = (rig.site.bootstrap.as_str(), rig.site.topic.as_str());
    let headers = [("trace", Some("a1")), ("trace", None), ("", Some("")), ("größe", Some("\u{0}é"))];
    topic::produce_with_headers(bootstrap, topic, &numbered(0, 0, Some("k")), &headers);
    topic::produce_with_headers(bootstrap, topic, &numbered(1, 1, None), &[]);
    topic::produce_tombstone(bootstrap, topic, 0, "gone");
    topic::produce(bootstrap, topic, &(0..3_000).map(|n| numbered(n % 2, n as usize, Some(""))).collect::<Vec<_>>());

    let start = start(&rig, &json!({"type": "AvailableNow"}), json!([]), "input");
    assert!(start.clone().fail_at("manifest.create.after", 2).run(RUN_LIMIT).aborted());
    let _ = start.run(RUN_LIMIT).expect(OK);

    let mut expected_rows = Vec::new();
    for (partition, records) in topic::read(bootstrap, topic) {
        let taken = records.iter().filter(|(_, stored)| stored.value.is_some());
        expected_rows.extend(taken.map(|(offset, stored)| expected(topic, partition, *offset, stored, 0)));
    }
    let mut rows = sorted(table::read_log(&rig.table_folder()));
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("n");
    }
    assert_eq!(rows.len(), 3_002);
    assert_eq!(rows, sorted(expected_rows));
    assert_eq!(rows[0]["Headers"].as_array().unwrap().len(), 4);
}

#[test]
fn the_brokers_own_time_makes_windows_and_a_partition_a_group() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let bootstrap = kafka.bootstrap();
    let create = |name: &str| {
        let new = NewTopic::new(name, 3, TopicReplication::Fixed(1)).set("message.timestamp.type", "LogAppendTime");
        topic::create_as(&bootstrap, &new);
    };
    let records: Vec<_> = (0..2_000).map(|n| numbered(n % 3, n as usize, None)).collect();
    let rig = Rig::with_topic(pipeline(), bootstrap.clone(), Store::Local, create, &records);
    let steps = json!([{"name": "counted", "aggregate": {
        "from": "input", "window": {"tumbling": {"size": "1ms"}}, "groupBy": [{"name": "Partition"}, {"name": "TimestampType"}],
        "columns": [{"name": "first", "expr": "min(Offset)"}, {"name": "cnt", "expr": "count(*)"}]}}]);
    let trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    let event_time = json!({"kafkaTimestamp": {}});
    let _ = start_timed(&rig, &trigger, &event_time, steps, "counted").run(RUN_LIMIT).expect(OK);

    let mut windows: BTreeMap<(i64, i32), (i64, i64)> = BTreeMap::new();
    for (partition, records) in topic::read(&bootstrap, &rig.site.topic) {
        for (offset, stored) in records {
            let window = windows.entry((stored.timestamp_ms.unwrap(), partition)).or_insert((offset, 0));
            *window = (window.0.min(offset), window.1 + 1);
        }
    }
    let expected = windows.into_iter().map(|((at_ms, partition), (first, cnt))| {
        json!({"window_start": time::format_micros(at_ms * 1000), "window_end": time::format_micros((at_ms + 1) * 1000),
               "Partition": partition, "TimestampType": 1, "first": first, "cnt": cnt})
    });
    let key = |row: &Json| (row["window_start"].as_str().unwrap().to_owned(), row["Partition"].as_i64());
    let mut rows = table::read_log(&rig.table_folder());
    rows.sort_by_key(key);
    assert_eq!(rows, expected.collect::<Vec<_>>());
}

/// Records with timestamps of their producer. The last one is half an hour ahead of the clock (brokers take one hour by
/// default): it is bad, although it is the newest one that Kafka has.
#[test]
fn a_timestamp_by_the_producer_is_an_event_time_and_one_in_the_future_is_bad() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 2, &[]);
    let at_ms = |n: i64| 1_700_000_000_000 + n * 700;
    let ahead_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64 + 1_800_000;
    let mut records: Vec<_> = (0..1_000).map(|n: i64| (at_ms(n), numbered((n % 2) as i32, n as usize, None))).collect();
    records.push((ahead_ms, numbered(0, 1_000, None)));
    topic::produce_stamped(&rig.site.bootstrap, &rig.site.topic, &records);
    let steps = json!([{"name": "counted", "aggregate": {
        "from": "input", "window": {"tumbling": {"size": "1m"}}, "columns": [{"name": "cnt", "expr": "count(*)"}]}}]);
    let trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    let event_time = json!({"kafkaTimestamp": {}, "watermarkDelay": "10s", "maxFuture": "10m"});
    let exit = start_timed(&rig, &trigger, &event_time, steps, "counted").run(RUN_LIMIT);
    let exit = exit.expect(OK);
    let of_epochs = exit.progress.iter().filter_map(|p| p["sources"][0]["recordsDropped"].as_u64());
    assert_eq!(of_epochs.sum::<u64>(), 1, "{:#?}", exit.progress);

    let mut windows: BTreeMap<i64, i64> = BTreeMap::new();
    (0..1_000).for_each(|n| *windows.entry(at_ms(n) / 60_000 * 60_000_000).or_default() += 1);
    let expected = windows.into_iter().map(|(start_us, cnt)| {
        json!({"window_start": time::format_micros(start_us), "window_end": time::format_micros(start_us + 60_000_000), "cnt": cnt})
    });
    let mut rows = table::read_log(&rig.table_folder());
    rows.sort_by_key(|row| row["window_start"].as_str().unwrap().to_owned());
    assert_eq!(rows, expected.collect::<Vec<_>>());
}
