//! The reference page lists exactly the functions that an expression may call.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use datafusion_expr::Volatility;
use datafusion_expr::planner::ContextProvider;

use crate::aggregate;
use crate::expr::context::CONTEXT;

#[test]
fn the_page_lists_every_function_that_there_is_once_and_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/expressions.md");
    let text = std::fs::read_to_string(page).unwrap();
    let section = text.split("\n## Functions\n").nth(1).expect("a section `## Functions`");
    let table = section.split("\n## ").next().unwrap_or_default();
    // A function's name is the second cell of its row, in backticks.
    let cells = table.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(2));
    let listed: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let is_stable = |name: &&str| {
        let function = CONTEXT.get_function_meta(name).unwrap();
        function.signature().volatility == Volatility::Immutable
    };
    let there_are: BTreeSet<&str> = CONTEXT.function_names().filter(is_stable).chain(aggregate::names()).collect();
    let known: BTreeSet<&str> = listed.iter().copied().collect();
    let missing: Vec<_> = there_are.difference(&known).collect();
    let unknown: Vec<_> = known.difference(&there_are).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not on the page: {missing:?}; not in the program: {unknown:?}");
    assert_eq!(listed.len(), known.len(), "a function is listed twice");
}
