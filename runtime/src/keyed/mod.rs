//! Steps that bring rows of one key together, with a folder for each. What they keep from one epoch to the next goes
//! through `state`.
//!
//! A keyed step has three parts: what all other code may know about it ([`KeyedStep`]), the sending ends of its edges,
//! which stand where rows come from ([`Sender`]), and its state ([`KeyedOperator`]).
//!
//! ```text
//! rows ─▶ KeyedStep::prepare ─▶ Sender ══ edge: Entries ══▶ KeyedOperator ─▶ rows
//!                                                               └─▶ StateTable ─▶ state files
//! ```

pub(crate) mod aggregate;
pub(crate) mod deduplicate;
pub mod edge;
pub(crate) mod flow;
pub(crate) mod over;
#[cfg(test)]
pub(crate) mod proof;
pub(crate) mod rows;
pub(crate) mod running;
pub(crate) mod session;
pub(crate) mod windowed;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::failure::Result;
use crate::state::{Entries, Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

/// A compiled keyed step. It has no state: every copy of it gives the same answers, wherever it is. Inputs are numbered
/// in the order of the plan's [`Step::inputs`](weir_plan::plan::Step::inputs).
pub trait KeyedStep: Send + Sync {
    /// The tables of its state, in an order that never changes.
    fn tables(&self) -> &[Arc<TableSchema>];

    /// How many of the first key columns decide the key group, both in its tables and in what crosses its edges.
    fn hashed(&self) -> usize {
        self.tables().first().map_or(0, |table| table.hashed)
    }

    /// Per input, in µs: how much older than the input's watermark a row of the step may be. The step's own watermark
    /// is the least over its inputs of the input's watermark minus this.
    fn hold_backs_us(&self) -> &[i64];

    /// Whether the step orders rows of an input by where their records are in Kafka. It gets these origins then, for
    /// rows that come from lanes.
    fn orders_by_origin(&self, _input: usize) -> bool {
        false
    }

    /// Makes rows of an input ready for their [`Sender`]. It is called for each batch, before any sender has taken in
    /// any of it. It must change nothing: if it fails, the rows at fault are found by halving the batch. Late rows are
    /// counted and left out before anything is computed from them. `before_us` has the watermark of each input at the
    /// start of the epoch; `None` means that any row may still come. `origins` has one value per row, whose order as
    /// bytes is that of source, topic, partition and offset.
    ///
    /// # Errors
    /// A sentence, if an expression fails on some row.
    fn prepare(
        &self,
        input: usize,
        rows: &RecordBatch,
        origins: Option<&ArrayRef>,
        before_us: &[Option<i64>],
    ) -> Result<Prepared, String>;

    /// What rows have missed, under the schema of the step's output `Late`: one row for each window that a row has
    /// missed, or for each row that [`Self::prepare`] counts as late. It is called only if something reads that output,
    /// and is as pure as `prepare`.
    ///
    /// # Errors
    /// A sentence, if the rows do not fit the schema.
    fn late(
        &self,
        input: usize,
        rows: &RecordBatch,
        before_us: &[Option<i64>],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String>;

    /// The columns by which the output `Rejected` identifies rows of an input that come from another keyed step.
    fn rejected(&self, input: usize, rows: &RecordBatch) -> Result<RecordBatch>;

    /// A new sending end of the edge to an input.
    fn sender(&self, input: usize) -> Result<Box<dyn Sender>>;

    /// When the last result of a row with this time would leave.
    fn leaving_of(&self, input: usize, time_us: i64) -> Leaving;

    /// A new operator, without any state.
    fn operator(&self) -> Result<Box<dyn KeyedOperator>>;
}

/// The sending end of an edge. It stands where rows come from: in a lane, or behind the steps before. It holds what the
/// rows of the open epoch have come to.
pub trait Sender: Send {
    /// Takes prepared rows in.
    fn take_in(&mut self, rows: &Prepared) -> Result<()>;

    /// Hands out what has to cross the edge, and starts empty again. It is called when the epoch ends.
    fn drain(&mut self) -> Result<Vec<Entries>>;

    /// Heap memory held, in bytes.
    fn bytes(&self) -> usize;
}

/// The state of a keyed step. Everything that it keeps from one epoch to the next is in its tables.
///
/// ```text
/// an epoch: take_in* ─▶ close ─▶ next until None ─▶ tables: take_change
/// ```
pub trait KeyedOperator: Send {
    /// Takes in what an edge brings, in any order and grouping, before the epoch is closed. Lanes may wait meanwhile,
    /// so work that takes long belongs in [`Self::close`].
    fn take_in(&mut self, input: usize, entries: Grouped) -> Result<()>;

    /// Closes the epoch, of which everything is in now. It is called once per epoch.
    fn close(&mut self, marks: &Marks) -> Result<()>;

    /// Returns the next rows that are ready, in a batch of bounded size; `None` if there are none now. A row that can't
    /// be computed, or does not pass `check`, is a bad row. This may be called at any time, and is called after `close`
    /// until it returns `None`.
    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>>;

    /// The tables in the order of [`KeyedStep::tables`].
    fn tables(&mut self) -> Vec<&mut dyn StateTable>;

    /// When the last entry leaves, of those that the operator holds or has taken in and that leave by `limit_us`.
    /// `before_us` has the inputs' watermarks of the open epoch. Entries below them have given what they had to give,
    /// although a table may still hold them.
    fn leaves_by(&self, before_us: &[Option<i64>], limit_us: i64) -> Result<Option<Leaving>>;

    /// For an operator with windows: the bounds (µs) of each open window, for progress reports. Operators of the same
    /// step that have other keys may have the same windows.
    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>>;

    /// Heap memory beside the tables, in bytes: what waits for `close`, and rows that `next` has begun to give.
    fn bytes(&self) -> usize;
}

/// The watermarks of a step before and after an epoch, per input, in µs. `None` means that any row may still come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    pub before_us: Vec<Option<i64>>,
    pub after_us: Vec<Option<i64>>,
}

/// When something leaves a step: once the watermark of every input is `at_us`. No row that the step gives then has a
/// time greater than `newest_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaving {
    /// `i64::MIN` for what waits for no watermark and leaves when the epoch closes.
    pub at_us: i64,
    pub newest_us: i64,
}

impl Leaving {
    /// Leaves when the epoch closes.
    #[must_use]
    pub fn at_once(newest_us: i64) -> Self {
        Self { at_us: i64::MIN, newest_us }
    }

    #[must_use]
    pub fn waits(&self) -> bool {
        self.at_us > i64::MIN
    }
}

/// Rows of one batch that are ready for a sender: late ones are left out, and keys and arguments are computed.
pub struct Prepared {
    pub rows: usize,
    /// Rows that were left out as late.
    pub late: u64,
    /// Whether [`KeyedStep::late`] has rows: if windows overlap, a row may have missed one of them without being late.
    pub has_missed: bool,
    /// The keys as the step's sender wants them.
    pub keys: Vec<ArrayRef>,
    /// One per call that the step evaluates over its rows.
    pub arguments: Vec<Argument>,
}

/// What a call takes from a batch: its arguments, and the rows that it counts (`None`: all rows).
pub struct Argument {
    pub values: Vec<ArrayRef>,
    pub filter: Option<BooleanArray>,
}
