//! What of a pipeline may change without another revision, and what is to run now.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use weir_crds::document::{NetworkPolicy, NetworkPolicyMode};

/// What may change without a new revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub replicas: i32,
    /// The versions of the Secrets, for the annotation of the pods: see [`crate::secret_changes::versions_for_pods`].
    pub secrets: String,
    pub run: Run,
    /// Whether the Secret with the certificate of the HTTP port has the authority's too.
    pub has_http_ca: bool,
    pub access: Access,
}

/// Who may reach the pods.
#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    /// Those that the operator's settings name, and these.
    Also(Vec<NetworkPolicyPeer>),
    /// The operator makes no policy.
    Unmanaged,
    /// As it is, since the spec is refused.
    Unchanged,
}

impl Access {
    /// What an accepted document says.
    #[must_use]
    pub fn of(policy: Option<&NetworkPolicy>) -> Self {
        match policy.and_then(|policy| policy.mode) {
            None | Some(NetworkPolicyMode::Managed) => {
                Self::Also(policy.and_then(|policy| policy.ingress_from.clone()).unwrap_or_default())
            }
            Some(NetworkPolicyMode::Unmanaged) => Self::Unmanaged,
        }
    }
}

/// The run that should be running now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A pipeline that runs without an end.
    Endless,
    /// The run with this id, of an AvailableNow pipeline.
    Unfinished(String),
    /// No run until the next one is due. The Job of a completed run is not created again, even if somebody deletes it.
    None,
}
