//! Windows come out the same however rows are cut into lanes, epochs and state files. The tests also cover which files
//! are refused, how much of a file is in memory, and what a merge of files gives.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, Int64Array, LargeListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use weir_plan::aggregate::{self, Aggregate, AggregateColumn};
use weir_plan::key_group::key_groups;
use weir_plan::plan::Input;
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Window;

use super::file::{BlockReader, Tail, read_tail};
use super::*;
use crate::failure::Failure;
use crate::keyed::proof::rows::{numbers, row_table};
use crate::keyed::windowed::tests::*;

fn change(aggregate: &Arc<Aggregate>, rows: &[Row]) -> Change {
    Change::of(&table(aggregate), &[partials(aggregate, rows).unwrap()]).unwrap().unwrap()
}

fn file_of(aggregate: &Arc<Aggregate>, change: &Change) -> Vec<u8> {
    let table = table(aggregate);
    let mut writer = file::Writer::new("0.1.0");
    for batch in file::batches(change) {
        writer.write("step", &table, &batch).unwrap();
    }
    writer.finish().unwrap().rest
}

/// Reads all rows of a file that had this checksum when it was written.
fn read(aggregate: &Arc<Aggregate>, file: &[u8], crc32: u32) -> crate::failure::Result<Vec<Change>> {
    let Tail::Footer(footer) = read_tail(file, file.len() as u64, crc32)? else { panic!("all of the file was there") };
    let mut changes = Vec::new();
    for block in &footer.blocks {
        changes.extend(read_block(&footer, block, &table(aggregate), file)?);
    }
    Ok(changes)
}

fn read_block(
    footer: &file::Footer,
    block: &file::Block,
    table: &TableSchema,
    file: &[u8],
) -> crate::failure::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut reader = BlockReader::new(footer, block, table)?;
    for chunk in block.chunks() {
        let from = usize::try_from(chunk.offset).unwrap();
        let bytes = file.get(from..from + usize::try_from(chunk.bytes).unwrap()).unwrap_or_default();
        changes.extend(reader.decode(&chunk, Bytes::copy_from_slice(bytes))?);
    }
    reader.finish()?;
    Ok(changes)
}

fn read_back(aggregate: &Arc<Aggregate>, file: &[u8]) -> Vec<Change> {
    read(aggregate, file, crc32fast::hash(file)).unwrap()
}

/// Merges all runs into one. Each run is fed in pieces.
fn merged(aggregate: &Arc<Aggregate>, runs: Vec<Vec<Change>>, rng: &mut SmallRng) -> Vec<Change> {
    let mut merge = Merge::new(table(aggregate), runs.len(), true).unwrap();
    let mut pieces = |change: Change| {
        let rows = rng.random_range(1..20);
        (0..change.rows())
            .step_by(rows)
            .map(move |from| change.slice(from, rows.min(change.rows() - from)))
            .collect::<Vec<_>>()
    };
    let mut runs: Vec<_> =
        runs.into_iter().map(|run| run.into_iter().flat_map(&mut pieces).collect::<Vec<_>>().into_iter()).collect();
    let mut all = Vec::new();
    loop {
        for run in merge.hungry() {
            merge.feed(run, runs[run].next().map(|piece| vec![piece]));
        }
        if merge.is_done() {
            return all;
        }
        if merge.hungry().is_empty() {
            all.extend(merge.next(|_| true).unwrap());
        }
    }
}

/// Asserts that the rows of these changes, one after the other, are in order, and that no place appears twice.
fn assert_sorted(changes: &[Change]) {
    let places = changes.iter().flat_map(|change| {
        let keys =
            change.entries.keys[0].as_string::<i32>().iter().map(|key| key.map(str::to_owned)).collect::<Vec<_>>();
        let places = change.key_groups.values().iter().zip(change.entries.times.values());
        places.zip(keys).map(|((group, time), key)| (*group, *time, key)).collect::<Vec<_>>()
    });
    let places: Vec<_> = places.collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
}

#[test]
fn any_cut_into_lanes_epochs_and_files_gives_the_same_windows() {
    let aggregate = aggregate();
    for seed in 0..200 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let count = rng.random_range(0..200);
        let rows = random_rows(&mut rng, count);
        let (mut live, mut restored) = (state(&aggregate), state(&aggregate));
        let mut runs = Vec::new();
        for epoch in rows.chunks(rng.random_range(1..60)) {
            let lanes: Vec<_> =
                epoch.chunks(rng.random_range(1..40)).filter_map(|lane| partials(&aggregate, lane)).collect();
            let Some(change) = Change::of(&table(&aggregate), &lanes).unwrap() else { continue };
            apply(&mut live, &change.entries);
            runs.push(read_back(&aggregate, &file_of(&aggregate, &change)));
        }
        // The runs are compacted into one, or read one after the other.
        if seed % 2 == 0 {
            let one = merged(&aggregate, runs, &mut rng);
            assert_sorted(&one);
            runs = vec![one];
        }
        for change in runs.iter().flatten() {
            apply(&mut restored, &change.entries);
        }
        assert_eq!(close_all(&mut live), expected(&rows), "seed {seed}");
        assert_eq!(close_all(&mut restored), expected(&rows), "seed {seed}, restored");
    }
}

#[test]
fn a_state_file_that_was_cut_or_changed_anywhere_or_is_another_one_is_refused() {
    let aggregate = aggregate();
    let file_of = |seed| file_of(&aggregate, &change(&aggregate, &random_rows(&mut SmallRng::seed_from_u64(seed), 50)));
    let (file, crc32) = (file_of(1), crc32fast::hash(&file_of(1)));
    let refusal = |file: &[u8]| read(&aggregate, file, crc32).map(|_| ()).unwrap_err();
    assert!(read(&aggregate, &file, crc32).is_ok());
    for length in 0..file.len() {
        assert!(refusal(&file[..length]).message.contains("spec.stateAction"), "cut to {length} bytes");
    }
    // The first eight bytes are not read, since nothing depends on them.
    for at in 8..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert_eq!(refusal(&changed).remedy, crate::failure::Remedy::Config, "byte {at} changed");
    }
    assert!(
        refusal(&file_of(2)).message.contains("its checksum is not the one that its manifest has"),
        "whole, and another one"
    );
}

#[test]
fn rows_of_any_size_are_written_in_batches_that_fit_into_memory() {
    let aggregate = aggregate();
    // One key of 3 MiB among many short ones.
    let keys: ArrayRef = Arc::new(
        (0..40_000).map(|i| Some(if i == 7 { "x".repeat(3 << 20) } else { format!("{i}") })).collect::<StringArray>(),
    );
    let number = |i: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![i; 40_000])) };
    let values = vec![number(1), number(0), number(2), number(3)];
    let entries = Entries {
        times: Int64Array::from(vec![SIZE_US - 1; 40_000]),
        deleted: None,
        keys: vec![keys, number(0)],
        values,
    };
    let change = Change::of(&table(&aggregate), &[entries]).unwrap().unwrap();
    let batches = file::batches(&change);
    assert_eq!(batches.iter().map(|batch| batch.rows()).sum::<usize>(), 40_000);
    let bytes = |batch: &Change| batch.entries.keys[0].to_data().get_slice_memory_size().unwrap();
    assert!(batches.iter().all(|batch| batch.rows() == 1 || bytes(batch) <= file::BATCH_BYTES));
    assert!(batches.len() < 40, "{} batches", batches.len());
    let file = file_of(&aggregate, &change);
    let back = read_back(&aggregate, &file);
    assert_eq!(back.len(), batches.len());
    assert_sorted(&back);
    assert_eq!(
        Change::of(&table(&aggregate), &back.into_iter().map(|c| c.0.entries).collect::<Vec<_>>())
            .unwrap()
            .unwrap()
            .rows(),
        40_000
    );
    // A reader may ask for fewer bytes than the footer has.
    let (length, crc32) = (file.len() as u64, crc32fast::hash(&file));
    let Tail::Longer(needed) = read_tail(&file[file.len() - 64..], length, crc32).unwrap() else {
        panic!("a footer in 64 bytes")
    };
    let tail = &file[file.len() - usize::try_from(needed).unwrap()..];
    assert!(matches!(read_tail(tail, length, crc32), Ok(Tail::Footer(_))));
}

/// Arrow counts the elements of a whole column for each slice of it, by which every row would be too large for a batch
/// with another one.
#[test]
fn rows_with_arrays_are_written_in_as_few_batches_as_they_need() {
    const ROWS: usize = 20_000;
    let number = |i: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![i; ROWS])) };
    let arrays = LargeListArray::from_iter_primitive::<Int64Type, _, _>((0..ROWS).map(|_| Some(vec![Some(1); 100])));
    let entries = Entries {
        times: Int64Array::from(vec![SIZE_US - 1; ROWS]),
        deleted: None,
        keys: vec![Arc::new((0..ROWS).map(|i| Some(i.to_string())).collect::<StringArray>()), number(0)],
        values: vec![Arc::new(arrays), number(0), number(2), number(3)],
    };
    let batches = file::batches(&Change::of(&table(&aggregate()), &[entries]).unwrap().unwrap());
    assert_eq!(batches.iter().map(|batch| batch.rows()).sum::<usize>(), ROWS);
    // 16 MB in batches of at most half a MiB, and at least a quarter of one.
    assert!((32..=64).contains(&batches.len()), "{} batches", batches.len());
}

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Asserts that the state is the one that the rows of a fixture's seed give.
fn assert_is_state_of_the_fixture(aggregate: &Arc<Aggregate>, changes: Vec<Change>, name: &str) {
    let mut state = state(aggregate);
    changes.iter().for_each(|change| apply(&mut state, &change.entries));
    assert_eq!(close_all(&mut state), expected(&random_rows(&mut SmallRng::seed_from_u64(7), 40)), "{name}");
}

#[test]
fn state_files_of_version_1_are_read_as_all_that_wrote_it_did() {
    let aggregate = aggregate();
    // The first file has no chunks. Before the last one was written, sums had one column.
    for name in ["state-v1.bin", "state-v1-chunks.bin", "state-v1-sums.bin"] {
        let changes = read_back(&aggregate, &std::fs::read(fixture(name)).unwrap());
        for Change(Grouped { key_groups: groups, entries }) in &changes {
            assert_eq!(
                groups.values()[..],
                key_groups(&entries.keys[..1], entries.rows()).unwrap(),
                "{name}: as they are today"
            );
        }
        assert_is_state_of_the_fixture(&aggregate, changes, name);
    }
}

/// A table of each kind: windows, and rows without a time, of which one is deleted.
#[test]
fn version_2_of_the_state_file_is_written_byte_for_byte_and_read() {
    let aggregate = aggregate();
    let windows = change(&aggregate, &random_rows(&mut SmallRng::seed_from_u64(7), 40));
    let timers = row_table("timers", &["key", "timer"], &["at"], vec![]);
    let table_of_windows = table;
    let mut table = RowTable::new(Arc::clone(&timers)).unwrap();
    let put = |table: &mut RowTable, key, at: Option<i64>| {
        let key = table.key().encode(&[numbers([Some(key)])], 1).unwrap().remove(0);
        let rest: Arc<[u8]> = RowTable::new(row_table("rest", &["timer"], &[], vec![]))
            .unwrap()
            .key()
            .encode(&[numbers([Some(1)])], 1)
            .unwrap()
            .remove(0);
        let id = RowId { key, time_us: NEVER, rest };
        match at {
            Some(at) => table.put(id, table.value().encode(&[numbers([Some(at)])], 1).unwrap().remove(0)),
            None => table.delete(id),
        }
    };
    put(&mut table, 3, Some(30));
    put(&mut table, 4, Some(40));
    assert_eq!(table.take_change(None).unwrap().unwrap().rows(), 2);
    put(&mut table, 3, None);
    put(&mut table, 5, Some(50));
    let rows = table.take_change(Some(i64::MAX)).unwrap().unwrap();
    assert_eq!((rows.rows(), table.entries()), (2, 2), "what has no time is below no horizon");

    let mut writer = file::Writer::new("0.1.0");
    file::batches(&windows)
        .iter()
        .for_each(|batch| writer.write("step", &table_of_windows(&aggregate), batch).unwrap());
    file::batches(&rows).iter().for_each(|batch| writer.write("process", &timers, batch).unwrap());
    let written = writer.finish().unwrap().rest;
    if std::env::var_os("WEIR_WRITE_FIXTURES").is_some() {
        std::fs::write(fixture("state-v2.bin"), &written).unwrap();
    }
    let file = std::fs::read(fixture("state-v2.bin")).unwrap();
    assert!(written == file, "a file is written as it always was");

    let Tail::Footer(footer) = read_tail(&file, file.len() as u64, crc32fast::hash(&file)).unwrap() else {
        panic!("all of the file was there")
    };
    let [of_windows, of_rows] = &footer.blocks[..] else { panic!("{:?}", footer.blocks) };
    assert_eq!(
        (of_windows.step.as_str(), of_windows.table.as_deref(), of_windows.kind.as_str()),
        ("step", Some("windows"), "Merge")
    );
    assert_eq!(
        (of_rows.step.as_str(), of_rows.table.as_deref(), of_rows.kind.as_str()),
        ("process", Some("timers"), "Rows")
    );
    assert_eq!((of_windows.deletes, of_rows.rows, of_rows.deletes, of_rows.times), (0, 2, 1, None));
    assert_is_state_of_the_fixture(
        &aggregate,
        read_block(&footer, of_windows, &table_of_windows(&aggregate), &file).unwrap(),
        "state-v2.bin",
    );
    let back = read_block(&footer, of_rows, &timers, &file).unwrap();
    assert_eq!(back.iter().map(|change| change.rows()).sum::<usize>(), 2);
    assert_eq!(
        (&back[0].key_groups, &back[0].entries.times, &back[0].entries.deleted),
        (&rows.key_groups, &rows.entries.times, &rows.entries.deleted)
    );
    assert_eq!((&back[0].entries.keys, &back[0].entries.values), (&rows.entries.keys, &rows.entries.values));
}

#[test]
fn a_table_of_a_later_version_or_of_another_kind_and_a_later_file_are_refused_with_what_reads_them() {
    let aggregate = aggregate();
    let windows = change(&aggregate, &random_rows(&mut SmallRng::seed_from_u64(7), 40));
    let ours = (*table(&aggregate)).clone();
    let written_as = |table: &TableSchema| {
        let mut writer = file::Writer::new("0.1.0");
        writer.write("step", table, &windows).unwrap();
        writer.finish().unwrap().rest
    };
    let version = crate::VERSION;
    let later = written_as(&TableSchema { version: 2, ..ours.clone() });
    let says = format!(
        "it has table `windows` of step `step` as Merge in version 2, and this is Weir {version}, which reads Merge \
         up to version 1; run the \
         version that wrote it, 0.1.0, or a later one"
    );
    assert_eq!(read(&aggregate, &later, crc32fast::hash(&later)).unwrap_err(), Failure::config(says));
    let rows = written_as(&TableSchema { kind: Kind::Rows, ..ours });
    assert!(read(&aggregate, &rows, crc32fast::hash(&rows)).unwrap_err().message.contains("as Rows in version 1"));

    let footer = r#"{"format":"weir.state/v3","writer":"9.3.0"}"#.as_bytes();
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    let file =
        [b"WEIRST3\n".as_slice(), footer, &length, &crc32fast::hash(footer).to_le_bytes(), b"WEIRST3\n"].concat();
    let says = format!(
        "its format is `weir.state/v3`, and this is Weir {version}, which reads `weir.state/v1` and `weir.state/v2`; \
         run the version that wrote \
         it, 9.3.0, or a later one"
    );
    assert_eq!(read(&aggregate, &file, crc32fast::hash(&file)).unwrap_err(), Failure::config(says));
}

#[test]
fn state_files_are_sorted_by_key_group_window_and_key() {
    let aggregate = aggregate();
    let rows = random_rows(&mut SmallRng::seed_from_u64(3), 200);
    let lanes: Vec<_> = rows.chunks(70).filter_map(|lane| partials(&aggregate, lane)).collect();
    let Change(Grouped { key_groups, entries }) = Change::of(&table(&aggregate), &lanes).unwrap().unwrap();
    let keys = entries.keys[0].as_string::<i32>();
    let order: Vec<_> = (0..entries.rows())
        .map(|i| (key_groups.value(i), entries.times.value(i), keys.iter().nth(i).unwrap()))
        .collect();
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
    assert_eq!(order.len(), expected(&rows).len());
}

/// Files of older versions may have such runs, since their key groups were others.
#[test]
fn a_merge_of_runs_that_are_not_in_order_ends_and_loses_nothing() {
    let aggregate = aggregate();
    for seed in 0..100 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rows = random_rows(&mut rng, 150);
        let runs = rows.chunks(40).map(|epoch| {
            let change = change(&aggregate, epoch);
            let mut pieces: Vec<_> = (0..change.rows()).map(|row| change.slice(row, 1)).collect();
            pieces.shuffle(&mut rng);
            pieces
        });
        let runs: Vec<_> = runs.collect();
        let mut restored = state(&aggregate);
        for change in merged(&aggregate, runs, &mut rng) {
            apply(&mut restored, &change.entries);
        }
        assert_eq!(close_all(&mut restored), expected(&rows), "seed {seed}");
    }
}

/// NaN and both zeros as keys, in lanes, in files and after a restore.
#[test]
fn equal_doubles_are_one_group_whatever_their_bits() {
    let double = |name: &str| Column { name: name.into(), data_type: DataType::Double, nullable: true }.to_field();
    let time = Column { name: EVENT_TIME.into(), data_type: DataType::Timestamp, nullable: false }.to_field();
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![double("x"), time]));
    let columns = [AggregateColumn { name: "n".into(), expr: "count(*)".into(), filter: None }];
    let aggregate = Arc::new(
        aggregate::compile(Input::Source(0), &schema, Window::tumbling(SIZE_US), &["x".into()], &columns).unwrap(),
    );
    let of = |values: Vec<f64>| {
        let times = TimestampMicrosecondArray::from(vec![3; values.len()]).with_timezone("UTC");
        let columns: Vec<ArrayRef> = vec![Arc::new(arrow::array::Float64Array::from(values)), Arc::new(times)];
        sent(&aggregate, [RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()], None)
            .entries
            .remove(0)
            .remove(0)
            .entries
    };
    let payload = f64::from_bits(f64::NAN.to_bits() | 1);
    let lanes = [of(vec![f64::NAN, 0.0, f64::INFINITY]), of(vec![-f64::NAN, -0.0, payload, f64::NEG_INFINITY, 1.5])];
    let change = Change::of(&table(&aggregate), &lanes).unwrap().unwrap();
    let mut restored = state(&aggregate);
    for change in read_back(&aggregate, &file_of(&aggregate, &change)) {
        apply(&mut restored, &change.entries);
    }
    let rows = closed(&mut restored, i64::MAX).unwrap();
    let (keys, counts) = (rows.column(2).as_primitive::<Float64Type>(), rows.column(3).as_primitive::<Int64Type>());
    let mut found: Vec<_> =
        keys.values().iter().map(|x| format!("{x:?}")).zip(counts.values().iter().copied()).collect();
    found.sort();
    let expected = [("-inf", 1), ("0.0", 2), ("1.5", 1), ("NaN", 3), ("inf", 1)];
    assert_eq!(found, expected.map(|(key, n)| (key.to_owned(), n)));
}
