//! The StreamPipeline resource as the API server keeps it: the spec as it came, and the status that the operator
//! writes.
//!
//! The operator must be able to look at any document that the API server let in, also one with fields that a newer
//! version brought. So the spec stays a JSON value here, and is read by the same code as a file
//! ([`crate::load_value`]).

mod conditions;
mod crd;
mod former;
mod status;
mod structural;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use conditions::{ConditionType, Reason, Severity, condition};
pub use crd::{crd, crd_yaml};
pub use status::{Progress, Restarts, Run, Runtime, Status, TableVersion, WatermarkHold};
pub(crate) use structural::unwrap_lines;

use crate::document::{API_VERSION, KIND};

/// A StreamPipeline as it is read from and written to the API server.
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
    /// What a user's file would hold: no server-side metadata, no status. The same spec gives the same value.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut metadata = json!({"name": self.metadata.name});
        if let Some(namespace) = &self.metadata.namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": self.spec})
    }
}
