//! The writer on real stores, with answers that get lost and with other writers in between.

#![allow(clippy::unwrap_used)]

mod stubs;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::json;
use weir_plan::ids::{Epoch, Generation};

use super::manifest::*;
use super::state_files::StateFiles;
use super::store::Store;
use super::writer::*;
use crate::failure::{Failure, Remedy, Result};
use crate::retry::{Jitter, RetryPolicy};
use stubs::{Tables, Unreliable};

fn options(seed: u64) -> Options {
    let retry = RetryPolicy { first: Duration::from_micros(10), max: Duration::from_micros(100), give_up_after: Duration::from_secs(20) };
    Options { uri: "test://checkpoint".into(), retry, call_deadline: Duration::from_secs(10), jitter_seed: seed }
}

async fn opened(store: &Arc<dyn ObjectStore>, nonce: &str) -> Result<Opened> {
    open(store.clone(), Path::from("c"), "rides", format!("lineage-of-{nonce}"), nonce.into(), options(1)).await
}

fn sources(start: i64, end: i64) -> Vec<SourceProgress> {
    let partition = PartitionProgress { topic: "rides".into(), partition: 0, start, end, watermark_us: None, idle: false };
    vec![SourceProgress {
        name: "rides".into(),
        topic_ids: std::collections::BTreeMap::new(),
        watermark_before_us: None,
        watermark_after_us: None,
        partitions: vec![partition],
        counts: SourceCounts::default(),
    }]
}

fn task(state: Vec<StateFile>) -> Vec<Task> {
    vec![Task { id: 0, key_groups: (0, 128), state, steps: vec![] }]
}

#[allow(clippy::unused_async)]
async fn carry(newest: Option<&Manifest>) -> Result<Carried> {
    let end = newest.map_or(100, end);
    Ok(Carried {
        clock_us: 0,
        fingerprint: json!({}),
        sources: sources(end, end),
        tasks: newest.map_or_else(|| task(vec![]), |m| m.tasks.clone()),
        tables: vec![],
        until: None,
    })
}

fn end(manifest: &Manifest) -> i64 {
    manifest.sources[0].partitions[0].end
}

/// Ten offsets, into both sinks.
fn epoch_after(newest: &Manifest, state: Vec<StateFile>) -> DataEpoch {
    let committables =
        ["silver", "late"].map(|sink| Committable { sink: sink.into(), rows: 10, payload: Payload::DeltaAppend { adds: vec![] } });
    DataEpoch {
        clock_us: 0,
        sources: sources(end(newest), end(newest) + 10),
        tasks: task(state),
        committables: committables.to_vec(),
        until: None,
    }
}

async fn claimed(store: &Arc<dyn ObjectStore>, nonce: &str) -> CheckpointWriter {
    opened(store, nonce).await.unwrap().claim(carry).await.unwrap()
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
        assert_eq!((first.newest(), first.lineage()), (None, "lineage-of-a"));
        let mut writer = first.claim(carry).await.unwrap();
        assert_eq!((writer.newest().epoch, writer.newest().kind, writer.generation()), (Epoch(1), Kind::Claim, Generation(1)));
        assert_eq!(writer.recover(&tables).await, Ok(None));
        assert_eq!(commit_one(&mut writer, &tables).await, Ok(Epoch(2)));
        assert_eq!(commit_one(&mut writer, &tables).await, Ok(Epoch(3)));

        let again = opened(&store, "b").await.unwrap();
        assert_eq!((again.newest(), again.lineage()), (Some(writer.newest()), "lineage-of-a"));
        let mut writer = again.claim(carry).await.unwrap();
        assert_eq!((writer.newest().epoch, writer.generation(), writer.newest().in_doubt), (Epoch(4), Generation(2), Some(Epoch(3))));
        assert_eq!(writer.recover(&tables).await, Ok(Some(Epoch(3))));
        assert_eq!(commit_one(&mut writer, &tables).await, Ok(Epoch(5)));
        for sink in ["silver", "late"] {
            assert_eq!(tables.rows(sink), [(100, 110), (110, 120), (120, 130)]);
        }
    }
}

#[tokio::test]
async fn a_writer_that_was_overtaken_touches_no_sink() {
    let store = in_memory();
    let tables = Tables::default();
    let mut old = claimed(&store, "old").await;
    old.recover(&tables).await.unwrap();
    let mut new = claimed(&store, "new").await;
    let fenced = commit_one(&mut old, &tables).await.unwrap_err();
    assert_eq!(fenced.remedy, Remedy::Fenced, "{fenced}");
    assert_eq!(tables.rows("silver"), []);
    assert_eq!(commit_one(&mut old, &tables).await.unwrap_err(), fenced, "and it stays so");
    new.recover(&tables).await.unwrap();
    commit_one(&mut new, &tables).await.unwrap();
    assert_eq!(tables.rows("silver"), [(100, 110)]);
}

#[tokio::test]
async fn a_sleeper_that_creates_a_collected_number_again_touches_no_sink() {
    let store = in_memory();
    let tables = Tables::default();
    let mut sleeper = claimed(&store, "sleeper").await;
    sleeper.recover(&tables).await.unwrap();
    // Epoch 2, which the sleeper is about to create, is the next claim, and collected.
    let mut next = claimed(&store, "next").await;
    next.recover(&tables).await.unwrap();
    commit_one(&mut next, &tables).await.unwrap();
    let report = next.collect_garbage(1, i64::MAX, Duration::ZERO).await.unwrap();
    assert_eq!(report.manifests_deleted, 2);
    let fenced = commit_one(&mut sleeper, &tables).await.unwrap_err();
    assert_eq!(fenced.remedy, Remedy::Fenced, "{fenced}");
    assert_eq!(tables.rows("silver"), [(100, 110)]);
    assert_eq!(opened(&store, "c").await.unwrap().newest(), Some(next.newest()));
}

#[tokio::test]
async fn lost_answers_and_failing_tables_lose_and_double_nothing() {
    for seed in 0..60 {
        let inner = in_memory();
        let tables = Tables { fails_every: 3 + u32::try_from(seed % 5).unwrap(), ..Tables::default() };
        for run in 0..4_u64 {
            let store: Arc<dyn ObjectStore> = Unreliable::on(inner.clone(), seed * 10 + run, 250);
            let mut writer = claimed(&store, &format!("{seed}-{run}")).await;
            writer.recover(&tables).await.unwrap();
            for _ in 0..5 {
                commit_one(&mut writer, &tables).await.unwrap();
            }
        }
        let expected: Vec<_> = (0..20).map(|i| (100 + i * 10, 110 + i * 10)).collect();
        for sink in ["silver", "late"] {
            assert_eq!(tables.rows(sink), expected, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn writers_that_fight_for_a_checkpoint_lose_and_double_nothing() {
    for seed in 0..30_u64 {
        let inner = in_memory();
        let tables = Arc::new(Tables { fails_every: 7, ..Tables::default() });
        let done = Arc::new(AtomicU64::new(0));
        let fighters = (0..3_u64).map(|i| {
            let store: Arc<dyn ObjectStore> = Unreliable::on(inner.clone(), seed * 100 + i, 150);
            let (tables, done) = (tables.clone(), done.clone());
            async move {
                for life in 0..6 {
                    let ended = fight(&store, &format!("{seed}-{i}-{life}"), &tables, &done).await;
                    assert!(ended.as_ref().is_err_and(|f| f.remedy == Remedy::Fenced) || ended.is_ok(), "{ended:?}");
                    tokio::task::yield_now().await;
                }
            }
        });
        futures::future::join_all(fighters).await;
        let mut last = claimed(&inner, "last").await;
        last.recover(&*tables).await.unwrap();
        let taken = end(last.newest());
        let expected: Vec<_> = (100..taken).step_by(10).map(|start| (start, start + 10)).collect();
        assert_eq!(tables.rows("silver"), expected, "seed {seed}");
        assert_eq!(tables.rows("late"), expected, "seed {seed}");
        assert!(done.load(Ordering::SeqCst) > 0, "seed {seed}: nobody ever got through");
    }
}

async fn fight(store: &Arc<dyn ObjectStore>, nonce: &str, tables: &Tables, done: &AtomicU64) -> Result<()> {
    let mut writer = opened(store, nonce).await?.claim(carry).await?;
    writer.recover(tables).await?;
    for _ in 0..8 {
        commit_one(&mut writer, tables).await?;
        done.fetch_add(1, Ordering::SeqCst);
        match writer.collect_garbage(2, i64::MAX, Duration::ZERO).await {
            Err(failure) if failure.remedy == Remedy::Retry => {}
            other => other.map(|_| ())?,
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_is_made_anew_upon_a_writer_that_got_in_between() {
    let store = in_memory();
    let tables = Tables::default();
    let slow = opened(&store, "slow").await.unwrap();
    let mut quick = claimed(&store, "quick").await;
    quick.recover(&tables).await.unwrap();
    commit_one(&mut quick, &tables).await.unwrap();
    let mut seen = vec![];
    let writer = slow
        .claim(async |newest: Option<&Manifest>| {
            seen.push(newest.map(|m| m.epoch.0));
            carry(newest).await
        })
        .await
        .unwrap();
    assert_eq!((writer.newest().epoch, writer.generation(), writer.newest().in_doubt), (Epoch(3), Generation(2), Some(Epoch(2))));
    assert_eq!(writer.lineage(), "lineage-of-slow", "who opened first, named it");
    assert_eq!(seen, [None, Some(2)]);
}

#[tokio::test]
async fn an_epoch_that_overlaps_or_a_sink_named_twice_is_refused_before_anything_is_decided() {
    let store = in_memory();
    let tables = Tables::default();
    for twice in [true, false] {
        let mut writer = claimed(&store, &format!("a{twice}")).await;
        writer.recover(&tables).await.unwrap();
        let mut epoch = epoch_after(writer.newest(), vec![]);
        if twice {
            epoch.committables[1].sink = "silver".into();
        } else {
            epoch.sources[0].partitions[0].start -= 1;
        }
        let before = writer.newest().epoch;
        assert_eq!(writer.commit(epoch, &tables).await.unwrap_err().remedy, Remedy::Bug);
        assert_eq!(opened(&store, "look").await.unwrap().newest().unwrap().epoch, before);
    }
}

#[tokio::test]
async fn a_store_that_lets_a_second_create_through_is_refused() {
    let store: Arc<dyn ObjectStore> =
        Arc::new(Unreliable { inner: in_memory(), dice: Mutex::new(Jitter::new(0)), faults: 0, overwrites: true, hangs: false });
    let refused = opened(&store, "a").await.err().unwrap();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.starts_with("the store at test://checkpoint does not refuse a second create"), "{refused}");
}

#[tokio::test]
async fn another_pipelines_checkpoint_is_refused() {
    let store = in_memory();
    opened(&store, "a").await.unwrap();
    let refused = open(store, Path::from("c"), "orders", "l".into(), "b".into(), options(1)).await.err().unwrap();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.contains("rides") && refused.message.contains("orders"), "{refused}");
}

#[tokio::test]
async fn a_store_that_stays_away_or_never_answers_is_given_up() {
    let hanging = Unreliable { inner: in_memory(), dice: Mutex::new(Jitter::new(0)), faults: 0, overwrites: false, hangs: true };
    for (store, why) in [(Unreliable::on(in_memory(), 1, 1000), "connection reset"), (Arc::new(hanging), "no answer within")] {
        let mut impatient = options(1);
        impatient.retry.give_up_after = Duration::from_millis(30);
        impatient.call_deadline = Duration::from_millis(5);
        let gave_up = open(store, Path::from("c"), "rides", "l".into(), "n".into(), impatient).await.err().unwrap();
        assert_eq!(gave_up.remedy, Remedy::Retry);
        assert!(gave_up.message.contains("test://checkpoint"), "{gave_up}");
        assert!(gave_up.message.contains(why) || gave_up.message.contains("refused"), "{gave_up}");
    }
}

#[tokio::test]
async fn a_table_that_stays_away_ends_the_writer_and_the_next_one_commits_the_epoch() {
    struct Away;
    impl Committer for Away {
        fn commit<'a>(&'a self, _: &'a Manifest, _: &'a Committable) -> BoxFuture<'a, Result<()>> {
            Box::pin(async { Err(Failure::retry("503 from the table")) })
        }
    }
    let store = in_memory();
    let mut impatient = options(1);
    impatient.retry.give_up_after = Duration::from_millis(10);
    let opened = open(store.clone(), Path::from("c"), "rides", "l".into(), "n".into(), impatient).await.unwrap();
    let mut writer = opened.claim(carry).await.unwrap();
    writer.recover(&Away).await.unwrap();
    let next = epoch_after(writer.newest(), vec![]);
    let gave_up = writer.commit(next, &Away).await.unwrap_err();
    assert_eq!(gave_up.remedy, Remedy::Retry);
    assert!(gave_up.message.starts_with("commit epoch 2: sink ") && gave_up.message.contains("503 from the table"), "{gave_up}");
    let tables = Tables::default();
    let mut next = claimed(&store, "next").await;
    assert_eq!(next.recover(&tables).await, Ok(Some(Epoch(2))));
    assert_eq!(tables.rows("silver"), [(100, 110)]);
}

#[tokio::test]
async fn state_is_read_back_and_a_gone_or_damaged_file_is_named() {
    let store = in_memory();
    let writer = claimed(&store, "a").await;
    let states = writer.states();
    let bytes = Bytes::from_static(b"partials");
    let path = states.put(&states.name(Epoch(2), 0, 0), "arrow", bytes.clone()).await.unwrap();
    assert_eq!(path, "state/0000000001-00000000000000000002-0-0.arrow");
    let file = StateFile { path, bytes: 8, rows: 1, crc32: crc32fast::hash(&bytes), max_window_end_us: 0 };
    assert_eq!(states.read(&file).await, Ok(bytes));
    let damaged = states.read(&StateFile { crc32: 1, ..file.clone() }).await.unwrap_err();
    assert!(damaged.message.contains("damaged") && damaged.message.contains(&file.path), "{damaged}");
    let gone = states.read(&StateFile { path: "state/none.arrow".into(), ..file }).await.unwrap_err();
    assert_eq!(gone.remedy, Remedy::Config);
}

#[tokio::test]
async fn state_is_written_and_read_through_a_store_that_fails_now_and_then_and_given_up_if_it_stays_away() {
    let states = |faults, give_up_after| {
        let store = Unreliable::on(in_memory(), 3, faults);
        let retry = RetryPolicy { give_up_after, ..options(1).retry };
        let store = Store::new(store, Path::from("c"), "test://checkpoint", Duration::from_secs(5));
        StateFiles { store, generation: Generation(1), retry, jitter: Jitter::new(1) }
    };
    let flaky = states(700, Duration::from_secs(20));
    for n in 0..20 {
        let bytes = Bytes::from(vec![7; 8]);
        let path = flaky.put(&flaky.name(Epoch(2), 0, n), "state", bytes.clone()).await.unwrap();
        let file = StateFile { path, bytes: 8, rows: 1, crc32: crc32fast::hash(&bytes), max_window_end_us: 0 };
        assert_eq!(flaky.read(&file).await, Ok(bytes));
    }
    let away = states(1000, Duration::from_millis(10));
    let failure = away.put(&away.name(Epoch(2), 0, 0), "state", Bytes::new()).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Retry);
    assert!(failure.message.ends_with("given up after 10ms of trying"), "{failure}");
}

#[tokio::test]
async fn a_collection_leaves_what_is_referred_to_being_written_or_young() {
    let store = in_memory();
    let tables = Tables::default();
    let mut writer = claimed(&store, "a").await;
    writer.recover(&tables).await.unwrap();
    let states = writer.states();
    for n in 0..6 {
        let name = states.name(writer.newest().epoch.next(), 0, n);
        let path = states.put(&name, "arrow", Bytes::from_static(b"x")).await.unwrap();
        let next = epoch_after(writer.newest(), vec![StateFile { path, bytes: 1, rows: 1, crc32: 0, max_window_end_us: 0 }]);
        writer.commit(next, &tables).await.unwrap();
    }
    let ahead = states.put(&states.name(Epoch(8), 0, 0), "arrow", Bytes::new()).await.unwrap();
    store.put(&Path::from("c/probe/crashed-0"), PutPayload::default()).await.unwrap();
    store.put(&Path::from("c/state/README.txt"), PutPayload::default()).await.unwrap();

    let young = writer.collect_garbage(2, 0, Duration::from_secs(3600)).await.unwrap();
    assert_eq!((young.manifests_deleted, young.state_files_deleted, young.probes_deleted), (5, 0, 0));
    let report = writer.collect_garbage(2, i64::MAX, Duration::from_secs(3600)).await.unwrap();
    assert_eq!((report.manifests_deleted, report.state_files_deleted, report.state_bytes_deleted, report.probes_deleted), (0, 4, 4, 1));
    let left: Vec<String> = futures::TryStreamExt::try_collect::<Vec<_>>(store.list(Some(&Path::from("c/state"))))
        .await
        .unwrap()
        .iter()
        .map(|o| o.location.to_string())
        .collect();
    assert_eq!(left.len(), 4, "two kept, one ahead, one not ours: {left:?}");
    assert!(left.contains(&format!("c/{ahead}")) && left.contains(&"c/state/README.txt".into()));
}

#[tokio::test]
async fn an_overtaken_writer_collects_nothing() {
    let store = in_memory();
    let tables = Tables::default();
    let mut old = claimed(&store, "old").await;
    old.recover(&tables).await.unwrap();
    commit_one(&mut old, &tables).await.unwrap();
    let new = claimed(&store, "new").await;
    assert_eq!(old.collect_garbage(1, i64::MAX, Duration::ZERO).await.unwrap_err().remedy, Remedy::Fenced);
    assert_eq!(new.collect_garbage(1, i64::MAX, Duration::ZERO).await.unwrap().manifests_deleted, 1, "all but the epoch in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_live_in_a_task_of_its_own() {
    let ended = tokio::spawn(async {
        let store = in_memory();
        let tables = Tables::default();
        let mut writer = opened(&store, "a").await?.claim(async |newest: Option<&Manifest>| carry(newest).await).await?;
        writer.recover(&tables).await?;
        commit_one(&mut writer, &tables).await?;
        writer.collect_garbage(1, 0, Duration::ZERO).await
    });
    assert_eq!(ended.await.unwrap().unwrap().manifests_deleted, 1);
}
