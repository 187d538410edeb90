//! Typical errors of people who know another language or mistype, and what they are told to write.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::{eval, failed, refused};
use crate::expr::compile;
use crate::types::{Column, DataType};

#[test]
fn signs_of_other_languages_are_refused_with_what_to_write() {
    let stops = |what: &str| format!("the expression does not parse: {what}");
    for (sql, said) in [
        ("seats =! 3", stops("expected an expression, found `!` at character 8: write `<>`")),
        ("seats =< 3", stops("expected an expression, found `<` at character 8: write `<=`")),
        ("seats >< 3", stops("expected an expression, found `<` at character 8: write `<>`")),
        ("seats !> 3", stops("there is no operator `!` at character 7: write `<=`")),
        ("seats ** 2", stops("expected an expression, found `*` at character 8: write `power(…, …)`")),
        ("seats >>> 2", stops("expected an expression, found `>` at character 9: write `>>`, which keeps the sign")),
        ("*", stops("expected an expression, found `*` at character 1: `*` stands for no value: name a column")),
        (
            "city in ['a', 'b']",
            stops("expected `(`, found `[` at character 9: write a list in parentheses, as in `in ('a', 'b')`"),
        ),
        ("paid # comment", stops("there is no operator `#` at character 6: a comment follows `--`")),
        (
            "price is nan",
            stops(
                "expected null, not null, true, false or distinct from … after `is`, found `nan` at character 10: write \
                 `isnan(…)`",
            ),
        ),
        (
            "city is 'Paris'",
            stops(
                "expected null, not null, true, false or distinct from … after `is`, found `'Paris'` at character 9: \
                 write `=` or `<>` to compare values",
            ),
        ),
        ("seats === 3", stops("expected an expression, found `=` at character 9: write `=`")),
        (
            "seats += 3",
            stops(
                "expected an expression, found `=` at character 8: an expression gives a value and changes none: leave \
                 `=` out",
            ),
        ),
        (
            "seats > 3 and < 5",
            stops(
                "expected an expression, found `<` at character 15: write a whole comparison on both sides, as in `1 < \
                 price and price < 5`",
            ),
        ),
        (
            "'a' in city",
            stops(
                "expected `(`, found `city` at character 8: write a list in parentheses, as in `in ('a', 'b')`, or \
                 `contains(…, …)` for a text within a text",
            ),
        ),
        ("seats between 1, 2", stops("expected `and`, found `,` at character 16: write `between … and …`")),
        (
            "city = ‘Paris’",
            stops("expected an expression, found `‘` at character 8: write straight quotes, as in `'Paris'`"),
        ),
        ("cast(price as decimal(12.2))", stops("`12.2` is no whole number at character 23: write `decimal(12,2)`")),
        (
            "cast(price as 'int')",
            stops(
                "expected a data type name, found `'int'` at character 15: a type stands without quotes, as in `cast(… \
                 as int)`",
            ),
        ),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
}

#[test]
fn what_follows_a_whole_expression_is_told_with_what_to_write() {
    for (sql, ended, follows, advice) in [
        ("seats => 3", "seats", "=>", "write `>=`"),
        ("price > 1,000", "price > 1", ",", "write a number without separators, and its fraction behind a point"),
        ("city, price", "city", ",", "an expression gives one value: write one column for each"),
        ("1.5d", "1.5", "d", "numbers have no letters: write a cast, as in `cast(1.5 as double)`"),
        ("paid ? 1 : 2", "paid", "?", "write `case when … then … else … end`"),
        ("price isnull", "price", "isnull", "write `is null`"),
        ("seats mod 2", "seats", "mod", "write `%`"),
        ("city startswith 'a'", "city", "startswith", "write `starts_with(…, …)`"),
        ("price as total", "price", "as", "the column's name is its `name`: leave `as …` out"),
        ("where paid", "where", "paid", "this is an expression and no query: write what follows alone"),
        ("price if paid else 0", "price", "if", "write `case when … then … else … end`"),
        ("price eq 3", "price", "eq", "write `=`"),
        ("city matches 'a'", "city", "matches", "write `regexp_like(…, …)`"),
        ("ts - 5 min", "ts - 5", "min", "write an interval with its unit, as in `interval '5 minutes'`"),
        ("ts + 1 day", "ts + 1", "day", "write an interval with its unit, as in `interval '5 minutes'`"),
        ("(int) price", "(int)", "price", "write `cast(… as int)`"),
        ("cast price as int", "cast", "price", "write `cast(… as …)`"),
        ("round price", "round", "price", "a function's arguments stand in parentheses: write `round(…)`"),
        ("distinct city", "distinct", "city", "an expression sees one row: leave it out"),
        (
            "city.substring(1, 2)",
            "city.substring",
            "(",
            "there are no methods, only functions: write `substring(city, …)`",
        ),
        ("f\"{city}\"", "f", "\"{city}\"", "join texts by `||`, as in `city || '-' || seats`"),
        ("if paid then 1 end", "if", "paid", "write `case when … then … else … end`"),
        (
            "case when paid then 1",
            "case",
            "when",
            "every `case` has a `when`, a `then` and an `end`: write `case when … then … else … end`",
        ),
    ] {
        let said = refused(sql);
        let begins = format!("the expression ends at `{ended}`, but `{follows}` follows at character ");
        assert!(said.starts_with(&begins) && said.ends_with(&format!(": {advice}")), "{sql}: {said}");
    }
}

#[test]
fn operators_on_what_they_do_not_take_are_told_with_what_is_meant() {
    for (sql, said) in [
        (
            "paid || seats",
            "`||` joins two strings, and found a boolean (`paid`) and an int (`seats`): write `or` if one of two \
             conditions is meant",
        ),
        ("city =~ '^P'", "the operator `~` before a value is not supported: `regexp_like(…, …)` tests a text"),
        (
            "ts + interval '5 foo'",
            "`5 foo` is no interval: write numbers with their units, as in `interval '1 hour 30 minutes'`",
        ),
        ("regexp_like(city, '(')", "the regular expression has a fault: unclosed group"),
        (
            "trunc(ts, 'MM')",
            "`trunc` takes numbers, and found a timestamp (`ts`) and a string: write \
                             `date_trunc('month', …)` for a time",
        ),
        (
            "ts - ts",
            "this is an interval, which no column can hold: add it to a time, or subtract `to_unixtime(…)` of \
                     two times for the seconds between them",
        ),
        ("city.upper()", "`city.upper()` calls a method, and there are only functions: write `upper(city)`"),
        (
            "trim(city).upper()",
            "`TRIM(city).upper()` calls a method, and there are only functions: write `upper(TRIM(city))`",
        ),
        ("tags.sku", "an array has no fields to pick from"),
        ("tags[0].sku", "a bigint has no fields to pick from"),
        ("s[\"a\"]", "`[\"a\"]` names a column; a field's name stands in single quotes: write `['a']`"),
        ("+city", "`+` before a value takes a number, and found none"),
        ("rides.city", "there is no column `rides`: columns stand without the name of their input, so write `city`"),
        (
            "city = \"Paris\"",
            "there is no column `Paris`: a text stands in single quotes, `'Paris'`, and a column's name in double \
             quotes",
        ),
        (
            "cast(s as decimal(10,2))",
            "a struct<a: int, inner: struct<b: string>> (`s`) can't be cast to a \
                                      decimal(10,2)",
        ),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
}

#[test]
fn a_type_that_is_none_here_is_refused_as_in_a_column() {
    for name in ["timestamp_ntz", "datetime", "json", "uuid", "int64", "short", "number"] {
        assert_eq!(refused(&format!("cast(city as {name})")), DataType::parse(name).unwrap_err(), "{name}");
    }
}

/// There are no narrow integers as column types, but a cast to one keeps its range.
#[test]
fn casts_to_narrow_integers_give_an_int_and_keep_their_range() {
    for (name, greatest) in [("smallint", 32_767), ("tinyint", 127)] {
        let fits = format!("cast({greatest} + seats * 0 as {name})");
        assert_eq!(eval(&fits), format!("int: {greatest} | {greatest} | null"));
        let failed = failed(&format!("cast({} + seats * 0 as {name})", greatest + 1));
        assert!(failed.contains(&format!("`{}`", greatest + 1)), "{failed}");
    }
}

/// `mod` is not a misspelling of `cos`.
#[test]
fn only_a_slip_of_the_pen_is_suggested() {
    for (sql, meant) in [
        ("uper(city)", Some("upper")),
        ("substrng(city, 1)", Some("substring")),
        ("dateformat(ts, 'y')", Some("date_format")),
        ("pricee", Some("price")),
        ("ctiy", Some("city")),
        ("PRICE", Some("price")),
        ("paris", None),
        ("dat", None),
        ("s.iner", Some("inner")),
        ("s.inner.bb", None),
        ("abz(seats)", None),
        ("lcaseup(city)", None),
    ] {
        let said = refused(sql);
        let found = said.split_once("did you mean `").and_then(|(_, rest)| rest.split('`').next());
        assert_eq!(found, meant, "{sql}: {said}");
    }
}

#[test]
fn a_column_that_is_a_word_of_sql_is_told_to_stand_in_quotes() {
    let named = |name: &str| Column { name: name.into(), data_type: DataType::Int, nullable: true }.to_field();
    let schema = Arc::new(Schema::new(["interval", "price"].map(named).to_vec()));
    for (sql, name) in [("interval > 3", "interval"), ("interval", "interval"), ("price + interval", "interval")] {
        let said = compile(sql, &schema, "out").unwrap_err().to_string();
        let advice = format!("; `{name}` is a word of SQL, and as a column it stands in double quotes: write `");
        assert!(said.contains(&advice), "{sql}: {said}");
        assert!(compile(&sql.replace(name, &format!("\"{name}\"")), &schema, "out").is_ok(), "{sql}");
    }
    let said = compile("price >", &schema, "out").unwrap_err().to_string();
    assert_eq!(said, "the expression does not parse: expected an expression, found the end");
}
