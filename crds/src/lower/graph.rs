//! Who reads whom.

use weir_plan::outputs::Output;
use weir_plan::plan::Input;

/// The resolved references. Positions are those of the document.
pub(super) struct Graph {
    /// What each step reads, in the order of its inputs; `None` for an unknown node.
    pub(super) step_inputs: Vec<Vec<Option<Input>>>,
    /// What each sink writes, and which output of it.
    pub(super) sink_inputs: Vec<Option<(Input, Output)>>,
    /// The steps in topological order; steps in or behind circles come last.
    pub(super) order: Vec<usize>,
}
