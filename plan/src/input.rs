//! The edges of a plan.

/// The node that a step or a sink reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Input {
    /// Index into [`Plan::sources`](crate::Plan::sources).
    Source(usize),
    /// Index into [`Plan::steps`](crate::Plan::steps).
    Step(usize),
}
