//! What wakes a reconcile: a changed spec, an object of the pipeline that changed, a Secret that it mounts, and time.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, predicates};
use kube::{Client, Resource, ResourceExt};
use weir_crds::resource::StreamPipeline;

use crate::context::Context;
use crate::desired::labels::PIPELINE;
use crate::error::{Cause, Error};
use crate::health::Health;
use crate::reconcile::reconcile;
use crate::revision::secret_keys;

/// Reconciles that run at the same time. Each waits for the API server most of its time.
const CONCURRENCY: u16 = 16;
/// A burst of changes is one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_secs(5);

/// Where to look for pipelines: everywhere, or in one namespace.
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

/// Runs until `stop`; tells `health` when all pipelines were seen. `context` is made with the store of all pipelines in scope.
pub async fn run(
    scope: &Scope,
    client: Client,
    health: Arc<Health>,
    context: impl FnOnce(Store<StreamPipeline>) -> Context,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let (store, writer) = reflector::store();
    // Our own writes of status are no news.
    let pipelines = watcher(scope.api::<StreamPipeline>(&client), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default());
    let ours = watcher::Config::default().labels(PIPELINE);
    let by_secret = store.clone();
    let context = Arc::new(context(store.clone()));
    let (seen, metrics) = (store.clone(), Arc::clone(&context.metrics));
    let controller = Controller::for_stream(pipelines, store)
        .with_config(controller::Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY))
        .owns(scope.api::<Deployment>(&client), ours.clone())
        .owns(scope.api::<Job>(&client), ours.clone())
        .owns(scope.api::<ConfigMap>(&client), ours.clone())
        .owns(scope.api::<Service>(&client), ours.clone())
        .watches(scope.api::<Pod>(&client), ours, |pod| pipeline_of(&pod))
        .watches(scope.api::<PartialObjectMeta<Secret>>(&client), watcher::Config::default(), move |secret| users_of(&by_secret, &secret))
        .graceful_shutdown_on(stop)
        .run(reconcile, on_error, context)
        .for_each(|result| {
            match result {
                Ok((object, _)) => tracing::debug!(%object, "reconciled"),
                // Counted and logged where it happened.
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

fn on_error(pipeline: Arc<StreamPipeline>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.reconcile_failed(Cause::of(error));
    tracing::warn!(pipeline = %pipeline.name_any(), namespace = ?pipeline.namespace(), "reconcile: {error}");
    Action::requeue(RETRY)
}

fn pipeline_of(pod: &Pod) -> Option<ObjectRef<StreamPipeline>> {
    let name = pod.labels().get(PIPELINE)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

/// The pipelines that mount a Secret.
fn users_of(pipelines: &Store<StreamPipeline>, secret: &PartialObjectMeta<Secret>) -> Vec<ObjectRef<StreamPipeline>> {
    let (name, namespace) = (secret.name_any(), secret.namespace());
    let uses = |p: &&Arc<StreamPipeline>| p.namespace() == namespace && secret_keys(&p.spec).iter().any(|(secret, _)| *secret == name);
    pipelines.state().iter().filter(uses).map(|p| ObjectRef::from_obj(p.as_ref())).collect()
}
