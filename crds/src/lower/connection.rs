//! Connections: the Kafka clusters that sources read, and how they are reached.

use weir_plan::plan;
use weir_plan::quote::quoted;

use super::check::NAMED_MAX;
use super::name;
use super::name::is_port;
use super::secret::{secret_key, secret_name};
use crate::document::{KafkaConnection, Oauth, Sasl, SaslMechanism, Spec, Tls, Username, unions};
use crate::finding::{Findings, Path};

/// Lowers the connections, in the document's order; `None` for one that is wrong or no Kafka cluster. A connection that
/// no source uses is allowed: an override may select another one.
pub(super) fn lower(spec: &Spec, spec_at: &Path, out: &mut Findings) -> Vec<Option<plan::KafkaConnection>> {
    let at = spec_at.field("connections");
    out.length(&at, spec.connections.len(), 0..=NAMED_MAX);
    out.distinct(
        spec.connections.iter().enumerate().map(|(i, c)| (at.index(i).field("name"), &*c.name)),
        "connections",
    );
    let lowered = spec.connections.iter().enumerate().map(|(i, connection)| {
        let at = at.index(i);
        out.checked(&at.field("name"), name::check_node(&connection.name));
        let is_there = [connection.kafka.is_some(), connection.schema_registry.is_some()];
        out.exactly_one(&at, unions::CONNECTION_KINDS, &is_there);
        kafka(connection.kafka.as_ref()?, &at.field("kafka"), out)
    });
    lowered.collect()
}

fn kafka(kafka: &KafkaConnection, at: &Path, out: &mut Findings) -> Option<plan::KafkaConnection> {
    for server in kafka.bootstrap_servers.split(',').map(str::trim) {
        let port = server
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty() && !host.contains(['/', ' ', '@', '%']))
            .map(|(_, port)| port);
        if !port.is_some_and(is_port) {
            let message = if server.contains('@') {
                "found a user before the host: write host:port, and how the pipeline authenticates into `sasl`"
                    .to_owned()
            } else {
                format!("found {}: write host:port, several with commas between them", quoted(server))
            };
            out.add(&at.field("bootstrapServers"), message);
        }
    }
    let has_tls = kafka.tls.is_some();
    let tls = kafka.tls.as_ref().map(|block| tls(block, &at.field("tls"), out));
    let sasl = match &kafka.sasl {
        Some(block) => Some(sasl(block, has_tls, at, out)?),
        None => None,
    };
    Some(plan::KafkaConnection { bootstrap_servers: kafka.bootstrap_servers.clone(), tls, sasl })
}

fn tls(tls: &Tls, at: &Path, out: &mut Findings) -> plan::Tls {
    plan::Tls {
        ca: tls.ca_secret_ref.as_ref().map(|key| secret_key(key, &at.field("caSecretRef"), out)),
        client_secret: tls
            .client_secret_ref
            .as_ref()
            .map(|secret| secret_name(secret, &at.field("clientSecretRef"), out)),
    }
}

fn sasl(sasl: &Sasl, has_tls: bool, kafka_at: &Path, out: &mut Findings) -> Option<plan::Sasl> {
    let at = kafka_at.field("sasl");
    let mechanism = match sasl.mechanism {
        SaslMechanism::Plain => Some(plan::PasswordMechanism::Plain),
        SaslMechanism::ScramSha256 => Some(plan::PasswordMechanism::ScramSha256),
        SaslMechanism::ScramSha512 => Some(plan::PasswordMechanism::ScramSha512),
        SaslMechanism::OauthBearer | SaslMechanism::AwsMskIam => None,
    };
    let name = match (mechanism, sasl.mechanism) {
        (Some(mechanism), _) => mechanism.as_str(),
        (None, SaslMechanism::AwsMskIam) => "AWS_MSK_IAM",
        (None, _) => "OAUTHBEARER",
    };
    // A SCRAM exchange proves the password without sending it; these send what anybody could use who listens.
    if !has_tls && !matches!(sasl.mechanism, SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512) {
        let message = format!(
            "the mechanism {} sends a password or a token as it is, and without TLS everybody on the way can read it; \
             write `tls: {{}}` beside `sasl`, with `caSecretRef` in it if the brokers' certificates are from an \
             authority of your own",
            quoted(name)
        );
        out.add(kafka_at, message);
    }
    let of_password =
        [("username", sasl.username.is_some()), ("passwordSecretRef", sasl.password_secret_ref.is_some())];
    let of_oauth = [("oauth", sasl.oauth.is_some())];
    let (wanted, unwanted) = match sasl.mechanism {
        SaslMechanism::OauthBearer => (&of_oauth[..], &of_password[..]),
        SaslMechanism::AwsMskIam => (&[][..], &[of_password[0], of_password[1], of_oauth[0]][..]),
        SaslMechanism::Plain | SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => {
            (&of_password[..], &of_oauth[..])
        }
    };
    for (field, is_there) in wanted {
        if !is_there {
            out.add(&at.field(field), format!("is required for the mechanism {}: {}", quoted(name), example(field)));
        }
    }
    for (field, is_there) in unwanted {
        if *is_there {
            out.add(&at.field(field), format!("has no meaning for the mechanism {}; leave it out", quoted(name)));
        }
    }
    let username = sasl.username.as_ref().and_then(|user| username(user, &at.field("username"), out));
    let password = sasl.password_secret_ref.as_ref().map(|key| secret_key(key, &at.field("passwordSecretRef"), out));
    let oauth = sasl.oauth.as_ref().map(|block| oauth(block, &at.field("oauth"), out));
    match (mechanism, sasl.mechanism) {
        (Some(mechanism), _) => Some(plan::Sasl::Password { mechanism, username: username?, password: password? }),
        (None, SaslMechanism::AwsMskIam) => Some(plan::Sasl::AwsMskIam),
        (None, _) => Some(plan::Sasl::OauthBearer(oauth?)),
    }
}

fn example(field: &str) -> &'static str {
    match field {
        "username" => "write {value: rides}, or {secretRef: {name: kafka-user, key: username}}",
        "passwordSecretRef" => "write {name: kafka-user, key: password}",
        _ => {
            "write {tokenEndpoint: https://login.example.com/oauth2/token, clientId: rides, clientSecretRef: {name: \
             kafka-client, key: secret}}"
        }
    }
}

fn username(user: &Username, at: &Path, out: &mut Findings) -> Option<plan::Username> {
    out.exactly_one(at, unions::USERNAMES, &[user.value.is_some(), user.secret_ref.is_some()]);
    let secret = user.secret_ref.as_ref().map(|key| secret_key(key, &at.field("secretRef"), out));
    if user.value.as_ref().is_some_and(String::is_empty) {
        out.add(&at.field("value"), "is empty; write the user's name");
    }
    user.value.clone().map(plan::Username::Text).or(secret.map(plan::Username::Secret))
}

fn oauth(oauth: &Oauth, at: &Path, out: &mut Findings) -> plan::Oauth {
    let endpoint = &oauth.token_endpoint;
    let host = endpoint.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    let is_host = |host: &str| {
        let (name, port) = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((host, "443"));
        !name.is_empty() && is_port(port) && !name.contains(|c: char| c.is_whitespace() || c == '@')
    };
    if !host.is_some_and(is_host) {
        let message = format!(
            "found {}: write the https:// address that the authorization server gives for tokens, as in \
             https://login.example.com/oauth2/token",
            quoted(endpoint)
        );
        out.add(&at.field("tokenEndpoint"), message);
    }
    if oauth.client_id.is_empty() {
        out.add(&at.field("clientId"), "is empty; write the id under which the client is registered");
    }
    plan::Oauth {
        token_endpoint: endpoint.clone(),
        client_id: oauth.client_id.clone(),
        client_secret: secret_key(&oauth.client_secret_ref, &at.field("clientSecretRef"), out),
        scope: oauth.scope.clone(),
    }
}
