#![allow(clippy::unwrap_used)]
use weir_base::failure::Remedy;

use super::*;
use crate::manifest::*;
use serde_json::json;
use weir_plan::compat::Fingerprint;

const FIXTURE: &[u8] = include_bytes!("../../../fixtures/manifest-v2.json");
const DATA: &[u8] = include_bytes!("../../../fixtures/manifest-v2-data.json");
const V1: &[u8] = include_bytes!("../../../fixtures/manifest-v1.json");
const V1_DATA: &[u8] = include_bytes!("../../../fixtures/manifest-v1-data.json");
const LINEAGE: &str = "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491";

/// A claim, so that every optional field is there. It also has committables, which a claim never has, so that every
/// payload is there.
fn everything() -> Manifest {
    Manifest {
        format: MANIFEST_V2.into(),
        needs: vec![],
        lineage: LINEAGE.into(),
        epoch: Epoch(42),
        kind: Kind::Claim,
        writer: Writer {
            generation: Generation(3),
            nonce: "b7c2".into(),
            namespace: Some("data".into()),
            version: Some("0.1.0".into()),
        },
        clock_us: 1_700_000_000_000_000,
        fingerprint: json!({"sinks": [], "sources": [{"name": "rides", "topics": ["rides"]}], "steps": [{
            "calls": [], "keys": ["city string"], "name": "revenue", "operator": "Aggregate",
            "window": {"sizeUs": 100_000_000, "type": "Tumbling"},
        }]}),
        in_doubt: Some(Epoch(41)),
        sources: vec![SourceProgress {
            name: "rides".into(),
            topic_ids: [("rides".into(), "hMB4FbKMQ4GVDvLXUoQaCA".into())].into(),
            topics_gone: vec!["rides-old".into()],
            watermark_before_us: None,
            watermark_after_us: Some(1_699_999_400_000_000),
            processing_time_us: None,
            moved_by: Some(MovedBy::Clock),
            held_by: Some(HeldBy::Discovery),
            partitions: vec![PartitionProgress {
                topic: "rides".into(),
                partition: 0,
                start: 1000,
                end: 2000,
                lost: vec![OffsetRange { start: 1000, end: 1050 }],
                unreadable: vec![OffsetRange { start: 1200, end: 1300 }],
                watermark_us: Some(1_699_999_400_000_000),
                idle: false,
                leader_epoch: Some(7),
            }],
            counts: SourceCounts {
                read: 1000,
                decoded: 994,
                tombstones: 3,
                dropped: 1,
                rejected: 2,
                filtered: 4,
                bytes: 115_000,
            },
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
                tables: vec![TableInFile {
                    step: "revenue".into(),
                    table: "windows".into(),
                    max_time_us: Some(1_700_000_099_999_999),
                }],
            }],
            compacting: Some(Epoch(40)),
            steps: vec![StepProgress {
                name: "revenue".into(),
                inputs: vec![InputProgress {
                    watermark_before_us: None,
                    watermark_after_us: Some(1_699_999_400_000_000),
                    rows_in: 999,
                    rows_late: 2,
                }],
                rows_out: 7,
                tables: vec![TableProgress {
                    name: "windows".into(),
                    entries: 12,
                    horizon_us: Some(1_699_999_400_000_000),
                }],
                open_windows: Some(3),
            }],
            rows_bad: [("revenue".into(), 1)].into(),
        }],
        committables: vec![Committable {
            sink: "silver".into(),
            rows: 7,
            payload: Payload {
                kind: "DeltaAppend".into(),
                body: [("adds".into(), json!([{"path": "date=2023-11-14/part-0.parquet", "size": 2048}]))]
                    .into_iter()
                    .collect(),
            },
        }],
        sinks: vec![PinnedSink {
            name: "silver".into(),
            kind: "Delta".into(),
            place: "s3://lake/silver/rides_agg".into(),
            id: "0a5f0f0e-3a5c-4a53-9d1a-9a6f2b1c7d11".into(),
        }],
        acknowledged: vec![AcknowledgedEpoch {
            sink: "silver".into(),
            id: "0a5f0f0e-3a5c-4a53-9d1a-9a6f2b1c7d11".into(),
            epoch: Epoch(39),
            mark: 1_234_567_890,
        }],
        acknowledged_before: vec![AcknowledgedBefore {
            begun: Generation(2),
            acknowledged: AcknowledgedEpoch {
                sink: "rejected".into(),
                id: "5d0c3f5e-8f0b-4c6e-9b43-1f3c7f0d2a64".into(),
                epoch: Epoch(17),
                mark: 987_654_321,
            },
        }],
        until: Some(Until {
            ends: vec![UntilPartition { source: "rides".into(), topic: "rides".into(), partition: 0, end: 5000 }],
            reached: false,
            run: Some("run-7".into()),
        }),
        state_action: Some(ActedUpon { token: "back-1".into(), restored: Some(Epoch(30)) }),
        tokens_done: vec![token_digest("back-0"), token_digest("back-1")],
        totals: Totals {
            epochs: 37,
            sources: [(
                "rides".into(),
                SourceTotals {
                    counts: SourceCounts {
                        read: 41_000,
                        decoded: 40_980,
                        tombstones: 3,
                        dropped: 1,
                        rejected: 16,
                        filtered: 120,
                        bytes: 4_715_000,
                    },
                    lost: 50,
                    unreadable: 100,
                },
            )]
            .into(),
            steps: [("revenue".into(), StepTotals { rows_in: 40_863, rows_late: 30, rows_out: 280 })].into(),
            sinks: [("silver".into(), 280)].into(),
            rows_bad: [("revenue".into(), 1)].into(),
        },
    }
}

#[test]
fn the_v2_fixture_is_read_and_written_byte_for_byte() {
    let written = everything().encode().unwrap();
    if std::env::var_os("WEIR_WRITE_FIXTURES").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/manifest-v2.json"), &written).unwrap();
    }
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(FIXTURE));
    assert_eq!(Manifest::decode(Epoch(42), LINEAGE, FIXTURE).unwrap(), everything());
}

/// The fixture is older than this field.
#[test]
fn the_time_of_rows_that_take_it_from_the_clock_is_written_and_read() {
    let mut manifest = everything();
    manifest.sources[0].processing_time_us = Some(1_699_999_300_000_000);
    let written = manifest.encode().unwrap();
    let text = String::from_utf8_lossy(&written);
    assert!(text.contains(r#""watermarkAfterUs":1699999400000000,"processingTimeUs":1699999300000000,"#), "{text}");
    assert_eq!(Manifest::decode(Epoch(42), LINEAGE, &written).unwrap(), manifest);
}

/// The bytes must name the sinks and what these are to commit; the test does not rely on the structs that are written
/// here.
#[test]
fn the_v2_fixture_of_a_data_epoch_with_two_sinks_is_read_and_written_byte_for_byte() {
    let read = Manifest::decode(Epoch(43), LINEAGE, DATA).unwrap();
    assert_eq!(String::from_utf8_lossy(&read.encode().unwrap()), String::from_utf8_lossy(DATA));

    let fingerprint: Fingerprint = serde_json::from_value(read.fingerprint.clone()).unwrap();
    let names = fingerprint.sinks.iter().map(|sink| (sink.name.as_str(), sink.uri.as_str()));
    assert_eq!(
        names.collect::<Vec<_>>(),
        [("silver", "s3://lake/silver/rides_agg"), ("rejected", "s3://lake/rejected/rides")]
    );
    assert_eq!(serde_json::to_value(fingerprint).unwrap().to_string(), read.fingerprint.to_string());
    let given: Vec<_> = read.committables.iter().map(|of| (of.sink.as_str(), of.rows)).collect();
    assert_eq!((read.kind, given), (Kind::Data, vec![("silver", 7), ("rejected", 2)]));
    let files: Vec<_> = read.tasks[0].state.iter().map(|file| (file.rows, file.bytes)).collect();
    assert_eq!(files, [(12, 4096), (5, 1536)]);
}

/// The manifest of version 1 as this version reads it: in this version's terms, and without what version 1 did not say.
fn everything_of_v1() -> Manifest {
    let mut manifest = everything();
    manifest.format = MANIFEST_V1.into();
    manifest.writer.version = None;
    for step in manifest.tasks.iter_mut().flat_map(|task| &mut task.steps) {
        step.inputs[0].watermark_before_us = step.inputs[0].watermark_after_us;
    }
    manifest.fingerprint["steps"] = json!([]);
    manifest.tasks[0].state[0].tables.clear();
    manifest
}

#[test]
fn the_v1_fixture_is_read_in_the_words_of_this_version() {
    assert_eq!(Manifest::decode(Epoch(42), LINEAGE, V1).unwrap(), everything_of_v1());
}

/// Both of its files may have rows of the one step that has state.
#[test]
fn the_v1_fixture_of_a_data_epoch_comes_to_the_one_of_v2() {
    let mut v1 = Manifest::decode(Epoch(43), LINEAGE, V1_DATA).unwrap();
    let v2 = Manifest::decode(Epoch(43), LINEAGE, DATA).unwrap();
    assert_eq!((v1.format.as_str(), &v1.writer.version), (MANIFEST_V1, &None));
    (v1.format, v1.writer.version) = (v2.format.clone(), v2.writer.version.clone());
    for (read, written) in v1.tasks[0].steps.iter_mut().zip(&v2.tasks[0].steps) {
        assert_eq!(read.inputs[0].watermark_before_us, read.inputs[0].watermark_after_us, "it is not known");
        read.inputs[0].watermark_before_us = written.inputs[0].watermark_before_us;
    }
    assert_eq!(v1, v2);
}

#[test]
fn the_first_v1_manifests_which_had_fewer_fields_are_read() {
    let first = include_bytes!("../../../fixtures/manifest-v1-first.json");
    let mut expected = everything_of_v1();
    expected.writer.namespace = None;
    expected.tokens_done.clear();
    expected.acknowledged.clear();
    expected.acknowledged_before.clear();
    expected.totals.rows_bad.clear();
    for totals in expected.totals.sources.values_mut() {
        totals.counts.tombstones = 0;
        totals.unreadable = 0;
    }
    for source in &mut expected.sources {
        source.held_by = None;
        source.counts.tombstones = 0;
        for partition in &mut source.partitions {
            partition.leader_epoch = None;
            partition.unreadable.clear();
        }
    }
    for task in &mut expected.tasks {
        task.compacting = None;
        task.rows_bad.clear();
    }
    assert_eq!(Manifest::decode(Epoch(42), LINEAGE, first).unwrap(), expected);
}

#[test]
fn a_manifest_with_a_flipped_bit_or_a_torn_end_is_never_taken_for_another_one() {
    for at in 0..FIXTURE.len() {
        let mut flipped = FIXTURE.to_vec();
        flipped[at] ^= 1 << (at % 8);
        // A flip in the name of the checksum field leaves the rest unchanged.
        if let Ok(read) = Manifest::decode(Epoch(42), LINEAGE, &flipped) {
            assert_eq!(read, everything(), "byte {at}");
            assert!(at > FIXTURE.len() - 25, "byte {at}");
        }
        assert!(Manifest::decode(Epoch(42), LINEAGE, &FIXTURE[..at]).is_err(), "{at} bytes");
    }
    let mut flipped = FIXTURE.to_vec();
    flipped[at_of("1000")] = b'2';
    let refused = Manifest::decode(Epoch(42), LINEAGE, &flipped).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(
        refused
            .message
            .starts_with("epochs/00000000000000000042.json is damaged, or was changed by hand: its checksum is"),
        "{refused}"
    );
}

fn at_of(text: &str) -> usize {
    FIXTURE.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

#[test]
fn the_examples_of_the_format_pages_are_the_fixtures() {
    for (page, fixture) in [
        (include_str!("../../../../docs/formats/manifest-v2.md"), FIXTURE),
        (include_str!("../../../../docs/formats/manifest-v1.md"), V1),
        (
            include_str!("../../../../docs/formats/identity-v1.md"),
            include_bytes!("../../../fixtures/identity-v1.json").as_slice(),
        ),
    ] {
        let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
        let shown: serde_json::Value = serde_json::from_str(example).unwrap();
        assert_eq!(shown, serde_json::from_slice::<serde_json::Value>(fixture).unwrap());
    }
}

#[test]
fn a_later_format_is_refused_before_its_other_fields_are_read_and_its_writer_is_named() {
    let later = br#"{"format": "weir.manifest/v3", "epoch": "forty-two", "writer": {"version": "9.3.0"}}"#;
    let refused = Manifest::decode(Epoch(42), LINEAGE, later).unwrap_err();
    let says = format!(
        "epochs/00000000000000000042.json has format weir.manifest/v3, and this is Weir {VERSION}, which reads \
         weir.manifest/v1 and \
         weir.manifest/v2; run the version that wrote it"
    );
    assert_eq!((refused.remedy, refused.message), (Remedy::Config, format!("{says}, 9.3.0, or a later one")));
    let nameless = br#"{"format": "weir.manifest/v3"}"#;
    assert_eq!(Manifest::decode(Epoch(42), LINEAGE, nameless).unwrap_err().message, says);
}

#[test]
fn what_must_not_be_passed_over_is_refused_with_the_version_that_knows_it() {
    let mut newer: serde_json::Value = serde_json::from_slice(FIXTURE).unwrap();
    newer["needs"] = json!([{"name": "lookupTables", "since": "0.4.0"}, {"name": "parkedSinks", "since": "0.3.0"}]);
    newer["kind"] = json!("Parking");
    newer["writer"]["version"] = json!("0.5.0");
    newer.as_object_mut().unwrap().remove("crc32");
    let refused = Manifest::decode(Epoch(42), LINEAGE, newer.to_string().as_bytes()).unwrap_err();
    let says = format!(
        "epochs/00000000000000000042.json has what this version of Weir, {VERSION}, does not know: `lookupTables` \
         (Weir 0.4.0), \
         `parkedSinks` (Weir 0.3.0); run the version that wrote it, 0.5.0, or a later one"
    );
    assert_eq!((refused.remedy, refused.message), (Remedy::Config, says));
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
    value.as_object_mut().unwrap().remove("crc32");
    let bytes = serde_json::to_vec(&value).unwrap();
    assert_eq!(Manifest::decode(Epoch(42), LINEAGE, &bytes).unwrap(), everything());
}

#[test]
fn a_manifest_that_someone_made_up_is_refused_with_a_sentence() {
    let text = String::from_utf8(DATA.to_vec()).unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let place = "\"fingerprint\":{";
    assert!(text.contains(place));
    for (name, text) in [
        ("deep and skipped", text.replacen(place, &format!("\"x\":{deep},{place}"), 1)),
        ("deep and kept", text.replacen(place, &format!("{place}\"x\":{deep},"), 1)),
        ("deep from the start", deep),
        ("huge", text.replacen("\"epoch\":", "\"clockUs\":1e999999,\"epoch\":", 1)),
        ("digits", text.replacen("\"epoch\":", &format!("\"epoch\":{}", "9".repeat(1_000_000)), 1)),
        ("long", text.replacen("\"format\":\"", &format!("\"format\":\"{}", "x".repeat(10_000)), 1)),
    ] {
        let refused = Manifest::decode(Epoch(41), LINEAGE, text.as_bytes()).unwrap_err();
        assert_eq!(refused.remedy, Remedy::Config, "{name}: {refused}");
        assert!(refused.message.len() < 11_000, "{name}: {} bytes", refused.message.len());
    }
}
