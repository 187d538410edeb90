//! What people read of the operator's program.

#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn help_of_every_command() {
    let calls: [&[&str]; 2] = [&["--help"], &["run", "--help"]];
    let helps = calls.map(|args| {
        let out = Command::new(env!("CARGO_BIN_EXE_weir-operator")).args(args).output().unwrap();
        format!("$ weir-operator {}\n{}\n", args.join(" "), String::from_utf8(out.stdout).unwrap())
    });
    let helps = helps.concat();
    insta::assert_snapshot!(helps);
}
