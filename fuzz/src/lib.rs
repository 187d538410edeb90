//! What the fuzzers try (`docs/fuzzing.md`): each target is a function of bytes that someone else has written, and
//! panics if the code does what it must not. libFuzzer calls it through the programs in `targets/`; a test calls it
//! with every file of the corpus.

#![allow(clippy::missing_panics_doc, reason = "to panic is how a target says what it has found")]

mod checkpoint;
mod document;
mod expression;
mod json;
mod state_file;
mod table;

pub use checkpoint::{identity, manifest};
pub use document::document;
pub use expression::expression;
pub use json::json;
pub use state_file::state_file;
pub use table::{data_file, delta_log};

/// A target: it is called with any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders in `corpus/`.
pub const TARGETS: [(&str, Target); 8] = [
    ("data_file", data_file),
    ("delta_log", delta_log),
    ("document", document),
    ("expression", expression),
    ("identity", identity),
    ("json", json),
    ("manifest", manifest),
    ("state_file", state_file),
];

/// The most bytes of a message, beside those that it repeats from the input.
const MESSAGE_BYTES_MAX: usize = 4_000;

/// Checks that a message is a sentence of bounded length, and not the last word of a panic that was caught.
#[track_caller]
fn check_message(message: &str, input: &[u8]) {
    assert!(!message.is_empty(), "refused without a word");
    assert!(message.len() <= MESSAGE_BYTES_MAX + 4 * input.len(), "{} bytes of a message: {message}", message.len());
    for caught in ["the planner could not read this", "failed without a reason that it knows of"] {
        let is_repeated = input.windows(caught.len()).any(|window| window == caught.as_bytes());
        assert!(is_repeated || !message.contains(caught), "{message}");
    }
}

/// Takes back that libFuzzer's crate ends the process at every panic, for targets whose code catches the panics of a
/// dependency. A panic that leaves the target still ends it. What a caught panic says stands in a message.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Runs a future to its end, on a runtime that all inputs share.
fn finished<T>(work: impl Future<Output = T>) -> T {
    use std::sync::LazyLock;
    use tokio::runtime::{Builder, Runtime};
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| match Builder::new_multi_thread().worker_threads(1).enable_all().build() {
            Ok(runtime) => runtime,
            Err(e) => panic!("no runtime: {e}"),
        });
    RUNTIME.block_on(work)
}
