//! Errors in steps over the rows of each key, and in unnest.

use crate::right::told;

#[test]
fn wrong_steps_of_rows() {
    let groups: [(&str, &[&str]); 6] = [
        (
            "an unnest takes an array, and adds columns that are not there yet",
            &[
                "unnest: {from: rides, expr: city, as: c}",
                "unnest: {from: rides, expr: array(citty), as: c}",
                "unnest: {from: rides, expr: array(city), as: price}",
                "unnest: {from: rides, expr: array(city), as: c, position: c}",
                "unnest: {from: rides, expr: array(city), as: _event_time}",
                "unnest: {from: rides, expr: array(city), as: c, empty: keep}",
            ],
        ),
        (
            "a deduplication has columns as its key, and a time within which rows are compared",
            &[
                "deduplicate: {from: rides, key: [citty], within: 1h}",
                "deduplicate: {from: rides, key: [], within: 1h}",
                "deduplicate: {from: rides, key: [city, city], within: 1 hour}",
                "deduplicate: {from: rides, key: [_event_time], within: 1h}",
                "deduplicate: {from: rides, key: [upper(city)], within: 1h}",
                "deduplicate: {from: rides, key: [city]}",
            ],
        ),
        (
            "behind a step with keys there is no order of arrival",
            &[
                "deduplicate: {from: revenue, key: [city], within: 1h}",
                "deduplicate: {from: revenue, key: [city], within: 1h, order: EventTime}",
            ],
        ),
        (
            "an over has one frame, and a bound for its rows",
            &[
                "over: {from: rides, key: [city], addColumns: [{name: a, expr: avg(price)}]}",
                "over: {from: rides, key: [city], range: {preceding: 1h}, rows: {preceding: 3}, addColumns: [{name: \
                 a, expr: avg(price)}]}",
                "over: {from: rides, key: [city], rows: {preceding: 3}, addColumns: [{name: a, expr: avg(price)}]}",
                "over: {from: rides, key: [city], rows: {preceding: -1}, expireAfter: 1h, addColumns: [{name: a, \
                 expr: avg(price)}]}",
                "over: {from: rides, key: [city], range: {preceding: 1h}, expireAfter: 1h, addColumns: [{name: a, \
                 expr: avg(price)}]}",
            ],
        ),
        (
            "an over computes columns from the row and from aggregates",
            &[
                "over: {from: rides, key: [city], range: {preceding: 1h}, addColumns: [{name: a, expr: avg(prize)}]}",
                "over: {from: rides, key: [city], range: {preceding: 1h}, addColumns: [{name: a, expr: \
                 avg(sum(price))}]}",
                "over: {from: rides, key: [city], range: {preceding: 1h}, addColumns: [{name: a, expr: avg(price)}], \
                 dropColumns: [citty]}",
                "over: {from: rides, key: [city], range: {preceding: 1h}, addColumns: [{name: price, expr: price - \
                 avg(price)}], dropColumns: [price]}",
            ],
        ),
        (
            "a top ranks rows of windows",
            &[
                "top: {from: rides, key: [city], orderBy: [{expr: price}], limit: 3}",
                "top: {from: revenue, key: [city], orderBy: [{expr: revenu}], limit: 3}",
                "top: {from: revenue, key: [window_start], orderBy: [], limit: 3}",
                "top: {from: revenue, key: [city], orderBy: [{expr: revenue, direction: Down}], limit: 0}",
                "top: {from: revenue, key: [city], orderBy: [{expr: revenue}], limit: 3, window: {tumbling: {size: \
                 1h}}}",
                "top: {from: revenue, key: [city], orderBy: [{expr: array(city)}], limit: 3}",
            ],
        ),
    ];
    let mut all = String::new();
    for (what, steps) in groups {
        all += &format!("# {what}\n\n");
        for step in steps {
            // The sink makes the step part of the graph.
            let sink = "  sinks:\n  - {name: m, from: more, delta: {uri: s3://lake/m}}";
            all += &told(&[(step, &[&[("  sinks:", &format!("  - {{name: more, {step}}}\n{sink}"))]])]);
        }
    }
    insta::assert_snapshot!(all);
}
