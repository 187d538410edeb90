//! What people read of the program: its help, and what it says of documents.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

/// Everything that the program writes, called in the repository's root, and its exit code.
fn weir(args: &[&str]) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = Command::new(env!("CARGO_BIN_EXE_weir")).args(args).current_dir(root).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let mut said = format!("$ {}\n{}", [&["weir"], args].concat().join(" "), text(out.stdout));
    if !out.stderr.is_empty() {
        said += &format!("(standard error)\n{}", text(out.stderr));
    }
    if !out.status.success() {
        said += &format!("(exit code {})\n", out.status.code().unwrap());
    }
    said + "\n"
}

/// The commands that a help text lists.
fn commands_of(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| !line.starts_with("    ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of these commands and of all below them.
fn help(commands: &[&str]) -> String {
    let help = weir(&[commands, &["--help"]].concat());
    let below = commands_of(&help);
    below.iter().fold(help, |text, name| text + &self::help(&[commands, &[name]].concat()))
}

#[test]
fn help_of_every_command() {
    let helps = help(&[]);
    insta::assert_snapshot!(helps);
}

#[test]
fn arguments_that_are_wrong() {
    let calls: [&[&str]; 6] = [
        &[],
        &["validate"],
        &["validate", "examples/rides.yaml"],
        &["explian", "-f", "examples/rides.yaml"],
        &["run", "-f", "examples/rides.yaml", "--sumary", "summary.json"],
        &["validate", "-f", "examples/no-such-file.yaml"],
    ];
    let answers = calls.map(weir).concat();
    insta::assert_snapshot!(answers);
}

/// As `helm template … | weir validate -f -` does.
#[test]
fn a_document_may_come_by_standard_input() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::File::open(root.join("examples/rides.yaml")).unwrap();
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    let out = weir.args(["validate", "-f", "-"]).stdin(document).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && said.starts_with("-: valid: 1 source(s)"), "{said}");
}

/// Each example, with what is laid over it.
const EXAMPLES: [&[&str]; 16] = [
    &["examples/rides.yaml"],
    &["examples/rides.yaml", "--override", "examples/rides-local.yaml"],
    &["examples/medallion.yaml"],
    &["examples/nothing-lost.yaml"],
    &["examples/two-topics.yaml"],
    &["examples/web-and-mobile.yaml"],
    &["examples/messages-per-minute.yaml"],
    &["examples/once.yaml"],
    &["examples/order-items.yaml"],
    &["examples/moving-average.yaml"],
    &["examples/top-cities.yaml"],
    &["examples/response-times.yaml"],
    &["examples/revenue-sql.yaml"],
    &["examples/requests-per-ten-seconds.yaml"],
    &["examples/totals.yaml"],
    &["examples/device-metrics.yaml"],
];

#[test]
fn validate_of_the_examples() {
    let answers = EXAMPLES.map(|example| weir(&[&["validate", "-f"], example].concat())).concat();
    insta::assert_snapshot!(answers);
}

#[test]
fn explain_of_the_examples() {
    let answers = EXAMPLES.map(|example| weir(&[&["explain", "-f"], example].concat())).concat();
    insta::assert_snapshot!(answers);
}

#[test]
fn validate_of_documents_that_are_wrong_or_not_meant_so() {
    let folder = tempfile::tempdir().unwrap();
    let answers = [
        (
            "several errors",
            "spec: {steps: [{name: cleaned, map: {where: prise > 0}}], sinks: [{name: silver, from: nowhere}]}",
        ),
        ("a run that reads nothing", "spec: {trigger: {type: AvailableNow, interval: null}}"),
        ("a former shape", "spec: {sinks: [{name: late, from: revenue, output: Late}]}"),
    ]
    .map(|(case, over)| {
        let file = folder.path().join("override.yaml");
        std::fs::write(&file, over).unwrap();
        let path = file.to_str().unwrap();
        let said = weir(&["validate", "-f", "examples/rides.yaml", "--override", path]).replace(path, "override.yaml");
        format!("# {case}\n# {over}\n\n{said}")
    })
    .concat();
    insta::assert_snapshot!(answers);
}
