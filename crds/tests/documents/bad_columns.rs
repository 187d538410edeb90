//! Errors in columns and expressions.

use crate::right::{findings, said, told, with};

#[test]
fn wrong_columns_and_expressions() {
    let topic = told(&[
        (
            "an unknown column names the nearest",
            &[
                &[
                    ("{name: price}]", "{name: pricee}]"),
                    ("groupBy: [{name: city}]", "groupBy: [{name: town}]"),
                    ("partitionBy: [city]", "partitionBy: [date]"),
                ],
                &[("groupBy: [{name: city}]", "groupBy: [{name: cities}]")],
                &[("partitionBy: [city]", "partitionBy: [date]")],
            ],
        ),
        (
            "an expression that does not parse or type is refused where it stands",
            &[
                &[("where: price >= 0", "where: price >="), ("upper(city)", "uppper(city)")],
                &[("where: price >= 0", "where: price + 1"), ("upper(city)", "upper(town)")],
                &[("sum(price)", "price")],
            ],
        ),
        (
            "columns have different names and none is the event time",
            &[
                &[("{name: price}]", "{name: city, expr: city}, {name: _event_time}, {name: price}]")],
                &[("{name: revenue, expr", "{name: city, expr")],
                &[("{name: revenue, expr", "{name: window_end, expr")],
            ],
        ),
        (
            "a type that is none is refused and nothing that follows from it is said",
            &[&[("type: double", "type: doubel")]],
        ),
        (
            "a name that Delta refuses is refused before the first commit",
            &[
                &[("{name: revenue, expr", "{name: the revenue, expr")],
                &[("{name: revenue, expr", "{name: City, expr")],
            ],
        ),
        (
            "a table is not partitioned by a float nor by every column",
            &[
                &[("partitionBy: [city]", "partitionBy: [revenue]")],
                &[
                    (
                        "from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}",
                        "from: only, delta: {uri: s3://lake/silver, partitionBy: [city]}",
                    ),
                    ("  sinks:", "  - {name: only, map: {from: revenue, columns: [{name: city}]}}\n  sinks:"),
                ],
            ],
        ),
        (
            "metadata columns have names of their own and can be the event time if they are a time",
            &[
                &[(
                    "topics: [rides]}",
                    "topics: [rides], metadataColumns: [{name: city, field: Topic}, {name: at, field: Offset}, \
                    {name: at, field: Partition}]}",
                )],
                &[
                    ("topics: [rides]}", "topics: [rides], metadataColumns: [{name: at, field: Offset}]}"),
                    ("expr: ts,", "expr: at,"),
                ],
                &[
                    ("topics: [rides]}", "topics: [rides], metadataColumns: [{name: at, field: Timestamp}]}"),
                    ("expr: ts,", "expr: at,"),
                ],
                &[("topics: [rides]}", "topics: [rides], metadataColumns: [{name: at, field: Time}]}")],
            ],
        ),
    ]);
    insta::assert_snapshot!(topic);
}

#[test]
fn expressions_that_are_too_long_together_are_refused_before_any_is_planned() {
    // Nine expressions of 15 KiB, none of which parses.
    let columns = |name: &str| {
        (0..3).map(|i| format!("{{name: {name}{i}, expr: \"{}\"}}, ", "+".repeat(15 << 10))).collect::<String>()
    };
    let (map, aggregate) = (columns("m") + "{name: price}]", columns("a") + "{name: revenue, expr");
    let keys = vec![format!("{{name: k, expr: \"{}\"}}", "+".repeat(15 << 10)); 3].join(", ");
    let grouped = format!("groupBy: [{{name: city}}, {keys}]");
    said(
        &[("{name: price}]", &map), ("{name: revenue, expr", &aggregate), ("groupBy: [{name: city}]", &grouped)],
        &["spec.steps: the expressions are 138271 bytes long together, and at most 131072 are allowed: compute what \
             lies deep in a map step of its own, or split the steps over several pipelines"],
    );
}

/// Two hundred sums of 60 terms have 72 KiB and took a second to plan. So did a few kilobytes of nested calls, or of
/// choices in a sum.
#[test]
fn expressions_that_would_take_long_to_plan_are_refused_before_any_is_planned() {
    let said_of = |place: &str, weight: u64, instead: &str| {
        format!(
            "{place}: planning would take too long: the operators of expressions here, each counted once per level \
             that it lies deep and a \
             function as eight, come to {weight}, and at most 400000 are allowed: {instead}"
        )
    };
    let columns = |count: usize, expr: &str| {
        (0..count).map(|i| format!("{{name: c{i}, expr: \"{expr}\"}}, ")).collect::<String>()
    };
    let (sum, calls) = (vec!["price"; 60].join("+"), format!("{}city{}", "upper(".repeat(40), ")".repeat(40)));
    for (count, expr, weight) in [(120, &sum, 445_255), (70, &calls, 465_745)] {
        said(
            &[("{name: price}]", &(columns(count, expr) + "{name: price}]"))],
            &[&said_of(
                "spec.steps",
                weight,
                "compute what lies deep in a map step of its own, or split the steps over several pipelines",
            )],
        );
    }
    let choices = format!("{}price{}", "coalesce(".repeat(10), ", 1)".repeat(10));
    let times = format!("expr: \"to_timestamp_seconds({})\"", vec![choices; 100].join("+"));
    said(
        &[("expr: ts", &times)],
        &[&said_of("spec.sources[0].eventTime.expr", 9_510_350, "have the producer write the time as a column")],
    );
}

/// The advice for a partition that is no column is a document that is right.
#[test]
fn a_partition_by_a_part_of_a_time_is_refused_with_the_column_to_add() {
    const SINK: &str = "from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}";
    let sink = |from: &str, column: &str| {
        format!("{SINK}}}\n  - {{name: parts, from: {from}, delta: {{uri: s3://lake/parts, partitionBy: [{column}]}}")
    };
    for (partition, name, column) in [
        ("date", "date", "{name: date, expr: cast(ts as date)}"),
        ("date(ts)", "date", "{name: date, expr: cast(ts as date)}"),
        ("TO_DATE( ts )", "date", "{name: date, expr: cast(ts as date)}"),
        ("days(ts)", "days", "{name: days, expr: cast(ts as date)}"),
        ("hour(ts)", "hour", "{name: hour, expr: \"date_trunc('hour', ts)\"}"),
        ("month(ts)", "month", "{name: month, expr: \"cast(date_trunc('month', ts) as date)\"}"),
        ("year", "year", "{name: year, expr: \"cast(date_trunc('year', ts) as date)\"}"),
    ] {
        assert_eq!(
            findings(&with(&[(SINK, &sink("rides", partition))])),
            [format!(
                "spec.sinks[1].delta.partitionBy[0]: the sink writes no column `{partition}`; partitions are columns: \
                 add it in a map before the sink, `addColumns: [{column}]`"
            )]
        );
        let map = format!("\n  - {{name: parted, map: {{from: rides, addColumns: [{column}]}}}}\n  sinks:");
        assert_eq!(findings(&with(&[(SINK, &sink("parted", name)), ("\n  sinks:", &map)])), [""; 0], "{partition}");
    }
    for partition in ["date(price)", "date(nowhere)", "upper(city)", "day(ts, 1)", "date)"] {
        assert_eq!(
            findings(&with(&[(SINK, &sink("rides", &format!("\"{partition}\"")))])),
            [format!(
                "spec.sinks[1].delta.partitionBy[0]: the sink writes no column `{partition}`; write city, price or ts"
            )]
        );
    }
}
