//! Steps that bring rows of one key together, a folder each. What they keep from one epoch to the next goes through `state`.
//!
//! A keyed step has two faces so far: what everybody may know of it ([`KeyedStep`]), and the ends of its edges that stand where rows come
//! from ([`Sender`]).
//!
//! ```text
//! rows ─▶ KeyedStep::prepare ─▶ Sender ══ edge: Entries ══▶ state by key ─▶ rows
//! ```

pub mod edge;
pub mod tumbling;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::failure::Result;
use crate::state::{Entries, TableSchema};

/// A keyed step, compiled. It has no state: every copy of it says the same, wherever it is. Inputs are counted in the order of the plan's
/// [`Step::inputs`](weir_plan::plan::Step::inputs).
pub trait KeyedStep: Send + Sync {
    /// What it keeps, in an order that never changes.
    fn tables(&self) -> &[Arc<TableSchema>];

    /// Makes rows of an input ready for their [`Sender`]. Called for each batch, before any sender has taken in any of it. It must change nothing:
    /// where it fails, the rows at fault are found by halving the batch. Rows that are late are counted and left out before anything is computed
    /// from them. `before_us` has the watermark of each input at the start of the epoch; `None`: any row may still come.
    ///
    /// # Errors
    /// A sentence, if an expression fails on some row.
    fn prepare(&self, input: usize, rows: &RecordBatch, before_us: &[Option<i64>]) -> Result<Prepared, String>;

    /// The rows that [`Self::prepare`] counts as late, under the schema of the step's output `Late`. Called only where something reads that
    /// output, and as pure as `prepare`.
    ///
    /// # Errors
    /// A sentence, if the rows do not fit the schema.
    fn late(&self, input: usize, rows: &RecordBatch, before_us: &[Option<i64>], schema: &SchemaRef) -> Result<RecordBatch, String>;

    /// The columns by which the output `Rejected` names rows of an input that come from another keyed step.
    fn rejected(&self, input: usize, rows: &RecordBatch) -> Result<RecordBatch>;

    /// A new end of the edge to an input.
    fn sender(&self, input: usize) -> Result<Box<dyn Sender>>;
}

/// The end of an edge that stands where rows come from: a lane, or the steps before. It holds what the rows of the epoch in hand come to.
pub trait Sender: Send {
    /// Takes prepared rows in.
    fn take_in(&mut self, rows: &Prepared) -> Result<()>;

    /// Hands out what is to cross the edge, and starts over. Called when the epoch ends.
    fn drain(&mut self) -> Result<Vec<Entries>>;

    /// Heap bytes held.
    fn bytes(&self) -> usize;
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
