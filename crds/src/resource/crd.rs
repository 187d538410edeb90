//! The CustomResourceDefinition, generated from the types with which the program reads documents. `make generate`
//! writes it to a file.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceSubresourceScale,
    CustomResourceSubresourceStatus, CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::structural::structural;
use super::{Status, former};
use crate::document::{Spec, StreamPipelineSchema, rule, say_what_is_built};
use crate::refused;

const HEADER: &str = "# Written by `make generate` from crds/src; changes belong there.\n";

/// The columns of `kubectl get`: heading, type, priority (1: only with `-o wide`), JSON path.
const COLUMNS: &[(&str, &str, i32, &str)] = &[
    ("Ready", "string", 0, ".status.conditions[?(@.type==\"Ready\")].status"),
    ("Reason", "string", 0, ".status.conditions[?(@.type==\"Ready\")].reason"),
    ("Replicas", "integer", 0, ".status.replicas"),
    ("Rate", "integer", 0, ".status.progress.inputRowsPerSecond"),
    ("Lag", "integer", 0, ".status.progress.lag"),
    // A string: `kubectl` would show a date as an age.
    ("Watermark", "string", 0, ".status.progress.watermark"),
    ("Age", "date", 0, ".metadata.creationTimestamp"),
    ("Message", "string", 1, ".status.conditions[?(@.type==\"Ready\")].message"),
    ("Image", "string", 1, ".status.runtime.image"),
];

/// The definition to install.
///
/// # Errors
/// A schema that Kubernetes' types can't hold, which is a bug.
pub fn crd() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = StreamPipelineSchema::crd();
    crd.spec.names.categories = Some(vec!["weir".to_owned(), "all".to_owned()]);
    for version in &mut crd.spec.versions {
        version.schema = Some(CustomResourceValidation { open_api_v3_schema: Some(schema()?) });
        version.additional_printer_columns = Some(COLUMNS.iter().map(column).collect());
        version.subresources = Some(CustomResourceSubresources {
            status: Some(CustomResourceSubresourceStatus(json!({}))),
            scale: Some(CustomResourceSubresourceScale {
                spec_replicas_path: ".spec.replicas".to_owned(),
                status_replicas_path: ".status.replicas".to_owned(),
                label_selector_path: Some(".status.selector".to_owned()),
            }),
        });
    }
    Ok(crd)
}

/// The definition as YAML, as the chart installs it.
///
/// # Errors
/// Those of [`crd`].
pub fn crd_yaml() -> Result<String, Box<dyn std::error::Error>> {
    let mut crd = serde_json::to_value(crd()?)?;
    write_integers(&mut crd);
    Ok(format!("{HEADER}{}", serde_yaml::to_string(&crd)?))
}

/// Writes whole floating-point numbers as integers. Kubernetes' types hold bounds as floats, but the API server returns
/// `10`, not `10.0`.
fn write_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let integer =
                number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < (1_u64 << 53) as f64).map(|n| n as i64);
            if let Some(integer) = integer {
                *number = integer.into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(write_integers),
        Value::Object(fields) => fields.values_mut().for_each(write_integers),
        _ => {}
    }
}

fn column((name, kind, priority, path): &(&str, &str, i32, &str)) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: (*name).to_owned(),
        type_: (*kind).to_owned(),
        json_path: (*path).to_owned(),
        priority: (*priority != 0).then_some(*priority),
        ..CustomResourceColumnDefinition::default()
    }
}

fn schema() -> Result<JSONSchemaProps, serde_json::Error> {
    let mut spec = raw::<Spec>();
    say_what_is_built(&mut spec, "spec", &refused::built);
    let mut spec = structural(spec);
    former::add(&mut spec);
    let mut status = structural(raw::<Status>());
    // kstatus considers an object without a status ready, even if no controller has seen it yet.
    status["default"] = json!({"observedGeneration": -1});
    serde_json::from_value(json!({
        "description": "A streaming pipeline: what is read, what is computed and what is written, exactly once.",
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": spec, "status": status},
        "x-kubernetes-validations": [name_rule()],
    }))
}

/// The schema of the type, before it is made one that Kubernetes takes.
fn raw<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The rule for the pipeline's name. Pods and labels derive their names from it, so it has to be shorter than an
/// object's name may be. The schema of `metadata` can't express this.
fn name_rule() -> Value {
    let mut name = rule(
        "size(self.metadata.name) <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "",
        "metadata.name has at most 50 lower-case letters, digits and hyphens, beginning with a letter \
         and not ending with a hyphen",
    );
    name["messageExpression"] =
        "'metadata.name: found `' + self.metadata.name + '`: write at most 50 lower-case letters, digits and hyphens, \
         beginning with a letter and not ending with a hyphen'"
            .into();
    name
}
