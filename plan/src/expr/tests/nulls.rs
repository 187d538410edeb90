//! A comparison with a literal null is refused; other values that may be null are compared as before.

#![allow(clippy::unwrap_used)]

use super::{eval, refused, schema};
use crate::expr::{compile, compile_predicate};

#[test]
fn a_comparison_with_null_is_refused_with_what_to_write() {
    for (sql, said) in [
        ("price = null", "`price = NULL` is never true: write `price is null`"),
        ("null = price", "`NULL = price` is never true: write `price is null`"),
        ("price = (null)", "`price = (NULL)` is never true: write `price is null`"),
        ("price <> null", "`price <> NULL` is never true: write `price is not null`"),
        ("null != upper(city)", "`NULL <> upper(city)` is never true: write `upper(city) is not null`"),
        ("price > null", "`price > NULL` is never true: write `price is null` or `price is not null`"),
        ("city in (null)", "`city IN (NULL)` is never true: write `city is null`"),
        ("city not in (null)", "`city NOT IN (NULL)` is never true: write `city is not null`"),
        (
            "city not in ('a', null, 'b')",
            "`city NOT IN ('a', NULL, 'b')` is never true: write `city not in ('a', 'b')`",
        ),
        (
            "price between null and 3",
            "`price BETWEEN NULL AND 3` is never true: write `price is null` or `price is not null`",
        ),
        (
            "case city when null then 1 else 2 end",
            "`when null` in a `case` over `city` is never true: write `case when city is null then …`",
        ),
        ("paid and (seats = 1 or city = null)", "`city = NULL` is never true: write `city is null`"),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
        if let Some((_, written)) = said.split_once("write ").filter(|_| !said.contains('…')) {
            for sql in written.split(" or ") {
                compile(sql.trim_matches('`'), &super::schema(), "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
            }
        }
    }
}

#[test]
fn a_condition_that_is_null_for_every_row_is_refused() {
    for sql in [
        "null",
        "not null",
        "cast(null as boolean)",
        "price = cast(null as double)",
        "price > nullif(1, 1)",
        "paid and null",
        "null and price > 0 and paid",
        "paid and (price = cast(null as double) or cast(null as boolean))",
        "city like null",
    ] {
        let said = compile_predicate(sql, &schema()).unwrap_err().to_string();
        assert!(said.starts_with("this condition is never true, because of the null in it: write"), "{sql}: {said}");
    }
    for sql in ["true", "false", "price > 0 or null", "paid is null", "coalesce(paid, null, true)"] {
        assert!(compile_predicate(sql, &schema()).is_ok(), "{sql}");
    }
}

#[test]
fn null_is_a_value_wherever_it_is_not_compared() {
    for (sql, found) in [
        ("price is not distinct from null", "boolean: false | false | true"),
        ("city in ('Paris', null)", "boolean: true | null | null"),
        ("coalesce(null, seats)", "int: 3 | 0 | null"),
        ("case when paid then null else seats end", "int: null | 0 | null"),
    ] {
        assert_eq!(eval(sql), found, "{sql}");
    }
}
