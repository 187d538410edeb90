//! The document's JSON Schema for editors: it gives completion, hover texts and red lines while the user writes a
//! StreamPipeline.
//!
//! Editors do not read CEL, so `oneOf` expresses here what CEL says about unions. `weir validate` checks what the
//! schema can't express.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::document::{EXACTLY_ONE, StreamPipeline};
use crate::resource::unwrap_lines;

/// The schema of a whole document, in draft 7, which the YAML language server supports best.
#[must_use]
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<StreamPipeline>().to_value();
    for_editors(&mut schema);
    schema
}

fn for_editors(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            say_unions(keywords);
            unwrap_lines(keywords);
            keywords.retain(|key, _| !key.starts_with("x-kubernetes-"));
            keywords.values_mut().for_each(for_editors);
        }
        Value::Array(list) => list.iter_mut().for_each(for_editors),
        _ => {}
    }
}

fn say_unions(keywords: &mut Map<String, Value>) {
    let Some(Value::Array(rules)) = keywords.get("x-kubernetes-validations") else { return };
    let members = rules.iter().find_map(|rule| rule.get(EXACTLY_ONE)?.as_array());
    if let Some(members) = members {
        let one_of: Vec<_> = members.iter().map(|member| json!({"required": [member]})).collect();
        keywords.insert("oneOf".to_owned(), one_of.into());
    }
}
