//! Where the plan is cut: at each change of key. Lanes run the stages before the first cut, over their partitions; what comes after runs
//! over keyed state. Scale-out puts an exchange at the same cut.

use crate::outputs::Output;
use crate::plan::{Input, Plan};

/// The plan, cut. Indices are into [`Plan::steps`] and [`Plan::sinks`]; each list is in topological order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    /// Maps that depend on no aggregate: run in lanes.
    pub lane_maps: Vec<usize>,
    /// Aggregates whose input comes from a lane: lanes keep their partials.
    pub lane_aggregates: Vec<usize>,
    /// Sinks of rows that lanes evaluate.
    pub lane_sinks: Vec<usize>,
    /// Sinks of records that lanes can't take in.
    pub rejected_sinks: Vec<usize>,
    /// Steps after the first cut, maps and further aggregates alike.
    pub keyed_steps: Vec<usize>,
    /// Sinks of closed windows, and of what comes after: rows, late ones, and those that could not be computed.
    pub keyed_sinks: Vec<usize>,
}

/// Cuts the plan.
#[must_use]
pub fn cut(plan: &Plan) -> Stages {
    let mut stages = Stages::default();
    let mut after_cut = vec![false; plan.steps.len()];
    let is_after = |after_cut: &[bool], input: Input| matches!(input, Input::Step(i) if after_cut[i]);
    for (i, step) in plan.steps.iter().enumerate() {
        let has_keyed_input = step.inputs().iter().any(|input| is_after(&after_cut, *input));
        after_cut[i] = has_keyed_input || step.is_keyed();
        match (has_keyed_input, step.is_keyed()) {
            (true, _) => stages.keyed_steps.push(i),
            (false, true) => stages.lane_aggregates.push(i),
            (false, false) => stages.lane_maps.push(i),
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
