//! Interval joins. They keep the rows of both inputs, by key and time. Pairs leave as rows come. Unmatched left rows
//! leave when the right watermark has passed everything that could match them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};

use super::BATCH_ROWS;
use super::rows::{Row, batch, number, numbers, prepared, row_table, schema};
use crate::failure::Result;
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Marks, Prepared, Sender};
use crate::state::{Entries, Grouped, Keeps, RowId, RowTable, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

#[derive(Clone, Copy)]
pub struct Bounds {
    /// A right row matches from this long before the left row to `after_us` after it.
    pub before_us: i64,
    pub after_us: i64,
    /// Whether left rows that match nothing leave too.
    pub is_left: bool,
    /// The key and value columns of each input.
    pub columns: [[usize; 2]; 2],
}

pub struct Join {
    bounds: Bounds,
    tables: [Arc<TableSchema>; 2],
    hold_backs_us: [i64; 2],
}

impl Join {
    pub fn new(bounds: Bounds) -> Self {
        let keys = ["key", "number"];
        let left = row_table("left", &keys, &["matched", "value"], vec![Keeps { input: 1, keeps_us: bounds.after_us }]);
        let right =
            row_table("right", &keys, &["matched", "value"], vec![Keeps { input: 0, keeps_us: bounds.before_us }]);
        let hold_backs_us = if bounds.is_left { [0, bounds.after_us] } else { [0, 0] };
        Self { bounds, tables: [left, right], hold_backs_us }
    }

    pub fn schema() -> SchemaRef {
        schema(&["left_key", "left_value", "right_key", "right_value"])
    }
}

impl KeyedStep for Join {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.tables
    }

    fn hold_backs_us(&self) -> &[i64] {
        &self.hold_backs_us
    }

    fn prepare(
        &self,
        input: usize,
        rows: &RecordBatch,
        _: Option<&ArrayRef>,
        before_us: &[Option<i64>],
    ) -> Result<Prepared, String> {
        let [key, value] = self.bounds.columns[input];
        let times = rows.columns().last().unwrap().as_primitive::<TimestampMicrosecondType>();
        let is_late = |time: i64| before_us[input].is_some_and(|watermark| time < watermark);
        let late = times.values().iter().filter(|time| is_late(**time)).count() as u64;
        // A row with a null key matches nothing. Only a left row of a left join can still leave, so the others are
        // dropped.
        let drops_nulls = input == 1 || !self.bounds.is_left;
        let kept = times.values().iter().enumerate();
        let kept = kept.map(|(row, time)| !(is_late(*time) || drops_nulls && number(rows.column(key), row).is_none()));
        prepared(rows, kept.collect(), late, [key, value])
    }

    fn late(&self, _: usize, _: &RecordBatch, _: &[Option<i64>], _: &SchemaRef) -> Result<RecordBatch, String> {
        Err("nothing reads late rows here".into())
    }

    fn rejected(&self, _: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(rows.clone())
    }

    fn sender(&self, _: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Waiting::default()))
    }

    fn leaving_of(&self, input: usize, time_us: i64) -> Leaving {
        if self.bounds.is_left && input == 0 { leaving(&self.bounds, time_us) } else { Leaving::at_once(time_us) }
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        let [left, right] = &self.tables;
        let tables = [RowTable::new(Arc::clone(left))?, RowTable::new(Arc::clone(right))?];
        Ok(Box::new(Joined { bounds: self.bounds, tables, pairs: VecDeque::new(), horizon_us: None }))
    }
}

fn leaving(bounds: &Bounds, time_us: i64) -> Leaving {
    Leaving { at_us: time_us + bounds.after_us + 1, newest_us: time_us }
}

/// Rows cross the edge unchanged.
#[derive(Default)]
struct Waiting {
    rows: Vec<(i64, Option<i64>, Option<i64>)>,
}

impl Sender for Waiting {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        let value = &rows.arguments[0].values[0];
        let row = |row: usize| (number(&rows.keys[1], row).unwrap(), number(&rows.keys[0], row), number(value, row));
        self.rows.extend((0..rows.rows).map(row));
        Ok(())
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        let rows = std::mem::take(&mut self.rows);
        let entries = Entries {
            times: rows.iter().map(|(time, ..)| *time).collect::<Vec<_>>().into(),
            deleted: None,
            keys: vec![numbers(rows.iter().map(|(_, key, _)| *key))],
            values: vec![numbers(rows.iter().map(|(.., value)| *value))],
        };
        Ok(if rows.is_empty() { vec![] } else { vec![entries] })
    }

    fn bytes(&self) -> usize {
        0
    }
}

struct Joined {
    bounds: Bounds,
    /// A value has whether the row has matched, and the row's own value.
    tables: [RowTable; 2],
    pairs: VecDeque<Row>,
    /// Set while an epoch closes: left rows below it leave.
    horizon_us: Option<i64>,
}

impl Joined {
    fn value(&self, input: usize, bytes: &[u8]) -> Result<[Option<i64>; 2]> {
        let columns = self.tables[input].value().decode([bytes])?;
        Ok([0, 1].map(|i| number(&columns[i], 0)))
    }

    fn encoded(&self, input: usize, value: [Option<i64>; 2]) -> Result<Arc<[u8]>> {
        Ok(self.tables[input].value().encode(&value.map(|number| numbers([number])), 1)?.remove(0))
    }

    fn take_in_one(
        &mut self,
        input: usize,
        key: (Arc<[u8]>, Option<i64>),
        time_us: i64,
        value: Option<i64>,
    ) -> Result<()> {
        let Bounds { before_us, after_us, is_left, .. } = self.bounds;
        let (encoded, key) = key;
        let times_us = if input == 0 {
            time_us - before_us..=time_us + after_us
        } else {
            time_us - after_us..=time_us + before_us
        };
        let mut found: Vec<(RowId, [Option<i64>; 2])> = Vec::new();
        if key.is_some() {
            for (id, other) in self.tables[1 - input].of_key(&encoded, times_us) {
                found.push((id.clone(), self.value(1 - input, other)?));
            }
        }
        let has_matched = Some(i64::from(!found.is_empty()));
        for (id, [other_has_matched, other]) in found {
            let (left, right) = if input == 0 { (value, other) } else { (other, value) };
            self.pairs.push_back(vec![key, left, key, right, Some(time_us.max(id.time_us))]);
            if is_left && input == 1 && other_has_matched == Some(0) {
                let matched = self.encoded(0, [Some(1), other])?;
                self.tables[0].put(id, matched);
            }
        }
        let bytes = self.encoded(input, [has_matched, value])?;
        self.tables[input].add(encoded, time_us, bytes)
    }
}

impl KeyedOperator for Joined {
    fn take_in(&mut self, input: usize, Grouped { entries, .. }: Grouped) -> Result<()> {
        self.horizon_us = None;
        let keys = self.tables[input].key().encode(&entries.keys, entries.rows())?;
        for (row, key) in keys.into_iter().enumerate() {
            let key = (key, number(&entries.keys[0], row));
            self.take_in_one(input, key, entries.times.value(row), number(&entries.values[0], row))?;
        }
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.horizon_us = marks.after_us[1].map(|watermark| watermark - self.bounds.after_us);
        Ok(())
    }

    fn next(&mut self, _: Check<'_>) -> Result<Option<Rows>> {
        let mut rows: Vec<Row> = self.pairs.drain(..BATCH_ROWS.min(self.pairs.len())).collect();
        while rows.len() < BATCH_ROWS
            && let Some((id, value)) = self.tables[0].pop_below(self.horizon_us)
        {
            let [has_matched, value] = self.value(0, &value)?;
            if self.bounds.is_left && has_matched == Some(0) {
                let key = number(&self.tables[0].key().decode([&*id.key])?[0], 0);
                rows.push(vec![key, value, None, None, Some(id.time_us)]);
            }
        }
        Ok((!rows.is_empty()).then(|| Rows { good: vec![batch(&Join::schema(), &rows)], bad: vec![] }))
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        self.tables.iter_mut().map(|table| table as &mut dyn StateTable).collect()
    }

    fn leaves_by(&self, _: &[Option<i64>], limit_us: i64) -> Result<Option<Leaving>> {
        let last_us = limit_us.saturating_sub(self.bounds.after_us + 1);
        let mut unmatched =
            self.tables[0].back_from(last_us).filter(|(_, value)| self.value(0, value).unwrap()[0] == Some(0));
        Ok(unmatched.next().filter(|_| self.bounds.is_left).map(|(time_us, _)| leaving(&self.bounds, time_us)))
    }

    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }
}
