//! The places that a document on a cluster writes to: its checkpoint and its tables, each with its store, so that
//! places of different pipelines can be compared. Places that can't be parsed are skipped: validation reports them.

use serde_json::Value;

use crate::document::{FOLDER_ON_A_CLUSTER, SINK_FOLDERS, StreamPipeline};
use crate::finding::{Finding, Path};
use crate::lower::uri;

/// A folder that a pipeline writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path of the field, such as `spec.sinks[0].delta.uri`.
    pub path: String,
    /// The place's URI in its normal spelling.
    pub uri: String,
    /// `host:port` of the S3 server as any namespace of the cluster would write it; `None` for Amazon's own.
    pub store: Option<String>,
    pub kind: PlaceKind,
    /// Whether several pipelines may write there.
    pub is_shared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    Checkpoint,
    Table,
}

/// How two places overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    Same,
    /// The first place lies in the second one.
    Inside,
    /// The second place lies in the first one.
    Around,
}

impl Place {
    /// How the places overlap; `None` if neither lies in the other, or if they are in different stores.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        if self.store != other.store || !uri::overlap(&self.uri, &other.uri) {
            return None;
        }
        Some(match self.uri.len().cmp(&other.uri.len()) {
            std::cmp::Ordering::Equal => Overlap::Same,
            std::cmp::Ordering::Greater => Overlap::Inside,
            std::cmp::Ordering::Less => Overlap::Around,
        })
    }
}

/// The environment variables from which a runtime takes the endpoint if no entry of `storage` names one. The first that
/// is set wins.
const ENDPOINT_VARIABLES: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// The places of a document in this namespace. Folders of the machine are left out: they belong to one pod.
#[must_use]
pub fn places(spec: &Value, namespace: &str) -> Vec<Place> {
    let place = |path: Path, text: Option<&str>, kind, is_shared| {
        let uri = uri::parse(text?).ok().filter(|uri| uri.starts_with("s3:"))?;
        let store = endpoint(spec, &uri).and_then(|endpoint| store(&endpoint, namespace));
        Some(Place { path: path.to_string(), uri, store, kind, is_shared })
    };
    let at = Path::root().field("spec");
    let checkpoint = place(
        at.field("checkpoint").field("uri"),
        spec.pointer("/checkpoint/uri").and_then(Value::as_str),
        PlaceKind::Checkpoint,
        false,
    );
    let sinks = spec.get("sinks").and_then(Value::as_array).into_iter().flatten().enumerate();
    let tables = sinks.flat_map(|(i, sink)| {
        let at = at.field("sinks").index(i);
        SINK_FOLDERS
            .iter()
            .map(move |folder| place(folder.path(&at), folder.in_raw(sink), PlaceKind::Table, folder.is_shared))
    });
    std::iter::once(checkpoint).chain(tables).flatten().collect()
}

fn endpoint(spec: &Value, uri: &str) -> Option<String> {
    let entries = spec.get("storage").and_then(Value::as_array).into_iter().flatten();
    let prefixes =
        entries.filter_map(|entry| Some((uri::parse_prefix(entry.get("uriPrefix")?.as_str()?).ok()?, entry)));
    let entry = prefixes.filter(|(prefix, _)| uri::is_within(uri, prefix)).max_by_key(|(prefix, _)| prefix.len());
    let named = entry.and_then(|(_, entry)| entry.pointer("/s3/endpoint")?.as_str().map(str::to_owned));
    named.or_else(|| {
        let variables = spec.pointer("/podTemplate/env").and_then(Value::as_array)?;
        let value = |name: &str| variables.iter().find(|v| v["name"] == name)?["value"].as_str().map(str::to_owned);
        ENDPOINT_VARIABLES.iter().find_map(|name| value(name))
    })
}

/// The store as `host:port`; `None` for Amazon's own. A name without dots is a Service in the pipeline's namespace, and
/// the endings `.svc` and `.cluster.local` are optional.
fn store(endpoint: &str, namespace: &str) -> Option<String> {
    let lower = endpoint.trim_end_matches('/').to_lowercase();
    let (authority, default_port) = match (lower.strip_prefix("https://"), lower.strip_prefix("http://")) {
        (Some(authority), _) => (authority, "443"),
        (None, Some(authority)) => (authority, "80"),
        (None, None) => (lower.as_str(), "443"),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority, default_port),
    };
    let host = host.trim_end_matches('.');
    let host = host.strip_suffix(".cluster.local").unwrap_or(host);
    let host = host.strip_suffix(".svc").unwrap_or(host);
    if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") {
        return None;
    }
    Some(if host.contains(['.', ':']) { format!("{host}:{port}") } else { format!("{host}.{namespace}:{port}") })
}

/// Findings for folders of the machine, which work on a laptop and not on a cluster.
#[must_use]
pub fn folders(document: &StreamPipeline) -> Vec<Finding> {
    let at = Path::root().field("spec");
    let checkpoint = (at.field("checkpoint").field("uri"), document.spec.checkpoint.uri.as_str());
    let sinks = document.spec.sinks.iter().enumerate();
    let of_sinks = sinks.flat_map(|(i, sink)| {
        let at = at.field("sinks").index(i);
        sink.folders().map(move |(folder, uri)| (folder.path(&at), uri))
    });
    let folders = std::iter::once(checkpoint).chain(of_sinks).filter(|(_, uri)| uri.starts_with("file:"));
    folders.map(|(path, uri)| Finding::new(&path, format!("found `{uri}`: {FOLDER_ON_A_CLUSTER}"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn only(uri: &str, storage: Value, namespace: &str) -> Place {
        places(&json!({"checkpoint": {"uri": uri}, "storage": storage}), namespace).pop().unwrap()
    }

    fn at(endpoint: &str, namespace: &str) -> Place {
        only("s3://lake/a", json!([{"uriPrefix": "s3://lake/", "s3": {"endpoint": endpoint}}]), namespace)
    }

    #[test]
    fn places_overlap_by_whole_segments_of_the_same_store() {
        let place = |uri| only(uri, json!([]), "data");
        assert_eq!(place("s3://lake/a/").overlap(&place("s3://lake/a")), Some(Overlap::Same));
        assert_eq!(place("s3://lake/a/b").overlap(&place("s3://lake/a")), Some(Overlap::Inside));
        assert_eq!(place("s3://lake/a").overlap(&place("s3://lake/a/b")), Some(Overlap::Around));
        assert_eq!(place("s3://lake/a").overlap(&place("s3://lake/ab")), None);
    }

    #[test]
    fn a_name_without_dots_is_a_service_of_the_pipelines_own_namespace() {
        assert_eq!(at("http://minio:9000", "dev").overlap(&at("http://minio:9000", "staging")), None);
        for same in ["http://minio.dev:9000/", "http://minio.dev.svc:9000", "http://MINIO.dev.svc.cluster.local:9000"] {
            assert_eq!(at("http://minio:9000", "dev").overlap(&at(same, "staging")), Some(Overlap::Same), "{same}");
        }
        assert_eq!(
            at("https://s3.example.com", "a").overlap(&at("https://s3.example.com:443", "b")),
            Some(Overlap::Same)
        );
    }

    #[test]
    fn amazons_endpoints_are_one_store_and_the_longest_prefix_or_the_environment_names_another() {
        assert_eq!(at("https://s3.eu-west-3.amazonaws.com", "dev").store, None);
        let two = json!([
            {"uriPrefix": "s3://lake", "s3": {"endpoint": "http://one.example:9000"}},
            {"uriPrefix": "s3://lake/a", "s3": {"endpoint": "http://two.example:9000"}},
        ]);
        assert_eq!(only("s3://lake/a/b", two.clone(), "dev").store.as_deref(), Some("two.example:9000"));
        assert_eq!(only("s3://lake/ab", two, "dev").store.as_deref(), Some("one.example:9000"));
        let env = json!([{"name": "AWS_ENDPOINT_URL", "value": "http://three.example:9000"}]);
        let spec = json!({"checkpoint": {"uri": "s3://lake/a"}, "podTemplate": {"env": env}});
        assert_eq!(places(&spec, "dev")[0].store.as_deref(), Some("three.example:9000"));
    }

    #[test]
    fn folders_and_what_is_no_uri_are_no_places() {
        let spec = json!({"checkpoint": {"uri": "file:///tmp/a"}, "sinks": [{"delta": {"uri": "?"}}, {"kafka": {}}, {"delta": {"uri": "s3://lake/b"}}]});
        let paths: Vec<_> = places(&spec, "dev").into_iter().map(|place| place.path).collect();
        assert_eq!(paths, ["spec.sinks[2].delta.uri"]);
    }
}
