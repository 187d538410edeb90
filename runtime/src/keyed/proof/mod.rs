//! Proves the seam of keyed steps. An engine that knows no operator runs graphs of windows, sessions and joins, with
//! kills, changing numbers of workers, compactions and epochs that are undone. After each epoch, naive oracles say what
//! every step should have given. Joins are here before the plan has such steps, so that
//! row tables are right before they hold any user data.
#![allow(clippy::unwrap_used)]

mod engine;
mod functions;
mod graph;
pub(crate) mod join;
mod oracle;
pub(crate) mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_plan::aggregate::{self, AggregateColumn, WINDOW_END, WINDOW_START};
use weir_plan::ids::Epoch;
use weir_plan::plan::Input;
use weir_plan::types::{Column, DataType};
use weir_plan::window::{Aligned, Cumulate, Sliding, Window};

use self::engine::{Files, Given, Manifest, Partition, Process, Raise, Reads, Seen};
use self::functions::Function;
use self::graph::{Graph, Node};
use self::join::{Bounds, Join};
use self::oracle::{Naive, NaiveJoin, NaiveRunning, NaiveWindows, Windows};
use self::rows::{Row, schema, time_of};
use crate::build::aggregate_step;
use crate::keyed::Marks;
use crate::keyed::running::Gives;

/// The rows that the operators here make at a time. They are so few that every closing takes many batches.
const BATCH_ROWS: usize = 3;
/// A time beyond everything that leaves.
const FAR_US: i64 = i64::MAX / 2;

/// A step and what it should give.
struct Part {
    node: Node,
    naive: Box<dyn Naive>,
}

fn of_sources() -> SchemaRef {
    schema(&["key", "value"])
}

/// What a step groups by and what it aggregates: columns of its input.
#[derive(Clone, Copy)]
struct Of {
    key: usize,
    value: usize,
    function: Function,
}

fn windows(window: Window, naive: Windows, input: Input, rows: &SchemaRef, of: Of) -> Part {
    let Of { key, value, function } = of;
    let naive = Box::new(NaiveWindows { key, value, function, windows: naive, rows: vec![], closed_us: None });
    aggregate_over(window, naive, input, rows, of, Gives::Changed)
}

fn running(expire_after_us: Option<i64>, gives: Gives, input: Input, rows: &SchemaRef, of: Of) -> Part {
    let Of { key, value, function } = of;
    let gives_all = gives == Gives::All;
    let naive = Box::new(NaiveRunning { key, value, function, expire_after_us, gives_all, groups: BTreeMap::new() });
    aggregate_over(Window::Global { expire_after_us }, naive, input, rows, of, gives)
}

fn aggregate_over(window: Window, naive: Box<dyn Naive>, input: Input, rows: &SchemaRef, of: Of, gives: Gives) -> Part {
    let Of { key, value, function } = of;
    let name = |i: usize| rows.field(i).name().clone();
    let column = |name: &str, expr: String| AggregateColumn { name: name.into(), expr, filter: None };
    // A group column may have one of the names already.
    let names = ["rows_in", "sum"].map(|own| if name(key) == own { format!("{own}_2") } else { own.to_owned() });
    let columns = [column(&names[0], "count(*)".into()), column(&names[1], function.sql.replace("{}", &name(value)))];
    let aggregate = aggregate::compile(input, rows, window, &[name(key).as_str().into()], &columns).unwrap();
    let step = aggregate_step(&Arc::new(aggregate), gives);
    Part { node: Node { step, inputs: vec![input], gives_times: window.has_bounds() }, naive }
}

fn tumbling(size_us: i64, input: Input, rows: &SchemaRef, of: Of) -> Part {
    let naive = Windows::Sliding { size_us, slide_us: size_us, offset_us: 0 };
    windows(Window::tumbling(size_us), naive, input, rows, of)
}

fn sliding([size_us, slide_us, offset_us]: [i64; 3], input: Input, rows: &SchemaRef, of: Of) -> Part {
    let window = Window::Aligned(Aligned::Sliding(Sliding::new(size_us, slide_us, offset_us)));
    windows(window, Windows::Sliding { size_us, slide_us, offset_us }, input, rows, of)
}

fn cumulate([size_us, step_us, offset_us]: [i64; 3], input: Input, rows: &SchemaRef, of: Of) -> Part {
    let window = Window::Aligned(Aligned::Cumulate(Cumulate::new(size_us, step_us, offset_us)));
    windows(window, Windows::Cumulate { size_us, step_us, offset_us }, input, rows, of)
}

/// Groups the rows of a step with windows anew, within those windows.
fn of_input(input: Input, rows: &SchemaRef, of: Of) -> Part {
    windows(Window::OfInput { starts: 0, ends: 1 }, Windows::OfInput, input, rows, of)
}

/// The columns of windows' rows: bounds, key, count and sum.
fn of_windows() -> SchemaRef {
    let rows = schema(&["key", "rows_in", "sum"]);
    let bounds = [WINDOW_START, WINDOW_END].map(|name| {
        let column = Column { name: name.into(), data_type: DataType::Timestamp, nullable: false };
        column.to_field()
    });
    Arc::new(Schema::new(bounds.into_iter().chain(rows.fields().iter().cloned()).collect::<Vec<_>>()))
}

fn session(gap_us: i64, input: Input, rows: &SchemaRef, of: Of) -> Part {
    windows(Window::Session { gap_us }, Windows::Session { gap_us }, input, rows, of)
}

fn join(bounds: Bounds, inputs: [Input; 2]) -> Part {
    let step = Join::new(bounds);
    let naive = Box::new(NaiveJoin { bounds, left: vec![], right: vec![] });
    Part { node: Node { step: Box::new(step), inputs: inputs.to_vec(), gives_times: true }, naive }
}

const CASES: [&str; 18] = [
    "tumbling",
    "sliding",
    "cumulate",
    "sliding, of its windows, session",
    "cumulate, of its windows, sliding",
    "session, sliding",
    "session",
    "inner join",
    "left join",
    "session, tumbling",
    "tumbling, session",
    "left join, session, tumbling",
    "two steps of one source",
    "join of a session and a source",
    "running",
    "running that expires",
    "running, all rows",
    "session, running that expires",
];

fn case(name: &str, rng: &mut SmallRng) -> Vec<Part> {
    let (size, gap, before, after) =
        (rng.random_range(1..12), rng.random_range(0..8), rng.random_range(0..6), rng.random_range(0..9));
    let (first, second) = (Input::Source(0), Input::Source(1));
    let bounds = |is_left, columns| Bounds { before_us: before, after_us: after, is_left, columns };
    let of_sources_both = [[0, 1], [0, 1]];
    let rows = of_sources();
    let slide = rng.random_range(1..=size);
    let (slides, steps) =
        ([size, slide, rng.random_range(-9..9)], [size.min(4) * slide, slide, rng.random_range(-9..9)]);
    let mut of = |[key, value]: [usize; 2]| Of { key, value, function: functions::any(rng) };
    match name {
        "tumbling" => vec![tumbling(size, first, &rows, of([0, 1]))],
        "sliding" => vec![sliding(slides, first, &rows, of([0, 1]))],
        "cumulate" => vec![cumulate(steps, first, &rows, of([0, 1]))],
        "sliding, of its windows, session" => vec![
            sliding(slides, first, &rows, of([0, 1])),
            of_input(Input::Step(0), &of_windows(), of([3, 4])),
            session(gap, Input::Step(1), &of_windows(), of([3, 4])),
        ],
        "cumulate, of its windows, sliding" => vec![
            cumulate(steps, first, &rows, of([0, 1])),
            of_input(Input::Step(0), &of_windows(), of([3, 4])),
            sliding(slides, Input::Step(0), &of_windows(), of([2, 3])),
        ],
        "session, sliding" => {
            vec![session(gap, first, &rows, of([0, 1])), sliding(slides, Input::Step(0), &of_windows(), of([2, 4]))]
        }
        "session" => vec![session(gap, first, &rows, of([0, 1]))],
        "inner join" => vec![join(bounds(false, of_sources_both), [first, second])],
        "left join" => vec![join(bounds(true, of_sources_both), [first, second])],
        "session, tumbling" => {
            vec![session(gap, first, &rows, of([0, 1])), tumbling(size, Input::Step(0), &of_windows(), of([2, 4]))]
        }
        "tumbling, session" => {
            let windows = tumbling(size, first, &rows, of([0, 1]));
            vec![windows, session(gap, Input::Step(0), &of_windows(), of([2, 4]))]
        }
        "left join, session, tumbling" => vec![
            join(bounds(true, of_sources_both), [first, second]),
            session(gap, Input::Step(0), &Join::schema(), of([1, 3])),
            tumbling(size, Input::Step(1), &of_windows(), of([3, 4])),
        ],
        "two steps of one source" => {
            vec![tumbling(size, first, &rows, of([0, 1])), session(gap, first, &rows, of([1, 0]))]
        }
        "join of a session and a source" => {
            vec![session(gap, first, &rows, of([0, 1])), join(bounds(true, [[2, 4], [0, 1]]), [Input::Step(0), second])]
        }
        "running" => vec![running(None, Gives::Changed, first, &rows, of([0, 1]))],
        "running that expires" => vec![running(Some(gap), Gives::Changed, first, &rows, of([0, 1]))],
        "running, all rows" => vec![running(None, Gives::All, first, &rows, of([0, 1]))],
        "session, running that expires" => vec![
            session(gap, first, &rows, of([0, 1])),
            running(Some(before), Gives::Changed, Input::Step(0), &of_windows(), of([2, 4])),
        ],
        other => panic!("no case {other}"),
    }
}

/// Rows whose times mostly rise, with ties, stragglers and nulls.
fn partitions(sources: usize, rng: &mut SmallRng) -> Vec<Partition> {
    let mut partitions = Vec::new();
    for source in 0..sources {
        for _ in 0..rng.random_range(1..4) {
            let mut now = rng.random_range(-20..20);
            let rows = (0..rng.random_range(5..60)).map(|_| {
                now += rng.random_range(0..4);
                let time = if rng.random_bool(0.1) { now - rng.random_range(0..40) } else { now };
                let key = rng.random_bool(0.92).then(|| rng.random_range(0..4));
                vec![key, rng.random_bool(0.9).then(|| rng.random_range(0..4)), Some(time)]
            });
            partitions.push(Partition { source, rows: rows.collect(), schema: of_sources() });
        }
    }
    partitions
}

/// Runs a case to its end and returns each step's rows over all epochs.
async fn run(
    what: &str,
    parts: Vec<Part>,
    partitions: &[Partition],
    no_row_is_late: bool,
    rng: &mut SmallRng,
    seen: &mut Seen,
) -> Vec<Vec<Row>> {
    let sources = partitions.iter().map(|partition| partition.source + 1).max().unwrap();
    let (nodes, mut naive): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.node, part.naive)).unzip();
    let graph = Graph::new(nodes);
    let steps = graph.nodes.len();
    let mut files = Files::new();
    let mut manifest = Manifest {
        epoch: Epoch::FIRST,
        read: vec![0; partitions.len()],
        sources_us: vec![None; sources],
        files: vec![],
    };
    let mut process = Process::start(&graph, &mut files, &manifest, rng, seen).await;
    let delay = rng.random_range(0..12);
    let mut all = vec![Vec::new(); steps];
    let mut last_epochs = 0;
    for n in 0.. {
        assert!(n < 400, "{what}: no end");
        let is_read = partitions.iter().zip(&manifest.read).all(|(partition, read)| *read == partition.rows.len());
        let most = rng.random_range(1..25);
        let to = partitions
            .iter()
            .zip(&manifest.read)
            .map(|(partition, read)| (read + rng.random_range(0..most)).min(partition.rows.len()));
        let to: Vec<usize> = to.collect();
        let sources_us = (0..sources).map(|source| {
            let mine = || partitions.iter().zip(&to).filter(|(partition, _)| partition.source == source);
            let by_rows = if no_row_is_late {
                mine().flat_map(|(partition, to)| &partition.rows[*to..]).map(time_of).min()
            } else {
                mine()
                    .map(|(partition, to)| partition.rows[..*to].iter().map(|row| time_of(row) - delay).max())
                    .min()
                    .flatten()
            };
            let before_us = manifest.sources_us[source];
            if rng.random_bool(0.15) { before_us } else { by_rows.max(before_us) }
        });
        let sources_us: Vec<_> = sources_us.collect();
        let raise = match is_read {
            true if rng.random_bool(0.5) => Raise::Until(FAR_US),
            _ if !no_row_is_late && rng.random_bool(0.08) => Raise::Until(rng.random_range(-20..120)),
            _ => Raise::No,
        };
        let reads = Reads { partitions, to, sources_us, raise };
        if rng.random_bool(0.1) {
            // The process ends before the manifest exists: nothing has happened, whatever the process has written.
            let (_, after_us) = process.run(&manifest, &reads, rng);
            if rng.random_bool(0.5) {
                process.decide(&manifest, reads.to.clone(), after_us, rng, &mut Seen::default()).await;
            }
            process = Process::start(&graph, &mut files, &manifest, rng, seen).await;
            seen.undone += 1;
        }
        let (given, after_us) = process.run(&manifest, &reads, rng);
        let next = process.decide(&manifest, reads.to.clone(), after_us, rng, seen).await;
        let (before_us, after_us) = (graph.inputs_us(&manifest.sources_us), graph.inputs_us(&next.sources_us));
        let mut expected = Given::new(steps);
        for (step, node) in graph.nodes.iter().enumerate() {
            let inputs = node.inputs.iter().map(|input| match input {
                Input::Step(before) => expected.rows[*before].clone(),
                Input::Source(source) => {
                    let read = partitions.iter().zip(manifest.read.iter().zip(&reads.to));
                    let mine = read.filter(|(partition, _)| partition.source == *source);
                    mine.flat_map(|(partition, (from, to))| partition.rows[*from..*to].to_vec()).collect()
                }
            });
            let inputs: Vec<Vec<Row>> = inputs.collect();
            let marks = Marks { before_us: before_us[step].clone(), after_us: after_us[step].clone() };
            (expected.rows[step], expected.late[step]) = naive[step].epoch(&inputs, &marks);
        }
        assert_eq!(given, expected.sorted(), "{what}, epoch {n}: {before_us:?} {after_us:?}");
        for (step, naive) in naive.iter().enumerate() {
            let limit_us = if rng.random_bool(0.3) { FAR_US } else { rng.random_range(-40..150) };
            let found = process.leaves_by(step, &after_us[step], limit_us);
            let expected = naive.leaves_us().into_iter().filter(|at_us| *at_us <= limit_us).max();
            assert_eq!(found, expected, "{what}, epoch {n}: step {step} leaves by {limit_us}");
        }
        seen.epochs += 1;
        seen.rows += given.rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
        seen.late += given.late.iter().sum::<u64>();
        all.iter_mut().zip(given.rows).for_each(|(all, rows)| all.extend(rows));
        manifest = next;
        if rng.random_bool(0.3) {
            process = Process::start(&graph, &mut files, &manifest, rng, seen).await;
            seen.kills += 1;
        }
        if matches!(raise, Raise::Until(FAR_US)) {
            last_epochs += 1;
            if (0..steps).all(|step| process.leaves_by(step, &after_us[step], FAR_US).is_none()) {
                assert!(last_epochs <= 2 * steps, "{what}: {last_epochs} last epochs");
                break;
            }
        }
    }
    all.iter_mut().for_each(|rows| rows.sort());
    all
}

/// `WEIR_PROOF_SEEDS` sets how many seeds are tried.
#[test]
fn whatever_is_killed_moved_compacted_or_undone_every_step_gives_what_its_rows_mean() {
    let seeds = std::env::var("WEIR_PROOF_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(4);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut seen = Seen::default();
    for seed in 0..seeds {
        for name in CASES {
            let what = format!("{name}, seed {seed}");
            let parts = || case(name, &mut SmallRng::seed_from_u64(seed));
            let sources = if parts().iter().any(|part| part.node.inputs.contains(&Input::Source(1))) { 2 } else { 1 };
            let mut rng = SmallRng::seed_from_u64(seed);
            let partitions = partitions(sources, &mut rng);
            runtime.block_on(run(&what, parts(), &partitions, false, &mut rng, &mut seen));
            // No row is late, so the result is the same however the input is cut into epochs. What changes until it is
            // final depends on the cuts.
            let mut cut = || runtime.block_on(run(&what, parts(), &partitions, true, &mut rng, &mut seen));
            let is_final = parts().iter().all(|part| part.node.gives_times);
            let (one, other) = (cut(), cut());
            assert!(!is_final || one == other, "{what}: two cuts differ: {one:?} and {other:?}");
        }
    }
    let Seen {
        epochs,
        kills,
        undone,
        compactions,
        in_passes,
        behind_changes,
        files_gone,
        deletes,
        rows,
        late,
        restored,
    } = seen;
    let all =
        [epochs, kills, undone, compactions, in_passes, behind_changes, files_gone, deletes, rows, late, restored];
    assert!(all.iter().all(|count| *count > 0), "{seen:?}");
}
