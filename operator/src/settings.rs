//! What the person who installs the operator chooses.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

/// The flags of the operator that say what pipelines get.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The image of pipelines that name none. It is pinned when a pipeline is first accepted.
    pub runtime_image: String,
    /// Labels of the pipelines' PodMonitors, by which Prometheus selects them, in clusters that have this kind.
    pub pod_monitor_labels: BTreeMap<String, String>,
    pub users: Users,
    /// Labels that a Secret must have so that pipelines may use it.
    pub secret_labels: BTreeMap<String, String>,
    /// Who may reach the HTTP port of pipelines, besides what their documents name; `None` for everyone.
    pub ingress_from: Option<Vec<NetworkPolicyPeer>>,
}

/// The user ids of the pipelines' pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// Pods ask for the user of the image.
    OfImage,
    /// The platform assigns a user to each namespace, and refuses pods that ask for another one.
    Assigned,
}
