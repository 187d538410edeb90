//! Edits that bring a document into its final shape, and how they change the document's values. [`super::text`] makes
//! the same changes in its text.
//!
//! A [`Place`] refers to the document before any edit. No edit changes the number of elements of a list, so places stay
//! valid until the last edit.

use serde_yaml::{Mapping, Value};

use super::place::Place;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    /// Moves an entry to another mapping, under the same key: behind the entry `behind`, or to the end. The other
    /// mapping is created if it is missing, which is possible only beside the entry.
    Move { entry: Place, to: Place, behind: Option<&'static str> },
    /// Removes an entry.
    Remove { entry: Place },
    /// Replaces the ending `old` of a text with `new`.
    Respell { text: Place, old: &'static str, new: &'static str },
    /// Replaces a value with a mapping that has the value under this key.
    Wrap { value: Place, key: &'static str },
}

impl Edit {
    /// Makes the edit, if the document has its place.
    pub(super) fn apply(&self, document: &mut Value) {
        match self {
            Self::Move { entry, to, behind } => {
                let Some((_, key)) = entry.entry() else { return };
                let Some(value) = remove(document, entry) else { return };
                make(document, to);
                if let Some(target) = to.mapping_in(document) {
                    insert(target, key, value, *behind);
                }
            }
            Self::Remove { entry } => drop(remove(document, entry)),
            Self::Respell { text, old, new } => {
                if let Some(Value::String(text)) = text.value_in(document)
                    && let Some(kept) = text.strip_suffix(old)
                {
                    *text = format!("{kept}{new}");
                }
            }
            Self::Wrap { value, key } => {
                if let Some(value) = value.value_in(document) {
                    let wrapped = std::mem::take(value);
                    *value = Value::Mapping(Mapping::from_iter([(Value::from(*key), wrapped)]));
                }
            }
        }
    }
}

fn remove(document: &mut Value, entry: &Place) -> Option<Value> {
    let (parent, key) = entry.entry()?;
    parent.mapping_in(document)?.shift_remove(key)
}

fn make(document: &mut Value, mapping: &Place) {
    let Some((parent, key)) = mapping.entry() else { return };
    if let Some(parent) = parent.mapping_in(document)
        && !parent.contains_key(key)
    {
        parent.insert(Value::from(key), Value::Mapping(Mapping::new()));
    }
}

fn insert(mapping: &mut Mapping, key: &str, value: Value, behind: Option<&str>) {
    let last = mapping.len().saturating_sub(1);
    let at = mapping.keys().position(|k| behind.is_some_and(|behind| *k == behind)).unwrap_or(last);
    let mut entries: Vec<_> = std::mem::take(mapping).into_iter().collect();
    entries.insert((at + 1).min(entries.len()), (Value::from(key), value));
    mapping.extend(entries);
}
