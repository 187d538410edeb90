//! A log that ends before the end offset of an AvailableNow run, because an unclean election truncated it. A single
//! broker can't do that, so the tests raise the end offset in the checkpoint.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, OK, Start};
use weir_tests::oracle::{self, Pipeline};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

/// A rig whose run was killed before its end. It read two partitions, and the first seems to have had 500 records more
/// when the run began.
fn cut(kafka: &kafka::Kafka) -> Rig {
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::new(3_000) }.records());
    assert!(rig.start().fail_at("manifest.create.after", 2).run(RUN_LIMIT).aborted());
    let mut manifests: Vec<PathBuf> =
        fs::read_dir(rig.checkpoint_folder().join("epochs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    manifests.sort();
    let newest = manifests.last().unwrap();
    let mut manifest: Json = serde_json::from_slice(&fs::read(newest).unwrap()).unwrap();
    assert_eq!(manifest["until"]["reached"], false, "the run was killed too late");
    let end = &mut manifest["until"]["ends"][0]["end"];
    *end = json!(end.as_i64().unwrap() + 500);
    fs::write(newest, oracle::manifest::sealed(manifest)).unwrap();
    rig
}

fn with_lost_offsets(rig: &Rig, policy: &str) -> Start {
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["sources"][0]["kafka"]["onLostOffsets"] = json!(policy);
    Start { document: document.into(), ..rig.start() }
}

#[test]
fn a_run_whose_end_was_cut_off_the_log_ends_where_the_log_does_or_says_why_not() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = cut(kafka);
    let refused = with_lost_offsets(&rig, "Fail").run(RUN_LIMIT);
    refused.expect(CONFIG);
    assert!(refused.stderr.contains("-0: this run was to end at offset"), "{}", refused.stderr);
    let ended = with_lost_offsets(&rig, "Earliest").run(RUN_LIMIT);
    ended.expect(OK);
    assert!(
        ended.stderr.contains("Kafka's log ends before the end that this run took at its start"),
        "{}",
        ended.stderr
    );
    let outcome = rig.assert_right();
    assert_eq!(outcome.read, 3_000, "{outcome:?}");
}
