//! A user who writes another engine's SQL is told what to write here, and the suggestion works.

#![allow(clippy::unwrap_used)]

use super::{refused, schema};
use crate::expr::compile;
use crate::expr::habits::{Advice, HABITS, filled};

#[test]
fn every_habit_is_refused_with_what_to_write_and_that_is_right() {
    for habit in HABITS {
        let call = format!("{}({})", habit.name, habit.args.join(", "));
        let said = refused(&call);
        let expected = match habit.advice {
            Advice::Lacking(what) => what.to_owned(),
            Advice::Write(template) => {
                let written = filled(template, habit.args.iter().copied());
                compile(&written, &schema(), "out").unwrap_or_else(|e| panic!("{call}: {written}: {e}"));
                // An argument may itself be an operation.
                let of_operations =
                    habit.args.iter().map(|arg| if *arg == "int" { (*arg).to_owned() } else { format!("({arg})") });
                let of_operations: Vec<_> = of_operations.collect();
                if !template.contains("'$") && !habit.args.contains(&"int") {
                    let nested = filled(template, of_operations.iter().map(String::as_str));
                    compile(&nested, &schema(), "out").unwrap_or_else(|e| panic!("{call}: {nested}: {e}"));
                }
                format!("write `{written}`")
            }
        };
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{call}: {said}");
        assert!(said.starts_with("there is no ") || said.contains("is not supported"), "{call}: {said}");
    }
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
        ("city rlike '^P'", "`rlike` and `regexp` are no operators here: write `regexp_like(city, '^P')`"),
        ("city not regexp '^P'", "`rlike` and `regexp` are no operators here: write `not regexp_like(city, '^P')`"),
        ("convert(city, int)", "there is no `convert`: write `cast(city as int)`"),
        (
            "seats div 2",
            "the expression does not parse: there is no operator `div` at character 7: write `/`, which gives an \
             integer where both sides are integers",
        ),
        ("paid xor true", "the operator `XOR` is not supported: write `paid <> true`"),
        ("tags[1].sku", "items of an array cannot be picked yet"),
        ("tags[1:2]", "items of an array cannot be picked yet"),
        ("split(city, ',')[0]", "there is no function `split`: write `split_part(city, ',', 1)`"),
        ("YEAR(ts)", "there is no function `year`: write `date_part('year', ts)`"),
        ("pmod(seats + 1, 3)", "there is no function `pmod`: write `(((seats + 1) % 3) + 3) % 3`"),
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
            Advice::Write(template) => {
                let cell = |text: String| text.replace('|', "\\|");
                let call = cell(format!("{}({})", habit.name, habit.args.join(", ")));
                expected += &format!("| `{call}` | `{}` |\n", cell(filled(template, habit.args.iter().copied())));
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
