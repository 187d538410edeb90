//! The messages between the coordinator and its workers, and among workers. They are plain values, which could cross a
//! network as they are. Messages from one sender to one receiver arrive in the order in which they were sent.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_plan::ids::Epoch;
use weir_plan::stages::Edge;

use super::bad_rows::BadOfEpoch;
use super::keyed_stage::Held;
use crate::keyed::Leaving;
use crate::keyed::edge::EdgeCounts;
use crate::state::{Change, Grouped};

/// A message to a worker.
#[derive(Debug)]
pub enum Message {
    /// What comes next belongs to this epoch, up to its [`Self::Close`]. `before_us` has the watermark of each source
    /// at the epoch's start.
    Open { epoch: Epoch, before_us: Vec<Option<i64>> },
    /// Entries that come to a keyed step by an edge, from lanes (by way of the coordinator) or from a worker.
    Edge { epoch: Epoch, edge: Edge, entries: Vec<Grouped> },
    /// A worker has nothing more for an edge that comes from other keyed steps.
    Ended { epoch: Epoch, edge: Edge, from: usize },
    /// A question: when does the last entry leave, of those that are there and leave by the limit?
    Leaves { epoch: Epoch, limit_us: i64 },
    /// Lanes have nothing more for this epoch; the worker has to close it and answer. `after_us` has the watermark of
    /// each source at the epoch's end, and `horizons_us` the horizon of each table.
    Close { epoch: Epoch, after_us: Vec<Option<i64>>, horizons_us: Vec<Option<i64>> },
    /// The run is over, whatever is under way.
    Stop,
}

/// An answer of a worker.
#[derive(Debug)]
pub enum Answer {
    /// Per step of the plan: when the last entry leaves, as [`Message::Leaves`] asks.
    Leaves(Vec<Option<Leaving>>),
    Closed(Box<Closed>),
}

/// The result of an epoch on a worker, without the rows for the sinks.
#[derive(Debug, Default)]
pub struct Closed {
    /// Counts of what its steps have sent to the steps behind them.
    pub edges: BTreeMap<Edge, EdgeCounts>,
    /// By keyed step: the number of rows that it gave, and what it holds now.
    pub steps: BTreeMap<usize, (u64, Held)>,
    pub bad: BadOfEpoch,
    /// The change of each table that changed, by its number in [`Graph::tables`](crate::build::Graph::tables).
    pub changes: Vec<(usize, Change)>,
    /// Heap memory of the worker's state, in bytes.
    pub bytes: usize,
    /// The time spent on all of it, without the wait for sinks and for other workers.
    pub computed: Duration,
}
