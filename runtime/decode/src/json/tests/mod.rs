//! Tests of the decoder: each rule (`rules`, `syntax`), random records against an independent decoder (`fuzz`), and
//! values against chrono and the standard library (`values`).

#![allow(clippy::unwrap_used)]

mod batches;
mod fuzz;
mod generator;
mod rules;
mod syntax;
mod values;

use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_plan::types::{Column, DataType};
use weir_testing::json::{Cell, rows};

use super::JsonDecoder;
use crate::Decoder;

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

fn map_of(value: DataType) -> DataType {
    DataType::Map(Box::new(DataType::String), Box::new(value))
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
