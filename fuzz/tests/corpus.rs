//! Every file of the corpus passes its target. `make fuzz` adds to the corpus what it has found.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use weir_fuzz::TARGETS;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[track_caller]
fn replay(target: &str) {
    let run = TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
    let files = corpus(target);
    assert!(!files.is_empty());
    for file in files {
        let input = std::fs::read(&file).unwrap();
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            panic!("{} does not pass {target}", file.display());
        }
    }
}

#[test]
fn each_target_has_a_corpus_and_each_corpus_a_target() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let targets = TARGETS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), targets.collect());
}

#[test]
fn data_files_pass() {
    replay("data_file");
}

#[test]
fn delta_logs_pass() {
    replay("delta_log");
}

#[test]
fn documents_pass() {
    replay("document");
}

#[test]
fn expressions_pass() {
    replay("expression");
}

#[test]
fn identities_pass() {
    replay("identity");
}

#[test]
fn records_of_json_pass() {
    replay("json");
}

#[test]
fn manifests_pass() {
    replay("manifest");
}

#[test]
fn state_files_pass() {
    replay("state_file");
}
