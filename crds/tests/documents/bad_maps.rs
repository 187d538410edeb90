//! Maps where their keys are wrong, and where values are compared: every such place says so with its path.

use crate::right::said;

const COLUMN: &str = "- {name: price, type: double, required: true}";
const STEPS: &str = "  steps:\n";

/// What is said of a column of this type.
fn of_column(data_type: &str, expected: &[&str]) {
    let column = format!("{COLUMN}\n    - {{name: m, type: \"{data_type}\"}}");
    said(&[(COLUMN, &column)], expected);
}

#[test]
fn a_source_has_maps_of_strings() {
    for right in ["map<string, double>", "array<map<string, struct<a: map<string, int>>>>"] {
        of_column(right, &[]);
    }
    let keys_are = |found: &str, keys: &str| {
        format!(
            "spec.sources[0].columns[2].type: found `{found}`, whose keys are {keys}, and the names in a JSON object are \
             strings: write `map<string, …>`"
        )
    };
    for (found, keys) in [
        ("map<int, double>", "int"),
        ("array<map<date, int>>", "date"),
        ("struct<a: map<string, map<bigint, int>>>", "bigint"),
    ] {
        of_column(found, &[&keys_are(found, keys)]);
    }
    of_column("map<string>", &["spec.sources[0].columns[2].type: `map<string>` has `>` where `,` should be"]);
}

/// What is said of a step over rows with the columns `m`, a map, and `s`, a struct with a map, beside that nothing
/// reads it.
fn of_step(step: &str, expected: &[&str]) {
    let columns = format!(
        "{COLUMN}\n    - {{name: m, type: \"map<string, double>\"}}\n    - {{name: s, type: \"struct<m: map<string, \
         int>>\"}}"
    );
    let step = format!("  steps:\n  - name: wrong\n    {step}\n");
    let unread = "spec.steps[0]: nothing reads `wrong`, so it leads to no sink; let a sink or a step read it, or leave it \
                  out";
    let all: Vec<&str> = [unread].into_iter().chain(expected.iter().copied()).collect();
    said(&[(COLUMN, &columns), (STEPS, &step)], &all);
}

#[test]
fn a_map_is_no_key_and_no_rank() {
    let no_key = |path: &str, name: &str, what: &str| {
        format!(
            "spec.steps[0].{path}: rows cannot be compared by `{name}`, since {what} is no one value: compute a text or a \
             number from it in a map step before"
        )
    };
    let grouped =
        "aggregate: {from: rides, window: {tumbling: {size: 5m}}, columns: [{name: x, expr: count(*)}], groupBy: ";
    of_step(
        &format!("{grouped}[{{name: m}}]}}"),
        &[
            "spec.steps[0].aggregate.groupBy[0].name: rows cannot be grouped by `m`, since a map is no one value: group by \
           one of its values, as in {name: a, expr: \"m['a']\"}",
        ],
    );
    of_step(
        &format!("{grouped}[{{name: m2, expr: \"map_concat(m, m)\"}}]}}"),
        &[
            "spec.steps[0].aggregate.groupBy[0].expr: rows cannot be grouped by `map_concat(m, m)`, since a map is no one \
           value: group by one of its values, as in {name: a, expr: \"m['a']\"}",
        ],
    );
    of_step(&format!("{grouped}[{{name: a, expr: \"m['a']\"}}]}}"), &[]);
    of_step("deduplicate: {from: rides, key: [m], within: 1h}", &[&no_key("deduplicate.key[0]", "m", "a map")]);
    of_step("deduplicate: {from: rides, key: [s], within: 1h}", &[&no_key("deduplicate.key[0]", "s", "a struct")]);
    of_step(
        "over: {from: rides, key: [m], range: {preceding: 5m}, addColumns: [{name: x, expr: count(*)}]}",
        &[&no_key("over.key[0]", "m", "a map")],
    );
    let top = "top: {from: rides, window: {tumbling: {size: 5m}}, limit: 2, ";
    of_step(&format!("{top}key: [m], orderBy: [{{expr: price}}]}}"), &[&no_key("top.key[0]", "m", "a map")]);
    of_step(
        &format!("{top}key: [city], orderBy: [{{expr: m}}]}}"),
        &["spec.steps[0].top.orderBy[0].expr: found `m`, which is no one value: rank by a number, a text or a time"],
    );
    said(
        &[
            (COLUMN, &format!("{COLUMN}\n    - {{name: m, type: \"map<string, double>\"}}")),
            (
                "- {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}",
                "- {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}\n  - {name: raw, from: \
            rides, delta: {uri: s3://lake/raw, partitionBy: [m]}}",
            ),
        ],
        &[
            "spec.sinks[1].delta.partitionBy[0]: the column `m` is a map<string, double>; a table is partitioned by dates, \
           timestamps, texts, whole numbers, decimals or booleans",
        ],
    );
}

#[test]
fn aggregates_that_compare_take_no_map_and_those_that_keep_values_do() {
    for (call, name) in [
        ("count(distinct m)", "count_distinct"),
        ("approx_count_distinct(m)", "approx_count_distinct"),
        ("collect_set(m)", "collect_set"),
        ("min(m)", "min"),
        ("max(m)", "max"),
        ("min_by(city, m)", "min_by"),
    ] {
        of_step(
            &format!(
                "aggregate: {{from: rides, window: {{tumbling: {{size: 5m}}}}, columns: [{{name: x, expr: \"{call}\"}}]}}"
            ),
            &[&format!(
                "spec.steps[0].aggregate.columns[0].expr: `{name}` takes numbers, strings, dates, timestamps and booleans, \
                 and `m` is a map<string, double>"
            )],
        );
    }
    for call in
        ["first(m)", "last(s)", "min_by(m, price)", "max_by(s, city)", "collect_list(m)", "array_agg(s)", "count(m)"]
    {
        of_step(
            &format!(
                "aggregate: {{from: rides, window: {{tumbling: {{size: 5m}}}}, columns: [{{name: x, expr: \"{call}\"}}]}}"
            ),
            &[],
        );
    }
}

#[test]
fn an_unnest_takes_the_entries_of_a_map() {
    of_step(
        "unnest: {from: rides, expr: m, as: entry}",
        &[
            "spec.steps[0].unnest.expr: found `m`, which gives the type map<string, double>: write `map_entries(m)` for its \
           entries",
        ],
    );
    of_step("unnest: {from: rides, expr: map_entries(m), as: entry}", &[]);
}

#[test]
fn maps_are_not_compared_in_conditions() {
    of_step(
        "map: {from: rides, where: s = s}",
        &["spec.steps[0].map.where: `=` can't compare a struct<m: map<string, int>> (`s`): a map has no order and no \
           equality, so compare one of its values, as in `m['a']`"],
    );
}
