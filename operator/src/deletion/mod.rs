//! `spec.deletionPolicy: DeleteCheckpoint`: a finalizer keeps the pipeline until its checkpoint is deleted, for a
//! limited time. The operator has no access to stores, so a Job with the pipeline's own image and Secrets deletes the
//! checkpoint.

mod step;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::events::EventType;
use serde_json::{Value, json};
use weir_crds::resource::StreamPipeline;

use crate::apply::is_complete;
use crate::claims::Conflict;
use crate::context::{Context, FIELD_MANAGER};
use crate::desired::cleanup;
use crate::error::{Error, Result, asking};
use crate::events::tell;
use crate::inputs::Inputs;
use crate::labels::Owner;
use crate::observed::Observed;
use crate::observed::current;
use crate::ownership::{is_a_cleanup, is_our_cleanup, refused};
use crate::revision::Revision;
use crate::status::{is_over, trouble};
use crate::write::{Writer, delete};
use step::{DEADLINE_SECONDS, Facts, Job, Step, step};

const FINALIZER: &str = "weir.dev/checkpoint";

/// Whether the reconcile continues as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Lives,
    /// The pipeline is being deleted, and must be looked at again soon.
    Waits,
    /// The pipeline is gone. The garbage collector does the rest: all other objects have an owner reference.
    Gone,
}

/// Does the next step for the finalizer and the deletion.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn reconcile(
    context: &Context,
    pipeline: &StreamPipeline,
    owner: &Owner,
    observed: &Observed,
) -> Result<Outcome> {
    let jobs = Api::<v1::Job>::namespaced(context.client.clone(), &owner.namespace);
    let name = cleanup::name(owner);
    let is_deleted = pipeline.metadata.deletion_timestamp.is_some();
    let job = if is_deleted { asking(format!("get Job {name}"), jobs.get_opt(&name)).await? } else { None };
    let facts = facts(context, pipeline, owner, observed, job.as_ref());
    match step(&facts) {
        Step::Pass if is_deleted => return Ok(Outcome::Gone),
        Step::Pass => return Ok(Outcome::Lives),
        Step::AddFinalizer => drop(set_finalizer(context, pipeline, owner, true).await?),
        Step::RemoveFinalizer => {
            let is_done = facts.job == Job::Complete;
            if is_done {
                tell(
                    context,
                    pipeline,
                    EventType::Normal,
                    "CheckpointDeleted",
                    format!("the checkpoint {} is deleted", uri(pipeline)),
                )
                .await;
            }
            return let_go(context, pipeline, owner, job.as_ref()).await;
        }
        Step::GiveUp => {
            let why = format!("was not deleted within {DEADLINE_SECONDS} s{}", last_words(context, owner).await);
            tell_left(context, pipeline, &why).await;
            return let_go(context, pipeline, owner, job.as_ref()).await;
        }
        Step::MakeJob => {
            // Without a revision, nothing ever ran.
            let Some(revision) = revision(context, pipeline, owner, observed) else {
                return let_go(context, pipeline, owner, None).await;
            };
            if !make_job(context, owner, &revision).await? {
                tell_left(context, pipeline, "stays, since its namespace is being deleted and takes no Job").await;
                return let_go(context, pipeline, owner, None).await;
            }
            tell(
                context,
                pipeline,
                EventType::Normal,
                "DeletingCheckpoint",
                format!("the pods stop, and then {} is deleted", uri(pipeline)),
            )
            .await;
        }
        Step::RefuseJob => {
            if let Some(job) = &job {
                return Err(refused("Job", &job.metadata, owner));
            }
        }
        Step::DeleteJob => {
            if let Some(job) = &job {
                delete(&jobs, &job.metadata).await?;
            }
        }
        Step::Stop => stop(context, owner, observed).await?,
        Step::ResumeJob => {
            let uid = job.as_ref().and_then(|job| job.metadata.uid.clone());
            let patch = Patch::Merge(json!({"metadata": {"uid": uid}, "spec": {"suspend": false}}));
            asking(format!("resume Job {name}"), jobs.patch(&name, &PatchParams::default(), &patch)).await?;
        }
        Step::Wait => {}
    }
    Ok(if is_deleted { Outcome::Waits } else { Outcome::Lives })
}

fn facts(
    context: &Context,
    pipeline: &StreamPipeline,
    owner: &Owner,
    observed: &Observed,
    job: Option<&v1::Job>,
) -> Facts {
    let is_suspended = |job: &v1::Job| job.spec.as_ref().and_then(|s| s.suspend).unwrap_or(false);
    Facts {
        is_asked_for: pipeline.spec.get("deletionPolicy").and_then(Value::as_str) == Some("DeleteCheckpoint"),
        has_finalizer: pipeline.finalizers().iter().any(|f| f == FINALIZER),
        deleting_since: pipeline.metadata.deletion_timestamp.as_ref().map(|t| t.0),
        // Each pod has its own folders, so the Job can't reach the checkpoint.
        has_checkpoint: !uri(pipeline).starts_with("file:")
            && !observed.conflict.as_ref().is_some_and(Conflict::is_about_checkpoint),
        has_workload: observed.deployment.is_some() || !observed.jobs.is_empty(),
        has_pods: !observed.pods.iter().chain(&observed.stray_pods).all(is_over),
        job: match job {
            None => Job::None,
            Some(job) if !is_a_cleanup(&job.metadata, owner) => Job::Foreign,
            Some(job) if !is_our_cleanup(&job.metadata, owner) => Job::Earlier,
            Some(job) if is_complete(job) => Job::Complete,
            Some(job) if is_suspended(job) => Job::Suspended,
            Some(_) => Job::Running,
        },
        now: (context.clock)(),
    }
}

/// The revision that ran. A foreground deletion deletes the ControllerRevisions first; then the revision is built again
/// from the spec and the status.
fn revision(context: &Context, pipeline: &StreamPipeline, owner: &Owner, observed: &Observed) -> Option<Revision> {
    if let Some(current) = current(observed).known() {
        return Some(current.clone());
    }
    let image = pipeline.status.as_ref()?.runtime.as_ref()?.image.clone();
    let document = weir_crds::parse_value(&pipeline.document()).ok()?;
    let inputs = Inputs::of(pipeline, &document.spec, image);
    Some(Revision::of(owner, inputs, context.settings.users, 0, &[]))
}

fn uri(pipeline: &StreamPipeline) -> &str {
    pipeline.spec.pointer("/checkpoint/uri").and_then(Value::as_str).unwrap_or_default()
}

/// Creates the Job, then the document that belongs to it. Returns false if the namespace is being deleted and accepts
/// no new objects.
async fn make_job(context: &Context, owner: &Owner, revision: &Revision) -> Result<bool> {
    let jobs = Api::<v1::Job>::namespaced(context.client.clone(), &owner.namespace);
    let job = cleanup::job(owner, revision, DEADLINE_SECONDS);
    let made =
        match asking("create the Job that deletes the checkpoint", jobs.create(&PostParams::default(), &job)).await {
            Err(e) if is_namespace_ending(&e) => return Ok(false),
            made => made?,
        };
    let config_map: ConfigMap = cleanup::config_map(owner, revision, &made);
    let writer = Writer { client: &context.client, owner };
    writer.apply_by(&writer.api(), &(), &config_map, |meta| is_a_cleanup(meta, owner)).await?;
    Ok(true)
}

fn is_namespace_ending(error: &Error) -> bool {
    let Error::Kube { source, .. } = error else { return false };
    matches!(&**source, kube::Error::Api(status) if status.code == 403 && status.message.contains("is being \
        terminated"))
}

async fn stop(context: &Context, owner: &Owner, observed: &Observed) -> Result<()> {
    let writer = Writer { client: &context.client, owner };
    if let Some(deployment) = &observed.deployment {
        writer.delete::<Deployment>(&deployment.metadata).await?;
    }
    for job in &observed.jobs {
        writer.delete::<v1::Job>(&job.metadata).await?;
    }
    Ok(())
}

/// Releases the pipeline. The Job is deleted first: it must be gone before the next pipeline of this name exists.
async fn let_go(context: &Context, pipeline: &StreamPipeline, owner: &Owner, job: Option<&v1::Job>) -> Result<Outcome> {
    if let Some(job) = job.filter(|job| is_a_cleanup(&job.metadata, owner)) {
        delete(&Api::<v1::Job>::namespaced(context.client.clone(), &owner.namespace), &job.metadata).await?;
    }
    let is_written = set_finalizer(context, pipeline, owner, false).await?;
    Ok(match pipeline.metadata.deletion_timestamp {
        None => Outcome::Lives,
        Some(_) if is_written => Outcome::Gone,
        Some(_) => Outcome::Waits,
    })
}

/// Sets or removes the finalizer. The request has the version of the object that was read, so that it overwrites no
/// other writer's finalizers. Returns false if the object has changed since.
async fn set_finalizer(context: &Context, pipeline: &StreamPipeline, owner: &Owner, is_there: bool) -> Result<bool> {
    let others = pipeline.finalizers().iter().filter(|f| *f != FINALIZER).cloned();
    let finalizers: Vec<_> = others.chain(is_there.then(|| FINALIZER.to_owned())).collect();
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": pipeline.metadata.resource_version}});
    let api = Api::<StreamPipeline>::namespaced(context.client.clone(), &owner.namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match asking("write the finalizer", api.patch_metadata(&owner.name, &params, &Patch::Merge(patch))).await {
        Err(Error::Kube { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 404) => {
            Ok(true)
        }
        Err(Error::Kube { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 409) => {
            Ok(false)
        }
        answer => answer.map(|_| true),
    }
}

/// Why the Job's last pod failed, if that is known.
async fn last_words(context: &Context, owner: &Owner) -> String {
    let pods = Api::<Pod>::namespaced(context.client.clone(), &owner.namespace);
    let ours = ListParams::default().labels(&format!("{}={}", cleanup::CLEANUP, owner.name));
    match asking("list the pods of the Job that deletes the checkpoint", pods.list(&ours)).await {
        Ok(pods) => trouble(&pods.items).map_or(String::new(), |trouble| format!(" ({})", trouble.message)),
        Err(e) => format!(" ({e})"),
    }
}

async fn tell_left(context: &Context, pipeline: &StreamPipeline, why: &str) {
    let note = format!("the checkpoint {} {why}; delete it by hand: weir checkpoint delete -f FILE", uri(pipeline));
    // A namespace that is being deleted refuses the event below, so this goes to the log too.
    tracing::warn!(pipeline = %pipeline.name_any(), namespace = ?pipeline.namespace(), "{note}");
    tell(context, pipeline, EventType::Warning, "CheckpointLeft", note).await;
}
