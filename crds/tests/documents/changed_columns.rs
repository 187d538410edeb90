//! Maps with `addColumns` and `dropColumns`, and computed keys.

use weir_crds::load;
use weir_plan::plan::Input;

use crate::right::{RIGHT, said, with};

const MAP: &str = "columns: [{name: city, expr: upper(city)}, {name: price}]";

/// The columns that the map gives with these changes in place of its `columns`.
fn mapped(changes: &str) -> Vec<String> {
    let plan = load(&with(&[(MAP, changes)]), None).unwrap_or_else(|found| panic!("{found:#?}"));
    plan.schema_of(Input::Step(0)).fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect()
}

#[test]
fn added_columns_stand_behind_the_inputs_or_in_place_of_one() {
    let ts = "ts Timestamp(µs, \"UTC\")";
    let time = "_event_time Timestamp(µs, \"UTC\")";
    assert_eq!(
        mapped("addColumns: [{name: dear, expr: price > 9}, {name: city, expr: length(city)}]"),
        ["city Int32", "price Float64", ts, "dear Boolean", time]
    );
    assert_eq!(mapped("dropColumns: [ts]"), ["city Utf8", "price Float64", time]);
    assert_eq!(
        mapped("addColumns: [{name: a, expr: city}, {name: b, expr: price}]\n      dropColumns: [ts]"),
        ["city Utf8", "price Float64", "a Utf8", "b Float64", time]
    );
}

/// As in Spark, where `withColumns` computes all columns from the input.
#[test]
fn an_added_column_does_not_see_another_one() {
    said(
        &[(MAP, "addColumns: [{name: dear, expr: price > 9}, {name: cheap, expr: not dear}]")],
        &["spec.steps[0].map.addColumns[1].expr: there is no column `dear`: the columns are city, price, ts, \
             _event_time"],
    );
}

#[test]
fn changes_that_contradict_themselves_are_refused_by_their_place() {
    said(
        &[(MAP, &format!("{MAP}\n      dropColumns: [ts]"))],
        &["spec.steps[0].map.columns: columns are all that go on: write either columns, or addColumns and \
             dropColumns, which change the input's"],
    );
    said(
        &[(MAP, "addColumns: [{name: ts, expr: ts}]\n      dropColumns: [ts, tss, price, price]")],
        &[
            "spec.steps[0].map.dropColumns[3]: `price` is the name of spec.steps[0].map.dropColumns[2] too; columns to \
             drop have different names",
            "spec.steps[0].map.dropColumns[1]: `rides` has no column `tss`; did you mean `ts`?",
            "spec.steps[0].map.dropColumns[0]: `ts` is in addColumns too, which replaces it: leave one out",
        ],
    );
    said(
        &[(MAP, "dropColumns: [city, price, ts]")],
        &["spec.steps[0].map.dropColumns: no column of `rides` is left: keep one at least"],
    );
    said(
        &[(MAP, "addColumns: [{name: a, expr: cty}, {name: a, expr: city}]")],
        &[
            "spec.steps[0].map.addColumns[1].name: `a` is the name of spec.steps[0].map.addColumns[0].name too; \
             columns \
             have different names",
            "spec.steps[0].map.addColumns[0].expr: there is no column `cty` (did you mean `city`?): the columns are \
             city, price, ts, _event_time",
        ],
    );
}

#[test]
fn a_sink_writes_what_it_does_not_drop() {
    let dropping = |columns: &str| {
        let sink = format!("name: silver, from: revenue, dropColumns: [{columns}]");
        RIGHT.replace("name: silver, from: revenue", &sink)
    };
    let plan = load(&dropping("window_end, revenue"), None).unwrap_or_else(|found| panic!("{found:#?}"));
    let names: Vec<_> = plan.sinks[0].schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!((names, plan.sinks[0].keeps.as_deref()), (vec!["window_start", "city"], Some(&[0, 2][..])));
    let refused = |columns: &str| load(&dropping(columns), None).unwrap_err()[0].to_string();
    assert_eq!(
        refused("revenu"),
        "spec.sinks[0].dropColumns[0]: `revenue` has no column `revenu`; did you mean `revenue`?"
    );
    assert_eq!(
        refused("window_start, window_end, city, revenue"),
        "spec.sinks[0].dropColumns: no column of `revenue` is left: keep one at least"
    );
    assert!(refused("city").starts_with("spec.sinks[0].delta.partitionBy[0]: "), "{}", refused("city"));
}

#[test]
fn outputs_are_named_with_their_node() {
    said(
        &[("from: revenue", "from: revenue.late")],
        &["spec.sinks[0].from: `revenue` has no output `late`: write revenue.Late"],
    );
    said(
        &[("from: revenue", "from: revenue.Dead")],
        &["spec.sinks[0].from: `revenue` has no output `Dead`: write revenue, revenue.Late or revenue.Rejected"],
    );
    said(
        &[("from: revenue", "from: revenue.LateLeft")],
        &["spec.sinks[0].from: `revenue` has no output `LateLeft`: write revenue, revenue.Late or revenue.Rejected"],
    );
    said(
        &[("from: cleaned", "from: rides.Rejected"), ("from: revenue", "from: cleaned")],
        &["spec.steps[1].aggregate.from: not supported yet: a step that reads `rides.Rejected`; a sink can read it"],
    );
}
