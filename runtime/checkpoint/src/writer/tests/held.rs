//! Checkpoints that did not write what the sinks hold, or no longer know it: old copies, lost manifests, deleted and
//! new checkpoints.

use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use weir_base::random::Random;

use super::*;
use crate::home::Home;
use crate::layout;
use crate::removal::remove;

/// All objects below a path.
async fn objects(store: &Arc<dyn ObjectStore>, below: &str) -> Vec<(Path, bytes::Bytes)> {
    let listed: Vec<_> = store.list(Some(&Path::from(below))).try_collect().await.unwrap();
    let mut all = Vec::new();
    for object in listed {
        all.push((object.location.clone(), store.get(&object.location).await.unwrap().bytes().await.unwrap()));
    }
    all
}

async fn delete(store: &Arc<dyn ObjectStore>, below: &str) {
    for (path, _) in objects(store, below).await {
        store.delete(&path).await.unwrap();
    }
}

async fn put_back(store: &Arc<dyn ObjectStore>, copy: &[(Path, bytes::Bytes)]) {
    delete(store, "c").await;
    for (path, bytes) in copy {
        store.put(path, bytes.clone().into()).await.unwrap();
    }
}

/// A run that commits this many epochs.
async fn run(store: &Arc<dyn ObjectStore>, nonce: &str, tables: &Tables, epochs: usize) -> Result<CheckpointWriter> {
    let mut writer = opened(store, nonce).await?.claim(tables, carry).await?;
    writer.recover(tables).await?;
    for _ in 0..epochs {
        commit_one(&mut writer, tables).await?;
    }
    Ok(writer)
}

/// What a claim carries after a state action.
async fn begin_lineage(newest: Option<&Manifest>, generation: Generation) -> Result<Carried> {
    Ok(Carried { begins_lineage: newest.is_some(), ..carry(newest, generation).await? })
}

/// Checks that the run is refused with these words and has left everything as it was.
async fn assert_refused(store: &Arc<dyn ObjectStore>, tables: &Tables, says: &[&str]) {
    let (before, rows) = (objects(store, "c").await, tables.rows("silver"));
    let refused = run(store, "refused", tables, 1).await.err().unwrap();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(says.iter().all(|words| refused.message.contains(words)), "{refused}");
    assert_eq!((objects(store, "c").await, tables.rows("silver")), (before, rows));
}

const WAYS_OUT: &str = "put back the checkpoint that wrote it, or go on from what is here with spec.stateAction";

#[tokio::test]
async fn an_old_copy_of_the_checkpoint_is_refused_and_the_newest_one_goes_on() {
    for without_marks in [false, true] {
        let store = in_memory();
        let tables = Tables { without_marks, ..Tables::default() };
        run(&store, "a", &tables, 2).await.unwrap();
        let old = objects(&store, "c").await;
        run(&store, "b", &tables, 3).await.unwrap();
        let new = objects(&store, "c").await;
        put_back(&store, &old).await;
        let says = [
            "sink `silver`: the table silver holds epoch 7 of this pipeline",
            "ends at epoch 3: it was put back",
            WAYS_OUT,
        ];
        assert_refused(&store, &tables, &says).await;
        put_back(&store, &new).await;
        run(&store, "c", &tables, 1).await.unwrap();
        assert_eq!(tables.rows("silver"), [(100, 110), (110, 120), (120, 130), (130, 140), (140, 150), (150, 160)]);
    }
}

#[tokio::test]
async fn an_old_copy_whose_numbers_an_older_version_has_used_again_is_refused() {
    let store = in_memory();
    let tables = Tables::default();
    run(&store, "a", &tables, 1).await.unwrap();
    let old = objects(&store, "c").await;
    run(&store, "b", &tables, 1).await.unwrap();
    put_back(&store, &old).await;
    // This writer asked no sinks. It decided epoch 4 as well, for other tables.
    let mut unaware = claimed(&store, "unaware").await;
    let elsewhere = Tables::default();
    unaware.recover(&elsewhere).await.unwrap();
    let next = epoch_after(unaware.newest(), vec![]);
    unaware.commit(next, &elsewhere).await.unwrap();
    assert_refused(
        &store,
        &tables,
        &["holds epoch 4", "00000000000000000004.json in test://checkpoint is not the manifest", WAYS_OUT],
    )
    .await;
}

#[tokio::test]
async fn a_checkpoint_without_its_newest_manifest_or_without_any_is_refused() {
    let store = in_memory();
    let tables = Tables::default();
    run(&store, "a", &tables, 2).await.unwrap();
    store.delete(&Path::from(format!("c/{}", layout::manifest(Epoch(3))))).await.unwrap();
    assert_refused(&store, &tables, &["holds epoch 3 of this pipeline", "ends at epoch 2", WAYS_OUT]).await;
    delete(&store, "c/epochs").await;
    assert_refused(&store, &tables, &["holds epoch 3 of this pipeline", "has no epochs", WAYS_OUT]).await;
    store.put(&Path::from("c/epochs/00000000000000000003.json"), "{}".into()).await.unwrap();
    store.delete(&Path::from("c/identity.json")).await.unwrap();
    assert_refused(
        &store,
        &tables,
        &["epochs/00000000000000000003.json and no identity.json", "put identity.json back"],
    )
    .await;
}

#[tokio::test]
async fn a_new_checkpoint_over_the_epochs_of_an_earlier_one_waits_for_a_person() {
    let store = in_memory();
    let tables = Tables::default();
    run(&store, "a", &tables, 2).await.unwrap();
    delete(&store, "c").await;
    assert_refused(
        &store,
        &tables,
        &["holds epoch 3 of an earlier checkpoint of this pipeline (lineage lineage-of-a)"],
    )
    .await;
    let told = Tables { excuses: true, ..tables };
    let writer = run(&store, "b", &told, 1).await.unwrap();
    assert_eq!((writer.lineage(), writer.newest().epoch), ("lineage-of-b", Epoch(2)));
    let once_more = Tables { excuses: false, ..told };
    run(&store, "c", &once_more, 1).await.unwrap();
}

#[tokio::test]
async fn a_person_may_go_on_from_an_old_copy_or_an_emptied_checkpoint_in_another_lineage() {
    for emptied in [false, true] {
        let store = in_memory();
        let tables = Tables::default();
        run(&store, "a", &tables, 1).await.unwrap();
        let old = objects(&store, "c").await;
        run(&store, "b", &tables, 5).await.unwrap();
        if emptied {
            delete(&store, "c/epochs").await;
        } else {
            put_back(&store, &old).await;
        }
        let told = Tables { excuses: true, ..tables };
        let mut writer = opened(&store, "c").await.unwrap().claim(&told, begin_lineage).await.unwrap();
        writer.recover(&told).await.unwrap();
        commit_one(&mut writer, &told).await.unwrap();
        assert_eq!(writer.lineage(), "lineage-of-a.2");
        // What remains of the old lineage does not matter to a start.
        let goes_on = Tables { excuses: false, ..told };
        run(&store, "d", &goes_on, 1).await.unwrap();
    }
}

/// Puts back a copy of the sink with the first two of six epochs.
async fn run_and_put_back(store: &Arc<dyn ObjectStore>, tables: &Tables, sink: &str) {
    run(store, "a", tables, 2).await.unwrap();
    let old = tables.copy(sink);
    run(store, "b", tables, 2).await.unwrap();
    run(store, "c", tables, 2).await.unwrap();
    tables.put_back(sink, old);
}

#[tokio::test]
async fn a_sink_that_is_put_back_from_an_old_copy_is_refused_and_the_newest_copy_goes_on() {
    for without_marks in [false, true] {
        let store = in_memory();
        let tables = Tables { without_marks, ..Tables::default() };
        run_and_put_back(&store, &tables, "late").await;
        let new = tables.copy("silver");
        let says = [
            "sink `late`: the table late has epoch 3 as its newest of this pipeline, and has had epoch 8: it was put \
             back from an old copy",
            "put the newest copy of it back",
            "`restore: {epoch: 3}`",
        ];
        assert_refused(&store, &tables, &says).await;
        // The table is as if nobody had ever written to it.
        tables.put_back("late", stubs::Table::default());
        assert_refused(
            &store,
            &tables,
            &["has no epoch of this pipeline, and has had epoch 8", "`discard: {offsets: StartFrom}`"],
        )
        .await;
        tables.put_back("late", new);
        run(&store, "d", &tables, 1).await.unwrap();
        assert_eq!(tables.rows("late"), tables.rows("silver"));
    }
}

#[tokio::test]
async fn a_person_may_go_on_from_a_sink_that_went_back_and_what_is_in_doubt_is_left_out() {
    let store = in_memory();
    let tables = Tables::default();
    run_and_put_back(&store, &tables, "late").await;
    let told = Tables { excuses: true, ..tables };
    let mut writer = opened(&store, "d").await.unwrap().claim(&told, begin_lineage).await.unwrap();
    assert_eq!((writer.newest().in_doubt, &writer.newest().acknowledged[..]), (None, [].as_slice()));
    let held =
        |manifest: &Manifest| manifest.acknowledged_before.iter().map(|of| of.acknowledged.epoch.0).collect::<Vec<_>>();
    assert_eq!(held(writer.newest()), [9, 3], "what the sinks hold now");
    writer.recover(&told).await.unwrap();
    commit_one(&mut writer, &told).await.unwrap();
    assert_eq!(told.rows("late"), [(100, 110), (110, 120), (160, 170)]);
    // From here on the sink has an epoch of the new lineage.
    let goes_on = Tables { excuses: false, ..told };
    run(&store, "e", &goes_on, 1).await.unwrap();
}

#[tokio::test]
async fn a_sink_that_is_put_back_between_a_state_action_and_its_first_rows_is_refused() {
    let store = in_memory();
    let tables = Tables::default();
    run(&store, "a", &tables, 1).await.unwrap();
    let old = tables.copy("late");
    run(&store, "b", &tables, 2).await.unwrap();
    let mut writer = opened(&store, "c").await.unwrap().claim(&tables, begin_lineage).await.unwrap();
    writer.recover(&tables).await.unwrap();
    let had = writer.newest().acknowledged_before.clone();
    assert!(writer.newest().acknowledged.is_empty() && had.len() == 2, "{had:?}");
    let new = tables.copy("late");
    tables.put_back("late", old);
    assert_refused(
        &store,
        &tables,
        &["the table late has epoch 2 as its newest of this pipeline, and has had epoch 4", "put the newest copy"],
    )
    .await;
    // An epoch of the new lineage without rows changes nothing.
    let nothing = |mut epoch: DataEpoch| {
        epoch.committables.clear();
        epoch
    };
    writer.commit(nothing(epoch_after(writer.newest(), vec![])), &tables).await.unwrap();
    let had: Vec<_> = writer.newest().acknowledged_before.iter().map(|of| of.acknowledged.epoch).collect();
    assert_eq!(had, [Epoch(5), Epoch(5)], "what was in doubt is in the sinks");
    assert_refused(&store, &tables, &["and has had epoch 5"]).await;
    tables.put_back("late", new);
    run(&store, "d", &tables, 1).await.unwrap();
    assert_eq!(tables.rows("late"), tables.rows("silver"));
}

#[tokio::test]
async fn a_manifest_says_what_every_sink_had_before_it_and_a_sink_that_is_gone_is_left_out() {
    let store = in_memory();
    let tables = Tables::default();
    let said =
        |manifest: &Manifest| manifest.acknowledged.iter().map(|of| (of.sink.clone(), of.epoch.0)).collect::<Vec<_>>();
    let both = |epoch| vec![("silver".to_owned(), epoch), ("late".to_owned(), epoch)];
    let mut writer = run(&store, "a", &tables, 1).await.unwrap();
    assert_eq!(said(writer.newest()), []);
    commit_one(&mut writer, &tables).await.unwrap();
    assert_eq!(said(writer.newest()), both(2));
    // Epoch 3 is in doubt.
    let mut writer = opened(&store, "b").await.unwrap().claim(&tables, carry).await.unwrap();
    assert_eq!((writer.newest().in_doubt, said(writer.newest())), (Some(Epoch(3)), both(2)));
    writer.recover(&tables).await.unwrap();
    let silver_only = |mut epoch: DataEpoch| {
        epoch.committables.truncate(1);
        epoch
    };
    writer.commit(silver_only(epoch_after(writer.newest(), vec![])), &tables).await.unwrap();
    assert_eq!(said(writer.newest()), both(3));
    writer.commit(silver_only(epoch_after(writer.newest(), vec![])), &tables).await.unwrap();
    assert_eq!(said(writer.newest()), [("late".to_owned(), 3), ("silver".to_owned(), 5)]);
    let without_late = async |newest: Option<&Manifest>, generation| {
        Ok(Carried { sinks: vec![pinned("silver")], ..carry(newest, generation).await? })
    };
    let writer = opened(&store, "c").await.unwrap().claim(&tables, without_late).await.unwrap();
    assert_eq!(said(writer.newest()), [("silver".to_owned(), 5)]);
}

#[tokio::test]
async fn a_checkpoint_that_is_deleted_or_replaced_under_its_writer_stops_it_before_a_sink_is_touched() {
    for all in [true, false] {
        let store = in_memory();
        let tables = Tables::default();
        let mut writer = run(&store, "a", &tables, 2).await.unwrap();
        delete(&store, if all { "c" } else { "c/epochs" }).await;
        let stopped = commit_one(&mut writer, &tables).await.unwrap_err();
        assert_eq!(stopped.remedy, Remedy::Config);
        let says = "00000000000000000003.json is gone from test://checkpoint, although no other writer has taken over";
        assert!(stopped.message.contains(says), "{stopped}");
        assert_eq!(tables.rows("silver").len(), 2);
        // In an empty folder the writer leaves nothing that the next start would stumble over.
        assert_eq!(objects(&store, "c").await.is_empty(), all);
    }
}

#[tokio::test]
async fn a_removal_fences_the_writer_that_still_runs_and_one_that_sleeps_finds_nothing_left() {
    for wakes_in_between in [true, false] {
        let store = in_memory();
        let tables = Tables::default();
        let mut writer = run(&store, "a", &tables, 2).await.unwrap();
        let place = place(store.clone());
        if wakes_in_between {
            // The claim with which the removal begins.
            claimed(&store, "removal").await;
            assert_eq!(commit_one(&mut writer, &tables).await.unwrap_err().remedy, Remedy::Fenced);
        }
        let removed =
            remove(&place, "rides", &Home::default(), RetryPolicy::default(), &Random::of_system()).await.unwrap();
        assert_eq!(removed.claimed, Some(Epoch(if wakes_in_between { 5 } else { 4 })));
        if !wakes_in_between {
            assert_eq!(commit_one(&mut writer, &tables).await.unwrap_err().remedy, Remedy::Config);
        }
        assert_eq!(objects(&store, "c").await, []);
        assert_eq!(tables.rows("silver").len(), 2);
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_at_home_on_a_cluster_is_not_removed_from_elsewhere() {
    let store = in_memory();
    let at_home = async |newest: Option<&Manifest>, generation| {
        Ok(Carried { namespace: Some("data".into()), ..carry(newest, generation).await? })
    };
    opened(&store, "a").await.unwrap().claim(&Nothing, at_home).await.unwrap();
    let before = objects(&store, "c").await;
    let place = place(store.clone());
    let refused =
        remove(&place, "rides", &Home::default(), RetryPolicy::default(), &Random::of_system()).await.unwrap_err();
    assert!(
        refused
            .message
            .starts_with("nothing was deleted: the checkpoint belongs to the pipeline in the namespace `data`"),
        "{refused}"
    );
    assert_eq!(objects(&store, "c").await, before);
    let there = Home::Cluster { namespace: None };
    assert!(remove(&place, "rides", &there, RetryPolicy::default(), &Random::of_system()).await.unwrap().identity);
}
