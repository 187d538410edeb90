//! A test is visibly skipped if a part that it needs is missing on this machine (no Java, no Go, no Python). In CI the
//! test fails.

use std::fmt;
use std::io::Write;

/// A part that is missing on this machine, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub part: &'static str,
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be had because {}", self.part, self.why)
    }
}

/// Ends the calling test early if a part is missing: `let kafka = or_skip!(kafka::shared());`
#[macro_export]
macro_rules! or_skip {
    ($part:expr) => {
        match $part {
            Ok(part) => part,
            Err(missing) => return $crate::skip::skip(&missing),
        }
    };
}

/// Reports that the calling test is skipped, bypassing the test runner's capture, and records it in the file
/// `$WEIR_SKIPPED` for the summary that `make test` prints.
///
/// # Panics
/// If `CI` is set and `WEIR_SKIP_OK` is not 1, because a missing part is a failure there.
pub fn skip(missing: &Missing) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED {test}: {missing}");
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true" || v == "1");
    let allowed = std::env::var("WEIR_SKIP_OK").is_ok_and(|v| v == "1");
    assert!(!in_ci || allowed, "{line} (WEIR_SKIP_OK=1 allows this in CI)");
    let _ = writeln!(std::io::stderr(), "{line}");
    if let Some(file) = std::env::var_os("WEIR_SKIPPED")
        && let Ok(mut file) = std::fs::File::options().append(true).create(true).open(file)
    {
        let _ = writeln!(file, "{line}");
    }
}
