//! What makes pods: a Deployment for a pipeline that goes on for ever, a Job for one that reads what there is and ends.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::labels::{Owner, RUN, SECRETS};
use super::{Run, Running};
use crate::revision::Revision;

/// What there is to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    Deployment(Box<Deployment>),
    Job(Box<Job>),
    /// The run has ended.
    Done,
}

/// Which run of an AvailableNow pipeline a spec asks for; none if it goes on for ever. The same token is the same run.
#[must_use]
pub fn run_id(spec: &Value) -> Option<String> {
    let trigger = spec.get("trigger")?;
    let token = trigger.get("runToken").and_then(Value::as_str).unwrap_or("first");
    (trigger.get("type")?.as_str()? == "AvailableNow").then(|| token.to_owned())
}

/// `<pipeline>-run-<hash of the run>`.
#[must_use]
pub fn job_name(owner: &Owner, run: &str) -> String {
    format!("{}-run-{:08x}", owner.name, xxh3_64(run.as_bytes()) & 0xffff_ffff)
}

/// The Job of a run, if it is there.
#[must_use]
pub fn job_of<'a>(owner: &Owner, run: &str, jobs: &'a [Job]) -> Option<&'a Job> {
    let name = job_name(owner, run);
    jobs.iter().find(|job| job.metadata.name.as_deref() == Some(&name))
}

pub(super) fn workload(owner: &Owner, revision: &Revision, running: &Running) -> Workload {
    let mut template = revision.template.clone();
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(SECRETS.to_owned(), running.secrets_hash.clone());
    match &running.run {
        None => Workload::Deployment(Box::new(deployment(owner, template, running))),
        Some(run) if run.is_done => Workload::Done,
        Some(run) => Workload::Job(Box::new(job(owner, template, run, running))),
    }
}

/// A Deployment: a StatefulSet waits for ever for the pod of a lost node, and writers are fenced anyway. `Recreate`, since two of one
/// pipeline would only fence each other.
fn deployment(owner: &Owner, template: PodTemplateSpec, running: &Running) -> Deployment {
    Deployment {
        metadata: owner.meta(&owner.name),
        spec: Some(DeploymentSpec {
            replicas: Some(running.replicas),
            selector: owner.selector(),
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }),
            template,
            // Revisions are kept by the operator.
            revision_history_limit: Some(1),
            // A pod that is away for a moment is no failed rollout.
            progress_deadline_seconds: Some(600),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A Job that never gives up by itself: what can't be mended by another try is a condition of the pipeline.
fn job(owner: &Owner, mut template: PodTemplateSpec, run: &Run, running: &Running) -> Job {
    if let Some(spec) = &mut template.spec {
        spec.restart_policy = Some("OnFailure".to_owned());
    }
    let mut metadata = owner.meta(&job_name(owner, &run.id));
    metadata.annotations = Some([(RUN.to_owned(), run.id.clone())].into());
    Job {
        metadata,
        spec: Some(JobSpec { suspend: Some(running.replicas == 0), backoff_limit: Some(i32::MAX), template, ..JobSpec::default() }),
        ..Job::default()
    }
}
