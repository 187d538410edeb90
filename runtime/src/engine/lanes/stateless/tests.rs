//! A row that can't be processed costs only itself, wherever it is in a batch.
#![allow(clippy::unwrap_used)]

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::{Int64Type, Schema};
use weir_plan::expr;
use weir_plan::plan::{EventTime, Map, Step, StepOp};
use weir_plan::types::{Column, DataType, EVENT_TIME};

use super::*;
use crate::fixtures;
use crate::sink;

fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, data_type, nullable)| {
        Column { name: (*name).into(), data_type: data_type.clone(), nullable: *nullable }.to_field()
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A source with the columns `text` and `at`, whose event time is `at`; a map that keeps `number = cast(text as
/// bigint)` where it is not negative; and a sink.
fn stateless() -> Stateless {
    with_map(&DataType::String, "cast(text as bigint) >= 0", "cast(text as bigint)", &DataType::Bigint)
}

/// Like [`stateless`], with a type for the column `text`, and with the map's condition and its column `number`.
fn with_map(text: &DataType, filter: &str, number: &str, of: &DataType) -> Stateless {
    let decoded = schema(&[("text", text.clone(), true), ("at", DataType::Timestamp, true)]);
    let rows = schema(&[
        ("text", text.clone(), true),
        ("at", DataType::Timestamp, true),
        (EVENT_TIME, DataType::Timestamp, false),
    ]);
    let number = expr::compile(number, &rows, "number").unwrap();
    let output = schema(&[("number", of.clone(), true), (EVENT_TIME, DataType::Timestamp, false)]);
    let event_time = fixtures::event_time(expr::compile("at", &decoded, EVENT_TIME).unwrap());
    let source = fixtures::source("in", Some(event_time), Arc::clone(&rows));
    let map = Map {
        input: Input::Source(0),
        filter: Some(expr::compile_predicate(filter, &rows).unwrap()),
        columns: vec![number],
    };
    let step = Step { name: "numbers".into(), op: StepOp::Map(map), schema: output };
    let sink = fixtures::sink("out", Input::Step(0), schema(&[("number", of.clone(), true)]));
    let plan = fixtures::plan(vec![source], vec![step], vec![sink]);
    let fitness = plan.sinks.iter().map(sink::fitness).collect();
    Stateless::new(Graph::of(Arc::new(plan)), 0, fitness)
}

/// Checks the numbers that come out of these texts, the rows at fault, and how many rows were filtered. `at` is null
/// for an empty text, and later than allowed for 99.
/// The good parts, and the bad rows with their indices.
fn evaluated(
    stateless: &Stateless,
    decoded: &RecordBatch,
    latest_us: Option<i64>,
) -> (Vec<Evaluated>, Vec<(usize, Why)>) {
    let (mut good, mut bad, mut next) = (Vec::new(), Vec::new(), 0);
    let times = Times { before_us: &[], latest_us, now_us: 7_000_000 };
    stateless.evaluate(decoded, times, &mut |row, part| {
        assert_eq!(row, next, "parts come in the order of rows");
        match part {
            Ok(evaluated) => {
                next += evaluated.rows;
                good.push(evaluated);
            }
            Err(why) => {
                next += 1;
                bad.push((row, why));
            }
        }
    });
    (good, bad)
}

fn check(texts: &[&str], numbers: &[i64], bad: &[(usize, &str)], filtered: u64) {
    let times: TimestampMicrosecondArray =
        texts.iter().map(|t| (!t.is_empty()).then_some(if *t == "99" { 1_001 } else { 1_000 })).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(texts.to_vec())), Arc::new(times.with_timezone("UTC"))];
    let decoded =
        RecordBatch::try_new(schema(&[("text", DataType::String, true), ("at", DataType::Timestamp, true)]), columns)
            .unwrap();
    let (good, found) = evaluated(&stateless(), &decoded, Some(1_000));
    let written: Vec<i64> = good
        .iter()
        .flat_map(|e| &e.sink_rows)
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(written, Int64Array::from(numbers.to_vec()).values().to_vec(), "{texts:?}");
    assert_eq!(good.iter().map(|e| e.filtered).sum::<u64>(), filtered, "{texts:?}");
    assert_eq!(
        good.iter().map(|e| e.rows).sum::<usize>() + found.len(),
        texts.len(),
        "every row is good or bad: {texts:?}"
    );
    assert_eq!(
        found.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        bad.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        "{texts:?}"
    );
    for ((_, why), (_, reason)) in found.iter().zip(bad) {
        match why {
            Why::Unfit(why) => assert!(why.contains(reason), "{reason:?} should be in {why:?}"),
            Why::Ahead { time_us } => assert_eq!((*time_us, *reason), (1_001, "ahead")),
        }
    }
}

#[test]
fn good_rows_come_through_in_order_and_filtered_ones_are_counted() {
    check(&["1", "-2", "3"], &[1, 3], &[], 1);
    check(&[], &[], &[], 0);
}

#[test]
fn a_row_that_fails_is_left_out_alone() {
    check(&["x"], &[], &[(0, "step `numbers`, where")], 0);
    check(&["1", "x", "3", "-4", "5"], &[1, 3, 5], &[(1, "step `numbers`")], 1);
    check(&["x", "1", "2", "y"], &[1, 2], &[(0, "x"), (3, "y")], 0);
}

#[test]
fn a_row_later_than_allowed_is_left_out_with_its_time() {
    check(&["1", "99", "2", "x"], &[1, 2], &[(1, "ahead"), (3, "x")], 0);
    check(&["99", "99"], &[], &[(0, "ahead"), (1, "ahead")], 0);
}

#[test]
fn a_row_without_event_time_is_bad() {
    check(&["1", "", "2"], &[1, 2], &[(1, "the event time (at) is null")], 0);
}

#[test]
fn all_rows_have_the_clocks_time_if_the_source_says_so() {
    let rows = schema(&[("n", DataType::Bigint, true), (EVENT_TIME, DataType::Timestamp, false)]);
    let by_record = fixtures::event_time(expr::compile("n", &rows, "n").unwrap());
    let by_clock = EventTime { clock: Clock::ProcessingTime, ..by_record };
    let source = fixtures::source("in", Some(by_clock), Arc::clone(&rows));
    let map = Map {
        input: Input::Source(0),
        filter: None,
        columns: vec![expr::compile("unix_micros(_event_time)", &rows, "n").unwrap()],
    };
    let n = schema(&[("n", DataType::Bigint, true)]);
    let step = Step { name: "times".into(), op: StepOp::Map(map), schema: Arc::clone(&rows) };
    let sink = fixtures::sink("out", Input::Step(0), Arc::clone(&n));
    let plan = fixtures::plan(vec![source], vec![step], vec![sink]);
    let fitness = plan.sinks.iter().map(sink::fitness).collect();
    let decoded = RecordBatch::try_new(n, vec![Arc::new(Int64Array::from(vec![Some(1), None]))]).unwrap();
    let (good, bad) = evaluated(&Stateless::new(Graph::of(Arc::new(plan)), 0, fitness), &decoded, None);
    assert_eq!((good.len(), bad), (1, vec![]));
    let times = good[0].event_times.as_ref().unwrap();
    assert_eq!((times.data_type(), &times.values()[..]), (&timestamp_type(), &[7_000_000; 2][..]));
    assert_eq!(good[0].sink_rows[0].column(0).as_primitive::<Int64Type>().values(), &[7_000_000; 2]);
}

/// A bad row beside it in the same buffer has no effect.
#[test]
fn a_slice_of_one_row_is_judged_by_that_row() {
    let texts: ArrayRef = Arc::new(BinaryArray::from_vec(vec!["é".as_bytes(), b"\xff"]));
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_000; 2]).with_timezone("UTC"));
    let columns = [("text", DataType::Binary, true), ("at", DataType::Timestamp, true)];
    let decoded = RecordBatch::try_new(schema(&columns), vec![texts, times]).unwrap();
    let stateless = with_map(&DataType::Binary, "text is not null", "cast(text as string)", &DataType::String);
    for (row, expected) in [(0, (1, 0)), (1, (0, 1))] {
        let (good, bad) = evaluated(&stateless, &decoded.slice(row, 1), None);
        assert_eq!((good.len(), bad.len()), expected, "{bad:?}");
    }
}

/// Each case is a column of which one row can't be computed, by a kernel that looks at a whole array or fails as a
/// whole.
#[test]
fn a_row_at_fault_is_found_among_many_whatever_fails() {
    const ROWS: usize = 1_000;
    const BAD: usize = 437;
    let binary = |bad: &[u8]| -> ArrayRef {
        Arc::new(
            (0..ROWS)
                .map(|i| Some(if i == BAD { bad.to_vec() } else { format!("é{i}").into_bytes() }))
                .collect::<BinaryArray>(),
        )
    };
    let text = |bad: &str| -> ArrayRef {
        Arc::new(
            (0..ROWS).map(|i| Some(if i == BAD { bad.to_owned() } else { i.to_string() })).collect::<StringArray>(),
        )
    };
    let cases: [(DataType, ArrayRef, &str, DataType); 8] = [
        (DataType::Binary, binary(b"a\xffb"), "cast(text as string)", DataType::String),
        (DataType::Binary, binary(b"\xc3"), "upper(cast(text as string))", DataType::String),
        (
            DataType::Binary,
            binary(b"\xff"),
            "case when text is not null then cast(text as string) end",
            DataType::String,
        ),
        (DataType::String, text("0"), "1 / cast(text as bigint)", DataType::Bigint),
        (DataType::String, text("x"), "cast(text as decimal(10,2))", DataType::Decimal { precision: 10, scale: 2 }),
        (DataType::String, text("9223372036854775807"), "cast(text as bigint) * 2", DataType::Bigint),
        (DataType::String, text("9223372036854775807"), "repeat('x', cast(text as bigint))", DataType::String),
        (DataType::String, text("9223372036854775807"), "lpad('x', cast(text as bigint), '0')", DataType::String),
    ];
    for (data_type, values, sql, of) in cases {
        let values = if sql.starts_with("1 /") { shifted(&values, BAD) } else { values };
        let times: TimestampMicrosecondArray = (0..ROWS).map(|_| Some(1_000)).collect();
        let columns: Vec<ArrayRef> = vec![values, Arc::new(times.with_timezone("UTC"))];
        let decoded = RecordBatch::try_new(
            schema(&[("text", data_type.clone(), true), ("at", DataType::Timestamp, true)]),
            columns,
        )
        .unwrap();
        let (good, bad) = evaluated(&with_map(&data_type, "text is not null", sql, &of), &decoded, None);
        assert_eq!(bad.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [BAD], "{sql}: {:?}", bad.first());
        assert_eq!(good.iter().map(|e| e.rows).sum::<usize>(), ROWS - 1, "{sql}");
        let Why::Unfit(why) = &bad[0].1 else { panic!("{sql}") };
        assert!(why.starts_with(&format!("step `numbers`, column `number`: `{sql}`: ")), "{why}");
    }
}

/// Keeps the text at `bad`, a `0`, and replaces the others by numbers that go up from 1.
fn shifted(values: &ArrayRef, bad: usize) -> ArrayRef {
    let texts = values.as_string::<i32>().iter().enumerate();
    Arc::new(
        texts
            .map(|(i, text)| if i == bad { text.map(str::to_owned) } else { Some((i + 1).to_string()) })
            .collect::<StringArray>(),
    )
}

/// Each source's lanes have what its rows come to, in the order of their sinks, and nothing of another source.
#[test]
fn rows_of_a_source_go_to_its_own_steps_and_sinks() {
    let rows = |name: &str| schema(&[(name, DataType::Bigint, true)]);
    let sources = ["a", "b"].map(|name| fixtures::source(name, None, rows(name))).to_vec();
    let map = |source: usize, name: &str| {
        let columns = vec![expr::compile(&format!("{name} * 10"), &rows(name), name).unwrap()];
        Step {
            name: format!("of-{name}"),
            op: StepOp::Map(Map { input: Input::Source(source), filter: None, columns }),
            schema: rows(name),
        }
    };
    let sinks = vec![
        fixtures::sink("maps-of-a", Input::Step(0), rows("a")),
        fixtures::sink("all-of-b", Input::Source(1), rows("b")),
        fixtures::sink("all-of-a", Input::Source(0), rows("a")),
        fixtures::sink("maps-of-b", Input::Step(1), rows("b")),
    ];
    let graph = Graph::of(Arc::new(fixtures::plan(sources, vec![map(0, "a"), map(1, "b")], sinks)));
    for (source, name, expected) in [(0, "a", vec![(0, 70), (2, 7)]), (1, "b", vec![(1, 7), (3, 70)])] {
        let sinks = &graph.stages.lanes[source].sinks;
        let fitness = sinks.iter().map(|i| sink::fitness(&graph.plan.sinks[*i])).collect();
        let decoded = RecordBatch::try_new(rows(name), vec![Arc::new(Int64Array::from(vec![7]))]).unwrap();
        let (good, bad) = evaluated(&Stateless::new(Arc::clone(&graph), source, fitness), &decoded, None);
        assert_eq!(bad, []);
        let value = |rows: &RecordBatch| rows.column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(sinks.iter().copied().zip(good[0].sink_rows.iter().map(value)).collect::<Vec<_>>(), expected);
    }
}
