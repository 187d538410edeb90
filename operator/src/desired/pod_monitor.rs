//! A PodMonitor, for clusters with the Prometheus operator. Its type is not part of Kubernetes, so it is a dynamic
//! object.

use std::collections::BTreeMap;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::labels::Owner;

#[must_use]
pub fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"))
}

/// Tells Prometheus to scrape the runtime's metrics. `labels` are the labels by which Prometheus selects PodMonitors.
#[must_use]
pub fn pod_monitor(owner: &Owner, labels: &BTreeMap<String, String>) -> DynamicObject {
    let mut meta = owner.meta(&owner.name);
    meta.labels.get_or_insert_default().extend(labels.clone());
    let mut object = DynamicObject::new(&owner.name, &resource());
    object.metadata = meta;
    object.data = json!({"spec": {
        "selector": {"matchLabels": owner.selector_labels()},
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics"}],
        "podTargetLabels": [super::labels::PIPELINE],
    }});
    object
}
