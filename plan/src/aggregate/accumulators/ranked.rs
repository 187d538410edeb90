//! The value of the first or the last row in an order: `first` and `last` by event time, `min_by` and `max_by` by
//! another argument.
//!
//! Rows are ordered by the ranking argument and then by the value, nulls first. The first and the last row of that
//! order are the same however rows arrive, since rows that are equal in both can't be told apart.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::rows::{Format, held, shown};
use super::{Accumulator, counts, state_of_rows};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) struct Ranking {
    pub end: End,
    /// Whether rows whose value is null don't count.
    pub skips_nulls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) enum End {
    First,
    Last,
}

/// The state's columns for a value and what ranks it. Both are null if the group has no row.
pub(super) fn state_fields(value: &DataType, rank: &DataType) -> Vec<FieldRef> {
    let field = |name: &str, data_type| Field::new(name, held(data_type), true).into();
    vec![field("rank", rank), field("value", value)]
}

pub(super) struct Ranked {
    ranking: Ranking,
    value: DataType,
    rank: DataType,
    /// Of the rank and the value.
    format: Format,
    best: Vec<Option<Box<[u8]>>>,
    /// Bytes of all that `best` points to.
    row_bytes: usize,
}

impl Ranked {
    pub fn new(ranking: Ranking, value: &DataType, rank: &DataType) -> Result<Self> {
        let format = Format::new(&[rank.clone(), value.clone()])?;
        Ok(Self { ranking, value: value.clone(), rank: rank.clone(), format, best: Vec::new(), row_bytes: 0 })
    }

    /// Takes in rows as `[rank, value]`.
    fn take_in(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.best.resize(total, None);
        let rows = self.format.encode(columns)?;
        let (ranks, values) = (&columns[0], &columns[1]);
        for (row, group) in groups.iter().enumerate() {
            let is_taken = counts(filter, row) && ranks.is_valid(row);
            if !is_taken || (self.ranking.skips_nulls && values.is_null(row)) {
                continue;
            }
            let (found, best) = (rows.row(row).data(), &mut self.best[*group]);
            let is_better = best.as_deref().is_none_or(|best| match self.ranking.end {
                End::First => found < best,
                End::Last => found > best,
            });
            if is_better {
                self.row_bytes -= best.as_ref().map_or(0, |best| best.len());
                self.row_bytes += found.len();
                *best = Some(found.into());
            }
        }
        Ok(())
    }

    /// `[rank, value]` of each group, null for those without a row.
    fn taken(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let best = emit_to.take_needed(&mut self.best);
        self.row_bytes -= best.iter().flatten().map(|best| best.len()).sum::<usize>();
        let nulls = self.format.nulls()?;
        self.format.decode(best.iter().map(|best| best.as_deref().unwrap_or(&nulls)))
    }
}

impl Accumulator for Ranked {}

impl GroupsAccumulator for Ranked {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let columns = [&values[1], &values[0]].map(ArrayRef::clone);
        self.take_in(&columns, groups, filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.take_in(values, groups, None, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        shown(&self.taken(emit_to)?[1], &self.value)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.taken(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(self.ranking, &self.value, &self.rank)?, values, filter)
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<Box<[u8]>>>() + self.row_bytes
    }
}
