//! How the HTTP port of the pods is guarded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rule;
use super::{SecretKeyRef, SecretRef};

/// Without fields, the port serves plain HTTP to whoever reaches it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule("!has(self.tokenSecretRef) || has(self.tls)", "tokenSecretRef", TOKEN_WITHOUT_TLS),
]))]
pub struct Http {
    /// Serves HTTPS.
    pub tls: Option<HttpTls>,
    /// The key of a Secret with the token that every request needs, except the probes.
    pub token_secret_ref: Option<SecretKeyRef>,
}

/// The server's certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTls {
    /// A Secret with the keys tls.crt and tls.key: a certificate for <pipeline>.<namespace>.svc
    pub secret_ref: SecretRef,
}

pub(crate) const TOKEN_WITHOUT_TLS: &str = "the token is sent as it is, and without TLS everybody on the way can read \
                                            it; write `tls: {secretRef: {name: page-tls}}` beside it";
