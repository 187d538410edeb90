//! Texts that are not YAML: the line at fault, and what to write there.

use crate::right::{findings, told};

const WHERE: &str = "where: price >= 0";
const EXPR: &str = "expr: upper(city)";
const COLUMN: &str = "{name: price, type: double, required: true}";

#[test]
fn what_is_said_of_a_text_that_is_not_yaml() {
    let topic = told(&[
        (
            "a wrong indent is told with the one that fits",
            &[
                &[("    kafka: {connection", "     kafka: {connection")],
                &[("    format:", "   format:")],
                &[("      where: price", "     where: price")],
                &[("  - name: revenue", " - name: revenue")],
                &[("\n  sinks:", "\n sinks:")],
                &[("    format:", "\tformat:")],
            ],
        ),
        (
            "a missing colon or space is told in its line",
            &[
                &[("\n  sinks:", "\n  sinks")],
                &[("      from: rides", "      from:rides")],
                &[("  - name: cleaned", "  - name:cleaned")],
                &[("  - name: cleaned", "  -name: cleaned")],
                &[("      from: rides", "      from rides")],
                &[(COLUMN, "{name:price, type: double}")],
            ],
        ),
        (
            "a bracket that is not closed, or closed twice, is told where it opens",
            &[
                &[(COLUMN, "{name: price, type: double")],
                &[("topics: [rides]", "topics: [rides")],
                &[("topics: [rides]", "topics: [rides}")],
                &[("format: {json: {}}", "format: {json: {}}}")],
                &[(COLUMN, "{name: price type: double}")],
                &[(EXPR, "expr: city #x")],
            ],
        ),
        (
            "a value that begins with a character of YAML is written in quotes",
            &[
                &[(WHERE, "where: !is_deleted")],
                &[(WHERE, "where: @price > 0")],
                &[(WHERE, "where: `price` >= 0")],
                &[(WHERE, "where: %price > 0")],
                &[(WHERE, "where: *")],
                &[(WHERE, "where: > 5")],
                &[(WHERE, "where: || true")],
                &[(WHERE, "where: - price < 0")],
                &[(WHERE, "where: ? price")],
                &[(WHERE, "where: \"city\" = 'x'")],
                &[(WHERE, "where: 'city = 'x''")],
                &[(WHERE, "where: [price] > 0")],
                &[(EXPR, "expr: `city`")],
                &[(EXPR, "expr: !city")],
            ],
        ),
        (
            "a text that does not end, and an escape that is none",
            &[&[(WHERE, "where: \"price >= 0")], &[(WHERE, "where: \"city = '\\d'\"")]],
        ),
        (
            "a character that begins nothing, in a list or on a line of its own",
            &[&[("topics: [rides]", "topics: [@rides]")], &[(WHERE, "where:\n        @x")]],
        ),
        (
            "a text in several lines that does not go on as it begins",
            &[&[(WHERE, "where: \"a\n        b\" c")], &[(WHERE, "where: |9\n        a")]],
        ),
        (
            "codes of characters in double quotes that are none to YAML",
            &[&[(WHERE, "where: \"\\ud83d\\ude00\"")], &[(WHERE, "where: \"\\xhu\"")]],
        ),
        (
            "what another tool would have filled in, and names that are no text",
            &[&[(WHERE, "where: {{ .Values.where }}")], &[("{name: rides-revenue}", "{name: r, labels: {1: a}}")]],
        ),
        (
            "a comment that cuts an expression off",
            &[&[(WHERE, "where: city = ' #1'")], &[(WHERE, "where: price #x >= 0")]],
        ),
    ]);
    insta::assert_snapshot!(topic);
}

/// Whatever a line is replaced by, the author reads a sentence of ours, and not the parser's words about its tokens.
#[test]
fn a_line_that_is_indented_by_one_more_or_less_is_told_without_the_parsers_words() {
    let lines: Vec<_> = crate::right::RIGHT.lines().collect();
    for at in 1..lines.len() {
        for shifted in [format!(" {}", lines[at]), lines[at].strip_prefix(' ').unwrap_or_default().to_owned()] {
            let mut changed = lines.clone();
            changed[at] = &shifted;
            let said = findings(&changed.join("\n"));
            assert!(!said.iter().any(|said| said.contains("that can be read")), "{shifted:?}: {said:?}");
        }
    }
}
