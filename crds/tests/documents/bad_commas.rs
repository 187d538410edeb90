//! Values without quotes that YAML cuts off at a comma or a colon.

use crate::right::{findings, said, with};

const REVENUE: &str = "columns: [{name: revenue, expr: sum(price)}]";

#[test]
fn an_expression_that_a_comma_cuts_off_is_told_in_one_sentence() {
    said(
        &[(REVENUE, "columns: [{name: revenue, expr: round(sum(price), 2)}]")],
        &["spec.steps[1].aggregate.columns[0].expr: found `round(sum(price)`, since a comma ends a value inside {…}: \
             write it in quotes, `expr: \"round(sum(price), 2)\"`, or the block in several lines"],
    );
    said(
        &[(
            "columns: [{name: city, expr: upper(city)}",
            "columns: [{name: city, expr: coalesce(city, upper(\"a b\"), city)}",
        )],
        &[
            "spec.steps[0].map.columns[0].expr: found `coalesce(city`, since a comma ends a value inside {…}: write \
             it in quotes, `expr: \"coalesce(city, upper(\\\"a b\\\"), city)\"`, or the block in several lines",
            "spec.steps[0].map.columns[0].expr: there is no column `a b`: a text stands in single \
             quotes, `'a b'`, and a column's name in double quotes",
        ],
    );
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

#[test]
fn an_element_of_a_list_that_a_comma_cuts_off_is_told_in_one_sentence() {
    said(
        &[("topics: [rides]", "topics: [rides(a, b)]")],
        &[
            "spec.sources[0].kafka.topics[0]: found `rides(a`, since a comma ends a value inside […]: write it in \
             quotes, `\"rides(a, b)\"`, or the block in several lines",
            "spec.sources[0].kafka.topics[0]: found `rides(a, b)`; a topic's name has 1 to 249 ASCII letters, digits, \
             dots, underscores and hyphens",
        ],
    );
}

/// What follows the comma is not even YAML.
#[test]
fn what_can_not_be_read_is_told_with_its_line_and_what_to_write() {
    for (edit, said) in [
        (
            // A number can't be a key.
            (REVENUE, "columns: [{name: revenue, expr: max(substr(city, 1, 2))}]"),
            "in line 32 a comma ends a value inside {…}: write it in quotes, `expr: \"max(substr(city, 1, 2))\"`, or \
             the block in several lines",
        ),
        (
            ("columns: [{name: city, expr: upper(city)}", "columns: [{name: city, expr: concat(city, 'x')}"),
            "in line 26 a comma ends a value inside {…}: write it in quotes, `expr: \"concat(city, 'x')\"`, or the \
             block in several lines",
        ),
        (
            ("{name: price, type: double, required: true}", "{name: price, type: struct<a: int, b: string>}"),
            "in line 18 a colon ends a value: write it in quotes, `type: \"struct<a: int, b: string>\"`",
        ),
        (
            ("      where: price >= 0", "      where: city = 'a: b'"),
            "in line 25 a colon ends a value: write it in quotes, `where: \"city = 'a: b'\"`",
        ),
    ] {
        let found = findings(&with(&[edit]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("this is not YAML that can be read: ") && found[0].ends_with(said), "{found:?}");
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
