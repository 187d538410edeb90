//! Revisions: what a pipeline's pods are made from, frozen when the document was accepted.
//!
//! A revision holds the document, the image and the pod template as the operator built it at that time. As long as the
//! document asks for the same, the stored template is used unchanged, so that an operator upgrade rolls nothing. The
//! revision is stored as a ControllerRevision and written before anything is rolled, so a crash in between does not
//! lose the intent.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_crds::document::{PodTemplate, Resources, Spec};
use weir_crds::resource::StreamPipeline;
use xxhash_rust::xxh3::xxh3_64;

use crate::desired::labels::Owner;
use crate::desired::pod;
use crate::marks::Marks;

/// Fields of the spec that the runtime does not read. The pods' own settings are in other inputs.
const NOT_FOR_PODS: [&str; 7] =
    ["suspend", "replicas", "deletionPolicy", "image", "runtimeVersion", "resources", "podTemplate"];

/// The most bytes of a document's text with indentation. Longer documents are written without spaces.
const PRETTY_BYTES_MAX: usize = 256 << 10;

/// The inputs of a pod. An unknown field comes from a newer operator and can't be interpreted, so reading fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inputs {
    /// The document's text as the runtime reads it.
    pub document_text: String,
    pub image: String,
    /// Whether the document names the image or its version. When it stops naming one, the operator's default applies
    /// again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub image_is_given: bool,
    /// The Secrets to mount.
    pub secrets: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// An accepted document with everything that its pods need.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// The name: `<pipeline>-<hash of the inputs>`.
    pub name: String,
    /// The number, which increases: the revision that was accepted last has the greatest.
    pub number: i64,
    /// The generation of the spec that the revision came from.
    pub generation: i64,
    pub inputs: Inputs,
    pub template: PodTemplateSpec,
    pub marks: Marks,
}

/// The `data` of the ControllerRevision.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Data {
    generation: i64,
    inputs: Inputs,
    template: PodTemplateSpec,
}

impl Inputs {
    /// The inputs from a valid document and what it says about pods.
    #[must_use]
    pub fn of(pipeline: &StreamPipeline, spec: &Spec, image: String) -> Self {
        let mut document = pipeline.document();
        if let Some(spec) = document["spec"].as_object_mut() {
            spec.retain(|field, _| !NOT_FOR_PODS.contains(&field.as_str()));
        }
        Self {
            document_text: text_of(&document),
            image,
            image_is_given: spec.image.is_some() || spec.runtime_version.is_some(),
            secrets: secret_keys(&pipeline.spec).into_iter().map(|(secret, _)| secret).collect(),
            resources: spec.resources.clone(),
            pod_template: spec.pod_template.clone(),
        }
    }

    /// The document as a value.
    #[must_use]
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.document_text).unwrap_or(Value::Null)
    }

    fn hash(&self) -> String {
        format!("{:010x}", xxh3_64(serde_json::to_string(self).unwrap_or_default().as_bytes()) & 0xff_ffff_ffff)
    }
}

impl Revision {
    /// The revision for these inputs: an existing one, which becomes the newest, or a new one.
    #[must_use]
    pub fn of(owner: &Owner, inputs: Inputs, generation: i64, there: &[Self]) -> Self {
        let name = format!("{}-{}", owner.name, inputs.hash());
        let newest = |others: &mut dyn Iterator<Item = &Self>| others.map(|r| r.number).max().unwrap_or(0);
        if let Some(same) = there.iter().find(|r| r.name == name && r.inputs == inputs) {
            let others = newest(&mut there.iter().filter(|r| r.name != name));
            return Self { number: if same.number > others { same.number } else { others + 1 }, ..same.clone() };
        }
        let number = newest(&mut there.iter()) + 1;
        let template = pod::template(owner, &inputs, &name, &name);
        Self { name, number, generation, inputs, template, marks: Marks::default() }
    }

    #[must_use]
    pub fn to_object(&self, owner: &Owner) -> ControllerRevision {
        let data = Data { generation: self.generation, inputs: self.inputs.clone(), template: self.template.clone() };
        ControllerRevision {
            metadata: ObjectMeta { annotations: self.marks.to_annotations(), ..owner.meta(&self.name) },
            revision: self.number,
            data: serde_json::to_value(data).ok().map(RawExtension),
        }
    }

    /// Reads a revision from its object.
    ///
    /// # Errors
    /// Why it can't be read. It was then written by another version.
    pub fn from_object(object: &ControllerRevision) -> Result<Self, String> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let value = object.data.as_ref().map_or(Value::Null, |d| d.0.clone());
        let data: Data = serde_json::from_value(value).map_err(|e| e.to_string())?;
        let marks = Marks::from_annotations(object.metadata.annotations.as_ref());
        Ok(Self {
            name,
            number: object.revision,
            generation: data.generation,
            inputs: data.inputs,
            template: data.template,
            marks,
        })
    }
}

/// The document's text as JSON, which is always valid YAML, since JSON values have no anchors and no unusual keys. It
/// is indented for people, unless the document is very long.
fn text_of(document: &Value) -> String {
    let pretty = serde_json::to_string_pretty(document).unwrap_or_default();
    if pretty.len() <= PRETTY_BYTES_MAX { pretty } else { document.to_string() }
}

/// All Secrets that a spec refers to, with the keys that must exist. A field refers to a Secret if its name is
/// `secretRef` or ends with `SecretRef`.
#[must_use]
pub fn secret_keys(spec: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    collect_secrets(spec, &mut found);
    found
}

/// The required keys for `credentialsSecretRef`, which does not name any.
const CREDENTIAL_KEYS: [&str; 2] = ["accessKeyId", "secretAccessKey"];

fn collect_secrets(value: &Value, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                let name = inner.get("name").and_then(Value::as_str);
                match name.filter(|_| field == "secretRef" || field.ends_with("SecretRef")) {
                    Some(secret) => match inner.get("key").and_then(Value::as_str) {
                        Some(key) => found.extend([(secret.to_owned(), key.to_owned())]),
                        None => found.extend(CREDENTIAL_KEYS.map(|key| (secret.to_owned(), key.to_owned()))),
                    },
                    None => collect_secrets(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_secrets(item, found)),
        _ => {}
    }
}
