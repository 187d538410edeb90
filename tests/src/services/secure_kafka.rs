//! A real broker with TLS, users and rights: one listener for each way in, beside the plain one by which the tests
//! create topics and produce.

use std::path::Path;

use tempfile::TempDir;

use super::kafka::Kafka;
use super::ports;
use super::process::remove_at_exit;
use crate::certificates::{Authority, Certificate};
use crate::skip::Missing;

/// The user that may read, with each mechanism.
pub const USER: &str = "rides";
pub const PASSWORD: &str = "rides-password";
/// A user that may do nothing.
pub const STRANGER: &str = "stranger";

/// A listener of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// TLS, and a user.
    User,
    /// TLS, without a user.
    Tls,
    /// TLS, and a client's certificate.
    Mutual,
    /// Like [`Self::User`], with a certificate that has expired.
    Expired,
    /// Like [`Self::User`], with a certificate for another host.
    Elsewhere,
    /// Like [`Self::User`], but nothing listens at the address that it advertises.
    Astray,
}

const DOORS: [Door; 6] = [Door::User, Door::Tls, Door::Mutual, Door::Expired, Door::Elsewhere, Door::Astray];

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Tls => "TLS",
            Self::Mutual => "MUTUAL",
            Self::Expired => "EXPIRED",
            Self::Elsewhere => "ELSEWHERE",
            Self::Astray => "ASTRAY",
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::Tls | Self::Mutual => "SSL",
            Self::User | Self::Expired | Self::Elsewhere | Self::Astray => "SASL_SSL",
        }
    }

    fn certificate(self, authority: &Authority) -> Certificate {
        match self {
            Self::Expired => authority.expired_server(),
            Self::Elsewhere => authority.server_elsewhere(),
            Self::User | Self::Tls | Self::Mutual | Self::Astray => authority.server(),
        }
    }
}

pub struct SecureKafka {
    pub kafka: Kafka,
    /// The authority of the brokers, and of the clients that the broker lets in.
    pub authority: Authority,
    ports: Vec<u16>,
    _stores: TempDir,
}

impl SecureKafka {
    /// Starts the broker and waits until it answers.
    pub fn start() -> Result<Self, Missing> {
        let authority = Authority::new("the tests' authority");
        let stores = tempfile::Builder::new().prefix("weir-tests-stores-").tempdir().unwrap();
        remove_at_exit(stores.path());
        let ports: Vec<u16> = DOORS.iter().map(|_| ports::free()).collect();
        let settings = |inner, controller| settings(inner, controller, &ports, &authority, stores.path());
        let users = [(USER, PASSWORD), (STRANGER, PASSWORD)];
        let kafka = Kafka::start_with_users(settings, &users)?;
        Ok(Self { kafka, authority, ports, _stores: stores })
    }

    /// The address of a listener. By the name, since that is what certificates are for.
    #[must_use]
    pub fn address(&self, door: Door) -> String {
        let at = DOORS.iter().position(|d| *d == door).unwrap();
        format!("localhost:{}", self.ports[at])
    }
}

fn settings(inner: u16, controller: u16, ports: &[u16], authority: &Authority, stores: &Path) -> String {
    let doors = || DOORS.iter().zip(ports);
    let listeners: String = doors().map(|(door, port)| format!(",{}://127.0.0.1:{port}", door.name())).collect();
    let advertised: String = doors()
        .map(|(door, port)| {
            let port = if *door == Door::Astray { ports::free() } else { *port };
            format!(",{}://localhost:{port}", door.name())
        })
        .collect();
    let protocols: String = doors().map(|(door, _)| format!(",{}:{}", door.name(), door.protocol())).collect();
    let trusted = stores.join("authority.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    let mut text = format!(
        "listeners=PLAINTEXT://127.0.0.1:{inner}{listeners},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{inner}{advertised}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/\n"
    );
    for (door, _) in doors() {
        let store = door.certificate(authority).write_store(&stores.join(format!("{}.pem", door.name())));
        let listener = format!("listener.name.{}", door.name().to_lowercase());
        let auth = if *door == Door::Mutual { "required" } else { "none" };
        text += &format!(
            "{listener}.ssl.keystore.type=PEM\n{listener}.ssl.keystore.location={}\n\
             {listener}.ssl.truststore.type=PEM\n{listener}.ssl.truststore.location={}\n\
             {listener}.ssl.client.auth={auth}\n",
            store.display(),
            trusted.display()
        );
        if door.protocol() == "SASL_SSL" {
            let module = "org.apache.kafka.common.security";
            text += &format!(
                "{listener}.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN,OAUTHBEARER\n\
                 {listener}.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
                 {listener}.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
                 {listener}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n\
                 {listener}.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required;\n"
            );
        }
    }
    text
}
