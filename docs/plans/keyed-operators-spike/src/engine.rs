//! The driver. It knows steps, tables and watermarks, and no operator. Lanes read partitions and send entries to workers by key group; workers
//! own ranges of key groups; the coordinator computes all watermarks from the sources' before a worker is asked to close.
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use crate::dedup::{Dedup, Order};
use crate::join::Join;
use crate::operator::*;
use crate::oracle::*;
use crate::over::Over;
use crate::process::Process;
use crate::rng::Rng;
use crate::running::Running;
use crate::session::Session;
use crate::state::*;
use crate::tumbling::Tumbling;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Input {
    Source(usize),
    Step(usize),
}

#[derive(Clone)]
struct Node {
    step: Rc<dyn KeyedStep>,
    inputs: Vec<Input>,
}

type Graph = Vec<Node>;

#[derive(Clone)]
struct Manifest {
    /// Per partition.
    read: Vec<usize>,
    /// Per source.
    watermarks: Vec<Watermark>,
    files: Vec<File>,
}

struct Worker {
    groups: Range<u16>,
    ops: Vec<Box<dyn KeyedOperator>>,
    /// Of steps that read a step.
    senders: BTreeMap<(usize, usize), Box<dyn Sender>>,
}

/// Rows and late rows per step.
#[derive(Default, Clone, PartialEq, Debug)]
struct Given {
    rows: Vec<Vec<Row>>,
    late: Vec<Vec<Row>>,
}

impl Given {
    fn new(steps: usize) -> Self {
        Self { rows: vec![Vec::new(); steps], late: vec![Vec::new(); steps] }
    }
    fn sorted(mut self) -> Self {
        self.rows.iter_mut().chain(&mut self.late).for_each(|rows| rows.sort());
        self
    }
}

/// Watermarks of all steps' inputs, from the sources'.
fn inputs_of(graph: &Graph, sources: &[Watermark]) -> Vec<Vec<Watermark>> {
    let mut out: Vec<Watermark> = Vec::new();
    let mut all = Vec::new();
    for node in graph {
        let inputs: Vec<_> = node
            .inputs
            .iter()
            .map(|i| match i {
                Input::Source(s) => sources[*s],
                Input::Step(k) => out[*k],
            })
            .collect();
        out.push(node.step.output_watermark(&inputs));
        all.push(inputs);
    }
    all
}

/// What the sources' watermarks must be for an input's to be `at`: hold-backs added, on the way up.
fn source_mark(graph: &Graph, input: Input, at: Time) -> Time {
    match input {
        Input::Source(_) => at,
        Input::Step(k) => {
            let node = &graph[k];
            let needs = node.inputs.iter().zip(node.step.hold_backs()).map(|(i, hold)| source_mark(graph, *i, at + hold));
            needs.max().unwrap_or(at)
        }
    }
}

fn start(graph: &Graph, manifest: &Manifest, workers: u16) -> Vec<Worker> {
    let mut all: Vec<Worker> = (0..workers)
        .map(|n| Worker {
            groups: KEY_GROUPS * n / workers..KEY_GROUPS * (n + 1) / workers,
            ops: graph.iter().map(|node| node.step.operator()).collect(),
            senders: senders(graph, |input| matches!(input, Input::Step(_))),
        })
        .collect();
    let marks = inputs_of(graph, &manifest.watermarks);
    for file in &manifest.files {
        for ((step, table), entries) in &file.blocks {
            let horizon = graph[*step].step.tables()[*table].horizon(&marks[*step]);
            for worker in &mut all {
                let mine = entries.iter().filter(|e| worker.groups.contains(&e.group) && !below(e.time, horizon)).cloned().collect();
                worker.ops[*step].tables()[*table].restore(mine);
            }
        }
    }
    all
}

fn senders(graph: &Graph, of: impl Fn(Input) -> bool) -> BTreeMap<(usize, usize), Box<dyn Sender>> {
    let edges = graph.iter().enumerate().flat_map(|(k, node)| node.inputs.iter().enumerate().map(move |(i, input)| (k, i, *input, node)));
    edges.filter(|(.., input, _)| of(*input)).map(|(k, i, _, node)| ((k, i), node.step.sender(i))).collect()
}

fn route(workers: &mut [Worker], (step, input): (usize, usize), entries: Vec<Entry>, rng: &mut Rng) {
    for worker in workers {
        let mut mine: Vec<_> = entries.iter().filter(|e| worker.groups.contains(&e.group)).cloned().collect();
        rng.shuffle(&mut mine);
        if !mine.is_empty() {
            worker.ops[step].take_in(input, mine);
        }
    }
}

/// Takes what is ready of a step to its sink, and to the senders of the steps behind it.
fn hand_on(graph: &Graph, worker: &mut Worker, step: usize, before: &[Vec<Watermark>], given: &mut Given) -> bool {
    let Some(rows) = worker.ops[step].next() else { return false };
    assert!(!rows.is_empty() && rows.len() <= BATCH_ROWS);
    for ((behind, input), sender) in &mut worker.senders {
        if graph[*behind].inputs[*input] == Input::Step(step) {
            given.late[*behind].extend(sender.take_in(&rows, &before[*behind]));
        }
    }
    given.rows[step].extend(rows);
    true
}

/// How far the watermarks go beyond what the records say.
enum Raise {
    No,
    /// `closeIdleWindowsAfter`, `onEnd: EmitAll`: until whatever leaves by the limit has left.
    Until(Time),
}

fn raised(graph: &Graph, workers: &[Worker], before: &[Vec<Watermark>], given: &Given, limit: Time) -> Option<Time> {
    let mut newest: Vec<Option<Time>> = Vec::new();
    let mut to = None;
    for (k, node) in graph.iter().enumerate() {
        let held = workers.iter().filter_map(|w| w.ops[k].leaves_by(&before[k], limit)).max();
        let to_come = node.inputs.iter().enumerate().filter_map(|(i, input)| match input {
            Input::Step(before) => Some((i, newest[*before]?)),
            Input::Source(_) => None,
        });
        let to_come: Vec<_> = to_come.collect();
        let of_those = to_come.iter().filter_map(|(i, t)| node.step.leaving_of(*i, *t)).filter(|l| l.at <= limit).max();
        let leaving = held.into_iter().chain(of_those).max();
        if let Some(leaving) = leaving {
            to = to.max(node.inputs.iter().map(|i| source_mark(graph, *i, leaving.at)).max());
        }
        let given = given.rows[k].iter().map(|row| row.time).max();
        newest.push(leaving.map(|l| l.newest).max(given).max(to_come.iter().map(|(_, t)| *t).max()));
    }
    to
}

struct Epoch {
    given: Given,
    after: Vec<Watermark>,
    files: Vec<File>,
}

fn run_epoch(
    graph: &Graph,
    workers: &mut [Worker],
    from: &Manifest,
    parts: &[(usize, Vec<Row>)],
    to: &[usize],
    wanted: &[Watermark],
    raise: &Raise,
    rng: &mut Rng,
) -> Epoch {
    let before = inputs_of(graph, &from.watermarks);
    let mut given = Given::new(graph.len());
    let lanes = rng.within(1, 4) as usize;
    let mut lane_senders: Vec<_> = (0..lanes).map(|_| senders(graph, |input| matches!(input, Input::Source(_)))).collect();
    let mut at = from.read.clone();
    loop {
        let open: Vec<_> = (0..parts.len()).filter(|p| at[*p] < to[*p]).collect();
        if open.is_empty() {
            break;
        }
        let p = open[rng.within(0, open.len() as i64) as usize];
        let n = (rng.within(1, 6) as usize).min(to[p] - at[p]);
        let rows = &parts[p].1[at[p]..at[p] + n];
        at[p] += n;
        for ((k, i), sender) in &mut lane_senders[p % lanes] {
            if graph[*k].inputs[*i] == Input::Source(parts[p].0) {
                given.late[*k].extend(sender.take_in(rows, &before[*k]));
                if rng.chance(20) {
                    route(workers, (*k, *i), sender.drain(), rng);
                }
            }
        }
        if rng.chance(20) {
            let (w, k) = (rng.within(0, workers.len() as i64) as usize, rng.within(0, graph.len() as i64) as usize);
            hand_on(graph, &mut workers[w], k, &before, &mut given);
        }
    }
    rng.shuffle(&mut lane_senders);
    for lane in &mut lane_senders {
        for (edge, sender) in lane {
            route(workers, *edge, sender.drain(), rng);
        }
    }
    let mut sources = wanted.to_vec();
    if let Raise::Until(limit) = raise
        && let Some(to) = raised(graph, workers, &before, &given, *limit)
    {
        sources.iter_mut().for_each(|w| *w = (*w).max(Some(to)));
    }
    let after = inputs_of(graph, &sources);
    for k in 0..graph.len() {
        let marks = Marks { before: before[k].clone(), after: after[k].clone() };
        for worker in workers.iter_mut() {
            worker.ops[k].close(&marks);
            while hand_on(graph, worker, k, &before, &mut given) {}
        }
        for w in 0..workers.len() {
            let edges: Vec<_> = workers[w].senders.iter_mut().map(|(edge, sender)| (*edge, sender.drain())).collect();
            for (edge, entries) in edges {
                route(workers, edge, entries, rng);
            }
        }
        let out = graph[k].step.output_watermark(&before[k]);
        assert!(given.rows[k].iter().all(|row| out.is_none_or(|w| row.time >= w)), "step {k} gives rows that are late for the next");
    }
    let files = workers.iter_mut().map(|worker| {
        let mut blocks = BTreeMap::new();
        for (k, node) in graph.iter().enumerate() {
            for (t, (table, spec)) in worker.ops[k].tables().into_iter().zip(node.step.tables()).enumerate() {
                let horizon = spec.horizon(&after[k]);
                let change = table.take_change(horizon);
                assert!(change.iter().all(|e| worker.groups.contains(&e.group) && !below(e.time, horizon)), "{}", spec.name);
                let change = match spec.kind {
                    // In the order of files.
                    Kind::Rows => merged(change, &spec.kind, false),
                    Kind::Merge(_) => change,
                };
                if !change.is_empty() {
                    blocks.insert((k, t), change);
                }
            }
        }
        File { blocks }
    });
    let files = files.filter(|file| !file.blocks.is_empty()).collect();
    Epoch { given: given.sorted(), after: sources, files }
}

/// Merges the oldest files into one.
fn compact(graph: &Graph, files: &mut Vec<File>, n: usize, horizon: impl Fn(usize, usize) -> Watermark) {
    let mut blocks: BTreeMap<(usize, usize), Vec<Entry>> = BTreeMap::new();
    for file in files.drain(..n) {
        for (of, entries) in file.blocks {
            blocks.entry(of).or_default().extend(entries.into_iter().filter(|e| !below(e.time, horizon(of.0, of.1))));
        }
    }
    let blocks = blocks.into_iter().map(|((k, t), entries)| ((k, t), merged(entries, &graph[k].step.tables()[t].kind, true)));
    let blocks: BTreeMap<_, _> = blocks.filter(|(_, entries)| !entries.is_empty()).collect();
    files.insert(0, File { blocks });
}

struct Case {
    name: &'static str,
    graph: Graph,
    naive: Vec<Box<dyn Naive>>,
    sources: usize,
    /// Whether the result does not depend on how input is cut into epochs.
    is_cut_free: bool,
}

fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    let (size, gap, within, before, after) = (rng.within(1, 12), rng.within(0, 8), rng.within(0, 10), rng.within(0, 6), rng.within(0, 9));
    let tumbling = |key, val| {
        (Rc::new(Tumbling { size, slide: size, key, val }) as Rc<dyn KeyedStep>, {
            let kind = WindowKind::Tumbling(size, size);
            Box::new(NaiveWindows { key, val, kind, rows: vec![], closed: None }) as Box<dyn Naive>
        })
    };
    let session = |key, val| {
        (Rc::new(Session { gap, key, val }) as Rc<dyn KeyedStep>, {
            let kind = WindowKind::Session(Session { gap, key, val }, gap);
            Box::new(NaiveWindows { key, val, kind, rows: vec![], closed: None }) as Box<dyn Naive>
        })
    };
    let dedup = |key, order| {
        let step = Dedup { within, order, key };
        (Rc::new(step) as Rc<dyn KeyedStep>, Box::new(NaiveDedup { step, passed: vec![], waiting: vec![] }) as Box<dyn Naive>)
    };
    let join = |is_left| {
        let step = Join { before, after, is_left };
        (Rc::new(step) as Rc<dyn KeyedStep>, Box::new(NaiveJoin { step, left: vec![], right: vec![], unmatched: vec![] }) as Box<dyn Naive>)
    };
    let slide = rng.within(1, size + 1);
    let sliding = |key, val| {
        (Rc::new(Tumbling { size, slide, key, val }) as Rc<dyn KeyedStep>, {
            Box::new(NaiveWindows { key, val, kind: WindowKind::Tumbling(size, slide), rows: vec![], closed: None }) as Box<dyn Naive>
        })
    };
    let over = |key, val| {
        let step = Over { preceding: within, key, val };
        (Rc::new(step) as Rc<dyn KeyedStep>, Box::new(NaiveOver { step, rows: vec![], waiting: vec![] }) as Box<dyn Naive>)
    };
    let process = |key| {
        let step = Process { pause: gap, key };
        (Rc::new(step) as Rc<dyn KeyedStep>, Box::new(NaiveProcess { step, rows: vec![], given: 0, leaves: vec![] }) as Box<dyn Naive>)
    };
    let running = |key, val| {
        let step = Running { key, val };
        (Rc::new(step) as Rc<dyn KeyedStep>, Box::new(NaiveRunning { step, rows: vec![] }) as Box<dyn Naive>)
    };
    let mut case = |name, is_cut_free, steps: Vec<((Rc<dyn KeyedStep>, Box<dyn Naive>), Vec<Input>)>| {
        let sources = 1 + usize::from(steps.iter().any(|(_, inputs)| inputs.contains(&Input::Source(1))));
        let (graph, naive) = steps.into_iter().map(|((step, naive), inputs)| (Node { step, inputs }, naive)).unzip();
        all.push(Case { name, graph, naive, sources, is_cut_free });
    };
    let (one, two, first, second) =
        (vec![Input::Source(0)], vec![Input::Source(0), Input::Source(1)], vec![Input::Step(0)], vec![Input::Step(1)]);
    case("tumbling", true, vec![(tumbling(0, 1), one.clone())]);
    case("session", true, vec![(session(0, 1), one.clone())]);
    case("dedup by arrival", false, vec![(dedup(0, Order::Arrival), one.clone())]);
    case("dedup by time", true, vec![(dedup(0, Order::EventTime), one.clone())]);
    case("inner join", true, vec![(join(false), two.clone())]);
    case("left join", true, vec![(join(true), two.clone())]);
    case("session, tumbling", true, vec![(session(0, 1), one.clone()), (tumbling(2, 4), first.clone())]);
    case(
        "left join, session, dedup",
        true,
        vec![(join(true), two.clone()), (session(1, 3), first.clone()), (dedup(2, Order::EventTime), second.clone())],
    );
    case(
        "dedup, tumbling, session",
        true,
        vec![(dedup(0, Order::EventTime), one.clone()), (tumbling(0, 1), first.clone()), (session(2, 4), second)],
    );
    case("inner join, dedup", true, vec![(join(false), two), (dedup(1, Order::EventTime), first.clone())]);
    case("two steps of one source", false, vec![(tumbling(0, 1), one.clone()), (dedup(1, Order::Arrival), one)]);
    case("sliding", true, vec![(sliding(0, 1), vec![Input::Source(0)])]);
    case("over", true, vec![(over(0, 1), vec![Input::Source(0)])]);
    case(
        "left join, over, sliding",
        true,
        vec![
            (join(true), vec![Input::Source(0), Input::Source(1)]),
            (over(2, 1), vec![Input::Step(0)]),
            (sliding(0, 4), vec![Input::Step(1)]),
        ],
    );
    case("process", true, vec![(process(0), vec![Input::Source(0)])]);
    case(
        "session, process, tumbling",
        true,
        vec![(session(0, 1), vec![Input::Source(0)]), (process(2), vec![Input::Step(0)]), (tumbling(0, 1), vec![Input::Step(1)])],
    );
    case("left join, running", false, vec![(join(true), vec![Input::Source(0), Input::Source(1)]), (running(0, 3), vec![Input::Step(0)])]);
    // A source and a step that reads another source meet in a join: their watermarks differ by a hold-back.
    case(
        "join of a deduplicated source",
        true,
        vec![(dedup(0, Order::EventTime), vec![Input::Source(0)]), (join(true), vec![Input::Step(0), Input::Source(1)])],
    );
    all
}

/// Partitions by source: rows whose times mostly rise, with ties, stragglers and null keys.
fn topic(rng: &mut Rng, sources: usize) -> Vec<(usize, Vec<Row>)> {
    let mut parts: Vec<(usize, Vec<Row>)> = Vec::new();
    for source in 0..sources {
        for _ in 0..rng.within(1, 4) {
            let mut now = rng.within(-20, 20);
            let p = parts.len() as i64;
            let rows = (0..rng.within(5, 60)).map(|offset| {
                now += rng.within(0, 4);
                let time = if rng.chance(10) { now - rng.within(0, 40) } else { now };
                let key = (!rng.chance(8)).then(|| rng.within(0, 4));
                Row { time, origin: (p, offset), cols: vec![key, (!rng.chance(10)).then(|| rng.within(0, 4))] }
            });
            let rows = rows.collect();
            parts.push((source, rows));
        }
    }
    parts
}

#[derive(Default)]
pub struct Seen {
    epochs: u64,
    kills: u64,
    undone: u64,
    compactions: u64,
    gone: u64,
    rows: u64,
    late: u64,
    deletes: u64,
    last_epochs: u64,
}

/// Runs a case; gives each step's rows over all epochs.
fn run(case: Case, parts: &[(usize, Vec<Row>)], no_row_is_late: bool, seed: u64, rng: &mut Rng, seen: &mut Seen) -> Vec<Vec<Row>> {
    let Case { name, graph, mut naive, sources, .. } = case;
    let mut manifest = Manifest { read: vec![0; parts.len()], watermarks: vec![None; sources], files: Vec::new() };
    let mut workers = start(&graph, &manifest, rng.within(1, 5) as u16);
    let delay = rng.within(0, 12);
    let mut all = vec![Vec::new(); graph.len()];
    let mut last = 0;
    for epoch in 0.. {
        let is_read = parts.iter().zip(&manifest.read).all(|((_, rows), read)| *read == rows.len());
        let most = rng.within(1, 25);
        let to: Vec<_> =
            parts.iter().zip(&manifest.read).map(|((_, rows), read)| (read + rng.within(0, most) as usize).min(rows.len())).collect();
        let wanted = (0..sources).map(|s| {
            let mine = || parts.iter().zip(&to).filter(|((source, _), _)| *source == s);
            let by_rows = match no_row_is_late {
                true => mine().flat_map(|((_, rows), to)| &rows[*to..]).map(|row| row.time).min(),
                false => mine().map(|((_, rows), to)| rows[..*to].iter().map(|row| row.time - delay).max()).min().flatten(),
            };
            if rng.chance(15) { manifest.watermarks[s] } else { by_rows.max(manifest.watermarks[s]) }
        });
        let wanted: Vec<_> = wanted.collect();
        let raise = match is_read {
            true if rng.chance(50) => Raise::Until(Time::MAX / 2),
            _ if !no_row_is_late && rng.chance(8) => Raise::Until(rng.within(-20, 120)),
            _ => Raise::No,
        };
        let limit_is_far = matches!(raise, Raise::Until(limit) if limit == Time::MAX / 2);
        if rng.chance(10) {
            // The process ends before the manifest is there: nothing has happened.
            run_epoch(&graph, &mut workers, &manifest, parts, &to, &wanted, &raise, rng);
            workers = start(&graph, &manifest, rng.within(1, 5) as u16);
            seen.undone += 1;
        }
        let done = run_epoch(&graph, &mut workers, &manifest, parts, &to, &wanted, &raise, rng);
        let (before, after) = (inputs_of(&graph, &manifest.watermarks), inputs_of(&graph, &done.after));
        let mut expected = Given::new(graph.len());
        for (k, node) in graph.iter().enumerate() {
            let inputs = node.inputs.iter().map(|input| match input {
                Input::Step(of) => expected.rows[*of].clone(),
                Input::Source(s) => {
                    let mine = parts.iter().zip(manifest.read.iter().zip(&to)).filter(|((source, _), _)| source == s);
                    mine.flat_map(|((_, rows), (from, to))| rows[*from..*to].to_vec()).collect()
                }
            });
            let inputs: Vec<Vec<Row>> = inputs.collect();
            (expected.rows[k], expected.late[k]) = naive[k].epoch(&inputs, &Marks { before: before[k].clone(), after: after[k].clone() });
        }
        assert_eq!(done.given, expected.sorted(), "{name}, seed {seed}, epoch {epoch}: {before:?} {after:?}");
        for (k, naive) in naive.iter().enumerate() {
            let limit = if rng.chance(30) { Time::MAX / 2 } else { rng.within(-40, 150) };
            let found = workers.iter().filter_map(|w| w.ops[k].leaves_by(&after[k], limit)).map(|l| l.at).max();
            assert_eq!(
                found,
                naive.leaves().into_iter().filter(|at| *at <= limit).max(),
                "{name}, seed {seed}, epoch {epoch}: leaves by {limit}"
            );
        }
        seen.epochs += 1;
        seen.rows += done.given.rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
        seen.late += done.given.late.iter().map(|rows| rows.len() as u64).sum::<u64>();
        seen.deletes += done.files.iter().flat_map(|f| f.blocks.values()).flatten().filter(|e| e.value.is_none()).count() as u64;
        all.iter_mut().zip(done.given.rows).for_each(|(all, rows)| all.extend(rows));
        manifest.files.extend(done.files);
        (manifest.read, manifest.watermarks) = (to, done.after);
        let horizon = |k: usize, t: usize| graph[k].step.tables()[t].horizon(&after[k]);
        let files = manifest.files.len();
        manifest.files.retain(|file| !file.is_over(horizon));
        seen.gone += (files - manifest.files.len()) as u64;
        if manifest.files.len() > 2 && rng.chance(25) {
            let n = rng.within(2, manifest.files.len() as i64 + 1) as usize;
            compact(&graph, &mut manifest.files, n, horizon);
            seen.compactions += 1;
        }
        if rng.chance(30) {
            workers = start(&graph, &manifest, rng.within(1, 5) as u16);
            seen.kills += 1;
        }
        if limit_is_far {
            last += 1;
            seen.last_epochs += 1;
            if (0..graph.len()).all(|k| workers.iter().all(|w| w.ops[k].leaves_by(&after[k], Time::MAX / 2).is_none())) {
                // A row that a process releases may set a timer beyond the raise: one more round each.
                assert!(last <= 2 * graph.len(), "{name}, seed {seed}: {last} last epochs");
                break;
            }
        }
        assert!(epoch < 400, "{name}, seed {seed}: no end");
    }
    all.iter_mut().for_each(|rows| rows.sort());
    all
}

pub fn run_all(seeds: Range<u64>) {
    let mut seen: BTreeMap<&'static str, Seen> = BTreeMap::new();
    for seed in seeds {
        let count = cases(&mut Rng::new(seed)).len();
        for n in 0..count {
            let mut rng = Rng::new(seed * 1000 + n as u64);
            let case = |_: u8| cases(&mut Rng::new(seed)).swap_remove(n);
            let parts = topic(&mut rng, case(0).sources);
            let seen = seen.entry(case(0).name).or_default();
            run(case(0), &parts, false, seed, &mut rng, seen);
            // No row is late: however the input is cut, the same comes out.
            let cuts: Vec<_> = (0..2).map(|_| run(case(0), &parts, true, seed, &mut rng, seen)).collect();
            if case(0).is_cut_free {
                assert_eq!(cuts[0], cuts[1], "{}, seed {seed}: two cuts differ", case(0).name);
            }
        }
    }
    println!(
        "{:32} {:>7} {:>6} {:>6} {:>6} {:>6} {:>8} {:>7} {:>7} {:>6}",
        "case", "epochs", "kills", "undone", "compct", "gone", "rows", "late", "deletes", "last"
    );
    for (name, s) in seen {
        println!(
            "{name:32} {:7} {:6} {:6} {:6} {:6} {:8} {:7} {:7} {:6}",
            s.epochs, s.kills, s.undone, s.compactions, s.gone, s.rows, s.late, s.deletes, s.last_epochs
        );
    }
}
