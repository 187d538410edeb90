//! Panics that are caught: the message of one, for use in an error, and code of others that may panic over bytes that
//! someone else has written.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[must_use]
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason was given")
}

/// What `read` gives, or why it does not: its error, or the message of its panic. Parsers of other crates are written
/// for files that were written by their own kind, and may panic over a file that somebody made up. What they worked on
/// must not be used again after an error.
///
/// # Errors
/// Why it gave nothing.
pub fn caught<T, E: Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|e| e.to_string()),
        Err(panic) => Err(said(&*panic).to_owned()),
    }
}
