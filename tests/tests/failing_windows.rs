//! Windows with a row that can't be computed: where it is reported, and what happens to the other rows.

use serde_json::{Value as Json, json};
use weir_tests::engine::{DATA, Exit, OK, Start};
use weir_tests::oracle::expr::{Expr, column};
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Map};
use weir_tests::oracle::value::Type;
use weir_tests::oracle::{Pipeline, Window, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const MINUTE_US: i64 = 60_000_000;

/// `share` divides the rows by the values, so it can't be computed for a city whose amounts are all null.
fn shares() -> Pipeline {
    let of = |name: &str, r#type, required| Column { name: name.into(), r#type, required };
    let named = |name: &str, e: Expr| (name.to_owned(), e);
    Pipeline {
        columns: vec![of("city", Type::String, true), of("n", Type::Bigint, false), of("at", Type::Timestamp, true)],
        event_time: "at".into(),
        delay_us: 0,
        before: None,
        window: Window::tumbling(MINUTE_US),
        aggregates: vec![
            named_aggregate("all_rows", Aggregate::CountAll),
            named_aggregate("known", Aggregate::Count(*column("n"))),
            named_aggregate("total", Aggregate::Sum(*column("n"))),
        ],
        after: Some(Map {
            filter: None,
            columns: vec![
                named("city", *column("city")),
                named("share", Expr::Divide(column("all_rows"), column("known"))),
                named("total", *column("total")),
            ],
        }),
        partition_by: vec![],
        keeps_bad_rows: true,
        ..Pipeline::rides()
    }
}

fn named_aggregate(name: &str, aggregate: Aggregate) -> (String, Aggregate) {
    (name.to_owned(), aggregate)
}

/// Three windows of good rows. In the first one `Lyon` has no value, and the sum of `Nice` does not fit a bigint. The
/// last window stays open.
fn records() -> Vec<Record> {
    let rows = [
        (0, "Paris", json!(3)),
        (1, "Lyon", Json::Null),
        (2, "Nice", json!(i64::MAX)),
        (3, "Nice", json!(1)),
        (60, "Lyon", json!(5)),
        (120, "Paris", json!(7)),
        (200, "Paris", json!(9)),
    ];
    let record = |(second, city, n): (i64, &str, Json)| Record {
        partition: 0,
        key: None,
        value: json!({"city": city, "n": n, "at": time::format_micros(START_US + second * 1_000_000)})
            .to_string()
            .into_bytes(),
    };
    rows.into_iter().map(record).collect()
}

fn run(rig: &Rig, change: impl Fn(&mut Json)) -> Exit {
    let mut document = rig.pipeline.document(&rig.site);
    change(&mut document["spec"]);
    Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT)
}

#[test]
fn a_division_by_zero_stops_with_what_to_write_and_writing_it_goes_on() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(shares(), kafka, Store::Local, 1, &records());
    let wide =
        |spec: &mut Json| spec["steps"][0]["aggregate"]["columns"][2]["expr"] = json!("sum(cast(n as decimal(38,0)))");
    let exit = run(&rig, wide);
    exit.expect(DATA);
    let says = [
        "step `after`, window [",
        "city = `Lyon`",
        "column `share`: `(all_rows / known)`",
        "`nullif(…, 0)`",
        "badRecords: {policy: Output}",
    ];
    for says in says {
        assert!(exit.stderr.contains(says), "{says}: {}", exit.stderr);
    }
    assert!(exit.stderr.contains(&time::format_iso(START_US)), "a time that a person reads: {}", exit.stderr);
    // The table has no rows yet, and its column is not nullable.
    let exit = run(&rig, |spec| {
        wide(spec);
        spec["steps"][1]["map"]["columns"][1]["expr"] = json!("all_rows / nullif(known, 0)");
    });
    exit.expect(OK);
    let rows = table::read_log(&rig.table_folder());
    let lyon: Vec<_> = rows.iter().filter(|row| row["city"] == "Lyon").map(|row| row["share"].clone()).collect();
    assert_eq!((rows.len(), lyon.len()), (5, 2), "{rows:?}");
    assert!(lyon.contains(&Json::Null) && lyon.contains(&json!(1)), "{lyon:?}");
}

#[test]
fn a_sum_beyond_its_type_stops_with_what_to_write() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(shares(), kafka, Store::Local, 1, &records());
    let exit = run(&rig, |spec| spec["steps"][1]["map"]["columns"][1]["expr"] = json!("all_rows"));
    exit.expect(DATA);
    for says in [
        "step `windows`, window [",
        "city = `Nice`",
        "column `total`: `sum(n)` is more than its type bigint holds",
        "decimal(38,0)",
    ] {
        assert!(exit.stderr.contains(says), "{says}: {}", exit.stderr);
    }
}

#[test]
fn rows_that_cannot_be_computed_are_dropped_or_leave_by_their_step_and_cost_no_other() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for (bad_records, kept) in [(BadRecords::Drop, 0), (BadRecords::Output, 2)] {
        let rig = Rig::new(Pipeline { bad_records, ..shares() }, kafka, Store::Local, 1, &records());
        let exit = rig.finish();
        assert!(exit.stderr.contains("rows that could not be computed were left out"), "{}", exit.stderr);
        let outcome = rig.assert_right();
        assert_eq!((outcome.rows.len(), outcome.bad_rows.values().map(Vec::len).sum::<usize>()), (3, kept));
        let counts = |m: &weir_tests::oracle::manifest::Manifest| m.rows_bad.values().sum::<u64>();
        assert_eq!(rig.manifests().iter().map(counts).sum::<u64>(), 2);
    }
}

/// A window's row has an empty string as its partition value.
#[test]
fn a_group_that_the_table_cannot_take_is_a_row_of_its_step() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let empty = json!({"city": "", "n": 1, "at": time::format_micros(START_US)}).to_string().into_bytes();
    let mut records = vec![Record { partition: 0, key: None, value: empty }];
    records.extend(self::records().into_iter().filter(|r| !String::from_utf8_lossy(&r.value).contains("Nice")));
    let rig = Rig::new(Pipeline { bad_records: BadRecords::Output, ..shares() }, kafka, Store::Local, 1, &records);
    let by_city = |spec: &mut Json| spec["sinks"][0]["delta"]["partitionBy"] = json!(["city"]);
    run(&rig, by_city).expect(OK);
    let rejected = table::read_log(&rig.table_folder().with_file_name("table-bad-after"));
    let mut found: Vec<_> =
        rejected.iter().map(|row| (row["city"].as_str().unwrap(), row["step"].as_str().unwrap())).collect();
    found.sort_unstable();
    assert_eq!(found, [("", "after"), ("Lyon", "after")]);
    assert!(
        rejected.iter().any(|row| row["reason"]
            .as_str()
            .unwrap()
            .contains("column `city` of sink `table`: found an empty string"))
    );
    assert_eq!(table::read_log(&rig.table_folder()).len(), 3);
}
