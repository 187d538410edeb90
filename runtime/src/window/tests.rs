//! However rows are cut into lanes, epochs and state files, a window comes out the same.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_plan::aggregate::{self, Aggregate, AggregateColumn};
use weir_plan::plan::Input;
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Tumbling;

use super::*;

const SIZE_US: i64 = 10;

#[derive(Debug, Clone, Copy)]
struct Row {
    time_us: i64,
    key: Option<&'static str>,
    value: Option<i64>,
}

fn input_schema() -> SchemaRef {
    let column = |name: &str, data_type, nullable| Column { name: name.into(), data_type, nullable }.to_field();
    Arc::new(arrow::datatypes::Schema::new(vec![
        column("key", DataType::String, true),
        column("value", DataType::Bigint, true),
        column(EVENT_TIME, DataType::Timestamp, false),
    ]))
}

fn aggregate() -> Arc<Aggregate> {
    let column = |name: &str, expr: &str| AggregateColumn { name: name.into(), expr: expr.into(), filter: None };
    let columns = [column("total", "sum(value)"), column("n", "count(*)"), column("least", "min(value)")];
    Arc::new(aggregate::compile(Input::Source(0), &input_schema(), Tumbling::new(SIZE_US), &["key".into()], &columns).unwrap())
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.key).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.value).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|r| r.time_us)
                .collect::<Vec<_>>()
                .into_iter()
                .map(Some)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
    ];
    RecordBatch::try_new(input_schema(), columns).unwrap()
}

fn partials(aggregate: &Arc<Aggregate>, rows: &[Row]) -> Option<Partials> {
    let mut lane = LanePartials::new(Arc::clone(aggregate)).unwrap();
    for part in rows.chunks(7) {
        lane.take_in(&LanePartials::prepare(aggregate, &batch(part), None).unwrap()).unwrap();
    }
    lane.drain().unwrap()
}

fn change(aggregate: &Arc<Aggregate>, rows: &[Row]) -> Change {
    Change::of(aggregate, &[partials(aggregate, rows).unwrap()]).unwrap().unwrap()
}

fn file_of(aggregate: &Aggregate, change: Change) -> Vec<u8> {
    let mut writer = state_file::Writer::default();
    writer.step("step", aggregate, [Ok(change)]).unwrap();
    writer.finish().unwrap()
}

/// All rows of a file, as one change.
fn read(aggregate: &Aggregate, file: &[u8]) -> crate::failure::Result<Partials> {
    let footer = state_file::read_footer(file)?;
    let rows = state_file::open_step(file, &footer, "step", aggregate)?.unwrap();
    let parts = rows.map(|batch| batch.map(|batch| batch.partials)).collect::<crate::failure::Result<Vec<_>>>()?;
    Ok(Change::of(aggregate, &parts)?.unwrap().partials)
}

type Windows = BTreeMap<(i64, Option<String>), (Option<i64>, i64, Option<i64>)>;

fn windows_of(rows: &RecordBatch) -> Windows {
    let starts = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    let keys = rows.column(2).as_string::<i32>();
    let number = |column: usize, row: usize| {
        let a = rows.column(column).as_primitive::<Int64Type>();
        (!arrow::array::Array::is_null(a, row)).then(|| a.value(row))
    };
    let mut windows = Windows::new();
    for row in 0..rows.num_rows() {
        let key = (!arrow::array::Array::is_null(keys, row)).then(|| keys.value(row).to_owned());
        let value = (number(3, row), number(4, row).unwrap(), number(5, row));
        assert!(windows.insert((starts.value(row), key), value).is_none(), "a group occurs twice");
    }
    windows
}

/// The definition, naively.
fn expected(rows: &[Row]) -> Windows {
    let mut windows = Windows::new();
    for r in rows {
        let start = r.time_us.div_euclid(SIZE_US) * SIZE_US;
        let entry = windows.entry((start, r.key.map(str::to_owned))).or_insert((None, 0, None));
        entry.1 += 1;
        if let Some(v) = r.value {
            entry.0 = Some(entry.0.unwrap_or(0) + v);
            entry.2 = Some(entry.2.map_or(v, |least| least.min(v)));
        }
    }
    windows
}

fn random_rows(rng: &mut SmallRng, count: usize) -> Vec<Row> {
    const KEYS: [Option<&str>; 5] = [None, Some(""), Some("a"), Some("b"), Some("ü")];
    (0..count)
        .map(|_| Row {
            time_us: rng.random_range(-50..50),
            key: KEYS[rng.random_range(0..KEYS.len())],
            value: rng.random_bool(0.9).then(|| rng.random_range(-5..5)),
        })
        .collect()
}

fn close_all(state: &mut KeyedState) -> Windows {
    state.close_up_to(i64::MAX).unwrap().map_or_else(Windows::new, |rows| windows_of(&rows))
}

fn state(aggregate: &Arc<Aggregate>) -> KeyedState {
    KeyedState::new(Arc::clone(aggregate), aggregate.output_schema())
}

#[test]
fn any_cut_into_lanes_epochs_and_files_gives_the_same_windows() {
    let aggregate = aggregate();
    for seed in 0..200 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let count = rng.random_range(0..200);
        let rows = random_rows(&mut rng, count);
        let (mut live, mut restored) = (state(&aggregate), state(&aggregate));
        let mut files = Vec::new();
        for epoch in rows.chunks(rng.random_range(1..60)) {
            let lanes: Vec<_> = epoch.chunks(rng.random_range(1..40)).filter_map(|lane| partials(&aggregate, lane)).collect();
            let Some(change) = Change::of(&aggregate, &lanes).unwrap() else { continue };
            live.apply(&change.partials).unwrap();
            files.push(file_of(&aggregate, change));
        }
        // Compacted into one, or read one after the other.
        if seed % 2 == 0 && !files.is_empty() {
            let inputs: Vec<_> = files.iter().map(|file| (file, state_file::read_footer(file).unwrap())).collect();
            let mut writer = state_file::Writer::default();
            compact(&inputs, "step", &aggregate, |_| true, rng.random_range(1..50), &mut writer).unwrap();
            files = vec![writer.finish().unwrap()];
        }
        for file in &files {
            restored.apply(&read(&aggregate, file).unwrap()).unwrap();
        }
        assert_eq!(close_all(&mut live), expected(&rows), "seed {seed}");
        assert_eq!(close_all(&mut restored), expected(&rows), "seed {seed}, restored");
    }
}

#[test]
fn a_window_closes_exactly_when_the_watermark_reaches_its_end() {
    let aggregate = aggregate();
    let mut state = state(&aggregate);
    let rows = [Row { time_us: 9, key: None, value: Some(1) }, Row { time_us: 10, key: None, value: Some(2) }];
    state.apply(&partials(&aggregate, &rows).unwrap()).unwrap();
    assert!(state.close_up_to(9).unwrap().is_none());
    assert_eq!(windows_of(&state.close_up_to(10).unwrap().unwrap()), expected(&rows[..1]));
    assert_eq!(state.open_windows(), 1);
}

#[test]
fn rows_behind_the_watermark_are_counted_and_left_out() {
    let aggregate = aggregate();
    let rows = [9, 10, 15, -1].map(|time_us| Row { time_us, key: Some("a"), value: Some(1) });
    let mut lane = LanePartials::new(Arc::clone(&aggregate)).unwrap();
    lane.take_in(&LanePartials::prepare(&aggregate, &batch(&rows), Some(10)).unwrap()).unwrap();
    assert_eq!((lane.rows_in, lane.rows_late), (4, 2));
    let mut state = state(&aggregate);
    state.apply(&lane.drain().unwrap().unwrap()).unwrap();
    assert_eq!(close_all(&mut state), expected(&rows[1..3]));
}

#[test]
fn a_state_file_that_was_cut_or_changed_anywhere_is_refused() {
    let aggregate = aggregate();
    let change = change(&aggregate, &random_rows(&mut SmallRng::seed_from_u64(1), 50));
    let file = file_of(&aggregate, change);
    let read = |file: &[u8]| read(&aggregate, file);
    assert!(read(&file).is_ok());
    for length in 0..file.len() {
        assert!(read(&file[..length]).is_err(), "cut to {length} bytes");
    }
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(read(&changed).is_err(), "byte {at} changed");
    }
}

#[test]
fn version_1_of_the_state_file_is_read() {
    let aggregate = aggregate();
    let rows = random_rows(&mut SmallRng::seed_from_u64(7), 40);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/state-v1.bin");
    if std::env::var_os("WEIR_WRITE_FIXTURES").is_some() {
        std::fs::write(path, file_of(&aggregate, change(&aggregate, &rows))).unwrap();
    }
    let file = std::fs::read(path).unwrap();
    let mut state = state(&aggregate);
    state.apply(&read(&aggregate, &file).unwrap()).unwrap();
    assert_eq!(close_all(&mut state), expected(&rows));
}

#[test]
fn state_files_are_sorted_by_key_group_window_and_key() {
    let aggregate = aggregate();
    let rows = random_rows(&mut SmallRng::seed_from_u64(3), 200);
    let lanes: Vec<_> = rows.chunks(70).filter_map(|lane| partials(&aggregate, lane)).collect();
    let Change { key_groups, partials } = Change::of(&aggregate, &lanes).unwrap().unwrap();
    let keys = partials.keys[0].as_string::<i32>();
    let order: Vec<_> =
        (0..partials.rows()).map(|i| (key_groups.value(i), partials.windows.value(i), keys.iter().nth(i).unwrap())).collect();
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
    assert_eq!(order.len(), expected(&rows).len());
}

#[test]
fn late_rows_are_those_that_the_windows_count_as_late_with_what_they_missed() {
    let aggregate = aggregate();
    let rows = [(3, "a"), (9, "b"), (10, "c"), (25, "d")];
    let rows = rows.map(|(time_us, key)| Row { time_us, key: Some(key), value: Some(1) });
    let schema = weir_plan::outputs::late_schema(&input_schema()).unwrap();
    for (watermark_us, late) in [(9, 0), (10, 2), (29, 3), (2_030, 4)] {
        let found = late_rows(&aggregate, &batch(&rows), watermark_us, &schema).unwrap();
        let mut lane = LanePartials::new(Arc::clone(&aggregate)).unwrap();
        lane.take_in(&LanePartials::prepare(&aggregate, &batch(&rows), Some(watermark_us)).unwrap()).unwrap();
        assert_eq!((found.num_rows() as u64, lane.rows_late), (late, late), "{watermark_us}");
    }
    let found = late_rows(&aggregate, &batch(&rows), 2_030, &schema).unwrap();
    let times = |column: usize| found.column(column).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!((times(2), times(3), times(4), times(5)), (vec![3, 9, 10, 25], vec![0, 0, 10, 20], vec![10, 10, 20, 30], vec![2_030; 4]));
    assert_eq!(found.column(6).as_primitive::<Int64Type>().values(), &[2, 2, 2, 2]);
}
