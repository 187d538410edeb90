//! State files and the collection of garbage.

use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutPayload};

use super::*;
use crate::checkpoint::state_files::StateFiles;
use crate::checkpoint::store::Store;
use crate::retry::Jitter;

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
