//! What makes pods: a Deployment for a pipeline that goes on for ever, a Job for one that reads what there is and ends.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EnvVar, PodTemplateSpec};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::labels::{Owner, RUN, SECRETS};
use super::pod::CONTAINER;
use super::{Run, Running};
use crate::revision::Revision;

/// Tells the runtime which run it is.
const RUN_VARIABLE: &str = "WEIR_RUN";

/// What there is to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    Deployment(Box<Deployment>),
    Job(Box<Job>),
    /// The last run has ended, or none was due yet.
    Done,
}

/// Whether a spec asks for runs that end; else it goes on for ever.
#[must_use]
pub fn is_in_runs(spec: &Value) -> bool {
    spec.pointer("/trigger/type").and_then(Value::as_str) == Some("AvailableNow")
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

/// What a revision's pods are made by.
#[must_use]
pub fn workload(owner: &Owner, revision: &Revision, running: &Running) -> Workload {
    let mut template = revision.template.clone();
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(SECRETS.to_owned(), running.secrets_hash.clone());
    match &running.run {
        Run::Endless => Workload::Deployment(Box::new(deployment(owner, template, running))),
        Run::None => Workload::Done,
        Run::Unfinished(id) => Workload::Job(Box::new(job(owner, template, id, running))),
    }
}

/// A Deployment: a StatefulSet waits for ever for the pod of a lost node, and writers are fenced anyway. `Recreate`,
/// since two of one pipeline would only fence each other.
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
fn job(owner: &Owner, mut template: PodTemplateSpec, run: &str, running: &Running) -> Job {
    if let Some(spec) = &mut template.spec {
        spec.restart_policy = Some("OnFailure".to_owned());
        // Not an argument: the template may be of a runtime that does not know it.
        for container in spec.containers.iter_mut().filter(|c| c.name == CONTAINER) {
            let id = EnvVar { name: RUN_VARIABLE.to_owned(), value: Some(run.to_owned()), value_from: None };
            let env = container.env.get_or_insert_default();
            env.retain(|v| v.name != RUN_VARIABLE);
            env.push(id);
        }
    }
    let mut metadata = owner.meta(&job_name(owner, run));
    metadata.annotations = Some([(RUN.to_owned(), run.to_owned())].into());
    Job {
        metadata,
        spec: Some(JobSpec {
            suspend: Some(running.replicas == 0),
            backoff_limit: Some(i32::MAX),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}
