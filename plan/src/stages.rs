//! Where the plan is cut: at each change of key. Lanes run the stages before the first cut, each lane over partitions
//! of one source; the steps behind it run over keyed state. Scale-out will exchange rows at the same cut.

use std::collections::BTreeSet;

use crate::outputs::Output;
use crate::plan::{Input, Plan};

/// The plan after the cut. Indices are into [`Plan::steps`] and [`Plan::sinks`]; each list is in topological order. A
/// node that gets rows both from lanes and from keyed steps, as a union may, is in the lists of both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    /// What the lanes of each source run, by the source's index.
    pub lanes: Vec<LaneStage>,
    /// Edges from the lanes of all sources to keyed steps.
    pub lane_edges: Vec<Edge>,
    /// Edges from keyed steps, and from the steps behind them, to other keyed steps.
    pub keyed_edges: Vec<Edge>,
    /// The steps behind the first cut, keyed or not.
    pub keyed_steps: Vec<usize>,
    /// Sinks that workers write to: rows of closed windows and of the steps behind them, late rows, and rows that could
    /// not be computed.
    pub keyed_sinks: Vec<usize>,
    /// By the source's index: the other sources whose rows reach a step that its rows reach too.
    pub met: Vec<BTreeSet<usize>>,
    /// The connected part of the graph that each source and each step belongs to. Rows of different parts never meet:
    /// two sources belong to the same part if rows of both reach a common step.
    parts_of_sources: Vec<usize>,
    parts_of_steps: Vec<usize>,
}

impl Stages {
    /// Whether rows of the source can meet rows of the step anywhere in the graph.
    #[must_use]
    pub fn are_of_one_part(&self, source: usize, step: usize) -> bool {
        self.parts_of_sources[source] == self.parts_of_steps[step]
    }

    /// The part of the graph that a source belongs to.
    #[must_use]
    pub fn part_of(&self, source: usize) -> usize {
        self.parts_of_sources[source]
    }
}

/// What the lanes of one source run: all nodes that its rows pass before the first cut. Where rows of several sources
/// meet before it, each source's lanes run the nodes behind that point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneStage {
    /// Steps without keys that no keyed step comes before.
    pub steps: Vec<usize>,
    /// Edges to keyed steps.
    pub edges: Vec<Edge>,
    /// Sinks of rows that lanes compute.
    pub sinks: Vec<usize>,
    /// Sinks of records that lanes can't take in.
    pub rejected_sinks: Vec<usize>,
}

/// An edge of the graph across a cut: a keyed step and one of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Index into [`Plan::steps`].
    pub step: usize,
    /// Index into the step's inputs.
    pub input: usize,
}

/// Where rows come from that reach a node: from lanes of these sources, through steps without keys alone, and from
/// keyed steps.
#[derive(Debug, Clone, Default)]
struct Feeds {
    sources: BTreeSet<usize>,
    keyed: bool,
}

/// Cuts the plan.
#[must_use]
pub fn cut(plan: &Plan) -> Stages {
    let (parts_of_sources, parts_of_steps) = parts(plan);
    let lanes = vec![LaneStage::default(); plan.sources.len()];
    let mut stages = Stages { lanes, met: met(plan), parts_of_sources, parts_of_steps, ..Stages::default() };
    // What reaches each step, by all its inputs.
    let mut reach: Vec<Feeds> = Vec::with_capacity(plan.steps.len());
    for (i, step) in plan.steps.iter().enumerate() {
        let mut all = Feeds::default();
        for (input, of) in step.inputs().iter().enumerate() {
            let feeds = feeds(plan, &reach, *of);
            if step.is_keyed() {
                let edge = Edge { step: i, input };
                if !feeds.sources.is_empty() {
                    stages.lane_edges.push(edge);
                }
                feeds.sources.iter().for_each(|source| stages.lanes[*source].edges.push(edge));
                if feeds.keyed {
                    stages.keyed_edges.push(edge);
                }
            }
            all.sources.extend(feeds.sources);
            all.keyed |= feeds.keyed;
        }
        if all.keyed {
            stages.keyed_steps.push(i);
        }
        if !step.is_keyed() {
            all.sources.iter().for_each(|source| stages.lanes[*source].steps.push(i));
        }
        reach.push(all);
    }
    for (i, sink) in plan.sinks.iter().enumerate() {
        let feeds = match (sink.input, sink.output.late_input()) {
            // Rows are found late before the cut that the step makes.
            (Input::Step(step), Some(input)) => feeds(plan, &reach, plan.steps[step].inputs()[input]),
            (node, _) => feeds(plan, &reach, node),
        };
        if feeds.keyed {
            stages.keyed_sinks.push(i);
        }
        for source in feeds.sources {
            let lane = &mut stages.lanes[source];
            match (sink.output, sink.input) {
                (Output::Rejected, Input::Source(_)) => lane.rejected_sinks.push(i),
                // What a lane can't compute leaves by its source.
                (Output::Rejected, Input::Step(_)) => {}
                _ => lane.sinks.push(i),
            }
        }
    }
    stages
}

/// Where the rows of a node come from; `reach` has what reaches the steps so far.
fn feeds(plan: &Plan, reach: &[Feeds], node: Input) -> Feeds {
    match node {
        Input::Source(source) => Feeds { sources: BTreeSet::from([source]), keyed: false },
        Input::Step(step) if plan.steps[step].is_keyed() => Feeds { sources: BTreeSet::new(), keyed: true },
        Input::Step(step) => reach[step].clone(),
    }
}

fn met(plan: &Plan) -> Vec<BTreeSet<usize>> {
    let mut met = vec![BTreeSet::new(); plan.sources.len()];
    for step in 0..plan.steps.len() {
        let sources = plan.sources_of(Input::Step(step));
        for source in &sources {
            met[*source].extend(sources.iter().filter(|other| *other != source));
        }
    }
    met
}

fn parts(plan: &Plan) -> (Vec<usize>, Vec<usize>) {
    let mut of_sources: Vec<usize> = (0..plan.sources.len()).collect();
    let sources_of_steps: Vec<_> = (0..plan.steps.len()).map(|step| plan.sources_of(Input::Step(step))).collect();
    for sources in &sources_of_steps {
        let met: Vec<usize> = sources.iter().map(|source| of_sources[*source]).collect();
        let Some(&part) = met.iter().min() else { continue };
        of_sources.iter_mut().filter(|of| met.contains(of)).for_each(|of| *of = part);
    }
    let of_steps =
        sources_of_steps.iter().map(|sources| sources.first().map_or(0, |source| of_sources[*source])).collect();
    (of_sources, of_steps)
}
