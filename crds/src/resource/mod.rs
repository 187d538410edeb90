//! The StreamPipeline resource as the API server stores it: the unchanged spec, and the status that the operator
//! writes.
//!
//! The operator must be able to read any document that the API server accepted, including documents with fields of a
//! newer version. So the spec stays a JSON value here, and the code that reads files reads it too
//! ([`crate::load_value`]).

mod conditions;
mod crd;
mod former;
mod structural;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use conditions::{ConditionType, Reason, Severity, condition};
pub use crd::{crd, crd_yaml};
pub(crate) use structural::unwrap_lines;

use crate::document::{API_VERSION, KIND};
pub use crate::status::{Progress, Restarts, Run, Runtime, SchemaWait, Status, TableVersion, WatermarkHold};

/// A StreamPipeline as it is read from the API server and written to it.
#[derive(Resource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[resource(inherit = crate::document::StreamPipelineSchema)]
pub struct StreamPipeline {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

impl StreamPipeline {
    /// The document that a user's file would contain, without server-side metadata and status. Equal specs give equal
    /// values.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut metadata = json!({"name": self.metadata.name});
        if let Some(namespace) = &self.metadata.namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": self.spec})
    }
}
