//! Turns the schema that the types derive into a structural schema, as API servers require.
//!
//! An absent field is absent: no field may be `null`, so the API server drops a null. There are no defaults: a GitOps
//! tool would see them as drift.

use serde_json::{Map, Value};

/// Keywords that a structural schema can't have, or with which the API server would change documents.
const DROPPED: &[&str] = &["$schema", "title", "default"];

/// Makes a schema structural, including everything below it.
pub(super) fn structural(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return schema };
    hoist_optional(&mut schema);
    hoist_variants(&mut schema);
    drop_null(&mut schema);
    unwrap_lines(&mut schema);
    DROPPED.iter().for_each(|key| drop(schema.remove(*key)));
    if schema.get("additionalProperties").is_some_and(Value::is_boolean) {
        schema.remove("additionalProperties");
    }
    for below in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(below) {
            *inner = structural(inner.take());
        }
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| *property = structural(property.take()));
    }
    Value::Object(schema)
}

/// Replaces `anyOf: [X, null]` with X, and keeps the description of the outer schema.
fn hoist_optional(schema: &mut Map<String, Value>) {
    let is_null = |s: &Value| s.get("type").is_some_and(|t| t == "null");
    let Some(Value::Array(choices)) = schema.get("anyOf") else { return };
    let [Value::Object(some), null] = &choices[..] else { return };
    if is_null(null) {
        let some = some.clone();
        schema.remove("anyOf");
        for (key, value) in some {
            schema.entry(key).or_insert(value);
        }
    }
}

/// Replaces a `oneOf` of texts, each with a description, with a plain enum.
fn hoist_variants(schema: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = schema.get("oneOf") else { return };
    if let Some(values) = variants.iter().map(|v| v.get("const").cloned()).collect::<Option<Vec<_>>>() {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), values.into());
    }
}

fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get("type") {
        let others: Vec<_> = types.iter().filter(|t| *t != "null").cloned().collect();
        if let [only] = &others[..] {
            schema.insert("type".to_owned(), only.clone());
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
}

/// Joins a description's lines. Comments break lines for the source; `kubectl explain` and editors break them for the
/// screen.
pub(crate) fn unwrap_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::structural;

    #[test]
    fn an_optional_value_is_the_value_under_its_own_description() {
        let optional = json!({"description": "here", "anyOf": [{"description": "there", "type": "object", "properties": {}}, {"type": "null"}]});
        assert_eq!(structural(optional), json!({"description": "here", "type": "object", "properties": {}}));
        assert_eq!(
            structural(json!({"type": ["string", "null"], "enum": ["A", null]})),
            json!({"type": "string", "enum": ["A"]})
        );
    }

    #[test]
    fn nothing_has_a_default_and_unknown_fields_are_the_servers_to_judge() {
        let closed = json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "array", "default": [], "items": {}}}});
        assert_eq!(structural(closed), json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}));
    }

    #[test]
    fn what_is_a_number_or_a_text_stays_so() {
        let size = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
        assert_eq!(structural(size.clone()), size);
        assert_eq!(structural(json!({"anyOf": [size.clone(), {"type": "null"}]})), size);
    }
}
