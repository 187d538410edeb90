//! Rules between fields that a schema can't express, in CEL for `x-kubernetes-validations`. Where lowering has the same
//! rule, the message is the same.
//!
//! `tests/admit_*` in `e2e` try each rule on a real API server, which also checks that the rules are within its cost
//! budget.

use serde_json::{Value, json};

use super::unions;
use crate::finding::one_of;

/// What is said of a folder in a document for a cluster, by the definition and by lowering.
pub(crate) const FOLDER_ON_A_CLUSTER: &str =
    "a folder of a pod is lost with the pod, and what is in it with the folder; on a cluster write s3://bucket/path";

const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// Exactly one of `members` must be set. The message is the same as lowering's, once [`say_what_is_built`] has seen it.
pub(crate) fn exactly_one(members: &[&str]) -> Value {
    let there: Vec<_> = members.iter().map(|member| format!("has(self.{member})")).collect();
    if let [only] = members {
        return json!({"rule": there[0], "message": format!("{only} is missing"), EXACTLY_ONE: members});
    }
    let mut rule = exactly_one_later(members);
    rule["messageExpression"] = message_of_union(members, members).into();
    rule
}

/// What is found of the members, and the rule, which names those that are built.
fn message_of_union(members: &[&str], built: &[&str]) -> String {
    let there: Vec<_> = members.iter().map(|member| format!("has(self.{member})")).collect();
    // Joining a list of names would be shorter, but the API server can't estimate its cost.
    let found: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(i, member)| match i {
            0 => format!("({} ? '{member}' : '')", there[0]),
            _ => format!("({} ? ({} ? ' and {member}' : '{member}') : '')", there[i], there[..i].join(" || ")),
        })
        .collect();
    format!(
        "({}) ? 'found ' + {} + '; {}' : '{}'",
        there.join(" || "),
        found.join(" + "),
        unions::one_should_be_there(built),
        unions::none_there(built)
    )
}

/// Those of a block's fields whose feature is built, by the block's path.
type Built = dyn for<'m> Fn(&str, &[&'m str]) -> Vec<&'m str>;

/// Lets the rules of unions within the schema of the block at `path` name the members that are built.
pub(crate) fn say_what_is_built(schema: &mut Value, path: &str, built: &Built) {
    let rules = schema.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter(|rule| rule.get("messageExpression").is_some()) {
        let members = rule.get(EXACTLY_ONE).and_then(Value::as_array).into_iter().flatten();
        let members: Vec<_> = members.filter_map(Value::as_str).map(str::to_owned).collect();
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        let there_are = built(path, &members);
        if (1..members.len()).contains(&there_are.len()) {
            rule["message"] = unions::one_should_be_there(&there_are).into();
            rule["messageExpression"] = message_of_union(&members, &there_are).into();
        }
    }
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        say_what_is_built(field, &format!("{path}.{name}"), built);
    }
    if let Some(items) = schema.get_mut("items") {
        say_what_is_built(items, &format!("{path}[]"), built);
    }
    for of in ["anyOf", "allOf", "oneOf"] {
        let same = schema.get_mut(of).and_then(Value::as_array_mut);
        same.into_iter().flatten().for_each(|same| say_what_is_built(same, path, built));
    }
}

/// Like [`exactly_one`] with a shorter message, for blocks that are not built yet. Lowering refuses them anyway, and
/// the definition's size is limited.
pub(crate) fn exactly_one_later(members: &[&str]) -> Value {
    let there: Vec<_> = members.iter().map(|member| format!("has(self.{member})")).collect();
    json!({
        "rule": format!("[{}].exists_one(is, is)", there.join(", ")),
        "message": format!("exactly one of {} should be there", one_of(members)),
        EXACTLY_ONE: members,
    })
}

/// The key under which a rule carries its members to the schema for editors, which do not read CEL. It is removed
/// before the API server sees the schema.
pub(crate) const EXACTLY_ONE: &str = "exactlyOneOf";

/// The duration must be from `least` to `most`, both included.
pub(crate) fn between(least: &str, most: &str) -> Value {
    json!({
        // A text that is no duration is left to the pattern.
        "rule": format!("!self.matches('{DURATION}') || (duration(self) >= duration('{least}') && duration(self) <= \
                         duration('{most}'))"),
        "message": format!("write {least} to {most}"),
        "messageExpression": format!("'found `' + self + '`: write {least} to {most}'"),
    })
}

/// `field` may be set only if the block's `key` is `value`. If `key` is left out, it counts as `default`.
pub(crate) fn belongs_to(field: &str, key: &str, value: &str, default: Option<&str>) -> Value {
    let found = match default {
        Some(default) => format!("(has(self.{key}) ? self.{key} : '{default}')"),
        None => format!("self.{key}"),
    };
    json!({
        "rule": format!("!has(self.{field}) || {found} == '{value}'"),
        "message": format!("belongs to the {key} `{value}`; leave it out"),
        "messageExpression": format!("'belongs to the {key} `{value}`, and the {key} is `' + {found} + '`; leave it \
                                      out'"),
        "fieldPath": format!(".{field}"),
    })
}

/// A rule whose message is about `field`, or about the whole block if `field` is empty.
pub(crate) fn rule(rule: &str, field: &str, message: &str) -> Value {
    let mut said = json!({"rule": rule, "message": message});
    if !field.is_empty() {
        said["fieldPath"] = format!(".{field}").into();
    }
    said
}

/// No name may be in both lists of the spec. The message does not name it: the API server could not estimate the cost
/// of such a message.
pub(crate) fn different_names(one: &str, other: &str) -> Value {
    rule(
        &format!(
            "!has(self.{one}) || !has(self.{other}) || !self.{one}.exists(a, self.{other}.exists(b, b.name == a.name))"
        ),
        other,
        &format!("a name stands in {one} and in {other}; sources, steps and sinks have different names ({WHICH})"),
    )
}

/// Every element of the spec's `list` that has `kind` must read an existing node, or one of its outputs.
pub(crate) fn reads_what_is_there(list: &str, kind: &str) -> Value {
    let (is_there, from) = match kind {
        "" => ("true".to_owned(), "a.from".to_owned()),
        kind => (format!("has(a.{kind})"), format!("a.{kind}.from")),
    };
    let is_it = format!("b.name == {from} || {from}.startsWith(b.name + '.')");
    let found = format!("self.sources.exists(b, {is_it}) || (has(self.steps) && self.steps.exists(b, {is_it}))");
    rule(
        &format!("!has(self.{list}) || self.{list}.all(a, !{is_there} || {found})"),
        list,
        &format!("one of them reads what is not there: write the name of a source or a step ({WHICH})"),
    )
}

/// Every source must read through an existing connection.
pub(crate) fn connections_are_there() -> Value {
    rule(
        "self.sources.all(a, !has(a.kafka) || (has(self.connections) && self.connections.exists(b, b.name == \
         a.kafka.connection)))",
        "sources",
        &format!(
            "one of them reads through a connection that is not there: write a name in spec.connections \
             ({WHICH})"
        ),
    )
}

/// Refuses a folder of the machine. `weir run` accepts it on a laptop.
pub(crate) fn no_folder() -> Value {
    json!({
        "rule": "!self.startsWith('file:')",
        "message": FOLDER_ON_A_CLUSTER,
        "messageExpression": format!("'found `' + self + '`: {FOLDER_ON_A_CLUSTER}'"),
    })
}

const WHICH: &str = "`weir validate` says which";
