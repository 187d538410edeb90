//! Maps in expressions: what picks from them and what is refused. Values are compared with Spark's in
//! `plan/tests/spark`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, MapArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::expr::{compile, compile_predicate};
use crate::types::{Column, DataType};

fn schema() -> SchemaRef {
    let fields = [
        ("m", "map<string, int>"),
        ("s", "struct<m: map<string, int>>"),
        ("many", "array<map<string, int>>"),
        ("n", "map<bigint, map<string, double>>"),
        ("k", "string"),
    ];
    let field = |(name, data_type): (&str, &str)| {
        Column { name: name.into(), data_type: DataType::parse(data_type).unwrap(), nullable: true }.to_field()
    };
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

/// Two maps behind one that the offsets leave out, and a null that has entries below it.
fn rows() -> RecordBatch {
    let schema = schema();
    let ArrowType::Map(entries, _) = schema.field(0).data_type() else { panic!() };
    let ArrowType::Struct(fields) = entries.data_type() else { panic!() };
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b", "a", "a", "b"]));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(0), Some(1), None, Some(3), Some(4), Some(5)]));
    let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
    let nulls = NullBuffer::from(vec![true, false, true]);
    let offsets = OffsetBuffer::new(vec![1, 3, 4, 6].into());
    let maps: ArrayRef = Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, Some(nulls), false));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), Some("a"), None]));
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "m" => Arc::clone(&maps),
        "k" => Arc::clone(&names),
        _ => arrow::array::new_null_array(field.data_type(), 3),
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn eval(sql: &str) -> String {
    let expr = compile(sql, &schema(), "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
    let array = expr.evaluate(&rows()).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    let values: Vec<_> = (0..array.len()).map(|row| formatter.value(row).to_string()).collect();
    format!("{}: {}", DataType::from_arrow(array.data_type()).unwrap(), values.join(" | "))
}

fn refused(sql: &str) -> String {
    compile(sql, &schema(), "out").map(|e| panic!("{sql} gives a {}", e.field)).unwrap_err().to_string()
}

#[test]
fn a_key_picks_its_value_whatever_stands_around_the_maps() {
    for sql in ["m['a']", "m.a", "element_at(m, 'a')", "try_element_at(m, 'a')", "get_field(m, 'a')"] {
        assert_eq!(eval(sql), "int: 1 | null | 4", "{sql}");
    }
    assert_eq!(eval("m[k]"), "int: null | null | null");
    assert_eq!(eval("m['c']"), "int: null | null | null");
    assert_eq!(eval("map_contains_key(m, 'b')"), "boolean: true | null | true");
    assert_eq!(eval("map_keys(m)"), "array<string>: [a, b] | null | [a, b]");
    assert_eq!(eval("map_values(m)"), "array<int>: [1, null] | null | [4, 5]");
    assert_eq!(eval("size(m)"), "int: 2 | null | 2");
    assert_eq!(eval("cast(m as string)"), "string: {a -> 1, b -> null} | null | {a -> 4, b -> 5}");
    assert_eq!(eval("to_json(m)"), r#"string: {"a":1,"b":null} | null | {"a":4,"b":5}"#);
    assert_eq!(eval("map_concat(m, map('z', 0))['z']"), "bigint: 0 | null | 0");
    assert_eq!(eval("cast(m as map<string, double>)['b']"), "double: null | null | 5.0");
    assert_eq!(eval("s.m['a']"), "int: null | null | null");
    assert_eq!(eval("s.m.a"), "int: null | null | null");
    assert_eq!(eval("many[0]['a']"), "int: null | null | null");
    assert_eq!(eval("n[1]['a']"), "double: null | null | null");
    assert_eq!(eval("map_from_entries(map_entries(m))"), eval("m"));
}

#[test]
fn maps_are_not_compared() {
    let can_not = |by: &str, what: &str| {
        format!(
            "`{by}` can't compare {what}: a map has no order and no equality, so compare one of its values, as in \
             `m['a']`"
        )
    };
    let a_map = "a map<string, int> (`m`)";
    for (sql, by) in [
        ("m = m", "="),
        ("m <> map('a', 1)", "!="),
        ("m < m", "<"),
        ("m >= m", ">="),
        ("m is distinct from m", "is distinct from"),
        ("m in (m)", "in"),
        ("m between m and m", "between"),
        ("nullif(m, m)", "nullif"),
        ("greatest(m, m)", "greatest"),
        ("least(m, m)", "least"),
        ("case m when m then 1 end", "case"),
    ] {
        assert_eq!(refused(sql), can_not(by, a_map), "{sql}");
    }
    assert_eq!(refused("s = s"), can_not("=", "a struct<m: map<string, int>> (`s`)"));
    assert_eq!(refused("many = many"), can_not("=", "an array<map<string, int>> (`many`)"));
    let condition = compile_predicate("m = m", &schema()).unwrap_err().to_string();
    assert_eq!(condition, can_not("=", a_map));
    let compared = "maps are not compared, and found a map<string, int>";
    for function in ["array_distinct(many)", "sort_array(many)", "array_max(many)", "array_union(many, many)"] {
        let name = function.split('(').next().unwrap();
        assert_eq!(refused(function), format!("`{name}`: {compared}"), "{function}");
    }
    assert_eq!(refused("array_contains(many, m)"), format!("`array_contains`: {compared}"));
    assert_eq!(refused("hash(m)"), "`hash` does not take a map<string, int> (`m`)");
}

#[test]
fn what_is_no_map_and_no_key_is_said() {
    for (sql, said) in [
        ("m[1]", "the keys of the map are of another type: found a bigint, and each key is a string"),
        ("n['a']", "the keys of the map are of another type: found a string, and each key is a bigint"),
        (
            "map_contains_key(m, 1)",
            "`map_contains_key`: the keys of the map are of another type: found a bigint, and \
                                    each key is a string",
        ),
        ("map_keys(k)", "`map_keys`: a map stands first, and found a string"),
        ("map('a')", "`map` takes keys with their values, as in `map('a', 1, 'b', 2)`"),
        ("map()", "`map` takes something, and found nothing"),
        ("map('a', 1, 2, 3)", "`map` takes keys of one type and values of one type: cast them"),
        ("map('a', 1, 'b', 'c')", "`map` takes keys of one type and values of one type: cast them"),
        ("map('a', null)", "`map` takes keys of one type and values of one type: cast them"),
        ("map(m, 1)", "maps are no keys, and found a map<string, int>"),
        ("map('a', 1, 'a', 2)", "the map has the key `a` twice, and each key is there once"),
        ("map(cast(null as string), 1)", "a key of the map is null, and a key has a value"),
        ("map_concat(m, n)", "`map_concat` takes maps of one type: cast their keys and values"),
        ("map_concat(m, k)", "`map_concat` takes maps of one type: cast their keys and values"),
        ("map_from_arrays(array('a'), array(1, 2))", "there are 1 keys and 2 values, and each key has one value"),
        ("map {'a': 1}", "`MAP {'a': 1}` is a map: write it by `map`, as in `map('a', 1, 'b', 2)`"),
        (
            "from_json(k, 'map<int, int>')",
            "the names in a JSON object are strings, and map<int, int> has the keys int: \
                                           write map<string, …>",
        ),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
    assert!(refused("cast(k as map<string, smallint>)").starts_with("`SMALLINT` is not a type here"));
    assert!(refused("cast(k as map<string, int>)").contains("can't be cast to a map<string, int>"));
    assert!(refused("upper(m)").contains("found a map<string, int> (`m`)"));
}
