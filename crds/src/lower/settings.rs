//! All parts of the document outside of the graph and of the connections: trigger, checkpoint, storage, limits.

use weir_plan::plan;
use weir_plan::quote::quoted;

use super::check::NAMED_MAX;
use super::name::is_port;
use super::secret::secret_key;
use super::{name, operation, uri};
use crate::defaults;
use crate::document::{
    Checkpoint, Limits, Metadata, OnEnd, S3Encryption, S3EncryptionType, S3Storage, SecretKeyRef, Storage, Trigger,
    TriggerType, unions,
};
use crate::finding::{Findings, Path};

pub(super) fn pipeline(metadata: &Metadata, out: &mut Findings) -> String {
    let at = Path::root().field("metadata");
    out.checked(&at.field("name"), name::check_node(&metadata.name));
    match &metadata.namespace {
        Some(namespace) => {
            out.checked(&at.field("namespace"), name::check_namespace(namespace));
            format!("{namespace}/{}", metadata.name)
        }
        None => metadata.name.clone(),
    }
}

pub(super) fn on_end(trigger: Option<&Trigger>) -> plan::OnEnd {
    match trigger.and_then(|t| t.on_end).unwrap_or(defaults::ON_END) {
        OnEnd::KeepOpen => plan::OnEnd::KeepOpen,
        OnEnd::EmitAll => plan::OnEnd::EmitAll,
    }
}

pub(super) fn trigger(trigger: Option<&Trigger>, at: &Path, out: &mut Findings) -> Option<plan::Trigger> {
    let kind = trigger.map_or(defaults::TRIGGER, |t| t.kind);
    if let Some(t) = trigger {
        if !out.is_sound(&at.field("type")) {
            return None;
        }
        if t.interval.is_some() && kind != TriggerType::Interval {
            out.add(
                &at.field("interval"),
                format!(
                    "belongs to the type `Interval`, and the type is {}; leave one of them out",
                    quoted(format_args!("{kind:?}"))
                ),
            );
        }
        match t.on_end {
            Some(_) if kind != TriggerType::AvailableNow => {
                out.add(
                    &at.field("onEnd"),
                    format!(
                        "belongs to the type `AvailableNow`, and the type is {}; leave it out",
                        quoted(format_args!("{kind:?}"))
                    ),
                );
            }
            None | Some(OnEnd::KeepOpen | OnEnd::EmitAll) => {}
        }
        operation::runs(t, at, out);
    }
    match kind {
        TriggerType::AsSoonAsPossible => Some(plan::Trigger::AsSoonAsPossible),
        TriggerType::AvailableNow => Some(plan::Trigger::AvailableNow),
        TriggerType::Interval => match trigger.and_then(|t| t.interval.as_ref()) {
            Some(interval) => out.duration(&at.field("interval"), interval, "1ms", "24h").map(plan::Trigger::Interval),
            None => {
                out.add(&at.field("interval"), "is required for the type `Interval`: write a duration such as 5s");
                None
            }
        },
        TriggerType::Continuous => {
            out.not_yet_value(&at.field("type"), kind, &["AsSoonAsPossible", "Interval", "AvailableNow"]);
            None
        }
    }
}

pub(super) fn checkpoint(checkpoint: &Checkpoint, at: &Path, out: &mut Findings) -> Option<plan::Checkpoint> {
    let uri = out.checked(&at.field("uri"), uri::parse(&checkpoint.uri));
    // Recovery reads the newest manifest and the one before it, so at least two are kept.
    let keep = out.integer(&at.field("keep"), checkpoint.keep.unwrap_or(defaults::KEEP), 2..=10_000);
    let every = out.integer(
        &at.field("snapshotEvery"),
        checkpoint.snapshot_every.unwrap_or(defaults::SNAPSHOT_EVERY),
        1..=10_000,
    );
    Some(plan::Checkpoint { uri: uri?, keep: u32::try_from(keep?).ok()?, snapshot_every: u32::try_from(every?).ok()? })
}

pub(super) fn storage(storage: &[Storage], at: &Path, out: &mut Findings) -> Option<Vec<plan::Storage>> {
    out.length(at, storage.len(), 0..=NAMED_MAX);
    out.distinct(
        storage.iter().enumerate().map(|(i, s)| (at.index(i).field("uriPrefix"), &*s.uri_prefix)),
        "entries of storage",
    );
    let lowered: Vec<_> = storage
        .iter()
        .enumerate()
        .map(|(i, entry)| {
            let at = at.index(i);
            let uri_prefix = out.checked(&at.field("uriPrefix"), uri::parse_prefix(&entry.uri_prefix));
            out.exactly_one(&at, unions::STORES, &[entry.s3.is_some()]);
            let s3 = s3(entry.s3.as_ref()?, &at.field("s3"), out);
            Some(plan::Storage { uri_prefix: uri_prefix?, s3 })
        })
        .collect();
    for (i, entry) in lowered.iter().enumerate() {
        let same = lowered[..i].iter().position(|before| match (before, entry) {
            (Some(before), Some(entry)) => before.uri_prefix == entry.uri_prefix,
            _ => false,
        });
        // Equal texts are told above.
        if let Some(before) = same.filter(|before| storage[*before].uri_prefix != storage[i].uri_prefix) {
            let message = format!(
                "{} is the prefix of {} too, which is written {} there: write one entry for it",
                quoted(&storage[i].uri_prefix),
                at.index(before),
                quoted(&storage[before].uri_prefix)
            );
            out.add(&at.index(i).field("uriPrefix"), message);
        }
    }
    lowered.into_iter().collect()
}

fn s3(s3: &S3Storage, at: &Path, out: &mut Findings) -> plan::S3 {
    if let Some(endpoint) = &s3.endpoint {
        out.checked(&at.field("endpoint"), check_endpoint(endpoint));
    }
    if let Some(region) =
        s3.region.as_ref().filter(|r| r.is_empty() || r.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
    {
        out.add(&at.field("region"), format!("found {}: write a region such as eu-west-3", quoted(region)));
    }
    if let Some(secret) = &s3.credentials_secret_ref {
        out.checked(&at.field("credentialsSecretRef").field("name"), name::check_object(&secret.name));
    }
    plan::S3 {
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        force_path_style: s3.force_path_style.unwrap_or(defaults::FORCE_PATH_STYLE),
        credentials_secret: s3.credentials_secret_ref.as_ref().map(|r| r.name.clone()),
        encryption: s3.encryption.as_ref().and_then(|e| encryption(e, &at.field("encryption"), out)),
        ca: s3.ca_secret_ref.as_ref().map(|key| ca(key, s3.endpoint.as_deref(), &at.field("caSecretRef"), out)),
    }
}

fn encryption(encryption: &S3Encryption, at: &Path, out: &mut Findings) -> Option<plan::S3Encryption> {
    if !out.is_sound(&at.field("type")) {
        return None;
    }
    let at = at.field("keyId");
    let key_id = encryption.key_id.clone();
    // The id is the value of a header.
    if let Some(id) = key_id.as_ref().filter(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_graphic())) {
        out.add(&at, format!("found {}: write the key's id, alias or ARN, without spaces", quoted(id)));
    }
    match encryption.kind {
        S3EncryptionType::SseKms => Some(plan::S3Encryption::SseKms { key_id }),
        S3EncryptionType::SseS3 => {
            if key_id.is_some() {
                out.add(&at, "belongs to the type `SSEKMS`, and the type is `SSES3`; leave it out");
            }
            Some(plan::S3Encryption::SseS3)
        }
    }
}

fn ca(ca: &SecretKeyRef, endpoint: Option<&str>, at: &Path, out: &mut Findings) -> plan::SecretKey {
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        out.add(at, "a server without TLS shows no certificate; leave it out, or write https:// into the endpoint");
    }
    secret_key(ca, at, out)
}

fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let authority = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://")).unwrap_or_default();
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    // An IPv6 address contains colons and is in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/?#@".contains(c));
    if plain && port.is_none_or(is_port) {
        Ok(())
    } else {
        Err(format!(
            "found {}: write http:// or https://, a host and maybe a port, as in https://s3.data:9000",
            quoted(endpoint)
        ))
    }
}

pub(super) fn limits(limits: Option<&Limits>, at: &Path, out: &mut Findings) -> Option<plan::Limits> {
    let records = limits.and_then(|l| l.records_per_epoch).unwrap_or(defaults::RECORDS_PER_EPOCH);
    let records = out.integer(&at.field("recordsPerEpoch"), records, 1..=1_000_000_000);
    let bytes = limits.and_then(|l| l.bytes_per_epoch.as_ref());
    let bytes = out.bytes(&at.field("bytesPerEpoch"), bytes, defaults::BYTES_PER_EPOCH, "1Ki", "64Gi");
    Some(plan::Limits { records_per_epoch: u64::try_from(records?).ok()?, bytes_per_epoch: bytes? })
}
