//! Compaction beside commits of the writer and of others, which come between its look and its commit or whose answers
//! are lost.

use std::sync::Mutex;

use arrow::array::{Int32Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use weir_base::memory::Memory;
use weir_testing::faulty::{Fault, Faulty, through};

use super::super::maintenance::compact::{Compacted, compact};
use super::super::maintenance::table::{Maintained, Table};
use super::super::partition;
use super::*;
use crate::upkeep::{Surroundings, Writer};

/// The writer's lineage and generation, as they appear in file names.
pub(super) const LABEL: &str = "lineage-0000000001";
const HOUR_MS: i64 = 3_600_000;

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

pub(super) fn surroundings(now_ms: i64) -> Surroundings {
    Surroundings {
        now_ms: Arc::new(move || now_ms),
        steady_ms: Arc::new(move || now_ms),
        retry: QUICK,
        random: weir_base::random::Random::of_system(),
        memory: Arc::new(Memory::new(None).unwrap()),
        writer: Writer { lineage: "lineage".into(), generation: 1 },
        label: LABEL.to_owned(),
        tell: Arc::new(|_, _| {}),
    }
}

/// The table as maintenance sees it, reached through another location than the writer's.
fn maintained(table: &DeltaTable, location: Location) -> Table {
    Table::new(Maintained { location, ..table.maintained() }, &surroundings(now_ms()))
}

/// A table with one commit per epoch and one row in each.
pub(super) async fn table_of(lake: &Lake, epochs: std::ops::RangeInclusive<u64>) -> DeltaTable {
    let mut table = opened(lake).await;
    for epoch in epochs {
        append(&mut table, epoch, &[epoch.cast_signed()]).await.unwrap();
    }
    table
}

fn compacted(commits: u64, files_before: u64, files_after: u64, conflicts: u64) -> Compacted {
    Compacted { commits, files_before, files_after, conflicts }
}

/// The paths of the data files that a reader finds, as they are in the folder.
fn paths(lake: &Lake) -> Vec<String> {
    let mut paths: Vec<_> = lake.live().iter().map(|add| partition::from_uri(add["path"].as_str().unwrap())).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn small_files_become_one_with_the_same_rows_in_a_commit_that_changes_no_data() {
    let lake = Lake::new(&["city"]);
    let table = table_of(&lake, 1..=5).await;
    let before = lake.live();
    let done = compact(&maintained(&table, lake.location()), HOUR_MS).await.unwrap();
    assert_eq!((done, lake.live_numbers()), (compacted(1, 5, 1, 0), vec![1, 2, 3, 4, 5]));

    let actions = lake.actions(6);
    let info = &actions[0]["commitInfo"];
    assert_eq!(
        (&info["operation"], &info["isBlindAppend"], &info["readVersion"]),
        (&json!("OPTIMIZE"), &json!(false), &json!(5))
    );
    let removed: Vec<_> = actions.iter().filter_map(|a| a.get("remove")).collect();
    assert_eq!(removed.len(), 5);
    for (remove, add) in removed.iter().zip(&before) {
        assert_eq!(
            (&remove["path"], &remove["size"], &remove["partitionValues"]),
            (&add["path"], &add["size"], &add["partitionValues"])
        );
        assert_eq!((&remove["dataChange"], &remove["extendedFileMetadata"]), (&json!(false), &json!(true)));
        assert!(remove["deletionTimestamp"].as_i64().is_some_and(|at| at <= now_ms()));
    }
    let add = lake.live().pop().unwrap();
    assert_eq!((&add["dataChange"], &add["partitionValues"]), (&json!(false), &json!({"city": "Paris"})));
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(
        stats,
        json!({
            "numRecords": 5,
            "minValues": {"n": 1, "date": "2024-01-01"},
            "maxValues": {"n": 5, "date": "2024-01-01"},
            "nullCount": {"n": 0, "date": 0},
        })
    );
    assert!(actions.iter().all(|a| a.get("txn").is_none()));
    // Another engine reads the same.
    let theirs = deltalake::open_table(lake.location().url).await.unwrap();
    assert_eq!((theirs.version(), theirs.get_file_uris().unwrap().count()), (Some(6), 1));
}

#[tokio::test]
async fn partitions_are_not_mixed_and_nulls_and_strange_values_stay_what_they_are() {
    let lake = Lake::new(&["city", "date"]);
    let mut table = opened(&lake).await;
    let places = [(None, None), (Some("a/b c=ü%"), Some(19_723)), (Some("Paris"), None)];
    for epoch in 1..=3 {
        let rows: Vec<_> = (0..).zip(places).map(|(i, (city, date))| (epoch * 10 + i, city, date)).collect();
        let mut writer = table.files().writer("l-1").unwrap();
        writer.write(&rides(&rows)).await.unwrap();
        let (adds, _) = writer.finish().await.unwrap();
        commit(&mut table, epoch.cast_unsigned(), &adds).await.unwrap();
    }
    let values = |lake: &Lake| {
        let mut found: Vec<_> =
            lake.live().iter().map(|add| (add["partitionValues"].to_string(), lake.numbers_of(add))).collect();
        found.sort_unstable();
        found.dedup_by(|b, a| {
            a.0 == b.0 && {
                a.1.append(&mut b.1);
                true
            }
        });
        found
    };
    let before = values(&lake);
    let done = compact(&maintained(&table, lake.location()), HOUR_MS).await.unwrap();
    assert_eq!((done, lake.live().len()), (compacted(3, 9, 3, 0), 3));
    assert_eq!(values(&lake), before);
}

#[tokio::test]
async fn maps_are_what_they_were_in_the_file_that_takes_the_place_of_theirs() {
    let of = weir_plan::types::DataType::parse("map<string, array<map<string, int>>>").unwrap().to_arrow();
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("m", of.clone(), true)]));
    let lake = Lake::with(Arc::clone(&schema), &[]);
    let mut table = opened(&lake).await;
    let row = |n: i64| {
        let inner = MapBuilder::new(Some(names()), StringBuilder::new(), Int32Builder::new());
        let lists = ListBuilder::new(inner).with_field(Field::new("element", item_of(&of), true));
        let mut maps = MapBuilder::new(Some(names()), StringBuilder::new(), lists);
        for key in ["b", "a"].iter().take(usize::try_from(n % 3).unwrap()) {
            maps.keys().append_value(key);
            let inner = maps.values().values();
            inner.keys().append_value("k");
            inner.values().append_option((n % 2 == 0).then_some(7));
            inner.append(true).unwrap();
            maps.values().append(true);
        }
        maps.append(n != 3).unwrap();
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(Int64Array::from(vec![n])), Arc::new(maps.finish())];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    let rows: Vec<_> = (1..=5).map(row).collect();
    for (epoch, row) in (1..).zip(&rows) {
        let mut writer = table.files().writer("l-1").unwrap();
        writer.write(row).await.unwrap();
        let (adds, _) = writer.finish().await.unwrap();
        commit(&mut table, epoch, &adds).await.unwrap();
    }
    let done = compact(&maintained(&table, lake.location()), HOUR_MS).await.unwrap();
    assert_eq!(done, compacted(1, 5, 1, 0));
    let add = lake.live().pop().unwrap();
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(
        stats,
        json!({"numRecords": 5, "minValues": {"n": 1}, "maxValues": {"n": 5}, "nullCount": {"n": 0, "m": 1}})
    );
    let found = arrow::compute::concat_batches(&schema, &lake.read(&add)).unwrap();
    let order = arrow::compute::sort_to_indices(found.column(0), None, None).unwrap();
    let found = arrow::compute::take_record_batch(&found, &order).unwrap();
    assert_eq!(found, arrow::compute::concat_batches(&schema, &rows).unwrap());
}

fn names() -> MapFieldNames {
    MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() }
}

/// The type of the items of the arrays that the values of a map are.
fn item_of(map: &DataType) -> DataType {
    let DataType::Map(entries, _) = map else { panic!("{map} is no map") };
    let DataType::Struct(fields) = entries.data_type() else { panic!("{entries} is no struct") };
    let DataType::List(item) = fields[1].data_type() else { panic!("{} is no array", fields[1]) };
    item.data_type().clone()
}

#[tokio::test]
async fn a_file_is_complete_at_the_target_size_and_one_that_is_large_enough_stays() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    // These numbers hardly compress, so that sizes add up.
    let mut jitter = weir_base::retry::Jitter::new(7);
    let mut numbers: Vec<Vec<i64>> =
        (0..8).map(|_| (0..2_000).map(|_| jitter.draw().to_bits().cast_signed()).collect()).collect();
    for (epoch, numbers) in (1..).zip(&numbers) {
        append(&mut table, epoch, numbers).await.unwrap();
    }
    let size = lake.adds()[0]["size"].as_u64().unwrap();
    let three_each = Table { target_file_size_bytes: size * 5 / 2, ..maintained(&table, lake.location()) };
    assert_eq!(compact(&three_each, HOUR_MS).await.unwrap(), compacted(1, 8, 3, 0));
    let mut all: Vec<i64> = numbers.drain(..).flatten().collect();
    all.sort_unstable();
    assert_eq!(lake.live_numbers(), all);
    let large = Table { target_file_size_bytes: size, ..maintained(&table, lake.location()) };
    assert_eq!(compact(&large, HOUR_MS).await.unwrap(), Compacted::default());
}

#[tokio::test]
async fn an_append_that_comes_first_does_not_conflict() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let race = Fault::Race(format!("{}\n{}", json!({"txn": {"appId": "other", "version": 1}}), foreign_add()));
    let done = compact(&maintained(&table, through(&lake.location(), [race.clone(), race])), HOUR_MS).await;
    assert_eq!(done.unwrap(), compacted(1, 3, 1, 0));
    assert_eq!((lake.versions(), lake.actions(6)[0]["commitInfo"]["operation"].clone()), (7, json!("OPTIMIZE")));
}

#[tokio::test]
async fn a_file_that_another_commit_takes_away_first_is_not_brought_back() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=4).await;
    let gone = lake.live()[1].clone();
    let delete = json!({"remove": {"path": gone["path"], "deletionTimestamp": 1, "dataChange": true}});
    let done =
        compact(&maintained(&table, through(&lake.location(), [Fault::Race(delete.to_string())])), HOUR_MS).await;
    // The compaction gives way, looks again, and compacts the rest.
    assert_eq!((done.unwrap(), lake.live_numbers()), (compacted(1, 3, 1, 1), vec![1, 3, 4]));
    // The file that was written in vain is gone: four files of epochs and one of the compaction remain.
    assert_eq!(lake.stored().len(), 5);
}

#[tokio::test]
async fn metadata_that_changes_first_makes_it_look_again() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let wider = super::commits::with_column(
        &lake,
        json!({"name": "extra", "type": "double", "nullable": true, "metadata": {}}),
    );
    let done = compact(&maintained(&table, through(&lake.location(), [Fault::Race(wider.to_string())])), HOUR_MS).await;
    assert_eq!((done.unwrap(), lake.live_numbers()), (compacted(1, 3, 1, 1), vec![1, 2, 3]));
    // The new file has the column that came meanwhile, filled with nulls.
    assert!(lake.read(&lake.live()[0])[0].column_by_name("extra").is_some_and(|c| c.null_count() == 3));
}

#[tokio::test]
async fn a_protocol_that_is_not_known_leaves_the_table_alone() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let protocol = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking", "domainMetadata"]}});
    let said = message(
        compact(&maintained(&table, through(&lake.location(), [Fault::Race(protocol.to_string())])), HOUR_MS).await,
    );
    assert!(said.contains("has the feature `rowTracking`, which is not supported"), "{said}");
    assert_eq!((lake.live().len(), lake.stored().len()), (3, 3));
}

#[tokio::test]
async fn others_who_always_come_first_make_it_give_up_and_leave_nothing() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let races = vec![Fault::Race(json!({"txn": {"appId": "other", "version": 1}}).to_string()); 100];
    let done = compact(&maintained(&table, through(&lake.location(), races)), HOUR_MS).await;
    assert_eq!((done.unwrap(), lake.live().len(), lake.stored().len()), (compacted(0, 0, 0, 3), 3, 3));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_in_the_log_and_nothing_is_committed_twice() {
    for fault in [Fault::LoseAnswer, Fault::RefuseOwn, Fault::Fail, Fault::RefuseNobody] {
        let lake = Lake::new(&[]);
        let table = table_of(&lake, 1..=3).await;
        let done = compact(&maintained(&table, through(&lake.location(), [fault.clone()])), HOUR_MS).await;
        assert_eq!(
            (done, lake.versions(), lake.live_numbers()),
            (Ok(compacted(1, 3, 1, 0)), 5, vec![1, 2, 3]),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn while_it_is_not_known_whether_a_commit_landed_its_files_stay() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let away = through(&lake.location(), vec![Fault::Fail; 1_000]);
    let mut impatient = maintained(&table, away);
    impatient.means.retry = SOON_GIVEN_UP;
    let done = compact(&impatient, HOUR_MS).await;
    assert_eq!(done.map_err(|f| f.remedy), Err(weir_base::failure::Remedy::Retry));
    assert_eq!((lake.versions(), lake.stored().len()), (4, 4));
}

#[tokio::test]
async fn a_table_that_is_made_anew_meanwhile_gets_nothing() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let mut anew = lake.actions(0);
    anew.iter_mut().filter(|a| a.get("metaData").is_some()).for_each(|a| a["metaData"]["id"] = json!("another"));
    let anew = anew.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let (store, location) = Faulty::before(&lake.location(), []);
    let ours = Mutex::new(Some((lake.commit_file(0), anew)));
    // This happens between the look and the commit, when the compaction reads the clock.
    let clock = Arc::new(move || {
        if let Some((file, anew)) = ours.lock().unwrap().take() {
            std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, anew).unwrap();
        }
        now_ms()
    });
    let mut table = maintained(&table, location);
    table.means.now_ms = clock;
    let failure = compact(&table, HOUR_MS).await.unwrap_err();
    assert!(failure.message.contains("is gone from its log"), "{failure}");
    assert_eq!((lake.versions(), store.faults.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_table_with_deletion_vectors_is_left_alone() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    let mut add = lake.live()[0].clone();
    let vector = json!({"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "sizeInBytes": 40, "cardinality": 1});
    let remove = json!({"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": true}});
    add["deletionVector"] = vector;
    let features = json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}});
    lake.foreign(&[features, remove, json!({"add": add})]);
    let said = message(compact(&maintained(&table, lake.location()), HOUR_MS).await);
    assert!(said.ends_with("has deletion vectors, with which it is not compacted"), "{said}");
    assert_eq!(lake.versions(), 5);
}

#[tokio::test]
async fn files_that_are_stored_in_other_types_are_passed_over() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=3).await;
    // This is how an engine writes that stores whole numbers in four bytes. Readers widen them, and a rewrite would
    // have to.
    let narrow = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false)]));
    let rows = RecordBatch::try_new(narrow.clone(), vec![Arc::new(arrow::array::Int32Array::from(vec![4]))]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), narrow, None).unwrap();
    writer.write(&rows).unwrap();
    let file = writer.into_inner().unwrap();
    std::fs::write(lake.path("theirs.parquet"), &file).unwrap();
    let theirs = json!({"path": "theirs.parquet", "partitionValues": {}, "size": file.len(), "modificationTime": 1, "dataChange": true});
    lake.foreign(&[json!({"add": theirs})]);
    let done = compact(&maintained(&table, lake.location()), HOUR_MS).await.unwrap();
    assert_eq!((done.files_before, done.files_after), (3, 1));
    assert!(paths(&lake).contains(&"theirs.parquet".to_owned()));
}

#[tokio::test]
async fn the_writer_goes_on_after_a_compaction_came_first() {
    let lake = Lake::new(&[]);
    let mut table = table_of(&lake, 1..=3).await;
    compact(&maintained(&table, lake.location()), HOUR_MS).await.unwrap();
    assert_eq!(append(&mut table, 4, &[4]).await, Ok(CommitOutcome::Committed { version: 5 }));
    assert_eq!(append(&mut table, 4, &[4]).await, Ok(CommitOutcome::AlreadyCommitted));
    assert_eq!((lake.live_numbers(), lake.live().len()), (vec![1, 2, 3, 4], 2));
    // The next process finds the epoch, even if only a log checkpoint is left of it.
    compact(&maintained(&table, lake.location()), -HOUR_MS).await.unwrap();
    table.log.checkpoint().await.unwrap();
    assert_eq!(held_epoch(&lake).await, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_compactions_that_race_lose_and_double_nothing() {
    let lake = Lake::new(&["city"]);
    let mut table = opened(&lake).await;
    let ours = maintained(&table, lake.location());
    let theirs = maintained(&table, lake.location());
    let writer = tokio::spawn(async move {
        for epoch in 1..=60 {
            append(&mut table, epoch, &[epoch.cast_signed()]).await.unwrap();
        }
    });
    let compactions = [ours, theirs].map(|table| {
        tokio::spawn(async move {
            let mut sum = 0;
            for _ in 0..15 {
                // All partitions are quiet.
                sum += compact(&table, -HOUR_MS).await.unwrap().commits;
            }
            sum
        })
    });
    writer.await.unwrap();
    let commits: u64 = futures::future::try_join_all(compactions).await.unwrap().into_iter().sum();
    assert!(commits > 0);
    assert_eq!(lake.live_numbers(), (1..=60).collect::<Vec<_>>());
}
