//! Servers that sources, sinks and formats use by a name.

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
    /// The name that sources and sinks use it by: at most 50 lower-case letters, digits and hyphens.
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
    /// Brokers to ask first, as host:port, several with commas between them: kafka.data:9093
    #[schemars(with = "BootstrapServers")]
    pub bootstrap_servers: String,
    /// Not supported yet. How the pipeline proves who it is.
    pub sasl: Option<Sasl>,
    /// Not supported yet. Encrypts the connection.
    pub tls: Option<Tls>,
    /// Not supported yet. The compacted topic in which Kafka sinks keep what they have written. By default one that is
    /// named for the pipeline.
    #[schemars(with = "Option<Topic>")]
    pub control_topic: Option<String>,
}

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaRegistry {
    /// Where it is: https://registry.data:8081
    #[schemars(with = "Url")]
    pub url: String,
    /// The user, here or in a Secret.
    pub username: Option<Username>,
    /// The key of a Secret that holds the password.
    pub password_secret_ref: Option<SecretKeyRef>,
    /// Whose certificates are trusted, and which one is shown.
    pub tls: Option<Tls>,
}

/// How the pipeline proves to Kafka who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// The mechanism by Kafka's name: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM.
    pub mechanism: SaslMechanism,
    /// The user, here or in a Secret. Of PLAIN and SCRAM.
    pub username: Option<Username>,
    /// The key of a Secret that holds the password. Of PLAIN and SCRAM.
    pub password_secret_ref: Option<SecretKeyRef>,
    /// Where tokens are had. Of OAUTHBEARER.
    pub oauth: Option<Oauth>,
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
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
    #[serde(rename = "AWS_MSK_IAM")]
    AwsMskIam,
}

/// Where tokens are had, by OAuth's client credentials.
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
    /// The scope that is asked for.
    #[schemars(with = "Option<Text>")]
    pub scope: Option<String>,
}

/// Exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::USERNAMES)]))]
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
    /// The key of a Secret that holds the certificate of the server's CA.
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// A Secret with the keys tls.crt and tls.key, by which the pipeline proves who it is.
    pub client_secret_ref: Option<SecretRef>,
}
