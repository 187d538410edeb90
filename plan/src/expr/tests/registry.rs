//! The reference page of expressions lists exactly the aggregates that there are. `functions_page` does the same for
//! functions.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use crate::aggregate;

#[test]
fn the_page_lists_every_aggregate_that_there_is_once_and_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/expressions.md");
    let text = std::fs::read_to_string(page).unwrap();
    let section = text.split("\n## Functions\n").nth(1).expect("a section `## Functions`");
    let table = section.split("\n## ").next().unwrap_or_default();
    // An aggregate's name is in the second cell of its row, in backticks.
    let cells = table.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(2));
    let listed: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let there_are: BTreeSet<&str> = aggregate::names().collect();
    let known: BTreeSet<&str> = listed.iter().copied().collect();
    let missing: Vec<_> = there_are.difference(&known).collect();
    let unknown: Vec<_> = known.difference(&there_are).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not on the page: {missing:?}; not in the program: {unknown:?}");
    assert_eq!(listed.len(), known.len(), "an aggregate is listed twice");
}
