//! What the coordinator and its workers tell each other, and workers among themselves: plain values, which could cross
//! a network as they are. What one of them tells another comes in the order that it was told in.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_plan::ids::Epoch;
use weir_plan::stages::Edge;

use super::bad_rows::BadOfEpoch;
use super::keyed_stage::Held;
use crate::keyed::Leaving;
use crate::keyed::edge::EdgeCounts;
use crate::state::{Change, Grouped};

/// What a worker is told.
#[derive(Debug)]
pub enum Message {
    /// What comes next is of this epoch, up to its [`Self::Close`]. `before_us` has the watermark of each source at its
    /// start.
    Open { epoch: Epoch, before_us: Vec<Option<i64>> },
    /// What comes to a keyed step by an edge: from lanes, by way of the coordinator, or from a worker.
    Edge { epoch: Epoch, edge: Edge, entries: Vec<Grouped> },
    /// A worker has nothing more for an edge that comes from other keyed steps.
    Ended { epoch: Epoch, edge: Edge, from: usize },
    /// To be answered: when the last leaves of what is there, and that leaves by the limit.
    Leaves { epoch: Epoch, limit_us: i64 },
    /// To be answered: lanes have nothing more for this epoch. `after_us` has the watermark of each source at its end,
    /// and `horizons_us` the horizon of each table.
    Close { epoch: Epoch, after_us: Vec<Option<i64>>, horizons_us: Vec<Option<i64>> },
    /// The run is over, whatever is under way.
    Stop,
}

/// What a worker answers.
#[derive(Debug)]
pub enum Answer {
    /// Per step of the plan: what it holds or has taken in.
    Leaves(Vec<Option<Leaving>>),
    Closed(Box<Closed>),
}

/// What an epoch comes to on a worker, beside the rows for the sinks.
#[derive(Debug, Default)]
pub struct Closed {
    /// What its steps have sent to the steps behind them.
    pub edges: BTreeMap<Edge, EdgeCounts>,
    /// By keyed step: rows that it gave, and what it holds now.
    pub steps: BTreeMap<usize, (u64, Held)>,
    pub bad: BadOfEpoch,
    /// Per table that changed, by its number in [`Graph::tables`](crate::build::Graph::tables).
    pub changes: Vec<(usize, Change)>,
    /// Heap bytes of its state.
    pub bytes: usize,
    /// Spent on all of it, the wait for sinks and for other workers not counted.
    pub computed: Duration,
}
