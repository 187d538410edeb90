//! A graph from a seed. Each node has at least the columns `k` (a text) and `n` (an integer).

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use weir_tests::oracle::Window;
use weir_tests::oracle::expr::{Expr, Op, column};
use weir_tests::oracle::graph::step::{
    Aggregation, Deduplicate, Frame, Operation, Order, Over, Rank, Span, Top, Union, Unnest,
};
use weir_tests::oracle::graph::{EventTime, Graph, Sink, Source, Step, TimeOf};
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Key, Map};
use weir_tests::oracle::value::Type;

use super::aggregates;

/// What a generated graph may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Map,
    Union,
    Window,
    OfInput,
    /// A source whose event time is Kafka's timestamp.
    KafkaTimestamp,
    /// Sources whose rows take their time from the clock. Rows with other times may not meet theirs.
    ProcessingTime,
    Deduplicate,
    DeduplicateByTime,
    TopOfInput,
    TopOfWindow,
    OverRange,
    OverRows,
    Unnest,
}

/// What the engine has.
pub const BUILT: [Kind; 13] = [
    Kind::Map,
    Kind::Union,
    Kind::Window,
    Kind::OfInput,
    Kind::KafkaTimestamp,
    Kind::ProcessingTime,
    Kind::Deduplicate,
    Kind::DeduplicateByTime,
    Kind::Unnest,
    Kind::OverRange,
    Kind::OverRows,
    Kind::TopOfInput,
    Kind::TopOfWindow,
];

/// The least and the greatest number of steps, without those that a union needs.
const STEPS: std::ops::Range<usize> = 2..6;

impl Kind {
    fn is_keyed(self) -> bool {
        !matches!(self, Self::Map | Self::Union | Self::KafkaTimestamp | Self::ProcessingTime | Self::Unnest)
    }

    /// Whether the rows that leave depend on how the input is cut into epochs, even if none is late.
    pub fn depends_on_cuts(self) -> bool {
        matches!(self, Self::Deduplicate | Self::ProcessingTime)
    }
}

/// A node that steps and sinks may read.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    columns: Vec<String>,
    /// Whether the rows carry the bounds of a window.
    windowed: bool,
    /// Whether the node is behind a keyed step.
    keyed: bool,
    is_read: bool,
}

impl Node {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }
}

struct Builder<'a> {
    rng: &'a mut ChaCha8Rng,
    size_us: i64,
    sources: Vec<Source>,
    nodes: Vec<Node>,
    steps: Vec<Step>,
    late: Vec<String>,
}

/// A graph with steps of these kinds, whose windows are about this long.
pub fn graph(rng: &mut ChaCha8Rng, kinds: &[Kind], size_us: i64) -> Graph {
    let mut builder = Builder::new(rng, kinds, size_us);
    // Each graph has at least one keyed step.
    let keyed: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.is_keyed()).collect();
    let mut choices = if keyed.is_empty() { kinds } else { &keyed };
    let mut missing = builder.rng.random_range(STEPS);
    while missing > 0 {
        let kind = *choices.choose(builder.rng).unwrap();
        // Mostly the newest nodes, so that graphs become deep.
        let last = builder.nodes.len();
        let from = builder.rng.random_range(last.saturating_sub(2)..last);
        if builder.step(kind, from) {
            missing -= 1;
            choices = kinds;
        }
    }
    builder.graph()
}

/// A graph with one step of each kind that is one.
pub fn graph_of_each(rng: &mut ChaCha8Rng, size_us: i64) -> Graph {
    let not_by_clock: Vec<Kind> = BUILT.into_iter().filter(|kind| *kind != Kind::ProcessingTime).collect();
    let mut builder = Builder::new(rng, &not_by_clock, size_us);
    for kind in not_by_clock.into_iter().filter(|kind| *kind != Kind::KafkaTimestamp) {
        loop {
            let from = builder.rng.random_range(0..builder.nodes.len());
            if builder.step(kind, from) {
                break;
            }
        }
    }
    builder.graph()
}

fn sources(rng: &mut ChaCha8Rng, kinds: &[Kind], size_us: i64) -> Vec<Source> {
    let of = |name: &str, r#type, required| Column { name: name.into(), r#type, required };
    let mut columns = vec![
        of("k", Type::String, false),
        of("n", Type::Bigint, false),
        of("x", Type::Double, false),
        of("at", Type::Timestamp, true),
    ];
    if kinds.contains(&Kind::Unnest) {
        columns.push(of("list", Type::List(&Type::Bigint), false));
    }
    let by_clock = kinds.contains(&Kind::ProcessingTime) && rng.random_bool(0.3);
    (0..rng.random_range(1..4))
        .map(|i| {
            let stamped = kinds.contains(&Kind::KafkaTimestamp) && rng.random_bool(0.2);
            let event_time = EventTime {
                of: if stamped { TimeOf::KafkaTimestamp } else { TimeOf::Column("at".into()) },
                delay_us: *[0, size_us / 4, size_us * 2].choose(rng).unwrap(),
                idle_after_us: rng.random::<bool>().then_some(1_000_000),
                max_skew_us: rng.random_bool(0.2).then_some(size_us.max(1_000_000)),
                close_idle_windows_after_us: None,
            };
            let event_time = if by_clock { EventTime::by_clock() } else { event_time };
            // Sometimes two sources read one topic.
            let topic = if i > 0 && rng.random_bool(0.2) { i - 1 } else { i };
            Source {
                name: format!("source{i}"),
                topic: format!("topic{topic}"),
                columns: columns.clone(),
                event_time: Some(event_time),
                bad_records: BadRecords::Drop,
            }
        })
        .collect()
}

impl<'a> Builder<'a> {
    fn new(rng: &'a mut ChaCha8Rng, kinds: &[Kind], size_us: i64) -> Self {
        let sources: Vec<Source> = sources(rng, kinds, size_us);
        let node = |source: &Source| Node {
            name: source.name.clone(),
            columns: source.columns.iter().map(|column| column.name.clone()).collect(),
            windowed: false,
            keyed: false,
            is_read: false,
        };
        let nodes: Vec<Node> = sources.iter().map(node).collect();
        let count = nodes.len();
        let mut builder = Self { rng, size_us, sources, nodes, steps: vec![], late: vec![] };
        if count > 1 && kinds.contains(&Kind::Union) && builder.rng.random_bool(0.8) {
            builder.union((0..count).collect());
        }
        builder
    }

    /// The graph, with a sink for each end.
    fn graph(self) -> Graph {
        let ends = self.nodes.iter().filter(|node| !node.is_read).map(|node| node.name.clone());
        let sinks = (0..).zip(ends.chain(self.late)).map(|(i, from)| Sink::append(&format!("out{i}"), &from)).collect();
        Graph { name: "generated".into(), sources: self.sources, steps: self.steps, sinks }
    }

    /// Adds a step of this kind behind a node, if the node's rows allow it.
    fn step(&mut self, kind: Kind, from: usize) -> bool {
        let node = self.nodes[from].clone();
        match kind {
            Kind::Map => self.map(from),
            Kind::Union => {
                let count = self.rng.random_range(2..4);
                let from = (0..count).map(|_| self.rng.random_range(0..self.nodes.len())).collect();
                self.union(from);
            }
            Kind::Window => {
                let window = self.window();
                self.aggregate(from, Span::Window(window));
            }
            Kind::OfInput if node.windowed => self.aggregate(from, Span::OfInput),
            Kind::Deduplicate if !node.keyed => self.deduplicate(from, Order::Arrival),
            Kind::DeduplicateByTime => self.deduplicate(from, Order::EventTime),
            Kind::TopOfInput if node.windowed => self.top(from, None),
            Kind::TopOfWindow if !node.has("window_start") => {
                let window = Window::tumbling(self.size_us);
                self.top(from, Some(window));
            }
            Kind::OverRange => {
                let preceding_us = self.part_us();
                self.over(from, Frame::Range { preceding_us });
            }
            Kind::OverRows => {
                let frame = Frame::Rows { preceding: self.rng.random_range(0..5), expire_after_us: self.size_us };
                self.over(from, frame);
            }
            Kind::Unnest if node.has("list") => self.unnest(from),
            _ => return false,
        }
        true
    }

    /// Adds a step, whose rows are those of the node but for its name.
    fn add(&mut self, from: &[usize], operation: Operation, node: Node) {
        let name = format!("step{}", self.steps.len());
        for i in from {
            self.nodes[*i].is_read = true;
        }
        self.nodes.push(Node { name: name.clone(), is_read: false, ..node });
        self.steps.push(Step { name, operation });
    }

    /// A sink for what is late at the step that was added last, where the input's columns allow it.
    fn keep_late(&mut self, input: &Node) {
        let taken = ["event_time", "window_start", "window_end", "watermark", "late_by_ms"];
        if self.late.len() < 2 && self.rng.random_bool(0.5) && !taken.iter().any(|name| input.has(name)) {
            self.late.extend(self.steps.last().map(|step| format!("{}.Late", step.name)));
        }
    }

    /// A part of a window's size.
    fn part_us(&mut self) -> i64 {
        self.size_us / self.rng.random_range(1..=10) / 1_000 * 1_000
    }

    fn map(&mut self, from: usize) {
        let node = self.nodes[from].clone();
        let keeps_bounds = node.windowed && node.has("window_start") && self.rng.random();
        let bounds = if keeps_bounds { &["window_start", "window_end"][..] } else { &[] };
        let others = ["x", "list"].into_iter().filter(|name| node.has(name) && self.rng.random());
        let kept: Vec<&str> = bounds.iter().copied().chain(others).collect();
        let mut columns = vec![("k".to_owned(), self.k()), ("n".to_owned(), self.n())];
        columns.extend(kept.into_iter().map(|name| (name.to_owned(), *column(name))));
        columns.shuffle(self.rng);
        let filter = self.rng.random::<bool>().then(|| self.condition());
        let names = columns.iter().map(|(name, _)| name.clone()).collect();
        let operation = Operation::Map(node.name.clone(), Map { filter, columns });
        self.add(&[from], operation, Node { columns: names, windowed: keeps_bounds, ..node });
    }

    fn k(&mut self) -> Expr {
        match self.rng.random_range(0..5) {
            0 => Expr::Upper(column("k")),
            1 => Expr::Coalesce(column("k"), Box::new(Expr::Text("none".into()))),
            _ => *column("k"),
        }
    }

    fn n(&mut self) -> Expr {
        match self.rng.random_range(0..10) {
            0 => Expr::Add(column("n"), Box::new(Expr::Int(1))),
            1 => Expr::Modulo(column("n"), Box::new(Expr::Int(7))),
            // There is no value if n is 0.
            2 => Expr::Divide(Box::new(Expr::Int(100)), column("n")),
            _ => *column("n"),
        }
    }

    fn condition(&mut self) -> Expr {
        match self.rng.random_range(0..3) {
            0 => Expr::Not(Box::new(Expr::IsNull(column("k")))),
            1 => Expr::Compare(column("k"), Op::NotEqual, Box::new(Expr::Text("b".into()))),
            _ => Expr::Compare(column("n"), Op::Greater, Box::new(Expr::Int(-20))),
        }
    }

    /// A union of these nodes, some of which may be the same: each comes by a map, so that their columns are alike.
    fn union(&mut self, from: Vec<usize>) {
        let keyed = from.iter().any(|i| self.nodes[*i].keyed);
        let mut inputs = Vec::new();
        for i in from {
            let columns = vec![("k".to_owned(), self.k()), ("n".to_owned(), self.n())];
            let filter = self.rng.random_bool(0.3).then(|| self.condition());
            let node = self.nodes[i].clone();
            let operation = Operation::Map(node.name.clone(), Map { filter, columns });
            self.add(&[i], operation, Node { columns: vec!["k".into(), "n".into()], windowed: false, ..node });
            inputs.push(self.nodes.len() - 1);
        }
        let names = inputs.iter().map(|i| self.nodes[*i].name.clone()).collect();
        let node = Node { keyed, ..self.nodes[inputs[0]].clone() };
        self.add(&inputs, Operation::Union(Union { inputs: names }), node);
    }

    fn window(&mut self) -> Window {
        let (size_us, part_us) = (self.size_us, self.part_us());
        let offset_us = if self.rng.random() { 0 } else { self.rng.random_range(0..part_us / 1_000) * 1_000 };
        match self.rng.random_range(0..6) {
            0..3 => Window::Tumbling { size_us, offset_us },
            3 => Window::Sliding { size_us, slide_us: part_us, offset_us },
            4 => Window::Session { gap_us: part_us },
            _ => Window::Cumulate { size_us: part_us * self.rng.random_range(1..5), step_us: part_us, offset_us },
        }
    }

    fn aggregate(&mut self, from: usize, span: Span) {
        let node = self.nodes[from].clone();
        let mut columns =
            vec![("n".to_owned(), aggregates::whole(self.rng)), ("x".to_owned(), aggregates::double(self.rng))];
        let group_by = if self.rng.random_bool(0.7) {
            let expr = self.rng.random_bool(0.3).then(|| Expr::Upper(column("k")));
            vec![Key { name: "k".into(), expr }]
        } else {
            columns.push(("k".into(), aggregates::text(self.rng)));
            vec![]
        };
        if self.rng.random_bool(0.3) {
            columns.push(("list".into(), aggregates::list(self.rng)));
        }
        if self.rng.random_bool(0.3) {
            let (_, unfiltered) = columns.remove(0);
            columns.insert(0, ("n".into(), Aggregate::Filtered(Box::new(unfiltered), self.condition())));
        }
        let bounds = ["window_start", "window_end", "k"].map(str::to_owned);
        let others = columns.iter().map(|(name, _)| name.clone()).filter(|name| name != "k");
        let names = bounds.into_iter().chain(others).collect();
        let operation = Aggregation { from: node.name.clone(), span, group_by, columns };
        let out = Node { columns: names, windowed: true, keyed: true, ..node.clone() };
        self.add(&[from], Operation::Aggregate(operation), out);
        if span != Span::OfInput {
            self.keep_late(&node);
        }
    }

    fn deduplicate(&mut self, from: usize, order: Order) {
        let node = self.nodes[from].clone();
        let key = if self.rng.random() { vec!["k".into()] } else { vec!["k".into(), "n".into()] };
        let operation = Deduplicate { from: node.name.clone(), key, within_us: self.part_us(), order };
        self.add(&[from], Operation::Deduplicate(operation), Node { keyed: true, ..node.clone() });
        self.keep_late(&node);
    }

    fn over(&mut self, from: usize, frame: Frame) {
        let node = self.nodes[from].clone();
        let name = if self.rng.random() { "n".to_owned() } else { format!("over{}", self.steps.len()) };
        let aggregate = match self.rng.random_range(0..3) {
            0 => Aggregate::CountAll,
            1 => Aggregate::Sum(*column("n")),
            _ => Aggregate::Max(*column("n")),
        };
        let mut columns = node.columns.clone();
        columns.extend((!node.has(&name)).then(|| name.clone()));
        let add_columns = vec![(name, aggregate)];
        let operation = Over { from: node.name.clone(), key: vec!["k".into()], frame, add_columns };
        self.add(&[from], Operation::Over(operation), Node { columns, keyed: true, ..node.clone() });
        self.keep_late(&node);
    }

    fn top(&mut self, from: usize, window: Option<Window>) {
        let node = self.nodes[from].clone();
        let operation = Top {
            from: node.name.clone(),
            key: vec!["k".into()],
            order_by: vec![Rank {
                expr: *column("n"),
                descending: self.rng.random(),
                nulls_first: self.rng.random::<bool>().then(|| self.rng.random()),
            }],
            limit: self.rng.random_range(1..4),
            keeps_ties: self.rng.random(),
            window,
        };
        let bounds = if window.is_some() { &["window_start", "window_end"][..] } else { &[] };
        let columns = bounds.iter().map(|name| (*name).to_owned()).chain(node.columns.clone()).collect();
        let out = Node { columns, windowed: true, keyed: true, ..node.clone() };
        self.add(&[from], Operation::Top(operation), out);
        if window.is_some() {
            self.keep_late(&node);
        }
    }

    fn unnest(&mut self, from: usize) {
        let node = self.nodes[from].clone();
        let element = format!("item{}", self.steps.len());
        let operation = Unnest {
            from: node.name.clone(),
            expr: *column("list"),
            element: element.clone(),
            position: Some(format!("pos{}", self.steps.len())),
            keeps_empty: self.rng.random(),
        };
        let mut columns = node.columns.clone();
        columns.extend([element, format!("pos{}", self.steps.len())]);
        self.add(&[from], Operation::Unnest(operation), Node { columns, ..node });
    }
}
