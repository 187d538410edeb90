//! Rows that an epoch's writer wrote come back by the versions that appended them, whatever others did to the table in
//! between.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use serde_json::json;
use weir_testing::lake::{Lake, QUICK, rides_schema};

use super::*;
use crate::delta::tests::{commit, foreign_add, message, opened, write};

fn expected(schema: SchemaRef) -> Expected {
    Expected { rows: "rides", schema }
}

/// A lake with one table, whose version `i + 1` appends the `i`th list of numbers.
async fn lake(versions: &[&[i64]]) -> Lake {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    for (epoch, numbers) in (1..).zip(versions) {
        let adds = write(&table, epoch, numbers).await;
        commit(&mut table, epoch, &adds).await.unwrap();
    }
    lake
}

async fn open(lake: &Lake, from: Option<i64>, to: Option<i64>) -> Result<Reader> {
    Reader::open(lake.location(), &expected(rides_schema()), Versions { from, to }, QUICK).await
}

/// The numbers, by the version that appended them.
async fn read(lake: &Lake, from: Option<i64>, to: Option<i64>) -> Result<Vec<(i64, Vec<i64>)>> {
    let mut table = open(lake, from, to).await?;
    let mut found: Vec<(i64, Vec<i64>)> = Vec::new();
    while let Some((version, batch)) = table.next().await? {
        assert_eq!(batch.schema(), rides_schema());
        let numbers = batch.column(0).as_primitive::<Int64Type>().values().iter();
        match found.last_mut() {
            Some((last, of_last)) if *last == version => of_last.extend(numbers),
            _ => found.push((version, numbers.copied().collect())),
        }
    }
    Ok(found)
}

#[tokio::test]
async fn each_version_gives_the_rows_that_it_appended_and_from_the_next_one_nothing_comes_twice() {
    let many: Vec<i64> = (0..1_000).collect();
    let lake = lake(&[&[1, 2], &many, &[3]]).await;
    assert_eq!(read(&lake, None, None).await.unwrap(), [(1, vec![1, 2]), (2, many.clone()), (3, vec![3])]);
    assert_eq!(read(&lake, Some(2), Some(2)).await.unwrap(), [(2, many)]);
    assert_eq!(read(&lake, Some(4), None).await.unwrap(), []);
    assert_eq!(open(&lake, Some(4), None).await.unwrap().last_version(), 3);
}

#[tokio::test]
async fn what_is_appended_while_it_is_read_waits_for_the_next_time() {
    let lake = lake(&[&[1]]).await;
    let mut table = open(&lake, None, None).await.unwrap();
    lake.foreign(&[foreign_add()]);
    assert_eq!(table.next().await.unwrap().unwrap().0, 1);
    assert_eq!(table.next().await.unwrap(), None);
}

#[tokio::test]
async fn more_commits_than_are_asked_for_at_once_are_all_read() {
    let numbers: Vec<[i64; 1]> = (0..40).map(|n| [n]).collect();
    let versions: Vec<&[i64]> = numbers.iter().map(<[i64; 1]>::as_slice).collect();
    let found = read(&lake(&versions).await, None, None).await.unwrap();
    assert_eq!(found, (1..).zip(&numbers).map(|(v, n)| (v, n.to_vec())).collect::<Vec<_>>());
}

#[tokio::test]
async fn rows_of_a_compaction_are_not_new() {
    let lake = lake(&[&[1], &[2]]).await;
    let mut add = foreign_add();
    add["add"]["dataChange"] = json!(false);
    let removes = lake.adds().into_iter().map(|add| json!({"remove": {"path": add["path"], "dataChange": false}}));
    lake.foreign(&removes.chain([add]).collect::<Vec<_>>());
    assert_eq!(read(&lake, None, None).await.unwrap(), [(1, vec![1]), (2, vec![2])]);
}

#[tokio::test]
async fn a_version_that_changed_rows_is_refused_and_the_ones_around_it_are_not() {
    let lake = lake(&[&[1]]).await;
    let path = lake.adds()[0]["path"].clone();
    lake.foreign(&[
        json!({"commitInfo": {"operation": "DELETE"}}),
        json!({"remove": {"path": path, "dataChange": true}}),
    ]);
    let says = message(read(&lake, None, None).await);
    assert!(says.contains("version 2 of file://") && says.contains("changed rows (DELETE)"), "{says}");
    assert!(says.ends_with("read up to version 1 and from version 3 on, in two calls"), "{says}");
    assert_eq!(read(&lake, None, Some(1)).await.unwrap(), [(1, vec![1])]);
    assert_eq!(read(&lake, Some(3), None).await.unwrap(), []);
}

#[tokio::test]
async fn a_log_that_was_cleaned_up_says_where_it_begins() {
    let lake = lake(&[&[1], &[2], &[3]]).await;
    let log = Log::new(lake.location());
    log.checkpoint().await.unwrap();
    for version in 0..2 {
        std::fs::remove_file(lake.commit_file(version)).unwrap();
    }
    let says = message(read(&lake, None, None).await);
    assert!(
        says.contains("begins at version 2: version 0 was cleaned up") && says.ends_with("begin with version 2"),
        "{says}"
    );
    assert_eq!(read(&lake, Some(2), None).await.unwrap(), [(2, vec![2]), (3, vec![3])]);
}

#[tokio::test]
async fn a_data_file_that_was_vacuumed_is_named_with_its_version() {
    let lake = lake(&[&[1]]).await;
    let path = lake.adds()[0]["path"].as_str().unwrap().to_owned();
    std::fs::remove_file(lake.path(&path)).unwrap();
    let says = message(read(&lake, None, None).await);
    assert!(
        says.contains(&path) && says.contains("that version 1 of file://") && says.contains("is gone (vacuumed"),
        "{says}"
    );
}

#[tokio::test]
async fn a_table_of_other_rows_is_refused_with_the_columns_that_do_not_fit() {
    let lake = lake(&[]).await;
    let fields = [("n", DataType::Utf8), ("city", DataType::Utf8), ("reason", DataType::Utf8)];
    let schema = Arc::new(Schema::new(fields.map(|(name, t)| Field::new(name, t, true)).to_vec()));
    let says = message(Reader::open(lake.location(), &expected(schema), Versions::default(), QUICK).await);
    let end = "/table is no table of rides: `n` is bigint and not string, there is no column `reason` (string)";
    assert!(says.starts_with("the table file://") && says.ends_with(end), "{says}");

    let nothing = Lake::new(&[]);
    let says = message(open(&nothing, None, None).await);
    assert!(says.starts_with("there is no table at file://"), "{says}");
}

#[tokio::test]
async fn partition_columns_come_from_the_log_and_bytes_as_they_were() {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![
        Field::new("reason", DataType::Utf8, true),
        Field::new("at", utc, true),
        Field::new("n", DataType::Int64, true),
        Field::new("value", DataType::Binary, true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a/b = %é"), Some("a/b = %é"), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_001), Some(1_500_001), None]).with_timezone("UTC")),
        Arc::new(Int64Array::from(vec![7, 7, -7])),
        Arc::new(BinaryArray::from(vec![Some(b"\x00\xff{".as_slice()), Some(b""), None])),
    ];
    let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let lake = Lake::with(schema.clone(), &["reason", "at", "n"]);
    let mut table = opened(&lake).await;
    let mut writer = table.files().writer("lineage-1-1").unwrap();
    writer.write(&rows).await.unwrap();
    let (adds, _) = writer.finish().await.unwrap();
    commit(&mut table, 1, &adds).await.unwrap();

    let mut appended = Reader::open(lake.location(), &expected(schema), Versions::default(), QUICK).await.unwrap();
    let mut found = Vec::new();
    while let Some((_, rows)) = appended.next().await.unwrap() {
        found.push(rows);
    }
    found.sort_by_key(RecordBatch::num_rows);
    assert_eq!(found, [rows.slice(2, 1), rows.slice(0, 2)]);
}

#[test]
fn versions_that_are_not_there_are_refused() {
    for (from, to, newest, expected) in [
        (None, None, 7, Ok((0, 7))),
        (Some(3), Some(5), 7, Ok((3, 5))),
        (Some(7), Some(7), 7, Ok((7, 7))),
        (Some(8), None, 7, Ok((8, 7))),
        (Some(9), None, 7, Err("is at version 7; there is no version 9 yet to begin with")),
        (None, Some(8), 7, Err("is at version 7; there is no version 8 yet")),
        (Some(5), Some(3), 7, Err("has no versions from 5 to 3; the last one may not be below the first")),
    ] {
        assert_eq!(bounds(from, to, newest), expected.map_err(str::to_owned), "{from:?} {to:?}");
    }
}
