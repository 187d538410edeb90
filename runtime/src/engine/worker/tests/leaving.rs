//! When everything that graphs of windows and maps hold has left.

use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_plan::aggregate::{self, AggregateColumn};
use weir_plan::expr;
use weir_plan::plan::{Input, Map, Step, StepOp};
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Window;

use super::*;
use crate::fixtures;

/// `n`, and the event time.
fn schema() -> SchemaRef {
    let column =
        |name: &str, data_type| Column { name: name.into(), data_type, nullable: name != EVENT_TIME }.to_field();
    Arc::new(Schema::new(vec![column("n", DataType::Bigint), column(EVENT_TIME, DataType::Timestamp)]))
}

/// Counts by `n` in windows of random sizes, some behind maps and other windows.
fn graph(rng: &mut SmallRng) -> Arc<Graph> {
    let mut steps: Vec<Step> = Vec::new();
    for i in 0..rng.random_range(1..6) {
        let (input, rows) = match rng.random_range(0..=i) {
            0 => (Input::Source(0), schema()),
            n => (Input::Step(n - 1), Arc::clone(&steps[n - 1].schema)),
        };
        let (op, schema) = if rng.random_bool(0.3) {
            let columns = vec![expr::compile("n", &rows, "n").unwrap()];
            (StepOp::Map(Map { input, filter: None, columns }), schema())
        } else {
            let columns = [AggregateColumn { name: "rows".into(), expr: "count(*)".into(), filter: None }];
            let window = Window::tumbling(rng.random_range(1..40));
            let aggregate = aggregate::compile(input, &rows, window, &["n".into()], &columns).unwrap();
            let schema = aggregate.output_schema();
            (StepOp::Aggregate(Arc::new(aggregate)), schema)
        };
        steps.push(Step { name: format!("step{i}"), op, schema });
    }
    Graph::of(Arc::new(fixtures::plan(vec![fixtures::source("in", None, schema())], steps, vec![])))
}

/// What lanes bring of rows with random times.
fn lanes(Crew { graph, ranges, .. }: &Crew, before_us: Option<i64>, rng: &mut SmallRng) -> BTreeMap<Edge, EdgeReport> {
    let times: Vec<i64> = (0..rng.random_range(0..6)).map(|_| rng.random_range(-100..100)).collect();
    let n: ArrayRef = Arc::new(times.iter().map(|time| Some(time % 5)).collect::<Int64Array>());
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
    let rows = RecordBatch::try_new(schema(), vec![n, times]).unwrap();
    let report = |edge: &Edge| {
        let mut lane = graph.sender(*edge, *ranges).unwrap();
        lane.take_in(&graph.behind(*edge).unwrap().prepare(edge.input, &rows, None, &[before_us]).unwrap()).unwrap();
        (*edge, lane.end_epoch().unwrap())
    };
    graph.stages.lane_edges.iter().map(report).collect()
}

fn workers(seed: u64) -> usize {
    [1, 2, 3][usize::try_from(seed % 3).unwrap()]
}

/// Workers that have closed one epoch, at the watermark that is returned, and have taken in another one, which is
/// returned as `lanes` brought it.
async fn crew(seed: u64) -> (Crew, Option<i64>, BTreeMap<Edge, EdgeReport>) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut crew = Crew::new(&graph(&mut rng), workers(seed));
    crew.workers.take_in(lanes(&crew, None, &mut rng));
    let before_us = rng.random_bool(0.8).then(|| rng.random_range(-110..110));
    crew.close(&[before_us]).await;
    let mut again = rng.clone();
    crew.workers.take_in(lanes(&crew, before_us, &mut rng));
    let brought = lanes(&crew, before_us, &mut again);
    (crew, before_us, brought)
}

/// The greatest end, by window arithmetic alone, of a window that is open, that `lanes` open, or that a row of these
/// opens behind them.
async fn greatest_end(crew: &mut Crew, lanes: &BTreeMap<Edge, EdgeReport>) -> Option<i64> {
    let held = crew.workers.leaving(i64::MAX).await.unwrap();
    let plan = &crew.graph.plan;
    let mut of_steps: Vec<Option<i64>> = vec![None; plan.steps.len()];
    for (i, step) in plan.steps.iter().enumerate() {
        let before = step
            .inputs()
            .iter()
            .filter_map(|input| if let Input::Step(before) = input { of_steps[*before] } else { None })
            .max();
        of_steps[i] = match &step.op {
            StepOp::Map(_) | StepOp::Union(_) | StepOp::Unnest(_) => before,
            StepOp::Deduplicate(_) | StepOp::Over(_) => unreachable!("no such step is generated"),
            StepOp::Aggregate(aggregate) => {
                let Window::Aligned(window) = aggregate.window else { panic!("{:?}", aggregate.window) };
                let opened = times(lanes, i).into_iter().map(|time| time + 1);
                let behind = before.map(|end| window.slice_of(end - 1).leaves_us);
                opened.chain(behind).chain(held[i].map(|leaving| leaving.at_us)).max()
            }
        };
    }
    of_steps.into_iter().max().flatten()
}

/// The times of what lanes bring to a step.
fn times(lanes: &BTreeMap<Edge, EdgeReport>, step: usize) -> Vec<i64> {
    let entries =
        lanes.iter().filter(|(edge, _)| edge.step == step).flat_map(|(_, lane)| lane.entries.iter().flatten());
    entries.flat_map(|entries| entries.entries.times.values()).copied().collect()
}

fn open_windows(epoch: &KeyedEpoch) -> u64 {
    epoch.steps.iter().filter_map(|step| step.open_windows).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_that_all_leave_by_closes_every_window_of_a_graph_at_once_and_none_before_it_does() {
    let (mut found, mut with_nothing) = (0, 0);
    for seed in 0..400 {
        let (mut at, before_us, lanes) = crew(seed).await;
        let last_us = at.workers.all_leave_by(0).await.unwrap();
        assert_eq!(last_us, greatest_end(&mut at, &lanes).await, "seed {seed}");
        let Some(last_us) = last_us else {
            assert_eq!(open_windows(&at.close(&[before_us]).await.1), 0, "seed {seed}");
            with_nothing += 1;
            continue;
        };
        let (_, closed) = at.close(&[Some(last_us)]).await;
        assert_eq!((open_windows(&closed), at.workers.all_leave_by(0).await.unwrap()), (0, None), "seed {seed}");
        let (mut just_before, ..) = crew(seed).await;
        let (_, closed) = just_before.close(&[Some(last_us - 1)]).await;
        assert!(open_windows(&closed) > 0, "seed {seed}");
        assert_eq!(just_before.workers.all_leave_by(0).await.unwrap(), Some(last_us), "seed {seed}");
        found += 1;
    }
    assert!(found > 300 && with_nothing > 0, "{found} with something, {with_nothing} with nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_leaves_by_a_watermark_if_a_step_gives_a_row_when_it_is_there() {
    let mut found = [0, 0];
    for seed in 0..300 {
        let (mut crew, before_us, _) = crew(seed).await;
        let after_us = SmallRng::seed_from_u64(seed).random_range(-120..200).max(before_us.unwrap_or(i64::MIN));
        let leaves = crew.workers.something_leaves_by(0, after_us).await.unwrap();
        let (_, closed) = crew.close(&[Some(after_us)]).await;
        assert_eq!(leaves, closed.steps.iter().any(|step| step.rows_out > 0), "seed {seed}, to {after_us}");
        found[usize::from(leaves)] += 1;
    }
    assert!(found.iter().all(|found| *found > 50), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_by_a_limit_is_the_last_window_that_ends_by_it_of_what_is_held_or_was_taken_in() {
    for seed in 0..100 {
        let (mut crew, before_us, lanes) = crew(seed).await;
        let mut by_limit = BTreeMap::new();
        for limit in -200..300 {
            by_limit.insert(limit, crew.workers.leaving(limit).await.unwrap());
        }
        let (_, open) = crew.close(&[before_us]).await;
        for &step in crew.graph.keyed_steps() {
            let at = |limit: i64| by_limit[&limit][step].map(|leaving| leaving.at_us);
            let all: Vec<i64> = (-200..300).filter(|limit| at(*limit) == Some(*limit)).collect();
            let arrived = times(&lanes, step);
            assert!(arrived.iter().all(|time| all.contains(&(time + 1))), "seed {seed}: {all:?}");
            let name = &crew.graph.plan.steps[step].name;
            let stay_open = open.steps.iter().find(|of_step| of_step.name == *name).unwrap().open_windows.unwrap();
            assert!(all.len() as u64 >= stay_open, "seed {seed}: {all:?}");
            for limit in -200..300 {
                let expected = all.iter().copied().filter(|at| *at <= limit).max();
                assert_eq!(at(limit), expected, "seed {seed}, by {limit}");
            }
        }
    }
}

/// Two sources whose rows never meet. Each one's windows close by what its own steps hold.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_behind_one_source_does_not_move_the_watermark_of_another() {
    let step = |source: usize, size_us: i64| {
        let columns = [AggregateColumn { name: "n".into(), expr: "count(*)".into(), filter: None }];
        let aggregate =
            aggregate::compile(Input::Source(source), &schema(), Window::tumbling(size_us), &[], &columns).unwrap();
        let schema = aggregate.output_schema();
        Step { name: format!("of-{source}"), op: StepOp::Aggregate(Arc::new(aggregate)), schema }
    };
    let sources = ["a", "b"].map(|name| fixtures::source(name, None, schema())).to_vec();
    let graph = Graph::of(Arc::new(fixtures::plan(sources, vec![step(0, 10), step(1, 1_000)], vec![])));
    let mut crew = Crew::new(&graph, 2);
    let report = |edge: Edge, time_us: i64| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1])),
            Arc::new(TimestampMicrosecondArray::from(vec![time_us]).with_timezone("UTC")),
        ];
        let rows = RecordBatch::try_new(schema(), columns).unwrap();
        let mut lane = graph.sender(edge, KeyRanges::of(2)).unwrap();
        lane.take_in(&graph.behind(edge).unwrap().prepare(0, &rows, None, &[None]).unwrap()).unwrap();
        (edge, lane.end_epoch().unwrap())
    };
    crew.workers.take_in([report(Edge { step: 0, input: 0 }, 5), report(Edge { step: 1, input: 0 }, 50_005)].into());
    for (source, all, by_limit) in [(0, 10, Some(10)), (1, 51_000, None)] {
        assert_eq!(crew.workers.all_leave_by(source).await.unwrap(), Some(all));
        assert_eq!(crew.workers.leaves_by(source, 50_999).await.unwrap(), by_limit);
    }

    let (_, closed) = crew.close(&[Some(10), None]).await;
    let after: Vec<_> = closed
        .steps
        .iter()
        .map(|step| (step.open_windows, step.inputs[0].watermark_after_us, step.tables[0].horizon_us))
        .collect();
    assert_eq!(after, [(Some(0), Some(10), Some(10)), (Some(1), None, None)]);
}

#[test]
fn a_table_waits_for_the_sources_that_its_own_rows_come_from() {
    let count = |name: &str, input, rows: &SchemaRef| {
        let columns = [AggregateColumn { name: "n".into(), expr: "count(*)".into(), filter: None }];
        let aggregate = aggregate::compile(input, rows, Window::tumbling(10), &[], &columns).unwrap();
        Step { name: name.into(), schema: aggregate.output_schema(), op: StepOp::Aggregate(Arc::new(aggregate)) }
    };
    let first = count("first", Input::Source(0), &schema());
    let columns = vec![expr::compile("n", &first.schema, "n").unwrap()];
    let map = Step {
        name: "map".into(),
        op: StepOp::Map(Map { input: Input::Step(0), filter: None, columns }),
        schema: schema(),
    };
    let steps = vec![
        first,
        map,
        count("second", Input::Source(1), &schema()),
        count("behind the first", Input::Step(1), &schema()),
    ];
    let sources = ["a", "b"].map(|name| fixtures::source(name, None, schema())).to_vec();
    let graph = Graph::of(Arc::new(fixtures::plan(sources, steps, vec![])));
    let names: Vec<_> = graph.tables().iter().map(|table| table.step.as_str()).collect();
    assert_eq!(names, ["first", "second", "behind the first"]);
    assert_eq!(graph.horizons_us(&[Some(70), Some(30)]), [Some(70), Some(30), Some(70)]);
    assert_eq!(graph.horizons_us(&[None, Some(30)]), [None, Some(30), None]);
    for (table, owner) in [(0, 0), (1, 2), (2, 3)] {
        assert_eq!((graph.owner(table), graph.tables_of(owner).collect::<Vec<_>>()), ((owner, 0), vec![table]));
    }
}

/// If a changed document makes a step keep entries for longer, the horizon by its watermarks is lower.
#[tokio::test]
async fn a_horizon_that_was_saved_stays_until_watermarks_pass_it() {
    let mut rng = SmallRng::seed_from_u64(1);
    let graph = loop {
        let graph = graph(&mut rng);
        if graph.tables().len() == 1 {
            break graph;
        }
    };
    let mut state = KeyedState::new(&graph, 2).unwrap();
    let mut horizon_us = || {
        let told = state.at_rest(&[None]).unwrap()[0].tables[0].horizon_us;
        state.horizons.raise(&[Some(50)]);
        told
    };
    assert_eq!([horizon_us(), horizon_us()], [None, Some(50)], "what a manifest says");
    let mut crew = Crew::of(state);
    for (after_us, expected) in [(None, 50), (Some(40), 50), (Some(60), 60)] {
        let (_, closed) = crew.close(&[after_us]).await;
        assert_eq!(
            (closed.steps[0].tables[0].horizon_us, crew.workers.horizons_us()),
            (Some(expected), &[Some(expected)][..])
        );
    }
}
