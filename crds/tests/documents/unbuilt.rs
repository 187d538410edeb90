//! What is still to be built is refused by its path, and hides nothing that is wrong beside it or behind it.

use crate::right::said;

const WINDOW: (&str, &str) = ("window: {tumbling: {size: 5m}}", "window: {session: {gap: 30m}}");
const NO_SESSIONS: &str =
    "spec.steps[1].aggregate.window.session: not supported yet: write tumbling: {size: 5m} in its place";

#[test]
fn the_columns_of_an_aggregate_whose_window_is_unbuilt_are_known_behind_it() {
    said(
        &[WINDOW, ("partitionBy: [city]", "partitionBy: [citty]")],
        &[NO_SESSIONS, "spec.sinks[0].delta.partitionBy[0]: the sink writes no column `citty`; did you mean `city`?"],
    );
}

#[test]
fn the_columns_of_an_aggregate_whose_window_is_unbuilt_are_judged() {
    said(
        &[WINDOW, ("sum(price)", "sum(prize)")],
        &[
            NO_SESSIONS,
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
            (unbuilt, "deduplicate: {from: ridess, key: [city], within: 1h}"),
            ("[{name: city}]", "[{name: city, expr: uper(city)}]"),
            ("sum(price)", "sum(price"),
        ],
        &[
            "spec.steps[0].deduplicate: not supported yet; leave it out",
            "spec.steps[0].deduplicate.from: there is no source or step `ridess`; did you mean `rides`?",
            "spec.steps[1].aggregate.groupBy[0].expr: there is no function `uper`: did you mean `upper`?",
            "spec.steps[1].aggregate.columns[0].expr: the expression does not parse: expected ), found the end",
        ],
    );
}

#[test]
fn the_columns_of_a_source_whose_format_is_unbuilt_are_known() {
    said(
        &[("format: {json: {}}", "format: {avro: {}}"), ("expr: upper(city)", "expr: upper(citty)")],
        &[
            "spec.sources[0].format.avro: not supported yet; leave it out",
            "spec.steps[0].map.columns[0].expr: there is no column `citty` (did you mean `city`?): the columns are \
             city, price, ts, _event_time",
        ],
    );
}
