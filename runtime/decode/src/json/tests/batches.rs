//! Rows and batches: a refused record leaves nothing behind, and a batch depends on nothing from the one before.

use arrow::array::Array;
use arrow::datatypes::Schema;
use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_plan::types::{Column, DataType};

use super::super::JsonDecoder;
use super::{Cell, array_of, decoder, nullable, required, rows, text};
use crate::Decoder;

/// A column of every type, with a good and a bad value for each.
fn every_type() -> Vec<(DataType, &'static str, &'static str)> {
    let point = DataType::Struct(vec![required("x", DataType::Bigint), nullable("name", DataType::String)]);
    vec![
        (DataType::Boolean, "true", "2"),
        (DataType::Int, "17", "2147483648"),
        (DataType::Bigint, "-5", "1.5"),
        (DataType::Float, "1.25", "1e39"),
        (DataType::Double, "2.5", "1e999"),
        (DataType::Decimal { precision: 10, scale: 2 }, "12.34", "0.001"),
        (DataType::String, r#""Zürich\n""#, r#""Zürich\ud800""#),
        (DataType::Binary, r#""AAEC""#, r#""AAEC!""#),
        (DataType::Date, r#""2024-01-31""#, r#""2024-01-32""#),
        (DataType::Timestamp, r#""2024-01-31T12:34:56Z""#, r#""2024-01-31T12:34:60Z""#),
        (array_of(DataType::String), r#"["a",null,"b"]"#, r#"["a",null,"b",4]"#),
        (point.clone(), r#"{"name":"p","x":1}"#, r#"{"name":"p","x":null}"#),
        (array_of(point), r#"[{"x":1},{"x":2,"name":"q"}]"#, r#"[{"x":1},{"name":"q"}]"#),
        (array_of(array_of(DataType::Bigint)), "[[1],[],[2,3]]", "[[1],[],[2,true]]"),
    ]
}

fn columns() -> Vec<Column> {
    every_type().into_iter().enumerate().map(|(i, (data_type, _, _))| nullable(&format!("c{i}"), data_type)).collect()
}

fn record(values: &[&str]) -> String {
    let fields: Vec<_> = values.iter().enumerate().map(|(i, value)| format!("\"c{i}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn good_values() -> Vec<&'static str> {
    every_type().into_iter().map(|(_, good, _)| good).collect()
}

/// Every way to fail: the bad value of each column in its place, in reverse order, and as the second of two, and the
/// record cut off at every byte.
fn bad_records() -> Vec<Vec<u8>> {
    let mut bad = Vec::new();
    for (i, (_, good, wrong)) in every_type().into_iter().enumerate() {
        let mut values = good_values();
        values[i] = wrong;
        let whole = record(&values);
        bad.push(whole.clone().into_bytes());
        bad.push(whole.replacen('{', &format!("{{\"c{i}\":{good},"), 1).into_bytes());
        let mut backwards: Vec<_> = values.iter().enumerate().map(|(i, value)| format!("\"c{i}\":{value}")).collect();
        backwards.reverse();
        bad.push(format!("{{{}}}", backwards.join(",")).into_bytes());
    }
    let whole = record(&good_values());
    bad.extend((0..whole.len()).map(|end| whole.as_bytes()[..end].to_vec()));
    bad
}

#[test]
fn a_refused_record_leaves_no_trace() {
    let good = [record(&good_values()), record(&["null"; 14]), "{}".to_owned(), record(&good_values()[..7])];
    let bad = bad_records();
    for first_good in 0..good.len() {
        let mut clean = decoder(&columns());
        let mut disturbed = decoder(&columns());
        for (i, record) in bad.iter().enumerate() {
            let before = disturbed.rows;
            disturbed.decode(Some(record)).unwrap_err();
            assert_eq!(disturbed.rows, before);
            if i % 3 == 0 {
                let good = &good[(first_good + i / 3) % good.len()];
                disturbed.decode(Some(good.as_bytes())).unwrap();
                clean.decode(Some(good.as_bytes())).unwrap();
            }
        }
        disturbed.decode(None).unwrap_err();
        assert_eq!(disturbed.finish().unwrap(), clean.finish().unwrap());
    }
}

#[test]
fn a_batch_has_the_formats_columns() {
    let mut decoder = decoder(&columns());
    decoder.decode(Some(record(&good_values()).as_bytes())).unwrap();
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.schema_ref().as_ref(), &Schema::new(columns().iter().map(Column::to_field).collect::<Vec<_>>()));
    assert_eq!(batch.schema_ref(), &decoder.schema);
    let row = rows(&batch).remove(0);
    assert_eq!(row[5..8], [Cell::Decimal(1234), text("Zürich\n"), Cell::Bytes(vec![0, 1, 2])]);
}

#[test]
fn finish_drains_and_the_next_batch_starts_anew() {
    let mut decoder = decoder(&columns());
    for value in ["null", "[]"] {
        decoder.decode(Some(record(&good_values()).as_bytes())).unwrap();
        decoder.decode(Some(format!("{{\"c10\":{value}}}").as_bytes())).unwrap();
        assert_eq!(decoder.rows, 2);
        let first = decoder.finish().unwrap();
        assert_eq!((first.num_rows(), decoder.rows), (2, 0));
        let empty = decoder.finish().unwrap();
        assert_eq!(empty.num_rows(), 0);
        decoder.decode(Some(record(&good_values()).as_bytes())).unwrap();
        assert_eq!(decoder.finish().unwrap(), first.slice(0, 1));
    }
}

#[test]
fn rows_without_columns_are_counted() {
    let mut decoder = decoder(&[]);
    decoder.decode(Some(b"{\"x\":1}")).unwrap();
    decoder.decode(Some(b"{}")).unwrap();
    assert_eq!(decoder.finish().unwrap().num_rows(), 2);
}

#[test]
fn validity_is_made_for_the_first_null_only() {
    let mut decoder = decoder(&[nullable("a", DataType::Bigint)]);
    decoder.decode(Some(b"{\"a\":1}")).unwrap();
    decoder.decode(Some(b"{\"a\":null,\"a\":2}")).unwrap();
    decoder.decode(Some(b"{\"a\":null")).unwrap_err();
    assert!(decoder.finish().unwrap().column(0).nulls().is_none());
    for record in ["{\"a\":1}", "{}", "{\"a\":2}"] {
        decoder.decode(Some(record.as_bytes())).unwrap();
    }
    assert_eq!(rows(&decoder.finish().unwrap()), [[Cell::Integer(1)], [Cell::Null], [Cell::Integer(2)]]);
}

#[test]
fn a_full_column_refuses_the_row_and_keeps_the_others() {
    let columns =
        [nullable("s", DataType::String), nullable("n", array_of(DataType::Boolean)), nullable("b", DataType::Binary)];
    let format = JsonFormat { timestamp_numbers: TimestampNumbers::Refuse };
    let mut decoder = JsonDecoder { offset_max: 4, ..JsonDecoder::new(&columns, format) };
    decoder.decode(Some(br#"{"s":"abc","n":[true,true],"b":"AAAA"}"#)).unwrap();
    let full = "the batch is full: its column would pass 4 bytes or elements";
    for (record, path) in [(r#"{"s":"de"}"#, "$.s"), (r#"{"n":[true,true,true]}"#, "$.n"), (r#"{"b":"AAA="}"#, "$.b")] {
        let error = decoder.decode(Some(record.as_bytes())).unwrap_err();
        assert_eq!(error.to_string(), format!("at {path}: {full}"));
    }
    decoder.decode(Some(br#"{"s":"d","n":[true,false],"b":"AA=="}"#)).unwrap();
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.num_rows(), 2);
    assert_eq!(rows(&batch)[1][0], text("d"));
    decoder.decode(Some(br#"{"s":"abcd"}"#)).unwrap();
}

#[test]
fn fields_are_found_in_any_order_and_with_gaps() {
    let names = ["a", "b", "c", "d", "e"];
    let columns: Vec<_> = names.iter().map(|name| nullable(name, DataType::Bigint)).collect();
    let mut decoder = decoder(&columns);
    let mut expected = Vec::new();
    for seed in 0..500_usize {
        let order = (0..5).map(|i| (i * (1 + seed % 4) + seed / 4) % 5).filter(|field| (seed >> field) & 1 == 0);
        let order: Vec<_> = order.collect();
        let fields: Vec<_> = order.iter().map(|&field| format!("\"{}\":{field}", names[field])).collect();
        decoder.decode(Some(format!("{{{}}}", fields.join(",")).as_bytes())).unwrap();
        let value = |field: usize| if order.contains(&field) { Cell::Integer(field as i64) } else { Cell::Null };
        expected.push((0..5).map(value).collect::<Vec<_>>());
    }
    assert_eq!(rows(&decoder.finish().unwrap()), expected);
}
