//! Notices about a document that is valid but may not do what its author meant. They stop nothing.

use std::collections::BTreeSet;

use weir_plan::plan::{Plan, SinkKind, StartFrom, Trigger};
use weir_plan::quote::quoted;
use weir_plan::topics::Topics;

use crate::decode::cut_by_comments;
use crate::document::{KafkaConnection, SaslMechanism, Spec};
use crate::finding::{FINDINGS_MAX, nearest, one_of};
use crate::lower::uri;
use crate::{Loaded, secrets};

/// The most URIs and names that a sentence lists.
const NAMED_MAX: usize = 5;

/// One sentence per notice, with its path in the document.
#[must_use]
pub fn notices(loaded: &Loaded) -> Vec<String> {
    let (spec, plan) = (&loaded.document.spec, &loaded.plan);
    let all = unused_storage(plan)
        .chain(unused_connections(spec))
        .chain(open_scram(spec))
        .chain(empty_runs(plan))
        .chain(plain_names(plan));
    all.take(FINDINGS_MAX).map(secrets::in_sentence).collect()
}

/// Entries of `storage` that are for no URI of the document: none lies in them, or longer prefixes take all that do. A
/// document whose URIs are all folders of the machine has others on a cluster.
fn unused_storage(plan: &Plan) -> impl Iterator<Item = String> {
    let sinks = plan.sinks.iter().filter_map(|sink| match &sink.kind {
        SinkKind::Delta(delta) => Some(delta.uri.as_str()),
        SinkKind::Console(_) => None,
    });
    let uris = std::iter::once(plan.checkpoint.uri.as_str()).chain(sinks);
    let on_stores: Vec<_> = uris.filter(|uri| uri.starts_with("s3:")).collect();
    let prefixes: Vec<_> = plan.storage.iter().map(|entry| entry.uri_prefix.as_str()).collect();
    let entries = prefixes.iter().enumerate().filter(|_| !on_stores.is_empty());
    let said = entries.filter_map(|(i, prefix)| {
        let within: Vec<_> = on_stores.iter().filter(|uri| uri::is_within(uri, prefix)).collect();
        let takes = |other: &&&str| {
            *other != prefix && uri::is_within(other, prefix) && on_stores.iter().any(|uri| uri::is_within(uri, other))
        };
        let longer: Vec<_> = prefixes.iter().filter(takes).collect();
        let taken = |uri: &&&&str| longer.iter().any(|longer| uri::is_within(uri, longer));
        let why = if within.is_empty() {
            format!(
                "no URI of the document lies in {}, so the entry is used for nothing, and other settings are for the \
                 document's URIs: {}",
                folder(prefix),
                instead(prefix, &on_stores, &prefixes)
            )
        } else if within.iter().filter(taken).count() == within.len() {
            let longer: Vec<_> = longer.iter().take(NAMED_MAX).map(|longer| folder(longer)).collect();
            format!(
                "every URI of the document in {} lies in {} too, a longer prefix, so the entry is used for nothing: \
                 leave it out",
                folder(prefix),
                one_of(&longer)
            )
        } else {
            return None;
        };
        Some(format!("spec.storage[{i}].uriPrefix: {why}"))
    });
    said.collect::<Vec<_>>().into_iter()
}

fn folder(prefix: &str) -> String {
    quoted(format_args!("{prefix}/"))
}

/// What to write in place of a prefix in which no URI lies: a prefix of a URI that no other entry has.
fn instead(prefix: &str, uris: &[&str], prefixes: &[&str]) -> String {
    let is_new = |candidate: &&str| !prefixes.contains(candidate);
    // The scheme's slashes are no part of a path.
    let folders = uris.iter().flat_map(|uri| {
        let slashes = uri.match_indices('/').map(|(at, _)| at).skip(2);
        slashes.chain([uri.len()]).map(|end| &uri[..end])
    });
    if let Some(meant) = nearest(prefix, folders.filter(is_new)) {
        return format!("did you mean {}?", folder(meant));
    }
    let buckets: BTreeSet<_> =
        uris.iter().map(|uri| uri.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")).collect();
    let buckets = buckets.iter().map(String::as_str).filter(is_new).take(NAMED_MAX);
    match buckets.map(folder).collect::<Vec<_>>() {
        buckets if buckets.is_empty() => "leave the entry out".to_owned(),
        buckets => format!("write {}, or leave the entry out", one_of(&buckets)),
    }
}

/// Connections that nothing refers to.
fn unused_connections(spec: &Spec) -> impl Iterator<Item = String> {
    let used: Vec<_> =
        spec.sources.iter().filter_map(|source| source.kafka.as_ref()).map(|kafka| kafka.connection.as_str()).collect();
    let connections = spec.connections.iter().enumerate();
    connections.filter(move |(_, connection)| !used.contains(&connection.name.as_str())).map(|(i, connection)| {
        format!(
            "spec.connections[{i}]: nothing in the document refers to {}: leave it out, or write its name as the \
             `connection` of a source",
            quoted(&connection.name)
        )
    })
}

/// Connections that keep the password from who listens, but nothing else.
fn open_scram(spec: &Spec) -> impl Iterator<Item = String> {
    let mechanism = |kafka: &KafkaConnection| match kafka.sasl.as_ref().filter(|_| kafka.tls.is_none())?.mechanism {
        SaslMechanism::ScramSha256 => Some("SCRAM-SHA-256"),
        SaslMechanism::ScramSha512 => Some("SCRAM-SHA-512"),
        SaslMechanism::Plain | SaslMechanism::OauthBearer | SaslMechanism::AwsMskIam => None,
    };
    let connections = spec.connections.iter().enumerate();
    connections.filter_map(move |(i, connection)| Some((i, mechanism(connection.kafka.as_ref()?)?))).map(|(i, name)| {
        format!(
            "spec.connections[{i}].kafka: the mechanism {} does not send the password, but without TLS everybody on \
             the way can read and change everything else: write `tls: {{}}` beside `sasl`, with `caSecretRef` in it if \
             the brokers' certificates are from an authority of your own",
            quoted(name)
        )
    })
}

/// Sources whose first run reads nothing and ends.
fn empty_runs(plan: &Plan) -> impl Iterator<Item = String> {
    let reads_nothing =
        |start_from: &StartFrom| plan.trigger == Trigger::AvailableNow && *start_from == StartFrom::Latest;
    let sources = plan.sources.iter().enumerate().filter(move |(_, source)| reads_nothing(&source.kafka.start_from));
    sources.map(|(i, source)| {
        format!(
            "spec.sources[{i}].kafka.startFrom: the first run of {} begins at the end of the topics of {}, reads \
             nothing and ends, since the trigger is AvailableNow: write `startFrom: {{position: Earliest}}` to read \
             what is there",
            quoted(&plan.pipeline),
            quoted(&source.name)
        )
    })
}

/// Patterns that only one topic can match.
fn plain_names(plan: &Plan) -> impl Iterator<Item = String> {
    plan.sources.iter().enumerate().filter_map(|(i, source)| {
        let Topics::Matching(pattern) = &source.kafka.topics else { return None };
        let name = pattern.only_name()?;
        Some(format!(
            "spec.sources[{i}].kafka.topicPattern: {} must match the whole name of a topic, which only {} does: write {} \
             for every topic whose name begins so, or `topics: [{name}]`",
            quoted(pattern.as_str()),
            quoted(name),
            quoted(format_args!("{name}.*"))
        ))
    })
}

/// One sentence for each expression in the text of a valid document that a comment may cut off.
#[must_use]
pub fn notices_of_text(text: &str) -> Vec<String> {
    cut_by_comments(text).into_iter().take(FINDINGS_MAX).map(|cut| cut.message).collect()
}
