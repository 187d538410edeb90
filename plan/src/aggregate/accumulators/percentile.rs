//! `percentile` and `median`, exactly: the state is all values of the group.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::lists::{self, Lists};
use super::{Accumulator, for_each, state_of_rows};
use crate::floats::Float;

/// The state's column: the values, in no order.
pub(super) fn state_fields() -> Vec<FieldRef> {
    vec![Arc::new(Field::new("values", lists::held_list(&DataType::Float64), true))]
}

pub(super) struct Percentile {
    p: f64,
    values: Vec<Vec<f64>>,
    value_bytes: usize,
}

impl Percentile {
    pub fn new(p: f64) -> Self {
        Self { p, values: Vec::new(), value_bytes: 0 }
    }

    fn add(&mut self, group: usize, values: &[f64]) {
        let of_group = &mut self.values[group];
        let before = of_group.capacity();
        of_group.extend_from_slice(values);
        self.value_bytes += (of_group.capacity() - before) * size_of::<f64>();
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Vec<f64>> {
        let values = emit_to.take_needed(&mut self.values);
        self.value_bytes -= values.iter().map(|values| values.capacity() * size_of::<f64>()).sum::<usize>();
        values
    }
}

/// The value at the fraction `p` of the way from the least to the greatest, between two values where it falls there.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // An index of the list.
fn of(values: &mut [f64], p: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    // Of numbers in the normal form, this order has NaN as the greatest.
    values.sort_unstable_by(f64::total_cmp);
    let position = p * last as f64;
    let (low, high) = (values[position.floor() as usize], values[position.ceil() as usize]);
    if low.to_bits() == high.to_bits() {
        return Some(low);
    }
    Some((position.ceil() - position) * low + (position - position.floor()) * high)
}

impl Accumulator for Percentile {}

impl GroupsAccumulator for Percentile {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.values.resize(total, Vec::new());
        for_each(values[0].as_primitive::<Float64Type>(), groups, filter, |group, value| {
            self.add(group, &[Float64Type::normal(value)]);
        });
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.values.resize(total, Vec::new());
        let lists = Lists::of(values[0].as_list());
        let items = lists.items().as_primitive::<Float64Type>().values();
        groups.iter().enumerate().for_each(|(row, group)| self.add(*group, &items[lists.of_row(row)]));
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut values = self.taken(emit_to);
        Ok(Arc::new(values.iter_mut().map(|values| of(values, self.p)).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let values = self.taken(emit_to);
        let items: ArrayRef = Arc::new(Float64Array::from(values.concat()));
        Ok(vec![lists::of_lengths(items, values.iter().map(Vec::len))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(self.p), values, filter)
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<Vec<f64>>() + self.value_bytes
    }
}
