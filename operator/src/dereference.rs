//! Reads what the cluster holds of a pipeline. No other code of a reconcile reads.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Resource;
use kube::api::{Api, ListParams};
use weir_crds::resource::StreamPipeline;

use crate::context::Context;
use crate::error::{Result, asking};
use crate::guard::CA_KEY;
use crate::labels::{Owner, PIPELINE};
use crate::observed::Observed;
use crate::ownership::{controller_uid, is_ours};
use crate::revision::Revision;
use crate::secrets::{Found, secret_keys};

/// Reads all objects of a pipeline.
///
/// # Errors
/// If the API server does not answer.
pub async fn observe(context: &Context, pipeline: &StreamPipeline, owner: &Owner) -> Result<Observed> {
    let client = &context.client;
    let ours = ListParams::default().labels(&format!("{PIPELINE}={}", owner.name));
    let (revisions, deployments, jobs, pods) = (
        Api::<ControllerRevision>::namespaced(client.clone(), &owner.namespace),
        Api::<Deployment>::namespaced(client.clone(), &owner.namespace),
        Api::<Job>::namespaced(client.clone(), &owner.namespace),
        Api::<Pod>::namespaced(client.clone(), &owner.namespace),
    );
    let (revisions, deployment, jobs, pods) = tokio::try_join!(
        asking("list ControllerRevisions", revisions.list(&ours)),
        asking("get the Deployment", deployments.get_opt(&owner.name)),
        asking("list Jobs", jobs.list(&ours)),
        asking("list pods", pods.list(&ours)),
    )?;
    let deployment = deployment.filter(|found| is_ours(&found.metadata, owner));
    let jobs: Vec<_> = jobs.items.into_iter().filter(|found| is_ours(&found.metadata, owner)).collect();
    let revisions = revisions.items.iter().filter(|found| is_ours(&found.metadata, owner));
    let (mut readable, mut unreadable) = (Vec::new(), BTreeMap::new());
    for found in revisions {
        match Revision::from_object(found) {
            Ok(revision) => readable.push(revision),
            Err(why) => drop(unreadable.insert(found.metadata.name.clone().unwrap_or_default(), why)),
        }
    }
    let makers = makers(context, owner, deployment.as_ref(), &jobs, &pods.items).await?;
    let (pods, stray_pods) =
        pods.items.into_iter().partition(|pod| controller_uid(&pod.metadata).is_some_and(|uid| makers.contains(uid)));
    Ok(Observed {
        secrets: read_secrets(context, pipeline, owner).await?,
        revisions: readable,
        unreadable,
        last_revision: pipeline
            .status
            .as_ref()
            .and_then(|s| s.runtime.as_ref())
            .map(|runtime| runtime.revision.clone()),
        deployment,
        jobs,
        pods,
        stray_pods,
        conflict: None,
    })
}

/// The uids of the objects that create the pipeline's pods: its Jobs, and the ReplicaSets of its Deployment.
async fn makers(
    context: &Context,
    owner: &Owner,
    deployment: Option<&Deployment>,
    jobs: &[Job],
    pods: &[Pod],
) -> Result<BTreeSet<String>> {
    let mut makers: BTreeSet<String> = jobs.iter().filter_map(|job| job.metadata.uid.clone()).collect();
    let Some(deployment) = deployment.and_then(|d| d.meta().uid.as_deref()).filter(|_| !pods.is_empty()) else {
        return Ok(makers);
    };
    let labelled = ListParams::default().labels(&format!("{PIPELINE}={}", owner.name));
    let sets = Api::<ReplicaSet>::namespaced(context.client.clone(), &owner.namespace);
    let sets = asking("list ReplicaSets", sets.list_metadata(&labelled)).await?;
    let of_deployment = sets.items.into_iter().filter(|set| controller_uid(&set.metadata) == Some(deployment));
    makers.extend(of_deployment.filter_map(|set| set.metadata.uid));
    Ok(makers)
}

/// Reads the Secrets to which the spec refers. Their values are dropped at once.
///
/// # Errors
/// If the API server does not answer.
pub async fn read_secrets(
    context: &Context,
    pipeline: &StreamPipeline,
    owner: &Owner,
) -> Result<BTreeMap<String, Option<Found>>> {
    let api = Api::<Secret>::namespaced(context.client.clone(), &owner.namespace);
    let mut all = BTreeMap::new();
    for name in secret_keys(&pipeline.spec).into_keys() {
        let secret = asking(format!("get Secret {name}"), api.get_opt(&name)).await?;
        let found = secret.map(|secret| Found {
            has_ca: secret.data.as_ref().and_then(|data| data.get(CA_KEY)).is_some_and(|text| !text.0.is_empty()),
            version: secret.metadata.resource_version.unwrap_or_default(),
            keys: secret.data.into_iter().flatten().map(|(key, _)| key).collect(),
            labels: secret.metadata.labels.unwrap_or_default(),
        });
        all.insert(name, found);
    }
    Ok(all)
}
