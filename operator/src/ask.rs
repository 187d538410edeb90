//! Asks the pod of a pipeline for its progress, by the guard that the document of this pod puts before its port.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;
use weir_crds::document::Http;
use weir_crds::resource::StreamPipeline;
use weir_plan::report::Report;

use crate::context::Context;
use crate::guard::{self, Keys};
use crate::labels::{Owner, REVISION};
use crate::observed::Observed;
use crate::status::reachable;

/// The report of the running pod. `None` if no pod runs, or if it has not claimed its checkpoint yet.
///
/// # Errors
/// One sentence that says why the pod could not be asked.
pub async fn report(
    context: &Context,
    pipeline: &StreamPipeline,
    owner: &Owner,
    observed: &Observed,
) -> Result<Option<Report>, String> {
    let Some((pod, ip)) = reachable(&observed.pods) else { return Ok(None) };
    let http = guard_of(pod, observed);
    let pipeline = ObjectRef::from_obj(pipeline);
    if http == Http::default() {
        context.keyring.forget(&pipeline);
        return context.progress.read(ip, &Keys::default()).await.map_err(|unread| unread.why);
    }
    if let Some(keys) = context.keyring.keys(&pipeline, &http) {
        match context.progress.read(ip, &keys).await {
            // The Secrets may have been exchanged since.
            Err(unread) if unread.is_refused => tracing::debug!(%pipeline, "reads the Secrets again: {}", unread.why),
            read => return read.map_err(|unread| unread.why),
        }
    }
    let keys = Arc::new(guard::read(&context.client, owner, &http).await?);
    let report = context.progress.read(ip, &keys).await.map_err(|unread| unread.why)?;
    context.keyring.keep(pipeline, http, keys);
    Ok(report)
}

/// What guards the pod's port, as the document of its own revision says: during a change it is not yet the new one.
fn guard_of(pod: &Pod, observed: &Observed) -> Http {
    let name = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(REVISION));
    let revision = observed.revisions.iter().find(|revision| Some(&revision.name) == name);
    revision.map(|revision| revision.inputs.http()).unwrap_or_default()
}
