//! `histogram`: how many values lie below the first bound, from each bound to the next, and from the last bound on.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::lists::{self, Lists};
use super::{Accumulator, for_each, state_of_rows};

/// The state's column: the counts of the buckets.
pub(super) fn state_fields() -> Vec<FieldRef> {
    vec![Arc::new(Field::new("counts", lists::held_list(&DataType::Int64), true))]
}

pub(super) struct Histogram {
    bounds: Arc<[f64]>,
    /// The counts of each group, one group after the other.
    counts: Vec<i64>,
}

impl Histogram {
    pub fn new(bounds: Arc<[f64]>) -> Self {
        Self { bounds, counts: Vec::new() }
    }

    fn buckets(&self) -> usize {
        self.bounds.len() + 1
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<i64> {
        let emit_to = match emit_to {
            EmitTo::All => EmitTo::All,
            EmitTo::First(groups) => EmitTo::First(groups * self.buckets()),
        };
        emit_to.take_needed(&mut self.counts)
    }

    /// The length of the list of each group, for all these counts.
    fn lengths(&self, counts: &[i64]) -> impl Iterator<Item = usize> + use<> {
        std::iter::repeat_n(self.buckets(), counts.len() / self.buckets())
    }
}

impl Accumulator for Histogram {}

impl GroupsAccumulator for Histogram {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let buckets = self.buckets();
        self.counts.resize(total * buckets, 0);
        for_each(values[0].as_primitive::<Float64Type>(), groups, filter, |group, value| {
            // NaN is greater than every bound.
            let bucket = self.bounds.partition_point(|bound| *bound <= value || value.is_nan());
            self.counts[group * buckets + bucket] += 1;
        });
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let buckets = self.buckets();
        self.counts.resize(total * buckets, 0);
        let lists = Lists::of(values[0].as_list());
        let items = lists.items().as_primitive::<Int64Type>().values();
        for (row, group) in groups.iter().enumerate() {
            let counts = &items[lists.of_row(row)];
            if !counts.is_empty() && counts.len() != buckets {
                return internal_err!("{} counts for {buckets} buckets", counts.len());
            }
            self.counts[group * buckets..].iter_mut().zip(counts).for_each(|(ours, theirs)| *ours += theirs);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let counts = self.taken(emit_to);
        let lengths = self.lengths(&counts);
        lists::result(Arc::new(Int64Array::from(counts)), lengths)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let counts = self.taken(emit_to);
        let lengths = self.lengths(&counts);
        Ok(vec![lists::of_lengths(Arc::new(Int64Array::from(counts)), lengths)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(Arc::clone(&self.bounds)), values, filter)
    }

    fn size(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
