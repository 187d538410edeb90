//! `docs/reference/document.md` lists each field with the program's default and enum values, and marks the fields that
//! are not built.

use std::collections::BTreeMap;

use crate::shape::cases::{CASES, Outcome, is_refused};
use weir_crds::defaults;

/// A row of a table.
#[derive(Debug)]
struct Row {
    field: String,
    kind: String,
    default: String,
    since: String,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/document.md")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|c| c.trim().to_owned()).collect();
            let [field, kind, default, since, _] =
                <[String; 5]>::try_from(cells).unwrap_or_else(|c| panic!("{c:?} should be five cells"));
            Row { field: field.trim_matches('`').to_owned(), kind, default, since }
        })
        .collect()
}

#[test]
fn the_reference_has_exactly_the_fields_that_the_program_has() {
    let written: Vec<_> = rows().into_iter().map(|r| r.field).collect();
    let known: Vec<_> = crate::shape::leaves().into_iter().map(|l| l.path).collect();
    let missing: Vec<_> = known.iter().filter(|path| !written.contains(path)).collect();
    let stale: Vec<_> = written.iter().filter(|path| !known.contains(path)).collect();
    assert_eq!((missing, stale), (vec![], vec![]));
    assert_eq!(written.len(), known.len(), "a field stands twice");
}

#[test]
fn the_reference_has_the_defaults_that_lowering_takes() {
    let right: BTreeMap<_, _> = defaults::table().into_iter().collect();
    for row in rows() {
        let default = row.default.trim_matches('`');
        match right.get(row.field.as_str()) {
            Some(right) => assert_eq!(default, right, "{}", row.field),
            None => assert!(
                ["required", "none"].contains(&default),
                "{} has no default, but the reference says {default}",
                row.field
            ),
        }
    }
    let fields: Vec<_> = rows().into_iter().map(|r| r.field).collect();
    let unknown: Vec<_> = right.keys().filter(|path| !fields.iter().any(|f| f == *path)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_reference_says_what_is_required() {
    let rows: BTreeMap<_, _> = rows().into_iter().map(|r| (r.field.clone(), r)).collect();
    for leaf in crate::shape::leaves().iter().filter(|leaf| !leaf.optional && !leaf.path.ends_with("[]")) {
        let is_open = ["metadata.labels", "metadata.annotations"].contains(&leaf.path.as_str());
        // A field that is required within an optional block, if the block as a whole has a default.
        let is_defaulted = defaults::table().iter().any(|(path, _)| *path == leaf.path);
        assert!(is_open || is_defaulted || rows[&leaf.path].default == "required", "{} is required", leaf.path);
    }
}

#[test]
fn the_reference_says_what_is_not_built_yet() {
    for row in rows() {
        assert_eq!(row.since == "not yet", is_refused(&row.field), "{}: since {}", row.field, row.since);
    }
}

#[test]
fn the_reference_has_the_values_of_each_enum_and_marks_those_that_are_not_built_yet() {
    let rows: BTreeMap<_, _> = rows().into_iter().map(|r| (r.field.clone(), r)).collect();
    for leaf in crate::shape::leaves().iter().filter(|leaf| !leaf.variants.is_empty()) {
        let row = &rows[&leaf.path];
        let refused = |v: &str| {
            let label = format!("{}={v}", leaf.path);
            CASES.iter().any(|(case, _, outcome)| *case == label && *outcome == Outcome::Refused)
        };
        let right: Vec<_> =
            leaf.variants.iter().map(|v| if refused(v) { format!("{v}*") } else { (*v).to_owned() }).collect();
        assert_eq!(row.kind, right.join(", "), "{}", leaf.path);
    }
}
