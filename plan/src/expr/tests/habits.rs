//! A user who writes another engine's SQL is told what to write here, and the suggestion works.

#![allow(clippy::unwrap_used)]

use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{batch, refused, schema};
use crate::expr::compile;
use crate::expr::habits::{Advice, HABITS, Instead, filled};

/// What stands in backticks in a message, behind its first colon.
fn in_backticks(said: &str) -> Vec<&str> {
    let (_, advice) = said.split_once(": ").unwrap_or_default();
    advice.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_habit_is_refused_with_what_to_write_and_that_is_right() {
    for habit in HABITS {
        let call = format!("{}({})", habit.name.replace('*', "any"), habit.args.join(", "));
        let said = refused(&call);
        let templates: Vec<&str> = match habit.advice {
            Advice::Lacking(what) => {
                assert!(said.ends_with(what), "{call}: {said}");
                continue;
            }
            Advice::Write(template) => vec![template],
            Advice::Each(several) => several.iter().map(|(template, _)| *template).collect(),
            Advice::Built(..) => Vec::new(),
        };
        let written = in_backticks(&said);
        assert!(!written.is_empty() && !said.contains("for `"), "{call}: {said}");
        for written in &written {
            let is_of_text = *written == "upper(encode(city, 'hex'))";
            compile(written, &schema(), "out")
                .map(|_| ())
                .or_else(|e| {
                    if is_of_text || call.starts_with("hex") { Ok(()) } else { Err(format!("{call}: {written}: {e}")) }
                })
                .unwrap();
        }
        for template in templates {
            let expected = filled(template, habit.args).to_lowercase();
            assert!(written.iter().any(|written| written.to_lowercase() == expected), "{call}: {said}");
            // An argument may itself be an operation.
            if !template.contains("'$") && !habit.args.contains(&"int") && habit.name != "hex" {
                let of_operations: Vec<_> = habit.args.iter().map(|arg| format!("({arg})")).collect();
                let of_operations: Vec<_> = of_operations.iter().map(String::as_str).collect();
                let nested = filled(template, &of_operations);
                compile(&nested, &schema(), "out").unwrap_or_else(|e| panic!("{call}: {nested}: {e}"));
            }
        }
    }
}

/// The value of each advice in the first row, and what the function itself gives there: the examples of Spark's
/// documentation, and what its source computes of the row. Doubles are compared to 14 digits.
const ADVISED: &[(&str, &str)] = &[
    ("if(paid, 1, 2)", "1"),
    ("iif(not paid, 1, 2)", "2"),
    ("iff(paid, city, 'x')", "Paris"),
    ("isnull(city)", "false"),
    ("isnotnull(city)", "true"),
    ("equal_null(city, 'Paris')", "true"),
    ("nullifzero(seats - 3)", "null"),
    ("zeroifnull(nullif(seats, 3))", "0"),
    ("xor(paid, true)", "false"),
    ("lit(1)", "1"),
    ("bigint('12')", "12"),
    ("binary('ab')", "6162"),
    ("bool('true')", "true"),
    ("boolean('true')", "true"),
    ("cast('10', int)", "10"),
    ("convert('10', int)", "10"),
    ("date('2009-07-30')", "2009-07-30"),
    ("decimal(amount)", "20"),
    ("double('1.5')", "1.5"),
    ("float('1.5')", "1.5"),
    ("int(amount)", "19"),
    ("number('1.5')", "1.5"),
    ("parsefloat('1.5')", "1.5"),
    ("parseint('15')", "15"),
    ("str(seats)", "3"),
    ("string(seats)", "3"),
    ("timestamp('2020-04-30 12:25:13.45')", "2020-04-30T12:25:13.450Z"),
    ("to_string(seats)", "3"),
    ("to_varchar(seats)", "3"),
    ("charindex('bar', 'abcbarbar')", "4"),
    ("elt(1, 'scala', 'java')", "scala"),
    ("elt(2, city, 'x')", "x"),
    ("elt(seats - 2, city, 'x')", "Paris"),
    ("mid('Spark SQL', 5, 1)", "k"),
    ("mid('Spark SQL', -3, 2)", "SQ"),
    ("ilike('Spark', '_PARK')", "true"),
    ("like('Spark', '_park')", "true"),
    ("split('one-two', '-')", "one"),
    ("split_index('one-two', '-', 1)", "two"),
    ("div(seats, 2)", "1"),
    ("div(-seats, 2)", "-1"),
    ("negative(seats)", "-3"),
    ("truncate(1.57, 1)", "1.5"),
    ("to_timestamp_ltz(1230219000123, 3)", "2008-12-25T15:30:00.123Z"),
    ("to_timestamp_ltz(1230219000, 0)", "2008-12-25T15:30:00Z"),
    ("unix_timestamp('2016-04-08', 'yyyy-MM-dd')", "1460073600"),
    ("unix_timestamp(ts)", "1704070861"),
    ("array_length(tags)", "2"),
    ("array_to_string(tags, ',')", "1,2"),
    ("convert_tz(timestamp '2024-07-01 00:00:00', 'UTC', 'Europe/Paris')", "2024-07-01T02:00:00Z"),
    ("current_timezone()", "UTC"),
    ("json_exists('{\"a\": 1}', '$.a')", "true"),
    ("json_extract('{\"a\": 1}', '$.a')", "1"),
    ("json_extract_scalar('{\"a\": 1}', '$.a')", "1"),
    ("json_query('{\"a\": [1]}', '$.a')", "[1]"),
    ("json_value('{\"a\": 1}', '$.a')", "1"),
    ("sha224('')", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"),
    ("sha256('')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("sha384('')", "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"),
    (
        "sha512('')",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f\
         63b931bd47417a81a538327af927da3e",
    ),
    ("week(date '2008-02-20')", "8"),
    ("smallint('7')", "7"),
    ("tinyint('7')", "7"),
    ("make_valid_utf8('é')", "é"),
    ("mask('AbCD123-@$#')", "XxXXnnn-@$#"),
    ("try_validate_utf8('é')", "é"),
    ("validate_utf8('é')", "é"),
    ("bit_get(11, 0)", "1"),
    ("getbit(11, 2)", "0"),
    ("csc(1)", "1.1883951057781212"),
    ("sec(0)", "1.0"),
    ("make_timestamp_ltz(2014, 12, 28, 6, 30, 45)", "2014-12-28T06:30:45Z"),
    ("make_timestamp_ntz(2014, 12, 28, 6, 30, 45)", "2014-12-28T06:30:45Z"),
    ("try_make_timestamp_ltz(2014, 13, 28, 6, 30, 45)", "null"),
    ("try_make_timestamp_ntz(2014, 12, 28, 6, 30, 45)", "2014-12-28T06:30:45Z"),
    ("to_timestamp_ntz('2016-12-31 00:12:00')", "2016-12-31T00:12:00Z"),
];

#[test]
fn what_is_advised_gives_what_the_function_gives() {
    for (call, expected) in ADVISED {
        let said = refused(call);
        let written = in_backticks(&said);
        // Of several, one is for these arguments; a text has no number.
        let values = written.iter().filter(|sql| !sql.starts_with("upper(encode") || call.contains('\''));
        let values: Vec<_> = values.filter_map(|sql| compile(sql, &schema(), "out").ok()).collect();
        let values: Vec<_> = values
            .iter()
            .filter_map(|value| value.evaluate(&batch()).ok())
            .map(|values| {
                let options = FormatOptions::default().with_null("null");
                ArrayFormatter::try_new(values.as_ref(), &options).unwrap().value(0).to_string()
            })
            .collect();
        let is_equal = |value: &String| {
            value == expected
                || matches!((value.parse::<f64>(), expected.parse::<f64>()),
                    (Ok(value), Ok(expected)) if (value - expected).abs() < 1e-14)
        };
        assert!(values.first().is_some_and(is_equal), "{call}: {said}: {values:?} and not {expected}");
    }
    for habit in HABITS.iter().filter(|habit| !matches!(habit.advice, Advice::Lacking(_))) {
        let is_tried = ADVISED.iter().any(|(call, _)| call.starts_with(&format!("{}(", habit.name)));
        assert!(is_tried, "{}", habit.name);
    }
}

/// Where the author's arguments have no place, no others take it.
#[test]
fn advice_has_no_values_that_the_author_did_not_write() {
    for (sql, said) in [
        ("elt(2)", "write a `case`, with a `when` for each place"),
        (
            "parse_url(city, 'PATH')",
            "write `regexp_extract(…, '^[a-z]+://([^/:?#]+)', 1)` for the host, and other \
            patterns for other parts",
        ),
        ("format_string('%05d', seats)", "join the parts by `concat(…)` or `||`, and pad numbers by `lpad(…, 5, '0')`"),
        ("unix_timestamp()", "its result would differ when an epoch is run again: write `_event_time` or a column"),
        (
            "window(ts, '10 minutes')",
            "windows are a part of a step: write `aggregate: {window: {tumbling: {size: …}}}`",
        ),
        ("like(city, '$2')", "write `city like '$2'`"),
    ] {
        let name = sql.split('(').next().unwrap();
        assert_eq!(refused(sql), format!("there is no function `{name}`: {said}"), "{sql}");
    }
    assert_eq!(
        refused("ts.unix_timestamp('yyyy')"),
        "`ts.unix_timestamp('yyyy')` calls a method, and there are only functions: write `to_unixtime(ts, 'yyyy')`"
    );
    let long = "x".repeat(200);
    assert_eq!(
        refused(&format!("nullifzero({long})")),
        "there is no function `nullifzero`: for `nullifzero(seats)` write `nullif(seats, 0)`"
    );
}

#[test]
fn no_habit_is_named_twice_or_is_a_function_that_there_is() {
    for (i, habit) in HABITS.iter().enumerate() {
        assert!(HABITS[..i].iter().all(|other| other.name != habit.name), "{}", habit.name);
        assert!(!crate::expr::context::CONTEXT.has_function(habit.name), "{}", habit.name);
    }
}

#[test]
fn operators_of_other_engines_are_refused_with_what_to_write() {
    for (sql, said) in [
        ("convert(city, int)", "there is no `convert`: write `cast(city as int)`"),
        (
            "seats div 2",
            "the expression does not parse: there is no operator `div` at character 7: write `/`, which gives an \
             integer where both sides are integers",
        ),
        ("paid xor true", "the operator `XOR` is not supported: write `paid <> true`"),
        ("tags[1].sku", "a bigint has no fields to pick from"),
        ("tags[1:2]", "a range of an array's items is written `slice(tags, 1, 2)`"),
        (
            "split(city, ',')[0]",
            "there is no function `split`: write `split_part(city, ',', 1)` for the first part, by a separator that is no \
            regular expression",
        ),
        (
            "ceil(ts to hour)",
            "`CEIL(ts TO HOUR)`: `ceil` and `floor` take a number; write `date_trunc('hour', ts)` for a time",
        ),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
}

#[test]
fn a_name_that_is_near_by_its_letters_only_is_not_suggested() {
    for (sql, said) in [
        ("uper(city)", "there is no function `uper`: did you mean `upper`?"),
        ("lenght(city)", "there is no function `lenght`: did you mean `length`?"),
        ("abc(seats)", "there is no function `abc`"),
        ("foo(city)", "there is no function `foo`"),
        ("zip(city)", "there is no function `zip`"),
    ] {
        let found = refused(sql);
        assert!(found == said || !said.contains("did you") && !found.contains("did you"), "{sql}: {found}");
    }
}

/// Whatever a user writes, no message shows Rust's debug format.
#[test]
fn no_syntax_tree_reaches_the_user() {
    for sql in [
        "city rlike 'a'",
        "seats = any(tags)",
        "seats > all(tags)",
        "seats in unnest(tags)",
        "(1, 2)",
        "(seats, city) = (1, 'a')",
        "city -> 'a'",
        "city ->> 'a'",
        "city:a",
        "city #> 'a'",
        "N'abc'",
        "B'01'",
        "city similar to 'a'",
        "city is normalized",
        "match (city) against ('a')",
        "prior seats",
        "x -> x + 1",
        "filter(tags, x -> x > 1)",
        "seats member of (tags)",
        "tags[1]",
        "tags[1:2]",
        "tags['a']",
        "s.*",
        "seats overlaps city",
        "interval 1 day + ts",
        "interval '1' year to month",
        "interval seats day",
        "extract(nothing from ts)",
        "trim(leading from city)",
        "trim(both 'x' from city, 'y')",
        "overlay(city placing 'x' from 2)",
        "position(city, 'x')",
        "cast(city as varchar array)",
        "cast(city as int[])",
        "cast(city as map<string, int>)",
        "cast(city as struct<a int>)",
        "cast(city as date format 'YYYY')",
        "substring(city, 1, 2, 3)",
        "case city when 'a' then 1 else 'b' end + ts",
        "struct(1 as a)",
        "{'a': 1}",
        "map {'a': 1}",
        "grouping sets ((1))",
        "rollup(city)",
        "cube(city)",
        "!seats",
        "~seats",
        "seats!",
        "@seats",
        "|/ seats",
        "seats |> 1",
        "seats ^@ 1",
        "seats <-> 1",
        "operator(pg_catalog.+)",
        "city collate de",
        "ts at time zone 'x'",
        "count(seats) filter (where paid)",
        "sum(seats order by city)",
        "first(city) ignore nulls",
        "listagg(city) within group (order by city)",
        "exists(select 1)",
        "seats = (select 1)",
        "seats not in (select 1)",
        "seats between symmetric 1 and 2",
        "city like any ('a', 'b')",
        "city ilike 'a' escape '#'",
        "date_add(day, interval 1 day)",
        "timestampadd(hour, 1, ts)",
        "datediff(day, ts, ts)",
        "json_object('a': 1)",
        "try_cast(city as json)",
        "$$a$$",
        "X'zz'",
        "U&'\\0061'",
        "E'a\\n'",
        "\"city\".\"a\"",
        "a.b.c.d",
        "city.length()",
        "s.a.b()",
        "default",
        "nullif",
        "current_user",
        "top(1)",
    ] {
        let Err(said) = compile(sql, &schema(), "out").map_err(|e| e.to_string()) else { continue };
        for rust in [
            "Ident",
            "span",
            "Some(",
            "None",
            "{ ",
            "Box",
            "Value(",
            "sqltorel",
            "ExprPlanner",
            "internal",
            "Internal",
            "\"quote",
            "ast node",
        ] {
            assert!(!said.contains(rust), "{sql}: {said}");
        }
    }
}

/// The reference page lists every habit.
#[test]
fn the_page_lists_every_habit() {
    let mut expected = "| Instead of | Write |\n|---|---|\n".to_owned();
    let mut lacking: Vec<(&str, Vec<&str>)> = Vec::new();
    for habit in HABITS {
        match habit.advice {
            Advice::Write(_) | Advice::Each(_) | Advice::Built(..) => {
                let cell = |text: String| text.replace('|', "\\|");
                let args: Vec<_> = habit.args.iter().map(|arg| (*arg).to_owned()).collect();
                let instead = match habit.instead(&args) {
                    Instead::Write(own) => format!("`{own}`"),
                    Instead::Say(sentence) => sentence.strip_prefix("write ").unwrap().to_owned(),
                };
                let call = cell(format!("{}({})", habit.name, habit.args.join(", ")));
                expected += &format!("| `{call}` | {} |\n", cell(instead));
            }
            Advice::Lacking(what) => match lacking.iter_mut().find(|(said, _)| *said == what) {
                Some((_, names)) => names.push(habit.name),
                None => lacking.push((what, vec![habit.name])),
            },
        }
    }
    expected += "\n| There is no | |\n|---|---|\n";
    for (what, names) in lacking {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        expected += &format!("| {} | {what} |\n", names.join(", "));
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/expressions.md");
    let found = std::fs::read_to_string(page).unwrap();
    assert!(found.contains(&expected), "docs/reference/expressions.md should have:\n{expected}");
}
