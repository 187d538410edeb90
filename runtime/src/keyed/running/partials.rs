//! The sending end: what the rows of an epoch have come to, per group.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use weir_plan::aggregate::Aggregate;

use crate::failure::Result;
use crate::keyed::aggregate::group_table::Accumulators;
use crate::keyed::aggregate::keys::Keys;
use crate::keyed::{Prepared, Sender};
use crate::state::{Entries, NEVER};

pub(super) struct Partials {
    aggregate: Arc<Aggregate>,
    keys: Keys,
    /// By group.
    accumulators: Accumulators,
    /// The time (µs) of the newest row of each group, or [`NEVER`] if groups do not expire.
    newest: Vec<i64>,
    /// The group of each row of the current batch.
    of_row: Vec<usize>,
}

impl Partials {
    pub fn new(aggregate: Arc<Aggregate>) -> Result<Self> {
        let types: Vec<_> = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let (keys, accumulators) = (Keys::new(&types)?, Accumulators::new(&aggregate.calls)?);
        Ok(Self { aggregate, keys, accumulators, newest: Vec::new(), of_row: Vec::new() })
    }
}

impl Sender for Partials {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        let (keys, times) = rows.keys.split_at(self.aggregate.group_by.len());
        self.keys.intern(keys, rows.rows, &mut self.of_row)?;
        let groups = self.keys.len();
        match times {
            [times] => {
                self.newest.resize(groups, i64::MIN);
                for (group, time_us) in self.of_row.iter().zip(times.as_primitive::<Int64Type>().values()) {
                    self.newest[*group] = self.newest[*group].max(*time_us);
                }
            }
            _ => self.newest.resize(groups, NEVER),
        }
        self.accumulators.update(&rows.arguments, &self.of_row, groups)
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        let fresh = Self::new(Arc::clone(&self.aggregate))?;
        let Self { keys, accumulators, newest, .. } = std::mem::replace(self, fresh);
        if newest.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, values) = (keys.arrays(0..keys.len())?, accumulators.states()?);
        Ok(vec![Entries { times: Int64Array::from(newest), deleted: None, keys, values }])
    }

    fn bytes(&self) -> usize {
        let of_numbers = self.newest.capacity() * size_of::<i64>() + self.of_row.capacity() * size_of::<usize>();
        self.keys.bytes() + self.accumulators.bytes() + of_numbers
    }
}
