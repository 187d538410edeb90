//! The first and the last times that JSON records can have, in a table that other engines open.

use serde_json::{Value as Json, json};
use weir_tests::engine::{OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

/// Times, each with its day. An i64 of nanoseconds begins in 1677 and ends in 2262.
const TIMES: [(&str, &str); 5] = [
    ("0001-01-01", "0001-01-01T00:00:00.000000Z"),
    ("1582-10-10", "1582-10-10T12:00:00.000001Z"),
    ("1969-12-31", "1969-12-31T23:59:59.500000Z"),
    ("2262-04-12", "2262-04-12T00:00:00.000000Z"),
    ("9999-12-31", "9999-12-31T23:59:59.999999Z"),
];

fn sorted(mut rows: Vec<Json>) -> Vec<Json> {
    rows.sort_by_key(|row| row["n"].as_u64());
    rows
}

#[test]
fn delta_rs_and_duckdb_read_the_first_and_the_last_day_as_columns_and_as_partitions() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rows: Vec<_> = TIMES.iter().enumerate().map(|(n, (day, ts))| json!({"n": n, "day": day, "ts": ts})).collect();
    let records: Vec<_> =
        rows.iter().map(|row| Record { partition: 0, key: None, value: row.to_string().into_bytes() }).collect();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records);
    let mut document = rig.pipeline.document(&rig.site);
    let source = &mut document["spec"]["sources"][0];
    source.as_object_mut().unwrap().remove("eventTime");
    source["columns"] = json!([
        {"name": "n", "type": "bigint"}, {"name": "day", "type": "date"}, {"name": "ts", "type": "timestamp"}]);
    document["spec"]["steps"] = json!([]);
    let partitioned = format!("{}-by-day", rig.site.table_uri);
    document["spec"]["sinks"] = json!([
        {"name": "plain", "from": "input", "delta": {"uri": rig.site.table_uri}},
        {"name": "by-day", "from": "input", "delta": {"uri": partitioned, "partitionBy": ["day"]}},
    ]);
    Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT).expect(OK);

    assert_eq!(sorted(table::read(&rig.site.table_uri, None)), rows, "delta-rs");
    assert_eq!(sorted(table::read_log(&rig.table_folder())), rows, "DuckDB");
    assert_eq!(sorted(table::read(&partitioned, None)), rows, "delta-rs, by partitions");
    assert_eq!(sorted(table::read_log(&rig.side_folder("by-day"))), rows, "DuckDB, by partitions");
}
