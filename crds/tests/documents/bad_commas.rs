//! Values without quotes that YAML cuts off at a comma or a colon.

use crate::right::{findings, told, with};

const REVENUE: &str = "columns: [{name: revenue, expr: sum(price)}]";

#[test]
fn values_that_a_comma_or_a_colon_cuts_off() {
    let topic = told(&[
        (
            "an expression that a comma cuts off is told in one sentence",
            &[
                &[(REVENUE, "columns: [{name: revenue, expr: round(sum(price), 2)}]")],
                &[(REVENUE, "columns: [{name: revenue, expr: max(regexp_extract(city, '[0-9]+', 0))}]")],
                &[(REVENUE, "columns: [{name: revenue, expr: max(concat(city, ', ', city))}]")],
                &[(REVENUE, "columns: [{name: revenue, expr: max(regexp_extract(city, '^(.*)$', 1))}]")],
                &[(
                    "columns: [{name: city, expr: upper(city)}",
                    "columns: [{name: city, expr: coalesce(city, upper(\"a b\"), city)}",
                )],
            ],
        ),
        (
            "an element of a list that a comma cuts off is told in one sentence",
            &[&[("topics: [rides]", "topics: [rides(a, b)]")]],
        ),
    ]);
    insta::assert_snapshot!(topic);
}

#[test]
fn a_type_that_a_comma_cuts_off_is_told_in_one_sentence() {
    for (written, cut, whole) in [
        ("decimal(10,2)", "decimal(10", "decimal(10, 2)"),
        ("struct<a double, b array<int>>", "struct<a double", "struct<a double, b array<int>>"),
    ] {
        let found = findings(&with(&[(
            "{name: price, type: double, required: true}",
            &format!("{{name: x, type: {written}}}"),
        )]));
        let expected = format!(
            "spec.sources[0].columns[1].type: found `{cut}`, since a comma ends a value inside {{…}}: \
             write it in quotes, `type: \"{whole}\"`, or the block in several lines"
        );
        assert_eq!(found.first(), Some(&expected), "{found:?}");
        assert!(!found.iter().any(|f| f.contains("there is no field")), "{found:?}");
    }
}

/// What follows the comma is not even YAML.
#[test]
fn what_can_not_be_read_is_told_with_its_line_and_what_to_write() {
    for (edit, said) in [
        (
            // A number can't be a key.
            (REVENUE, "columns: [{name: revenue, expr: max(substr(city, 1, 2))}]"),
            "line 32: a comma ends a value inside {…}: write it in quotes, `expr: \"max(substr(city, 1, 2))\"`, or \
             the block in several lines",
        ),
        (
            ("columns: [{name: city, expr: upper(city)}", "columns: [{name: city, expr: concat(city, 'x')}"),
            "line 26: a comma ends a value inside {…}: write it in quotes, `expr: \"concat(city, 'x')\"`, or the \
             block in several lines",
        ),
        (
            ("{name: price, type: double, required: true}", "{name: price, type: struct<a: int, b: string>}"),
            "line 18: a colon ends a value: write it in quotes, `type: \"struct<a: int, b: string>\"`",
        ),
        (
            ("      where: price >= 0", "      where: city = 'a: b'"),
            "line 25: a colon ends a value: write it in quotes, `where: \"city = 'a: b'\"`",
        ),
    ] {
        let found = findings(&with(&[edit]));
        assert_eq!(found, [said]);
    }
}

#[test]
fn what_is_whole_or_in_quotes_or_on_a_line_of_its_own_is_read() {
    for edit in [
        (REVENUE, "columns: [{name: revenue, expr: \"round(sum(price), 2)\"}]"),
        (REVENUE, "columns:\n      - name: revenue\n        expr: round(sum(price), 2)"),
        (REVENUE, "columns: [{name: revenue, expr: sum(price), filter: price < 3}]"),
        ("{name: price, type: double, required: true}", "{name: price, type: \"decimal(10,2)\"}"),
    ] {
        assert_eq!(findings(&with(&[edit])), Vec::<String>::new(), "{edit:?}");
    }
}
