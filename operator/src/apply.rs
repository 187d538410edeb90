//! Server-side apply of what is desired. An object that is as it should be is not written.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::context::FIELD_MANAGER;
use crate::dereference::Observed;
use crate::desired::labels::{Owner, PIPELINE, REVISION};
use crate::desired::workload::Workload;
use crate::desired::{Desired, pod_monitor};
use crate::error::{Error, Result, asking};
use crate::revision::Revision;
use crate::rollback;

/// The annotation with a hash of what was applied: fields that we no longer set show in it and nowhere else.
const APPLIED: &str = "weir.dev/applied";
/// Revisions that are kept besides the one that runs.
const REVISIONS_KEPT: usize = 10;
/// Jobs of runs that are done.
const JOBS_KEPT: usize = 3;

/// Writes the revision first: whoever goes on after a crash finds what was meant.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn apply(client: &Client, owner: &Owner, revision: &Revision, desired: &Desired, observed: &Observed) -> Result<()> {
    one(client, &owner.namespace, revision.to_object(owner)).await?;
    one(client, &owner.namespace, desired.service_account.clone()).await?;
    one(client, &owner.namespace, desired.config_map.clone()).await?;
    one(client, &owner.namespace, desired.service.clone()).await?;
    one(client, &owner.namespace, desired.network_policy.clone()).await?;
    if let Some(monitor) = &desired.pod_monitor {
        let resource = pod_monitor::resource();
        write(&Api::namespaced_with(client.clone(), &owner.namespace, &resource), &resource, monitor).await?;
    }
    match &desired.workload {
        Workload::Deployment(deployment) => {
            one(client, &owner.namespace, deployment.as_ref().clone()).await?;
            for job in &observed.jobs {
                delete(&Api::<Job>::namespaced(client.clone(), &owner.namespace), job.metadata.name.as_deref().unwrap_or_default()).await?;
            }
            Ok(())
        }
        Workload::Job(job) => {
            delete_deployment(client, owner, observed).await?;
            apply_job(client, owner, job, &observed.jobs).await
        }
        Workload::Done => {
            delete_deployment(client, owner, observed).await?;
            prune_jobs(client, owner, None, &observed.jobs).await
        }
    }
}

async fn delete_deployment(client: &Client, owner: &Owner, observed: &Observed) -> Result<()> {
    match observed.deployment {
        Some(_) => delete(&Api::<Deployment>::namespaced(client.clone(), &owner.namespace), &owner.name).await,
        None => Ok(()),
    }
}

/// A Job's template can't be changed: one of another revision that still runs is deleted, and made anew when it is gone. One that is done
/// stays, whatever the document says by now.
async fn apply_job(client: &Client, owner: &Owner, wanted: &Job, there: &[Job]) -> Result<()> {
    let api = Api::<Job>::namespaced(client.clone(), &owner.namespace);
    prune_jobs(client, owner, wanted.metadata.name.as_deref(), there).await?;
    let same_run = there.iter().find(|job| job.metadata.name == wanted.metadata.name);
    let revision = |job: &Job| {
        let template = &job.spec.as_ref()?.template;
        template.metadata.as_ref()?.annotations.as_ref()?.get(REVISION).cloned()
    };
    match same_run {
        Some(job) if job.metadata.deletion_timestamp.is_some() || is_complete(job) => Ok(()),
        Some(job) if revision(job) != revision(wanted) => delete(&api, job.metadata.name.as_deref().unwrap_or_default()).await,
        // What may change of a Job is whether it is suspended.
        Some(job) => {
            let suspend = |job: &Job| job.spec.as_ref().and_then(|s| s.suspend).unwrap_or(false);
            if suspend(job) == suspend(wanted) {
                return Ok(());
            }
            let patch = Patch::Merge(json!({"spec": {"suspend": suspend(wanted)}}));
            let name = job.metadata.name.as_deref().unwrap_or_default();
            asking(format!("suspend or resume Job {name}"), api.patch(name, &PatchParams::default(), &patch)).await.map(|_| ())
        }
        None => write(&api, &(), wanted).await,
    }
}

async fn prune_jobs(client: &Client, owner: &Owner, wanted: Option<&str>, there: &[Job]) -> Result<()> {
    for name in outdated_jobs(wanted, there) {
        delete(&Api::<Job>::namespaced(client.clone(), &owner.namespace), name).await?;
    }
    Ok(())
}

/// All but the wanted one and the last runs that are done: their pods have the logs.
fn outdated_jobs<'a>(wanted: Option<&str>, there: &'a [Job]) -> Vec<&'a str> {
    let (mut done, others): (Vec<_>, Vec<_>) =
        there.iter().filter(|job| job.metadata.name.as_deref() != wanted).partition(|job| is_complete(job));
    let ended = |job: &Job| job.status.as_ref().and_then(|s| s.completion_time.as_ref()).map(|t| t.0);
    done.sort_by_key(|job| std::cmp::Reverse(ended(job)));
    others.into_iter().chain(done.into_iter().skip(JOBS_KEPT)).filter_map(|job| job.metadata.name.as_deref()).collect()
}

/// Whether a Job has done what it was for.
#[must_use]
pub fn is_complete(job: &Job) -> bool {
    job.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Complete" && c.status == "True")
}

/// Brings one object to what is wanted of it.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn one<K>(client: &Client, namespace: &str, object: K) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    write(&Api::<K>::namespaced(client.clone(), namespace), &(), &object).await
}

async fn write<K>(api: &Api<K>, kind: &K::DynamicType, object: &K) -> Result<()>
where
    K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let (api_version, kind) = (K::api_version(kind), K::kind(kind));
    let name = object.meta().name.clone().unwrap_or_default();
    let doing = format!("apply {kind} {name}");
    let unexpected = |e: serde_json::Error| Error::Unexpected { doing: doing.clone(), why: e.to_string() };
    let mut wanted = serde_json::to_value(object).map_err(unexpected)?;
    wanted["apiVersion"] = json!(api_version);
    wanted["kind"] = json!(kind);
    let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(wanted.to_string().as_bytes()));
    wanted["metadata"]["annotations"][APPLIED] = json!(hash);

    let there = asking(format!("get {kind} {name}"), api.get_opt(&name)).await?;
    if let Some(there) = there {
        let mut there = serde_json::to_value(&there).map_err(unexpected)?;
        there["apiVersion"] = json!(api_version);
        there["kind"] = json!(kind);
        if is_within(&wanted, &there) {
            return Ok(());
        }
    }
    tracing::info!(kind = %kind, %name, "apply");
    asking(doing, api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&wanted))).await?;
    Ok(())
}

/// Whether `there` has all that `wanted` asks for; what the API server or others added does not matter. An empty list or map is stored as
/// none.
fn is_within(wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => {
            wanted.iter().all(|(field, value)| there.get(field).map_or(is_empty(value), |found| is_within(value, found)))
        }
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len() && wanted.iter().zip(there).all(|(wanted, there)| is_within(wanted, there))
        }
        _ => wanted == there,
    }
}

/// API servers leave out empty lists and maps.
fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Deletes revisions, and their documents, that nobody goes back to.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn prune(client: &Client, owner: &Owner, target: &Revision, there: &[Revision]) -> Result<()> {
    let doomed = outdated(target, there);
    if doomed.is_empty() {
        return Ok(());
    }
    let ours = ListParams::default().labels(&format!("{PIPELINE}={}", owner.name));
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), &owner.namespace);
    let documents = asking("list ConfigMaps", config_maps.list(&ours)).await?;
    for name in doomed {
        // The document first: a revision without one is found again, a document without a revision is not.
        if documents.items.iter().any(|d| d.metadata.name.as_deref() == Some(name)) {
            delete(&config_maps, name).await?;
        }
        delete(&Api::<ControllerRevision>::namespaced(client.clone(), &owner.namespace), name).await?;
    }
    Ok(())
}

/// All but the target, the newest (with them one that has failed and is still asked for), and the one that did well last.
fn outdated<'a>(target: &Revision, there: &'a [Revision]) -> Vec<&'a str> {
    let last_good = rollback::last_good(&Revision { number: i64::MAX, ..target.clone() }, there).map(|r| &r.name);
    let mut old: Vec<_> = there.iter().filter(|r| r.name != target.name).collect();
    old.sort_by_key(|r| std::cmp::Reverse(r.number));
    old.into_iter().skip(REVISIONS_KEPT).filter(|r| Some(&r.name) != last_good).map(|r| r.name.as_str()).collect()
}

/// Deletes an object, if it is there, and what belongs to it.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => asking(format!("delete {name}"), async { answer }).await.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{cluster_running, rides};
    use crate::marks::Good;

    #[test]
    fn what_others_added_does_not_matter_and_what_they_changed_does() {
        let wanted = json!({"spec": {"replicas": 1, "args": ["a", "b"]}});
        assert!(is_within(&wanted, &json!({"spec": {"replicas": 1, "args": ["a", "b"], "uid": 7}, "status": {}})));
        assert!(!is_within(&wanted, &json!({"spec": {"replicas": 2, "args": ["a", "b"]}})));
        assert!(!is_within(&wanted, &json!({"spec": {"replicas": 1, "args": ["a", "b", "c"]}})));
        assert!(!is_within(&wanted, &json!({"spec": {"args": ["a", "b"]}})));
        assert!(is_within(&json!({"env": []}), &json!({})));
        assert!(!is_within(&json!({"env": []}), &json!({"env": ["a"]})));
    }

    #[test]
    fn the_target_the_newest_and_the_one_that_did_well_last_are_kept() {
        let first = cluster_running(&rides()).revisions.remove(0);
        let named = |number: i64| Revision { name: format!("r{number}"), number, ..first.clone() };
        let mut there: Vec<_> = (1..=14).map(named).collect();
        there[1].marks.good = Some(Good::Ready);
        assert_eq!(outdated(&named(15), &there), ["r4", "r3", "r1"]);
        // What has failed and is still asked for is the newest, while an old one runs again.
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
        let there =
            [job("a", Some(1)), job("b", Some(5)), job("c", Some(3)), job("d", Some(4)), job("e", Some(2)), job("f", None), job("g", None)];
        assert_eq!(outdated_jobs(Some("g"), &there), ["f", "e", "a"]);
        assert_eq!(outdated_jobs(Some("b"), &there), ["f", "g", "a"]);
        assert_eq!(outdated_jobs(None, &there[..3]), Vec::<&str>::new());
    }
}
