//! Steps that bring rows of one key together, a folder each. What they keep from one epoch to the next goes through
//! `state`.
//!
//! A keyed step has three faces: what everybody may know of it ([`KeyedStep`]), the ends of its edges that stand where
//! rows come from ([`Sender`]), and its state ([`KeyedOperator`]).
//!
//! ```text
//! rows ─▶ KeyedStep::prepare ─▶ Sender ══ edge: Entries ══▶ KeyedOperator ─▶ rows
//!                                                               └─▶ StateTable ─▶ state files
//! ```

pub mod edge;
pub mod flow;
#[cfg(test)]
pub(crate) mod proof;
pub mod tumbling;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::failure::Result;
use crate::state::{Entries, Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

/// A keyed step, compiled. It has no state: every copy of it says the same, wherever it is. Inputs are counted in the
/// order of the plan's [`Step::inputs`](weir_plan::plan::Step::inputs).
pub trait KeyedStep: Send + Sync {
    /// What it keeps, in an order that never changes.
    fn tables(&self) -> &[Arc<TableSchema>];

    /// How many of the first key columns decide the key group: of entries of its tables, and of what crosses its edges.
    fn hashed(&self) -> usize {
        self.tables().first().map_or(0, |table| table.hashed)
    }

    /// Per input, how much older than its watermark a row of the step may be, in µs: the step's own watermark is the
    /// least of its inputs', less these.
    fn hold_backs_us(&self) -> &[i64];

    /// Makes rows of an input ready for their [`Sender`]. Called for each batch, before any sender has taken in any of
    /// it. It must change nothing: where it fails, the rows at fault are found by halving the batch. Rows that are late
    /// are counted and left out before anything is computed from them. `before_us` has the watermark of each input at
    /// the start of the epoch; `None`: any row may still come.
    ///
    /// # Errors
    /// A sentence, if an expression fails on some row.
    fn prepare(&self, input: usize, rows: &RecordBatch, before_us: &[Option<i64>]) -> Result<Prepared, String>;

    /// The rows that [`Self::prepare`] counts as late, under the schema of the step's output `Late`. Called only where
    /// something reads that output, and as pure as `prepare`.
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

    /// The columns by which the output `Rejected` names rows of an input that come from another keyed step.
    fn rejected(&self, input: usize, rows: &RecordBatch) -> Result<RecordBatch>;

    /// A new end of the edge to an input.
    fn sender(&self, input: usize) -> Result<Box<dyn Sender>>;

    /// When the last of what a row of an input becomes would leave; `None` if it does not wait for a watermark, and
    /// leaves at once with its own time.
    fn leaving_of(&self, input: usize, time_us: i64) -> Option<Leaving>;

    /// A new operator, without any state.
    fn operator(&self) -> Result<Box<dyn KeyedOperator>>;
}

/// The end of an edge that stands where rows come from: a lane, or the steps before. It holds what the rows of the
/// epoch in hand come to.
pub trait Sender: Send {
    /// Takes prepared rows in.
    fn take_in(&mut self, rows: &Prepared) -> Result<()>;

    /// Hands out what is to cross the edge, and starts over. Called when the epoch ends.
    fn drain(&mut self) -> Result<Vec<Entries>>;

    /// Heap bytes held.
    fn bytes(&self) -> usize;
}

/// The state of a keyed step. All that it keeps from one epoch to the next is in its tables.
///
/// ```text
/// an epoch: take_in* ─▶ close ─▶ next until None ─▶ tables: take_change
/// ```
pub trait KeyedOperator: Send {
    /// Takes in what an edge brings, in any order and grouping, before the epoch is closed. Lanes may wait meanwhile:
    /// whatever takes long is for [`Self::close`].
    fn take_in(&mut self, input: usize, entries: Grouped) -> Result<()>;

    /// Everything of the epoch is in. Called once per epoch.
    fn close(&mut self, marks: &Marks) -> Result<()>;

    /// The next rows that are ready, a batch of bounded size; `None` if there are none now. A row that can't be
    /// computed, or does not pass `check`, is a bad row. May be called at any time, and is called after `close` until
    /// it gives `None`.
    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>>;

    /// In the order of [`KeyedStep::tables`].
    fn tables(&mut self) -> Vec<&mut dyn StateTable>;

    /// When the last leaves of all that it holds or has taken in, and that leaves by `limit_us`. `before_us` has the
    /// inputs' watermarks of the open epoch: what lies below has given what it had to give, although a table may still
    /// hold it.
    fn leaves_by(&self, before_us: &[Option<i64>], limit_us: i64) -> Option<Leaving>;

    /// Of an operator with windows: those that are open, by their start (µs), for progress reports. Operators with
    /// other keys have the same ones.
    fn open_windows(&self) -> Option<BTreeSet<i64>>;

    /// Heap bytes beside its tables: what waits for `close`, and rows that `next` has begun to give.
    fn bytes(&self) -> usize;
}

/// The watermarks of a step around an epoch, per input, in µs. `None`: any row may still come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    pub before_us: Vec<Option<i64>>,
    pub after_us: Vec<Option<i64>>,
}

/// When something leaves a step: once the watermark of every input is `at_us`. It gives no row whose time is greater
/// than `newest_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaving {
    pub at_us: i64,
    pub newest_us: i64,
}

/// Rows of one batch, ready for a sender: late ones gone, keys and arguments computed.
pub struct Prepared {
    pub rows: usize,
    /// Rows that were left out as late.
    pub late: u64,
    /// As the step's sender wants them.
    pub keys: Vec<ArrayRef>,
    /// One per call that the step makes of its rows.
    pub arguments: Vec<Argument>,
}

/// What a call takes from a batch: its arguments, and which rows it counts (`None`: all).
pub struct Argument {
    pub values: Vec<ArrayRef>,
    pub filter: Option<BooleanArray>,
}
