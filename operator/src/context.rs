//! The dependencies that every reconcile has.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use weir_crds::resource::StreamPipeline;

use crate::claims::Claims;
use crate::guard::Keyring;
use crate::looks::Looks;
use crate::metrics::Metrics;
use crate::planner::Planner;
use crate::progress::ProgressReader;
use crate::settings::Settings;

/// The field manager of the operator's writes.
pub const FIELD_MANAGER: &str = "weir-operator";

/// The dependencies of a reconcile, shared by all scopes.
pub struct Context {
    pub client: Client,
    pub settings: Settings,
    pub recorder: Recorder,
    pub progress: ProgressReader,
    pub metrics: Arc<Metrics>,
    pub planner: Arc<Planner>,
    pub claims: Arc<Claims>,
    pub looks: Arc<Looks>,
    pub keyring: Arc<Keyring>,
    /// All pipelines that are watched, by scope. A pipeline is compared with all others.
    pub pipelines: Vec<Store<StreamPipeline>>,
    pub clock: fn() -> Timestamp,
}

impl Context {
    #[must_use]
    pub fn now(&self) -> Time {
        Time((self.clock)())
    }
}
