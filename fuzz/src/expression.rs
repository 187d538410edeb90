//! Expressions of authors: of columns, conditions and aggregates.

use std::sync::LazyLock;

use arrow::array::{Array as _, RecordBatch};
use weir_decode::Decoder as _;
use weir_decode::json::JsonDecoder;
use weir_plan::aggregate::{self, AggregateColumn};
use weir_plan::expr::{self, ScalarExpr};
use weir_plan::plan::{Input, JsonFormat, TimestampNumbers};
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Window;

const WINDOW_US: i64 = 300_000_000;

const COLUMNS: [(&str, &str); 15] = [
    ("userId", "bigint"),
    ("city", "string"),
    ("price", "double"),
    ("weight", "float"),
    ("seats", "int"),
    ("amount", "decimal(10,2)"),
    ("sum", "decimal(38,0)"),
    ("paid", "boolean"),
    ("day", "date"),
    ("ts", "timestamp"),
    ("raw", "binary"),
    ("s", "struct<a: int, inner: struct<b: string>>"),
    ("tags", "array<bigint>"),
    ("m", "map<string, int>"),
    (EVENT_TIME, "timestamp"),
];

/// Usual values, values at the ends of their types, and nulls.
const ROWS: [&str; 4] = [
    r#"{"userId":1,"city":"Paris","price":1.5,"weight":0.1,"seats":2,"amount":12.34,"sum":5,"paid":true,"day":"2024-02-29","ts":"2024-02-29T12:00:00Z","raw":"aGVsbG8=","s":{"a":7,"inner":{"b":"x"}},"tags":[1,null,3],"m":{"a":1,"b":null},"_event_time":"2024-02-29T12:00:00Z"}"#,
    r#"{"userId":9223372036854775807,"city":"é🚲(a|b)*%Y_","price":1.7976931348623157e308,"weight":3.4e38,"seats":2147483647,"amount":99999999.99,"sum":99999999999999999999999999999999999999,"paid":false,"day":"9999-12-31","ts":"9999-12-31T23:59:59.999999Z","raw":"/w==","s":{"a":2147483647,"inner":{"b":""}},"tags":[],"m":{},"_event_time":"9999-12-31T23:59:59.999999Z"}"#,
    r#"{"userId":-9223372036854775808,"city":"","price":-0.0,"weight":-0.0,"seats":-2147483648,"amount":-99999999.99,"sum":-99999999999999999999999999999999999999,"paid":false,"day":"0001-01-01","ts":"0001-01-01T00:00:00Z","raw":"","s":{"a":null,"inner":null},"tags":[-1],"m":{"":-1,"é":2147483647},"_event_time":"0001-01-01T00:00:00Z"}"#,
    r#"{"_event_time":"1969-12-31T23:59:59.999999Z"}"#,
];

static BATCH: LazyLock<RecordBatch> = LazyLock::new(|| {
    let column = |(name, data_type): (&str, &str)| match DataType::parse(data_type) {
        Ok(data_type) => Column { name: name.to_owned(), data_type, nullable: name != EVENT_TIME },
        Err(wrong) => panic!("{wrong}"),
    };
    let columns = COLUMNS.map(column);
    let mut decoder = JsonDecoder::new(&columns, JsonFormat { timestamp_numbers: TimestampNumbers::Refuse });
    for row in ROWS {
        assert!(decoder.decode(Some(row.as_bytes())).is_ok(), "{row}");
    }
    match decoder.finish() {
        Ok(batch) => batch,
        Err(bug) => panic!("{bug}"),
    }
});

/// An expression is compiled or refused with a sentence. Over all rows it gives what it gives row by row, or there is a
/// sentence.
pub fn expression(input: &[u8]) {
    let Ok(sql) = std::str::from_utf8(input) else { return };
    let schema = BATCH.schema();
    if let Err(refused) = expr::check_syntax(sql) {
        super::check_message(&refused.to_string(), input);
    }
    for compiled in [expr::compile(sql, &schema, "out"), expr::compile_predicate(sql, &schema)] {
        match compiled {
            Ok(compiled) => evaluate(&compiled, input),
            Err(refused) => super::check_message(&refused.to_string(), input),
        }
    }
    let columns = [AggregateColumn { name: "out".to_owned(), expr: sql.to_owned(), filter: None }];
    match aggregate::compile(Input::Source(0), &schema, Window::tumbling(WINDOW_US), &["city".into()], &columns) {
        Ok(_) => {}
        Err(refused) => refused.iter().for_each(|refused| super::check_message(&refused.message, input)),
    }
}

fn evaluate(compiled: &ScalarExpr, input: &[u8]) {
    let alone: Vec<_> = (0..BATCH.num_rows()).map(|row| compiled.evaluate(&BATCH.slice(row, 1))).collect();
    for refused in alone.iter().filter_map(|value| value.as_ref().err()) {
        super::check_message(&refused.to_string(), input);
    }
    match compiled.evaluate(&BATCH) {
        Ok(values) => {
            for (row, value) in alone.iter().enumerate() {
                match value {
                    Ok(value) => assert_eq!(&values.slice(row, 1), value, "row {row}"),
                    Err(refused) => panic!("row {row} has a value among the others and alone {refused}"),
                }
            }
        }
        Err(refused) => super::check_message(&refused.to_string(), input),
    }
}
