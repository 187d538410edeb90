//! The verdict of Flux on an object, from its kstatus library through the program `tests/services/kstatus`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_tests::services::script;
use weir_tests::skip::Missing;

/// Builds the program if it does not exist.
///
/// # Errors
/// If it can't be built on this machine.
pub fn fetch() -> Result<(), Missing> {
    script::fetch("kstatus", "kstatus/kstatus")
}

/// `Current`, `InProgress`, `Failed`, `Terminating` or `Unknown`.
///
/// # Panics
/// If the program was not fetched, or does not accept the object.
#[must_use]
pub fn verdict(object: &Value) -> String {
    let mut child = Command::new(script::path("kstatus/kstatus"))
        .arg("of")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "kstatus: {}", out.status);
    let said = String::from_utf8(out.stdout).unwrap();
    said.split('\t').next().unwrap_or_default().to_owned()
}
