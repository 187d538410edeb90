//! A table of groups: key → number of the group, and one accumulator per aggregate call that is indexed by that number.
//!
//! Keys are compared in arrow's row format, so that any number and mix of key columns costs one comparison of bytes. The accumulators are
//! DataFusion's: vectorised, and with partial states that merge.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow_row::{RowConverter, Rows, SortField};
use datafusion_expr::{EmitTo, GroupsAccumulator};
use hashbrown::HashTable;
use weir_plan::aggregate::Call;
use xxhash_rust::xxh3::xxh3_64;

use crate::failure::{Failure, Result};

/// Groups and their accumulators.
pub struct GroupTable {
    keys: Keys,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// The group of each row of the batch in hand.
    group_of_row: Vec<usize>,
}

impl GroupTable {
    /// # Errors
    /// `Bug` if an accumulator can't be made: validation has made one of each before.
    pub fn new(key_types: &[DataType], calls: &[Call]) -> Result<Self> {
        let accumulators = calls
            .iter()
            .map(|call| call.accumulator().map_err(|e| Failure::bug(format!("an accumulator for {}: {e}", call.function.name()))))
            .collect::<Result<_>>()?;
        Ok(Self { keys: Keys::new(key_types)?, accumulators, group_of_row: Vec::new() })
    }

    /// Takes in rows.
    pub fn update(&mut self, keys: &[ArrayRef], rows: usize, arguments: &Arguments) -> Result<()> {
        self.keys.intern(keys, rows, &mut self.group_of_row)?;
        let total = self.keys.len();
        for ((accumulator, values), filter) in self.accumulators.iter_mut().zip(&arguments.values).zip(&arguments.filters) {
            accumulator.update_batch(values, &self.group_of_row, filter.as_ref(), total).map_err(accumulate)?;
        }
        Ok(())
    }

    /// Takes in partial states, as [`Self::drain`] gave them.
    pub fn merge(&mut self, keys: &[ArrayRef], rows: usize, states: &[Vec<ArrayRef>]) -> Result<()> {
        self.keys.intern(keys, rows, &mut self.group_of_row)?;
        let total = self.keys.len();
        for (accumulator, state) in self.accumulators.iter_mut().zip(states) {
            accumulator.merge_batch(state, &self.group_of_row, total).map_err(accumulate)?;
        }
        Ok(())
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.keys.len()
    }

    /// Heap bytes held.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.accumulators.iter().map(|a| a.size()).sum::<usize>() + self.group_of_row.capacity() * size_of::<usize>()
    }

    /// The keys and the partial states, in the same order. The table is spent.
    pub fn drain(mut self) -> Result<(Vec<ArrayRef>, Vec<Vec<ArrayRef>>)> {
        let keys = self.keys.arrays()?;
        let states = self.accumulators.iter_mut().map(|a| a.state(EmitTo::All).map_err(accumulate)).collect::<Result<_>>()?;
        Ok((keys, states))
    }

    /// The keys and the final value of each call, in the same order. The table is spent.
    pub fn evaluate(mut self) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>)> {
        let keys = self.keys.arrays()?;
        let values = self.accumulators.iter_mut().map(|a| a.evaluate(EmitTo::All).map_err(accumulate)).collect::<Result<_>>()?;
        Ok((keys, values))
    }
}

fn accumulate(error: impl std::fmt::Display) -> Failure {
    Failure::bug(format!("an accumulator refused what validation had allowed: {error}"))
}

/// Distinct keys, numbered in the order of their first occurrence.
enum Keys {
    /// No key columns: one group, from the first row on.
    Global {
        seen: bool,
    },
    Rows(Box<RowKeys>),
}

struct RowKeys {
    converter: RowConverter,
    index: HashTable<(u64, u32)>,
    distinct: Rows,
    batch: Rows,
}

impl Keys {
    fn new(types: &[DataType]) -> Result<Self> {
        if types.is_empty() {
            return Ok(Self::Global { seen: false });
        }
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields).map_err(|e| Failure::bug(format!("keys of types {types:?}: {e}")))?;
        let (distinct, batch) = (converter.empty_rows(0, 0), converter.empty_rows(0, 0));
        Ok(Self::Rows(Box::new(RowKeys { converter, index: HashTable::new(), distinct, batch })))
    }

    fn len(&self) -> usize {
        match self {
            Self::Global { seen } => usize::from(*seen),
            Self::Rows(k) => k.distinct.num_rows(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Global { .. } => 0,
            Self::Rows(k) => k.index.allocation_size() + k.distinct.size() + k.batch.size(),
        }
    }

    /// Writes the number of each row's group into `groups`.
    fn intern(&mut self, columns: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()> {
        groups.clear();
        match self {
            Self::Global { seen } => {
                *seen |= rows > 0;
                groups.resize(rows, 0);
                Ok(())
            }
            Self::Rows(keys) => keys.intern(columns, groups),
        }
    }

    fn arrays(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Global { .. } => Ok(Vec::new()),
            Self::Rows(k) => k.converter.convert_rows(k.distinct.iter()).map_err(|e| Failure::bug(format!("keys back from rows: {e}"))),
        }
    }
}

impl RowKeys {
    fn intern(&mut self, columns: &[ArrayRef], groups: &mut Vec<usize>) -> Result<()> {
        self.batch.clear();
        self.converter.append(&mut self.batch, columns).map_err(|e| Failure::bug(format!("keys into rows: {e}")))?;
        for row in self.batch.iter() {
            let hash = xxh3_64(row.as_ref());
            let distinct = &self.distinct;
            let found = self.index.find(hash, |(h, i)| *h == hash && distinct.row(*i as usize) == row);
            let group = match found {
                Some((_, group)) => *group,
                None => {
                    let group = u32::try_from(self.distinct.num_rows())
                        .map_err(|_| Failure::config("a window has more than 4,294,967,295 groups; group by something coarser"))?;
                    self.distinct.push(row);
                    self.index.insert_unique(hash, (hash, group), |(h, _)| *h);
                    group
                }
            };
            groups.push(group as usize);
        }
        Ok(())
    }
}

/// What an aggregate's calls take from a batch of its input: per call its arguments, and which rows it counts.
pub struct Arguments {
    values: Vec<Vec<ArrayRef>>,
    filters: Vec<Option<BooleanArray>>,
}

impl Arguments {
    /// # Errors
    /// A sentence, if an expression fails on some row.
    pub fn of(calls: &[Call], batch: &RecordBatch) -> Result<Self, String> {
        let mut arguments = Self { values: Vec::with_capacity(calls.len()), filters: Vec::with_capacity(calls.len()) };
        for call in calls {
            let values = call.args.iter().map(|e| e.evaluate(batch).map_err(|error| error.to_string()));
            arguments.values.push(values.collect::<Result<_, _>>()?);
            let filter = call.filter.as_ref().map(|f| f.evaluate(batch).map_err(|error| error.to_string()));
            arguments.filters.push(filter.transpose()?.map(|mask| mask.as_boolean().clone()));
        }
        Ok(arguments)
    }
}

/// One key column after another, with `first` in front.
pub(super) fn with_first(first: ArrayRef, rest: &[ArrayRef]) -> Vec<ArrayRef> {
    std::iter::once(first).chain(rest.iter().map(Arc::clone)).collect()
}
