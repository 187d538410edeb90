//! Applies the desired objects in order, and deletes outdated ones.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::desired::workload::Workload;
use crate::desired::{Desired, Policy, pod_monitor};
use crate::error::{Error, Result, asking};
use crate::labels::{Owner, PIPELINE, REVISION};
use crate::observed::Observed;
use crate::ownership::is_ours;
use crate::revision::Revision;
use crate::rollback;
use crate::write::Writer;

/// How many revisions are kept besides the one that runs.
const REVISIONS_KEPT: usize = 10;
/// How many Jobs of completed runs are kept.
const JOBS_KEPT: usize = 3;

/// Applies all objects of a revision. The revision is written first, so that after a crash the intent is known.
///
/// # Errors
/// If an object with one of its names does not belong to the pipeline, or the API server refuses or does not answer.
pub async fn apply(
    client: &Client,
    owner: &Owner,
    revision: &Revision,
    desired: &Desired,
    observed: &Observed,
) -> Result<()> {
    let writer = Writer { client, owner };
    writer.apply(&revision.to_object(owner)).await?;
    writer.apply(&desired.service_account).await?;
    writer.apply(&desired.config_map).await?;
    writer.apply(&desired.service).await?;
    match &desired.network_policy {
        Policy::Of(policy) => writer.apply(policy.as_ref()).await?,
        Policy::None => delete_network_policy(writer).await?,
        Policy::Unchanged => {}
    }
    match &desired.workload {
        Workload::Deployment(deployment) => {
            writer.apply(deployment.as_ref()).await?;
            for job in &observed.jobs {
                writer.delete::<Job>(&job.metadata).await?;
            }
        }
        Workload::Job(job) => {
            delete_deployment(writer, observed).await?;
            apply_job(writer, job, &observed.jobs).await?;
        }
        Workload::Done => {
            delete_deployment(writer, observed).await?;
            prune_jobs(writer, None, &observed.jobs).await?;
        }
    }
    apply_monitor(writer, &desired.pod_monitor).await
}

fn is_missing_or_forbidden(failure: &kube::Error) -> bool {
    matches!(failure, kube::Error::Api(status) if status.code == 404 || status.code == 403)
}

/// Applies the PodMonitor. It comes last, since no pipeline may wait for it: the kind exists only together with the
/// Prometheus operator, and even then the permission may be missing.
async fn apply_monitor(writer: Writer<'_>, monitor: &DynamicObject) -> Result<()> {
    let resource = pod_monitor::resource();
    let api = Api::namespaced_with(writer.client.clone(), &writer.owner.namespace, &resource);
    match writer.apply_by(&api, &resource, monitor, |meta| is_ours(meta, writer.owner)).await {
        Err(Error::Kube { source, .. }) if is_missing_or_forbidden(&source) => {
            tracing::debug!(namespace = %writer.owner.namespace, "no PodMonitor: {source}");
            Ok(())
        }
        applied => applied,
    }
}

async fn delete_network_policy(writer: Writer<'_>) -> Result<()> {
    let policies = writer.api::<NetworkPolicy>();
    match asking("get the NetworkPolicy", policies.get_metadata_opt(&writer.owner.name)).await? {
        Some(found) if is_ours(&found.metadata, writer.owner) => writer.delete::<NetworkPolicy>(&found.metadata).await,
        _ => Ok(()),
    }
}

async fn delete_deployment(writer: Writer<'_>, observed: &Observed) -> Result<()> {
    match &observed.deployment {
        Some(found) => writer.delete::<Deployment>(&found.metadata).await,
        None => Ok(()),
    }
}

/// Applies the Job of a run. A Job's template can't be changed, so a running Job of another revision is deleted, and
/// created again once it is gone. A completed Job stays, even if the document has changed.
async fn apply_job(writer: Writer<'_>, wanted: &Job, there: &[Job]) -> Result<()> {
    prune_jobs(writer, wanted.metadata.name.as_deref(), there).await?;
    let same_run = there.iter().find(|job| job.metadata.name == wanted.metadata.name);
    let revision = |job: &Job| {
        let template = &job.spec.as_ref()?.template;
        template.metadata.as_ref()?.annotations.as_ref()?.get(REVISION).cloned()
    };
    match same_run {
        Some(job) if job.metadata.deletion_timestamp.is_some() || is_complete(job) => Ok(()),
        Some(job) if revision(job) != revision(wanted) => writer.delete::<Job>(&job.metadata).await,
        // The only change that a Job allows is to suspend or resume it.
        Some(job) => {
            let suspend = |job: &Job| job.spec.as_ref().and_then(|s| s.suspend).unwrap_or(false);
            if suspend(job) == suspend(wanted) {
                return Ok(());
            }
            let patch =
                Patch::Merge(json!({"metadata": {"uid": job.metadata.uid}, "spec": {"suspend": suspend(wanted)}}));
            let name = job.metadata.name.as_deref().unwrap_or_default();
            let jobs = writer.api::<Job>();
            asking(format!("suspend or resume Job {name}"), jobs.patch(name, &PatchParams::default(), &patch))
                .await
                .map(|_| ())
        }
        None => writer.apply(wanted).await,
    }
}

async fn prune_jobs(writer: Writer<'_>, wanted: Option<&str>, there: &[Job]) -> Result<()> {
    let outdated = outdated_jobs(wanted, there);
    for job in there.iter().filter(|job| job.metadata.name.as_deref().is_some_and(|name| outdated.contains(&name))) {
        writer.delete::<Job>(&job.metadata).await?;
    }
    Ok(())
}

/// All Jobs except the wanted one and the last completed runs, whose pods have the logs.
fn outdated_jobs<'a>(wanted: Option<&str>, there: &'a [Job]) -> Vec<&'a str> {
    let (mut done, others): (Vec<_>, Vec<_>) =
        there.iter().filter(|job| job.metadata.name.as_deref() != wanted).partition(|job| is_complete(job));
    let ended = |job: &Job| job.status.as_ref().and_then(|s| s.completion_time.as_ref()).map(|t| t.0);
    done.sort_by_key(|job| std::cmp::Reverse(ended(job)));
    others.into_iter().chain(done.into_iter().skip(JOBS_KEPT)).filter_map(|job| job.metadata.name.as_deref()).collect()
}

/// Whether a Job has completed successfully.
#[must_use]
pub fn is_complete(job: &Job) -> bool {
    job.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Complete" && c.status == "True")
}

/// Deletes revisions, and their documents, to which no rollback can return.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn prune(client: &Client, owner: &Owner, target: &Revision, there: &[Revision]) -> Result<()> {
    let doomed = outdated(target, there);
    if doomed.is_empty() {
        return Ok(());
    }
    let writer = Writer { client, owner };
    let labelled = ListParams::default().labels(&format!("{PIPELINE}={}", owner.name));
    let documents = asking("list ConfigMaps", writer.api::<ConfigMap>().list_metadata(&labelled)).await?;
    let revisions =
        asking("list ControllerRevisions", writer.api::<ControllerRevision>().list_metadata(&labelled)).await?;
    let is_doomed = |name: &Option<String>| name.as_deref().is_some_and(|name| doomed.contains(&name));
    // Documents are deleted first: a later pass finds a revision without a document, but not a document without a
    // revision.
    for found in documents.items.iter().map(|d| &d.metadata).filter(|m| is_doomed(&m.name) && is_ours(m, owner)) {
        writer.delete::<ConfigMap>(found).await?;
    }
    for found in revisions.items.iter().map(|r| &r.metadata).filter(|m| is_doomed(&m.name) && is_ours(m, owner)) {
        writer.delete::<ControllerRevision>(found).await?;
    }
    Ok(())
}

/// All revisions except the target, the newest ones (which include a failed revision that the spec still asks for), and
/// the last good one.
fn outdated<'a>(target: &Revision, there: &'a [Revision]) -> Vec<&'a str> {
    let last_good = rollback::last_good(&Revision { number: i64::MAX, ..target.clone() }, there).map(|r| &r.name);
    let mut old: Vec<_> = there.iter().filter(|r| r.name != target.name).collect();
    old.sort_by_key(|r| std::cmp::Reverse(r.number));
    old.into_iter().skip(REVISIONS_KEPT).filter(|r| Some(&r.name) != last_good).map(|r| r.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{cluster_running, rides};
    use crate::marks::Good;

    #[test]
    fn the_target_the_newest_and_the_one_that_did_well_last_are_kept() {
        let first = cluster_running(&rides()).revisions.remove(0);
        let named = |number: i64| Revision { name: format!("r{number}"), number, ..first.clone() };
        let mut there: Vec<_> = (1..=14).map(named).collect();
        there[1].marks.good = Some(Good::Ready);
        assert_eq!(outdated(&named(15), &there), ["r4", "r3", "r1"]);
        // A failed revision that the spec still asks for is the newest, while an old one runs again.
        assert_eq!(outdated(&named(2), &there), ["r4", "r3", "r1"]);
    }

    #[test]
    fn the_last_runs_that_are_done_are_kept_and_no_other_that_runs() {
        let job = |name: &str, completed: Option<u32>| -> Job {
            let status = completed.map(|minute| {
                json!({"completionTime": format!("2026-01-01T00:{minute:02}:00Z"), "conditions": [{"type": "Complete", "status": "True"}]})
            });
            serde_json::from_value(json!({"metadata": {"name": name}, "status": status})).expect("a Job")
        };
        let there = [
            job("a", Some(1)),
            job("b", Some(5)),
            job("c", Some(3)),
            job("d", Some(4)),
            job("e", Some(2)),
            job("f", None),
            job("g", None),
        ];
        assert_eq!(outdated_jobs(Some("g"), &there), ["f", "e", "a"]);
        assert_eq!(outdated_jobs(Some("b"), &there), ["f", "g", "a"]);
        assert_eq!(outdated_jobs(None, &there[..3]), Vec::<&str>::new());
    }
}
