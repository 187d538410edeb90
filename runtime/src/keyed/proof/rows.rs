//! Rows of numbers, as oracles see them, and tables of them.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use weir_plan::types::{Column, DataType as PlanType, EVENT_TIME};

use crate::keyed::{Argument, Prepared};
use crate::state::{Keeps, Kind, StateField, TableSchema};

/// A row of numbers. The last column is the time.
pub type Row = Vec<Option<i64>>;

pub fn time_of(row: &Row) -> i64 {
    row.last().copied().flatten().unwrap()
}

/// Columns of numbers with these names, then the event time.
pub fn schema(names: &[&str]) -> SchemaRef {
    let column = |name: &str, data_type, nullable| Column { name: name.into(), data_type, nullable }.to_field();
    let numbers = names.iter().map(|name| column(name, PlanType::Bigint, true));
    Arc::new(Schema::new(numbers.chain([column(EVENT_TIME, PlanType::Timestamp, false)]).collect::<Vec<_>>()))
}

pub fn numbers(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

pub fn number(column: &ArrayRef, row: usize) -> Option<i64> {
    let values = column.as_primitive::<Int64Type>();
    (!values.is_null(row)).then(|| values.value(row))
}

/// The kept rows of a batch, for a sender that wants each row's key, time and value.
pub fn prepared(rows: &RecordBatch, kept: Vec<bool>, late: u64, [key, value]: [usize; 2]) -> Result<Prepared, String> {
    let rows = filter_record_batch(rows, &BooleanArray::from(kept)).map_err(|e| e.to_string())?;
    let times = rows.columns().last().unwrap().as_primitive::<TimestampMicrosecondType>();
    let keys = vec![Arc::clone(rows.column(key)), numbers(times.iter())];
    let argument = Argument { values: vec![Arc::clone(rows.column(value))], filter: None };
    Ok(Prepared { rows: rows.num_rows(), late, keys, has_missed: late > 0, arguments: vec![argument] })
}

/// A batch of rows under a [`schema`].
pub fn batch(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let of = |i: usize| rows.iter().map(move |row| row[i]);
    let last = schema.fields().len() - 1;
    let times = TimestampMicrosecondArray::from_iter(of(last)).with_timezone("UTC");
    let columns = (0..last).map(|i| numbers(of(i))).chain([Arc::new(times) as ArrayRef]);
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

/// The rows of a batch of bigints and timestamps.
pub fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        _ => column.as_primitive::<TimestampMicrosecondType>().iter().collect(),
    });
    let columns: Vec<_> = columns.collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

/// A table of rows of numbers, whose first key column decides the key group.
pub fn row_table(name: &'static str, keys: &[&str], values: &[&str], horizon: Vec<Keeps>) -> Arc<TableSchema> {
    let field = |name: &&str| Field::new(*name, DataType::Int64, true);
    let keys: Vec<_> = keys.iter().map(field).collect();
    let values: Vec<_> = values.iter().map(|name| StateField::new(name, &field(name), false)).collect();
    Arc::new(TableSchema {
        name,
        version: 1,
        kind: Kind::Rows,
        v1: None,
        keys: Arc::new(Schema::new(keys)),
        hashed: 1,
        values,
        horizon,
    })
}
