//! Tests of state files and of the collection of garbage.

use object_store::{ObjectStoreExt as _, PutPayload};
use weir_base::retry::Jitter;
use weir_testing::faulty::LossyParts;

use super::*;
use crate::layout::{COMPACTED_FROM, StateName};
use crate::state_files::StateFiles;

/// Writes a file, and returns it as the manifest names it.
async fn put(states: &StateFiles, name: &StateName, bytes: &[u8]) -> Result<StateFile> {
    let mut file = states.create(name, "state");
    file.push(bytes.to_vec()).await?;
    let path = file.finish().await?;
    Ok(StateFile { path, bytes: bytes.len() as u64, rows: 1, crc32: crc32fast::hash(bytes), tables: vec![] })
}

#[tokio::test]
async fn state_is_read_back_by_stretches_and_a_gone_torn_or_longer_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap());
    for store in [in_memory(), local] {
        let writer = claimed(&store, "a").await;
        let states = writer.states();
        let file = put(&states, &states.name(Epoch(2), 0, 0), b"partials").await.unwrap();
        assert_eq!(file.path, "state/0000000001-00000000000000000002-0-0.state");
        assert_eq!(states.read(&file, 0..8).await.unwrap(), "partials");
        assert_eq!(states.read(&file, 2..5).await.unwrap(), "rti");
        for (now, says) in
            [(&b"part"[..], "4 bytes are there, and 8 were written"), (b"partials and more", "17 bytes are there")]
        {
            store
                .put(
                    &Path::from("c").join("state").join("0000000001-00000000000000000002-0-0.state"),
                    now.to_vec().into(),
                )
                .await
                .unwrap();
            for stretch in [0..8, 0..4, 6..8] {
                let damaged = states.read(&file, stretch).await.unwrap_err();
                assert_eq!(damaged.remedy, Remedy::Config, "{damaged}");
                assert!(
                    damaged.message.starts_with(&format!("{} in test://checkpoint: the file is damaged", file.path)),
                    "{damaged}"
                );
                assert!(damaged.message.contains(says) && damaged.message.contains("spec.stateAction"), "{damaged}");
            }
        }
        let gone = states.read(&StateFile { path: "state/none.state".into(), ..file }, 0..8).await.unwrap_err();
        assert_eq!(gone.remedy, Remedy::Config);
        assert!(gone.message.starts_with("state/none.state in test://checkpoint: the state file is gone"), "{gone}");
    }
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_comes_in_parts() {
    let parts = Arc::new(LossyParts::default());
    let store = place(parts.inner.clone()).in_parts(Some(parts.clone()));
    let states = StateFiles { store, generation: Generation(1), retry: options(1).retry, jitter: Jitter::new(1) };
    let bytes: Vec<u8> = (0..20_u32 << 20).map(|n| (n / 7) as u8).collect();
    let file = put(&states, &states.name(Epoch(2), 0, 0), &bytes).await.unwrap();
    let mib: Vec<usize> = parts.sizes.lock().unwrap().iter().map(|bytes| bytes >> 20).collect();
    assert_eq!(mib, [8, 8, 4], "a request carries at most 8 MiB");
    assert_eq!(states.read(&file, 3..file.bytes).await.unwrap(), bytes[3..]);
}

#[tokio::test]
async fn state_is_written_and_read_through_a_store_that_fails_now_and_then_and_given_up_if_it_stays_away() {
    let states = |faults, give_up_after| {
        let store = place(Unreliable::on(in_memory(), 3, faults));
        let retry = RetryPolicy { give_up_after, ..options(1).retry };
        StateFiles { store, generation: Generation(1), retry, jitter: Jitter::new(1) }
    };
    let flaky = states(700, Duration::from_secs(20));
    for n in 0..20 {
        let file = put(&flaky, &flaky.name(Epoch(2), 0, n), &[7; 8]).await.unwrap();
        assert_eq!(flaky.read(&file, 0..8).await.unwrap(), vec![7; 8]);
    }
    let away = states(1000, Duration::from_millis(10));
    let failure = put(&away, &away.name(Epoch(2), 0, 0), b"x").await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Retry);
    assert!(failure.message.ends_with("given up after 10ms of trying"), "{failure}");
}

#[tokio::test]
async fn a_collection_leaves_what_is_referred_to_being_written_or_young() {
    let store = in_memory();
    let tables = Tables::default();
    let mut writer = started(&store, "a", &tables).await;
    let states = writer.states();
    for n in 0..6 {
        let name = states.name(writer.newest().epoch.next(), 0, n);
        let next = epoch_after(writer.newest(), vec![put(&states, &name, b"x").await.unwrap()]);
        writer.commit(next, &tables).await.unwrap();
    }
    let ahead = put(&states, &states.name(Epoch(8), 0, 0), b"").await.unwrap().path;
    store.put(&Path::from("c/probe/crashed-0"), PutPayload::default()).await.unwrap();
    store.put(&Path::from("c/state/README.txt"), PutPayload::default()).await.unwrap();

    let young = writer.collection(2).run(0, Duration::from_secs(3600)).await.unwrap();
    assert_eq!((young.manifests_deleted, young.state_files_deleted, young.probes_deleted), (5, 0, 0));
    let report = writer.collection(2).run(i64::MAX, Duration::from_secs(3600)).await.unwrap();
    assert_eq!(
        (report.manifests_deleted, report.state_files_deleted, report.state_bytes_deleted, report.probes_deleted),
        (0, 4, 4, 1)
    );
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
    let mut old = started(&store, "old", &tables).await;
    commit_one(&mut old, &tables).await.unwrap();
    let new = claimed(&store, "new").await;
    assert_eq!(old.collection(1).run(i64::MAX, Duration::ZERO).await.unwrap_err().remedy, Remedy::Fenced);
    assert_eq!(
        new.collection(1).run(i64::MAX, Duration::ZERO).await.unwrap().manifests_deleted,
        1,
        "all but the epoch in doubt"
    );
}

#[tokio::test]
async fn a_collection_beside_the_epochs_takes_nothing_that_they_refer_to() {
    let store = in_memory();
    let tables = Tables::default();
    let mut writer = started(&store, "a", &tables).await;
    let states = writer.states();
    let decide = async |writer: &mut CheckpointWriter, state: Vec<StateFile>, compacting| {
        let mut epoch = epoch_after(writer.newest(), state);
        epoch.tasks[0].compacting = compacting;
        writer.commit(epoch, &tables).await.unwrap();
    };
    let first = put(&states, &states.name(Epoch(2), 0, 0), b"a").await.unwrap();
    decide(&mut writer, vec![first.clone()], None).await;
    // The file is named for epoch 3, whose manifest says that it is being written; epoch 5 is the first to refer to it.
    let compacted = put(&states, &states.name(Epoch(3), 0, COMPACTED_FROM), b"b").await.unwrap();
    for _ in 3..=4 {
        decide(&mut writer, vec![first.clone()], Some(Epoch(3))).await;
    }
    let report = writer.collection(4).run(i64::MAX, Duration::ZERO).await.unwrap();
    assert_eq!((report.manifests_deleted, report.state_files_deleted), (0, 0), "nobody refers to it yet");
    let begun = writer.collection(1);
    decide(&mut writer, vec![compacted.clone()], None).await;
    let report = begun.run(i64::MAX, Duration::ZERO).await.unwrap();
    assert_eq!((report.manifests_deleted, report.state_files_deleted), (3, 0));
    assert_eq!(states.read(&compacted, 0..1).await.unwrap(), "b");
    let report = writer.collection(1).run(i64::MAX, Duration::ZERO).await.unwrap();
    assert_eq!((report.manifests_deleted, report.state_files_deleted), (1, 1));
    assert_eq!(states.read(&compacted, 0..1).await.unwrap(), "b");
}
