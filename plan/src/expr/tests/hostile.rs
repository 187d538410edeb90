//! Texts that no author should write: each is compiled or refused with a sentence, and none ends the process.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use super::schema;
use crate::expr::context::CONTEXT;
use crate::expr::parse::SQL_BYTES_MAX;
use crate::expr::{check_syntax, compile};

/// The words of the two messages for a caught panic: while planning and while evaluating.
const PANICKED: [&str; 2] = ["the planner could not read this", "failed without a reason that it knows of"];

fn assert_is_judged(sql: &str) {
    if let Err(refused) = compile(sql, &schema(), "out") {
        let refused = refused.to_string();
        let head: String = sql.chars().take(80).collect();
        assert!(PANICKED.iter().all(|p| !refused.contains(p)), "{head}: {refused}");
        assert!(refused.len() <= 4_000, "{head}: {} bytes of a message", refused.len());
    }
}

#[test]
fn deep_texts_are_judged() {
    for (open, inner, close) in [
        ("(", "seats", ")"),
        ("-", "seats", ""),
        ("- ", "seats", ""),
        ("not ", "paid", ""),
        ("upper(", "city", ")"),
        ("cast(", "seats", " as int)"),
        ("case when paid then ", "1", " end"),
        ("case ", "1", " when 1 then 1 end"),
        ("interval ", "'1 day'", ""),
        ("s[", "'a'", "]"),
        ("struct(", "1", ")"),
        ("seats in (", "1", ")"),
        ("exists (select ", "1", ")"),
        ("extract(year from ", "ts", ")"),
        ("trim(", "city", ")"),
        ("substring(", "city", " from 1)"),
        ("position('a' in ", "city", ")"),
        ("ts at time zone ", "'a'", ""),
        ("array<", "int", ">"),
        ("cast(city as array<", "int", ">)"),
        ("{'a': ", "1", "}"),
        ("[", "1", "]"),
        ("x -> ", "1", ""),
        ("seats between ", "1", " and 2"),
        ("coalesce(seats, ", "1", ")"),
        ("1 + (", "1", ")"),
        ("paid and (", "paid", ")"),
    ] {
        for depth in [30, 49, 60, 127, 200, 1_000, 5_000] {
            // A correct text, one without its end, and one with an error in the middle, at which the parser goes back
            // and tries again.
            let closed = close.repeat(depth);
            for end in [&*closed, "", " ) ( ]"] {
                let text = open.repeat(depth) + inner + end;
                if text.len() <= SQL_BYTES_MAX {
                    assert_is_judged(&text);
                }
            }
        }
    }
}

/// Each of these would double the time per level, or contains its operand twice.
#[test]
fn choices_in_choices_are_judged_at_once() {
    for (open, inner, close) in [
        ("case when seats > 1 then 1 else ", "userId", " end"),
        ("case when seats > 1 then ", "userId", " else seats end"),
        ("case when ", "paid", " then seats > 1 else paid end"),
        ("case ", "userId", " when 1 then seats else userId end"),
        ("coalesce(seats, ", "userId", ")"),
        ("coalesce(", "seats", ", userId)"),
        ("nvl(", "seats", ", userId)"),
        ("ifnull(", "seats", ", userId)"),
        ("nvl2(", "seats", ", userId, seats)"),
        ("nullif(", "price", ", 1.5)"),
        ("((", "paid", ") between paid and true)"),
    ] {
        let text = |depth: usize| open.repeat(depth) + inner + &close.repeat(depth);
        compile(&text(6), &schema(), "out").unwrap_or_else(|e| panic!("{open}: {e}"));
        let refused = compile(&text(20), &schema(), "out").unwrap_err().to_string();
        assert!(
            refused.contains("more than 10 deep in each other: write one `case` with several `when`"),
            "{open}: {refused}"
        );
    }
    // Any number of choices may stand beside each other.
    let beside = vec!["coalesce(seats, case when paid then 1 else userId end)"; 100].join(", ");
    compile(&format!("greatest({beside})"), &schema(), "out").unwrap();
}

/// Runs on a stack of a thread's usual size. Each of these makes the parser, or the code that shows and frees its
/// result, recurse once per level.
#[test]
fn types_in_types_of_any_depth_are_judged() {
    let judge = || {
        for (before, open, inner, close, after) in [
            ("cast(seats as ", "array<", "int", ">", ")"),
            ("try_cast(seats as ", "array<", "int", ">", ")"),
            ("seats::", "array<", "int", ">", ""),
            ("", "array<", "int", ">", " 'a'"),
            ("struct<a ", "array<", "int", ">", ">(seats)"),
            ("cast(seats as ", "struct<a ", "int", ">", ")"),
            ("cast(seats as ", "struct<a: array<", "int", ">>", ")"),
            ("cast(seats as ", "nullable(", "int", ")", ")"),
            ("cast(seats as ", "lowcardinality(", "int", ")", ")"),
            ("cast(seats as ", "map(int, ", "int", ")", ")"),
            ("cast(seats as ", "map<int, ", "int", ">", ")"),
            ("cast(seats as ", "tuple(a ", "int", ")", ")"),
            ("cast(seats as ", "nested(a ", "int", ")", ")"),
            ("cast(seats as ", "table(a ", "int", ")", ")"),
            ("cast(seats as int", "[]", "", "", ")"),
            ("cast(seats as int", "[3]", "", "", ")"),
            ("seats::int", "[ 3 ]", "", "", ""),
        ] {
            let most = (SQL_BYTES_MAX - before.len() - inner.len() - after.len()) / (open.len() + close.len());
            for depth in [1, 16, 17, 30, 200, most] {
                let open = open.repeat(depth);
                for end in [close.repeat(depth) + after, String::new()] {
                    assert_is_judged(&format!("{before}{open}{inner}{end}"));
                }
            }
            assert_is_judged(&(before.to_owned() + &open.repeat((SQL_BYTES_MAX - before.len()) / open.len())));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(judge).unwrap().join().unwrap();
}

#[test]
fn long_texts_are_judged() {
    let joined = |what: &str, with: &str| vec![what; SQL_BYTES_MAX / (what.len() + with.len())].join(with);
    for text in [
        joined("seats", " + "),
        joined("city", " || "),
        joined("paid", " and "),
        joined("s", "."),
        joined("s['a']", ""),
        joined("[1]", ""),
        joined("(", ""),
        joined("'", ""),
        joined("\"", ""),
        joined("a", " "),
        joined("1", ""),
        joined("1.", ""),
        joined(".", ""),
        joined("-", " "),
        joined("::int", ""),
        format!("seats{}", "::int".repeat(3_000)),
        format!("seats in ({})", joined("1", ",").split_at(16_000).0.trim_end_matches(',')),
        format!("coalesce({})", joined("1", ",").split_at(16_000).0.trim_end_matches(',')),
        format!("concat({})", joined("city", ",").split_at(15_999).0.trim_end_matches(',')),
        format!("case {} end", joined("when paid then 1", " ").split_at(15_300).0),
        format!("regexp_like(city, '{}')", "(a+)+".repeat(3_000)),
        format!("regexp_like(city, '{}')", "a{1000}".repeat(20)),
        format!("city like '{}'", "%_".repeat(8_000)),
        format!("date_format(ts, '{}')", "yyyy".repeat(4_000)),
        format!("to_timestamp(city, '{}')", "%".repeat(16_000)),
        format!("cast('{}' as bigint)", "9".repeat(16_000)),
        format!("cast('{}' as double)", "9".repeat(16_000)),
        format!("cast('{}' as decimal(38,2))", "9".repeat(16_000)),
        format!("1e{}", "9".repeat(10_000)),
        format!("0.{}1", "0".repeat(10_000)),
        format!("interval '{} days'", "9".repeat(10_000)),
        format!("x'{}'", "ff".repeat(8_000)),
    ] {
        assert_is_judged(&text[..text.len().min(SQL_BYTES_MAX)]);
    }
}

#[test]
fn texts_of_megabytes_are_refused_by_their_length() {
    for text in [
        "(".repeat(100_000) + "seats" + &")".repeat(100_000),
        vec!["paid"; 100_000].join(" and "),
        "case when paid then ".repeat(100_000),
        format!("'{}'", "x".repeat(10_000_000)),
        "9".repeat(1_000_000),
        format!("1e{}", "9".repeat(1_000_000)),
    ] {
        for refused in [compile(&text, &schema(), "out").err(), check_syntax(&text).err()] {
            let refused = refused.unwrap().to_string();
            assert!(refused.contains(&format!("at most {SQL_BYTES_MAX}")) && refused.len() < 1_000, "{refused:.1000}");
        }
    }
    for number in ["1e999999", "-1e999999", "cast('1e999999' as double)", "cast('1e999999' as decimal(38,0))"] {
        assert_is_judged(number);
    }
}

#[test]
fn odd_texts_are_judged() {
    for text in [
        "\0",
        "é",
        "🚲",
        "\u{feff}seats",
        "seats\u{200b}",
        "‘city’",
        "city = ‘a’",
        "\u{202e}seats",
        "''",
        "'\0'",
        "'é' || '🚲'",
        "\"\"",
        "``",
        "--",
        "/*",
        "/* */",
        "seats --",
        "seats /* /* */",
        "seats;",
        ";",
        ")",
        "]",
        "}",
        "{",
        "[",
        ",",
        "*",
        "?",
        "?1",
        "$",
        "$1",
        ":a",
        "@",
        "#",
        "%",
        "&",
        "|",
        "~",
        "^",
        "!",
        "\\",
        "'\\",
        "1a",
        "1.1.1",
        "1..2",
        "0x",
        "0xzz",
        "1e",
        "1e+",
        "1e999",
        "-1e999",
        "1e-999",
        "9223372036854775808",
        "-9223372036854775809",
        "340282366920938463463374607431768211456",
        "99999999999999999999999999999999999999999999999999999999999999999999999999999999999999",
        "interval '9223372036854775807 days'",
        "interval '99999999999999 months' + ts",
        "ts + interval '2147483647 months'",
        "ts + interval '300000 years'",
        "day + interval '300000 years'",
        "day - interval '2147483647 days'",
        "make_date(2147483647, 1, 1)",
        "make_date(0, 0, 0)",
        "make_date(262143, 12, 31)",
        "timestamp '99999-01-01'",
        "date '262143-12-31'",
        "date '-262144-01-01'",
        "cast('+262142-12-31' as date)",
        "date_trunc('week', timestamp '0001-01-01')",
        "chr(0)",
        "chr(-1)",
        "chr(1114112)",
        "chr(55296)",
        "chr(9223372036854775807)",
        "power(10, 400)",
        "power(-1, 0.5)",
        "factorial(100)",
        "factorial(-1)",
        "gcd(-9223372036854775808, 0)",
        "gcd(-9223372036854775808, -9223372036854775808)",
        "lcm(-9223372036854775808, 2)",
        "lcm(9223372036854775807, 9223372036854775806)",
        "round(1.5, 9223372036854775807)",
        "round(1.5, -2147483648)",
        "round(price, 2147483647)",
        "round(amount, -100)",
        "round(amount, 100)",
        "trunc(price, 9223372036854775807)",
        "trunc(price, -9223372036854775808)",
        "log(0, 0)",
        "log(1, 2)",
        "log(-1)",
        "substr(city, -9223372036854775808)",
        "substr(city, 9223372036854775807, 9223372036854775807)",
        "substr(city, 1, -1)",
        "left(city, -9223372036854775808)",
        "right(city, -9223372036854775808)",
        "left(city, 9223372036854775807)",
        "split_part(city, '', 1)",
        "split_part(city, '-', -9223372036854775808)",
        "split_part(city, '-', 0)",
        "overlay(city placing 'x' from 9223372036854775807 for 9223372036854775807)",
        "overlay(city placing 'x' from -9223372036854775808)",
        "regexp_like(city, '(')",
        "regexp_replace(city, '', 'x', 'g')",
        "regexp_replace(city, '(a)', '\\99')",
        "regexp_count(city, '', 9223372036854775807)",
        "regexp_instr(city, 'a', -1)",
        "strpos(city, '')",
        "translate(city, '', '')",
        "substr_index(city, '', -9223372036854775808)",
        "levenshtein(city, repeat('x', 100000))",
        "to_char(ts, '%Y')",
        "to_char(ts, 'SSSSSSSSSSSSSSSSSSSS')",
        "date_bin(interval '0 seconds', ts)",
        "date_bin(interval '-1 days', ts)",
        "date_bin(interval '1 nanosecond', ts)",
        "date_bin(interval '1 month 1 day', ts)",
        "seats << 100",
        "seats >> -1",
        "userId << 64",
        "1 << 9223372036854775807",
        "named_struct()",
        "struct()",
        "get_field(s, 'nope')",
        "arrow_cast(seats, 'Nope')",
        "arrow_cast(seats, 'Decimal128(99, 99)')",
        "cast(1 as decimal(38,38))",
        "cast(seats as decimal(0,0))",
        "cast(seats as decimal(5,-2))",
        "cast(seats as decimal(2,5))",
        "amount * amount * amount * amount * amount",
        "amount / amount / amount / amount / amount",
        "cast(1 as decimal(38,38)) * cast(1 as decimal(38,38))",
        "1.5 % 0.0",
        "0.0 / 0.0",
        "cast('NaN' as double)",
        "cast('NaN' as decimal(5,2))",
        "nanvl(0.0/0.0, 1)",
    ] {
        assert_is_judged(text);
    }
}

/// Words of the language in random order, from a seed.
#[test]
fn texts_of_random_words_are_judged() {
    const WORDS: [&str; 62] = [
        "seats",
        "city",
        "price",
        "ts",
        "day",
        "s",
        "tags",
        "paid",
        "amount",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "::",
        "+",
        "-",
        "*",
        "/",
        "%",
        "||",
        "=",
        "<>",
        "<",
        ">=",
        "and",
        "or",
        "not",
        "is",
        "null",
        "in",
        "between",
        "like",
        "case",
        "when",
        "then",
        "else",
        "end",
        "cast",
        "as",
        "int",
        "date",
        "timestamp",
        "interval",
        "'1 day'",
        "'a'",
        "1",
        "0",
        "1.5",
        "1e3",
        "extract",
        "year",
        "from",
        "upper",
        "coalesce",
        "date_trunc",
        "'hour'",
        "sum",
        "distinct",
        "->",
        "struct",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..=random(14) {
            let _ = write!(text, "{} ", WORDS[random(WORDS.len())]);
        }
        assert_is_judged(&text);
    }
}

/// Arguments at the ends of their types, one row at a time: a row may have an error, but no function may panic.
#[test]
fn no_function_panics_over_values_at_the_ends_of_their_types() {
    use super::extremes::Row;
    let rows: Vec<Row> = (0..5)
        .map(|i| {
            let bigint = ["-9223372036854775808", "-1", "0", "9223372036854775807", "100000000"][i];
            let text = ["", "é🚲", "(", "2024-01-01", "%Y%"][i];
            let double = ["NaN", "inf", "-inf", "1.7976931348623157e308", "-0.0"][i];
            let time = [
                "0001-01-01T00:00:00Z",
                "9999-12-31T23:59:59.999999Z",
                "1969-12-31T23:59:59.999999Z",
                "1600-02-29T00:00:00Z",
                "null",
            ][i];
            let decimal =
                ["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "0", "1", "null"]
                    [i];
            Row::of(&[
                ("n", "bigint", bigint),
                ("t", "string", text),
                ("x", "double", double),
                ("ts", "timestamp", time),
                ("d", "decimal(38,0)", decimal),
            ])
        })
        .collect();
    let columns = ["n", "t", "x", "ts", "d"];
    let mut panicked = Vec::new();
    let names: Vec<String> = CONTEXT.function_names().map(str::to_owned).collect();
    for name in names {
        let mut calls: Vec<String> = columns.iter().map(|a| format!("{name}({a})")).collect();
        for a in columns {
            calls.extend(columns.iter().map(|b| format!("{name}({a}, {b})")));
            calls.push(format!("{name}({a}, n, n)"));
            calls.push(format!("{name}({a}, t, t)"));
            calls.push(format!("{name}({a}, t, n)"));
            calls.push(format!("{name}({a}, n, t)"));
            calls.push(format!("{name}('day', {a})"));
            calls.push(format!("{name}({a}, n, n, n)"));
            calls.push(format!("{name}({a}, t, n, n)"));
        }
        for call in calls {
            for row in &rows {
                let Some(said) = row.try_eval(&call) else { break };
                if PANICKED.iter().any(|p| said.contains(p)) {
                    panicked.push(format!("{call}: {said}"));
                    break;
                }
            }
        }
    }
    assert!(panicked.is_empty(), "{} calls panicked:\n{}", panicked.len(), panicked.join("\n"));
}
