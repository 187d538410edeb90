#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, IntervalUnit, TimeUnit};

use super::{Column, DataType, normalized, timestamp_type};

fn column(name: &str, data_type: DataType, nullable: bool) -> Column {
    Column { name: name.into(), data_type, nullable }
}

fn refused(text: &str) -> String {
    DataType::parse(text).unwrap_err()
}

#[test]
fn every_name_is_read_in_any_case_and_spacing() {
    use DataType::*;
    let decimal = |precision, scale| Decimal { precision, scale };
    let map = |key, value| Map(Box::new(key), Box::new(value));
    let cases = [
        ("boolean", Boolean),
        ("INT", Int),
        ("integer", Int),
        ("BigInt", Bigint),
        ("long", Bigint),
        ("float", Float),
        ("real", Float),
        (" double ", Double),
        ("decimal", decimal(10, 0)),
        ("decimal(5)", decimal(5, 0)),
        ("Decimal ( 38 , 38 )", decimal(38, 38)),
        ("string", String),
        ("binary", Binary),
        ("date", Date),
        ("timestamp", Timestamp),
        ("array<int>", Array(Box::new(Int))),
        ("ARRAY < array<string> >", Array(Box::new(Array(Box::new(String))))),
        ("struct<a: int, b:string NOT NULL>", Struct(vec![column("a", Int, true), column("b", String, false)])),
        ("struct<a int,`b c` decimal(4,2)>", Struct(vec![column("a", Int, true), column("b c", decimal(4, 2), true)])),
        ("map<string, double>", map(String, Double)),
        ("MAP < int,array<map<string,date>> >", map(Int, Array(Box::new(map(String, Date))))),
        (
            "struct<not: int, userId bigint not null>",
            Struct(vec![column("not", Int, true), column("userId", Bigint, false)]),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(DataType::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_displayed_type_reads_back_and_goes_through_arrow() {
    for text in [
        "boolean",
        "int",
        "bigint",
        "float",
        "double",
        "decimal(10,2)",
        "string",
        "binary",
        "date",
        "timestamp",
        "array<array<double>>",
        "struct<a: int, `b ``c`: array<struct<d: timestamp not null>> not null>",
        "map<string, double>",
        "array<map<decimal(4,2), struct<a: map<string, string>>>>",
    ] {
        let parsed = DataType::parse(text).unwrap();
        assert_eq!(parsed.to_string(), text);
        assert_eq!(DataType::from_arrow(&parsed.to_arrow()), Some(parsed.clone()), "{text}");
        assert_eq!(normalized(&parsed.to_arrow()), Some(parsed.to_arrow()), "{text} is stored as it is");
    }
}

#[test]
fn errors_say_what_was_found_and_what_would_be_right() {
    let types = "the types are boolean, int, bigint, float, double, decimal(p,s), string, binary, date, timestamp, \
                 array<…>, struct<name: type, …> and map<string, …>";
    for (name, instead) in [
        ("smallint", "write int, whose range is wider"),
        ("byte", "write int, whose range is wider"),
        ("varchar(10)", "write string"),
        ("uuid", "write string"),
        (
            "json",
            "write struct<name: type, …> with the fields that you need, map<string, …> where the names vary, or string \
             where the JSON is a text in the records",
        ),
        ("list<int>", "write array<…> with the type of the items, as in `array<string>`"),
        ("time", "there are no times without a day: write string"),
        ("uint32", "write bigint"),
        ("timestamp_ltz", "write timestamp, which is the same"),
        (
            "timestamp_ntz",
            "there are no times without a zone; timestamp takes them for UTC, which moves them if they are not: write \
             timestamp if they are in UTC, and string if they are not",
        ),
        ("hashmap<string, int>", "write map<string, …> with the type of the values"),
    ] {
        let word = name.split(['(', '<']).next().unwrap();
        assert_eq!(refused(name), format!("`{word}` is not a type here: {instead}; {types}"));
    }
    assert!(refused("money").starts_with("`money` is not a type; the types are boolean, int, bigint,"));
    assert!(refused("").starts_with("the type is empty, expected a type: boolean"));
    assert_eq!(
        refused("decimal(12.2)"),
        "`decimal(12.2)` has a point between its digits and those behind the point: write `decimal(12,2)`"
    );
    assert_eq!(refused("decimal(39,2)"), "`decimal(39,2)` has a precision of 39; it must be from 1 to 38");
    assert_eq!(refused("decimal(0)"), "`decimal(0,0)` has a precision of 0; it must be from 1 to 38");
    assert_eq!(refused("decimal(4,5)"), "`decimal(4,5)` has a scale of 5; it must be from 0 to the precision, 4");
    assert_eq!(
        refused("decimal(a)"),
        "`decimal(a)` has `a)` where a precision from 1 to 38, as in `decimal(10,2)` should be"
    );
    assert_eq!(refused("array<int"), "`array<int` ends too soon, expected `>`");
    assert_eq!(refused("array"), "`array` lacks the type of its items: write it, as in `array<string>`");
    assert_eq!(refused("array<struct>"), "`array<struct>` has `>` where `<` should be");
    assert_eq!(refused("struct"), "`struct` lacks its fields: write them, as in `struct<a: int, b: string>`");
    assert_eq!(refused("int int"), "`int int` has `int` where the end after `int` should be");
    assert_eq!(
        refused("struct<a: int, a: int>"),
        "`struct<a: int, a: int>` has two fields named `a`; names within a struct must differ"
    );
    assert_eq!(refused("map"), "`map` lacks the types of its keys and values: write them, as in `map<string, double>`");
    assert_eq!(refused("map<string>"), "`map<string>` has `>` where `,` should be");
    assert_eq!(
        refused("map<map<int, int>, int>"),
        "`map<map<int, int>, int>` has the keys map<int, int>, and maps have no equality by which a key is found: \
         write `map<string, …>`"
    );
    assert!(refused("struct<>").contains("the name of a field"));
    assert!(refused("struct<a: int not>").contains("`null` after `not`"));
    assert!(refused("struct<a: int b>").contains("`,` or `>`"));
    assert!(refused("struct<`a: int>").contains("backtick"));
    let deep = format!("{}int{}", "array<".repeat(40), ">".repeat(40));
    assert!(refused(&deep).ends_with("is nested more than 16 deep"));
}

#[test]
fn only_our_own_arrow_types_are_recognised() {
    let item = |name: &str, nullable| ArrowType::List(Arc::new(Field::new(name, ArrowType::Int32, nullable)));
    let map = |entries: &str, key: &str, value: &str| {
        let fields = vec![Field::new(key, ArrowType::Utf8, false), Field::new(value, ArrowType::Int32, true)];
        ArrowType::Map(Arc::new(Field::new(entries, ArrowType::Struct(fields.into()), false)), false)
    };
    assert!(DataType::from_arrow(&map("key_value", "key", "value")).is_some());
    for foreign in [
        ArrowType::Int16,
        ArrowType::Utf8View,
        ArrowType::Timestamp(TimeUnit::Microsecond, None),
        ArrowType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        ArrowType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ArrowType::Decimal128(10, -2),
        item("item", true),
        item("element", false),
        map("entries", "key", "value"),
        map("key_value", "keys", "values"),
        ArrowType::Null,
    ] {
        assert_eq!(DataType::from_arrow(&foreign), None, "{foreign}");
    }
}

#[test]
fn natural_results_are_stored_as_the_nearest_type_that_loses_nothing() {
    let list = |name: &str, of: ArrowType| Arc::new(Field::new(name, of, true));
    let cases = [
        (ArrowType::Utf8View, Some(ArrowType::Utf8)),
        (ArrowType::LargeUtf8, Some(ArrowType::Utf8)),
        (ArrowType::Int8, Some(ArrowType::Int32)),
        (ArrowType::UInt16, Some(ArrowType::Int32)),
        (ArrowType::UInt32, Some(ArrowType::Int64)),
        (ArrowType::UInt64, Some(ArrowType::Int64)),
        (ArrowType::Float16, Some(ArrowType::Float32)),
        (ArrowType::Timestamp(TimeUnit::Nanosecond, None), Some(timestamp_type())),
        (ArrowType::Timestamp(TimeUnit::Second, Some("+02:00".into())), Some(timestamp_type())),
        (ArrowType::Date64, Some(ArrowType::Date32)),
        (ArrowType::BinaryView, Some(ArrowType::Binary)),
        (ArrowType::Decimal64(10, 2), Some(ArrowType::Decimal128(10, 2))),
        (ArrowType::Decimal128(5, -2), Some(ArrowType::Decimal128(7, 0))),
        (ArrowType::Decimal256(38, 2), Some(ArrowType::Decimal128(38, 2))),
        (ArrowType::Decimal256(39, 2), None),
        (ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::Utf8View)), Some(ArrowType::Utf8)),
        (
            ArrowType::LargeList(list("item", ArrowType::Utf8View)),
            Some(ArrowType::List(list("element", ArrowType::Utf8))),
        ),
        (ArrowType::List(list("item", ArrowType::Null)), None),
        (ArrowType::Interval(IntervalUnit::MonthDayNano), None),
        (ArrowType::Time64(TimeUnit::Nanosecond), None),
        (ArrowType::Duration(TimeUnit::Second), None),
        (ArrowType::Null, None),
    ];
    for (natural, stored) in cases {
        assert_eq!(normalized(&natural), stored, "{natural}");
    }
}
