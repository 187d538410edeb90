//! Kafka clusters, and how they are reached: with or without TLS, and as which user.

/// A Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConnection {
    /// `host:port`, with commas between several.
    pub bootstrap_servers: String,
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
}

impl KafkaConnection {
    /// A connection without TLS and without a user.
    #[must_use]
    pub fn plaintext(bootstrap_servers: impl Into<String>) -> Self {
        Self { bootstrap_servers: bootstrap_servers.into(), tls: None, sasl: None }
    }
}

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    pub secret: String,
    pub key: String,
}

/// TLS. The server's host name is always checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The certificates of the authorities that are trusted; without it, those of the machine.
    pub ca: Option<SecretKey>,
    /// The Secret with the client's certificate (`tls.crt`) and its key (`tls.key`).
    pub client_secret: Option<String>,
}

/// Who the pipeline is to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sasl {
    Password { mechanism: PasswordMechanism, username: Username, password: SecretKey },
    OauthBearer(Oauth),
    AwsMskIam,
}

/// The mechanisms that take a user and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordMechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl PasswordMechanism {
    /// Kafka's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A user name, as text or from a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Username {
    Text(String),
    Secret(SecretKey),
}

/// Where tokens come from: an authorization server, asked with OAuth's client credentials (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth {
    pub token_endpoint: String,
    pub client_id: String,
    pub client_secret: SecretKey,
    pub scope: Option<String>,
}
