//! The objects that a pipeline is made of. Pure, and cannot fail: what could be wrong was found by [`crate::verdict`].

pub mod cleanup;
pub mod labels;
pub mod pod;
pub mod pod_monitor;
pub mod workload;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::context::Settings;
use crate::revision::Revision;
use kube::api::DynamicObject;
use labels::Owner;
use workload::{Workload, workload};

/// The file in the ConfigMap.
const DOCUMENT_KEY: &str = "pipeline.yaml";

/// Everything of one pipeline that is applied together.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub service_account: ServiceAccount,
    pub config_map: ConfigMap,
    pub service: Service,
    pub network_policy: NetworkPolicy,
    /// For clusters that have this kind.
    pub pod_monitor: DynamicObject,
    pub workload: Workload,
}

/// What may change without another revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub replicas: i32,
    /// Changes when the content of the Secrets does: pods are replaced, since a runtime reads them when it starts.
    pub secrets_hash: String,
    pub run: Run,
}

/// What is to run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A pipeline that goes on for ever.
    Endless,
    /// The run with this id, of an AvailableNow pipeline.
    Unfinished(String),
    /// Nothing, until another run is due. A run that is done is not made again, even if somebody deleted its Job.
    None,
}

#[must_use]
pub fn build(owner: &Owner, revision: &Revision, running: &Running, settings: &Settings) -> Desired {
    Desired {
        service_account: service_account(owner),
        config_map: config_map(owner, revision),
        service: service(owner),
        network_policy: network_policy(owner),
        pod_monitor: pod_monitor::pod_monitor(owner, &settings.pod_monitor_labels),
        workload: workload(owner, revision, running),
    }
}

/// An identity of its own for image pulls and policies, with no right in the cluster and no token.
fn service_account(owner: &Owner) -> ServiceAccount {
    ServiceAccount {
        metadata: owner.meta(&owner.name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The document as the revision has it. One per revision and immutable: a pod never sees another document than it was
/// made for.
fn config_map(owner: &Owner, revision: &Revision) -> ConfigMap {
    ConfigMap {
        metadata: owner.meta(&revision.name),
        immutable: Some(true),
        data: Some(BTreeMap::from([(DOCUMENT_KEY.to_owned(), revision.inputs.document_text.clone())])),
        ..ConfigMap::default()
    }
}

/// For scraping and for people with `kubectl port-forward`. Headless: nothing is balanced.
fn service(owner: &Owner) -> Service {
    Service {
        metadata: owner.meta(&owner.name),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(owner.selector_labels()),
            // Before it is ready, its progress says why.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: i32::from(pod::HTTP_PORT),
                target_port: Some(IntOrString::String("http".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Nothing but the HTTP port is open to others.
fn network_policy(owner: &Owner) -> NetworkPolicy {
    NetworkPolicy {
        metadata: owner.meta(&owner.name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(owner.selector()),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(vec![NetworkPolicyPort {
                    port: Some(IntOrString::Int(i32::from(pod::HTTP_PORT))),
                    protocol: Some("TCP".to_owned()),
                    ..NetworkPolicyPort::default()
                }]),
                from: None,
            }]),
            ..NetworkPolicySpec::default()
        }),
    }
}
