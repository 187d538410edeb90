//! Tests of the decoder: each rule (`rules`, `syntax`), random records against an independent reference (`fuzz`), and
//! values against chrono and the standard library (`values`).

#![allow(clippy::unwrap_used)]

mod batches;
mod fuzz;
mod generator;
mod reference;
mod rules;
mod syntax;
mod values;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_plan::types::{Column, DataType};

use super::JsonDecoder;
use crate::Decoder;

/// A value of any type that can be compared bit by bit.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Boolean(bool),
    /// An int, a bigint, a date (days) or a timestamp (µs).
    Integer(i64),
    Float(u32),
    Double(u64),
    Decimal(i128),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Cell>),
    Struct(Vec<Cell>),
}

fn text(value: &str) -> Cell {
    Cell::Text(value.into())
}

fn double(value: f64) -> Cell {
    Cell::Double(value.to_bits())
}

fn nullable(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type, nullable: true }
}

fn required(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type, nullable: false }
}

fn array_of(element: DataType) -> DataType {
    DataType::Array(Box::new(element))
}

fn decoder(columns: &[Column]) -> JsonDecoder {
    JsonDecoder::new(columns, JsonFormat { timestamp_numbers: TimestampNumbers::Refuse })
}

/// The record's row, or the error as users see it.
fn decode(columns: &[Column], record: impl AsRef<[u8]>) -> Result<Vec<Cell>, String> {
    let mut decoder = decoder(columns);
    decoder.decode(Some(record.as_ref())).map_err(|e| e.to_string())?;
    Ok(rows(&decoder.finish().unwrap()).remove(0))
}

/// What `json` becomes in a nullable column `v` of this type.
fn value(data_type: DataType, json: &str) -> Result<Cell, String> {
    decode(&[nullable("v", data_type)], format!("{{\"v\":{json}}}")).map(|mut row| row.remove(0))
}

fn rows(batch: &RecordBatch) -> Vec<Vec<Cell>> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect()).collect()
}

fn cell(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        ArrowType::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        ArrowType::Int32 => Cell::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        ArrowType::Int64 => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
        ArrowType::Date32 => Cell::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        ArrowType::Timestamp(_, _) => Cell::Integer(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        ArrowType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).to_bits()),
        ArrowType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        ArrowType::Decimal128(_, _) => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        ArrowType::Utf8 => text(array.as_string::<i32>().value(row)),
        ArrowType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        ArrowType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            Cell::Array((0..elements.len()).map(|i| cell(&elements, i)).collect())
        }
        ArrowType::Struct(_) => {
            Cell::Struct(array.as_struct().columns().iter().map(|column| cell(column, row)).collect())
        }
        other => panic!("no column has the type {other}"),
    }
}
