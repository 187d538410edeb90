//! How the pipeline's pods run. The operator reads these fields; `weir run` ignores them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::belongs_to;
use super::schema::{Amounts, Annotations, EnvName, EnvValue, Foreign, Labels, ObjectName, OpenBlock};
use super::{Quantity, SecretRef};

/// What the runtime's container requests and may use, as in any pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What the scheduler reserves, as Kubernetes quantities by the resource's name: {cpu: 500m, memory: 1Gi}.
    #[schemars(with = "Option<Amounts>")]
    pub requests: Option<BTreeMap<String, Quantity>>,
    /// What the container may not exceed. The runtime reads and aggregates in as many lanes as the CPU limit has cores.
    #[schemars(with = "Option<Amounts>")]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

/// What users may set for the pods besides resources and image. The operator sets everything else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodTemplate {
    /// Labels of the pods, in addition to the operator's.
    #[schemars(with = "Option<Labels>")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of the pods, in addition to the operator's.
    #[schemars(with = "Option<Annotations>")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels that a node must have to take the pods.
    #[schemars(with = "Option<Labels>")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints of nodes that the pods tolerate. At most 32.
    #[schemars(with = "Option<Vec<Foreign<Toleration>>>", length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Option<Vec<Toleration>>,
    /// Which nodes and which neighbours the pods prefer or avoid.
    #[schemars(with = "Option<Foreign<Affinity>>")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread over zones and nodes. At most 16.
    #[schemars(
        with = "Option<Vec<Foreign<TopologySpreadConstraint>>>",
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["topologyKey", "whenUnsatisfiable"])
    )]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// The name of a PriorityClass.
    #[schemars(with = "Option<ObjectName>")]
    pub priority_class_name: Option<String>,
    /// A ServiceAccount in the pipeline's namespace, for clouds that grant rights to it. If left out, the operator
    /// makes one. Its token is never mounted.
    #[schemars(with = "Option<ObjectName>")]
    pub service_account_name: Option<String>,
    /// Secrets in the pipeline's namespace for pulling the image. At most 16.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Option<Vec<SecretRef>>,
    /// Environment variables of the runtime's container. At most 64.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Option<Vec<EnvVar>>,
}

/// An environment variable. Secret values belong in a Secret, to which the document refers where they are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvVar {
    /// The variable's name: letters, digits and underscores, not beginning with a digit.
    #[schemars(with = "EnvName")]
    pub name: String,
    /// The variable's value.
    #[schemars(with = "EnvValue")]
    pub value: String,
}

/// Who may reach the HTTP port of the pods. Nothing limits what the pods may reach.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [belongs_to("ingressFrom", "mode", "Managed", Some("Managed"))]))]
pub struct NetworkPolicy {
    /// Managed (the default): the operator makes a policy that admits itself and what scrapes metrics. Unmanaged: it
    /// makes none.
    pub mode: Option<NetworkPolicyMode>,
    /// Whom the policy admits besides, as in a NetworkPolicy. At most 32.
    // Kubernetes' schema of a peer would take 4 kB of the definition.
    #[schemars(with = "Option<Vec<OpenBlock>>", length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub ingress_from: Option<Vec<NetworkPolicyPeer>>,
}

/// Not `Off`, which YAML 1.1 reads as false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkPolicyMode {
    Managed,
    Unmanaged,
}
