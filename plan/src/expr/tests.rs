#![allow(clippy::unwrap_used)]

mod advice;
mod extremes;
mod far_times;
mod functions_page;
mod habits;
mod hostile;
mod maps;
mod nulls;
mod patterns;
mod refused;
mod regexes;
mod registry;
mod slips;
mod spark_values;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::compile;
use super::parse::{DEPTH_MAX, SQL_BYTES_MAX};
use crate::types::{Column, DataType};

/// Rows that are not evaluated can't fail.
#[test]
fn rows_that_are_left_out_are_not_evaluated() {
    let (schema, batch) = (schema(), batch());
    let tenth = compile("100 / (userId - 1)", &schema, "x").unwrap();
    assert!(tenth.evaluate(&batch).is_err());
    for (rows, expected) in
        [(vec![Some(false), Some(true), None], vec![None, Some(100), None]), (vec![Some(false); 3], vec![None; 3])]
    {
        let found = tenth.evaluate_where(&batch, &BooleanArray::from(rows)).unwrap();
        assert_eq!(found.as_ref(), &Int64Array::from(expected) as &dyn Array);
    }
}

const DAY_US: i64 = 86_400_000_000;

fn schema() -> SchemaRef {
    let fields = [
        ("userId", "bigint", false),
        ("city", "string", true),
        ("price", "double", true),
        ("weight", "float", true),
        ("seats", "int", true),
        ("amount", "decimal(10,2)", true),
        ("paid", "boolean", true),
        ("day", "date", true),
        ("ts", "timestamp", true),
        ("s", "struct<a: int, inner: struct<b: string>>", true),
        ("tags", "array<bigint>", true),
    ];
    let field = |(name, data_type, nullable): (&str, &str, bool)| {
        Column { name: name.into(), data_type: DataType::parse(data_type).unwrap(), nullable }.to_field()
    };
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

/// Three rows. The last one is null in every nullable column.
fn batch() -> RecordBatch {
    let schema = schema();
    let inner_fields = match schema.field_with_name("s").unwrap().data_type() {
        arrow::datatypes::DataType::Struct(fields) => fields.clone(),
        other => panic!("{other}"),
    };
    let b_fields = match inner_fields[1].data_type() {
        arrow::datatypes::DataType::Struct(fields) => fields.clone(),
        other => panic!("{other}"),
    };
    let b: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, None]));
    let inner: ArrayRef = Arc::new(StructArray::new(b_fields, vec![b], None));
    let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None, None]));
    let list = match schema.field_with_name("tags").unwrap().data_type() {
        arrow::datatypes::DataType::List(item) => item.clone(),
        other => panic!("{other}"),
    };
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), Some(vec![]), None]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 2, i64::MAX])),
        Arc::new(StringArray::from(vec![Some("Paris"), Some("Lyon"), None])),
        Arc::new(Float64Array::from(vec![Some(10.0), Some(-0.5), None])),
        Arc::new(Float32Array::from(vec![Some(1.5), Some(2.5), None])),
        Arc::new(Int32Array::from(vec![Some(3), Some(0), None])),
        Arc::new(Decimal128Array::from(vec![Some(1999), Some(-5), None]).with_precision_and_scale(10, 2).unwrap()),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Date32Array::from(vec![Some(19_723), Some(0), None])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(19_723 * DAY_US + 3_661_000_001), Some(-1), None])
                .with_timezone("UTC"),
        ),
        Arc::new(StructArray::new(inner_fields, vec![a, inner], None)),
        Arc::new(ListArray::new(list, tags.offsets().clone(), tags.values().clone(), tags.nulls().cloned())),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// The result's type and its three values.
fn eval(sql: &str) -> String {
    let expr = compile(sql, &schema(), "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
    let array = expr.evaluate(&batch()).unwrap_or_else(|e| panic!("{sql}: {e}"));
    assert_eq!(array.data_type(), expr.field.data_type());
    assert!(expr.field.is_nullable() || array.null_count() == 0, "{sql} gave nulls and said that it would not");
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    let values: Vec<_> = (0..array.len()).map(|row| formatter.value(row).to_string()).collect();
    format!("{}: {}", DataType::from_arrow(array.data_type()).unwrap(), values.join(" | "))
}

fn refused(sql: &str) -> String {
    compile(sql, &schema(), "out").map(|e| panic!("{sql} gives a {}", e.field)).unwrap_err().to_string()
}

fn failed(sql: &str) -> String {
    let expr = compile(sql, &schema(), "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
    expr.evaluate(&batch()).unwrap_err().to_string()
}

fn check(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        assert_eq!(eval(sql), *expected, "{sql}");
    }
}

/// SQL has functions of these names, which are called without parentheses.
#[test]
fn columns_and_fields_may_be_named_user() {
    let column = |name: &str, data_type: &str| {
        Column { name: name.into(), data_type: DataType::parse(data_type).unwrap(), nullable: true }.to_field()
    };
    let address = "struct<id: bigint, user: struct<city: string>>";
    let schema = Arc::new(Schema::new(vec![column("user", address), column("o", "struct<user: struct<id: int>>")]));
    for (sql, data_type) in [
        ("user", address),
        ("user.id", "bigint"),
        ("user.id + 1", "bigint"),
        ("upper(user.user.city)", "string"),
        ("user['user'].city", "string"),
        ("o.user", "struct<id: int>"),
        ("o.user.id", "int"),
    ] {
        let compiled = compile(sql, &schema, "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(compiled.field.data_type(), &DataType::parse(data_type).unwrap().to_arrow(), "{sql}");
    }
    let refused = |sql: &str| compile(sql, &schema, "out").unwrap_err().to_string();
    assert_eq!(refused("user.name"), "`user` has no field `name`: its fields are id, user");
    assert!(refused("session_user").starts_with("there is no column `session_user`: the columns are user, o; if"));
}

#[test]
fn columns_and_fields_are_found_as_written() {
    check(&[
        ("price", "double: 10.0 | -0.5 | null"),
        ("\"city\"", "string: Paris | Lyon | null"),
        ("`city`", "string: Paris | Lyon | null"),
        ("s.a", "int: 7 | null | null"),
        ("s.inner.b", "string: x | null | null"),
        ("s['a']", "int: 7 | null | null"),
        ("s['inner'].b", "string: x | null | null"),
        ("tags", "array<bigint>: [1, 2] | [] | null"),
        ("named_struct('x', city)", "struct<x: string>: {x: Paris} | {x: Lyon} | {x: null}"),
    ]);
}

#[test]
fn a_plain_column_is_passed_on_without_a_copy() {
    let batch = batch();
    let city = compile("city", &schema(), "town").unwrap();
    assert_eq!((city.column_index(), city.field.name().as_str()), (Some(1), "town"));
    assert!(Arc::ptr_eq(&city.evaluate(&batch).unwrap(), batch.column(1)));
    assert_eq!(compile("upper(city)", &schema(), "town").unwrap().column_index(), None);
}

#[test]
fn conditions_follow_three_valued_logic() {
    check(&[
        ("price >= 0", "boolean: true | false | null"),
        ("price between -1 and 5", "boolean: false | true | null"),
        ("price is null", "boolean: false | false | true"),
        ("price is not null", "boolean: true | true | false"),
        ("city like 'P%'", "boolean: true | false | null"),
        ("city not like 'P%'", "boolean: false | true | null"),
        ("city in ('Paris', 'Rome')", "boolean: true | false | null"),
        ("seats in (3, 4)", "boolean: true | false | null"),
        ("paid and price > 0", "boolean: true | false | null"),
        ("city = 'Paris' or null", "boolean: true | null | null"),
        ("regexp_like(city, '^P')", "boolean: true | false | null"),
    ]);
}

#[test]
fn strings_are_strings_whatever_the_function_gives() {
    check(&[
        ("upper(city)", "string: PARIS | LYON | null"),
        ("city || '-' || seats", "string: Paris-3 | Lyon-0 | null"),
        ("coalesce(city, 'none')", "string: Paris | Lyon | none"),
        ("trim(city)", "string: Paris | Lyon | null"),
        ("substring(city from 1 for 2)", "string: Pa | Ly | null"),
        ("substring(city for 2)", "string: Pa | Ly | null"),
        ("substr(city, 2)", "string: aris | yon | null"),
        ("position('r' in city)", "int: 3 | 0 | null"),
        ("length(city)", "int: 5 | 4 | null"),
        ("split_part('a-b', '-', 2)", "string: b | b | b"),
        ("arrow_cast(city, 'Dictionary(Int32, Utf8)')", "string: Paris | Lyon | null"),
        ("case when price > 0 then 'up' when price < 0 then 'down' end", "string: up | down | null"),
    ]);
}

#[test]
fn whole_numbers_stay_whole() {
    check(&[
        ("1", "bigint: 1 | 1 | 1"),
        ("seats * 2", "bigint: 6 | 0 | null"),
        ("seats + seats", "int: 6 | 0 | null"),
        ("seats / 2", "bigint: 1 | 0 | null"),
        ("userId % 2", "bigint: 1 | 0 | 1"),
        ("coalesce(seats, 0)", "bigint: 3 | 0 | 0"),
        ("cast(price as int)", "int: 10 | 0 | null"),
        // What is behind the point is cut off, as in Spark.
        ("cast(5.9 as int)", "int: 5 | 5 | 5"),
        ("cast(-5.9 as bigint)", "bigint: -5 | -5 | -5"),
        ("cast(amount as int)", "int: 19 | 0 | null"),
        ("cast(round(5.9) as int)", "int: 6 | 6 | 6"),
        ("cast(cast('5.9' as decimal(10,2)) as int)", "int: 5 | 5 | 5"),
        ("cast(seats as smallint)", "int: 3 | 0 | null"),
        ("nullif(seats, 0)", "bigint: 3 | null | null"),
        ("case city when 'Paris' then 1 else 0 end", "bigint: 1 | 0 | 0"),
        ("arrow_cast(userId, 'UInt64')", "bigint: 1 | 2 | 9223372036854775807"),
    ]);
}

#[test]
fn literals_with_a_point_are_decimals_and_keep_decimals_exact() {
    check(&[
        ("0.1", "decimal(1,1): 0.1 | 0.1 | 0.1"),
        ("amount * 1.1", "decimal(13,3): 21.989 | -0.055 | null"),
        // A whole literal is a bigint, which has twenty digits.
        ("amount * 2", "decimal(31,2): 39.98 | -0.10 | null"),
        ("amount * 2.0", "decimal(13,3): 39.980 | -0.100 | null"),
        ("cast(amount * 2 as decimal(12,2))", "decimal(12,2): 39.98 | -0.10 | null"),
        ("amount * seats", "decimal(21,2): 59.97 | 0.00 | null"),
        ("amount >= 19.99", "boolean: true | false | null"),
        ("round(amount, 1)", "decimal(10,1): 20.0 | -0.1 | null"),
        ("abs(amount)", "decimal(10,2): 19.99 | 0.05 | null"),
        ("cast('1.25' as decimal(5,2))", "decimal(5,2): 1.25 | 1.25 | 1.25"),
        ("cast(seats as decimal)", "decimal(10,0): 3 | 0 | null"),
        ("99999999999999999999", "decimal(20,0): 99999999999999999999 | 99999999999999999999 | 99999999999999999999"),
    ]);
}

#[test]
fn whole_literals_beyond_a_bigint_are_decimals_and_a_decimal_has_at_most_38_digits() {
    let three = |value: &str| [value; 3].join(" | ");
    let digits = "9".repeat(38);
    for (sql, data_type, value) in [
        ("9223372036854775807", "bigint", "9223372036854775807"),
        ("9223372036854775808", "decimal(19,0)", "9223372036854775808"),
        ("18446744073709551615", "decimal(20,0)", "18446744073709551615"),
        ("18446744073709551616", "decimal(20,0)", "18446744073709551616"),
        ("-9223372036854775808", "bigint", "-9223372036854775808"),
        ("-9223372036854775809", "decimal(19,0)", "-9223372036854775809"),
        ("-(9223372036854775808)", "decimal(19,0)", "-9223372036854775808"),
        ("9223372036854775808 + 1", "decimal(21,0)", "9223372036854775809"),
        (&digits, "decimal(38,0)", &digits),
        (&format!("000{digits}"), "decimal(38,0)", &digits),
    ] {
        assert_eq!(eval(sql), format!("{data_type}: {}", three(value)), "{sql}");
    }
    check(&[
        ("userId < 9223372036854775808", "boolean: true | true | true"),
        ("userId = 9223372036854775807", "boolean: false | false | true"),
    ]);
    let too_many = |sql: &str, count: usize| {
        let instead = "a decimal has at most 38: write a double, as in `1.5e40`";
        assert_eq!(refused(sql), format!("`{sql}` has {count} digits, and {instead}"));
    };
    too_many(&"9".repeat(39), 39);
    too_many(&"9".repeat(100), 100);
    too_many(&format!("0.{}1", "0".repeat(38)), 39);
    assert_eq!(refused("1e400"), "`1e400` is beyond the range of a double: write `cast('Infinity' as double)`");
    assert_eq!(eval("1e40 > userId"), "boolean: true | true | true");
}

/// `cast(text as date)` is `to_date(text)`, and so on: one reading of texts.
#[test]
fn casts_of_texts_to_times_read_what_the_functions_read() {
    let schema_of_texts = Arc::new(Schema::new(vec![Field::new("t", arrow::datatypes::DataType::Utf8, true)]));
    let same = |text: &str, cast: &str, call: &str| {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None]));
        let batch = RecordBatch::try_new(Arc::clone(&schema_of_texts), vec![texts]).unwrap();
        let of = |sql: &str| {
            let read = compile(sql, &schema_of_texts, "out").unwrap().evaluate(&batch);
            read.map_err(|why| why.0.split_once("`: ").map(|(_, why)| why.to_owned()))
        };
        let (read, called) = (of(cast), of(call));
        assert_eq!(read, called, "{cast} of {text}");
        read.is_ok()
    };
    for (text, is_date, is_time) in [
        ("2024", true, true),
        ("2024-1", true, true),
        ("2024-1-3", true, true),
        (" 2024-01-31 ", true, true),
        ("20240131", true, false),
        ("2024-01-31T", true, true),
        ("2024-01-31 10", true, true),
        ("2024-01-31 1:2", true, true),
        ("2024-01-31 1:2:3.5 +1:30", true, true),
        ("2024-01-31T10:20:30Z", true, true),
        ("2024-01-31 anything", true, false),
        ("31/01/2024", false, false),
        ("2024-13-01", false, false),
        ("", false, false),
    ] {
        assert_eq!(same(text, "cast(t as date)", "to_date(t)"), is_date, "{text}");
        assert_eq!(same(text, "cast(t as timestamp)", "to_timestamp(t)"), is_time, "{text}");
        assert!(same(text, "try_cast(t as date)", "try_to_date(t)"));
        assert!(same(text, "try_cast(t as timestamp)", "try_to_timestamp(t)"));
    }
    check(&[
        ("date '2024-1-3'", "date: 2024-01-03 | 2024-01-03 | 2024-01-03"),
        ("timestamp '2024-1-3 4:5' = ts", "boolean: false | false | null"),
        ("day = '2024-1-1'", "boolean: true | false | null"),
        ("day in ('2024-1-1', '1970')", "boolean: true | true | null"),
        ("ts > '2024-1-1'", "boolean: true | false | null"),
        ("day between '2024' and '2024-2'", "boolean: true | false | null"),
        (
            "date_trunc('month', timestamp '2024-2-3 4:5')",
            "timestamp: 2024-02-01T00:00:00Z | 2024-02-01T00:00:00Z | \
            2024-02-01T00:00:00Z",
        ),
        ("try_cast(city as date)", "date: null | null | null"),
        ("cast(cast(null as string) as timestamp)", "timestamp: null | null | null"),
    ]);
    assert_eq!(
        failed("cast(city as date)"),
        "`cast(city as date)`: `Paris` is no date: write it as in `2024-01-31`, or read it by its pattern, as in \
         `to_date(…, 'dd/MM/yyyy')`"
    );
    // A cast is null where its text is, and nowhere else.
    let nullable = |sql: &str| compile(sql, &schema(), "out").unwrap().field.is_nullable();
    assert!(!nullable("cast(cast(userId as string) as date)") && !nullable("timestamp '2024-01-01'"));
    assert!(nullable("try_cast(cast(userId as string) as date)") && nullable("cast(city as timestamp)"));
}

#[test]
fn where_a_double_meets_a_decimal_the_result_is_a_double() {
    check(&[
        ("1e3", "double: 1000.0 | 1000.0 | 1000.0"),
        ("price * 0.9", "double: 9.0 | -0.45 | null"),
        ("price > 0.1", "boolean: true | false | null"),
        ("price = amount", "boolean: false | false | null"),
        ("price in (10.0, 0.1)", "boolean: true | false | null"),
        ("price between -0.5 and 9.9", "boolean: false | true | null"),
        ("coalesce(price, 0.0)", "double: 10.0 | -0.5 | 0.0"),
        ("coalesce(amount, price)", "double: 19.99 | -0.05 | null"),
        ("greatest(price, 0.5)", "double: 10.0 | 0.5 | 0.5"),
        ("case when price > 0 then 1.5 else price end", "double: 1.5 | -0.5 | null"),
        ("case price when 10.0 then 1 end", "bigint: 1 | null | null"),
        // The nearest double. A cast from the decimal would round twice and give …68.
        ("coalesce(price, 0.12345678901234567)", "double: 10.0 | -0.5 | 0.12345678901234566"),
        ("price * 1e300 > 0.1", "boolean: true | false | null"),
        ("round(price / 3, 2)", "double: 3.33 | -0.17 | null"),
        ("weight * 2.0", "double: 3.0 | 5.0 | null"),
        ("abs(price)", "double: 10.0 | 0.5 | null"),
        ("price / 0", "double: inf | -inf | null"),
    ]);
}

#[test]
fn timestamps_are_microseconds_in_utc() {
    check(&[
        ("cast(ts as date)", "date: 2024-01-01 | 1969-12-31 | null"),
        ("cast(day as timestamp)", "timestamp: 2024-01-01T00:00:00Z | 1970-01-01T00:00:00Z | null"),
        ("cast(ts as string)", "string: 2024-01-01 01:01:01.000001 | 1969-12-31 23:59:59.999999 | null"),
        ("ts >= timestamp '2024-01-01 00:00:00'", "boolean: true | false | null"),
        ("ts > '2024-01-01'", "boolean: true | false | null"),
        ("ts = timestamp '2024-01-01T03:01:01.000001+02:00'", "boolean: true | false | null"),
        ("day = date '2024-01-01'", "boolean: true | false | null"),
        ("ts > day", "boolean: true | false | null"),
        ("ts < date '9999-12-31'", "boolean: true | true | null"),
        ("greatest(day, ts) = ts", "boolean: true | false | null"),
        ("day < ts", "boolean: true | false | null"),
        ("ts + interval '1 hour'", "timestamp: 2024-01-01T02:01:01.000001Z | 1970-01-01T00:59:59.999999Z | null"),
        ("date_trunc('hour', ts)", "timestamp: 2024-01-01T01:00:00Z | 1969-12-31T23:00:00Z | null"),
        ("date_bin(interval '5 minutes', ts)", "timestamp: 2024-01-01T01:00:00Z | 1969-12-31T23:55:00Z | null"),
        ("extract(year from ts)", "int: 2024 | 1969 | null"),
        (
            "to_timestamp('2024-01-01T00:00:00')",
            "timestamp: 2024-01-01T00:00:00Z | 2024-01-01T00:00:00Z | 2024-01-01T00:00:00Z",
        ),
        ("to_timestamp_millis(seats)", "timestamp: 1970-01-01T00:00:00.003Z | 1970-01-01T00:00:00Z | null"),
        ("to_char(ts, 'yyyy')", "string: 2024 | 1969 | null"),
    ]);
}

#[test]
fn date_format_takes_sparks_patterns() {
    check(&[
        ("date_format(ts, 'yyyy-MM-dd HH:mm:ss')", "string: 2024-01-01 01:01:01 | 1969-12-31 23:59:59 | null"),
        ("date_format(day, 'dd/MM/yyyy')", "string: 01/01/2024 | 01/01/1970 | null"),
        ("date_format(date '2024-02-29', 'EEEE')", "string: Thursday | Thursday | Thursday"),
        ("date_format(ts, case when paid then 'yyyy' else 'MM' end)", "string: 2024 | 12 | null"),
        ("date_format(ts, cast(null as string))", "string: null | null | null"),
    ]);
    assert!(
        refused("date_format(ts, 'YYYY')")
            .starts_with("date_format: `YYYY` at character 1 of the pattern `YYYY` is not supported")
    );
    assert!(
        refused("date_format(ts, 'yyyy' || '-nn')")
            .contains("`nn` at character 6 of the pattern `yyyy-nn` is not a pattern letter")
    );
    assert_eq!(
        refused("date_format(price, 'yyyy')"),
        "date_format takes a timestamp or a date, not a double: make a time of the number by `to_timestamp_seconds(…)`, \
         `to_timestamp_millis(…)` or `to_timestamp_micros(…)`"
    );
    assert_eq!(
        refused("date_format(city, 'yyyy')"),
        "date_format takes a timestamp or a date, not a string: read the text first, by `to_timestamp(…)`"
    );
    assert_eq!(refused("date_format(ts)"), "date_format takes a timestamp and a pattern, not 1 arguments");
    assert!(failed("date_format(ts, city)").contains("`P` at character 1 of the pattern `Paris`"));
}

#[test]
fn a_cast_that_fails_is_an_error_and_a_try_cast_is_null() {
    let sql = "cast(city as bigint)";
    assert_eq!(failed(sql), "`cast(city as bigint)`: `Paris` can't be cast to a bigint");
    assert_eq!(failed("cast(userId as int)"), "`cast(userId as int)`: `9223372036854775807` can't be cast to an int");
    assert_eq!(
        failed("cast(price as decimal(2,2))"),
        "`cast(price as decimal(2,2))`: `10.0` has more than the 2 digits that its decimal can hold"
    );
    assert_eq!(
        failed("cast(amount as decimal(3,2))"),
        "`cast(amount as decimal(3,2))`: `19.99` has more than the 3 digits that its decimal can hold"
    );
    assert!(
        failed("cast(userId as decimal(20,2))").contains("922337203685477580"),
        "{}",
        failed("cast(userId as decimal(20,2))")
    );
    assert_eq!(
        failed("date_format(cast(city as timestamp), 'yyyy')"),
        "`date_format(cast(city as timestamp), 'yyyy')`: `Paris` is no timestamp: write it as in `2024-01-31 \
         10:20:30`, or read it by its pattern, as in `to_timestamp(…, 'dd/MM/yyyy HH:mm:ss')`"
    );
    assert_eq!(eval("try_cast(city as bigint)"), "bigint: null | null | null");
    assert_eq!(refused("cast('abc' as bigint)"), "`abc` can't be cast to a bigint");
}

#[test]
fn overflow_and_division_by_zero_of_whole_numbers_are_errors() {
    let beyond = "is beyond the range of its type: cast to a wider type first";
    assert_eq!(failed("userId + 1"), format!("`userId + 1`: `9223372036854775807 + 1` {beyond}"));
    assert!(failed("case when userId > 0 then userId * 2 end").contains(beyond));
    assert!(failed("abs(-userId - 2)").contains(beyond));
    assert_eq!(
        failed("10 / seats"),
        "`10 / seats`: a division by zero: write `nullif(…, 0)` around the divisor if the result is to be null"
    );
    assert_eq!(refused("9223372036854775807 + 1"), format!("`9223372036854775807 + 1` {beyond}"));
}

#[test]
fn nullability_is_that_of_the_columns() {
    let nullable = |sql: &str| compile(sql, &schema(), "out").unwrap().field.is_nullable();
    assert!(!nullable("userId") && !nullable("1") && !nullable("city is null") && !nullable("coalesce(price, 0)"));
    assert!(
        nullable("city")
            && nullable("upper(city)")
            && nullable("case when paid then 1 end")
            && nullable("try_cast(userId as int)")
    );
}

#[test]
fn deep_expressions_compile_and_deeper_ones_are_refused() {
    let repeated = |what: &str, times: usize, with: &str| vec![what; times].join(with);
    for deep in [
        repeated("seats", DEPTH_MAX, "+"),
        repeated("city", DEPTH_MAX, "||"),
        "(".repeat(40) + "paid" + &")".repeat(40),
    ] {
        assert!(compile(&deep, &schema(), "out").unwrap().evaluate(&batch()).is_ok());
    }
    let nested = format!("{}city{}", "upper(".repeat(40), ")".repeat(40));
    assert_eq!(eval(&nested), "string: PARIS | LYON | null");
    assert!(refused(&repeated("seats", DEPTH_MAX + 1, "+")).contains("more than 128 operators deep"));
    assert!(refused(&repeated("seats", SQL_BYTES_MAX / 6, "+")).contains("more than 128 operators deep"));
    assert!(refused(&repeated("seats", SQL_BYTES_MAX / 6 + 1, "+")).contains("bytes long"));
    assert_eq!(refused(&("(".repeat(1000) + "paid" + &")".repeat(1000))), "the expression is nested too deep");
    let wide = format!("seats in ({})", repeated("3", 4000, ","));
    assert_eq!(eval(&wide), "boolean: true | false | null");
}

#[test]
fn an_empty_batch_gives_an_empty_array() {
    let empty = batch().slice(0, 0);
    for sql in ["price", "1", "upper(city)", "date_format(ts, 'yyyy')"] {
        assert_eq!(compile(sql, &schema(), "out").unwrap().evaluate(&empty).unwrap().len(), 0, "{sql}");
    }
}

#[test]
fn a_compiled_expression_may_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<super::ScalarExpr>();
}

#[test]
fn what_lies_deep_weighs_more_than_what_stands_side_by_side_and_what_does_not_parse_weighs_nothing() {
    let weigh = |sql: &str| super::weight(std::iter::once(sql));
    let least = weigh("seats");
    assert_eq!(weigh("seats +"), 0);
    assert_eq!(super::weight(["seats", "city", "no +"].into_iter()), 2 * least);
    // Each term adds a level to all terms before it, so twice as many terms weigh four times as much.
    let (of_30, of_60) = (weigh(&vec!["seats"; 30].join("+")), weigh(&vec!["seats"; 60].join("+")));
    assert!((35..=45).contains(&(of_60 * 10 / of_30)), "{of_30}, {of_60}");
    let list = format!("seats in ({})", vec!["1"; 60].join(","));
    assert!(weigh(&list) < of_60 / 10, "{}", weigh(&list));
    assert!(weigh(&format!("{}city{}", "upper(".repeat(40), ")".repeat(40))) > 6_000);
    let choices = |deep: usize| weigh(&format!("{}seats{}", "coalesce(".repeat(deep), ", 1)".repeat(deep)));
    assert!(choices(10) > 10 * choices(5), "{}, {}", choices(10), choices(5));
}
