//! A test for each rule about fields, types and values in docs/reference/json.md.

use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_plan::types::DataType;

use super::super::JsonDecoder;
use super::{Cell, array_of, decode, decoder, double, map_of, nullable, required, text, value};
use crate::Decoder;

const BIGINT: DataType = DataType::Bigint;
const MONEY: DataType = DataType::Decimal { precision: 5, scale: 2 };

#[test]
fn a_missing_field_is_null() {
    let columns = [nullable("a", BIGINT), nullable("b", BIGINT)];
    assert_eq!(decode(&columns, r#"{"b":1}"#), Ok(vec![Cell::Null, Cell::Integer(1)]));
    assert_eq!(decode(&columns, "{}"), Ok(vec![Cell::Null, Cell::Null]));
}

#[test]
fn a_missing_required_field_is_named() {
    let columns = [nullable("a", BIGINT), required("b", BIGINT)];
    assert_eq!(decode(&columns, r#"{"a":1}"#).unwrap_err(), "at $.b: the field is missing, and the column is required");
}

#[test]
fn a_missing_field_that_is_spelled_otherwise_is_named() {
    let there =
        |json: &str, column: &str| decode(&[nullable("other", BIGINT), required(column, BIGINT)], json).unwrap_err();
    let says = |column: &str, there: &str| {
        format!(
            "at $.{column}: the field is missing, and the column is required; there is `{there}`: write the column's \
             name exactly as the field's"
        )
    };
    assert_eq!(there(r#"{"other":1,"ID":2}"#, "id"), says("id", "ID"));
    assert_eq!(there(r#"{"x":[{"id":1}],"user_id":2,"z":{}}"#, "userId"), says("userId", "user_id"));
    assert_eq!(there(r#"{"identity":1}"#, "id"), "at $.id: the field is missing, and the column is required");
    let inner = DataType::Struct(vec![required("id", BIGINT)]);
    let error = decode(&[nullable("s", inner)], r#"{"s": {"Id": 1}}"#).unwrap_err();
    assert!(error.starts_with("at $.s.id: ") && error.contains("there is `Id`"), "{error}");
}

#[test]
fn an_explicit_null_is_null_and_refused_where_the_column_is_required() {
    assert_eq!(value(BIGINT, "null"), Ok(Cell::Null));
    assert_eq!(
        decode(&[required("b", BIGINT)], r#"{"b":null}"#).unwrap_err(),
        "at $.b: found null, and the column is required"
    );
}

#[test]
fn other_fields_are_ignored() {
    let columns = [nullable("a", BIGINT)];
    let record = r#"{"x":[{"a":2},[],{},null,true,false,-1.5e+3,"\u00e9"],"a":1,"y":{"a":{"a":3}},"z":1e999}"#;
    assert_eq!(decode(&columns, record), Ok(vec![Cell::Integer(1)]));
}

#[test]
fn other_fields_must_be_json() {
    for (ignored, error) in [
        ("nul", "byte 5: found 'n', want a JSON value"),
        ("[1,]", "byte 8: found ']', want a JSON value"),
        ("{\"b\" 1}", "byte 10: found '1', want ':' after a field's name"),
        ("[-01]", "byte 8: found '1', want ',' or ']'"),
        ("1.", "byte 7: found '}', want a digit of a number"),
        ("\"\\ud800\"", "byte 6: found half of a surrogate pair in a string, want both \\u escapes of the character"),
    ] {
        assert_eq!(decode(&[], format!("{{\"x\":{ignored}}}")).unwrap_err(), format!("at $.x: {error}"));
    }
}

#[test]
fn the_last_of_two_fields_with_one_name_counts() {
    let inner = DataType::Struct(vec![nullable("a", BIGINT), nullable("b", DataType::String)]);
    let columns = [nullable("a", BIGINT), nullable("s", inner)];
    assert_eq!(decode(&columns, r#"{"a":1,"a":2,"a":3}"#), Ok(vec![Cell::Integer(3), Cell::Null]));
    assert_eq!(decode(&columns, r#"{"a":1,"a":null}"#), Ok(vec![Cell::Null, Cell::Null]));
    assert_eq!(decode(&columns, r#"{"a":null,"a":1}"#), Ok(vec![Cell::Integer(1), Cell::Null]));
    let record = r#"{"s":{"a":1,"b":"x","b":"yz"},"s":{"b":"p","a":8,"a":9,"b":"q"}}"#;
    assert_eq!(decode(&columns, record), Ok(vec![Cell::Null, Cell::Struct(vec![Cell::Integer(9), text("q")])]));
    let record = r#"{"s":{"a":1,"b":"x"},"s":{}}"#;
    assert_eq!(decode(&columns, record), Ok(vec![Cell::Null, Cell::Struct(vec![Cell::Null, Cell::Null])]));
}

#[test]
fn every_one_of_two_fields_with_one_name_must_fit_the_column() {
    let error = "at $.a: found a string, want a bigint";
    assert_eq!(decode(&[nullable("a", BIGINT)], r#"{"a":"x","a":2}"#).unwrap_err(), error);
    assert!(decode(&[required("a", BIGINT)], r#"{"a":1,"a":null}"#).is_err());
}

#[test]
fn names_are_case_sensitive() {
    let columns = [nullable("city", BIGINT), nullable("City", BIGINT)];
    assert_eq!(decode(&columns, r#"{"CITY":1,"City":2}"#), Ok(vec![Cell::Null, Cell::Integer(2)]));
}

#[test]
fn names_with_escapes_are_the_names_that_they_mean() {
    let columns =
        [nullable("city", BIGINT), nullable("a\"b\\c\n", BIGINT), nullable("né", BIGINT), nullable("", BIGINT)];
    let expected = Ok(vec![Cell::Integer(1), Cell::Integer(2), Cell::Integer(3), Cell::Integer(4)]);
    assert_eq!(decode(&columns, r#"{"c\u0069ty":1,"a\"b\\c\n":2,"n\u00e9":3,"":4}"#), expected);
    assert_eq!(decode(&columns, r#"{"city":1,"a\u0022b\u005cc\u000A":2,"né":3,"":4}"#), expected);
}

#[test]
fn a_value_of_another_type_is_refused_with_both_types() {
    let kinds =
        [("\"x\"", "a string"), ("{}", "an object"), ("[]", "an array"), ("true", "a boolean"), ("1", "a number")];
    let types = [
        (DataType::Boolean, "a boolean", "a boolean"),
        (DataType::Int, "a number", "an int"),
        (BIGINT, "a number", "a bigint"),
        (DataType::Float, "a number", "a float"),
        (DataType::Double, "a number", "a double"),
        (DataType::String, "a string", "a string"),
        (DataType::Binary, "a string", "a string of base64"),
        (DataType::Date, "a string", "a date like 2024-01-31"),
        (DataType::Timestamp, "a string", "a timestamp like 2024-01-31T12:34:56.789Z"),
        (array_of(BIGINT), "an array", "an array"),
        (DataType::Struct(vec![]), "an object", "an object"),
        (map_of(BIGINT), "an object", "an object"),
    ];
    for (data_type, fits, want) in types {
        for (json, found) in kinds {
            if found != fits {
                let error = value(data_type.clone(), json).unwrap_err();
                let is_time = data_type == DataType::Timestamp && found == "a number";
                let hint = if is_time {
                    "; if numbers are milliseconds since 1970, set `timestampNumbers: EpochMillis`"
                } else {
                    ""
                };
                assert_eq!(error, format!("at $.v: found {found}, want {want}{hint}"));
            }
        }
    }
    assert_eq!(value(MONEY, "true").unwrap_err(), "at $.v: found a boolean, want a decimal(5,2)");
    assert_eq!(value(MONEY, "\"x\"").unwrap_err(), "at $.v: found a string that is not a number, want a decimal(5,2)");
}

#[test]
fn booleans_are_booleans() {
    assert_eq!(value(DataType::Boolean, "true"), Ok(Cell::Boolean(true)));
    assert_eq!(value(DataType::Boolean, "false"), Ok(Cell::Boolean(false)));
    for wrong in ["True", "tru", "truex", "0", "\"true\""] {
        assert!(value(DataType::Boolean, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn integers_keep_every_digit_and_overflow_is_refused() {
    for i in [i64::MAX, i64::MIN, 0, -1, 999_999_999_999_999_999, 1_000_000_000_000_000_000] {
        assert_eq!(value(BIGINT, &i.to_string()), Ok(Cell::Integer(i)));
    }
    assert_eq!(value(BIGINT, "-0"), Ok(Cell::Integer(0)));
    for wrong in ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999999999"] {
        assert_eq!(value(BIGINT, wrong).unwrap_err(), "at $.v: found a number beyond the range of a bigint");
    }
    assert_eq!(value(DataType::Int, "2147483647"), Ok(Cell::Integer(2_147_483_647)));
    assert_eq!(value(DataType::Int, "-2147483648"), Ok(Cell::Integer(-2_147_483_648)));
    for wrong in ["2147483648", "-2147483649"] {
        assert_eq!(value(DataType::Int, wrong).unwrap_err(), "at $.v: found a number beyond the range of an int");
    }
}

#[test]
fn integers_written_with_a_fraction_or_an_exponent_are_refused() {
    for wrong in ["1.0", "1e3", "0e0", "-0.0", "1E+2", "12345678901234567890.0"] {
        assert_eq!(
            value(BIGINT, wrong).unwrap_err(),
            "at $.v: found a number with a fraction or an exponent, want a bigint"
        );
    }
    assert_eq!(
        value(DataType::Int, "1.0").unwrap_err(),
        "at $.v: found a number with a fraction or an exponent, want an int"
    );
}

#[test]
fn doubles_and_floats_take_any_number_in_range_rounded_once() {
    for json in [
        "1",
        "-1.5",
        "1e3",
        "0.1",
        "123456789012345678901234567890",
        "1e-400",
        "2.2250738585072014e-308",
        "5e-324",
        "1e23",
    ] {
        assert_eq!(value(DataType::Double, json), Ok(double(json.parse().unwrap())), "{json}");
        let float: f32 = json.parse().unwrap();
        assert_eq!(value(DataType::Float, json), Ok(Cell::Float(float.to_bits())), "{json}");
    }
    assert_eq!(value(DataType::Double, "-0"), Ok(double(-0.0)));
    assert_eq!(value(DataType::Double, "-0.0e5"), Ok(double(-0.0)));
    // Just above the middle between two floats, by digits that a double can't hold: rounding twice would give 16777216.
    assert_eq!(value(DataType::Float, "16777217.0000000000001"), Ok(Cell::Float(16_777_218_f32.to_bits())));
}

#[test]
fn doubles_and_floats_beyond_their_range_are_refused() {
    for wrong in ["1e999", "-1e999", "1.8e308", "1e99999999999999999999"] {
        assert_eq!(value(DataType::Double, wrong).unwrap_err(), "at $.v: found a number beyond the range of a double");
    }
    assert_eq!(value(DataType::Float, "1e39").unwrap_err(), "at $.v: found a number beyond the range of a float");
}

#[test]
fn nan_and_infinity_are_refused() {
    for wrong in ["NaN", "Infinity", "-Infinity", "inf", "\"NaN\"", "-NaN"] {
        assert!(value(DataType::Double, wrong).is_err(), "{wrong}");
    }
    assert_eq!(value(DataType::Double, "NaN").unwrap_err(), "at $.v: byte 5: found 'N', want a double");
}

#[test]
fn decimals_are_exact_from_numbers_and_from_strings() {
    for (json, unscaled) in [
        ("1.5", 150),
        ("1.50", 150),
        ("1.500000000000000000000000000000000000000000000000000", 150),
        ("-999.99", -99_999),
        ("0.01", 1),
        ("-0", 0),
        ("0.000", 0),
        ("0e999999999999", 0),
        ("1e2", 10_000),
        ("1E-2", 1),
        ("123000e-3", 12_300),
        (&format!("0.{}12e40", "0".repeat(40)), 12),
    ] {
        assert_eq!(value(MONEY, json), Ok(Cell::Decimal(unscaled)));
        assert_eq!(value(MONEY, &format!("\"{json}\"")), Ok(Cell::Decimal(unscaled)));
    }
    let widest = DataType::Decimal { precision: 38, scale: 0 };
    let nines = "9".repeat(38);
    assert_eq!(value(widest.clone(), &nines), Ok(Cell::Decimal(10_i128.pow(38) - 1)));
    assert_eq!(value(widest, &format!("-{nines}.0e0")), Ok(Cell::Decimal(1 - 10_i128.pow(38))));
}

#[test]
fn decimals_that_do_not_fit_are_refused_not_rounded() {
    for wrong in ["1000", "1000.00", "-1000", "1e3", "1e999999999", "99999999999999999999999999999999999999999"] {
        assert_eq!(
            value(MONEY, wrong).unwrap_err(),
            "at $.v: found a number with too many digits before the point, want a decimal(5,2)"
        );
    }
    for wrong in ["1.501", "0.001", "1e-3", "1e-999999999", "0.0049999999999999999999999999999999999999999"] {
        assert_eq!(
            value(MONEY, wrong).unwrap_err(),
            "at $.v: found a number with too many digits after the point, want a decimal(5,2)"
        );
    }
    for wrong in
        ["\"\"", "\" 1\"", "\"1 \"", "\"+1\"", "\".5\"", "\"5.\"", "\"007\"", "\"1,5\"", "\"NaN\"", "\"0x1\"", "\"1e\""]
    {
        assert_eq!(
            value(MONEY, wrong).unwrap_err(),
            "at $.v: found a string that is not a number, want a decimal(5,2)",
            "{wrong}"
        );
    }
}

#[test]
fn strings_are_what_they_mean() {
    for (json, meant) in [
        (r#""""#, ""),
        (r#""Zürich 東京 🚲""#, "Zürich 東京 🚲"),
        (r#""a\"b\\c\/d\b\f\n\r\t""#, "a\"b\\c/d\u{8}\u{c}\n\r\t"),
        (r#""\u005A\u00fc\u6771""#, "Zü東"),
        (r#""\ud83d\udeb2!""#, "🚲!"),
        (r#""\u0000""#, "\0"),
        (r#""\uFFFF""#, "\u{ffff}"),
        ("\"\u{7f}\u{2028}\"", "\u{7f}\u{2028}"),
    ] {
        assert_eq!(value(DataType::String, json), Ok(text(meant)));
    }
}

#[test]
fn binary_is_standard_base64_with_padding() {
    let binary = |json| value(DataType::Binary, json);
    for (json, bytes) in [
        ("\"\"", &b""[..]),
        ("\"Zg==\"", b"f"),
        ("\"Zm8=\"", b"fo"),
        ("\"Zm9v\"", b"foo"),
        (r#""+\/+\u002f""#, &[251, 255, 191]),
    ] {
        assert_eq!(binary(json), Ok(Cell::Bytes(bytes.to_vec())));
    }
    for wrong in [
        "\"Zg\"",
        "\"Zg=\"",
        "\"Zh==\"",
        "\"Zm9=\"",
        "\"====\"",
        "\"Z===\"",
        "\"Zm9v\\n\"",
        "\"-_-_\"",
        "\"Zg==Zg==\"",
        "\"é9v\"",
    ] {
        let error = "at $.v: found a string that is not base64 (A-Z a-z 0-9 + /, padded with =)";
        assert_eq!(binary(wrong).unwrap_err(), error, "{wrong}");
    }
}

#[test]
fn dates_and_timestamps_say_what_is_right() {
    assert_eq!(value(DataType::Date, "\"1970-01-02\""), Ok(Cell::Integer(1)));
    assert_eq!(
        value(DataType::Date, "\"2024-02-30\"").unwrap_err(),
        "at $.v: found a string that is not a date like 2024-01-31, or no such day"
    );
    assert_eq!(value(DataType::Timestamp, "\"1970-01-01T00:00:01Z\""), Ok(Cell::Integer(1_000_000)));
    assert_eq!(value(DataType::Timestamp, r#""1970\u002d01-01 00:00:00.5+00:00""#), Ok(Cell::Integer(500_000)));
    let error = "at $.v: found a string that is not a timestamp like 2024-01-31T12:34:56.789Z, or no such time";
    assert_eq!(value(DataType::Timestamp, "\"yesterday\"").unwrap_err(), error);
}

#[test]
fn numbers_are_timestamps_only_where_the_document_says_milliseconds() {
    let error = "at $.v: found a number, want a timestamp like 2024-01-31T12:34:56.789Z; if numbers are milliseconds \
                 since 1970, set \
                 `timestampNumbers: EpochMillis`";
    assert_eq!(value(DataType::Timestamp, "1706704496789").unwrap_err(), error);
    let column = nullable("v", array_of(DataType::Timestamp));
    let mut decoder = JsonDecoder::new(&[column], JsonFormat { timestamp_numbers: TimestampNumbers::EpochMillis });
    decoder.decode(Some(br#"{"v":[1706704496789,-1,0,"1970-01-01T00:00:00.000001Z"]}"#)).unwrap();
    for (wrong, reason) in [
        ("1.5", "found a number with a fraction or an exponent, want milliseconds since 1970"),
        ("1e3", "found a number with a fraction or an exponent, want milliseconds since 1970"),
        ("9223372036854775807", "found milliseconds outside of the years 0001 to 9999"),
        ("253402300800000", "found milliseconds outside of the years 0001 to 9999"),
        ("-62135596800001", "found milliseconds outside of the years 0001 to 9999"),
        ("99999999999999999999", "found a number beyond the range of milliseconds since 1970"),
    ] {
        let error = decoder.decode(Some(format!("{{\"v\":[0,{wrong}]}}").as_bytes())).unwrap_err();
        assert_eq!(error.to_string(), format!("at $.v[1]: {reason}"));
    }
    let us = [1_706_704_496_789_000, -1000, 0, 1].map(Cell::Integer).to_vec();
    assert_eq!(super::rows(&decoder.finish().unwrap()), [vec![Cell::Array(us)]]);
}

#[test]
fn structs_and_arrays_nest_and_hold_nulls() {
    let point = DataType::Struct(vec![required("x", BIGINT), nullable("tags", array_of(DataType::String))]);
    let columns = [nullable("path", array_of(point.clone())), nullable("at", point)];
    let record = r#"{"path":[{"x":1,"tags":["a",null,""]},null,{"tags":[],"x":2},{"x":3,"tags":null}],"at":null}"#;
    let tags = Cell::Array(vec![text("a"), Cell::Null, text("")]);
    let path = vec![
        Cell::Struct(vec![Cell::Integer(1), tags]),
        Cell::Null,
        Cell::Struct(vec![Cell::Integer(2), Cell::Array(vec![])]),
        Cell::Struct(vec![Cell::Integer(3), Cell::Null]),
    ];
    assert_eq!(decode(&columns, record), Ok(vec![Cell::Array(path), Cell::Null]));
    assert_eq!(
        decode(&columns, r#"{"at":{"tags":[]}}"#).unwrap_err(),
        "at $.at.x: the field is missing, and the column is required"
    );
}

#[test]
fn an_object_is_a_map_in_the_order_of_the_record() {
    let map = |entries: &[(&str, Cell)]| Cell::Map(entries.iter().map(|(k, v)| (text(k), v.clone())).collect());
    let one = || Cell::Integer(1);
    assert_eq!(
        value(map_of(BIGINT), r#"{"z":1,"a":null,"":1}"#),
        Ok(map(&[("z", one()), ("a", Cell::Null), ("", one())]))
    );
    assert_eq!(value(map_of(BIGINT), r#"{"c\u0069ty" : 1 }"#), Ok(map(&[("city", one())])));
    assert_eq!(value(map_of(BIGINT), "{ }"), Ok(map(&[])));
    assert_eq!(value(map_of(BIGINT), "null"), Ok(Cell::Null));
    let inner = DataType::Struct(vec![required("x", BIGINT), nullable("m", map_of(DataType::String))]);
    assert_eq!(
        value(array_of(map_of(inner.clone())), r#"[{"k":{"x":1,"m":{"a":"b"}},"l":null},null,{}]"#),
        Ok(Cell::Array(vec![
            map(&[("k", Cell::Struct(vec![one(), map(&[("a", text("b"))])])), ("l", Cell::Null)]),
            Cell::Null,
            map(&[]),
        ]))
    );
    let columns = [nullable("v", map_of(BIGINT))];
    assert_eq!(decode(&columns, r#"{"v":{"a":7,"b":8},"v":{"c":1}}"#), Ok(vec![map(&[("c", one())])]));
    assert_eq!(
        value(map_of(inner), r#"{"a b":{"m":{}}}"#).unwrap_err(),
        r#"at $.v["a b"].x: the field is missing, and the column is required"#
    );
    assert_eq!(value(map_of(BIGINT), r#"{"a":1,"b":"c"}"#).unwrap_err(), "at $.v.b: found a string, want a bigint");
}

#[test]
fn a_key_that_occurs_twice_in_a_map_is_refused() {
    let error = |json: &str| value(map_of(BIGINT), json).unwrap_err();
    let twice = "found the key twice, want each key of a map once";
    assert_eq!(error(r#"{"a":1,"b":2,"\u0061":3}"#), format!("at $.v.a: {twice}"));
    assert_eq!(error(r#"{"":1,"":1}"#), format!(r#"at $.v[""]: {twice}"#));
    for count in [15, 16, 17, 100] {
        let fields = |last: &str| {
            let names = (1..count).map(|i| format!("k{i}")).chain([last.to_owned()]);
            names.map(|name| format!("\"{name}\":1")).collect::<Vec<_>>().join(",")
        };
        assert_eq!(error(&format!("{{{}}}", fields("k7"))), format!("at $.v.k7: {twice}"), "{count}");
        assert!(value(map_of(BIGINT), &format!("{{{}}}", fields("k"))).is_ok(), "{count}");
    }
}

#[test]
fn a_refused_record_leaves_no_key_behind() {
    let columns = [nullable("m", map_of(map_of(BIGINT))), nullable("n", BIGINT)];
    let mut decoder = decoder(&columns);
    for (record, is_right) in [
        (r#"{"m":{"a":{"b":1}},"n":1}"#, true),
        (r#"{"m":{"c":{"d":1,"e":true}}}"#, false),
        (r#"{"m":{"c":{"d":1},"f"}}"#, false),
        (r#"{"m":{"g":{"h":2}},"n":"x"}"#, false),
        (r#"{"m":{"i":{},"i":{}}}"#, false),
        (r#"{"m":{"j":null}}"#, true),
    ] {
        assert_eq!(decoder.decode(Some(record.as_bytes())).is_ok(), is_right, "{record}");
    }
    let inner = Cell::Map(vec![(text("b"), Cell::Integer(1))]);
    assert_eq!(
        super::rows(&decoder.finish().unwrap()),
        [
            vec![Cell::Map(vec![(text("a"), inner)]), Cell::Integer(1)],
            vec![Cell::Map(vec![(text("j"), Cell::Null)]), Cell::Null]
        ]
    );
}

#[test]
fn errors_name_the_place() {
    let inner = DataType::Struct(vec![nullable("a b", array_of(array_of(BIGINT))), nullable("é_1", BIGINT)]);
    let columns = [nullable("s", inner)];
    assert_eq!(
        decode(&columns, r#"{"s":{"a b":[[],[1,2,{}]]}}"#).unwrap_err(),
        r#"at $.s["a b"][1][2]: found an object, want a bigint"#
    );
    assert_eq!(decode(&columns, r#"{"s":{"é_1":""}}"#).unwrap_err(), "at $.s.é_1: found a string, want a bigint");
    let mut decoder = decoder(&[]);
    let error =
        decoder.decode(Some(format!("{{\"{}\":?}}", "n".repeat(1_000_000)).as_bytes())).unwrap_err().to_string();
    assert!(error.starts_with(&format!("at $.{}: ", "n".repeat(64))), "{error}");
}
