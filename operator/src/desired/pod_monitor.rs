//! A PodMonitor, where the cluster has the Prometheus operator: its type is not part of Kubernetes, so it is an object
//! without one.

use std::collections::BTreeMap;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::labels::Owner;

#[must_use]
pub fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"))
}

/// Has Prometheus read the runtime's metrics. `labels` are those by which a Prometheus finds its monitors.
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
