//! Between bytes and values: compact JSON, fields in the order of the structs. A `format` that this version doesn't know is refused before
//! anything else is looked at, because a later version may have given the other fields another meaning.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_plan::ids::Epoch;

use super::layout;
use super::manifest::{MANIFEST_V1, Manifest};
use super::protocol::Head;
use crate::failure::{Failure, Result};

impl Manifest {
    /// # Errors
    /// A bug, if it can't be written as JSON.
    pub fn encode(&self) -> Result<Bytes> {
        encode(self)
    }

    /// The manifest of `epoch`, as it was stored under that number. `lineage` is that of the identity; the ones that state actions began are
    /// named after it.
    ///
    /// # Errors
    /// `Config`: not a manifest, one of a later version, or one that was copied here from another place.
    pub fn decode(epoch: Epoch, lineage: &str, bytes: &[u8]) -> Result<Self> {
        let path = layout::manifest(epoch);
        let manifest: Self = decode(&path, MANIFEST_V1, bytes)?;
        if manifest.epoch != epoch || manifest.lineage.split('.').next() != Some(lineage) {
            return Err(Failure::config(format!(
                "{path} holds epoch {} of lineage {}, and epoch {epoch} of lineage {lineage} should be there; it was copied from elsewhere",
                manifest.epoch, manifest.lineage
            )));
        }
        Ok(manifest)
    }

    /// What the protocol needs to know of it.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            epoch: self.epoch,
            kind: self.kind,
            generation: self.writer.generation,
            nonce: self.writer.nonce.as_str().into(),
            in_doubt: self.in_doubt,
        }
    }
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|e| Failure::bug(format!("a checkpoint object can't be written as JSON: {e}")))
}

pub(super) fn decode<T: DeserializeOwned>(path: &str, expected: &str, bytes: &[u8]) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: String,
    }
    let broken = |e: serde_json::Error| Failure::config(format!("{path} is damaged or not ours: {e}; {expected} should be there"));
    let found: Format = serde_json::from_slice(bytes).map_err(broken)?;
    if found.format != expected {
        return Err(Failure::config(format!(
            "{path} has format {}, and this version of Weir reads {expected}; run the version that wrote it",
            found.format
        )));
    }
    serde_json::from_slice(bytes).map_err(broken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::checkpoint::manifest::*;
    use crate::checkpoint::totals::{SourceTotals, StepTotals, Totals};
    use crate::failure::Remedy;
    use serde_json::json;
    use weir_plan::ids::Generation;

    const FIXTURE: &[u8] = include_bytes!("../../fixtures/manifest-v1.json");
    const LINEAGE: &str = "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491";

    /// A claim, so that every optional field is there; with a committable all the same, so that every payload is.
    fn everything() -> Manifest {
        Manifest {
            format: MANIFEST_V1.into(),
            lineage: LINEAGE.into(),
            epoch: Epoch(42),
            kind: Kind::Claim,
            writer: Writer { generation: Generation(3), nonce: "b7c2".into() },
            clock_us: 1_700_000_000_000_000,
            fingerprint: json!({"sinks": [], "sources": [{"name": "rides", "topics": ["rides"]}], "steps": []}),
            in_doubt: Some(Epoch(41)),
            sources: vec![SourceProgress {
                name: "rides".into(),
                topic_ids: [("rides".into(), "hMB4FbKMQ4GVDvLXUoQaCA".into())].into(),
                topics_gone: vec!["rides-old".into()],
                watermark_before_us: None,
                watermark_after_us: Some(1_699_999_400_000_000),
                moved_by: Some(MovedBy::Clock),
                partitions: vec![PartitionProgress {
                    topic: "rides".into(),
                    partition: 0,
                    start: 1000,
                    end: 2000,
                    lost: vec![OffsetRange { start: 1000, end: 1050 }],
                    watermark_us: Some(1_699_999_400_000_000),
                    idle: false,
                }],
                counts: SourceCounts { read: 1000, decoded: 997, dropped: 1, rejected: 2, filtered: 4, bytes: 115_000 },
                bad_share: BadShare { read: 41_000, bad: 17 },
            }],
            tasks: vec![Task {
                id: 0,
                key_groups: (0, 128),
                state: vec![StateFile {
                    path: "state/0000000003-00000000000000000042-0-0.arrow".into(),
                    bytes: 4096,
                    rows: 12,
                    crc32: 3_735_928_559,
                    max_window_end_us: 1_700_000_100_000_000,
                }],
                steps: vec![StepProgress {
                    name: "revenue".into(),
                    watermark_after_us: Some(1_699_999_400_000_000),
                    rows_in: 999,
                    rows_late: 2,
                    rows_out: 7,
                    open_windows: 3,
                    groups: 12,
                }],
            }],
            committables: vec![Committable {
                sink: "silver".into(),
                rows: 7,
                payload: Payload::DeltaAppend { adds: vec![json!({"path": "date=2023-11-14/part-0.parquet", "size": 2048})] },
            }],
            tables: vec![PinnedTable {
                sink: "silver".into(),
                uri: "s3://lake/silver/rides_agg".into(),
                table_id: "0a5f0f0e-3a5c-4a53-9d1a-9a6f2b1c7d11".into(),
            }],
            until: Some(Until {
                ends: vec![UntilPartition { source: "rides".into(), topic: "rides".into(), partition: 0, end: 5000 }],
                reached: false,
                run: Some("run-7".into()),
            }),
            state_action: Some(ActedUpon { token: "back-1".into(), restored: Some(Epoch(30)) }),
            totals: Totals {
                epochs: 37,
                sources: [(
                    "rides".into(),
                    SourceTotals {
                        counts: SourceCounts { read: 41_000, decoded: 40_983, dropped: 1, rejected: 16, filtered: 120, bytes: 4_715_000 },
                        lost: 50,
                    },
                )]
                .into(),
                steps: [("revenue".into(), StepTotals { rows_in: 40_863, rows_late: 30, rows_out: 280 })].into(),
                sinks: [("silver".into(), 280)].into(),
            },
        }
    }

    #[test]
    fn the_v1_fixture_is_read_and_written_byte_for_byte() {
        let written = everything().encode().unwrap();
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(FIXTURE));
        assert_eq!(Manifest::decode(Epoch(42), LINEAGE, FIXTURE).unwrap(), everything());
    }

    #[test]
    fn the_examples_of_the_format_pages_are_the_fixtures() {
        for (page, fixture) in [
            (include_str!("../../../docs/formats/manifest-v1.md"), FIXTURE),
            (include_str!("../../../docs/formats/identity-v1.md"), include_bytes!("../../fixtures/identity-v1.json").as_slice()),
        ] {
            let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
            let shown: serde_json::Value = serde_json::from_str(example).unwrap();
            assert_eq!(shown, serde_json::from_slice::<serde_json::Value>(fixture).unwrap());
        }
    }

    #[test]
    fn a_later_format_is_refused_before_its_other_fields_are_read() {
        let later = br#"{"format": "weir.manifest/v2", "epoch": "forty-two"}"#;
        let refused = Manifest::decode(Epoch(42), LINEAGE, later).unwrap_err();
        assert_eq!(refused.remedy, Remedy::Config);
        assert_eq!(
            refused.message,
            "epochs/00000000000000000042.json has format weir.manifest/v2, and this version of Weir reads weir.manifest/v1; run the version that wrote it"
        );
    }

    #[test]
    fn a_damaged_manifest_or_one_from_elsewhere_is_refused() {
        for (epoch, lineage, bytes) in
            [(42, LINEAGE, &FIXTURE[..100]), (42, LINEAGE, b"".as_slice()), (41, LINEAGE, FIXTURE), (42, "other", FIXTURE)]
        {
            assert_eq!(Manifest::decode(Epoch(epoch), lineage, bytes).unwrap_err().remedy, Remedy::Config);
        }
    }

    #[test]
    fn a_lineage_that_a_state_action_began_belongs_here_and_a_longer_name_does_not() {
        let of = |lineage: String| Manifest { lineage, ..everything() }.encode().unwrap();
        assert!(Manifest::decode(Epoch(42), LINEAGE, &of(format!("{LINEAGE}.3"))).is_ok());
        assert!(Manifest::decode(Epoch(42), LINEAGE, &of(format!("{LINEAGE}3"))).is_err());
    }

    #[test]
    fn fields_of_the_same_format_that_we_dont_know_are_passed_over() {
        let mut value: serde_json::Value = serde_json::from_slice(FIXTURE).unwrap();
        value["note"] = json!("from a later build");
        let bytes = serde_json::to_vec(&value).unwrap();
        assert_eq!(Manifest::decode(Epoch(42), LINEAGE, &bytes).unwrap(), everything());
    }
}
