//! The names, labels and owners of all objects of a pipeline.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

/// The label with the pipeline's name, on all of its objects.
pub const PIPELINE: &str = "weir.dev/pipeline";
/// The annotation of pods with the revision that they run.
pub const REVISION: &str = "weir.dev/revision";
/// The annotation of a Job with the id of its run.
pub const RUN: &str = "weir.dev/run";
/// The annotation with the pipeline's uid, on objects that the pipeline does not own.
pub const OF: &str = "weir.dev/of";
/// The annotation of pods with the versions of their Secrets when they were rolled out.
pub const SECRETS: &str = "weir.dev/secrets";

/// The pipeline that owns the objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    pub name: String,
    pub namespace: String,
    pub reference: OwnerReference,
}

impl Owner {
    /// The name, namespace, labels and owner of an object.
    #[must_use]
    pub fn meta(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            owner_references: Some(vec![self.reference.clone()]),
            ..ObjectMeta::default()
        }
    }

    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector_labels();
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "weir-operator".to_owned());
        labels
    }

    /// The labels that select the pods. They must never change, since a Deployment's selector can't be changed.
    #[must_use]
    pub fn selector_labels(&self) -> BTreeMap<String, String> {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        BTreeMap::from([
            label("app.kubernetes.io/name", "weir"),
            label("app.kubernetes.io/component", "runtime"),
            label(PIPELINE, &self.name),
        ])
    }

    #[must_use]
    pub fn selector(&self) -> LabelSelector {
        LabelSelector { match_labels: Some(self.selector_labels()), ..LabelSelector::default() }
    }

    /// The selector as text, for the scale subresource.
    #[must_use]
    pub fn selector_text(&self) -> String {
        self.selector_labels().iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
    }
}
