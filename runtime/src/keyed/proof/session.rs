//! Session windows. Their rows stand under (key, window end), so their times move when sessions grow and merge. Senders
//! already make small sessions of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};

use super::BATCH_ROWS;
use super::rows::{Row, batch, number, numbers, prepared, row_table, schema};
use crate::failure::Result;
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Marks, Prepared, Sender};
use crate::state::{Entries, Grouped, Keeps, RowId, RowTable, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

/// Counts and sums by session. A session has rows of one key, each at most `gap_us` after the one before.
pub struct Session {
    pub gap_us: i64,
    /// Columns of the input.
    pub key: usize,
    pub value: usize,
    table: Arc<TableSchema>,
}

impl Session {
    pub fn new(gap_us: i64, key: usize, value: usize) -> Self {
        let table = row_table("sessions", &["key"], &["start", "n", "total"], vec![Keeps { input: 0, keeps_us: 0 }]);
        Self { gap_us, key, value, table }
    }

    pub fn schema() -> SchemaRef {
        schema(&["start", "end", "key", "n", "total"])
    }
}

impl KeyedStep for Session {
    fn tables(&self) -> &[Arc<TableSchema>] {
        slice::from_ref(&self.table)
    }

    /// A session leaves when its end is less than the watermark, and the time of its row is the moment before its end.
    fn hold_backs_us(&self) -> &[i64] {
        &[1]
    }

    fn prepare(&self, _input: usize, rows: &RecordBatch, before_us: &[Option<i64>]) -> Result<Prepared, String> {
        let times = rows.columns().last().unwrap().as_primitive::<TimestampMicrosecondType>();
        let on_time =
            times.values().iter().map(|time| before_us[0].is_none_or(|watermark| time + self.gap_us >= watermark));
        let on_time: Vec<bool> = on_time.collect();
        let late = on_time.iter().filter(|is_on_time| !**is_on_time).count() as u64;
        prepared(rows, on_time, late, [self.key, self.value])
    }

    fn late(&self, _: usize, _: &RecordBatch, _: &[Option<i64>], _: &SchemaRef) -> Result<RecordBatch, String> {
        Err("nothing reads late rows here".into())
    }

    fn rejected(&self, _: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(rows.clone())
    }

    fn sender(&self, _: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Small { gap_us: self.gap_us, rows: BTreeMap::new() }))
    }

    fn leaving_of(&self, _: usize, time_us: i64) -> Option<Leaving> {
        Some(leaving(time_us + self.gap_us))
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        Ok(Box::new(Sessions { table: RowTable::new(Arc::clone(&self.table))?, horizon_us: None }))
    }
}

fn leaving(end_us: i64) -> Leaving {
    Leaving { at_us: end_us + 1, newest_us: end_us - 1 }
}

/// What rows of an epoch come to, by key.
struct Small {
    gap_us: i64,
    rows: BTreeMap<Option<i64>, Vec<(i64, Option<i64>)>>,
}

impl Sender for Small {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        for row in 0..rows.rows {
            let of_key = self.rows.entry(number(&rows.keys[0], row)).or_default();
            of_key.push((number(&rows.keys[1], row).unwrap(), number(&rows.arguments[0].values[0], row)));
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        let mut sessions = Vec::new();
        for (key, mut rows) in std::mem::take(&mut self.rows) {
            rows.sort_unstable();
            for session in rows.chunk_by(|a, b| b.0 - a.0 <= self.gap_us) {
                let total = session.iter().filter_map(|(_, value)| *value).reduce(|a, b| a + b);
                let n = i64::try_from(session.len()).unwrap();
                sessions.push((key, session[session.len() - 1].0 + self.gap_us, session[0].0, n, total));
            }
        }
        let entries = Entries {
            times: sessions.iter().map(|(_, end, ..)| *end).collect::<Vec<_>>().into(),
            deleted: None,
            keys: vec![numbers(sessions.iter().map(|(key, ..)| *key))],
            values: vec![
                numbers(sessions.iter().map(|(_, _, start, ..)| Some(*start))),
                numbers(sessions.iter().map(|(_, _, _, n, _)| Some(*n))),
                numbers(sessions.iter().map(|(.., total)| *total)),
            ],
        };
        Ok(if sessions.is_empty() { vec![] } else { vec![entries] })
    }

    fn bytes(&self) -> usize {
        0
    }
}

struct Sessions {
    table: RowTable,
    /// Set while an epoch closes.
    horizon_us: Option<i64>,
}

impl Sessions {
    /// Returns start, count and sum.
    fn value(&self, bytes: &[u8]) -> Result<[Option<i64>; 3]> {
        let columns = self.table.value().decode([bytes])?;
        Ok([0, 1, 2].map(|i| number(&columns[i], 0)))
    }

    fn take_in_one(&mut self, key: Arc<[u8]>, mut end_us: i64, mut value: [Option<i64>; 3]) -> Result<()> {
        // Sessions of a key are more than a gap apart. A session that meets this one ends after this one's start, and
        // begins by this one's end.
        let mut near = Vec::new();
        for (id, other) in self.table.of_key(&key, value[0].unwrap()..=i64::MAX) {
            let other = self.value(other)?;
            if other[0].unwrap() > end_us {
                break;
            }
            near.push((id.clone(), other));
        }
        for (id, other) in near {
            end_us = end_us.max(id.time_us);
            let total = [value[2], other[2]].into_iter().flatten().reduce(|a, b| a + b);
            value = [value[0].min(other[0]), Some(value[1].unwrap() + other[1].unwrap()), total];
            self.table.delete(id);
        }
        let bytes = self.table.value().encode(&value.map(|number| numbers([number])), 1)?.remove(0);
        self.table.put(RowId { key, time_us: end_us, rest: Arc::new([]) }, bytes);
        Ok(())
    }
}

impl KeyedOperator for Sessions {
    fn take_in(&mut self, _: usize, Grouped { entries, .. }: Grouped) -> Result<()> {
        self.horizon_us = None;
        let keys = self.table.key().encode(&entries.keys, entries.rows())?;
        for (row, key) in keys.into_iter().enumerate() {
            let value = [0, 1, 2].map(|i| number(&entries.values[i], row));
            self.take_in_one(key, entries.times.value(row), value)?;
        }
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.horizon_us = marks.after_us[0];
        Ok(())
    }

    fn next(&mut self, _: Check<'_>) -> Result<Option<Rows>> {
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < BATCH_ROWS
            && let Some((id, value)) = self.table.pop_below(self.horizon_us)
        {
            let [start, n, total] = self.value(&value)?;
            let key = number(&self.table.key().decode([&*id.key])?[0], 0);
            rows.push(vec![start, Some(id.time_us), key, n, total, Some(id.time_us - 1)]);
        }
        Ok((!rows.is_empty()).then(|| Rows { good: vec![batch(&Session::schema(), &rows)], bad: vec![] }))
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.table]
    }

    fn leaves_by(&self, _: &[Option<i64>], limit_us: i64) -> Option<Leaving> {
        self.table.back_from(limit_us.saturating_sub(1)).next().map(|(end_us, _)| leaving(end_us))
    }

    fn open_windows(&self) -> Option<BTreeSet<i64>> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }
}
