//! The objects that make up a pipeline. Building them is pure and can't fail: [`crate::verdict`] has found all errors
//! before.

pub mod cleanup;
pub mod pod_monitor;
mod running;
#[cfg(test)]
mod tests;
pub mod workload;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use kube::api::DynamicObject;

pub use self::running::{Access, Run, Running};
use self::workload::{Workload, workload};
use crate::labels::Owner;
use crate::pod_template::{self, DOCUMENT_KEY};
use crate::revision::Revision;
use crate::settings::Settings;

/// All objects of a pipeline that are applied together.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub service_account: ServiceAccount,
    pub config_map: ConfigMap,
    pub service: Service,
    pub network_policy: Policy,
    /// Only for clusters that have this kind.
    pub pod_monitor: DynamicObject,
    pub workload: Workload,
}

/// The desired NetworkPolicy.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    Of(Box<NetworkPolicy>),
    None,
    Unchanged,
}

#[must_use]
pub fn build(owner: &Owner, revision: &Revision, running: &Running, settings: &Settings) -> Desired {
    Desired {
        service_account: service_account(owner),
        config_map: config_map(owner, revision),
        service: service(owner),
        network_policy: match &running.access {
            Access::Also(peers) => Policy::Of(Box::new(network_policy(owner, settings, peers))),
            Access::Unmanaged => Policy::None,
            Access::Unchanged => Policy::Unchanged,
        },
        pod_monitor: pod_monitor::pod_monitor(
            owner,
            &revision.inputs.http(),
            running.has_http_ca,
            &settings.pod_monitor_labels,
        ),
        workload: workload(owner, revision, running),
    }
}

/// The pods' own identity for pulling images and for policies. It has no permissions in the cluster and no token.
fn service_account(owner: &Owner) -> ServiceAccount {
    ServiceAccount {
        metadata: owner.meta(&owner.name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The revision's document. There is one immutable ConfigMap per revision, so a pod never sees another document than
/// its own.
fn config_map(owner: &Owner, revision: &Revision) -> ConfigMap {
    ConfigMap {
        metadata: owner.meta(&revision.name),
        immutable: Some(true),
        data: Some(BTreeMap::from([(DOCUMENT_KEY.to_owned(), revision.inputs.document_text.clone())])),
        ..ConfigMap::default()
    }
}

/// The Service, for scraping and for people who use `kubectl port-forward`. It is headless, since nothing is balanced.
fn service(owner: &Owner) -> Service {
    Service {
        metadata: owner.meta(&owner.name),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(owner.selector_labels()),
            // The progress also tells why a pod is not ready yet.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: i32::from(pod_template::HTTP_PORT),
                target_port: Some(IntOrString::String("http".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Allows incoming connections only to the HTTP port, and there only from the operator, from what scrapes metrics, and
/// from whom the document names. Probes come from the node, which no policy blocks. What the pods may reach stays open:
/// brokers, stores and registries have addresses that no selector knows.
fn network_policy(owner: &Owner, settings: &Settings, also: &[NetworkPolicyPeer]) -> NetworkPolicy {
    let from = settings.ingress_from.as_ref().map(|peers| peers.iter().chain(also).cloned().collect::<Vec<_>>());
    // A rule with an empty list would admit everyone.
    let admits_nobody = from.as_ref().is_some_and(Vec::is_empty);
    let rule = NetworkPolicyIngressRule {
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(pod_template::HTTP_PORT))),
            protocol: Some("TCP".to_owned()),
            ..NetworkPolicyPort::default()
        }]),
        from,
    };
    NetworkPolicy {
        metadata: owner.meta(&owner.name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(owner.selector()),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(if admits_nobody { Vec::new() } else { vec![rule] }),
            ..NetworkPolicySpec::default()
        }),
    }
}
