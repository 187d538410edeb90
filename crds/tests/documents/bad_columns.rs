//! Errors in columns and expressions.

use crate::right::said;

#[test]
fn an_unknown_column_names_the_nearest() {
    said(
        &[
            ("{name: price}]", "{name: pricee}]"),
            ("groupBy: [{name: city}]", "groupBy: [{name: town}]"),
            ("partitionBy: [city]", "partitionBy: [date]"),
        ],
        &["spec.steps[0].map.columns[1].name: `rides` has no column `pricee`, and there is no expr; did you mean \
             `price`?"],
    );
    said(
        &[("groupBy: [{name: city}]", "groupBy: [{name: cities}]")],
        &["spec.steps[1].aggregate.groupBy[0].name: there is no column `cities`: the columns are city, price, \
             _event_time"],
    );
    said(
        &[("partitionBy: [city]", "partitionBy: [date]")],
        &[
            "spec.sinks[0].delta.partitionBy[0]: the sink writes no column `date`; write window_start, window_end, city \
           or \
             revenue",
        ],
    );
}

#[test]
fn an_expression_that_does_not_parse_or_type_is_refused_where_it_stands() {
    said(
        &[("where: price >= 0", "where: price >="), ("upper(city)", "uppper(city)")],
        &[
            "spec.steps[0].map.where: the expression does not parse: expected an expression, found the end",
            "spec.steps[0].map.columns[0].expr: there is no function `uppper`: did you mean `upper`?",
        ],
    );
    said(
        &[("where: price >= 0", "where: price + 1"), ("upper(city)", "upper(town)")],
        &[
            "spec.steps[0].map.where: a condition must be a boolean, and this is a double: compare it, as in `price > \
             0`",
            "spec.steps[0].map.columns[0].expr: there is no column `town`: the columns are city, price, ts, \
             _event_time",
        ],
    );
    said(
        &[("sum(price)", "price")],
        &["spec.steps[1].aggregate.columns[0].expr: `price` is neither grouped by nor inside an aggregate, so a \
             group has no single value of it: add it to groupBy, or take `max(price)`"],
    );
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

#[test]
fn columns_have_different_names_and_none_is_the_event_time() {
    said(
        &[("{name: price}]", "{name: city, expr: city}, {name: _event_time}, {name: price}]")],
        &[
            "spec.steps[0].map.columns[2].name: `_event_time` is the name of the event time, which every row carries \
             anyway; take another name",
            "spec.steps[0].map.columns[1].name: `city` is the name of spec.steps[0].map.columns[0].name too; columns \
             have different names",
        ],
    );
    said(
        &[("{name: revenue, expr", "{name: city, expr")],
        &["spec.steps[1].aggregate.columns[0].name: `city` is a group column already, and group columns are in the \
             output: choose another name, or leave it out"],
    );
    said(
        &[("{name: revenue, expr", "{name: window_end, expr")],
        &["spec.steps[1].aggregate.columns[0].name: `window_end` is a column that the window adds: choose another \
             name"],
    );
}

#[test]
fn metadata_columns_have_names_of_their_own_and_can_be_the_event_time_if_they_are_a_time() {
    let with = |columns: &str| format!("topics: [rides], metadataColumns: [{columns}]}}");
    said(
        &[(
            "topics: [rides]}",
            &with("{name: city, field: Topic}, {name: at, field: Offset}, {name: at, field: Partition}"),
        )],
        &[
            "spec.sources[0].kafka.metadataColumns[0].name: `city` is the name of \
             spec.sources[0].columns[0].name too; columns have different names",
            "spec.sources[0].kafka.metadataColumns[2].name: `at` is the name of \
             spec.sources[0].kafka.metadataColumns[1].name too; columns have different names",
        ],
    );
    said(
        &[("topics: [rides]}", &with("{name: at, field: Offset}")), ("expr: ts,", "expr: at,")],
        &["spec.sources[0].eventTime.expr: `at` is a bigint, and an event time is a timestamp: write \
             to_timestamp_seconds(at), to_timestamp_millis(at) or to_timestamp_micros(at), by the unit that it counts"],
    );
    said(&[("topics: [rides]}", &with("{name: at, field: Timestamp}")), ("expr: ts,", "expr: at,")], &[]);
    said(
        &[("topics: [rides]}", &with("{name: at, field: Time}"))],
        &[
            "spec.sources[0].kafka.metadataColumns[0].field: found the text `Time`: write Key, Value, Topic, Partition, \
             Offset, Timestamp, TimestampType or Headers",
        ],
    );
}

#[test]
fn a_type_that_is_none_is_refused_and_nothing_that_follows_from_it_is_said() {
    said(
        &[("type: double", "type: doubel")],
        &["spec.sources[0].columns[1].type: `doubel` is not a type; the types are boolean, int, bigint, \
             float, double, decimal(p,s), string, binary, date, timestamp, array<…> and struct<name: type, …>"],
    );
}

#[test]
fn a_name_that_delta_refuses_is_refused_before_the_first_commit() {
    said(
        &[("{name: revenue, expr", "{name: the revenue, expr")],
        &["spec.sinks[0].from: the column `the revenue` has ` ` in its name, which Delta refuses; rename it in a \
             map step"],
    );
    said(
        &[("{name: revenue, expr", "{name: City, expr")],
        &["spec.sinks[0].from: Delta can't tell the columns `city` and `City` apart; rename one in a map step"],
    );
}

#[test]
fn a_table_is_not_partitioned_by_a_float_nor_by_every_column() {
    said(
        &[("partitionBy: [city]", "partitionBy: [revenue]")],
        &["spec.sinks[0].delta.partitionBy[0]: the column `revenue` is a double; a table is partitioned by dates, \
             timestamps, texts, whole numbers, decimals or booleans"],
    );
    said(
        &[
            (
                "from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}",
                "from: only, delta: {uri: s3://lake/silver, partitionBy: [city]}",
            ),
            ("  sinks:", "  - {name: only, map: {from: revenue, columns: [{name: city}]}}\n  sinks:"),
        ],
        &["spec.sinks[0].delta.partitionBy: every column is a partition column, so that files would be empty; leave \
             at least one out"],
    );
}
