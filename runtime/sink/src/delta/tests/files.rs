//! Data files: names, partitions, statistics, sizes.

use weir_base::failure::Remedy;

use super::*;
use crate::writing::{Part, Payload, Sealed, Slot, Writers as _};

/// Writes the batches as one epoch and commits it.
async fn write_all(lake: &Lake, batches: &[RecordBatch]) -> Vec<Value> {
    let mut table = opened(lake).await;
    let mut writer = table.files().writer("lineage-1-1").unwrap();
    for batch in batches {
        writer.write(batch).await.unwrap();
    }
    let (adds, rows) = writer.finish().await.unwrap();
    assert_eq!(rows, batches.iter().map(|b| b.num_rows() as u64).sum::<u64>());
    commit(&mut table, 1, &adds).await.unwrap();
    adds
}

#[tokio::test]
async fn rows_go_to_the_file_of_their_partition() {
    let lake = Lake::new(&["date", "city"]);
    let batch = rides(&[
        (1, Some("Paris"), Some(19_723)),
        (2, Some("a/b =%é"), None),
        (3, None, Some(19_723)),
        (4, Some("Paris"), Some(19_723)),
        (5, Some(""), Some(19_723)),
    ]);
    let adds = write_all(&lake, &[batch]).await;
    let mut found: Vec<_> = adds
        .iter()
        .map(|add| {
            let mut numbers = lake.numbers_of(add);
            numbers.sort_unstable();
            let folder = add["path"].as_str().unwrap().rsplit_once('/').unwrap().0.to_owned();
            (numbers, folder, add["partitionValues"].clone())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        (vec![1, 4], "date=2024-01-01/city=Paris", json!({"date": "2024-01-01", "city": "Paris"})),
        (
            vec![2],
            "date=__HIVE_DEFAULT_PARTITION__/city=a%252Fb%2520%253D%2525%25C3%25A9",
            json!({"date": null, "city": "a/b =%é"}),
        ),
        (vec![3], "date=2024-01-01/city=__HIVE_DEFAULT_PARTITION__", json!({"date": "2024-01-01", "city": null})),
        (vec![5], "date=2024-01-01/city=__HIVE_DEFAULT_PARTITION__", json!({"date": "2024-01-01", "city": null})),
    ];
    // Null and the empty string are one partition to readers, and may share a file or not.
    assert_eq!(found.len(), expected.len());
    for (found, (numbers, folder, values)) in found.into_iter().zip(expected) {
        assert_eq!(found, (numbers, folder.to_owned(), values));
    }
    assert!(lake.path("date=__HIVE_DEFAULT_PARTITION__/city=a%2Fb%20%3D%25%C3%A9").is_dir());
}

#[tokio::test]
async fn an_empty_partition_value_is_refused_where_null_is_not_allowed() {
    let fields = vec![Field::new("n", DataType::Int64, false), Field::new("city", DataType::Utf8, false)];
    let schema = Arc::new(Schema::new(fields));
    let lake = Lake::with(schema.clone(), &["city"]);
    let table = opened(&lake).await;
    let batch =
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec![""]))])
            .unwrap();
    let failure = table.files().writer("l").unwrap().write(&batch).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Data);
    assert!(failure.message.starts_with("the partition column `city` of the table"), "{failure}");
}

#[tokio::test]
async fn names_carry_the_epochs_label_and_stats_describe_the_rows() {
    let lake = Lake::new(&["date"]);
    let adds = write_all(&lake, &[rides(&[(5, Some("b"), None), (-2, None, None)])]).await;
    assert!(adds[0]["path"].as_str().unwrap().contains("/part-00000-lineage-1-1-"), "{}", adds[0]["path"]);
    let stats: Value = serde_json::from_str(adds[0]["stats"].as_str().unwrap()).unwrap();
    let expected = json!({"numRecords": 2, "minValues": {"n": -2, "city": "b"}, "maxValues": {"n": 5, "city": "b"}, "nullCount": {"n": 0, "city": 1}});
    assert_eq!(stats, expected);
}

#[tokio::test]
async fn a_file_is_closed_at_its_target_size_and_a_new_one_begun() {
    let mut lake = Lake::new(&[]);
    lake.delta().target_file_size_bytes = 20_000;
    let batch = |k: i64| {
        rides(&(0..2000).map(|i| ((k * 2000 + i).wrapping_mul(0x5851_F42D_4C95_7F2D), None, None)).collect::<Vec<_>>())
    };
    let batches: Vec<_> = (0..10).map(batch).collect();
    let adds = write_all(&lake, &batches).await;
    assert!((4..=10).contains(&adds.len()), "{} files", adds.len());
    assert!(adds.iter().all(|a| a["size"].as_u64().unwrap() < 60_000));
    assert_eq!(lake.numbers().len(), 20_000);
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts_and_reads_back() {
    let lake = Lake::new(&[]);
    let batch = |k: i64| {
        rides(
            &(0..100_000)
                .map(|i| ((k * 100_000 + i).wrapping_mul(0x5851_F42D_4C95_7F2D), None, None))
                .collect::<Vec<_>>(),
        )
    };
    let batches: Vec<_> = (0..25).map(batch).collect();
    let adds = write_all(&lake, &batches).await;
    assert!(adds.len() == 1 && adds[0]["size"].as_u64().unwrap() > (8 << 20), "{adds:?}");
    assert_eq!(lake.numbers_of(&adds[0]).len(), 2_500_000);
}

#[tokio::test]
async fn more_partitions_than_open_files_cost_files_not_rows() {
    let lake = Lake::new(&["date"]);
    let rows: Vec<_> = (0..1000).map(|i| (i, Some("x"), Some(i32::try_from(i % 300).unwrap()))).collect();
    let adds = write_all(&lake, &[rides(&rows)]).await;
    assert!(adds.len() >= 300, "{}", adds.len());
    assert_eq!(lake.numbers(), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn buffered_bytes_are_counted_and_nothing_is_visible_before_the_commit() {
    let lake = Lake::new(&[]);
    let table = opened(&lake).await;
    let mut writer = table.files().writer("l").unwrap();
    assert_eq!(writer.bytes_buffered(), 0);
    writer.write(&rides(&[(1, None, None)])).await.unwrap();
    assert!(writer.bytes_buffered() > 0);
    writer.finish().await.unwrap();
    assert_eq!((lake.versions(), lake.numbers()), (1, vec![]));
}

#[tokio::test]
async fn a_writer_with_less_memory_closes_its_files_sooner() {
    let lake = Lake::new(&[]);
    let table = opened(&lake).await;
    for (buffer_bytes, files) in [(0, 3), (u64::MAX, 1)] {
        let mut writer = table.files().begin(&Slot::new("l", buffer_bytes)).unwrap();
        for n in 0..3 {
            writer.write(&rides(&[(n, None, None)])).await.unwrap();
        }
        let part = writer.finish().await.unwrap();
        assert_eq!((part.rows, part.body.as_array().unwrap().len()), (3, files));
    }
}

#[tokio::test]
async fn what_several_writers_gave_is_one_payload_and_without_a_file_there_is_none() {
    let lake = Lake::new(&[]);
    let mut table = opened(&lake).await;
    let [first, second] = [&[1_i64, 2][..], &[3]].map(|numbers| write(&table, 1, numbers));
    let (first, second) = (first.await, second.await);
    let part = |rows, adds: &[Value]| Part { rows, body: json!(adds) };
    let sealed = table.seal(vec![part(2, &first), part(0, &[]), part(1, &second)]).await.unwrap();
    let adds = [first, second].concat();
    let body = json!({"adds": adds}).as_object().unwrap().clone();
    assert_eq!(sealed, Some(Sealed { rows: 3, payload: Payload { kind: "DeltaAppend".into(), body } }));
    assert_eq!(table.seal(vec![part(0, &[])]).await.unwrap(), None);
    assert_eq!(table.seal(vec![Part { rows: 1, body: json!({}) }]).await.unwrap_err().remedy, Remedy::Bug);
}
