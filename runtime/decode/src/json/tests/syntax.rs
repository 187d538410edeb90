//! Records that are not exactly one JSON object, and how strictly we judge that.

use weir_plan::types::DataType;

use super::super::cursor::DEPTH_MAX;
use super::{Cell, array_of, decode, decoder, nullable, text};
use crate::Decoder;

fn error(record: impl AsRef<[u8]>) -> String {
    decode(&[nullable("a", DataType::Bigint), nullable("s", DataType::String)], record).unwrap_err()
}

#[test]
fn a_tombstone_is_refused() {
    let error = decoder(&[]).decode(None).unwrap_err();
    assert_eq!(error.to_string(), "at $: the record has no value (a tombstone), want a JSON object");
}

#[test]
fn an_empty_value_is_refused() {
    for empty in ["", " \r\n\t"] {
        assert_eq!(error(empty), "at $: the record's value is empty, want a JSON object");
    }
}

#[test]
fn anything_but_an_object_is_refused() {
    assert_eq!(error(r#"[{"a":1}]"#), "at $: found an array, want a JSON object");
    assert_eq!(error("1"), "at $: found a number, want a JSON object");
    assert_eq!(error("\"{}\""), "at $: found a string, want a JSON object");
    assert_eq!(error("null"), "at $: found null, want a JSON object");
    assert_eq!(error("a=1"), "at $: byte 0: found 'a', want a JSON object");
}

#[test]
fn whitespace_is_allowed_where_json_allows_it() {
    let columns = [nullable("a", array_of(DataType::Bigint))];
    let record = "\n\t { \r\n\"a\" : [ 1 , 2 ] \t,\"x\"\n:\n{ } , \"y\" : [ ] } \n";
    assert_eq!(decode(&columns, record), Ok(vec![Cell::Array(vec![Cell::Integer(1), Cell::Integer(2)])]));
    for other in ["\u{a0}{}", "\u{c}{}", "{}\u{b}", "{\u{2028}}", "{}\0"] {
        error(other);
    }
}

#[test]
fn what_follows_the_object_is_refused() {
    assert_eq!(error(r#"{"a":1} {"a":2}"#), "at $: byte 8: found '{', want the end of the record: it holds one object");
    assert_eq!(error(r#"{"a":1},"#), "at $: byte 7: found ',', want the end of the record: it holds one object");
}

#[test]
fn a_record_that_stops_anywhere_is_refused() {
    let columns = [nullable("a", DataType::Bigint), nullable("s", DataType::String)];
    let record = r#"{"a":-12,"s":"x\n\ud83d\udeb2é","ignored":{"p":[1.5e-7,null,true,false,"\\\ud83d\udeb2"],"q":{}}}"#;
    assert!(decode(&columns, record).is_ok());
    for end in 0..record.len() {
        assert!(decode(&columns, &record.as_bytes()[..end]).is_err(), "{end}");
    }
    assert_eq!(error(r#"{"a":1"#), "at $: the record ends after 6 bytes, want ',' or '}'");
}

#[test]
fn the_grammar_is_kept_to_the_letter() {
    for wrong in [
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a":1 "s":""}"#,
        r#"{"a" 1}"#,
        r#"{"a"::1}"#,
        "{a:1}",
        "{'a':1}",
        r#"{"a":}"#,
        r#"{"a"}"#,
        r#"{"x":[1 2]}"#,
        r#"{"x":[1,]}"#,
        r#"{"x":[,1]}"#,
        r#"{"x":[1}}"#,
        r#"{"x":{]}"#,
        r#"{"x":nulL}"#,
        r#"{"x":tru}"#,
        r#"{"a":01}"#,
        r#"{"x":01}"#,
        r#"{"a":+1}"#,
        r#"{"x":.5}"#,
        r#"{"x":5.}"#,
        r#"{"x":-}"#,
        r#"{"x":1e}"#,
        r#"{"x":1e+}"#,
        r#"{"x":1.e1}"#,
        r#"{"x":0x1}"#,
        r#"{"x":1_000}"#,
        r#"{"x":--1}"#,
        r#"{"x":-a}"#,
        "{\"a\":1}//",
        "/**/{}",
        "{\"a\":1}}",
        "{\"a\":1]",
        "{\"a\":1;}",
        "{{}}",
        "{[]:1}",
        "{1:1}",
        "{null:1}",
        r#"{"x":NaN}"#,
    ] {
        error(wrong);
    }
}

#[test]
fn strings_that_break_the_rules_are_refused_wherever_they_are() {
    for wrong in [
        &b"\n"[..],
        b"\x00",
        b"\x1f",
        br"\x41",
        br"\u12",
        br"\u12g4",
        br"\u+123",
        br"\",
        br"\ud800",
        br"\udc00",
        br"\ud800x",
        br"\ud800\n",
        br"\ud800\ud800",
        br"\ud83dabdc00",
        br"\ud83d\ndc00",
        br"\ud83d\u0041",
        br"\uD83D\uDE",
        b"\x80",
        b"\xff",
        b"\xc3",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        for (before, after) in [
            ("{\"s\":\"", "\"}"),
            ("{\"x\":\"", "\"}"),
            ("{\"", "\":1}"),
            ("{\"x\":{\"", "\":1}}"),
            ("{\"x\":[\"", "\"]}"),
        ] {
            for padding in ["", "1234567", "12345678"] {
                let record = [before.as_bytes(), padding.as_bytes(), wrong, after.as_bytes()].concat();
                error(&record);
            }
        }
    }
    assert_eq!(error(b"{\"x\":\"abc\xff\"}"), "at $: byte 9: found bytes that are not UTF-8");
    assert_eq!(error("{\"s\":\"a\tb\"}"), "at $.s: byte 7: found a control character in a string, want it escaped");
}

#[test]
fn a_byte_order_mark_is_refused() {
    assert_eq!(error("\u{feff}{}"), "at $: the record begins with a byte order mark, which JSON does not have");
}

#[test]
fn nesting_is_limited_in_ignored_fields_and_costs_no_stack() {
    let nested =
        |levels: usize, open: &str, close: &str| format!("{{\"x\":{}1{}}}", open.repeat(levels), close.repeat(levels));
    for (open, close) in [("[", "]"), ("{\"y\":", "}")] {
        assert!(decode(&[], nested(DEPTH_MAX - 1, open, close)).is_ok());
        let error = decode(&[], nested(DEPTH_MAX, open, close)).unwrap_err();
        assert_eq!(error, "at $.x: objects and arrays are nested more than 128 deep");
        assert!(decode(&[], nested(3_000_000, open, close)).is_err());
        assert!(decode(&[], format!("{{\"x\":{}", open.repeat(3_000_000))).is_err());
    }
    // Empty containers count as levels like all others.
    assert!(decode(&[], format!("{{\"x\":{}{}}}", "[".repeat(DEPTH_MAX - 1), "]".repeat(DEPTH_MAX - 1))).is_ok());
    assert!(decode(&[], format!("{{\"x\":{}{}}}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX))).is_err());
    // Mixed containers up to the limit: each closing bracket must match its opening one.
    let mixed = format!("{{\"x\":{}0{}}}", "[{\"y\":".repeat(63), "}]".repeat(63));
    assert!(decode(&[], &mixed).is_ok());
    assert!(decode(&[], mixed.replacen("}]", "]}", 1)).is_err());
}

#[test]
fn nesting_is_limited_in_columns_too() {
    let column = (0..DEPTH_MAX).fold(DataType::Bigint, |inner, _| array_of(inner));
    let record = |levels: usize| format!("{{\"v\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(decode(&[nullable("v", column.clone())], record(DEPTH_MAX - 1)).is_ok());
    assert!(decode(&[nullable("v", column)], record(DEPTH_MAX)).unwrap_err().ends_with("nested more than 128 deep"));
}

#[test]
fn a_record_of_ten_megabytes_is_a_record() {
    let long = "é\\n".repeat(2_500_000);
    let record = format!("{{\"x\":\"{long}\",\"s\":\"{long}\",\"n\":{}}}", "9".repeat(1_000_000));
    let meant = "é\n".repeat(2_500_000);
    assert_eq!(decode(&[nullable("s", DataType::String)], &record), Ok(vec![text(&meant)]));
    assert!(decode(&[nullable("s", DataType::String)], &record.as_bytes()[..record.len() - 1]).is_err());
}
