//! How a client reaches a Kafka cluster: with or without TLS, and as which user. Certificates and passwords are read
//! from the files of mounted Secrets whenever a client is made, and never put anywhere else.

mod certificate;
mod msk;
mod oauth;
mod tokens;

use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::client::OAuthToken;
use weir_base::certificates::authorities;
use weir_base::failure::Result;
use weir_base::storage::Secrets;
use weir_plan::plan::{KafkaConnection, Sasl, SecretKey, Tls, Username};

use self::tokens::Tokens;
pub use super::refusal::explained;

/// The keys of a Secret of the type `kubernetes.io/tls`.
const CERTIFICATE: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";

/// A Kafka cluster, and what a client needs to reach it. A clone shares the tokens.
#[derive(Clone)]
pub struct Access {
    connection: KafkaConnection,
    secrets: Secrets,
    tokens: Option<Arc<Tokens>>,
}

/// A mark of what certificates and passwords were at some moment. It says whether they are others now, and nothing else
/// about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Access {
    /// Reads no file and sends nothing yet.
    #[must_use]
    pub fn new(connection: &KafkaConnection, secrets: &Secrets) -> Self {
        Self { connection: connection.clone(), secrets: secrets.clone(), tokens: None }
    }

    /// The address that the document gives.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.connection.bootstrap_servers
    }

    /// Puts address, TLS and user into a client's settings. For mechanisms with tokens it waits for the first token,
    /// within a deadline.
    ///
    /// # Errors
    /// `Config` for a Secret that is not there or can't be used, and for a client that the authorization server
    /// refuses; `Retry` if that server does not answer.
    pub fn configure(&mut self, config: &mut ClientConfig) -> Result<Mark> {
        for (name, value) in self.settings()? {
            config.set(name, value);
        }
        if let Some(sasl) = self.connection.sasl.as_ref().filter(|sasl| has_tokens(sasl))
            && self.tokens.is_none()
        {
            self.tokens = Some(Arc::new(Tokens::start(sasl, &self.connection, &self.secrets)?));
        }
        self.mark()
    }

    /// What certificates and passwords are now.
    ///
    /// # Errors
    /// `Config` for a Secret that is not there or can't be read.
    pub fn mark(&self) -> Result<Mark> {
        let mut hasher = DefaultHasher::new();
        self.settings()?.hash(&mut hasher);
        if let Some(secret) = self.connection.tls.as_ref().and_then(|tls| tls.client_secret.as_deref()) {
            // The settings have these two by the paths of their files.
            self.secrets.read(secret, CERTIFICATE)?.hash(&mut hasher);
            self.secrets.read(secret, PRIVATE_KEY)?.hash(&mut hasher);
        }
        Ok(Mark(hasher.finish()))
    }

    /// Whether there is anything that can change while a client lives. (A client secret for tokens is read again with
    /// every token.)
    #[must_use]
    pub fn may_change(&self) -> bool {
        let tls = self.connection.tls.as_ref().is_some_and(|tls| tls.ca.is_some() || tls.client_secret.is_some());
        tls || matches!(self.connection.sasl, Some(Sasl::Password { .. }))
    }

    /// The token for librdkafka's callback.
    ///
    /// # Errors
    /// Why there is none.
    pub fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        self.tokens.as_ref().ok_or("no mechanism with tokens was configured")?.current()
    }

    /// What is wrong with the certificate of the broker at `host:port`, as far as another look at it can say.
    pub(super) fn certificate_fault(&self, address: &str) -> Option<String> {
        certificate::fault(address, self.connection.tls.as_ref()?.ca.as_ref(), &self.secrets)
    }

    /// Whether this client comes without TLS, and a broker that the document names speaks TLS.
    pub(super) fn lacks_tls(&self) -> bool {
        self.connection.tls.is_none() && self.servers().any(certificate::is_there)
    }

    /// Whether this client comes without a user, and somebody takes a connection where the document says.
    pub(super) fn may_lack_user(&self) -> bool {
        self.connection.sasl.is_none() && self.servers().any(certificate::is_reached)
    }

    /// The addresses that the document gives, one by one.
    pub(super) fn servers(&self) -> impl Iterator<Item = &str> {
        self.connection.bootstrap_servers.split(',').map(str::trim)
    }

    /// Names and defaults: librdkafka's CONFIGURATION.md.
    fn settings(&self) -> Result<Vec<(&'static str, String)>> {
        let KafkaConnection { bootstrap_servers, tls, sasl } = &self.connection;
        let protocol = match (tls, sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        };
        let mut settings =
            vec![("bootstrap.servers", bootstrap_servers.clone()), ("security.protocol", protocol.to_owned())];
        if let Some(tls) = tls {
            settings.extend(self.tls_settings(tls)?);
        }
        match sasl {
            Some(Sasl::Password { mechanism, username, password }) => {
                let username = match username {
                    Username::Text(text) => text.clone(),
                    Username::Secret(key) => self.read(key)?,
                };
                settings.push(("sasl.mechanism", mechanism.as_str().to_owned()));
                settings.push(("sasl.username", username));
                settings.push(("sasl.password", self.read(password)?));
            }
            // Kafka knows MSK's tokens as those of OAUTHBEARER.
            Some(Sasl::OauthBearer(_) | Sasl::AwsMskIam) => settings.push(("sasl.mechanism", "OAUTHBEARER".to_owned())),
            None => {}
        }
        Ok(settings)
    }

    fn tls_settings(&self, tls: &Tls) -> Result<Vec<(&'static str, String)>> {
        let mut settings = vec![
            ("enable.ssl.certificate.verification", "true".to_owned()),
            ("ssl.endpoint.identification.algorithm", "https".to_owned()),
        ];
        match &tls.ca {
            Some(key) => {
                authorities(key, &self.secrets)?;
                settings.push(("ssl.ca.pem", self.read(key)?));
            }
            // Looks where systems keep their certificates, since a statically linked OpenSSL has a place of its own.
            None => settings.push(("ssl.ca.location", "probe".to_owned())),
        }
        if let Some(secret) = &tls.client_secret {
            // Files, not texts: of a text librdkafka takes the first certificate only and leaves out the intermediate
            // ones.
            for (setting, key) in [("ssl.certificate.location", CERTIFICATE), ("ssl.key.location", PRIVATE_KEY)] {
                let _is_there = self.secrets.read(secret, key)?;
                settings.push((setting, self.secrets.path(secret, key)?.display().to_string()));
            }
        }
        Ok(settings)
    }

    fn read(&self, SecretKey { secret, key }: &SecretKey) -> Result<String> {
        self.secrets.read(secret, key)
    }
}

fn has_tokens(sasl: &Sasl) -> bool {
    matches!(sasl, Sasl::OauthBearer(_) | Sasl::AwsMskIam)
}
