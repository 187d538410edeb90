//! What is refused when an expression is compiled, and in which words.

#![allow(clippy::unwrap_used)]

use super::{eval, refused, schema};
use crate::expr::{compile, compile_predicate};

fn check_refused(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        assert_eq!(refused(sql), *expected, "{sql}");
    }
}

#[test]
fn what_does_not_parse_is_refused_with_the_place() {
    check_refused(&[
        ("", "the expression is empty"),
        ("price >", "the expression does not parse: expected an expression, found the end"),
        ("(price", "the expression does not parse: expected ), found the end"),
        ("price > > 1", "the expression does not parse: expected an expression, found > at character 9"),
        ("'abc", "the expression does not parse: unterminated string literal at character 1"),
        ("price > 0 extra", "the expression ends at `price > 0`, but `extra` follows at character 11"),
        ("price; price", "the expression ends at `price`, but `;` follows at character 6"),
        ("price\n  city", "the expression ends at `price`, but `city` follows at line 2, character 3"),
    ]);
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let columns = "the columns are userId, city, price, weight, seats, amount, paid, day, ts, s, tags";
    for (sql, name, hint) in [
        ("ctiy", "ctiy", " (did you mean `city`?)"),
        ("upper(citty)", "citty", " (did you mean `city`?)"),
        ("userid", "userid", " (did you mean `userId`?)"),
        ("nothing_like_it", "nothing_like_it", ""),
        ("foo.bar", "foo", ""),
        ("a.b.c.d.e.f", "a", ""),
    ] {
        assert_eq!(refused(sql), format!("there is no column `{name}`{hint}: {columns}"));
    }
    check_refused(&[
        ("s.z", "the struct has no field `z`"),
        ("uper(city)", "there is no function `uper`: did you mean `upper`?"),
        ("median(price)", "the aggregate `median` is not supported yet: there are sum, avg, count, min, max"),
    ]);
    assert!(refused("cast(city as money)").starts_with("`money` is not a type; the types are boolean, int,"));
}

#[test]
fn what_would_differ_when_run_again_is_refused() {
    for sql in ["now()", "current_timestamp", "current_date", "coalesce(ts, now())", "case when paid then current_time() end"] {
        assert!(refused(sql).ends_with("would give another result when an epoch is run again: use `_event_time` or a column"), "{sql}");
    }
    for sql in ["random()", "uuid()", "price * random()"] {
        assert!(refused(sql).contains("would give another result when an epoch is run again"), "{sql}");
    }
    assert_eq!(refused("version()"), "there is no function `version`");
}

#[test]
fn what_has_no_meaning_for_one_row_is_refused() {
    let aggregate = "`sum(…)` is an aggregate, and an aggregate belongs in an aggregate step";
    let subquery = "a subquery cannot be used here: an expression sees one row";
    check_refused(&[
        ("sum(price)", aggregate),
        ("1 + sum(price)", aggregate),
        ("(select 1)", subquery),
        ("exists (select 1)", subquery),
        ("price in (select 1)", subquery),
        ("sum(price) over ()", "`sum(…) OVER` is a window function, which cannot be used here"),
        ("upper(distinct city)", "`upper(DISTINCT city)`: DISTINCT in `upper` is only for aggregates"),
        ("upper(city) filter (where true)", "`upper(city) FILTER (WHERE true)`: FILTER in `upper` is only for aggregates"),
        ("upper(*)", "`upper(*)`: `*` is only for `count(*)`, `upper` takes a column"),
        ("unnest(tags)", "`unnest` gives several rows for one, which is a step's work and not an expression's"),
        ("ts at time zone 'Europe/Paris'", "`AT TIME ZONE` is not supported yet: times are in UTC"),
        ("$1", "`$1` is a parameter, and there are none: write the value"),
        ("@x", "`@x` is a variable, and there are none: name a column"),
        ("tags[1]", "items of an array cannot be picked yet"),
        ("[1, 2]", "`[1, 2]`: arrays and maps cannot be written out yet"),
    ]);
    assert!(compile("*", &schema(), "out").is_err());
}

#[test]
fn what_no_column_can_hold_is_refused() {
    check_refused(&[
        ("null", "this is always null, and a null has no type: cast it, as in `cast(null as string)`"),
        ("ts - ts", "its type is duration(µs), which no column can hold: cast it, to a bigint or a string"),
    ]);
    assert!(refused("interval '1 day'").starts_with("its type is interval"));
    assert!(refused("cast(city as time)").starts_with("its type is time64"));
    assert_eq!(eval("cast(null as string)"), "string: null | null | null");
}

#[test]
fn types_that_do_not_go_together_are_refused_in_their_own_names() {
    check_refused(&[
        ("city + 1", "Cannot coerce arithmetic expression string + bigint to valid types"),
        ("price and true", "Cannot infer common argument type for logical boolean operation double AND boolean"),
        ("upper(city, city)", "Function 'upper' expects 1 arguments but received 2"),
        ("abs(city)", "Function 'abs' expects Numeric but received String"),
        ("round(city)", "`round` does not take a string"),
        ("price = 'abc'", "Cannot cast string 'abc' to value of double type"),
    ]);
}

#[test]
fn a_predicate_must_be_a_boolean() {
    assert_eq!(compile_predicate("price > 0", &schema()).unwrap().field.data_type(), &arrow::datatypes::DataType::Boolean);
    let refused = |sql: &str| compile_predicate(sql, &schema()).unwrap_err().to_string();
    assert_eq!(refused("price"), "a condition must be a boolean, and this is a double: compare it, as in `price > 0`");
    assert_eq!(refused("upper(city)"), "a condition must be a boolean, and this is a string: compare it, as in `price > 0`");
}
