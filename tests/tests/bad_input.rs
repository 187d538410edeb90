//! Mistakes that a person can make, and how the program reports each: one clear sentence with the place, and the exit
//! code for its remedy.

mod documents;
mod former_documents;
mod places;
mod running;

use weir_tests::engine::Exit;

/// Checks the exit code, and that stderr has every part of the sentence.
fn assert_says(exit: &Exit, code: i32, parts: &[&str]) {
    exit.expect(code);
    let said = exit.stderr.to_lowercase();
    for part in parts {
        assert!(said.contains(&part.to_lowercase()), "`{part}` should be in:\n{}", exit.stderr);
    }
}
