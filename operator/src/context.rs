//! What every reconcile has at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use weir_crds::resource::StreamPipeline;

use crate::claims::Claims;
use crate::looks::Looks;
use crate::metrics::Metrics;
use crate::planner::Planner;
use crate::progress::ProgressReader;

/// The name under which the operator owns fields.
pub const FIELD_MANAGER: &str = "weir-operator";

/// Dependencies of a reconcile, shared by all scopes.
pub struct Context {
    pub client: Client,
    pub settings: Settings,
    pub recorder: Recorder,
    pub progress: ProgressReader,
    pub metrics: Arc<Metrics>,
    pub planner: Arc<Planner>,
    pub claims: Arc<Claims>,
    pub looks: Arc<Looks>,
    /// All pipelines that are watched, by scopes: those of others are compared with one's own.
    pub pipelines: Vec<Store<StreamPipeline>>,
    pub clock: fn() -> Timestamp,
}

/// What the person who installs the operator chooses.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The image of pipelines that name none, pinned when a pipeline is first accepted.
    pub runtime_image: String,
    /// Labels by which a Prometheus finds the pipelines' PodMonitors, where the cluster has that kind.
    pub pod_monitor_labels: BTreeMap<String, String>,
}

impl Context {
    #[must_use]
    pub fn now(&self) -> Time {
        Time((self.clock)())
    }
}
