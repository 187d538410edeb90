//! Exact `sum` of bigints and decimals. The sum is kept in a wider type, so that an overflow on the way does not depend
//! on the order of adding. Only the final sum has to fit its type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, i256};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::{Accumulator, for_each, state_of_rows};

/// A sum of values of `T` in a type so wide that no number of rows overflows it.
pub(super) trait Wide<T: ArrowPrimitiveType>: Copy + Default + Send + 'static {
    /// The sum from its parts. Without `high` (state of older versions), `low` is the whole sum.
    fn of(low: T::Native, high: Option<i64>) -> Self;
    /// The lower bits, which are what a sum that wraps around would have, and the bits above them.
    fn parts(self) -> (T::Native, i64);
    fn plus(self, other: Self) -> Self;
    /// The sum, or `None` if `data_type` can't hold it.
    fn fitting(self, data_type: &DataType) -> Option<T::Native>;
}

impl Wide<Int64Type> for i128 {
    fn of(low: i64, high: Option<i64>) -> Self {
        high.map_or(Self::from(low), |high| (Self::from(high) << 64) | Self::from(low.cast_unsigned()))
    }

    #[allow(clippy::cast_possible_truncation)] // Cutting off the upper bits is intended: they are the other part.
    fn parts(self) -> (i64, i64) {
        (self as i64, (self >> 64) as i64)
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn fitting(self, _: &DataType) -> Option<i64> {
        i64::try_from(self).ok()
    }
}

impl Wide<Decimal128Type> for i256 {
    fn of(low: i128, high: Option<i64>) -> Self {
        high.map_or(Self::from_i128(low), |high| Self::from_parts(low.cast_unsigned(), high.into()))
    }

    #[allow(clippy::cast_possible_truncation)] // 2^63 values of 38 digits add up to fewer than 190 bits.
    fn parts(self) -> (i128, i64) {
        let (low, high) = self.to_parts();
        (low.cast_signed(), high as i64)
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn fitting(self, data_type: &DataType) -> Option<i128> {
        self.to_i128().filter(|sum| has_digits(*sum, data_type))
    }
}

/// Whether a decimal type has room for the digits of `unscaled`.
pub(super) fn has_digits(unscaled: i128, data_type: &DataType) -> bool {
    let DataType::Decimal128(precision, _) = data_type else { return false };
    unscaled.unsigned_abs() < 10_u128.pow(u32::from(*precision))
}

pub(super) struct Sum<T: ArrowPrimitiveType, W: Wide<T>> {
    data_type: DataType,
    sums: Vec<W>,
    /// Whether each group has a value.
    seen: Vec<bool>,
    _values: std::marker::PhantomData<fn() -> T>,
}

impl<T: ArrowPrimitiveType, W: Wide<T>> Sum<T, W> {
    pub fn new(data_type: DataType) -> Self {
        Self { data_type, sums: Vec::new(), seen: Vec::new(), _values: std::marker::PhantomData }
    }

    fn make_room(&mut self, groups: usize) {
        self.sums.resize(groups, W::default());
        self.seen.resize(groups, false);
    }

    fn array(&self, values: Vec<T::Native>, valid: Vec<bool>) -> ArrayRef {
        Arc::new(
            PrimitiveArray::<T>::new(values.into(), Some(NullBuffer::from(valid)))
                .with_data_type(self.data_type.clone()),
        )
    }
}

impl<T: ArrowPrimitiveType, W: Wide<T>> Accumulator for Sum<T, W> {
    fn beyond_type(&self) -> Vec<usize> {
        let groups = self.seen.iter().zip(&self.sums).enumerate();
        groups
            .filter(|(_, (seen, sum))| **seen && sum.fitting(&self.data_type).is_none())
            .map(|(group, _)| group)
            .collect()
    }
}

impl<T: ArrowPrimitiveType, W: Wide<T>> GroupsAccumulator for Sum<T, W> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.make_room(total);
        for_each(values[0].as_primitive::<T>(), groups, filter, |group, value| {
            self.sums[group] = self.sums[group].plus(W::of(value, None));
            self.seen[group] = true;
        });
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.make_room(total);
        let low = values[0].as_primitive::<T>();
        let high = values.get(1).map(|high| high.as_primitive::<Int64Type>());
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| low.is_valid(*row)) {
            let high = high.filter(|high| high.is_valid(row)).map(|high| high.value(row));
            self.sums[*group] = self.sums[*group].plus(W::of(low.value(row), high));
            self.seen[*group] = true;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, seen) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.seen));
        let fitting: Vec<_> = sums.into_iter().map(|sum| sum.fitting(&self.data_type)).collect();
        let valid = seen.into_iter().zip(&fitting).map(|(seen, sum)| seen && sum.is_some()).collect();
        Ok(self.array(fitting.into_iter().map(Option::unwrap_or_default).collect(), valid))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, seen) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.seen));
        let (low, high): (Vec<_>, Vec<_>) = sums.into_iter().map(W::parts).unzip();
        let high = Int64Array::new(high.into(), Some(NullBuffer::from(seen.clone())));
        Ok(vec![self.array(low, seen), Arc::new(high)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(self.data_type.clone()), values, filter)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<W>() + self.seen.capacity()
    }
}
