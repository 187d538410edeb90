//! Clusters that sources read from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::exactly_one;
use super::schema::{BootstrapServers, Name, Text};
use super::{SecretKeyRef, unions};

/// A name and exactly one kind of connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::SOURCE_KINDS)]))]
pub struct Connection {
    /// The name that sources use it by: at most 50 lower-case letters, digits and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// A Kafka cluster.
    pub kafka: Option<KafkaConnection>,
}

/// A Kafka cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaConnection {
    /// Brokers to ask first, as host:port, several with commas between them: kafka.data:9093
    #[schemars(with = "BootstrapServers")]
    pub bootstrap_servers: String,
    /// Not supported yet. How the pipeline proves who it is.
    pub sasl: Option<Sasl>,
    /// Not supported yet. Encrypts the connection.
    pub tls: Option<Tls>,
}

/// How the pipeline proves to Kafka who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// The mechanism by Kafka's name: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    pub mechanism: SaslMechanism,
    /// The user, here or in a Secret.
    pub username: Username,
    /// The key of a Secret that holds the password.
    pub password_secret_ref: SecretKeyRef,
}

/// Under Kafka's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// Exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::USERNAMES)]))]
pub struct Username {
    /// The user as text.
    #[schemars(with = "Option<Text>")]
    pub value: Option<String>,
    /// The key of a Secret that holds the user.
    pub secret_ref: Option<SecretKeyRef>,
}

/// Encrypts the connection. Without fields, the certificate authorities of the image are trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The key of a Secret that holds the certificate of the brokers' CA.
    pub ca_secret_ref: Option<SecretKeyRef>,
}
