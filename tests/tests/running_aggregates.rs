//! Aggregates without windows: what consoles show of them in the modes Update and Complete, epoch by epoch, across
//! kills and restarts.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::engine::Exit;
use weir_tests::oracle::expr::{Expr, Op, column};
use weir_tests::oracle::graph::step::{Aggregation, Operation, Span};
use weir_tests::oracle::graph::{EventTime, Graph, Mode, Outcome, Sink, Source, Step};
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Key, Map};
use weir_tests::oracle::value::Type;
use weir_tests::oracle::{Window, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{GraphRig, RUN_LIMIT, shown as shown_by};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const PARTITIONS: i32 = 3;
const SECOND_US: i64 = 1_000_000;

type Shown = BTreeMap<(String, u64), Vec<Vec<String>>>;

fn source(is_timed: bool) -> Source {
    let column = |name: &str, r#type| Column { name: name.into(), r#type, required: false };
    Source {
        name: "rides".into(),
        topic: "rides".into(),
        columns: vec![column("city", Type::String), column("price", Type::Bigint), column("at", Type::Timestamp)],
        event_time: is_timed.then(|| EventTime::of_column("at", 5 * SECOND_US)),
        bad_records: BadRecords::Drop,
    }
}

fn totals(from: &str, value: &str, span: Span) -> Operation {
    let expr = *column(value);
    Operation::Aggregate(Aggregation {
        from: from.into(),
        span,
        group_by: vec![Key { name: "city".into(), expr: None }],
        columns: vec![
            ("rides".into(), Aggregate::CountAll),
            ("revenue".into(), Aggregate::Sum(expr.clone())),
            ("prices".into(), Aggregate::CountDistinct(expr.clone())),
            ("highest".into(), Aggregate::Max(expr)),
        ],
    })
}

fn step(name: &str, operation: Operation) -> Step {
    Step { name: name.into(), operation }
}

fn sink(name: &str, from: &str, mode: Mode) -> Sink {
    Sink { mode, ..Sink::append(name, from) }
}

fn by_city() -> Mode {
    Mode::Update { key: vec!["city".into()] }
}

/// Rides of a few cities, of which some end: their groups expire. Some come late.
fn records(rng: &mut ChaCha8Rng, count: i64, from: i64) -> Vec<(i64, Record)> {
    let record = |i: i64| {
        let late = if rng.random_bool(0.05) { rng.random_range(0..120) } else { rng.random_range(0..4) };
        let at_us = START_US + (from + i - late) * SECOND_US;
        let city = (from + i) / 40 % 7 + rng.random_range(0..3);
        let price = rng.random_bool(0.9).then(|| rng.random_range(1..50));
        let value = json!({"city": format!("c{city}"), "price": price, "at": time::format_micros(at_us)});
        let record =
            Record { partition: rng.random_range(0..PARTITIONS), key: None, value: value.to_string().into_bytes() };
        (START_US / 1_000, record)
    };
    (0..count).map(record).collect()
}

/// Runs a graph over rides under kills, and compares what it shows with what the oracle emits in the same epochs.
fn run(mut graph: Graph, seed: u64) -> Outcome {
    let kafka = kafka::shared().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    graph.name = format!("running-{seed}");
    let mut rig = GraphRig::new(graph, kafka, &[("rides".to_owned(), PARTITIONS)].into());
    rig.site.records_per_epoch = 45;
    let mut shown = Shown::new();
    let mut read = |exit: &Exit| {
        for (epoch, rows) in shown_by(&exit.stdout) {
            // An epoch that was in doubt is shown again, and is the same then.
            let rows = sorted(rows);
            assert_eq!(shown.entry(epoch.clone()).or_insert_with(|| rows.clone()), &rows, "{epoch:?}");
        }
    };
    rig.produce("rides", &records(&mut rng, 300, 0));
    for (point, nth) in [("manifest.create.after", 2), ("state.upload.after", 2), ("commit.after", 1)] {
        let exit = rig.start().fail_at(point, nth).run(RUN_LIMIT);
        assert!(exit.aborted(), "{exit:?}");
        read(&exit);
        rig.workers = Some(rng.random_range(1..4));
    }
    rig.produce("rides", &records(&mut rng, 250, 300));
    // The first run ends where the one that was killed had meant to end.
    for _ in 0..2 {
        read(&rig.finish());
    }
    let outcome = rig.assert_right();
    let consoles: Vec<_> = rig.graph.sinks.iter().filter(|sink| sink.mode != Mode::Append).collect();
    let mut epochs = 0;
    for (epoch, emitted) in &outcome.emitted {
        for sink in &consoles {
            let columns = rig.graph.columns(&sink.from);
            let expected = emitted[&sink.name].iter().map(|row| columns.iter().map(|name| text(&row[name])).collect());
            let expected = sorted(expected.collect());
            let found = shown.remove(&(sink.name.clone(), *epoch)).unwrap_or_default();
            assert_eq!(found, expected, "sink {}, epoch {epoch}", sink.name);
            epochs += usize::from(!expected.is_empty());
        }
    }
    assert!(shown.is_empty(), "shown and never decided: {shown:?}");
    assert!(epochs >= 5 * consoles.len(), "only {epochs} epochs have shown anything");
    outcome
}

fn sorted(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.sort();
    rows
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => "NULL".into(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn graph(is_timed: bool, steps: Vec<Step>, sinks: Vec<Sink>) -> Graph {
    Graph { name: String::new(), sources: vec![source(is_timed)], steps, sinks }
}

#[test]
fn changed_groups_are_shown_in_each_epoch_and_a_map_behind_sees_them_too() {
    or_skip!(kafka::shared());
    or_skip!(table::readers());
    let large = Expr::Compare(column("rides"), Op::GreaterOrEqual, Box::new(Expr::Int(20)));
    let map = Map { filter: Some(large), columns: ["city", "rides"].map(|name| (name.into(), *column(name))).into() };
    let steps = vec![
        step("totals", totals("rides", "price", Span::Running { expire_after_us: None })),
        step("large", Operation::Map("totals".into(), map)),
    ];
    let outcome = run(graph(false, steps, vec![sink("all", "totals", by_city()), sink("some", "large", by_city())]), 1);
    assert_eq!(outcome.late["totals"], 0, "no row can be late");
}

#[test]
fn the_whole_result_is_shown_in_each_epoch() {
    or_skip!(kafka::shared());
    or_skip!(table::readers());
    let steps = vec![step("totals", totals("rides", "price", Span::Running { expire_after_us: None }))];
    run(graph(false, steps, vec![sink("all", "totals", Mode::Complete)]), 2);
}

#[test]
fn groups_that_no_row_comes_for_are_forgotten_and_rows_from_before_are_late() {
    or_skip!(kafka::shared());
    or_skip!(table::readers());
    let steps = vec![step("totals", totals("rides", "price", Span::Running { expire_after_us: Some(20 * SECOND_US) }))];
    let sinks = vec![sink("all", "totals", by_city()), Sink::append("late", "totals.Late")];
    let outcome = run(graph(true, steps, sinks), 3);
    assert!(outcome.late["totals"] > 0, "{outcome:?}");
}

#[test]
fn totals_over_the_rows_of_closed_windows() {
    or_skip!(kafka::shared());
    or_skip!(table::readers());
    let steps = vec![
        step("windows", totals("rides", "price", Span::Window(Window::tumbling(10 * SECOND_US)))),
        step("totals", totals("windows", "revenue", Span::Running { expire_after_us: None })),
    ];
    run(graph(true, steps, vec![sink("all", "totals", by_city()), Sink::append("table", "windows")]), 4);
}
