//! Connections: servers that sources, sinks and formats refer to by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{exactly_one, exactly_one_later};
use super::schema::{BootstrapServers, Name, Text, Topic, Url};
use super::{SecretKeyRef, SecretRef, unions};

/// A name and exactly one kind of connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::CONNECTION_KINDS)]))]
pub struct Connection {
    /// The name by which sources and sinks refer to it: at most 50 lower-case letters, digits and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// A Kafka cluster.
    pub kafka: Option<KafkaConnection>,
    /// Not supported yet. A schema registry that speaks Confluent's protocol.
    pub schema_registry: Option<SchemaRegistry>,
}

/// A Kafka cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaConnection {
    /// The brokers to contact first, as host:port with commas between them: kafka.data:9093
    #[schemars(with = "BootstrapServers")]
    pub bootstrap_servers: String,
    /// How the pipeline authenticates.
    pub sasl: Option<Sasl>,
    /// Encrypts the connection, and checks who the brokers are.
    pub tls: Option<Tls>,
    /// Not supported yet. The compacted topic in which Kafka sinks record what they have written. By default it is
    /// named after the pipeline.
    #[schemars(with = "Option<Topic>")]
    pub control_topic: Option<String>,
}

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaRegistry {
    /// The registry's URL: https://registry.data:8081
    #[schemars(with = "Url")]
    pub url: String,
    /// The user, as text or from a Secret.
    pub username: Option<Username>,
    /// The key of a Secret that holds the password.
    pub password_secret_ref: Option<SecretKeyRef>,
    /// Which certificates are trusted, and which one is presented.
    pub tls: Option<Tls>,
}

/// How the pipeline authenticates to Kafka.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// The mechanism by Kafka's name: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM.
    pub mechanism: SaslMechanism,
    /// The user for PLAIN and SCRAM, as text or from a Secret.
    pub username: Option<Username>,
    /// The key of a Secret with the password for PLAIN and SCRAM.
    pub password_secret_ref: Option<SecretKeyRef>,
    /// Where to get tokens for OAUTHBEARER.
    pub oauth: Option<Oauth>,
}

/// The mechanisms under Kafka's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
    #[serde(rename = "AWS_MSK_IAM")]
    AwsMskIam,
}

/// Where to get tokens, with OAuth's client credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oauth {
    /// The endpoint of the authorization server: https://login.example.com/oauth2/token
    #[schemars(with = "Url")]
    pub token_endpoint: String,
    /// The client's id.
    #[schemars(with = "Text")]
    pub client_id: String,
    /// The key of a Secret that holds the client's secret.
    pub client_secret_ref: SecretKeyRef,
    /// The scope to request.
    #[schemars(with = "Option<Text>")]
    pub scope: Option<String>,
}

/// A user: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::USERNAMES)]))]
pub struct Username {
    /// The user name as text.
    #[schemars(with = "Option<Text>")]
    pub value: Option<String>,
    /// The key of a Secret that holds the user name.
    pub secret_ref: Option<SecretKeyRef>,
}

/// Encrypts the connection. Without fields, the certificate authorities of the image are trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The key of a Secret that holds the certificate of the server's CA.
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// A Secret with the keys tls.crt and tls.key: the certificate with which the pipeline authenticates.
    pub client_secret_ref: Option<SecretRef>,
}
