//! The seam. A keyed step has three faces: what coordinator, lanes and workers must know of it without its state (`KeyedStep`); the end of an
//! edge that stands where its input comes from (`Sender`); and the state of a range of key groups (`KeyedOperator`).
use crate::state::{Entry, Key, StateTable, TableSpec};

pub type Time = i64;
/// `None`: any row may still come.
pub type Watermark = Option<Time>;
pub type Value = Option<i64>;

/// Stands in for a row of a RecordBatch. `origin` is (partition, offset); behind keyed steps it is (0, 0), and all columns order rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub time: Time,
    pub origin: (i64, i64),
    pub cols: Vec<Value>,
}

/// A step's watermarks around an epoch, per input.
#[derive(Debug, Clone)]
pub struct Marks {
    pub before: Vec<Watermark>,
    pub after: Vec<Watermark>,
}

/// When something leaves, and what it gives by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaving {
    /// It has left once every input's watermark is there.
    pub at: Time,
    /// No row that it gives is newer.
    pub newest: Time,
}

/// A keyed step, compiled. No state: its copies on coordinator, lanes and workers say the same.
pub trait KeyedStep {
    /// Per input: by how much the step's rows may be older than this input's watermark. The output watermark is the least of the inputs' less these.
    fn hold_backs(&self) -> Vec<Time>;
    fn tables(&self) -> Vec<TableSpec>;
    fn sender(&self, input: usize) -> Box<dyn Sender>;
    fn operator(&self) -> Box<dyn KeyedOperator>;
    /// When the last of what a row becomes leaves that comes by `input`; `None` if it waits for no watermark (it leaves at once, with its time).
    fn leaving_of(&self, input: usize, time: Time) -> Option<Leaving>;

    fn output_watermark(&self, inputs: &[Watermark]) -> Watermark {
        inputs.iter().zip(self.hold_backs()).map(|(w, hold)| w.map(|w| w.saturating_sub(hold))).min().flatten()
    }
}

/// One per input, wherever its rows come from: a lane, or a worker of the step before. Judges lateness, so that late rows cross no edge.
pub trait Sender {
    /// Takes rows in; gives back those that are late. `before` has the watermarks of all inputs at the start of the epoch.
    fn take_in(&mut self, rows: &[Row], before: &[Watermark]) -> Vec<Row>;
    /// What is to cross the edge now.
    fn drain(&mut self) -> Vec<Entry>;
}

/// The step for a range of key groups. Whatever it keeps from one epoch to the next is in its tables.
pub trait KeyedOperator {
    /// What an edge brings, in any order, before `close`.
    fn take_in(&mut self, input: usize, entries: Vec<Entry>);
    /// All of the epoch is in.
    fn close(&mut self, marks: &Marks);
    /// The next rows that are ready, a batch at a time: asked for at any time, and after `close` until there are none.
    fn next(&mut self) -> Option<Vec<Row>>;
    /// In the order of `KeyedStep::tables`.
    fn tables(&mut self) -> Vec<&mut dyn StateTable>;
    /// Of what it holds and what would give rows when it leaves: the last that leaves by `limit`. `before`: the watermarks of the open epoch,
    /// below which it has given what it had to give.
    fn leaves_by(&self, before: &[Watermark], limit: Time) -> Option<Leaving>;
}

/// Rows of a batch, so small that every closing takes many.
pub const BATCH_ROWS: usize = 3;
pub const KEY_GROUPS: u16 = 16;

pub fn key_group(key: &[Value]) -> u16 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for value in key {
        hash = (hash ^ value.map_or(u64::MAX, |v| v as u64)).wrapping_mul(0x0100_0000_01b3);
        hash ^= hash >> 29;
    }
    (hash % u64::from(KEY_GROUPS)) as u16
}

/// A row as it crosses an edge: under its key, with its origin before its columns.
pub fn keyed_row(key: Key, row: &Row) -> Entry {
    let value = [Some(row.origin.0), Some(row.origin.1)].into_iter().chain(row.cols.iter().copied()).collect();
    Entry { group: key_group(&key), time: Some(row.time), key, value: Some(value) }
}

pub fn row_of(time: Time, value: &[Value]) -> Row {
    Row { time, origin: (value[0].unwrap_or_default(), value[1].unwrap_or_default()), cols: value[2..].to_vec() }
}

/// For steps whose rows cross as they are.
pub struct RowSender {
    pub key: usize,
    /// Which watermark judges them.
    pub input: usize,
    /// Rows that nothing can become of stay behind.
    pub drop_null_keys: bool,
    pub ready: Vec<Entry>,
}

impl Sender for RowSender {
    fn take_in(&mut self, rows: &[Row], before: &[Watermark]) -> Vec<Row> {
        let (late, on_time): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| before[self.input].is_some_and(|w| row.time < w));
        let kept = on_time.iter().filter(|row| !(self.drop_null_keys && row.cols[self.key].is_none()));
        self.ready.extend(kept.map(|row| keyed_row(vec![row.cols[self.key]], row)));
        late
    }
    fn drain(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.ready)
    }
}
