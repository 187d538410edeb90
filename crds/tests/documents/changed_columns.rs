//! Maps with `addColumns` and `dropColumns`, and computed keys.

use weir_crds::load;
use weir_plan::plan::Input;

use crate::right::{RIGHT, told, with};

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

#[test]
fn wrong_changes_of_columns_and_outputs() {
    let topic = told(&[
        // As in Spark, where `withColumns` computes all columns from the input.
        (
            "an added column does not see another one",
            &[&[(MAP, "addColumns: [{name: dear, expr: price > 9}, {name: cheap, expr: not dear}]")]],
        ),
        (
            "changes that contradict themselves are refused by their place",
            &[
                &[(MAP, &format!("{MAP}\n      dropColumns: [ts]"))],
                &[(MAP, "addColumns: [{name: ts, expr: ts}]\n      dropColumns: [ts, tss, price, price]")],
                &[(MAP, "dropColumns: [city, price, ts]")],
                &[(MAP, "addColumns: [{name: a, expr: cty}, {name: a, expr: city}]")],
            ],
        ),
        (
            "outputs are named with their node",
            &[
                &[("from: revenue", "from: revenue.late")],
                &[("from: revenue", "from: revenue.Dead")],
                &[("from: revenue", "from: revenue.LateLeft")],
                &[("from: cleaned", "from: rides.Rejected"), ("from: revenue", "from: cleaned")],
            ],
        ),
    ]);
    insta::assert_snapshot!(topic);
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
