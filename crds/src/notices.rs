//! Notices about a document that is valid but may not do what its author meant. They stop nothing.

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

/// Entries of `storage` for no URI of the document. A document whose URIs are all folders of the machine has others on
/// a cluster.
fn unused_storage(plan: &Plan) -> impl Iterator<Item = String> {
    let sinks = plan.sinks.iter().map(|sink| match &sink.kind {
        SinkKind::Delta(delta) => delta.uri.as_str(),
    });
    let uris: Vec<_> = std::iter::once(plan.checkpoint.uri.as_str()).chain(sinks).collect();
    let on_stores: Vec<_> = uris.iter().copied().filter(|uri| uri.starts_with("s3:")).collect();
    let entries = plan.storage.iter().enumerate().filter(|_| !on_stores.is_empty());
    let bucket_of = |uri: &str| uri.split('/').take(3).collect::<Vec<_>>().join("/");
    let unused = entries.filter(|(_, entry)| !uris.iter().any(|uri| uri::is_within(uri, &entry.uri_prefix)));
    let said = unused.map(|(i, entry)| {
        let prefix = entry.uri_prefix.as_str();
        let mut buckets: Vec<_> = on_stores.iter().map(|uri| bucket_of(uri)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let meant = nearest(&bucket_of(prefix), buckets.iter().map(String::as_str));
        let right = match meant {
            Some(bucket) => format!("did you mean {}?", quoted(format_args!("{bucket}/"))),
            None => {
                let buckets: Vec<_> = buckets.iter().take(NAMED_MAX).map(|b| quoted(format_args!("{b}/"))).collect();
                format!("write {}, or leave the entry out", one_of(&buckets))
            }
        };
        format!(
            "spec.storage[{i}].uriPrefix: no URI of the document lies in {}, so the entry is used for nothing, and other \
             settings are for the document's URIs: {right}",
            quoted(format_args!("{prefix}/"))
        )
    });
    said.collect::<Vec<_>>().into_iter()
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
