//! `identity.json`: whose checkpoint this is. It is created once and never changed; `docs/formats/identity-v1.md`
//! describes it field by field.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_base::failure::{Failure, Result};
use weir_plan::ids::Generation;
use weir_plan::key_group::{KEY_GROUPS, KEY_HASH};

use super::codec;
use super::layout::IDENTITY;

/// The `format` of this version.
pub const IDENTITY_V1: &str = "weir.identity/v1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub format: String,
    /// A random name for the history of this checkpoint, which the tables that it writes also hold (`txn`).
    pub lineage: String,
    /// `metadata.name` of the pipeline.
    pub pipeline: String,
    /// The number of key groups that keyed state is divided into, for ever.
    pub key_groups: u16,
    /// The hash that assigns keys to groups, for ever.
    pub key_hash: String,
}

impl Identity {
    #[must_use]
    pub fn new(lineage: String, pipeline: String) -> Self {
        Self { format: IDENTITY_V1.into(), lineage, pipeline, key_groups: KEY_GROUPS, key_hash: KEY_HASH.into() }
    }

    /// # Errors
    /// `Bug`, if it can't be written as JSON.
    pub fn encode(&self) -> Result<Bytes> {
        codec::encode(self)
    }

    /// # Errors
    /// `Config`, if this is not an identity or one of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        codec::decode(IDENTITY, IDENTITY_V1, bytes)
    }

    /// The lineage that a claim of this generation begins when it discards or restores state.
    #[must_use]
    pub fn lineage_from(&self, generation: Generation) -> String {
        format!("{}.{generation}", self.lineage)
    }

    /// The generation whose claim began a lineage of this checkpoint; `None` for a lineage of another checkpoint.
    #[must_use]
    pub fn begun(&self, lineage: &str) -> Option<Generation> {
        match lineage.strip_prefix(&self.lineage)? {
            "" => Some(Generation(1)),
            rest => rest.strip_prefix('.')?.parse().ok().map(Generation),
        }
    }

    /// Checks that `pipeline` may go on with this checkpoint; `place` is the checkpoint's URI for the message.
    ///
    /// # Errors
    /// `Config`, with both pipelines or both settings.
    pub fn check(&self, pipeline: &str, place: &str) -> Result<()> {
        if self.pipeline != pipeline {
            return Err(Failure::config(format!(
                "the checkpoint at {place} belongs to pipeline {}, and this is {pipeline}; every pipeline needs a \
                 checkpoint of its own",
                self.pipeline
            )));
        }
        if self.key_groups != KEY_GROUPS || self.key_hash != KEY_HASH {
            return Err(Failure::config(format!(
                "the checkpoint at {place} has {} key groups by {}, and this version of Weir works with \
                 {KEY_GROUPS} by {KEY_HASH}; run the version that wrote it",
                self.key_groups, self.key_hash
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weir_base::failure::Remedy;

    use super::*;

    const FIXTURE: &[u8] = include_bytes!("../../fixtures/identity-v1.json");

    fn rides() -> Identity {
        Identity::new("6f1f0d0c9e5b4a6f8f7c0a51d3e2b491".into(), "rides-revenue".into())
    }

    #[test]
    fn the_v1_fixture_is_read_and_written_byte_for_byte() {
        assert_eq!(Identity::decode(FIXTURE).unwrap(), rides());
        assert_eq!(rides().encode().unwrap(), FIXTURE);
    }

    #[test]
    fn another_pipeline_is_refused_with_both_names() {
        let refused = rides().check("orders", "s3://lake/checkpoints/rides").unwrap_err();
        assert_eq!(refused.remedy, Remedy::Config);
        assert!(refused.message.contains("rides-revenue") && refused.message.contains("orders"), "{refused}");
        assert_eq!(rides().check("rides-revenue", "s3://lake/checkpoints/rides"), Ok(()));
    }

    #[test]
    fn another_cut_of_keys_is_refused() {
        let other = Identity { key_groups: 64, ..rides() };
        assert!(other.check("rides-revenue", "file:///c").unwrap_err().message.contains("64 key groups"));
        let other = Identity { key_hash: "murmur3".into(), ..rides() };
        assert!(other.check("rides-revenue", "file:///c").unwrap_err().message.contains("murmur3"));
    }
}
