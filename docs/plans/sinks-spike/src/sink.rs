//! The traits of decision 16 as far as exactly once goes, with what waits for its first user: `take_over`, the epoch of a slot, files in the checkpoint. Calls
//! block: this is a spike.

use std::sync::Arc;

use crate::world::World;

pub type Epoch = u64;

#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Nobody knows; the next call finds out.
    Retry(String),
    /// The sink, or the checkpoint, holds a later epoch.
    Fenced { by: Epoch },
    Config(String),
    /// The process was killed: only the test makes it.
    Died,
}

pub type Result<T> = std::result::Result<T, Failure>;

/// A row with its key; without a value it is a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: u32,
    pub value: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub kind: &'static str,
    pub place: String,
    pub id: String,
}

/// The newest commit of a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub epoch: Epoch,
    pub mark: u32,
}

pub struct TakeOver {
    /// A data epoch was decided by somebody who had it.
    pub was_taken_over: bool,
}

pub struct Decided {
    pub epoch: Epoch,
    pub mark: u32,
}

/// What a writer of the open epoch is told.
pub struct Slot {
    /// The number that the open epoch gets if it is decided.
    pub epoch: Epoch,
    pub generation: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub rows: usize,
    /// In the checkpoint.
    pub files: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub kind: &'static str,
    pub rows: usize,
    pub files: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    AlreadyThere,
}

pub trait EpochWriter {
    fn write(&mut self, rows: &[Row]) -> Result<()>;
    fn finish(self: Box<Self>) -> Result<Part>;
}

pub trait Sink {
    fn pin(&self) -> Pin;
    /// Asked before the claim: it fences nobody.
    fn held(&self) -> Result<Option<Held>>;
    /// After the claim, before any commit: shuts older writers out.
    fn fence(&mut self) -> Result<()>;
    /// Once all sinks are fenced: finds out, or says, where this one is. What one sink's older writer left open may hide what another one's did.
    fn take_over(&mut self, now: &TakeOver) -> Result<()>;
    fn begin(&self, slot: &Slot) -> Box<dyn EpochWriter>;
    fn seal(&mut self, parts: Vec<Part>) -> Result<Option<Payload>>;
    fn ready(&mut self, of: &Decided, payload: &Payload) -> Result<()>;
    fn commit(&mut self, of: &Decided, payload: &Payload) -> Result<Outcome>;
}

/// Rows go into a file of the checkpoint, named for the epoch: what both kinds here need.
pub struct OutputWriter {
    pub world: Arc<World>,
    pub name: String,
    pub rows: Vec<Row>,
}

impl EpochWriter for OutputWriter {
    fn write(&mut self, rows: &[Row]) -> Result<()> {
        self.rows.extend_from_slice(rows);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Part> {
        self.world.step()?;
        let rows = self.rows.len();
        self.world.put_output(&self.name, self.rows);
        Ok(Part { rows, files: vec![self.name] })
    }
}
