//! Rows that wait for the watermark, by key and event time. Rows of one key and time stay in the order of their
//! origins; rows of keyed steps, which have none, come before them, in the order of all columns.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_plan::row_keys::RowKey;

use super::sender::columns;
use crate::failure::{Failure, Result};
use crate::keyed::Leaving;
use crate::state::{Grouped, Keeps, Kind, RowId, RowTable, StateField, TableSchema};

/// The key columns beside the user's. No column of a document is named like this.
const ORDER: [(&str, DataType); 3] =
    [(":origin", DataType::Binary), (":columns", DataType::Binary), (":number", DataType::Int64)];

/// The table of such rows, which keeps them for `keeps_us` after the watermark has passed them.
pub(in crate::keyed) fn table(key: &RowKey, rows: &SchemaRef, keeps_us: i64) -> Arc<TableSchema> {
    let order = ORDER.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
    let own = rows.fields().iter().take(rows.fields().len() - 1);
    Arc::new(TableSchema {
        name: "rows",
        version: 1,
        kind: Kind::Rows,
        keys: Arc::new(Schema::new(key.schema().fields().iter().cloned().chain(order).collect::<Vec<_>>())),
        hashed: key.schema().fields().len(),
        values: own.map(|field| StateField::new(field.name(), field, false)).collect(),
        horizon: vec![Keeps { input: 0, keeps_us }],
        v1: None,
    })
}

pub(in crate::keyed) struct Waiting {
    /// The columns of the rows, with their event time as the last.
    schema: SchemaRef,
    pub rows: RowTable,
    /// The rows of the open epoch.
    arrived: Vec<Grouped>,
}

impl Waiting {
    /// `table` comes from [`table`].
    pub fn new(schema: SchemaRef, table: Arc<TableSchema>) -> Result<Self> {
        Ok(Self { schema, rows: RowTable::new(table)?, arrived: Vec::new() })
    }

    /// Rows have come. They are in the table after [`Self::settle`].
    pub fn arrive(&mut self, rows: Grouped) {
        self.arrived.push(rows);
    }

    /// Puts what has come into the table.
    pub fn settle(&mut self) -> Result<()> {
        std::mem::take(&mut self.arrived).into_iter().try_for_each(|part| self.put(&part))
    }

    fn put(&mut self, Grouped { entries, .. }: &Grouped) -> Result<()> {
        let (origins, own) = columns(entries, self.schema.fields().len() - 1);
        let rows = entries.rows();
        let (keys, values) = (self.rows.key().encode(&entries.keys, rows)?, self.rows.value().encode(own, rows)?);
        let none = BinaryArray::new_null(rows);
        let order: [ArrayRef; 2] = match origins {
            Some(origins) => [Arc::new(origins.clone()), Arc::new(none)],
            None => [Arc::new(none), Arc::new(BinaryArray::from_iter_values(&values))],
        };
        let numbered = |number: i64| {
            let number: ArrayRef = Arc::new(Int64Array::from(vec![number; rows]));
            self.rows.rest().encode(&[Arc::clone(&order[0]), Arc::clone(&order[1]), number], rows)
        };
        let (firsts, lasts) = (numbered(0)?, numbered(i64::MAX)?);
        let ids = keys.into_iter().zip(entries.times.values()).zip(firsts.into_iter().zip(lasts));
        for (row, (((key, time_us), (first, last)), value)) in ids.zip(values).enumerate() {
            let first = RowId { key, time_us: *time_us, rest: first };
            // Rows that are equal in all of this are numbered.
            let rest = match self.rows.last_of(&first, &last) {
                None => first.rest,
                Some(taken) => {
                    let number = self.rows.rest().decode([&*taken.rest])?[2]
                        .as_primitive::<arrow::datatypes::Int64Type>()
                        .value(0);
                    let of_row = [order[0].slice(row, 1), order[1].slice(row, 1)];
                    let number: ArrayRef = Arc::new(Int64Array::from(vec![number + 1]));
                    self.rows.rest().encode(&of_row.into_iter().chain([number]).collect::<Vec<_>>(), 1)?.remove(0)
                }
            };
            self.rows.put(RowId { rest, ..first }, value);
        }
        Ok(())
    }

    /// Rows with these values and times.
    pub fn batch<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>, times_us: Vec<i64>) -> Result<RecordBatch> {
        let mut columns = self.rows.value().decode(values)?;
        columns.push(Arc::new(TimestampMicrosecondArray::from(times_us).with_timezone("UTC")));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|e| Failure::bug(format!("rows that waited: {e}")))
    }

    /// The greatest time (µs) up to `limit_us` of the rows that are held or have come.
    pub fn last_by(&self, limit_us: i64) -> Option<i64> {
        let held = self.rows.back_from(limit_us).next().map(|(time_us, _)| time_us);
        let came = self.arrived.iter().flat_map(|part| part.entries.times.values()).copied();
        held.max(came.filter(|time_us| *time_us <= limit_us).max())
    }

    /// Bytes of the rows that have come and are not in the table.
    pub fn arrived_bytes(&self) -> usize {
        self.arrived.iter().map(Grouped::bytes).sum()
    }
}

/// When a row of this time leaves: once the watermark has passed it.
pub(in crate::keyed) fn leaving(time_us: i64) -> Leaving {
    Leaving { at_us: time_us.saturating_add(1), newest_us: time_us }
}
