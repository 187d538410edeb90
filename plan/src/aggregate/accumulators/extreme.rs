//! `min` and `max` of floating-point numbers in the total order of [`crate::floats`]: NaN is the greatest value, and
//! both zeros are 0.0.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::{Accumulator, for_each, state_of_rows};
use crate::floats::{Float, is_below};

/// Whether the least or the greatest value is kept.
pub(super) trait End: Send + 'static {
    fn is_better<T: Float>(value: T::Native, than: T::Native) -> bool;
}

pub(super) struct Least;

impl End for Least {
    fn is_better<T: Float>(value: T::Native, than: T::Native) -> bool {
        is_below::<T>(value, than)
    }
}

pub(super) struct Greatest;

impl End for Greatest {
    fn is_better<T: Float>(value: T::Native, than: T::Native) -> bool {
        is_below::<T>(than, value)
    }
}

pub(super) struct Extreme<T: Float, E> {
    values: Vec<T::Native>,
    /// Whether each group has a value.
    seen: Vec<bool>,
    _end: PhantomData<E>,
}

impl<T: Float, E> Default for Extreme<T, E> {
    fn default() -> Self {
        Self { values: Vec::new(), seen: Vec::new(), _end: PhantomData }
    }
}

impl<T: Float, E: End> Accumulator for Extreme<T, E> {}

impl<T: Float, E: End> GroupsAccumulator for Extreme<T, E> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.values.resize(total, T::Native::default());
        self.seen.resize(total, false);
        for_each(values[0].as_primitive::<T>(), groups, filter, |group, value| {
            let value = T::normal(value);
            if !self.seen[group] || E::is_better::<T>(value, self.values[group]) {
                self.values[group] = value;
                self.seen[group] = true;
            }
        });
        Ok(())
    }

    /// The partial state is the value itself, so merging is updating.
    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(values, groups, None, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (values, seen) = (emit_to.take_needed(&mut self.values), emit_to.take_needed(&mut self.seen));
        Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), Some(NullBuffer::from(seen)))))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::default(), values, filter)
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}
