//! The writer on real stores, with answers that get lost and with other writers in between.

#![allow(clippy::unwrap_used)]

mod files;
mod held;
mod races;
mod refusals;
mod stubs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Map, json};
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::retry::RetryPolicy;
use weir_plan::ids::{Epoch, Generation};

use super::*;
use crate::content::{Carried, DataEpoch};
use crate::manifest::*;
use crate::sinks::*;
use stubs::{Nothing, Tables, Unreliable};

const SINKS: [&str; 2] = ["silver", "late"];

fn pinned(sink: &str) -> PinnedSink {
    PinnedSink { name: sink.into(), kind: "Test".into(), place: format!("test://{sink}"), id: format!("id-of-{sink}") }
}

fn options(seed: u64) -> Options {
    let retry = RetryPolicy {
        first: Duration::from_micros(10),
        max: Duration::from_micros(100),
        give_up_after: Duration::from_secs(20),
    };
    Options { retry, call_deadline: Duration::from_secs(10), ..Options::new("test://checkpoint", seed) }
}

async fn opened(store: &Arc<dyn ObjectStore>, nonce: &str) -> Result<Opened> {
    open(store.clone(), Path::from("c"), "rides", format!("lineage-of-{nonce}"), nonce.into(), options(1)).await
}

fn sources(start: i64, end: i64) -> Vec<SourceProgress> {
    let partition = PartitionProgress {
        topic: "rides".into(),
        partition: 0,
        start,
        end,
        lost: Vec::new(),
        unreadable: Vec::new(),
        watermark_us: None,
        idle: false,
        leader_epoch: None,
    };
    vec![SourceProgress {
        name: "rides".into(),
        topic_ids: std::collections::BTreeMap::new(),
        topics_gone: Vec::new(),
        watermark_before_us: None,
        watermark_after_us: None,
        processing_time_us: None,
        moved_by: None,
        held_by: None,
        partitions: vec![partition],
        counts: SourceCounts::default(),
        bad_share: BadShare::default(),
    }]
}

fn task(state: Vec<StateFile>) -> Vec<Task> {
    vec![Task { id: 0, key_groups: (0, 128), state, compacting: None, steps: vec![], rows_bad: BTreeMap::new() }]
}

#[allow(clippy::unused_async)]
async fn carry(newest: Option<&Manifest>, _: Generation) -> Result<Carried> {
    let end = newest.map_or(100, end);
    Ok(Carried {
        clock_us: 0,
        fingerprint: json!({}),
        sources: sources(end, end),
        tasks: newest.map_or_else(|| task(vec![]), |m| m.tasks.clone()),
        sinks: SINKS.map(pinned).to_vec(),
        until: None,
        state_action: None,
        tokens_done: Vec::new(),
        namespace: None,
        begins_lineage: false,
    })
}

fn end(manifest: &Manifest) -> i64 {
    manifest.sources[0].partitions[0].end
}

/// An epoch that takes in ten offsets, with rows for both sinks.
fn epoch_after(newest: &Manifest, state: Vec<StateFile>) -> DataEpoch {
    let committables = SINKS.map(|sink| Committable {
        sink: sink.into(),
        rows: 10,
        payload: Payload { kind: "Some".into(), body: Map::new() },
    });
    DataEpoch {
        clock_us: 0,
        sources: sources(end(newest), end(newest) + 10),
        tasks: task(state),
        committables: committables.to_vec(),
        until: None,
    }
}

async fn claimed(store: &Arc<dyn ObjectStore>, nonce: &str) -> CheckpointWriter {
    opened(store, nonce).await.unwrap().claim(&Nothing, carry).await.unwrap()
}

/// A writer that has committed what was in doubt.
async fn started(store: &Arc<dyn ObjectStore>, nonce: &str, tables: &Tables) -> CheckpointWriter {
    let mut writer = claimed(store, nonce).await;
    writer.recover(tables).await.unwrap();
    writer
}

/// The checkpoint of these tests in a store.
fn place(store: Arc<dyn ObjectStore>) -> Store {
    Store::new(store, Path::from("c"), "test://checkpoint", Duration::from_secs(5))
}

async fn commit_one(writer: &mut CheckpointWriter, tables: &Tables) -> Result<Epoch> {
    let next = epoch_after(writer.newest(), vec![]);
    Ok(writer.commit(next, tables).await?.epoch)
}

fn in_memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[tokio::test]
async fn epochs_follow_the_claim_and_a_restart_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    for store in [in_memory(), Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap())] {
        let tables = Tables::default();
        let first = opened(&store, "a").await.unwrap();
        assert_eq!(first.newest(), None);
        let mut writer = first.claim(&tables, carry).await.unwrap();
        assert_eq!(writer.lineage(), "lineage-of-a");
        assert_eq!(
            (writer.newest().epoch, writer.newest().kind, writer.generation()),
            (Epoch(1), Kind::Claim, Generation(1))
        );
        assert_eq!(writer.recover(&tables).await, Ok(None));
        assert_eq!(commit_one(&mut writer, &tables).await, Ok(Epoch(2)));
        assert_eq!(commit_one(&mut writer, &tables).await, Ok(Epoch(3)));

        let again = opened(&store, "b").await.unwrap();
        assert_eq!(again.newest(), Some(writer.newest()));
        let mut writer = again.claim(&tables, carry).await.unwrap();
        assert_eq!(
            (writer.newest().epoch, writer.generation(), writer.newest().in_doubt),
            (Epoch(4), Generation(2), Some(Epoch(3)))
        );
        assert_eq!(writer.recover(&tables).await, Ok(Some(Epoch(3))));
        assert_eq!(commit_one(&mut writer, &tables).await, Ok(Epoch(5)));
        for sink in ["silver", "late"] {
            assert_eq!(tables.rows(sink), [(100, 110), (110, 120), (120, 130)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_live_in_a_task_of_its_own() {
    let ended = tokio::spawn(async {
        let store = in_memory();
        let tables = Tables::default();
        let mut writer = opened(&store, "a")
            .await?
            .claim(&tables, async |newest: Option<&Manifest>, generation| carry(newest, generation).await)
            .await?;
        writer.recover(&tables).await?;
        commit_one(&mut writer, &tables).await?;
        writer.collection(1).run(0, Duration::ZERO).await
    });
    assert_eq!(ended.await.unwrap().unwrap().manifests_deleted, 1);
}
