//! `docs/reference/functions.md` has every function that documents may call, and what its examples give is evaluated.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_expr::Volatility;
use datafusion_expr::planner::ContextProvider;

use super::{batch, schema};
use crate::expr::compile;
use crate::expr::context::CONTEXT;
use crate::types::DataType;

/// The rows of the page's tables whose head begins with this cell, without backticks around a cell.
fn rows(head: &str) -> Vec<Vec<String>> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/functions.md");
    let text = std::fs::read_to_string(page).unwrap();
    let head = format!("| {head} |");
    let mut rows = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        is_inside = line.starts_with(&head) || is_inside && line.starts_with('|');
        if is_inside && line.starts_with("| ") && !line.starts_with(&head) {
            let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace("\\|", "|"));
            rows.push(cells.collect());
        }
    }
    rows
}

/// The texts of a cell that stand in backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names in a cell such as `` `chr(n)`, `char(n)` ``.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    code(cell).map(|call| call.split('(').next().unwrap_or_default())
}

fn evaluated(sql: &str) -> Result<ArrayRef, String> {
    let expr = compile(sql, &schema(), "x").map_err(|why| why.to_string())?;
    expr.evaluate(&batch().slice(0, 1)).map_err(|why| why.to_string())
}

/// A value as the page shows it: a text in quotes, bytes as a literal.
fn shown(values: &ArrayRef) -> String {
    if values.is_null(0) {
        return "null".to_owned();
    }
    match values.data_type() {
        ArrowType::Utf8 => format!("'{}'", values.as_string::<i32>().value(0)),
        ArrowType::Binary => {
            let digits = values.as_binary::<i32>().value(0).iter().map(|byte| format!("{byte:02X}"));
            format!("X'{}'", digits.collect::<String>())
        }
        _ => {
            let options = FormatOptions::default().with_null("null");
            let options = options.with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"));
            ArrayFormatter::try_new(values.as_ref(), &options).unwrap().value(0).to_string()
        }
    }
}

#[test]
fn the_page_has_every_function_once_and_no_other() {
    let rows = rows("Function");
    let listed: Vec<&str> = rows.iter().flat_map(|row| names(&row[0])).collect();
    // Signatures of one function, such as `hex(n)` and `hex(bytes)`, stand in one row.
    let known: BTreeSet<&str> = listed.iter().copied().collect();
    let is_stable = |name: &&str| {
        let function = CONTEXT.get_function_meta(name).unwrap();
        function.signature().volatility == Volatility::Immutable
    };
    let there_are: BTreeSet<&str> = CONTEXT.function_names().filter(is_stable).collect();
    let missing: Vec<_> = there_are.difference(&known).collect();
    let unknown: Vec<_> = known.difference(&there_are).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not on the page: {missing:?}; not in the program: {unknown:?}");
    let mut rows_of = BTreeSet::new();
    for row in &rows {
        for name in names(&row[0]).collect::<BTreeSet<_>>() {
            assert!(rows_of.insert(name), "{name} stands in two rows");
        }
    }
}

#[test]
fn each_function_has_an_example_that_gives_the_value_and_the_type_beside_it() {
    let mut wrong = String::new();
    for row in rows("Function") {
        let [signatures, _, example, value, data_type] = &row[..] else { panic!("{row:?}") };
        let example = code(example).next().unwrap();
        let calls_it = names(signatures).any(|name| example.contains(&format!("{name}(")));
        let found = match evaluated(example) {
            Ok(values) => {
                let of = DataType::from_arrow(values.data_type()).unwrap();
                format!("`{}` | `{of}`", shown(&values))
            }
            Err(why) => why,
        };
        if !calls_it || found != format!("{value} | {data_type}") {
            wrong += &format!("`{example}` of {signatures} | {found}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_fails_fails_and_its_other_form_gives_null() {
    let rows = rows("Fails");
    assert!(!rows.is_empty());
    for row in rows {
        let [called, _, example, instead] = &row[..] else { panic!("{row:?}") };
        let example = code(example).next().unwrap();
        assert!(names(called).any(|name| example.contains(name) || name.ends_with(']')), "{example}");
        assert!(evaluated(example).is_err(), "{example}");
        for instead in code(instead) {
            assert_eq!(
                shown(&evaluated(instead).unwrap_or_else(|why| panic!("{instead}: {why}"))),
                "null",
                "{instead}"
            );
        }
    }
}
