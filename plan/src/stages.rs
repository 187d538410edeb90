//! Where the plan is cut: at each change of key. Lanes run the stages before the first cut, over their partitions; what comes after runs
//! over keyed state. Scale-out puts an exchange at the same cut.

use crate::outputs::Output;
use crate::plan::{Input, Plan, StepOp};

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
    /// Sinks of closed windows, and of what comes after.
    pub keyed_sinks: Vec<usize>,
}

/// Cuts the plan.
#[must_use]
pub fn cut(plan: &Plan) -> Stages {
    let mut stages = Stages::default();
    let mut after_cut = vec![false; plan.steps.len()];
    let is_after = |after_cut: &[bool], input: Input| matches!(input, Input::Step(i) if after_cut[i]);
    for (i, step) in plan.steps.iter().enumerate() {
        let keyed_input = is_after(&after_cut, step.input());
        match &step.op {
            StepOp::Map(_) if !keyed_input => stages.lane_maps.push(i),
            StepOp::Aggregate(_) if !keyed_input => {
                stages.lane_aggregates.push(i);
                after_cut[i] = true;
            }
            StepOp::Map(_) | StepOp::Aggregate(_) => {
                stages.keyed_steps.push(i);
                after_cut[i] = true;
            }
        }
    }
    for (i, sink) in plan.sinks.iter().enumerate() {
        // What is late is so before the cut that the step makes.
        let in_keyed_stage = match (sink.output, sink.input) {
            (Output::Late, Input::Step(step)) => is_after(&after_cut, plan.steps[step].input()),
            _ => is_after(&after_cut, sink.input),
        };
        match sink.output {
            Output::Rejected => stages.rejected_sinks.push(i),
            Output::Main | Output::Late if in_keyed_stage => stages.keyed_sinks.push(i),
            Output::Main | Output::Late => stages.lane_sinks.push(i),
        }
    }
    stages
}
