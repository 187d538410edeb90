//! `--override FILE`: merges a document over another one, so that one pipeline fits a laptop and a cluster.
//!
//! - Mappings merge, key by key, to any depth; `null` removes a key.
//! - Lists whose elements have a `name` (for `storage`: a `uriPrefix`) merge by name: an element with a known name
//!   merges, a new one is appended. An empty list and all other lists replace what was there, as plain values do.
//! - If exactly one of several members may be set (a sink's `delta`, `kafka`, …), the override's member replaces the
//!   other one. A block whose `type` becomes another is replaced as a whole, because the other fields belong to the old
//!   type.

use serde_yaml::{Mapping, Value};
use weir_plan::quote::quoted;

use crate::document::unions;
use crate::finding::{Finding, Path};

/// The keys that identify an element of a list.
const LIST_KEYS: &[&str] = &["name", "uriPrefix"];

/// `base` with `over` merged over it.
#[must_use]
pub fn merge(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => Value::Mapping(merge_mappings(base, over)),
        (Value::Sequence(base), Value::Sequence(over)) => Value::Sequence(merge_lists(base, over)),
        (_, over) => over,
    }
}

fn merge_mappings(base: Mapping, over: Mapping) -> Mapping {
    let mut merged =
        if is_of_another_type(&base, &over) { Mapping::new() } else { without_replaced_members(base, &over) };
    for (key, value) in over {
        if value.is_null() {
            merged.shift_remove(&key);
            continue;
        }
        let below = merged.get_mut(&key).map_or(Value::Null, std::mem::take);
        merged.insert(key, merge(below, value));
    }
    merged
}

/// Whether `over` changes the block's `type`. A column also has a `type`, but it has a name too, and its other fields
/// do not belong to the type.
fn is_of_another_type(base: &Mapping, over: &Mapping) -> bool {
    let named = LIST_KEYS.iter().any(|key| base.contains_key(*key));
    !named && matches!((base.get("type"), over.get("type")), (Some(old), Some(new)) if old != new)
}

fn without_replaced_members(base: Mapping, over: &Mapping) -> Mapping {
    let given = |member: &str| over.get(member).is_some_and(|v| !v.is_null());
    let replaced = |key: &str| {
        unions::ALL.iter().any(|union| union.contains(&key) && !given(key) && union.iter().any(|m| given(m)))
    };
    base.into_iter().filter(|(key, _)| !key.as_str().is_some_and(replaced)).collect()
}

fn merge_lists(mut base: Vec<Value>, over: Vec<Value>) -> Vec<Value> {
    let key = LIST_KEYS
        .iter()
        .find(|key| !over.is_empty() && base.iter().chain(&over).all(|e| e.get(**key).is_some_and(Value::is_string)));
    let Some(key) = key else { return over };
    for element in over {
        match base.iter_mut().find(|e| e.get(*key) == element.get(*key)) {
            Some(same) => *same = merge(std::mem::take(same), element),
            None => base.push(element),
        }
    }
    base
}

/// Checks that `over` is meant for `base`: the header fields that it sets must be equal to those of `base`.
pub(crate) fn check_header(base: &Value, over: &Value) -> Vec<Finding> {
    if !over.is_mapping() {
        return vec![Finding::new(
            &Path::root(),
            "found no mapping: write the fields that differ, as in spec: {trigger: {type: AvailableNow}}",
        )];
    }
    let at = |document: &Value, keys: &[&str]| keys.iter().try_fold(document, |v, k| v.get(*k)).cloned();
    [&["apiVersion"][..], &["kind"], &["metadata", "name"], &["metadata", "namespace"]]
        .into_iter()
        .filter_map(|keys| {
            let (found, right) = (at(over, keys)?, at(base, keys)?);
            let path = keys.iter().fold(Path::root(), |path, key| path.field(key));
            let said = |value: &Value| value.as_str().map_or_else(|| "something else than text".to_owned(), quoted);
            (found != right).then(|| {
                Finding::new(
                    &path,
                    format!(
                        "found {}, and the document has {}; leave it out or make it the same",
                        said(&found),
                        said(&right)
                    ),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn merged(base: &str, over: &str) -> Value {
        merge(serde_yaml::from_str(base).unwrap(), serde_yaml::from_str(over).unwrap())
    }

    fn yaml(text: &str) -> Value {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn mappings_merge_to_any_depth_and_null_removes() {
        let got = merged("{a: {b: {c: 1, d: 2}, e: 3}, f: 4}", "{a: {b: {c: 9, x: {z: 1}}, e: null}}");
        assert_eq!(got, yaml("{a: {b: {c: 9, d: 2, x: {z: 1}}}, f: 4}"));
    }

    #[test]
    fn lists_of_named_things_merge_by_name_and_keep_their_order() {
        let got = merged("[{name: a, x: 1}, {name: b, x: 1}]", "[{name: c}, {name: b, x: 2}]");
        assert_eq!(got, yaml("[{name: a, x: 1}, {name: b, x: 2}, {name: c}]"));
    }

    #[test]
    fn storage_merges_by_prefix() {
        let got =
            merged("[{uriPrefix: s3://a/, s3: {region: eu}}]", "[{uriPrefix: s3://a/, s3: {endpoint: http://x}}]");
        assert_eq!(got, yaml("[{uriPrefix: s3://a/, s3: {region: eu, endpoint: http://x}}]"));
    }

    #[test]
    fn other_lists_and_empty_ones_replace() {
        assert_eq!(merged("{topics: [a, b]}", "{topics: [c]}"), yaml("{topics: [c]}"));
        assert_eq!(merged("{steps: [{name: a}]}", "{steps: []}"), yaml("{steps: []}"));
        assert_eq!(
            merged("[{topic: a, partition: 0}]", "[{topic: b, partition: 1}]"),
            yaml("[{topic: b, partition: 1}]")
        );
    }

    #[test]
    fn another_member_of_a_union_takes_the_place_of_the_first() {
        assert_eq!(merged("{name: s, delta: {uri: u}}", "{name: s, console: {}}"), yaml("{name: s, console: {}}"));
        assert_eq!(merged("{position: Latest}", "{timestamp: t}"), yaml("{timestamp: t}"));
        assert_eq!(
            merged("{delta: {uri: u, partitionBy: [d]}}", "{delta: {uri: v}}"),
            yaml("{delta: {uri: v, partitionBy: [d]}}")
        );
    }

    #[test]
    fn a_block_of_another_type_is_replaced_and_one_of_the_same_type_merges() {
        assert_eq!(merged("{type: Interval, interval: 5s}", "{type: AvailableNow}"), yaml("{type: AvailableNow}"));
        assert_eq!(merged("{type: Interval, interval: 5s}", "{interval: 1s}"), yaml("{type: Interval, interval: 1s}"));
        assert_eq!(
            merged("[{name: a, type: int, required: true}]", "[{name: a, type: bigint}]"),
            yaml("[{name: a, type: bigint, required: true}]")
        );
    }

    #[test]
    fn an_override_for_another_pipeline_is_refused() {
        let base = yaml("{apiVersion: v, kind: k, metadata: {name: rides}}");
        assert_eq!(check_header(&base, &yaml("{spec: {}}")), []);
        assert_eq!(check_header(&base, &yaml("{kind: k, metadata: {name: rides}}")), []);
        let said: Vec<_> =
            check_header(&base, &yaml("{metadata: {name: orders}}")).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["metadata.name: found `orders`, and the document has `rides`; leave it out or make it the same"]
        );
    }
}
