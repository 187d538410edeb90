//! The objects of a checkpoint that say who owns it and what was decided.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::Value;
use weir_base::failure::{Failure, Remedy};
use weir_base::random::Random;
use weir_base::retry::RetryPolicy;
use weir_checkpoint::home::Home;
use weir_checkpoint::layout;
use weir_checkpoint::manifest::Manifest;
use weir_checkpoint::removal::{Removed, remove};
use weir_checkpoint::store::Store;
use weir_plan::ids::Epoch;

const PIPELINE: &str = "rides-revenue";
const LINEAGE: &str = "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491";
const IDENTITY: &str = "identity.json";
/// The identity of this pipeline and lineage.
const OURS: &[u8] = include_bytes!("../../runtime/fixtures/identity-v1.json");
/// Nothing is away here, so nothing is tried twice.
const ONCE: RetryPolicy = RetryPolicy { first: Duration::ZERO, max: Duration::ZERO, give_up_after: Duration::ZERO };

/// A manifest is read, and written as it was read; or it is refused with a sentence. A checkpoint that has it can be
/// claimed and removed, or is left alone.
pub fn manifest(input: &[u8]) {
    judge_manifest(input);
    if let Some(repaired) = with_right_checksum(input) {
        judge_manifest(&repaired);
    }
}

/// An identity is read or refused with a sentence.
pub fn identity(input: &[u8]) {
    let removed = removed_with(&[(IDENTITY.to_owned(), input)]);
    check(removed, input);
}

fn judge_manifest(bytes: &[u8]) {
    let epoch = epoch_of(bytes);
    match Manifest::decode(epoch, LINEAGE, bytes) {
        Ok(manifest) => {
            let _ = manifest.head();
            // What was read from version 1 is written as version 2.
            let manifest = Manifest { format: "weir.manifest/v2".to_owned(), ..manifest };
            match manifest.encode().and_then(|written| Manifest::decode(epoch, LINEAGE, &written)) {
                Ok(again) => assert!(again == manifest || has_fraction(bytes), "{again:?}\n{manifest:?}"),
                Err(refused) => panic!("written and refused: {refused}"),
            }
        }
        Err(refused) => check_failure(&refused, bytes),
    }
    let objects = [(IDENTITY.to_owned(), OURS), (layout::manifest(epoch), bytes)];
    check(removed_with(&objects), bytes);
}

/// Whether a number has a fraction or an exponent. No field of ours has one, and serde_json reads such numbers in free
/// parts of a manifest to within a last digit.
fn has_fraction(manifest: &[u8]) -> bool {
    fn is_in(value: &Value) -> bool {
        match value {
            Value::Number(number) => number.is_f64(),
            Value::Array(values) => values.iter().any(is_in),
            Value::Object(fields) => fields.values().any(is_in),
            _ => false,
        }
    }
    serde_json::from_slice(manifest).is_ok_and(|value| is_in(&value))
}

fn removed_with(objects: &[(String, &[u8])]) -> Result<Removed, Failure> {
    super::finished(async {
        let store = Store::new(Arc::new(InMemory::new()), Path::from("c"), "memory:///c", Duration::from_secs(5));
        for (path, bytes) in objects {
            store.create(path, Bytes::copy_from_slice(bytes)).await?;
        }
        let home = Home::Cluster { namespace: Some("data".to_owned()) };
        remove(&store, PIPELINE, &home, ONCE, &Random::from_seed([7; 32])).await
    })
}

fn check(removed: Result<Removed, Failure>, input: &[u8]) {
    match removed {
        Ok(removed) => assert!(removed.identity, "{removed:?}"),
        Err(refused) => check_failure(&refused, input),
    }
}

fn check_failure(refused: &Failure, input: &[u8]) {
    assert_ne!(refused.remedy, Remedy::Bug, "{refused}");
    super::check_message(&refused.message, input);
}

/// The epoch under which the manifest would be stored.
fn epoch_of(bytes: &[u8]) -> Epoch {
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    Epoch(value.and_then(|value| value["epoch"].as_u64()).unwrap_or(42))
}

/// The manifest with the checksum that its bytes have, if it has one.
fn with_right_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    const CHECKSUM: &[u8] = b",\"crc32\":";
    let end = bytes.windows(CHECKSUM.len()).rposition(|window| window == CHECKSUM)?;
    let crc32 = crc32fast::hash(&bytes[..end]);
    Some([&bytes[..end], CHECKSUM, format!("{crc32}}}").as_bytes()].concat())
}
