//! What a message advises can be written: the advised expression compiles.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::{refused, schema};
use crate::expr::methods::METHODS;
use crate::expr::{check_syntax, compile, compile_predicate};
use crate::types::{Column, DataType};

/// Checks that the message about each expression has the advice, and that the advice compiles.
fn check_advice(cases: &[(&str, &str)]) {
    for (sql, advice) in cases {
        let said = refused(sql);
        assert!(said.contains(&format!("`{advice}`")), "{sql}: {said}");
        compile(advice, &schema(), "out").unwrap_or_else(|e| panic!("{sql}: {advice}: {e}"));
    }
}

#[test]
fn conditions_joined_by_signs_are_told_in_words() {
    check_advice(&[
        ("price > 1 && price < 3", "price > 1 and price < 3"),
        ("price > 1&&price < 3", "price > 1 and price < 3"),
        ("price > 1 || price < 3", "price > 1 or price < 3"),
        ("city = 'a' || city = 'b || c'", "city = 'a' or city = 'b || c'"),
        ("paid || seats > 3", "paid or seats > 3"),
        ("!paid", "not paid"),
        ("!(paid || price > 3) && !paid", "not (paid or price > 3) and not paid"),
    ]);
    let said = compile_predicate("paid && price > 1", &schema()).unwrap_err().to_string();
    assert_eq!(
        said,
        "conditions are joined by the words `and`, `or` and `not`, and not by `&&`, `||` and `!`: write `paid and \
         price > 1`"
    );
    // Words would not mend these.
    assert!(refused("s || price > 1").starts_with("`||` joins two strings"), "{}", refused("s || price > 1"));
    // `||` within a text stays where another sign is meant.
    check_advice(&[
        ("paid && city || 'x' = 'Lyonx'", "paid and city || 'x' = 'Lyonx'"),
        ("case when paid && seats > 1 then city end", "case when paid and seats > 1 then city end"),
    ]);
}

/// The parser stops at the first slip; all of them are told.
#[test]
fn several_slips_are_told_at_once() {
    let named = |name: &str, data_type| Column { name: name.into(), data_type, nullable: true }.to_field();
    let columns = vec![
        named("paid", DataType::Boolean),
        named("interval", DataType::Int),
        named("price", DataType::Double),
        named("city", DataType::String),
    ];
    let schema: SchemaRef = Arc::new(Schema::new(columns));
    let signs = "conditions are joined by the words `and`, `or` and `not`, and not by `&&`, `||` and `!`";
    let named = "and `interval` is a word of SQL, which stands in double quotes as a column";
    for (sql, said) in [
        ("paid && interval > 3", format!("{signs}, {named}: write `paid and \"interval\" > 3`")),
        ("paid || interval > 3", format!("{signs}, {named}: write `paid or \"interval\" > 3`")),
        ("!paid || 3 < interval", format!("{signs}, {named}: write `not paid or 3 < \"interval\"`")),
        ("paid && price > interval '3 days'", format!(
            "{signs}: write `paid and price > interval '3 days'`; besides, `>` can't compare a double (`price`) and an \
             interval: write an interval, as in `interval '5 minutes'`"
        )),
        (
            "interval > 3 && paid",
            format!(
                "{signs}, {named}: write `'\"interval\" > 3 and paid'`, with the single quotes for YAML, which takes \
                 the outer quotes off"
            ),
        ),
        (
            "paid && nothing > 1",
            format!(
                "{signs}: write `paid and nothing > 1`; besides, there is no column `nothing`: the columns are paid, \
                 interval, price, city"
            ),
        ),
        (
            "paid && interval > 3 && city = \"Paris\"",
            format!(
                "{signs}, {named}: write `paid and \"interval\" > 3 and city = \"Paris\"`; besides, there is no column \
                 `Paris`: a text stands in single quotes, `'Paris'`, and a column's name in double quotes"
            ),
        ),
        (
            "paid && interval > 3 && price =< 3 and city = \"Paris\"",
            "the expression does not parse: expected an expression, found `>` at character 18; conditions are joined by \
             `and` and `or`, and not by `&&`; `interval` is a word of SQL, and as a column it stands in double quotes, \
             `\"interval\"`; a text stands in single quotes, `'Paris'`"
                .to_owned(),
        ),
        (
            "price =< 3 && !paid",
            "the expression does not parse: expected an expression, found `<` at character 8: write `<=`; conditions \
             are joined by `and` and `or`, and not by `&&`; a condition is negated by `not`, and not by `!`"
                .to_owned(),
        ),
    ] {
        assert_eq!(compile_predicate(sql, &schema).unwrap_err().to_string(), said, "{sql}");
    }
    let many: Vec<_> = (0..1000).map(|i| format!("\"text {i}\"")).collect();
    let said = compile_predicate(&many.join(" "), &schema).unwrap_err().to_string();
    assert_eq!(said.matches("single quotes").count(), 5, "{said}");
    // Without the columns, any name may be one.
    assert_eq!(
        check_syntax("a && interval >= 3").unwrap_err().to_string(),
        "the expression does not parse: expected an expression, found `>=` at character 15; conditions are joined by \
         `and` and `or`, and not by `&&`; `interval` is a word of SQL, and as a column it stands in double quotes, \
         `\"interval\"`"
    );
}

#[test]
fn what_the_parser_expected_and_found_stands_in_backticks() {
    for (sql, said) in [
        ("cast(city int)", "expected `as`, found `int` at character 11"),
        ("extract(year ts)", "expected `FROM` or `,`"),
        ("upper(city", "expected `)`, found the end"),
        (
            "city = 'Paris",
            "unterminated string literal at character 8: a text ends with a single quote, and a quote \
            within it is written twice, as in `'it''s'`",
        ),
        ("city = \"Paris", "expected `\"`, which ends a name, found the end at character 8"),
        ("city /* a comment", "expected `*/`, which ends a comment, found the end at character 18"),
    ] {
        assert_eq!(refused(sql), format!("the expression does not parse: {said}"), "{sql}");
    }
}

#[test]
fn comparisons_of_unlike_types_are_told_what_to_compare_with() {
    check_advice(&[
        ("ts > 1700000000", "to_timestamp_seconds(1700000000)"),
        ("ts > 1700000000000", "to_timestamp_millis(1700000000000)"),
        ("1700000000000000 < ts", "to_timestamp_micros(1700000000000000)"),
        ("ts > userId", "to_timestamp_seconds(userId)"),
        ("ts > userId", "to_timestamp_millis(userId)"),
        ("ts between 1700000000 and 1800000000", "to_timestamp_seconds(1700000000)"),
        ("ts in (1700000000, 1800000000)", "to_timestamp_seconds(1700000000)"),
        ("day > 20240131", "date '2024-01-31'"),
        ("day in (20240131)", "date '2024-01-31'"),
        ("day between seats and 5", "date '2024-01-31'"),
        ("paid = 1", "paid"),
        ("paid = 'yes'", "not paid"),
        ("1 < price < 5", "1 < price and price < 5"),
        ("city = price", "cast(city as double)"),
        ("city > 5", "cast(city as bigint)"),
        ("city = ts", "cast(city as timestamp)"),
        ("seats and price > 5", "price > 1 and price < 5"),
        ("city = 'a' or 'b'", "price > 1 or price < 5"),
        ("ts + 5", "ts + interval '5 minutes'"),
        ("ts - '5 minutes'", "ts - interval '5 minutes'"),
        ("city + '-'", "city || '-'"),
        ("city * 2", "cast(city as bigint)"),
    ]);
    let interval = refused("ts - ts > 5");
    assert!(interval.ends_with(": write an interval, as in `interval '5 minutes'`"), "{interval}");
    compile("ts - ts > interval '5 minutes'", &schema(), "out").unwrap();
    assert!(refused("s = 1").ends_with("name a field of the struct, as in `….a`"));
    assert!(
        refused("tags = 1")
            .ends_with("an array has no single value: write `array_contains(…, …)`, or an item, as in `tags[0]`")
    );
}

#[test]
fn methods_are_told_as_functions_and_operators() {
    check_advice(&[
        ("city.isNull()", "city is null"),
        ("city.isNotNull()", "city is not null"),
        ("s.inner.b.isNull()", "s.inner.b is null"),
        ("city.upper()", "upper(city)"),
        ("city.toUpperCase()", "upper(city)"),
        ("city.startsWith('P')", "startswith(city, 'P')"),
        ("city.contains('a')", "contains(city, 'a')"),
        ("city.isin('a', 'b')", "city in ('a', 'b')"),
        ("price.between(1, 2)", "price between 1 and 2"),
        ("price.cast('decimal(10,2)')", "cast(price as decimal(10,2))"),
        ("price.alias('p')", "price"),
        ("city.length()", "length(city)"),
        ("trim(city).upper()", "upper(TRIM(city))"),
        ("lower(city).initcap().toUpperCase()", "upper(initcap(lower(city)))"),
        ("ts.hour()", "hour(ts)"),
        ("Math.round(price)", "round(price)"),
        ("F.upper(city)", "upper(city)"),
        ("Math.max(price, 3)", "greatest(price, 3)"),
        ("cast(price, 'decimal(10,2)')", "cast(price as decimal(10,2))"),
        ("convert(price, 'int')", "cast(price as int)"),
    ]);
    assert_eq!(
        refused("city.frobnicate()"),
        "`city.frobnicate()` calls a method, and there are only functions, none of them `frobnicate`"
    );
    assert!(refused("F.col('price')").contains("write the name of the column alone"));
    assert!(refused("upper(city).otherwise(2)").contains("write `case when … then … else … end`"));
}

#[test]
fn every_method_is_told_as_what_can_be_written() {
    for (method, template) in METHODS {
        let sql = match *method {
            "alias" | "cast" | "astype" => format!("city.{method}('string')"),
            "between" | "replaceall" => format!("city.{method}('a', 'b')"),
            "gettime" | "getfullyear" => format!("ts.{method}()"),
            "tofixed" => format!("price.{method}(2)"),
            _ if template.contains("$2") || template.contains("$*") => format!("city.{method}('a')"),
            _ => format!("city.{method}()"),
        };
        let said = refused(&sql);
        let (_, written) = said.rsplit_once(": write `").unwrap_or_else(|| panic!("{sql}: {said}"));
        let written = written.trim_end_matches('`');
        compile(written, &schema(), "out").unwrap_or_else(|e| panic!("{sql}: {written}: {e}"));
    }
}

/// What is left of a value in a document when YAML has taken off its quotes.
fn without_yamls_quotes(written: &str) -> String {
    if let Some(inner) = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inner.replace("''", "'");
    }
    let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| written.to_owned(), |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"))
}

#[test]
fn advice_about_a_whole_expression_has_the_quotes_that_yaml_takes_off() {
    let named = |name: &str| Column { name: name.into(), data_type: DataType::Int, nullable: true }.to_field();
    let schema: SchemaRef = Arc::new(Schema::new(["interval", "price"].map(named).to_vec()));
    for (sql, written) in [
        ("interval", r#"'"interval"'"#),
        ("interval > 3", r#"'"interval" > 3'"#),
        ("interval > 3 or 'a' = 'b'", r#"'"interval" > 3 or ''a'' = ''b'''"#),
        ("price + interval", r#"price + "interval""#),
        ("France", r#""'France'""#),
        (r#""France""#, r#""'France'""#),
        ("New York", r#""'New York'""#),
    ] {
        let said = compile(sql, &schema, "out").unwrap_err().to_string();
        assert!(said.contains(&format!("`{written}`")), "{sql}: {said}");
        let expression = without_yamls_quotes(written);
        compile(&expression, &schema, "out").unwrap_or_else(|e| panic!("{sql}: {expression}: {e}"));
    }
    // Within an expression, YAML leaves quotes alone.
    for (sql, text) in [("price > France", "'France'"), (r#"price > "it's""#, "'it''s'")] {
        let said = compile(sql, &schema, "out").unwrap_err().to_string();
        assert!(said.contains(&format!("`{text}`")), "{sql}: {said}");
    }
    // Quotes do not mend an expression that is wrong elsewhere.
    let said = compile("price + interval 5 min", &schema, "out").unwrap_err().to_string();
    assert!(!said.contains("double quotes"), "{said}");
}

#[test]
fn arguments_in_another_order_and_with_more_digits_are_told() {
    check_advice(&[
        ("date_trunc(ts, 'day')", "date_trunc('day', ts)"),
        ("datetrunc(day, 'month')", "date_trunc('month', day)"),
        ("date_part(ts, 'year')", "date_part('year', ts)"),
        ("ceil(amount, 1)", "ceil(amount * 10) / 10.0"),
        ("floor(price + 1, 2)", "floor((price + 1) * 100) / 100.0"),
        ("ceil(amount, 0)", "ceil(amount * 1) / 1.0"),
    ]);
    assert_eq!(
        refused("date_trunc(ts + interval '1 day', 'hour')"),
        "`date_trunc` takes the unit first: write `date_trunc('hour', …)`"
    );
    // Spark's `ceil(-0.05, 1)` is 0.0 and `ceil(19.99, 1)` is 20.0.
    super::check(&[("cast(ceil(amount * 10) / 10.0 as decimal(10,1))", "decimal(10,1): 20.0 | 0.0 | null")]);
    assert!(refused("date_format(ts, 'YYYY-MM-DD')").ends_with("; for a date write `yyyy-MM-dd`"));
    assert!(refused("to_date(city, 'DD/MM/YYYY')").ends_with("; for a date write `dd/MM/yyyy`"));
    assert!(!refused("date_format(ts, 'YYYY-ww')").contains("for a date"));
}

#[test]
fn fields_are_picked_from_what_a_function_gives() {
    super::check(&[
        ("named_struct('a', city).a", "string: Paris | Lyon | null"),
        ("struct(city, seats).seats", "int: 3 | 0 | null"),
        ("struct(struct(city) as s).s.city", "string: Paris | Lyon | null"),
        ("coalesce(s, s).inner.b", "string: x | null | null"),
    ]);
    assert_eq!(refused("named_struct('a', city).b"), "the struct has no field `b`");
    assert_eq!(refused("upper(city).b"), "a string has no fields to pick from");
}

#[test]
fn aggregates_of_distinct_values_are_told_in_two_steps() {
    assert_eq!(
        check_syntax("avg(distinct price)").unwrap_err().to_string(),
        "`avg(DISTINCT price)`: an aggregate of distinct values takes two steps: the first has `price` and the group \
         columns in its `groupBy`, the second has the same window and writes `avg(price)`"
    );
    assert_eq!(
        check_syntax("max(distinct price)").unwrap_err().to_string(),
        "`max(DISTINCT price)`: equal values change nothing here: write `max(price)`"
    );
}
