//! What becomes of an epoch's part. It depends on the sink that the document has now, on what is at the place, and on
//! who decided the epoch.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Map, Value};
use weir_plan::ids::Epoch;
use weir_plan::plan;
use weir_testing::lake::{Lake, QUICK, rides};

use super::*;
use crate::Remedy;
use crate::checkpoint::manifest::ActedUpon;
use crate::engine::sinks::opening::Opening;
use crate::fixtures;
use crate::sink::Means;
use crate::sink::delta::{DeltaTable, payload};
use crate::sink::writing::Part;
use crate::storage::{Secrets, Standing};

/// The lineage of the manifests here.
const LINEAGE: &str = "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491";
/// The lineage that a person's state action began after them.
const NEXT_LINEAGE: &str = "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491.4";

/// A table, and an epoch of one row that was decided for it.
async fn decided(lake: &Lake) -> Manifest {
    let table =
        DeltaTable::open_or_create(lake.location(), &lake.sink, "test", &Means::of_system(QUICK)).await.unwrap();
    let mut writer = table.files().writer("lineage-1-43").unwrap();
    writer.write(&rides(&[(1, Some("Paris"), Some(19_723))])).await.unwrap();
    let (adds, _) = writer.finish().await.unwrap();
    let fixture = include_bytes!("../../../../fixtures/manifest-v1-data.json");
    let mut manifest = Manifest::decode(Epoch(43), LINEAGE, fixture).unwrap();
    manifest.sinks = vec![PinnedSink {
        name: "silver".into(),
        kind: "Delta".into(),
        place: lake.sink.place().into(),
        id: table.table_id().into(),
    }];
    let writing::Payload { kind, body } = payload::append(adds);
    manifest.committables = vec![Committable { sink: "silver".into(), rows: 1, payload: Payload { kind, body } }];
    manifest
}

/// The sinks of a process whose document has these sinks and which decides epochs of this lineage.
async fn committer(sinks: &[&plan::Sink], lineage: &str) -> SinkSet {
    let plan = fixtures::plan(vec![], vec![], sinks.iter().map(|sink| (*sink).clone()).collect());
    let of = Environment {
        plan: Arc::new(plan),
        secrets: Secrets::default(),
        means: Means::of_system(QUICK),
        standing: Standing::default(),
    };
    let mut opening = Opening::begin(of.clone()).await.unwrap();
    opening.make_missing().await.unwrap();
    SinkSet::new(of, lineage.into(), opening.into_sinks().unwrap())
}

async fn commit(committer: &SinkSet, manifest: &Manifest) -> Result<Landed> {
    committer.commit(manifest, &manifest.committables[0]).await
}

async fn ready(committer: &SinkSet, manifest: &Manifest) -> Result<()> {
    committer.ready(manifest, &manifest.committables[0]).await
}

#[tokio::test]
async fn an_epoch_lands_once_with_where_it_came_from() {
    let lake = Lake::new(&[]);
    let mut manifest = decided(&lake).await;
    manifest.state_action = Some(ActedUpon { token: "back-1".into(), restored: None });
    let committer = committer(&[&lake.sink], LINEAGE).await;
    assert_eq!(ready(&committer, &manifest).await, Ok(()));
    for _ in 0..2 {
        assert_eq!(commit(&committer, &manifest).await, Ok(Landed::Committed));
    }
    assert_eq!((lake.numbers(), lake.versions()), (vec![1], 2));

    let actions = lake.actions(1);
    let info: Value = serde_json::from_str(actions[0]["commitInfo"]["userMetadata"].as_str().unwrap()).unwrap();
    let offsets = json!([
        {"topic": "rides", "partition": 0, "start": 2000, "end": 3000},
        {"topic": "rides", "partition": 1, "start": 500, "end": 640},
    ]);
    let expected = json!({
        "pipeline": "test",
        "lineage": LINEAGE,
        "epoch": 43,
        "manifest": {"generation": 3, "nonce": "b7c2"},
        "sources": [{"name": "rides", "watermarkUs": 1_699_999_460_000_000_i64, "offsets": offsets}],
    });
    assert_eq!(info, expected);
    let txns: Map<String, Value> = actions[1..4]
        .iter()
        .map(|a| (a["txn"]["appId"].as_str().unwrap().to_owned(), a["txn"]["version"].clone()))
        .collect();
    let mark = i64::from(manifest.head().mark().0);
    let expected = json!({
        format!("weir/{LINEAGE}/silver"): 43,
        format!("weir.manifest/test/{LINEAGE}/silver"): (mark << 32) | 43,
        // The upper 63 bits of the token's xxh3 hash. `tokensDone` of the fixture `manifest-v1.json` has the hash in
        // hexadecimal digits.
        "weir.token/test/silver": 111_655_895_072_846_582_i64,
    });
    assert_eq!(Value::Object(txns), expected);
}

#[tokio::test]
async fn rows_for_a_sink_that_the_document_has_no_more_or_elsewhere_go_to_where_it_was() {
    let (lake, elsewhere) = (Lake::new(&[]), Lake::new(&[]));
    let manifest = decided(&lake).await;
    for sinks in [vec![], vec![&elsewhere.sink]] {
        let committer = committer(&sinks, LINEAGE).await;
        assert_eq!(ready(&committer, &manifest).await, Ok(()));
        assert_eq!(commit(&committer, &manifest).await, Ok(Landed::Committed));
    }
    assert_eq!((lake.numbers(), lake.versions()), (vec![1], 2));
    assert_eq!(elsewhere.numbers(), [0; 0]);
}

#[tokio::test]
async fn a_former_table_that_is_gone_stops_the_pipeline_unless_a_person_has_said_how_to_go_on() {
    let lake = Lake::new(&[]);
    let manifest = decided(&lake).await;
    std::fs::remove_dir_all(lake.path("")).unwrap();
    let failure = commit(&committer(&[], LINEAGE).await, &manifest).await.unwrap_err();
    let says = format!(
        "rows that were decided for {}, which the document no longer names, are to be committed before anything else, \
         and there is no table: \
         put it back, or give these rows up with a new spec.stateAction (`discard` or `restore`)",
        lake.sink.place()
    );
    assert_eq!(failure, Failure::config(says));
    assert_eq!(commit(&committer(&[], NEXT_LINEAGE).await, &manifest).await, Ok(Landed::GivenUp));
}

#[tokio::test]
async fn a_former_table_that_is_refused_is_named_with_what_it_is_opened_for() {
    let lake = Lake::new(&[]);
    let manifest = decided(&lake).await;
    lake.edit_creation(|action| {
        if let Some(protocol) = action.get_mut("protocol") {
            *protocol = json!({"minReaderVersion": 1, "minWriterVersion": 99});
        }
    });
    for lineage in [LINEAGE, NEXT_LINEAGE] {
        let failure = commit(&committer(&[], lineage).await, &manifest).await.unwrap_err();
        let says = format!(
            "rows that were decided for {}, which the document no longer names, are to be committed before anything \
             else: the table ",
            lake.sink.place()
        );
        assert!(failure.remedy == Remedy::Config && failure.message.starts_with(&says), "{failure}");
    }
}

#[tokio::test]
async fn rows_for_a_table_that_was_made_anew_are_given_up() {
    let lake = Lake::new(&[]);
    let manifest = decided(&lake).await;
    std::fs::remove_dir_all(lake.path("")).unwrap();
    assert_eq!(commit(&committer(&[&lake.sink], NEXT_LINEAGE).await, &manifest).await, Ok(Landed::GivenUp));
    assert_eq!(lake.versions(), 1);
}

#[tokio::test]
async fn files_that_are_gone_stop_the_pipeline_unless_a_person_has_said_how_to_go_on() {
    let lake = Lake::new(&[]);
    let manifest = decided(&lake).await;
    let adds = &manifest.committables[0].payload.body["adds"];
    let file = adds[0]["path"].as_str().unwrap();
    std::fs::remove_file(lake.path(file)).unwrap();
    let says = format!(
        "epoch 43 of weir/{LINEAGE}/silver is not in {} yet, and its file {file} is not there: deleted (a vacuum \
         without a retention?), or \
         written while the table was moved away; put what is missing back, or give this epoch's rows up with a new \
         spec.stateAction \
         (`discard` or `restore`)",
        lake.sink.place()
    );
    for sinks in [vec![&lake.sink], vec![]] {
        assert_eq!(commit(&committer(&sinks, LINEAGE).await, &manifest).await, Err(Failure::config(says.as_str())));
        assert_eq!(commit(&committer(&sinks, NEXT_LINEAGE).await, &manifest).await, Ok(Landed::GivenUp));
    }
    assert_eq!(ready(&committer(&[&lake.sink], LINEAGE).await, &manifest).await, Err(Failure::config(says)));
    assert_eq!(lake.versions(), 1);
}

#[tokio::test]
async fn a_payload_of_another_version_and_a_sink_without_a_pin_are_named() {
    let lake = Lake::new(&[]);
    let mut manifest = decided(&lake).await;
    let committer = committer(&[&lake.sink], LINEAGE).await;
    manifest.committables[0].payload.kind = "KafkaRecords".into();
    let says = format!(
        "sink `silver`, epoch 43: its payload has the type `KafkaRecords`, which this version of Weir, {}, does not \
         know: run the version that \
         wrote it",
        crate::VERSION
    );
    let says = says.as_str();
    assert_eq!(ready(&committer, &manifest).await, Err(Failure::config(says)));
    assert_eq!(commit(&committer, &manifest).await, Err(Failure::config(says)));

    manifest.sinks.clear();
    let says = "epoch 43 has rows for `silver` and does not name its table";
    assert_eq!(ready(&committer, &manifest).await, Err(Failure::bug(says)));
    assert_eq!(commit(&committer, &manifest).await, Err(Failure::bug(says)));
}

#[tokio::test]
async fn what_writers_gave_becomes_a_committable_of_each_sink_that_has_something_to_commit() {
    let (lake, late) = (Lake::new(&[]), Lake::new(&[]));
    let late = plan::Sink { name: "late".into(), ..late.sink.clone() };
    let committer = committer(&[&lake.sink, &late], LINEAGE).await;
    let part = |rows, body| Part { rows, body };
    let parts = Parts::from([(0, vec![part(2, json!(["a"])), part(1, json!(["b"]))]), (1, vec![part(0, json!([]))])]);
    let body = json!({"adds": ["a", "b"]}).as_object().unwrap().clone();
    let payload = Payload { kind: "DeltaAppend".into(), body };
    assert_eq!(committer.seal(parts).await, Ok(vec![Committable { sink: "silver".into(), rows: 3, payload }]));
    let unknown = committer.seal(Parts::from([(2, vec![part(1, json!(["a"]))])])).await.unwrap_err();
    assert_eq!(unknown.remedy, Remedy::Bug);
}

#[test]
fn what_is_given_up_is_told_with_where_it_came_from() {
    let fixture = include_bytes!("../../../../fixtures/manifest-v1-data.json");
    let mut manifest = Manifest::decode(Epoch(43), LINEAGE, fixture).unwrap();
    let says =
        "sink `silver`: 7 rows of epoch 43, which was decided before the state action, are given up (the epoch read ";
    assert_eq!(
        given_up(&manifest, &manifest.committables[0]),
        format!("{says}rides-0 [2000, 3000), rides-1 [500, 640))")
    );
    manifest.sources[0].partitions.clear();
    assert_eq!(given_up(&manifest, &manifest.committables[0]), format!("{says}nothing)"));
}
