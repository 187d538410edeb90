//! `avg` of decimals. It is exact except for one rounding at the end, half away from zero, as in Spark.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, UInt64Type, i256};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::sum::has_digits;
use super::{Accumulator, for_each, state_of_rows};

pub(super) struct Average {
    /// The argument's scale.
    scale: i8,
    sum_type: DataType,
    result_type: DataType,
    counts: Vec<u64>,
    sums: Vec<i256>,
}

impl Average {
    pub fn new(scale: i8, sum_type: DataType, result_type: DataType) -> Self {
        Self { scale, sum_type, result_type, counts: Vec::new(), sums: Vec::new() }
    }

    fn make_room(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, i256::ZERO);
    }

    /// The average, unscaled; `None` if the result's type can't hold it.
    fn of(&self, sum: i256, count: u64) -> Option<i128> {
        let DataType::Decimal128(_, result_scale) = self.result_type else { return None };
        let count = i256::from_parts(count.into(), 0);
        let shift = i256::from_i128(10_i128.pow(u32::try_from(result_scale - self.scale).ok()?));
        let (shifted, two) = (sum.checked_mul(shift)?, i256::from_i128(2));
        let (quotient, rest) = (shifted.checked_div(count)?, shifted.checked_rem(count)?);
        let away = if rest.wrapping_abs().wrapping_mul(two) < count { i256::ZERO } else { rest.signum() };
        quotient.wrapping_add(away).to_i128().filter(|average| has_digits(*average, &self.result_type))
    }
}

impl Accumulator for Average {
    fn beyond_type(&self) -> Vec<usize> {
        let groups = self.sums.iter().zip(&self.counts).enumerate();
        groups
            .filter(|(_, (sum, count))| **count > 0 && self.of(**sum, **count).is_none())
            .map(|(group, _)| group)
            .collect()
    }
}

impl GroupsAccumulator for Average {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.make_room(total);
        for_each(values[0].as_primitive::<Decimal128Type>(), groups, filter, |group, value| {
            self.sums[group] = self.sums[group].wrapping_add(i256::from_i128(value));
            self.counts[group] += 1;
        });
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.make_room(total);
        for_each(values[0].as_primitive::<UInt64Type>(), groups, None, |group, count| self.counts[group] += count);
        let sums = &mut self.sums;
        match values[1].data_type() {
            DataType::Decimal128(..) => {
                for_each(values[1].as_primitive::<Decimal128Type>(), groups, None, |group, sum| {
                    sums[group] = sums[group].wrapping_add(i256::from_i128(sum));
                })
            }
            DataType::Decimal256(..) => {
                for_each(values[1].as_primitive::<Decimal256Type>(), groups, None, |group, sum| {
                    sums[group] = sums[group].wrapping_add(sum);
                })
            }
            other => return internal_err!("the sum of an average is no {other}"),
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        let averages = sums.into_iter().zip(counts).map(|(sum, count)| self.of(sum, count));
        Ok(Arc::new(averages.collect::<Decimal128Array>().with_data_type(self.result_type.clone())))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        let nulls = Some(NullBuffer::from(counts.iter().map(|count| *count > 0).collect::<Vec<_>>()));
        let sums: ArrayRef = match self.sum_type {
            DataType::Decimal128(..) => {
                let sums: Vec<i128> = sums.into_iter().map(i256::as_i128).collect();
                Arc::new(Decimal128Array::new(sums.into(), nulls.clone()).with_data_type(self.sum_type.clone()))
            }
            _ => Arc::new(Decimal256Array::new(sums.into(), nulls.clone()).with_data_type(self.sum_type.clone())),
        };
        Ok(vec![Arc::new(UInt64Array::new(counts.into(), nulls)), sums])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(self.scale, self.sum_type.clone(), self.result_type.clone()), values, filter)
    }

    fn size(&self) -> usize {
        self.counts.capacity() * size_of::<u64>() + self.sums.capacity() * size_of::<i256>()
    }
}
