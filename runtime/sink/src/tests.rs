//! Checks that no other part names the kinds of sinks.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// The names of the kinds, in lower case.
const KINDS: &[&str] = &["delta", "console"];

/// The places that may name a kind, from the root of the workspace: the kind's own folder, the code that opens sinks,
/// the code that reads manifests of version 1 (which knew only one kind), plans for tests, and the places that tell
/// people what Weir is or show them a table.
const MAY: &[&str] = &[
    "runtime/sink/src/delta",
    "runtime/sink/src/console",
    "runtime/sink/src/lib.rs",
    "runtime/checkpoint/src/v1.rs",
    "runtime/src/fixtures.rs",
    "runtime/testing/src",
    "cli/src/main.rs",
    "cli/src/demo",
];

/// How modules of tests begin.
const TESTS: &str = "#[cfg(test)]\nmod tests";

/// Finds the Rust files in a folder that are not only for tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_for_tests = path.file_stem().is_some_and(|stem| stem.to_str().unwrap().ends_with("tests"));
        if path.is_dir() && !is_for_tests {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_for_tests {
            found.push(path);
        }
    }
}

/// Lines outside of tests that name a kind: the file, from the root, and the line number.
fn namings() -> Vec<(String, usize)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut files = Vec::new();
    for folder in ["runtime", "cli/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut namings = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
        let text = text.split(TESTS).next().unwrap_or_default();
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        let lines = (1..).zip(text.lines()).filter(|(_, line)| KINDS.iter().any(|kind| line.contains(kind)));
        namings.extend(lines.map(|(number, _)| (path.to_owned(), number)));
    }
    namings
}

#[test]
fn a_kind_is_named_where_sinks_are_opened_and_in_its_own_room() {
    let (may, elsewhere): (Vec<_>, Vec<_>) =
        namings().into_iter().partition(|(path, _)| MAY.iter().any(|may| path.starts_with(may)));
    assert_eq!(elsewhere, []);
    for place in MAY {
        assert!(may.iter().any(|(path, _)| path.starts_with(place)), "{place} names no kind any more");
    }
}
