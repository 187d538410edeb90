//! How to reach object stores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{belongs_to, exactly_one};
use super::schema::{Endpoint, Region, Text, UriPrefix};
use super::{SecretKeyRef, SecretRef, unions};

/// How to reach one object store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::STORES)]))]
pub struct Storage {
    /// The URIs that this entry is for, by whole path segments: s3://lake/
    #[schemars(with = "UriPrefix")]
    pub uri_prefix: String,
    /// An S3 server.
    pub s3: Option<S3Storage>,
}

/// An S3 server, Amazon's or another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Storage {
    /// The server's URL: http:// or https://, a host and optionally a port: https://s3.data:9000. By default Amazon's,
    /// by the region.
    #[schemars(with = "Option<Endpoint>")]
    pub endpoint: Option<String>,
    /// The region: eu-west-3
    #[schemars(with = "Option<Region>")]
    pub region: Option<String>,
    /// Whether the bucket is in the path and not in the host, as most servers except Amazon's need it. By default
    /// false.
    pub force_path_style: Option<bool>,
    /// A Secret with the keys accessKeyId and secretAccessKey, and sessionToken if they are temporary. By default the
    /// pod's environment, such as a ServiceAccount with its own rights.
    pub credentials_secret_ref: Option<SecretRef>,
    /// The key of a Secret that holds the certificate of the server's CA.
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// How the server encrypts what is written.
    pub encryption: Option<S3Encryption>,
}

/// How the server encrypts what is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [belongs_to("keyId", "type", "SSEKMS", None)]))]
pub struct S3Encryption {
    /// SSES3: with the server's keys. SSEKMS: with a key of the key management service.
    #[serde(rename = "type")]
    pub kind: S3EncryptionType,
    /// The key for the type SSEKMS. By default the bucket's.
    #[schemars(with = "Option<Text>")]
    pub key_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum S3EncryptionType {
    #[serde(rename = "SSES3")]
    SseS3,
    #[serde(rename = "SSEKMS")]
    SseKms,
}
