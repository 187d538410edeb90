//! Log checkpoints: they are written beside the commits, other engines read them, and they never block a commit.

use std::sync::atomic::Ordering;
use std::time::Instant;

use weir_testing::faulty::Faulty;

use super::*;
use crate::Means;

/// Commits epochs without files, and checks after each for a long log, as the engine does.
async fn commit_all(table: &mut DeltaTable, epochs: std::ops::RangeInclusive<u64>) {
    for epoch in epochs {
        commit(table, epoch, &[]).await.unwrap();
        table.between_epochs();
    }
}

fn last_checkpoint(lake: &Lake) -> Option<i64> {
    let text = std::fs::read_to_string(lake.path("_delta_log/_last_checkpoint")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["version"].as_i64()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_250_commits_others_and_the_next_start_read_only_the_tail() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    for epoch in 1..=250 {
        append(&mut table, epoch, &[epoch.cast_signed()]).await.unwrap();
        table.between_epochs();
    }
    until("a log checkpoint with less than 100 commits after it", || {
        table.between_epochs();
        last_checkpoint(&lake).is_some_and(|v| v > 150)
    })
    .await;
    let checkpoint = last_checkpoint(&lake).unwrap();
    for epoch in 251..=260 {
        append(&mut table, epoch, &[epoch.cast_signed()]).await.unwrap();
    }

    // A reader that needs more than the log checkpoint and the commits after it fails now.
    for version in 0..checkpoint {
        std::fs::remove_file(lake.commit_file(version)).unwrap();
    }
    let theirs = deltalake::open_table(lake.location().url).await.unwrap();
    assert_eq!((theirs.version(), theirs.get_file_uris().unwrap().count()), (Some(260), 260));

    let (store, location) = Faulty::before(&lake.location(), []);
    let again = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(QUICK)).await.unwrap();
    assert_eq!(held_by(&again)[0].epoch, Epoch(260));
    let read = store.log_reads.lock().unwrap().clone();
    let tail: Vec<_> = (checkpoint + 1..=260).map(|v| format!("{v:020}.json")).collect();
    let commits: Vec<_> = read.into_iter().filter(|name| name.ends_with(".json")).collect();
    assert_eq!(commits, tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_go_on_while_one_is_written_and_there_is_but_one_at_a_time() {
    let lake = Lake::new(&[]);
    let (store, location) = Faulty::before(&lake.location(), []);
    store.checkpoints.forget_permits(1000);
    let mut table = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(QUICK)).await.unwrap();
    commit_all(&mut table, 1..=99).await;
    until("a log checkpoint is begun", || store.checkpoints_begun.load(Ordering::Relaxed) == 1).await;
    let task = table.checkpoints.under_way.as_ref().unwrap().id();
    commit_all(&mut table, 100..=320).await;
    assert_eq!((table.version(), last_checkpoint(&lake)), (320, None));
    assert_eq!(table.checkpoints.under_way.as_ref().unwrap().id(), task);
    store.checkpoints.add_permits(1);
    until("it is written", || last_checkpoint(&lake) == Some(99)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_stops_nothing_and_is_tried_again_a_hundred_commits_later() {
    let lake = Lake::new(&[]);
    let (store, location) = Faulty::before(&lake.location(), []);
    store.checkpoints.close();
    let mut table = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(QUICK)).await.unwrap();
    commit_all(&mut table, 1..=99).await;
    until("the first one has failed", || table.checkpoints.under_way.as_ref().unwrap().is_finished()).await;
    commit_all(&mut table, 100..=198).await;
    assert!(table.checkpoints.under_way.is_none());
    commit_all(&mut table, 199..=199).await;
    assert!(table.checkpoints.under_way.is_some());
    assert_eq!(last_checkpoint(&lake), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_of_others_is_found_when_the_table_is_opened() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    for _ in 0..150 {
        lake.foreign(&[foreign_add()]);
    }
    let mut table = opened(&lake).await;
    table.between_epochs();
    until("a log checkpoint", || last_checkpoint(&lake) == Some(150)).await;
    // The next start knows about it.
    let mut again = opened(&lake).await;
    commit_all(&mut again, 1..=99).await;
    assert!(again.checkpoints.under_way.is_none());
    commit_all(&mut again, 100..=100).await;
    assert!(again.checkpoints.under_way.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_written_as_often_as_the_document_says() {
    let mut lake = Lake::new(&[]);
    lake.delta().maintenance.checkpoint_every = 5;
    let mut table = opened(&lake).await;
    commit_all(&mut table, 1..=3).await;
    assert!(table.checkpoints.under_way.is_none());
    commit_all(&mut table, 4..=4).await;
    assert!(table.checkpoints.under_way.is_some());
    until("a log checkpoint", || last_checkpoint(&lake) == Some(4)).await;
}

#[tokio::test]
async fn one_of_a_large_table_comes_in_row_groups_of_bounded_size_and_others_read_it() {
    let lake = Lake::new(&[]);
    let table = opened(&lake).await;
    let add = |i: u32| {
        // Random, because file names hardly compress.
        let random: String = (0..6).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let path = format!("part-{i:05}-{random}.parquet");
        json!({"add": {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true}})
    };
    let adds: Vec<_> = (0..100_000).map(add).collect();
    lake.foreign(&adds);
    table.log.checkpoint().await.unwrap();
    let file = std::fs::File::open(lake.path("_delta_log/00000000000000000001.checkpoint.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let sizes: Vec<_> = reader.metadata().row_groups().iter().map(|group| group.compressed_size() >> 20).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|mib| *mib <= 8), "{sizes:?}");
    std::fs::remove_file(lake.commit_file(1)).unwrap();
    std::fs::remove_file(lake.commit_file(0)).unwrap();
    let theirs = deltalake::open_table(lake.location().url).await.unwrap();
    assert_eq!((theirs.version(), theirs.get_file_uris().unwrap().count()), (Some(1), 100_000));
}
