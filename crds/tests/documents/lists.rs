//! A mapping where a list belongs, and a list where a mapping does: one error, which says how to write it, and none
//! that follows from it.

use serde_yaml::{Mapping, Value};

use crate::right::{RIGHT, findings};

/// The findings about the right document with another value at a place of the spec.
fn with(field: &str, change: impl Fn(Value) -> Value) -> Vec<String> {
    let mut document: Value = serde_yaml::from_str(RIGHT).unwrap();
    let place = document.get_mut("spec").unwrap().get_mut(field).unwrap();
    *place = change(place.clone());
    findings(&serde_yaml::to_string(&document).unwrap())
}

/// `{cleaned: {map: …}, revenue: {aggregate: …}}`
fn by_name(list: Value) -> Value {
    let elements = list.as_sequence().unwrap().iter().map(|element| {
        let mut element = element.as_mapping().unwrap().clone();
        let name = element.shift_remove("name").or_else(|| element.shift_remove("uriPrefix")).unwrap();
        (name, Value::Mapping(element))
    });
    Value::Mapping(elements.collect::<Mapping>())
}

#[test]
fn a_mapping_where_a_list_belongs_is_one_error() {
    let first = [("connections", "events"), ("sources", "rides"), ("steps", "cleaned"), ("sinks", "silver")];
    for (list, name) in first {
        let said = format!(
            "spec.{list}: found a mapping: write a list, with a hyphen before each element, as in `- name: {name}`"
        );
        assert_eq!(with(list, by_name), [&*said]);
        // An element without its hyphen.
        assert_eq!(with(list, |list| list[0].clone()), [&*said]);
    }
    let said = "spec.storage: found a mapping: write a list, with a hyphen before each element";
    assert_eq!(with("storage", by_name), [said]);
}

#[test]
fn another_value_where_a_list_belongs_is_one_error() {
    for list in ["connections", "sources", "steps", "sinks"] {
        assert_eq!(
            with(list, |_| Value::from("rides")),
            [format!("spec.{list}: found the text `rides`: write a list")]
        );
    }
}

#[test]
fn a_list_where_a_mapping_belongs_is_one_error() {
    for (block, fields) in
        [("checkpoint", "uri, keep, snapshotEvery"), ("trigger", "type, interval, onEnd, schedule, runToken")]
    {
        let said = format!("spec.{block}: found a list: write a mapping with the fields {fields}");
        assert_eq!(with(block, |block| Value::Sequence(vec![block])), [said]);
    }
}
