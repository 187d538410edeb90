//! Documents in the former shape: what `weir validate` says about them, and what `--rewrite` prints.

use std::path::{Path, PathBuf};

use weir_tests::engine::{self, CONFIG, OK};

/// A document that the tests of `crds` rewrite.
fn example(path: &str) -> PathBuf {
    engine::repository_file("crds/tests/documents/former").join(path)
}

/// Runs `weir validate`, and returns the exit code, standard output and standard error.
fn validate(args: &[&str], file: &Path) -> (Option<i32>, String, String) {
    let file = file.to_string_lossy();
    let out = engine::call(&[&["validate"], args, &["-f", &file]].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

/// A file with this text, in a folder that is deleted when the first value is dropped.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn a_document_is_printed_as_it_is_written_now_and_nothing_else_is_said() {
    let right = std::fs::read_to_string(example("new/nothing-lost.yaml")).unwrap();
    assert_eq!(validate(&["--rewrite"], &example("old/nothing-lost.yaml")), (Some(OK), right, String::new()));
}

#[test]
fn a_document_with_nothing_to_rewrite_is_printed_as_it_is_with_a_note() {
    let path = example("new/nothing-lost.yaml");
    let (code, stdout, stderr) = validate(&["--rewrite"], &path);
    assert_eq!((code, stdout), (Some(OK), std::fs::read_to_string(&path).unwrap()));
    assert_eq!(stderr, format!("{}: nothing to rewrite: the document is printed as it is\n", path.display()));
}

#[test]
fn what_is_lost_and_what_is_left_to_the_author_is_said_beside_the_text() {
    let (_folder, path) = file("spec: {sinks: [{name: &a a, from: *a, output: Late}, {output: Late}]} # gone");
    let (code, stdout, stderr) = validate(&["--rewrite"], &path);
    assert_eq!(code, Some(OK), "{stderr}");
    assert_eq!(stdout, "spec:\n  sinks:\n  - name: a\n    from: a.Late\n  - output: Late\n");
    let path = path.display();
    assert_eq!(
        stderr.lines().collect::<Vec<_>>(),
        [
            format!("{path}: comments are lost: one change can't be made in the text, so the document is printed anew"),
            format!(
                "{path}: not rewritten, since only you know what is meant: spec.sinks[1].output: write `from: \
                 node.Late`, with the node's name for node, and leave output out"
            ),
        ]
    );
}

#[test]
fn a_file_that_can_not_be_read_is_refused_and_nothing_is_printed() {
    let (_folder, path) = file("a: 1\na: 2\n");
    let (code, stdout, stderr) = validate(&["--rewrite"], &path);
    assert_eq!((code, stdout.as_str()), (Some(CONFIG), ""));
    assert!(stderr.starts_with("error: a: this key stands twice in its mapping; keep one\n"), "{stderr}");
}

#[test]
fn whoever_checks_an_old_document_is_told_how_to_rewrite_it() {
    let old = std::fs::read_to_string(example("old/nothing-lost.yaml")).unwrap();
    let (_folder, path) = file(&old.replace("from: revenue", "from: nowhere"));
    let (code, _, stderr) = validate(&[], &path);
    let tip = |path: &Path| {
        format!("`weir validate --rewrite -f {}` prints the document as it is written now", path.display())
    };
    assert_eq!((code, stderr.lines().last()), (Some(CONFIG), Some(&*tip(&path))), "{stderr}");
    let (_folder, over) = file("spec: {sinks: [{name: late, from: revenue, output: Late}]}");
    let (_, _, stderr) = validate(&["--override", &over.to_string_lossy()], &path);
    assert_eq!(stderr.lines().rev().take(2).collect::<Vec<_>>(), [tip(&over), tip(&path)], "{stderr}");
}

#[test]
fn whoever_checks_a_document_that_is_wrong_otherwise_is_told_nothing_of_it() {
    let (_folder, path) = file("spec: {sinks: [{from: a.Late}]}");
    let (code, _, stderr) = validate(&[], &path);
    assert!(code == Some(CONFIG) && !stderr.contains("--rewrite"), "{stderr}");
}
