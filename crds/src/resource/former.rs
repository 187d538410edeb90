//! Fields that documents had before their final shape. They stay in the resource's schema for one release, so that the
//! API server refuses them with a message. Without them in the schema, it would silently drop such a field, and a sink
//! for late rows would write the rows themselves.

use serde_json::{Value, json};

use crate::document::rule;

struct Former {
    /// The path of the block below the spec; `[]` stands for the elements of a list.
    block: &'static [&'static str],
    field: &'static str,
    now: &'static str,
}

const FORMER: &[Former] = &[
    Former {
        block: &["sources", "[]"],
        field: "groupId",
        now: "groupId stands in kafka now: write kafka: {groupId: …}",
    },
    Former {
        block: &["sources", "[]", "format", "json"],
        field: "columns",
        now: "columns stand beside format now: write them as columns of the source",
    },
    Former {
        block: &["steps", "[]", "aggregate", "window"],
        field: "offset",
        now: "offset stands in the window now: write tumbling: {size: …, offset: …}",
    },
    Former {
        block: &["sinks", "[]"],
        field: "output",
        now: "outputs are named in from now: write from: <node>.Late or from: <node>.Rejected, and leave output out",
    },
];

/// Adds the former fields to the structural schema of a spec.
pub(super) fn add(spec: &mut Value) {
    take_group_columns_as_texts(spec);
    for former in FORMER {
        let Some(block) = find(spec, former.block) else { continue };
        let schema = match former.field {
            "columns" => json!({
                "type": "array",
                "maxItems": 256,
                "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }),
            _ => json!({"type": "string", "maxLength": 249}),
        };
        let mut schema = schema;
        schema["description"] = format!("No longer supported. {}.", former.now).into();
        block["properties"][former.field] = schema;
        let refusal = rule(&format!("!has(self.{})", former.field), former.field, former.now);
        match block.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut) {
            Some(rules) => rules.push(refusal),
            None => block["x-kubernetes-validations"] = json!([refusal]),
        }
    }
}

/// Removes the type of group columns from the schema for one release. They were texts once. If the schema said that
/// they are objects, an API server that stores a document with such texts could not apply anything to it, not even a
/// status. The operator refuses the texts instead.
fn take_group_columns_as_texts(spec: &mut Value) {
    if let Some(Value::Object(column)) = find(spec, &["steps", "[]", "aggregate", "groupBy", "[]"]) {
        column.remove("type");
        column.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
    }
}

fn find<'s>(schema: &'s mut Value, path: &[&str]) -> Option<&'s mut Value> {
    path.iter().try_fold(schema, |schema, part| match *part {
        "[]" => schema.get_mut("items"),
        field => schema.get_mut("properties")?.get_mut(field),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::resource::crd;

    #[test]
    fn each_former_field_is_in_the_definition_and_refused_there() {
        let crd = serde_json::to_value(crd().unwrap()).unwrap();
        let mut spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
        for former in FORMER {
            let block = find(&mut spec, former.block).unwrap();
            assert!(block["properties"][former.field].is_object(), "{}", former.field);
            let rules = block["x-kubernetes-validations"].as_array().unwrap();
            assert!(rules.iter().any(|rule| rule["message"] == former.now), "{}", former.field);
        }
    }
}
