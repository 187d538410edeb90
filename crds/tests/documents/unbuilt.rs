//! What is still to be built is refused by its path, and hides nothing that is wrong beside it or behind it.

use crate::right::said;

const REVENUE: (&str, &str) = (
    "  - name: revenue
    aggregate:",
    "  - name: revenue
    badRecords: {policy: Drop}
    aggregate:",
);
const NO_POLICY: &str = "spec.steps[1].badRecords: not supported yet; leave it out: badRecords of the source decides";

#[test]
fn the_columns_of_an_aggregate_with_an_unbuilt_field_are_known_behind_it() {
    said(
        &[REVENUE, ("partitionBy: [city]", "partitionBy: [citty]")],
        &[NO_POLICY, "spec.sinks[0].delta.partitionBy[0]: the sink writes no column `citty`; did you mean `city`?"],
    );
}

#[test]
fn the_columns_of_an_aggregate_with_an_unbuilt_field_are_judged() {
    said(
        &[REVENUE, ("sum(price)", "sum(prize)")],
        &[
            NO_POLICY,
            "spec.steps[1].aggregate.columns[0].expr: there is no column `prize` (did you mean `price`?): the columns are \
             city, price, _event_time, window_start, window_end",
        ],
    );
}

#[test]
fn a_condition_that_is_wrong_hides_nothing_behind_its_step() {
    said(
        &[("price >= 0", "prize >= 0"), ("sum(price)", "sum(cost)")],
        &[
            "spec.steps[0].map.where: there is no column `prize` (did you mean `price`?): the columns are city, price, \
             ts, _event_time",
            "spec.steps[1].aggregate.columns[0].expr: there is no column `cost`: the columns are city, price, \
             _event_time, window_start, window_end",
        ],
    );
}

#[test]
fn behind_an_unbuilt_step_it_is_said_what_can_be_known_without_columns() {
    let unbuilt = "map:
      from: rides
      where: price >= 0
      columns: [{name: city, expr: upper(city)}, {name: price}]";
    said(
        &[
            (unbuilt, "process: {from: rides, key: [city], rules: {onRow: [{emit: [{name: c}]}]}}"),
            ("[{name: city}]", "[{name: city, expr: uper(city)}]"),
            ("sum(price)", "sum(price"),
        ],
        &[
            "spec.steps[0].process: not supported yet; leave the step out",
            "spec.steps[1].aggregate.groupBy[0].expr: there is no function `uper`: did you mean `upper`?",
            "spec.steps[1].aggregate.columns[0].expr: the expression does not parse: expected `)`, found the end",
        ],
    );
}

#[test]
fn the_columns_of_a_source_whose_format_is_unbuilt_are_known() {
    said(
        &[("format: {json: {}}", "format: {avro: {}}"), ("expr: upper(city)", "expr: upper(citty)")],
        &[
            "spec.sources[0].format.avro: not supported yet: write json: {} in its place, for records that are JSON \
             objects",
            "spec.steps[0].map.columns[0].expr: there is no column `citty` (did you mean `city`?): the columns are \
             city, price, ts, _event_time",
        ],
    );
}

/// A reader should not fill in the fields of a part first, and be told then that it is not supported.
#[test]
fn a_part_that_is_unbuilt_is_told_alone_whatever_is_in_it() {
    const JSON: &str = "format: {json: {}}";
    const DELTA: &str = "delta: {uri: s3://lake/silver, partitionBy: [city]}";
    const KAFKA: &str = "kafka: {bootstrapServers: kafka:9092}";
    const CLEANED: &str = "map:
      from: rides
      where: price >= 0
      columns: [{name: city, expr: upper(city)}, {name: price}]";
    let json = ": write json: {} in its place, for records that are JSON objects";
    let delta = ": write delta: {uri: s3://lake/rides} in its place";
    let no_step = "; leave the step out";
    for (old, new, path, instead) in [
        (JSON, "format: {raw: {}}", "spec.sources[0].format.raw", json),
        (JSON, "format: {raw: Text}", "spec.sources[0].format.raw", json),
        (JSON, "format: {avro: {registry: {}}}", "spec.sources[0].format.avro", json),
        (JSON, "format: {json: {}, csv: {header: true}}", "spec.sources[0].format.csv", json),
        (DELTA, "kafka: {connection: events, topic: out}", "spec.sinks[0].kafka", delta),
        (DELTA, "kafka: {bootstrapServers: 7}", "spec.sinks[0].kafka", delta),
        (DELTA, "parquet: {}", "spec.sinks[0].parquet", delta),
        (DELTA, "parquet: {path: /tmp/x}", "spec.sinks[0].parquet", delta),
        (CLEANED, "join: {left: rides, right: fares}", "spec.steps[0].join", no_step),
        (CLEANED, "join: {left: rides, using: city}", "spec.steps[0].join", no_step),
        (CLEANED, "process: {from: ridess, key: city}", "spec.steps[0].process", no_step),
        (
            "  - {name: events,",
            "  - {name: schemas, schemaRegistry: {}}\n  - {name: events,",
            "spec.connections[0].schemaRegistry",
            "; leave the connection out",
        ),
        (
            KAFKA,
            "kafka: {bootstrapServers: kafka:9092, controlTopic: 7}",
            "spec.connections[0].kafka.controlTopic",
            "; leave it out",
        ),
        ("", "  tables: [{name: cities}]", "spec.tables", "; leave it out"),
        ("", "  autoscale: true", "spec.autoscale", "; leave it out"),
    ] {
        said(&[(old, new)], &[&format!("{path}: not supported yet{instead}")]);
    }
}

#[test]
fn what_is_wrong_beside_an_unbuilt_field_is_told_with_it() {
    said(
        &[("delta: {uri: s3://lake/silver, partitionBy: [city]}", "orderBy: city, deleteWhen: [citty]")],
        &[
            "spec.sinks[0].orderBy: not supported yet; leave it out",
            "spec.sinks[0].deleteWhen: not supported yet; leave it out",
            "spec.sinks[0]: found none of delta or console; exactly one should be there",
        ],
    );
}

#[test]
fn an_unbuilt_field_without_a_value_counts_as_left_out() {
    said(&[("", "  tables: []\n  http:")], &[]);
}
