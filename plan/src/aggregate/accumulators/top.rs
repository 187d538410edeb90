//! The first rows of a group in an order. Rows that tie are in the order of all columns, nulls first, so the result
//! does not depend on how rows arrive: rows that are equal in all columns can't be told apart.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StructArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::lists::{self, Lists};
use super::rows::{Format, held, shown};
use super::{Accumulator, counts, state_of_rows};

/// Which rows of a group count. The arguments are what rows are ranked by, and then the columns of the rows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::aggregate) struct TopRows {
    /// The order of each argument that ranks.
    pub ranks: Arc<[SortOptions]>,
    pub limit: usize,
    /// Whether rows that tie with the last one count too.
    pub keeps_ties: bool,
    /// The columns of the rows.
    pub columns: Fields,
}

/// The state's columns: for each argument, its values in the rows that count so far, in no order.
pub(super) fn state_fields(ranks: usize, arguments: &[&DataType]) -> Vec<FieldRef> {
    let name = |i: usize| if i < ranks { format!("rank{i}") } else { format!("column{}", i - ranks) };
    let of = |(i, data_type): (usize, &&DataType)| Field::new(name(i), lists::held_list(&held(data_type)), true).into();
    arguments.iter().enumerate().map(of).collect()
}

#[derive(Debug, Clone)]
struct Row {
    /// The row of [`Top::format`].
    bytes: Box<[u8]>,
    /// How many of the first bytes rank it.
    rank: usize,
}

pub(super) struct Top {
    top: TopRows,
    /// Of all arguments.
    format: Format,
    /// Of those that rank.
    ranks: Format,
    groups: Vec<Vec<Row>>,
    row_bytes: usize,
}

impl Top {
    pub fn new(top: TopRows, arguments: &[&DataType]) -> Result<Self> {
        let orders = top.ranks.iter().copied().chain(std::iter::repeat(SortOptions::default()));
        let format = Format::ordered(arguments.iter().copied().zip(orders))?;
        let ranks = Format::ordered(arguments.iter().copied().zip(top.ranks.iter().copied()))?;
        Ok(Self { top, format, ranks, groups: Vec::new(), row_bytes: 0 })
    }

    fn take_in(&mut self, columns: &[ArrayRef], groups: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let (rows, ranks) = (self.format.encode(columns)?, self.ranks.encode(&columns[..self.top.ranks.len()])?);
        for (row, group) in groups {
            let row = Row { bytes: rows.row(row).data().into(), rank: ranks.row(row).data().len() };
            self.row_bytes += row.bytes.len();
            self.groups[group].push(row);
            if self.groups[group].len() >= 2 * self.top.limit + 16 {
                self.row_bytes -= self.top.cut(&mut self.groups[group]);
            }
        }
        Ok(())
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Vec<Row>> {
        let mut groups = emit_to.take_needed(&mut self.groups);
        self.row_bytes -= groups.iter().flatten().map(|row| row.bytes.len()).sum::<usize>();
        for group in &mut groups {
            self.top.cut(group);
        }
        groups
    }
}

impl TopRows {
    /// Sorts the rows, drops those that do not count, and returns how many bytes these had.
    fn cut(&self, rows: &mut Vec<Row>) -> usize {
        rows.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
        let Some(last) = rows.get(self.limit - 1) else { return 0 };
        let ties = if self.keeps_ties {
            let rank = &last.bytes[..last.rank];
            rows[self.limit..].iter().take_while(|row| row.bytes[..row.rank] == *rank).count()
        } else {
            0
        };
        rows.drain(self.limit + ties..).map(|row| row.bytes.len()).sum()
    }
}

impl Accumulator for Top {}

impl GroupsAccumulator for Top {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize(total, Vec::new());
        let counted = groups.iter().copied().enumerate().filter(|(row, _)| counts(filter, *row));
        self.take_in(values, counted)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, Vec::new());
        let lists: Vec<_> = values.iter().map(|column| Lists::of(column.as_list())).collect();
        let columns: Vec<_> = lists.iter().map(|list| Arc::clone(list.items())).collect();
        let items = groups.iter().enumerate().flat_map(|(row, group)| lists[0].of_row(row).map(|item| (item, *group)));
        self.take_in(&columns, items)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.taken(emit_to);
        let columns = self.format.decode(groups.iter().flatten().map(|row| &*row.bytes))?;
        let own = columns[self.top.ranks.len()..].iter().zip(&self.top.columns);
        let own = own.map(|(column, field)| shown(column, field.data_type())).collect::<Result<Vec<_>>>()?;
        let rows = StructArray::try_new(self.top.columns.clone(), own, None)?;
        lists::result(Arc::new(rows), groups.iter().map(Vec::len))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.taken(emit_to);
        let columns = self.format.decode(groups.iter().flatten().map(|row| &*row.bytes))?;
        Ok(columns.into_iter().map(|items| lists::of_lengths(items, groups.iter().map(Vec::len))).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let types: Vec<_> = values.iter().map(|column| column.data_type()).collect();
        state_of_rows(Self::new(self.top.clone(), &types)?, values, filter)
    }

    fn size(&self) -> usize {
        let rows: usize = self.groups.iter().map(Vec::capacity).sum();
        self.groups.capacity() * size_of::<Vec<Row>>() + rows * size_of::<Row>() + self.row_bytes
    }
}
