//! Replaces each value of a valid document by one of another kind, or removes it. The program never panics, and if it
//! refuses the document, a finding is about that place or about a place that contains or reads it.

use serde_yaml::Value;
use weir_crds::load;

use crate::right::RIGHT;

/// Paths to every value: keys and indices.
pub fn places(document: &Value) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    walk(document, &[], &mut all);
    all
}

fn walk(value: &Value, at: &[Value], out: &mut Vec<Vec<Value>>) {
    let below = |key: Value| [at, &[key]].concat();
    match value {
        Value::Mapping(mapping) => mapping.iter().for_each(|(key, value)| {
            out.push(below(key.clone()));
            walk(value, &below(key.clone()), out);
        }),
        Value::Sequence(list) => list.iter().enumerate().for_each(|(i, value)| {
            out.push(below(i.into()));
            walk(value, &below(i.into()), out);
        }),
        _ => {}
    }
}

pub fn replaced(document: &Value, place: &[Value], with: &Value) -> Value {
    let mut document = document.clone();
    let mut at = &mut document;
    for key in place {
        at = match key.as_u64() {
            Some(i) => &mut at[usize::try_from(i).unwrap()],
            None => &mut at[key],
        };
    }
    *at = with.clone();
    document
}

#[test]
fn a_document_with_any_value_replaced_is_refused_with_words_or_lowered() {
    let right: Value = serde_yaml::from_str(RIGHT).unwrap();
    let all = places(&right);
    let mut refused = 0;
    for place in &all {
        for with in ["null", "-1", "[[]]", "{x: 1}", "\"\""] {
            let text = serde_yaml::to_string(&replaced(&right, place, &serde_yaml::from_str(with).unwrap())).unwrap();
            if let Err(found) = load(&text, None) {
                assert!(!found.is_empty(), "{place:?} replaced by {with} is refused without a word");
                assert!(
                    found.iter().all(|f| !f.path.is_empty() && !f.message.is_empty()),
                    "{place:?} replaced by {with}: {found:?}"
                );
                refused += 1;
            }
        }
    }
    // Nearly all mutations are errors. Exceptions are removed fields that have a default.
    assert!(refused * 10 > all.len() * 5 * 8, "{refused} of {}", all.len() * 5);
}
