//! Functions give what Spark 4's give. The values are those of the examples in Spark's documentation of each function
//! (SQL reference, built-in functions), and for what the examples leave out those that its source computes; the class
//! is named there.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::{check, refused};
use crate::expr::compile;
use crate::types::{Column, DataType};

/// The result of each expression without columns.
fn check_constants(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let (data_type, value) = expected.split_once(": ").unwrap();
        check(&[(*sql, &format!("{data_type}: {value} | {value} | {value}"))]);
    }
}

/// `Coalesce`, `Nvl`, `IfNull` and `Nvl2` have one rule for types. A whole literal is a bigint here.
#[test]
fn nvl_gives_what_coalesce_gives() {
    for (args, result) in [
        ("amount, 0", "decimal(22,2): 19.99 | -0.05 | 0.00"),
        ("amount, amount", "decimal(10,2): 19.99 | -0.05 | null"),
        ("amount, 1.5", "decimal(10,2): 19.99 | -0.05 | 1.50"),
        ("9007199254740993, 0.5", "decimal(21,1): 9007199254740993.0 | 9007199254740993.0 | 9007199254740993.0"),
        ("price, amount", "double: 10.0 | -0.5 | null"),
        ("seats, userId", "bigint: 3 | 0 | 9223372036854775807"),
        ("day, ts", "timestamp: 2024-01-01T00:00:00Z | 1970-01-01T00:00:00Z | null"),
        ("paid, false", "boolean: true | false | false"),
        ("city, 'none'", "string: Paris | Lyon | none"),
        ("tags, tags", "array<bigint>: [1, 2] | [] | null"),
        ("null, 3", "bigint: 3 | 3 | 3"),
    ] {
        for function in ["coalesce", "nvl", "ifnull"] {
            check(&[(&format!("{function}({args})"), result)]);
        }
    }
    check(&[
        ("nvl2(city, 1, 0)", "bigint: 1 | 1 | 0"),
        ("nvl2(paid, 1, 0)", "bigint: 1 | 1 | 0"),
        ("nvl2(city, amount, 0)", "decimal(22,2): 19.99 | -0.05 | 0.00"),
        ("nvl2(null, 2, 1)", "bigint: 1 | 1 | 1"),
    ]);
    for function in ["coalesce", "nvl", "ifnull"] {
        for args in ["seats, 'none'", "city, 1", "day, 1", "tags, city", "tags, s", "paid, 1"] {
            let said = refused(&format!("{function}({args})"));
            assert!(said.ends_with(": cast them to one type"), "{said}");
        }
    }
}

/// `Concat` is null if one of its children is.
#[test]
fn concat_with_a_null_is_null() {
    check_constants(&[
        ("concat('Spark', 'SQL')", "string: SparkSQL"),
        ("concat('a', null)", "string: null"),
        ("concat(null, null)", "string: null"),
        ("concat('a', 5)", "string: a5"),
        ("concat_ws(' ', 'Spark', 'SQL')", "string: Spark SQL"),
        ("concat_ws('/', 'foo', null, 'bar')", "string: foo/bar"),
    ]);
    check(&[
        ("concat(city, '!')", "string: Paris! | Lyon! | null"),
        ("concat('a', city, seats)", "string: aParis3 | aLyon0 | null"),
        ("concat(city)", "string: Paris | Lyon | null"),
        ("length(concat(city, coalesce(city, '')))", "int: 10 | 8 | null"),
        ("concat('a', s.inner.b, 'b')", "string: axb | null | null"),
    ]);
}

/// `UTF8String.substringSQL`: a negative start counts from the end, and what stands before the first character counts
/// for the length. `Left` is `Substring(str, 1, len)`, `Right` is empty unless the length is positive.
#[test]
fn parts_of_a_text_are_counted_as_in_spark() {
    check_constants(&[
        ("substr('Spark SQL', 5)", "string: k SQL"),
        ("substr('Spark SQL', -3)", "string: SQL"),
        ("substr('Spark SQL', 5, 1)", "string: k"),
        ("substring('Spark SQL' from 5)", "string: k SQL"),
        ("substring('Spark SQL' from -3)", "string: SQL"),
        ("substring('Spark SQL' from 5 for 1)", "string: k"),
        ("substring('Spark SQL', -3, 2)", "string: SQ"),
        ("substring('Spark SQL' from -3 for 2)", "string: SQ"),
        ("substr('Paris-Nord', -4)", "string: Nord"),
        ("substr('Paris-Nord', 0, 3)", "string: Par"),
        ("substring('Paris-Nord' from 0 for 3)", "string: Par"),
        ("substr('Paris-Nord', 0)", "string: Paris-Nord"),
        ("substr('abc', -5)", "string: abc"),
        ("substr('abc', -5, 3)", "string: a"),
        ("substr('abc', -5, 2)", "string: "),
        ("substr('abc', 4)", "string: "),
        ("substr('abc', 2, 0)", "string: "),
        ("substr('abc', 2, -1)", "string: "),
        ("substr('abc', 2, 100)", "string: bc"),
        ("substr('abc', -9223372036854775808)", "string: abc"),
        ("substr('abc', 9223372036854775807, 9223372036854775807)", "string: "),
        ("substr('abc', -9223372036854775808, 9223372036854775807)", "string: ab"),
        ("substr('äöü', 2, 1)", "string: ö"),
        ("substr('äöü', -2, 1)", "string: ö"),
        ("substr('a😀b', -2)", "string: 😀b"),
        ("substr('abc', null)", "string: null"),
        ("substr('abc', 1, null)", "string: null"),
        ("left('Spark SQL', 3)", "string: Spa"),
        ("left('abc', 0)", "string: "),
        ("left('abc', -2)", "string: "),
        ("left('abc', 9223372036854775807)", "string: abc"),
        ("left('äöü', 2)", "string: äö"),
        ("right('Spark SQL', 3)", "string: SQL"),
        ("right('abc', 0)", "string: "),
        ("right('abc', -2)", "string: "),
        ("right('abc', 5)", "string: abc"),
        ("right('abc', 9223372036854775807)", "string: abc"),
        ("right('abc', -9223372036854775808)", "string: "),
        ("right('äöü', 2)", "string: öü"),
        ("left(12345, 2)", "string: 12"),
    ]);
    check(&[
        ("substr(city, -seats, 2)", "string: ri | Ly | null"),
        ("left(city, seats)", "string: Par |  | null"),
        ("right(city, seats)", "string: ris |  | null"),
    ]);
}

/// `Logarithm`, `Log`, `Log10` and `Log2` are null where a number is not above zero.
#[test]
fn log_is_the_natural_logarithm() {
    check_constants(&[
        ("log(10, 100)", "double: 2.0"),
        ("log(100)", "double: 4.605170185988092"),
        ("log(cast(100 as decimal(5,2)))", "double: 4.605170185988092"),
        ("ln(1)", "double: 0.0"),
        ("log(1)", "double: 0.0"),
        ("log10(10)", "double: 1.0"),
        ("log2(2)", "double: 1.0"),
        ("log(0)", "double: null"),
        ("log(-1)", "double: null"),
        ("log(0, 2)", "double: null"),
        ("log(2, 0)", "double: null"),
        ("log(-2, 2)", "double: null"),
        ("log(0.5, 2)", "double: -1.0"),
        ("log(null)", "double: null"),
        ("ln(0)", "double: null"),
        ("ln(-0.5)", "double: null"),
        ("log10(0)", "double: null"),
        ("log2(-1)", "double: null"),
        ("log(cast('NaN' as double))", "double: NaN"),
        ("ln(cast('NaN' as double))", "double: NaN"),
        ("log(cast('Infinity' as double))", "double: inf"),
    ]);
    check(&[
        ("log(price)", "double: 2.302585092994046 | null | null"),
        ("ln(price)", "double: 2.302585092994046 | null | null"),
        ("log10(price)", "double: 1.0 | null | null"),
        ("log(price, 10)", "double: 1.0 | null | null"),
    ]);
}

/// `CollationAwareUTF8String.toTitleCaseICU`: a word begins behind a space, and behind nothing else.
#[test]
fn initcap_begins_words_behind_spaces() {
    check_constants(&[
        ("initcap('sPark sql')", "string: Spark Sql"),
        ("initcap('hello wORLD-foo')", "string: Hello World-foo"),
        ("initcap('o''neil a.b')", "string: O'neil A.b"),
        ("initcap('  two  spaces ')", "string:   Two  Spaces "),
        ("initcap('a\tb')", "string: A\tb"),
        ("initcap('éCOLE ßa ΟΔΟΣ')", "string: École Ssa Οδος"),
        ("initcap('')", "string: "),
        ("initcap(null)", "string: null"),
    ]);
    check(&[("initcap(upper(city))", "string: Paris | Lyon | null")]);
}

/// `RegExpReplace` calls `Matcher.appendReplacement` for each match.
#[test]
fn regexp_replace_replaces_all_matches() {
    check_constants(&[
        ("regexp_replace('100-200', '(\\d+)', 'num')", "string: num-num"),
        ("regexp_replace('Paris-Nord', '[a-z]', '')", "string: P-N"),
        ("regexp_replace('Paris', '[A-Z]', 'x')", "string: xaris"),
        ("regexp_replace('Paris', '[A-Z]', 'x', 'i')", "string: xxxxx"),
        ("regexp_replace('aa', 'a', 'b', 'g')", "string: bb"),
        ("regexp_replace('aa', '^a', 'b')", "string: ba"),
        ("regexp_replace('abc', '', '-')", "string: -a-b-c-"),
        ("regexp_replace('xab', 'x*', '-')", "string: --a-b-"),
        ("regexp_replace('äö', 'x*', '-')", "string: -ä-ö-"),
        ("regexp_replace('ab12', '([a-z]+)([0-9]+)', '$2$1')", "string: 12ab"),
        ("regexp_replace('ab12', '([a-z]+)([0-9]+)', '$2x')", "string: 12x"),
        ("regexp_replace('ab12', '(?<w>[a-z]+)', '<${w}>')", "string: <ab>12"),
        ("regexp_replace('ab', '(a)', '$12')", "string: a2b"),
        ("regexp_replace('ab', '(a)', '\\$1')", "string: $1b"),
        ("regexp_replace('ab', '(a)', 'x\\\\y')", "string: x\\yb"),
        ("regexp_replace('ab', 'a', '$0$0')", "string: aab"),
        ("regexp_replace('ab', 'a|(c)', '[$1]')", "string: []b"),
        // Not as in Spark, where a backslash before a digit gives the digit, and a lone `$` is an error.
        ("regexp_replace('ab', '(a)', '\\1\\1')", "string: aab"),
        ("regexp_replace('ab', '(a)', '\\\\1')", "string: ab"),
        ("regexp_replace('5 EUR', 'EUR', '$')", "string: 5 $"),
        ("regexp_replace('ab', 'a', null)", "string: null"),
        ("regexp_replace(null, 'a', 'b')", "string: null"),
        ("regexp_replace('12345', '3', 'x')", "string: 12x45"),
    ]);
    check(&[
        ("regexp_replace(city, '[aeiou]', '')", "string: Prs | Lyn | null"),
        ("regexp_replace(city, left(city, 1), 'x')", "string: xaris | xyon | null"),
        ("regexp_replace(city, 'i', city)", "string: ParPariss | Lyon | null"),
    ]);
    for (sql, said) in [
        ("regexp_replace(city, '(a)', '$2')", "the replacement names group 2, and the pattern has 1"),
        ("regexp_replace(city, 'a', '\\9')", "the replacement names group 9, and the pattern has 0"),
        ("regexp_replace(city, 'a', '${b}')", "the replacement names the group `b`, which the pattern does not have"),
        ("regexp_replace(city, 'a', '${b')", "the replacement has a `${` without a `}`: write `\\$` for the sign"),
        (
            "regexp_replace(city, 'a', '$b')",
            "`$b` is no group in a replacement: write `${…}` for a group with a name, and `\\$` for the sign",
        ),
        ("regexp_replace(city, 'a', 'b\\')", "the replacement ends with a backslash: write two for the sign itself"),
        ("regexp_replace(city, '(', 'b')", "the regular expression has a fault: unclosed group"),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
}

/// `RegExpExtract` gives an empty text without a match, and for a group that is not part of it.
#[test]
fn regexp_extract_gives_a_group_of_the_first_match() {
    check_constants(&[
        ("regexp_extract('100-200', '(\\d+)-(\\d+)', 1)", "string: 100"),
        ("regexp_extract('100-200', '(\\d+)-(\\d+)', 2)", "string: 200"),
        ("regexp_extract('100-200', '(\\d+)-(\\d+)', 0)", "string: 100-200"),
        ("regexp_extract('100-200', '(\\d+)-(\\d+)')", "string: 100"),
        ("regexp_extract('ab12cd', '([0-9]+)', 1)", "string: 12"),
        ("regexp_extract('abcd', '([0-9]+)', 1)", "string: "),
        ("regexp_extract('b', '(a)?b', 1)", "string: "),
        ("regexp_extract('ab', null, 1)", "string: null"),
        ("regexp_extract(null, 'a', 0)", "string: null"),
        ("regexp_extract('ab', '(a)', null)", "string: null"),
    ]);
    check(&[
        ("regexp_extract(city, '([aeiou])')", "string: a | o | null"),
        ("regexp_extract(city, left(city, 2), 0)", "string: Pa | Ly | null"),
        ("regexp_extract(city, '(.)(.)(.)', nullif(seats, 0))", "string: r | null | null"),
    ]);
    for (sql, group) in [("regexp_extract(city, 'a')", 1), ("regexp_extract(city, 'a', -1)", -1)] {
        assert_eq!(
            refused(sql),
            format!(
                "regexp_extract takes a group of the pattern, which has 0, and found {group}: write 0 for the whole \
                 match"
            )
        );
    }
    assert_eq!(refused("regexp_extract(city, '(')"), "the regular expression has a fault: unclosed group");
}

/// `Encode` and `Decode` take the name of UTF-8 in any case. Spark knows six more.
#[test]
fn utf8_is_an_encoding() {
    check_constants(&[
        ("decode(encode('abc', 'utf-8'), 'utf-8')", "string: abc"),
        ("encode('é', 'UTF-8')", "binary: c3a9"),
        ("decode(X'c3a9', 'Utf-8')", "string: é"),
        ("decode('ff', 'hex')", "binary: ff"),
    ]);
    check(&[("decode(encode(city, 'utf-8'), 'UTF-8')", "string: Paris | Lyon | null")]);
    for function in ["encode(city, 'utf-16')", "decode(city, 'utf-16')"] {
        assert_eq!(
            refused(function),
            "there is no encoding `utf-16`: there are `utf-8` for texts, and `hex`, `base64` and `base64pad`"
        );
    }
    assert!(refused("decode(X'ff', 'utf-8')").contains("the bytes are not UTF-8"));
}

/// `CreateStruct` names a field as its column, or by its place.
#[test]
fn fields_of_a_struct_are_named_as_its_columns() {
    check(&[
        (
            "struct(city, seats)",
            "struct<city: string, seats: int>: {city: Paris, seats: 3} | {city: Lyon, seats: 0} | \
            {city: null, seats: null}",
        ),
        (
            "struct(1, 'a')",
            "struct<col1: bigint, col2: string>: {col1: 1, col2: a} | {col1: 1, col2: a} | \
            {col1: 1, col2: a}",
        ),
        (
            "struct((city), s.a, s['a'], upper(city), seats as n)",
            "struct<city: string, a: int, a: int, col4: string, \
            n: int>: {city: Paris, a: 7, a: 7, col4: PARIS, n: 3} | {city: Lyon, a: null, a: null, col4: LYON, n: 0} | \
            {city: null, a: null, a: null, col4: null, n: null}",
        ),
    ]);
}

/// Spark refuses most of these, and joins the items of an array where it takes one.
#[test]
fn arrays_and_structs_become_no_texts_and_no_other_arrays_unasked() {
    for column in ["tags", "s"] {
        for call in [
            "upper($)",
            "length($)",
            "reverse($)",
            "lpad($, 3)",
            "rpad($, 3, 'x')",
            "left($, 3)",
            "right($, 3)",
            "substr($, 1)",
            "translate($, 'a', 'b')",
            "replace($, 'a', 'b')",
            "regexp_replace($, 'a', 'b')",
            "regexp_like($, 'a')",
            "regexp_count($, 'a')",
            "substring_index($, ',', 1)",
            "find_in_set('a', $)",
            "concat($, 'a')",
            "concat($, $)",
            "concat(city, $)",
            "concat_ws(',', $)",
            "concat_ws(',', city, $)",
            "split_part($, ',', 1)",
            "strpos($, 'a')",
            "contains($, 'a')",
            "starts_with($, 'a')",
            "trim($)",
            "initcap($)",
            "repeat($, 2)",
            "ascii($)",
            "encode($, 'hex')",
            "levenshtein($, $)",
            "octet_length($)",
            "overlay($ placing 'a' from 1)",
            "to_timestamp($)",
            "to_date($)",
            "$ || 'a'",
            "$ || $",
            "$ like 'a'",
            "$ ~ 'a'",
            "$ = city",
            "$ in (city, 'a')",
            "$ between 'a' and 'b'",
            "coalesce($, city)",
            "coalesce(city, $)",
            "coalesce($, '1')",
            "nvl($, 'a')",
            "nullif($, 'a')",
            "greatest($, 'a')",
            "case when paid then $ else city end",
            "case when paid then $ else '1' end",
            "case $ when 'a' then 1 end",
        ] {
            let sql = call.replace('$', column);
            let said = refused(&sql);
            let is_told = ["found", "does not take"].iter().any(|word| said.contains(word))
                || said.contains("can't compare")
                || said.contains("`case` has");
            assert!(is_told && said.contains(&format!("(`{column}`)")), "{sql}: {said}");
        }
    }
    // Arrays of unlike items, and of items of one kind.
    let column = |name: &str, data_type: &str| {
        Column { name: name.into(), data_type: DataType::parse(data_type).unwrap(), nullable: true }.to_field()
    };
    let columns = [
        column("texts", "array<string>"),
        column("ints", "array<int>"),
        column("bigs", "array<bigint>"),
        column("a", "struct<x: int, y: string>"),
        column("b", "struct<x: bigint, y: string>"),
        column("c", "struct<x: string, y: string>"),
        column("yes", "boolean"),
    ];
    let arrays: SchemaRef = Arc::new(Schema::new(columns.to_vec()));
    for (one, other) in [("texts", "ints"), ("ints", "texts"), ("a", "c"), ("c", "b"), ("texts", "a")] {
        for call in [
            "coalesce($, €)",
            "nvl($, €)",
            "nvl2(yes, $, €)",
            "greatest($, €)",
            "nullif($, €)",
            "case when yes then $ else € end",
            "$ = €",
            "$ in (€)",
            "concat($, €)",
        ] {
            let sql = call.replace('$', one).replace('€', other);
            let said = compile(&sql, &arrays, "out").expect_err(&sql).to_string();
            assert!(said.contains(&format!("(`{one}`)")) && !said.contains("List("), "{sql}: {said}");
            let name = call.split('(').next().filter(|name| name.len() < call.len());
            assert!(
                name.is_none_or(|name| name.contains(' ') || said.starts_with(&format!("`{name}`"))),
                "{sql}: {said}"
            );
        }
    }
    let none = RecordBatch::new_empty(Arc::clone(&arrays));
    for sql in
        ["coalesce(ints, bigs)", "coalesce(texts, texts)", "coalesce(a, b)", "case when yes then ints else bigs end"]
    {
        compile(sql, &arrays, "out").unwrap().evaluate(&none).unwrap();
    }
    // A cast is asked for.
    check(&[("upper(cast(tags as string))", "string: [1, 2] | [] | null")]);
    assert_eq!(
        refused("length(tags)"),
        "`character_length` takes (string) or (binary), and found an array<bigint> (`tags`)"
    );
}
