//! Where the plan is cut: at each change of key. Lanes run the stages before the first cut, each lane over partitions
//! of one source; the steps behind it run over keyed state. Scale-out will exchange rows at the same cut.

use crate::outputs::Output;
use crate::plan::{Input, Plan};

/// The plan after the cut. Indices are into [`Plan::steps`] and [`Plan::sinks`]; each list is in topological order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    /// What the lanes of each source run, by the source's index.
    pub lanes: Vec<LaneStage>,
    /// Edges from the lanes of all sources to keyed steps.
    pub lane_edges: Vec<Edge>,
    /// The steps behind the first cut, keyed or not.
    pub keyed_steps: Vec<usize>,
    /// Sinks that workers write to: rows of closed windows and of the steps behind them, late rows, and rows that could
    /// not be computed.
    pub keyed_sinks: Vec<usize>,
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

/// Cuts the plan.
#[must_use]
pub fn cut(plan: &Plan) -> Stages {
    let (parts_of_sources, parts_of_steps) = parts(plan);
    let lanes = vec![LaneStage::default(); plan.sources.len()];
    let mut stages = Stages { lanes, parts_of_sources, parts_of_steps, ..Stages::default() };
    let mut after_cut = vec![false; plan.steps.len()];
    let is_after = |after_cut: &[bool], input: Input| matches!(input, Input::Step(i) if after_cut[i]);
    for (i, step) in plan.steps.iter().enumerate() {
        let of_lanes = |(_, input): &(usize, &Input)| !is_after(&after_cut, **input);
        let from_lanes: Vec<usize> =
            step.inputs().iter().enumerate().filter(of_lanes).map(|(input, _)| input).collect();
        let has_keyed_input = from_lanes.len() < step.inputs().len();
        after_cut[i] = has_keyed_input || step.is_keyed();
        if has_keyed_input {
            stages.keyed_steps.push(i);
        }
        if step.is_keyed() {
            for edge in from_lanes.into_iter().map(|input| Edge { step: i, input }) {
                stages.lane_edges.push(edge);
                plan.sources_of(step.inputs()[edge.input])
                    .into_iter()
                    .for_each(|source| stages.lanes[source].edges.push(edge));
            }
        } else if !has_keyed_input {
            plan.sources_of(Input::Step(i)).into_iter().for_each(|source| stages.lanes[source].steps.push(i));
        }
    }
    for (i, sink) in plan.sinks.iter().enumerate() {
        // A row is found late before the cut that its step makes, so the input that it came by decides who writes it.
        let in_keyed_stage = match (sink.output.late_input(), sink.input) {
            (Some(input), Input::Step(step)) => is_after(&after_cut, plan.steps[step].inputs()[input]),
            _ => is_after(&after_cut, sink.input),
        };
        if in_keyed_stage {
            stages.keyed_sinks.push(i);
            continue;
        }
        for source in plan.sources_of(sink.input) {
            let lane = &mut stages.lanes[source];
            match sink.output {
                Output::Rejected => lane.rejected_sinks.push(i),
                _ => lane.sinks.push(i),
            }
        }
    }
    stages
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
