//! The object that creates pods: a Deployment for a pipeline without an end, a Job for one that reads what there is and
//! ends.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EnvVar, PodTemplateSpec};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::running::{Run, Running};
use crate::labels::{Owner, RUN, SECRETS};
use crate::pod_template::CONTAINER;
use crate::revision::Revision;

/// The environment variable that tells the runtime the id of its run.
const RUN_VARIABLE: &str = "WEIR_RUN";

/// The desired workload.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    Deployment(Box<Deployment>),
    Job(Box<Job>),
    /// None: the last run has ended, or no run was due yet.
    Done,
}

/// Whether a spec asks for runs that end. Other pipelines run without an end.
#[must_use]
pub fn is_in_runs(spec: &Value) -> bool {
    spec.pointer("/trigger/type").and_then(Value::as_str) == Some("AvailableNow")
}

/// The name of a run's Job: `<pipeline>-run-<hash of the run>`.
#[must_use]
pub fn job_name(owner: &Owner, run: &str) -> String {
    format!("{}-run-{:08x}", owner.name, xxh3_64(run.as_bytes()) & 0xffff_ffff)
}

/// The Job of a run, if it exists.
#[must_use]
pub fn job_of<'a>(owner: &Owner, run: &str, jobs: &'a [Job]) -> Option<&'a Job> {
    let name = job_name(owner, run);
    jobs.iter().find(|job| job.metadata.name.as_deref() == Some(&name))
}

/// The object that creates a revision's pods.
#[must_use]
pub fn workload(owner: &Owner, revision: &Revision, running: &Running) -> Workload {
    let mut template = revision.template.clone();
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(SECRETS.to_owned(), running.secrets.clone());
    match &running.run {
        Run::Endless => Workload::Deployment(Box::new(deployment(owner, template, running))),
        Run::None => Workload::Done,
        Run::Unfinished(id) => Workload::Job(Box::new(job(owner, template, id, running))),
    }
}

/// The Deployment. A StatefulSet would wait forever for the pod of a lost node, and writers are fenced anyway. The
/// strategy is `Recreate`, since two pods of one pipeline would only fence each other.
fn deployment(owner: &Owner, template: PodTemplateSpec, running: &Running) -> Deployment {
    Deployment {
        metadata: owner.meta(&owner.name),
        spec: Some(DeploymentSpec {
            replicas: Some(running.replicas),
            selector: owner.selector(),
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }),
            template,
            // The operator keeps revisions itself.
            revision_history_limit: Some(1),
            // A pod that is briefly missing does not count as a failed rollout.
            progress_deadline_seconds: Some(600),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The Job. It never gives up by itself: if another try can't help, a condition of the pipeline says so.
fn job(owner: &Owner, mut template: PodTemplateSpec, run: &str, running: &Running) -> Job {
    if let Some(spec) = &mut template.spec {
        spec.restart_policy = Some("OnFailure".to_owned());
        // The run's id is not an argument: the template may be for a runtime that does not know such an argument.
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
