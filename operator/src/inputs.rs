//! What a pod is made from: of a document, what its runtime reads, and what it says of the pod.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_crds::document::{Http, PodTemplate, Resources, Spec};
use weir_crds::resource::StreamPipeline;
use xxhash_rust::xxh3::xxh3_64;

use crate::secrets::secret_keys;

/// Fields of the spec that the runtime does not read. The pods' own settings are in other inputs.
const NOT_FOR_PODS: [&str; 8] =
    ["suspend", "replicas", "deletionPolicy", "image", "runtimeVersion", "resources", "podTemplate", "networkPolicy"];

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
    /// The Secrets that the document names. Their keys are read from the document.
    pub secrets: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
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
            secrets: secret_keys(&pipeline.spec).into_keys().collect(),
            resources: spec.resources.clone(),
            pod_template: spec.pod_template.clone(),
        }
    }

    /// The document as a value.
    #[must_use]
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.document_text).unwrap_or(Value::Null)
    }

    /// What guards the HTTP port of the pods.
    #[must_use]
    pub fn http(&self) -> Http {
        serde_json::from_value(self.document()["spec"]["http"].take()).unwrap_or_default()
    }

    /// Equal for equal inputs: for the names of revisions.
    #[must_use]
    pub fn hash(&self) -> String {
        format!("{:010x}", xxh3_64(serde_json::to_string(self).unwrap_or_default().as_bytes()) & 0xff_ffff_ffff)
    }
}

/// The document's text as JSON, which is always valid YAML, since JSON values have no anchors and no unusual keys. It
/// is indented for people, unless the document is very long.
fn text_of(document: &Value) -> String {
    let pretty = serde_json::to_string_pretty(document).unwrap_or_default();
    if pretty.len() <= PRETTY_BYTES_MAX { pretty } else { document.to_string() }
}
