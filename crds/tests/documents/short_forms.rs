//! Values that are shorter or longer than the document's shape: what is said has the value as it should be written.

use crate::right::{findings, said, told, with};

const FORMAT: &str = "format: {json: {}}";
const TOPICS: &str = "topics: [rides]";
const WINDOW: &str = "window: {tumbling: {size: 5m}}";
const DELTA: &str = "delta: {uri: s3://lake/silver, partitionBy: [city]}";
const TRIGGER: &str = "trigger: {type: Interval, interval: 5s}";
const COLUMNS: &str = "columns: [{name: city, expr: upper(city)}, {name: price}]";

#[test]
fn what_is_said_of_short_forms() {
    let topic = told(&[
        (
            "a text where a block belongs",
            &[
                &[(TOPICS, "topics: [rides], startFrom: Earliest")],
                &[(TOPICS, "topics: [rides], startFrom: latest")],
                &[(TOPICS, "topics: [rides], startFrom: 2026-01-01T00:00:00Z")],
                &[(TRIGGER, "trigger: AvailableNow")],
                &[(TRIGGER, "trigger: 5s")],
                &[(TRIGGER, "trigger: often")],
                &[(FORMAT, "format: json")],
                &[(FORMAT, "format: {json: {}}\n    badRecords: drop")],
                &[("eventTime: {expr: ts, watermarkDelay: 10m}", "eventTime: ts")],
                &[(WINDOW, "window: 5m")],
                &[(WINDOW, "window: {tumbling: 5m}")],
                &[("checkpoint: {uri: s3://lake/checkpoints/rides}", "checkpoint: s3://lake/checkpoints/rides")],
                &[(DELTA, "delta: s3://lake/silver")],
                &[("kafka: {bootstrapServers: kafka:9092}", "kafka: kafka:9092")],
                &[(COLUMNS, "columns: [city, price]")],
            ],
        ),
        (
            "another value where a list belongs",
            &[
                &[(TOPICS, "topics: rides")],
                &[(TOPICS, "topics: \"rides, fares\"")],
                &[(TOPICS, "assign: [{topic: rides, partitions: 0}]")],
                &[("groupBy: [{name: city}]", "groupBy: city")],
                &[("partitionBy: [city]", "partitionBy: city")],
                &[(COLUMNS, "columns: {city: upper(city)}")],
                &[("groupBy: [{name: city}]", "groupBy: {day: cast(ts as date)}")],
                &[(
                    "- {name: city, type: string, required: true}\n    - {name: price, type: double, required: true}\n    \
                    - {name: ts, type: timestamp, required: true}",
                    "  city: string\n      ts: timestamp",
                )],
            ],
        ),
        (
            "a list where a text belongs",
            &[
                &[("from: revenue", "from: [revenue]")],
                &[("from: revenue", "from: [revenue, cleaned]")],
                &[("bootstrapServers: kafka:9092", "bootstrapServers: [\"a:1\", \"b:2\"]")],
            ],
        ),
        (
            "the kind of a block as a field of its own",
            &[&[(FORMAT, "format: {type: json}")], &[(DELTA, "type: Delta")]],
        ),
        (
            "a field that is not indented under the one that it belongs to",
            &[&[(WINDOW, "window:\n        tumbling:\n        size: 5m")]],
        ),
        (
            "a name of a topic that is a pattern",
            &[&[(TOPICS, "topics: [rides-*]")], &[(TOPICS, "topics: [\"rides-.*\"]")]],
        ),
    ]);
    insta::assert_snapshot!(topic);
}

/// A condition without a value would keep every row.
#[test]
fn an_expression_without_a_value_is_refused() {
    for nothing in ["", " null", " ~", " &price"] {
        said(
            &[("where: price >= 0", &format!("where:{nothing}"))],
            &["spec.steps[0].map.where: found nothing: write a condition such as price >= 0, or leave `where` out to \
               keep every row"],
        );
    }
    said(
        &[("{name: revenue, expr: sum(price)}", "{name: revenue, expr: sum(price), filter: }")],
        &["spec.steps[1].aggregate.columns[0].filter: found nothing: write a condition such as price >= 0, or leave \
           `filter` out to use every row"],
    );
    let instead = "found nothing: write an expression, or leave `expr` out to take the input's column of that name";
    said(&[("expr: upper(city)", "expr: ")], &[&format!("spec.steps[0].map.columns[0].expr: {instead}")]);
    said(
        &[("{name: city}]", "{name: city, expr: }]")],
        &[&format!("spec.steps[1].aggregate.groupBy[0].expr: {instead}")],
    );
    said(&[(FORMAT, "format: {json: }")], &["spec.sources[0].format.json: found nothing: write json: {}"]);
    said(&[("s3: {endpoint: http://s3:9000}", "s3: ")], &["spec.storage[0].s3: found nothing: write s3: {}"]);
}

/// Other fields without a value count as left out, as for an API server, and in an override `null` removes a field.
#[test]
fn a_field_without_a_value_is_left_out_where_that_means_the_same() {
    assert_eq!(findings(&with(&[(TRIGGER, "trigger:")])), Vec::<String>::new());
    let over = "spec: {steps: [{name: cleaned, map: {where: null}}]}";
    assert!(weir_crds::load(crate::right::RIGHT, Some(over)).is_ok());
}
