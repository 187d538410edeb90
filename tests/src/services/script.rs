//! Calls the scripts in `tests/services/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip::Missing;

/// The scripts' exit code for a part that is missing on this machine.
const EXIT_MISSING: i32 = 69;

/// A script of `tests/services/`.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services").join(name)
}

/// Runs `SCRIPT fetch`, which is slow the first time on a machine and fast afterwards.
///
/// # Panics
/// If the script fails for another reason than a missing part.
pub fn fetch(part: &'static str, script: &str) -> Result<(), Missing> {
    let out = Command::new(path(script))
        .arg("fetch")
        .output()
        .unwrap_or_else(|e| panic!("tests/services/{script} can't be started: {e}"));
    let stderr = String::from_utf8_lossy(&out.stderr);
    match out.status.code() {
        Some(0) => Ok(()),
        Some(EXIT_MISSING) => {
            Err(Missing { part, why: stderr.lines().last().unwrap_or("of an unknown reason").to_owned() })
        }
        _ => panic!("tests/services/{script} fetch: {}\n{stderr}", out.status),
    }
}
