//! The distinct values of a group: `count(distinct x)` and `collect_set`. The state is the set of all of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};
use hashbrown::HashSet;

use super::lists::{self, Lists};
use super::rows::{Format, held, shown, weight};
use super::{Accumulator, COLLECTED_BYTES_MAX, counts, state_of_rows};

/// What is made of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) enum Gives {
    Count,
    /// All values in ascending order, unless they are too many.
    Array,
}

/// The state's columns: the values in order and, for an array, whether they are too many to be kept.
pub(super) fn state_fields(value: &DataType, gives: Gives) -> Vec<FieldRef> {
    let values = Arc::new(Field::new("values", lists::held_list(&held(value)), true));
    let is_full = (gives == Gives::Array).then(|| Arc::new(Field::new("is_full", DataType::Boolean, true)));
    [values].into_iter().chain(is_full).collect()
}

type Set = HashSet<Box<[u8]>>;

#[derive(Debug, Clone, Default)]
struct Group {
    values: Set,
    /// What the values weigh, if they are to be given.
    weight: usize,
    /// Whether the group had too many values, and keeps none.
    is_full: bool,
}

pub(super) struct Distinct {
    value: DataType,
    gives: Gives,
    format: Format,
    groups: Vec<Group>,
    /// Heap memory of the sets, in bytes.
    set_bytes: usize,
}

impl Distinct {
    pub fn new(value: &DataType, gives: Gives) -> Result<Self> {
        let format = Format::new(std::slice::from_ref(value))?;
        Ok(Self { value: value.clone(), gives, format, groups: Vec::new(), set_bytes: 0 })
    }

    fn take_in(&mut self, group: usize, value: &[u8], weight: impl FnOnce() -> usize) {
        let group = &mut self.groups[group];
        if group.is_full || group.values.contains(value) {
            return;
        }
        let before = group.values.allocation_size();
        group.values.insert(value.into());
        self.set_bytes += group.values.allocation_size() - before + value.len();
        if self.gives == Gives::Array {
            group.weight += weight();
            if group.weight > COLLECTED_BYTES_MAX {
                self.set_bytes -= bytes_of(&group.values);
                *group = Group { is_full: true, ..Group::default() };
            }
        }
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Group> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.set_bytes -= groups.iter().map(|group| bytes_of(&group.values)).sum::<usize>();
        groups
    }

    /// The values of all groups, in order within each.
    fn items(&self, groups: &[Group]) -> Result<ArrayRef> {
        let mut values: Vec<&[u8]> = Vec::with_capacity(groups.iter().map(|group| group.values.len()).sum());
        for group in groups {
            let from = values.len();
            values.extend(group.values.iter().map(|value| &**value));
            values[from..].sort_unstable();
        }
        Ok(self.format.decode(values)?.swap_remove(0))
    }
}

fn bytes_of(set: &Set) -> usize {
    set.allocation_size() + set.iter().map(|value| value.len()).sum::<usize>()
}

impl Accumulator for Distinct {
    fn beyond_type(&self) -> Vec<usize> {
        (0..self.groups.len()).filter(|group| self.groups[*group].is_full).collect()
    }
}

impl GroupsAccumulator for Distinct {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize(total, Group::default());
        let rows = self.format.encode(&values[..1])?;
        for (row, group) in groups.iter().enumerate() {
            if counts(filter, row) && values[0].is_valid(row) {
                self.take_in(*group, rows.row(row).data(), || weight(&values[0], row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, Group::default());
        let lists = Lists::of(values[0].as_list());
        let items = lists.items();
        let rows = self.format.encode(std::slice::from_ref(items))?;
        let is_full = values.get(1).map(|is_full| is_full.as_boolean());
        for (row, group) in groups.iter().enumerate() {
            if is_full.is_some_and(|is_full| is_full.is_valid(row) && is_full.value(row)) {
                let group = &mut self.groups[*group];
                self.set_bytes -= bytes_of(&group.values);
                *group = Group { is_full: true, ..Group::default() };
            }
            for item in lists.of_row(row) {
                self.take_in(*group, rows.row(item).data(), || weight(items, item));
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_wrap)] // No set has 2^63 values.
    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.taken(emit_to);
        match self.gives {
            Gives::Count => Ok(Arc::new(groups.iter().map(|group| group.values.len() as i64).collect::<Int64Array>())),
            Gives::Array => {
                let items = shown(&self.items(&groups)?, &self.value)?;
                lists::result(items, groups.iter().map(|group| group.values.len()))
            }
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.taken(emit_to);
        let values = lists::of_lengths(self.items(&groups)?, groups.iter().map(|group| group.values.len()));
        let is_full = (self.gives == Gives::Array).then(|| {
            Arc::new(BooleanArray::from(groups.iter().map(|group| group.is_full).collect::<Vec<_>>())) as ArrayRef
        });
        Ok([values].into_iter().chain(is_full).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(&self.value, self.gives)?, values, filter)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Group>() + self.set_bytes
    }
}
