//! A table of groups. It maps each key to the number of its group, and has one accumulator per aggregate call, indexed
//! by that number.
//!
//! The accumulators are vectorised, and have partial states that merge.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::{Array as _, ArrayRef};
use arrow::datatypes::DataType;
use datafusion_expr::EmitTo;
use weir_plan::aggregate::{Accumulator, Call};

use super::keys::Keys;
use crate::failure::{Failure, Result};
use crate::keyed::Argument;

/// Bytes of one accumulator's strings that are made at a time, if the groups are of average size. An Arrow array of
/// strings ends at 2 GiB.
const VALUES_BYTES: usize = 128 << 20;

/// Groups and their accumulators.
pub struct GroupTable {
    keys: Keys,
    accumulators: Accumulators,
    /// The group of each row of the current batch.
    group_of_row: Vec<usize>,
}

/// One accumulator per call, each with a state per group. Groups are numbered from 0.
pub struct Accumulators {
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Per accumulator: how many columns its partial state has.
    state_columns: Vec<usize>,
}

/// Final values of groups.
pub struct Values {
    /// One array per call, with a value per group.
    pub of_calls: Vec<ArrayRef>,
    /// Groups and calls whose value does not fit its type, in that order. It is null in `of_calls`.
    pub beyond_type: Vec<(usize, usize)>,
}

impl Accumulators {
    /// # Errors
    /// `Bug`, if an accumulator can't be made. Validation has made one of each before.
    pub fn new(calls: &[Call]) -> Result<Self> {
        let accumulators = calls
            .iter()
            .map(|call| {
                call.accumulator()
                    .map_err(|e| Failure::bug(format!("an accumulator for {}: {e}", call.function.name())))
            })
            .collect::<Result<_>>()?;
        Ok(Self { accumulators, state_columns: calls.iter().map(|call| call.state_fields.len()).collect() })
    }

    /// Takes in rows, of which each belongs to a group. There are `total` groups by now.
    pub fn update(&mut self, arguments: &[Argument], group_of_row: &[usize], total: usize) -> Result<()> {
        for (accumulator, Argument { values, filter }) in self.accumulators.iter_mut().zip(arguments) {
            accumulator.update_batch(values, group_of_row, filter.as_ref(), total).map_err(accumulate)?;
        }
        Ok(())
    }

    /// Takes in partial states, as [`Self::states`] gives them.
    pub fn merge(&mut self, states: &[ArrayRef], group_of_row: &[usize], total: usize) -> Result<()> {
        let mut rest = states;
        for (accumulator, columns) in self.accumulators.iter_mut().zip(&self.state_columns) {
            let (state, behind) = rest.split_at(*columns);
            rest = behind;
            accumulator.merge_batch(state, group_of_row, total).map_err(accumulate)?;
        }
        Ok(())
    }

    /// The partial states of all groups, which this consumes.
    pub fn states(mut self) -> Result<Vec<ArrayRef>> {
        let states = self.accumulators.iter_mut().map(|a| a.state(EmitTo::All).map_err(accumulate));
        Ok(states.collect::<Result<Vec<_>>>()?.concat())
    }

    /// The final values of all groups, which this consumes.
    pub fn evaluate(mut self) -> Result<Values> {
        let beyond_type = self.beyond_type();
        let of_calls = self.accumulators.iter_mut().map(|a| a.evaluate(EmitTo::All).map_err(accumulate));
        Ok(Values { of_calls: of_calls.collect::<Result<_>>()?, beyond_type })
    }

    fn beyond_type(&self) -> Vec<(usize, usize)> {
        let numbered = self.accumulators.iter().enumerate();
        let beyond = numbered
            .flat_map(|(call, accumulator)| accumulator.beyond_type().into_iter().map(move |group| (group, call)));
        let mut beyond: Vec<(usize, usize)> = beyond.collect();
        beyond.sort_unstable();
        beyond
    }

    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.accumulators.iter().map(|a| a.size()).sum()
    }
}

impl GroupTable {
    /// # Errors
    /// See [`Accumulators::new`].
    pub fn new(key_types: &[DataType], calls: &[Call]) -> Result<Self> {
        let accumulators = Accumulators::new(calls)?;
        Ok(Self { keys: Keys::new(key_types)?, accumulators, group_of_row: Vec::new() })
    }

    /// Takes in rows.
    pub fn update(&mut self, keys: &[ArrayRef], rows: usize, arguments: &[Argument]) -> Result<()> {
        self.keys.intern(keys, rows, &mut self.group_of_row)?;
        self.accumulators.update(arguments, &self.group_of_row, self.keys.len())
    }

    /// Takes in partial states, as [`Self::drain`] gives them.
    pub fn merge(&mut self, keys: &[ArrayRef], rows: usize, states: &[ArrayRef]) -> Result<()> {
        self.keys.intern(keys, rows, &mut self.group_of_row)?;
        self.accumulators.merge(states, &self.group_of_row, self.keys.len())
    }

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.keys.len()
    }

    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.accumulators.bytes() + self.group_of_row.capacity() * size_of::<usize>()
    }

    /// Returns the keys and the partial states, in the same order. This consumes the table.
    pub fn drain(self) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>)> {
        Ok((self.keys.arrays(0..self.keys.len())?, self.accumulators.states()?))
    }

    /// Returns the groups with the final value of each call, to be taken a part at a time. This consumes the table.
    /// `calls` are the calls that it was made for.
    pub fn evaluate(self, calls: &[Call]) -> Evaluated {
        self.evaluate_in(calls, VALUES_BYTES)
    }

    fn evaluate_in(self, calls: &[Call], values_bytes: usize) -> Evaluated {
        let groups = self.groups();
        let beyond = self.accumulators.beyond_type();
        let Self { keys, accumulators: Accumulators { accumulators, .. }, .. } = self;
        // Values of a fixed width are not copied if they are made all at once.
        let of_any_length = |call: &Call| call.function.field().data_type().primitive_width().is_none();
        let bytes = accumulators.iter().zip(calls).filter(|(_, call)| of_any_length(call)).map(|(a, _)| a.size()).max();
        let parts = bytes.unwrap_or_default().div_ceil(values_bytes).max(1);
        let groups_at_once = groups.div_ceil(parts).max(1);
        Evaluated {
            keys,
            accumulators,
            beyond: beyond.into(),
            groups_at_once,
            made: 0..0,
            values: Vec::new(),
            taken: 0,
        }
    }
}

/// The groups of a consumed table. Keys stay as the table had them until their turn comes, and so do values if there
/// are many long ones.
pub struct Evaluated {
    keys: Keys,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Groups and calls whose value does not fit its type, in that order, without those that were taken.
    beyond: VecDeque<(usize, usize)>,
    /// How many groups' values are made at a time.
    groups_at_once: usize,
    /// The groups that `values` belong to.
    made: Range<usize>,
    /// One array per call.
    values: Vec<ArrayRef>,
    taken: usize,
}

/// A part of the groups.
pub struct Groups {
    pub rows: usize,
    pub keys: Vec<ArrayRef>,
    /// One array per call.
    pub values: Vec<ArrayRef>,
    /// Groups (by their index here) and calls whose value does not fit its type, in that order. It is null in `values`.
    pub beyond_type: Vec<(usize, usize)>,
}

impl Evaluated {
    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let values = self.values.iter().map(|values| values.get_array_memory_size()).sum::<usize>();
        self.keys.bytes() + self.accumulators.iter().map(|a| a.size()).sum::<usize>() + values
    }

    /// Returns the next groups: as many as there are in `bytes_max` bytes of keys and `rows_max` rows, and at least
    /// one. `None` at the end.
    pub fn take(&mut self, bytes_max: usize, rows_max: usize) -> Result<Option<Groups>> {
        let from = self.taken;
        if from == self.keys.len() {
            return Ok(None);
        }
        if from == self.made.end {
            self.make_values()?;
        }
        let mut bytes = self.keys.bytes_of(from);
        let mut to = from + 1;
        while to < self.made.end && to - from < rows_max {
            bytes += self.keys.bytes_of(to);
            if bytes > bytes_max {
                break;
            }
            to += 1;
        }
        self.taken = to;
        let values = self.values.iter().map(|values| values.slice(from - self.made.start, to - from)).collect();
        let beyond = self.beyond.partition_point(|(group, _)| *group < to);
        let beyond_type = self.beyond.drain(..beyond).map(|(group, call)| (group - from, call)).collect();
        Ok(Some(Groups { rows: to - from, keys: self.keys.arrays(from..to)?, values, beyond_type }))
    }

    /// Makes the values of the groups that come after `made`.
    fn make_values(&mut self) -> Result<()> {
        // The old values are dropped before the next ones are made.
        self.values.clear();
        let from = self.made.end;
        let to = self.keys.len().min(from + self.groups_at_once);
        let emit = if to == self.keys.len() { EmitTo::All } else { EmitTo::First(to - from) };
        for accumulator in &mut self.accumulators {
            self.values.push(accumulator.evaluate(emit).map_err(accumulate)?);
        }
        self.made = from..to;
        Ok(())
    }
}

fn accumulate(error: impl std::fmt::Display) -> Failure {
    Failure::bug(format!("an accumulator refused what validation had allowed: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use weir_plan::aggregate::{AggregateColumn, compile};
    use weir_plan::plan::Input;
    use weir_plan::types::{Column, DataType as Type, EVENT_TIME};
    use weir_plan::window::Window;

    use super::*;

    /// `sum(n)` and `max(s)` over a bigint and a string.
    fn calls() -> Vec<Call> {
        let field =
            |name: &str, data_type| Column { name: name.into(), data_type, nullable: name != EVENT_TIME }.to_field();
        let fields = vec![field("n", Type::Bigint), field("s", Type::String), field(EVENT_TIME, Type::Timestamp)];
        let column = |name: &str, expr: &str| AggregateColumn { name: name.into(), expr: expr.into(), filter: None };
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        compile(Input::Source(0), &schema, Window::tumbling(5), &[], &[column("a", "sum(n)"), column("b", "max(s)")])
            .unwrap()
            .calls
    }

    /// Group `g` has the values `numbers[g]`, each twice.
    fn table(numbers: &[i64]) -> GroupTable {
        let mut table = GroupTable::new(&[DataType::Utf8], &calls()).unwrap();
        let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..numbers.len()).map(|i| format!("{i:0>100}"))));
        let texts: ArrayRef = Arc::clone(&keys);
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        let arguments = [numbers, texts].map(|values| Argument { values: vec![values], filter: None });
        for _ in 0..2 {
            table.update(&[Arc::clone(&keys)], keys.len(), &arguments).unwrap();
        }
        table
    }

    #[test]
    fn groups_come_in_batches_of_bounded_size_and_each_once() {
        let numbers: Vec<i64> = (0..1_000).map(|i| if i % 100 == 7 { i64::MAX } else { i }).collect();
        for bytes_max in [1, 5_000, 40_000, usize::MAX / 2] {
            let mut evaluated = table(&numbers).evaluate_in(&calls(), bytes_max);
            let batches: Vec<_> = std::iter::from_fn(|| evaluated.take(bytes_max, usize::MAX).unwrap()).collect();
            let mut at = 0;
            for batch in &batches {
                let keys = batch.keys[0].as_string::<i32>();
                assert!(keys.values().len() <= bytes_max || batch.rows == 1, "{bytes_max}: {}", keys.values().len());
                for row in 0..batch.rows {
                    assert_eq!(keys.value(row), format!("{at:0>100}"));
                    assert_eq!(batch.values[1].as_string::<i32>().value(row), keys.value(row));
                    let beyond = numbers[at] == i64::MAX;
                    assert_eq!(batch.beyond_type.contains(&(row, 0)), beyond);
                    if !beyond {
                        assert_eq!(batch.values[0].as_primitive::<Int64Type>().value(row), 2 * numbers[at]);
                    }
                    at += 1;
                }
            }
            assert_eq!(at, numbers.len());
            assert_eq!(batches.len() == 1, bytes_max > 1 << 20, "{bytes_max}");
        }
    }
}
