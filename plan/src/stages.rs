//! Where the plan is cut: at each change of key. Lanes run the stages before the first cut, over their partitions; what comes after runs
//! over keyed state. Scale-out puts an exchange at the same cut.

use crate::outputs::Output;
use crate::plan::{Input, Plan};

/// The plan, cut. Indices are into [`Plan::steps`] and [`Plan::sinks`]; each list is in topological order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    /// Steps without keys that depend on no keyed step: run in lanes.
    pub lane_steps: Vec<usize>,
    /// Edges from lanes to keyed steps.
    pub lane_edges: Vec<Edge>,
    /// Sinks of rows that lanes evaluate.
    pub lane_sinks: Vec<usize>,
    /// Sinks of records that lanes can't take in.
    pub rejected_sinks: Vec<usize>,
    /// Steps after the first cut, keyed ones and others alike.
    pub keyed_steps: Vec<usize>,
    /// Sinks of closed windows, and of what comes after: rows, late ones, and those that could not be computed.
    pub keyed_sinks: Vec<usize>,
}

/// What a keyed step reads by one of its inputs, across a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Into [`Plan::steps`].
    pub step: usize,
    /// Into the step's inputs.
    pub input: usize,
}

/// Cuts the plan.
#[must_use]
pub fn cut(plan: &Plan) -> Stages {
    let mut stages = Stages::default();
    let mut after_cut = vec![false; plan.steps.len()];
    let is_after = |after_cut: &[bool], input: Input| matches!(input, Input::Step(i) if after_cut[i]);
    for (i, step) in plan.steps.iter().enumerate() {
        let of_lanes = |(_, input): &(usize, &Input)| !is_after(&after_cut, **input);
        let from_lanes: Vec<usize> = step.inputs().iter().enumerate().filter(of_lanes).map(|(input, _)| input).collect();
        let has_keyed_input = from_lanes.len() < step.inputs().len();
        after_cut[i] = has_keyed_input || step.is_keyed();
        if has_keyed_input {
            stages.keyed_steps.push(i);
        }
        if step.is_keyed() {
            stages.lane_edges.extend(from_lanes.into_iter().map(|input| Edge { step: i, input }));
        } else if !has_keyed_input {
            stages.lane_steps.push(i);
        }
    }
    for (i, sink) in plan.sinks.iter().enumerate() {
        // What is late is so before the cut that the step makes.
        let in_keyed_stage = match (sink.output, sink.input) {
            (Output::Late, Input::Step(step)) => plan.steps[step].inputs().iter().any(|input| is_after(&after_cut, *input)),
            _ => is_after(&after_cut, sink.input),
        };
        match sink.output {
            _ if in_keyed_stage => stages.keyed_sinks.push(i),
            Output::Rejected => stages.rejected_sinks.push(i),
            Output::Main | Output::Late => stages.lane_sinks.push(i),
        }
    }
    stages
}
