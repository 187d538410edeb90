//! All values of a group in the order of their event time: `collect_list` and `string_agg`. Values of one time are in
//! their own order, so that the result does not depend on how rows arrive.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeStringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::lists::{self, Lists};
use super::rows::{Format, held, shown, weight};
use super::{Accumulator, COLLECTED_BYTES_MAX, counts, state_of_rows};
use crate::types::timestamp_type;

/// The state's columns: the event times and the values, in no order, and whether they are too many to be kept.
pub(super) fn state_fields(value: &DataType) -> Vec<FieldRef> {
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
    vec![
        field("times", lists::held_list(&timestamp_type())),
        field("values", lists::held_list(&held(value))),
        field("is_full", DataType::Boolean),
    ]
}

#[derive(Debug, Clone, Default)]
struct Group {
    /// The rows of [`Collected::format`], one after the other.
    bytes: Vec<u8>,
    /// The end of each row.
    ends: Vec<usize>,
    weight: usize,
    /// Whether the group had too many values, and keeps none.
    is_full: bool,
}

impl Group {
    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    fn take_in(&mut self, row: &[u8], weight: usize) {
        self.weight += weight;
        if self.weight > COLLECTED_BYTES_MAX {
            self.fill();
        }
        if !self.is_full {
            self.bytes.extend_from_slice(row);
            self.ends.push(self.bytes.len());
        }
    }

    fn fill(&mut self) {
        *self = Self { is_full: true, ..Self::default() };
    }
}

pub(super) struct Collected {
    value: DataType,
    /// What stands between the texts; `None` for an array.
    delimiter: Option<Arc<str>>,
    /// Of the event time and the value.
    format: Format,
    groups: Vec<Group>,
    group_bytes: usize,
}

impl Collected {
    pub fn new(value: &DataType, delimiter: Option<Arc<str>>) -> Result<Self> {
        let format = Format::new(&[timestamp_type(), value.clone()])?;
        Ok(Self { value: value.clone(), delimiter, format, groups: Vec::new(), group_bytes: 0 })
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Group)) {
        let group = &mut self.groups[group];
        let before = group.heap_bytes();
        change(group);
        self.group_bytes = self.group_bytes - before + group.heap_bytes();
    }

    fn weight_of(&self, values: &dyn Array, row: usize) -> usize {
        weight(values, row) + self.delimiter.as_ref().map_or(0, |delimiter| delimiter.len())
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Group> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.group_bytes -= groups.iter().map(Group::heap_bytes).sum::<usize>();
        groups
    }
}

impl Accumulator for Collected {
    fn beyond_type(&self) -> Vec<usize> {
        (0..self.groups.len()).filter(|group| self.groups[*group].is_full).collect()
    }
}

impl GroupsAccumulator for Collected {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize(total, Group::default());
        let (values, times) = (&values[0], &values[1]);
        let rows = self.format.encode(&[times, values].map(Arc::clone))?;
        for (row, group) in groups.iter().enumerate() {
            if counts(filter, row) && values.is_valid(row) {
                let weight = self.weight_of(values, row);
                self.change(*group, |group| group.take_in(rows.row(row).data(), weight));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, Group::default());
        let [times, lists] = [0, 1].map(|column| Lists::of(values[column].as_list()));
        let items = lists.items();
        let rows = self.format.encode(&[times.items(), items].map(Arc::clone))?;
        let is_full = values[2].as_boolean();
        for (row, group) in groups.iter().enumerate() {
            if is_full.is_valid(row) && is_full.value(row) {
                self.change(*group, Group::fill);
            }
            for item in lists.of_row(row) {
                let weight = self.weight_of(items, item);
                self.change(*group, |group| group.take_in(rows.row(item).data(), weight));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.taken(emit_to);
        let mut rows: Vec<&[u8]> = Vec::with_capacity(groups.iter().map(|group| group.ends.len()).sum());
        for group in &groups {
            let from = rows.len();
            rows.extend(group.rows());
            rows[from..].sort_unstable();
        }
        let items = self.format.decode(rows)?.swap_remove(1);
        let lengths = groups.iter().map(|group| group.ends.len());
        let Some(delimiter) = &self.delimiter else {
            return lists::result(shown(&items, &self.value)?, lengths);
        };
        let mut texts = items.as_string::<i64>().iter().flatten();
        let joined = lengths.map(|length| {
            let first = (length > 0).then(|| texts.next()).flatten()?;
            let rest = texts.by_ref().take(length - 1);
            Some(rest.fold(first.to_owned(), |text, next| text + delimiter + next))
        });
        // Too many for an array with offsets of 32 bits are an error of the cast.
        let texts: ArrayRef = Arc::new(joined.collect::<LargeStringArray>());
        shown(&texts, &self.value)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.taken(emit_to);
        let columns = self.format.decode(groups.iter().flat_map(Group::rows))?;
        let lengths = || groups.iter().map(|group| group.ends.len());
        let lists = columns.into_iter().map(|items| lists::of_lengths(items, lengths()));
        let is_full = BooleanArray::from(groups.iter().map(|group| group.is_full).collect::<Vec<_>>());
        Ok(lists.chain([Arc::new(is_full) as ArrayRef]).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(&self.value, self.delimiter.clone())?, values, filter)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Group>() + self.group_bytes
    }
}
