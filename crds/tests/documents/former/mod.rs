//! Documents in the shape before the final one.

mod files;
mod loaded;
mod random;
mod texts;
mod unusual;
mod values;

use serde_yaml::Value;
use weir_crds::former::{Style, rewrite, translate};

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

/// `old` becomes `new` by edits, and `new` has the translated values.
#[track_caller]
fn becomes(old: &str, new: &str) {
    let rewritten = rewrite(old).unwrap().unwrap_or_else(|| panic!("there is nothing old in:\n{old}"));
    assert_eq!(rewritten.text, new, "\n--- is:\n{}--- should be:\n{new}", rewritten.text);
    assert_eq!((rewritten.style, rewritten.left), (Style::Kept, vec![]), "{old}");
    assert_eq!(yaml(new), translate(&yaml(old)).document);
}

/// The rewritten text has lost its comments and has the right values.
#[track_caller]
fn is_printed(old: &str) {
    let rewritten = rewrite(old).unwrap().unwrap();
    assert_eq!(rewritten.style, Style::Lost, "{}", rewritten.text);
    assert_eq!(yaml(&rewritten.text), translate(&yaml(old)).document, "{old}");
}
