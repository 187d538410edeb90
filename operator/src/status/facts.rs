//! What a status is made from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use weir_crds::resource::{Status, StreamPipeline};
use weir_plan::report::Report;

use crate::error::Error;
use crate::labels::Owner;
use crate::observed::Observed;
use crate::runs::Runs;
use crate::verdict::Verdict;

/// The facts from which the status is computed.
pub struct Facts<'a> {
    pub pipeline: &'a StreamPipeline,
    pub owner: &'a Owner,
    pub verdict: &'a Verdict,
    pub observed: &'a Observed,
    /// The runtime's report; `None` if there is no pod to ask, or if it has not claimed its checkpoint yet.
    pub report: Option<&'a Report>,
    /// Why the runtime could not be asked.
    pub unreachable: Option<&'a str>,
    /// Why the desired objects could not be applied.
    pub failure: Option<&'a Error>,
    /// `None` if the pipeline runs without an end.
    pub runs: Option<&'a Runs>,
    pub now: Time,
}

impl Facts<'_> {
    pub(super) fn before(&self) -> Option<&Status> {
        self.pipeline.status.as_ref()
    }

    pub(super) fn generation(&self) -> i64 {
        self.pipeline.metadata.generation.unwrap_or(0)
    }

    /// Whether there is an object that creates pods.
    pub(super) fn has_workload(&self) -> bool {
        self.observed.deployment.is_some() || !self.observed.jobs.is_empty()
    }
}
