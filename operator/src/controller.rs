//! The triggers of a reconcile: a changed spec, a changed object of the pipeline, and time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, predicates};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use weir_crds::resource::StreamPipeline;

use crate::context::Context;
use crate::error::{Cause, Error};
use crate::health::Health;
use crate::labels::PIPELINE;
use crate::reconcile::reconcile;

/// How many reconciles run at the same time. Each spends most of its time waiting for the API server.
const CONCURRENCY: u16 = 16;
/// Changes within this time lead to one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Where to watch pipelines: in the whole cluster, or in one namespace.
#[derive(Debug, Clone)]
pub enum Scope {
    Cluster,
    Namespace(String),
}

impl Scope {
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

/// The store of a scope's pipelines, and its writer.
pub type Pipelines = (Store<StreamPipeline>, Writer<StreamPipeline>);

/// Runs until `stop`. Tells `health` when all pipelines were seen. `pipelines` is one of the context's stores.
pub async fn run(
    scope: &Scope,
    (store, writer): Pipelines,
    health: Arc<Health>,
    context: Arc<Context>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let client = &context.client;
    let gone = pipelines_gone(Arc::clone(&context));
    // Status updates, which the operator itself writes, do not trigger a reconcile.
    let pipelines = watcher(scope.api::<StreamPipeline>(client), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect_ok(gone)
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default());
    let (seen, metrics) = (store.clone(), Arc::clone(&context.metrics));
    let controller = Controller::for_stream(pipelines, store)
        .with_config(controller::Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY))
        .watches_stream(ours::<Deployment>(scope, &context), pipeline_of)
        .watches_stream(ours::<Job>(scope, &context), pipeline_of)
        .watches_stream(ours::<Pod>(scope, &context), pipeline_of)
        .watches_stream(ours::<ControllerRevision>(scope, &context), pipeline_of)
        .watches_stream(ours::<ConfigMap>(scope, &context), pipeline_of)
        .watches_stream(ours::<Service>(scope, &context), pipeline_of)
        .watches_stream(ours::<ServiceAccount>(scope, &context), pipeline_of)
        .watches_stream(ours::<NetworkPolicy>(scope, &context), pipeline_of)
        .graceful_shutdown_on(stop)
        .run(reconcile, on_error, context)
        .for_each(|result| {
            match result {
                Ok((object, _)) => tracing::debug!(%object, "reconciled"),
                // These failures were counted and logged where they happened.
                Err(controller::Error::ReconcilerFailed(..)) => {}
                Err(controller::Error::QueueError(e)) => {
                    metrics.watch_failed(Cause::of_watch(&e));
                    tracing::warn!("watch: {e}");
                }
                Err(e) => tracing::warn!("{e}"),
            }
            std::future::ready(())
        });
    let listed = async {
        if seen.wait_until_ready().await.is_ok() {
            health.listed();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = controller => {}
        () = listed => {}
    }
}

type Changes<K> = BoxStream<'static, Result<PartialObjectMeta<K>, watcher::Error>>;

/// Objects of one kind with the label of a pipeline. Any event for such an object invalidates the last look at the
/// pipeline; the next look reads the object.
fn ours<K>(scope: &Scope, context: &Context) -> Changes<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let looks = Arc::clone(&context.looks);
    let note = move |event: &watcher::Event<PartialObjectMeta<K>>| match event {
        // A new list does not show which objects were deleted in the meantime.
        watcher::Event::Init => looks.touch_all(),
        watcher::Event::InitDone => {}
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object) => {
            pipeline_of(object.clone()).iter().for_each(|pipeline| looks.touch(pipeline));
        }
    };
    let config = watcher::Config::default().labels(PIPELINE);
    watcher(scope.api::<PartialObjectMeta<K>>(&context.client), config).inspect_ok(note).touched_objects().boxed()
}

/// Forgets deleted pipelines.
fn pipelines_gone(context: Arc<Context>) -> impl Fn(&watcher::Event<StreamPipeline>) {
    move |event| match event {
        watcher::Event::Delete(pipeline) => {
            context.looks.forget(&ObjectRef::from_obj(pipeline));
            context.keyring.forget(&ObjectRef::from_obj(pipeline));
            context.metrics.pipeline_gone(&pipeline.namespace().unwrap_or_default(), &pipeline.name_any());
        }
        watcher::Event::InitDone => {
            let live = context.pipelines.iter().flat_map(Store::state);
            let live: HashSet<_> = live.map(|p| (p.namespace().unwrap_or_default(), p.name_any())).collect();
            context.metrics.pipelines_are(&live);
        }
        _ => {}
    }
}

fn on_error(pipeline: Arc<StreamPipeline>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.reconcile_failed(Cause::of(error));
    let wait = context.looks.failed(&pipeline);
    tracing::warn!(pipeline = %pipeline.name_any(), namespace = ?pipeline.namespace(), "reconcile: {error}; again in \
        {} s", wait.as_secs());
    Action::requeue(wait)
}

fn pipeline_of<K: Resource>(object: PartialObjectMeta<K>) -> Option<ObjectRef<StreamPipeline>> {
    let name = object.metadata.labels.as_ref()?.get(PIPELINE)?;
    Some(ObjectRef::new(name).within(object.metadata.namespace.as_deref()?))
}
