//! A text matches a regular expression where the `regex` crate says so, without its Unicode as in Java, however the
//! match is written.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use regex::bytes::RegexBuilder;

use super::{check, failed, refused};
use crate::expr::compile;

const TEXTS: [&str; 26] = [
    "",
    "Paris-Nord",
    "paris-nord",
    "PARIS",
    "5",
    "a5b",
    "a\\d",
    "a\\5",
    "\\",
    "\\\\",
    "a_b",
    "axb",
    "a%b",
    "a%",
    "%",
    "_",
    "a\nb",
    "a\n",
    "\na",
    "a.b",
    "K",
    "\u{212a}",
    "straße",
    "STRASSE",
    "ſ",
    "foo",
];

const PATTERNS: [&str; 58] = [
    "",
    ".",
    ".*",
    "^.*$",
    "^",
    "$",
    "^$",
    "a",
    "A",
    "s",
    "k",
    "\\d",
    "\\\\d",
    "\\\\N",
    "^\\\\P",
    "P\\\\a",
    "Nor\\\\d|zzz",
    "\\\\",
    "\\\\\\\\",
    "^\\\\$",
    "^a\\\\d$",
    "a\\\\",
    "_",
    "a_b",
    "^a_b$",
    "%",
    "a%",
    "a%b",
    "^a%$",
    "\\.",
    "a.b",
    "^a",
    "a$",
    "^a$",
    "b$",
    "^foo$",
    "^(foo|a)$",
    "^(a_b|a%)$",
    "^(\\\\|%)$",
    "foo|a",
    "^foo|b$",
    "foo|bar|baz|\\\\d",
    "Paris",
    "^Paris",
    "Nord$",
    "^Paris-Nord$",
    "paris|5",
    "(?i)paris",
    "ß",
    "^STRASSE$",
    "\\n",
    "a\\nb",
    "^b",
    "(?m)^b",
    "(?s)a.b",
    "\\x41",
    "a+",
    "[a-z]{5}",
];

#[test]
fn a_match_is_one_of_the_regular_expression_and_of_no_like() {
    let texts: StringArray = TEXTS.iter().map(|text| Some(*text)).chain([None]).collect();
    let columns = ["t", "p"].map(|name| Field::new(name, arrow::datatypes::DataType::Utf8, true));
    let schema = Arc::new(Schema::new(columns.to_vec()));
    let mut matches = 0;
    for pattern in PATTERNS {
        let constant = format!("'{pattern}'");
        let patterns: StringArray = (0..texts.len()).map(|_| Some(pattern)).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(texts.clone()), Arc::new(patterns)];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        for p in [constant.as_str(), "p"] {
            for (sql, flags, is_negated) in [
                (format!("regexp_like(t, {p})"), "", false),
                (format!("regexp_like(t, {p}, '')"), "", false),
                (format!("regexp_like(t, {p}, 'i')"), "i", false),
                (format!("regexp_like(t, {p}, 's')"), "s", false),
                (format!("regexp_like(t, {p}, 'm')"), "m", false),
                (format!("regexp_like(t, {p}, 'ims')"), "ims", false),
                (format!("t ~ {p}"), "", false),
                (format!("t ~* {p}"), "i", false),
                (format!("t !~ {p}"), "", true),
                (format!("t !~* {p}"), "i", true),
                (format!("not regexp_like(t, {p})"), "", true),
                (format!("not (t ~* {p})"), "i", true),
                (format!("case when t ~ {p} then true when t is null then null else false end"), "", false),
            ] {
                let oracle = RegexBuilder::new(pattern)
                    .unicode(false)
                    .case_insensitive(flags.contains('i'))
                    .multi_line(flags.contains('m'))
                    .dot_matches_new_line(flags.contains('s'))
                    .build()
                    .unwrap();
                let expected: Vec<_> =
                    texts.iter().map(|text| text.map(|text| oracle.is_match(text.as_bytes()) != is_negated)).collect();
                let compiled = compile(&sql, &schema, "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
                let found = compiled.evaluate(&batch).unwrap_or_else(|e| panic!("{sql}: {e}"));
                let found: Vec<_> = found.as_boolean().iter().collect();
                for ((text, found), expected) in texts.iter().zip(&found).zip(&expected) {
                    assert_eq!(found, expected, "{sql} of {text:?}, pattern {pattern:?}");
                }
                matches += 1;
            }
            // A constant text, which is matched when the expression is compiled.
            for text in ["Paris-Nord", "a\\5", "a%"].iter().filter(|_| p != "p") {
                let sql = format!("'{text}' ~ {p}");
                let found = compile(&sql, &schema, "out").unwrap().evaluate(&batch).unwrap();
                let oracle = RegexBuilder::new(pattern).unicode(false).build().unwrap();
                assert_eq!(found.as_boolean().value(0), oracle.is_match(text.as_bytes()), "{sql}");
            }
        }
    }
    assert_eq!(matches, PATTERNS.len() * 2 * 13);
}

#[test]
fn a_null_and_a_wrong_pattern_are_as_before() {
    check(&[
        ("city ~ 'a'", "boolean: true | false | null"),
        ("city !~ 'a'", "boolean: false | true | null"),
        ("city ~ cast(null as string)", "boolean: null | null | null"),
        ("regexp_like(cast(null as string), 'a')", "boolean: null | null | null"),
        ("regexp_like(city, 'a', cast(null as string))", "boolean: true | false | null"),
    ]);
    for sql in ["city ~ '('", "city !~* '('", "regexp_like(city, '(')", "regexp_like(city, '(', 'i')"] {
        assert_eq!(refused(sql), "the regular expression has a fault: unclosed group", "{sql}");
    }
    assert!(failed("city ~ ('(' || city)").ends_with("the regular expression has a fault: unclosed group"));
    assert_eq!(
        refused("city not similar to 'P%'"),
        "`similar to` is not supported: write `not regexp_like(city, …)` with a regular expression, or `like`"
    );
    assert_eq!(refused("price ~ 'a'"), "`~` takes two strings, and found a double (`price`) and a string");
}
