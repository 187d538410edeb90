//! Exactly once: what happens to an epoch when answers are lost, versions are taken and tables change.

use weir_base::failure::Remedy;
use weir_testing::faulty::{Fault, Faulty, careless, through};

use super::*;
use crate::Means;

#[tokio::test]
async fn a_table_is_created_appended_to_and_opened_again() {
    let lake = Lake::new(&["date"]);
    let mut table = opened(&lake).await;
    assert_eq!((table.version(), lake.versions()), (0, 1));
    assert_eq!(append(&mut table, 1, &[1, 2]).await.unwrap(), CommitOutcome::Committed { version: 1 });

    let mut again = opened(&lake).await;
    assert_eq!((again.table_id(), again.version()), (table.table_id(), 1));
    assert_eq!(held_epoch(&lake).await, Some(1));
    assert_eq!(append(&mut again, 2, &[3]).await.unwrap(), CommitOutcome::Committed { version: 2 });
    assert_eq!(lake.numbers(), [1, 2, 3]);
}

#[tokio::test]
async fn a_commit_says_what_it_is_and_where_it_came_from() {
    let lake = Lake::new(&["date"]);
    let mut table = opened(&lake).await;
    let adds = write(&table, 7, &[1, 2]).await;
    let info = json!({"pipeline": "default/rides", "epoch": 7, "offsets": {"rides-0": [0, 2]}});
    table.append(&Decided { provenance: info.as_object().unwrap().clone(), ..decided(7) }, &adds).await.unwrap();

    let actions = lake.actions(1);
    let commit = &actions[0]["commitInfo"];
    assert_eq!(serde_json::from_str::<Value>(commit["userMetadata"].as_str().unwrap()).unwrap(), info);
    assert_eq!((commit["operation"].as_str(), commit["isBlindAppend"].as_bool()), (Some("WRITE"), Some(true)));
    assert_eq!(commit["operationParameters"], json!({"mode": "Append", "partitionBy": "[\"date\"]"}));
    assert_eq!(commit["operationMetrics"]["numOutputRows"], "2");
    let txns =
        [&actions[1], &actions[2]].map(|action| (action["txn"]["appId"].clone(), action["txn"]["version"].clone()));
    let mark_and_epoch = (107_i64 << 32) | 7;
    assert_eq!(
        txns,
        [
            (json!("weir/lineage/silver"), json!(7)),
            (json!("weir.manifest/rides/lineage/silver"), json!(mark_and_epoch))
        ]
    );
}

#[tokio::test]
async fn the_same_epoch_again_changes_nothing() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    let adds = write(&table, 1, &[1]).await;
    commit(&mut table, 1, &adds).await.unwrap();
    assert_eq!(commit(&mut table, 1, &adds).await.unwrap(), CommitOutcome::AlreadyCommitted);
    assert_eq!(commit(&mut opened(&lake).await, 1, &adds).await.unwrap(), CommitOutcome::AlreadyCommitted);
    assert_eq!((lake.versions(), lake.numbers()), (2, vec![1]));
}

#[tokio::test]
async fn the_same_number_from_another_manifest_is_refused() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    let adds = write(&table, 1, &[2]).await;
    let another = table.append(&Decided { mark: 1, ..decided(1) }, &adds).await.unwrap_err();
    assert_eq!(another.remedy, Remedy::Config);
    assert!(
        another.message.contains("holds epoch 1 of weir/lineage/silver already, and another manifest decided it"),
        "{another}"
    );
    assert_eq!(lake.numbers(), [1]);
}

#[tokio::test]
async fn a_torn_commit_is_named_with_what_to_do() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    append(&mut table, 2, &[2]).await.unwrap();
    let commit = std::fs::read(lake.commit_file(2)).unwrap();
    std::fs::write(lake.commit_file(2), &commit[..commit.len() / 2]).unwrap();
    let failure = try_opened(&lake).await.err().unwrap();
    assert_eq!(failure.remedy, Remedy::Config);
    let says = format!("_delta_log/00000000000000000002.json of {} is torn or damaged", lake.sink.place());
    assert!(failure.message.contains(&says) && failure.message.contains("put the whole file back"), "{failure}");
}

#[tokio::test]
async fn files_that_are_gone_are_missed_before_they_are_committed() {
    let lake = Lake::new(&["date"]);
    let mut table = opened(&lake).await;
    let adds = write(&table, 1, &[1]).await;
    let gone = lake.stored()[0].clone();
    std::fs::remove_file(lake.path(&gone)).unwrap();
    let refused = table.check_ready(&decided(1), &adds).await.unwrap_err();
    assert_eq!(commit(&mut table, 1, &adds).await.unwrap(), CommitOutcome::FilesGone { files: vec![gone.clone()] });
    assert_eq!(refused, table.lacks(&decided(1), std::slice::from_ref(&gone)));
    let says = format!(
        "is not in {} yet, and its file {gone} is not there: deleted (a vacuum without a retention?)",
        lake.sink.place()
    );
    assert!(refused.remedy == Remedy::Config && refused.message.contains(&says), "{refused}");
    let both = table.lacks(&decided(1), &[gone, "more.parquet".into()]);
    assert!(
        both.message.contains("and 1 more are not there") && both.message.contains("with a new spec.stateAction"),
        "{both}"
    );
    assert_eq!(lake.versions(), 1);
}

#[tokio::test]
async fn an_epoch_below_the_tables_is_fenced() {
    let lake = Lake::new(&[]);
    let mut zombie = opened(&lake).await;
    append(&mut zombie, 1, &[1]).await.unwrap();
    append(&mut opened(&lake).await, 3, &[3]).await.unwrap();
    let failure = append(&mut zombie, 2, &[2]).await.unwrap_err();
    let says =
        format!("the table {} already holds epoch 3 of weir/lineage/silver, and this is epoch 2", lake.sink.place());
    assert_eq!(failure, Failure::fenced(says));
    assert_eq!(lake.numbers(), [1, 3]);
}

#[tokio::test]
async fn applications_have_transactions_of_their_own() {
    let lake = Lake::new(&[]);
    let (mut a, mut b) = (opened(&lake).await, opened(&lake).await);
    let adds = write(&a, 5, &[5]).await;
    a.append(&Decided { lineage: "other".into(), ..decided(5) }, &adds).await.unwrap();
    assert_eq!(append(&mut b, 1, &[1]).await.unwrap(), CommitOutcome::Committed { version: 2 });
    assert_eq!(lake.numbers(), [1, 5]);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_log() {
    for fault in [Fault::LoseAnswer, Fault::RefuseOwn] {
        let lake = Lake::new(&[]);
        opened(&lake).await;
        let mut table = DeltaTable::open_or_create(
            through(&lake.location(), [fault.clone()]),
            &lake.sink,
            "p",
            &Means::of_system(QUICK),
        )
        .await
        .unwrap();
        assert_eq!(append(&mut table, 1, &[1]).await.unwrap(), CommitOutcome::AlreadyCommitted, "{fault:?}");
        assert_eq!(append(&mut table, 2, &[2]).await.unwrap(), CommitOutcome::Committed { version: 2 }, "{fault:?}");
        assert_eq!((lake.versions(), lake.numbers()), (3, vec![1, 2]), "{fault:?}");
    }
}

#[tokio::test]
async fn a_write_that_did_not_land_is_written_again() {
    for fault in [Fault::Fail, Fault::RefuseNobody] {
        let lake = Lake::new(&[]);
        opened(&lake).await;
        let faults = [fault.clone(), fault.clone()];
        let mut table =
            DeltaTable::open_or_create(through(&lake.location(), faults), &lake.sink, "p", &Means::of_system(QUICK))
                .await
                .unwrap();
        let adds = write(&table, 1, &[1]).await;
        for _ in 0..2 {
            assert_eq!(commit(&mut table, 1, &adds).await.map_err(|f| f.remedy), Err(Remedy::Retry), "{fault:?}");
        }
        assert_eq!(commit(&mut table, 1, &adds).await, Ok(CommitOutcome::Committed { version: 1 }), "{fault:?}");
        assert_eq!(lake.numbers(), [1], "{fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_ends_in_a_retry_and_the_next_call_finds_out() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    let mut table =
        DeltaTable::open_or_create(through(&lake.location(), [Fault::Hang]), &lake.sink, "p", &Means::of_system(QUICK))
            .await
            .unwrap();
    let adds = write(&table, 1, &[1]).await;
    let usual = std::mem::replace(&mut table.log.call_deadline, std::time::Duration::from_secs(2));
    let failure = commit(&mut table, 1, &adds).await.unwrap_err();
    let says = format!("commit version 1 of {}: no answer within 2s", lake.sink.place());
    assert_eq!(failure, Failure::retry(says));
    table.log.call_deadline = usual;
    assert_eq!(commit(&mut table, 1, &adds).await.unwrap(), CommitOutcome::Committed { version: 1 });
}

#[tokio::test]
async fn other_writers_commits_in_between_are_stepped_over() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    let foreign = foreign_add().to_string();
    let optimize =
        json!({"remove": {"path": "foreign.parquet", "dataChange": false, "deletionTimestamp": 1}}).to_string();
    let faults = [Fault::Race(foreign), Fault::Race(optimize)];
    let mut table =
        DeltaTable::open_or_create(through(&lake.location(), faults), &lake.sink, "p", &Means::of_system(QUICK))
            .await
            .unwrap();
    assert_eq!(append(&mut table, 1, &[1]).await.unwrap(), CommitOutcome::Committed { version: 3 });
    assert_eq!(append(&mut table, 2, &[2]).await.unwrap(), CommitOutcome::Committed { version: 4 });
}

#[tokio::test]
async fn a_commit_of_ours_that_wins_the_version_is_recognised() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    for (won, expected) in [(1, "AlreadyCommitted"), (2, "Fenced")] {
        let txn = json!({"txn": {"appId": "weir/lineage/silver", "version": won}}).to_string();
        let mut table = DeltaTable::open_or_create(
            through(&lake.location(), [Fault::Race(txn)]),
            &lake.sink,
            "p",
            &Means::of_system(QUICK),
        )
        .await
        .unwrap();
        let adds = write(&table, 1, &[1]).await;
        let outcome = commit(&mut table, 1, &adds).await.map_err(|f| f.remedy);
        assert_eq!(
            outcome,
            if won == 1 { Ok(CommitOutcome::AlreadyCommitted) } else { Err(Remedy::Fenced) },
            "{expected}"
        );
        std::fs::remove_file(lake.commit_file(1)).unwrap();
    }
}

#[tokio::test]
async fn many_foreign_commits_are_followed_over_a_log_checkpoints_gap() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    for _ in 0..150 {
        lake.foreign(&[foreign_add()]);
    }
    assert_eq!(append(&mut table, 2, &[2]).await.unwrap(), CommitOutcome::Committed { version: 152 });
    assert_eq!(append(&mut table, 3, &[3]).await.unwrap(), CommitOutcome::Committed { version: 153 });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_epoch_is_found_in_a_log_checkpoint_when_its_commit_is_gone() {
    let lake = Lake::new(&["date"]);
    let mut table = opened(&lake).await;
    for epoch in 1..=3 {
        append(&mut table, epoch, &[epoch.cast_signed()]).await.unwrap();
    }
    table.log.checkpoint().await.unwrap();
    for version in 0..=2 {
        std::fs::remove_file(lake.commit_file(version)).unwrap();
    }
    let mut again = opened(&lake).await;
    assert_eq!((again.version(), again.table_id()), (3, table.table_id()));
    let held = held_by(&again);
    let of = |lineage: &str, epoch, mark| HeldEpoch {
        lineage: lineage.into(),
        epoch: Epoch(epoch),
        mark: Some(mark),
        is_named: true,
    };
    assert_eq!(held, [of("lineage", 3, 103)]);
    assert_eq!(append(&mut again, 3, &[3]).await.unwrap(), CommitOutcome::AlreadyCommitted);
    assert_eq!(append(&mut again, 4, &[4]).await.unwrap(), CommitOutcome::Committed { version: 4 });
}

#[tokio::test]
async fn changed_metadata_that_fits_is_taken_over() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    lake.foreign(&[with_column(&lake, json!({"name": "extra", "type": "double", "nullable": true, "metadata": {}}))]);
    assert_eq!(append(&mut table, 2, &[2]).await.unwrap(), CommitOutcome::Committed { version: 3 });
    // Files of the next epoch have the new column.
    append(&mut table, 3, &[3]).await.unwrap();
    let last = lake.adds().pop().unwrap();
    assert!(lake.read(&last)[0].column_by_name("extra").is_some_and(|c| c.null_count() == 1));
}

#[tokio::test]
async fn changed_metadata_that_does_not_fit_stops_the_commit() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    lake.foreign(&[with_column(&lake, json!({"name": "must", "type": "double", "nullable": false, "metadata": {}}))]);
    let failure = append(&mut table, 2, &[2]).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Config);
    assert!(failure.message.contains("needs the column `must` (double)"), "{failure}");
    assert_eq!(lake.numbers(), [1]);
}

#[tokio::test]
async fn a_feature_that_appears_stops_the_commit() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    let features = ["appendOnly", "rowTracking", "domainMetadata"];
    lake.foreign(&[json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}})]);
    let said = message(append(&mut table, 2, &[2]).await);
    let uri = &lake.sink.place();
    let expected = format!(
        "the table {uri} has the feature `rowTracking`, which is not supported: take it away (`ALTER TABLE … DROP \
         FEATURE rowTracking` in \
         Spark), or write to another table"
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_table_that_is_dropped_and_made_anew_is_not_written_to() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    std::fs::remove_dir_all(lake.path("")).unwrap();
    assert!(
        message(append(&mut table, 2, &[2]).await)
            .ends_with("is gone: its log is empty; restore it, or begin another history with spec.stateAction")
    );

    let mut other = opened(&lake).await;
    let shorter = append(&mut table, 2, &[2]).await.unwrap_err();
    // Now another commit takes the number that we know again.
    append(&mut other, 1, &[10]).await.unwrap();
    let failure = append(&mut table, 2, &[2]).await.unwrap_err();
    assert_eq!(shorter, failure);
    let says = format!(
        "the table {} was dropped and made anew: its id is {}, and this pipeline writes to {}; begin another history \
         with spec.stateAction to write to the new one",
        lake.sink.place(),
        other.table_id(),
        table.table_id()
    );
    assert_eq!(failure, Failure::config(says));
    assert_eq!((lake.versions(), lake.numbers()), (2, vec![10]));
}

#[tokio::test]
async fn a_file_that_was_vacuumed_before_its_commit_stops_it() {
    let lake = Lake::new(&["city"]);
    let mut table = opened(&lake).await;
    let mut adds = write(&table, 1, &[1]).await;
    adds[0]["modificationTime"] = json!(1_000);
    std::fs::remove_dir_all(lake.path("city=Paris")).unwrap();
    let outcome = commit(&mut table, 1, &adds).await.unwrap();
    let CommitOutcome::FilesGone { files } = &outcome else { panic!("{outcome:?}") };
    assert!(files.len() == 1 && files[0].starts_with("city=Paris/part-"), "{files:?}");
    assert_eq!(lake.versions(), 1);
}

#[tokio::test]
async fn an_epoch_that_is_there_stays_done_though_its_files_were_compacted_and_vacuumed() {
    let lake = Lake::new(&["city"]);
    let mut table = opened(&lake).await;
    let mut adds = write(&table, 1, &[1]).await;
    adds[0]["modificationTime"] = json!(1_000);
    commit(&mut table, 1, &adds).await.unwrap();
    std::fs::remove_dir_all(lake.path("city=Paris")).unwrap();
    assert_eq!(commit(&mut opened(&lake).await, 1, &adds).await, Ok(CommitOutcome::AlreadyCommitted));
}

#[tokio::test]
async fn a_table_that_is_made_anew_just_before_the_write_is_found_out() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1]).await.unwrap();
    let (store, location) = Faulty::before(&lake.location(), []);
    let mut ours = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(QUICK)).await.unwrap();
    commit(&mut ours, 2, &[]).await.unwrap();
    // Another table takes the place, and has reached our next version by the time that we write it.
    let ddl = lake.actions(0).into_iter().map(|mut action| {
        if action.get("metaData").is_some() {
            action["metaData"]["id"] = json!("another");
        }
        action.to_string()
    });
    let anew: Vec<(i64, String)> = [(0, ddl.collect::<Vec<_>>().join("\n"))]
        .into_iter()
        .chain((1..=3).map(|v| (v, foreign_add().to_string())))
        .collect();
    *store.faults.lock().unwrap() = vec![Fault::Anew(anew)];
    let failure = commit(&mut ours, 3, &[]).await.unwrap_err();
    assert!(failure.message.contains("was dropped and made anew: its id is another"), "{failure}");
    assert_eq!((failure.remedy, lake.versions()), (Remedy::Config, 4));
}

#[tokio::test]
async fn a_store_without_conditional_puts_is_refused() {
    let lake = Lake::new(&[]);
    let said = message(
        DeltaTable::open_or_create(careless(&lake.location()), &lake.sink, "p", &Means::of_system(QUICK)).await,
    );
    assert!(said.contains("overwrites objects that must only be created if absent (If-None-Match: *)"), "{said}");
    assert_eq!(lake.versions(), 0);
}

#[tokio::test]
async fn of_two_who_create_the_table_both_get_the_same_one() {
    let lake = Lake::new(&[]);
    let (a, b) = tokio::join!(opened(&lake), opened(&lake));
    assert_eq!((a.table_id(), lake.versions()), (b.table_id(), 1));
}

#[tokio::test]
async fn writers_that_race_for_versions_all_get_one() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    let writers = (0..4).map(|writer| {
        let (location, sink) = (lake.location(), lake.sink.clone());
        tokio::spawn(async move {
            let mut table = DeltaTable::open_or_create(location, &sink, "p", &Means::of_system(QUICK)).await.unwrap();
            for epoch in 1..=10 {
                let adds = write(&table, epoch, &[i64::from(writer) * 100 + epoch.cast_signed()]).await;
                table.append(&Decided { lineage: writer.to_string(), ..decided(epoch) }, &adds).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(writers.collect::<Vec<_>>()).await.unwrap();
    let expected: Vec<i64> = (0..4).flat_map(|w| (1..=10).map(move |e| w * 100 + e)).collect();
    assert_eq!((lake.versions(), lake.numbers()), (41, expected));
}

/// The table's metadata with one more column.
pub(super) fn with_column(lake: &Lake, column: Value) -> Value {
    let mut metadata = lake.actions(0).into_iter().find_map(|a| a.get("metaData").cloned()).unwrap();
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    schema["fields"].as_array_mut().unwrap().push(column);
    metadata["schemaString"] = json!(schema.to_string());
    json!({"metaData": metadata})
}
