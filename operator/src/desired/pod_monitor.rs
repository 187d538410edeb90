//! A PodMonitor, for clusters with the Prometheus operator. Its type is not part of Kubernetes, so it is a dynamic
//! object.

use std::collections::BTreeMap;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use weir_crds::document::Http;

use crate::guard;
use crate::labels::Owner;

#[must_use]
pub fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"))
}

/// Tells Prometheus to scrape the runtime's metrics, as the guard of their port demands. `has_ca` says whether the
/// Secret with the certificate has the authority's too; without it, Prometheus trusts the certificate itself. `labels`
/// are the labels by which Prometheus selects PodMonitors.
#[must_use]
pub fn pod_monitor(owner: &Owner, http: &Http, has_ca: bool, labels: &BTreeMap<String, String>) -> DynamicObject {
    let mut meta = owner.meta(&owner.name);
    meta.labels.get_or_insert_default().extend(labels.clone());
    let mut object = DynamicObject::new(&owner.name, &resource());
    object.metadata = meta;
    let mut endpoint = json!({"port": "http", "path": "/metrics"});
    if let Some(tls) = &http.tls {
        let key = if has_ca { guard::CA_KEY } else { "tls.crt" };
        endpoint["scheme"] = "https".into();
        endpoint["tlsConfig"] = json!({
            "ca": {"secret": {"name": tls.secret_ref.name, "key": key}},
            "serverName": guard::host(owner),
        });
    }
    if let Some(key) = &http.token_secret_ref {
        endpoint["authorization"] = json!({"type": "Bearer", "credentials": {"name": key.name, "key": key.key}});
    }
    object.data = json!({"spec": {
        "selector": {"matchLabels": owner.selector_labels()},
        "podMetricsEndpoints": [endpoint],
        "podTargetLabels": [crate::labels::PIPELINE],
    }});
    object
}
