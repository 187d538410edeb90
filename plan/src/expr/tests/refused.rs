//! What is refused when an expression is compiled, and with which message.

#![allow(clippy::unwrap_used)]

use super::{check, eval, refused, schema};
use crate::expr::{compile, compile_predicate};

fn check_refused(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        assert_eq!(refused(sql), *expected, "{sql}");
    }
}

#[test]
fn what_does_not_parse_is_refused_with_the_place() {
    check_refused(&[
        ("", "the expression is empty"),
        ("price >", "the expression does not parse: expected an expression, found the end"),
        ("(price", "the expression does not parse: expected `)`, found the end"),
        ("price > > 1", "the expression does not parse: expected an expression, found `>` at character 9"),
        (
            "'abc",
            "the expression does not parse: unterminated string literal at character 1: a text ends with a single \
             quote, and a quote within it is written twice, as in `'it''s'`",
        ),
        ("price > 0 extra", "the expression ends at `price > 0`, but `extra` follows at character 11"),
        ("price; price", "the expression ends at `price`, but `;` follows at character 6: leave it out"),
        ("price\n  city", "the expression ends at `price`, but `city` follows at line 2, character 3"),
    ]);
}

#[test]
fn calls_whose_arguments_have_another_order_in_spark_are_refused_with_the_form_of_one_meaning() {
    for (sql, right, value) in [
        ("ltrim('P', city)", "trim(leading 'P' from city)", "string: aris | Lyon | null"),
        ("rtrim('n', city)", "trim(trailing 'n' from city)", "string: Paris | Lyo | null"),
        ("trim('P', city)", "trim(both 'P' from city)", "string: aris | Lyon | null"),
        ("position('r', city)", "position('r' in city)", "int: 3 | 0 | null"),
    ] {
        let said = refused(sql);
        assert!(said.ends_with(&format!(": write `{right}`")), "{sql}: {said}");
        assert_eq!(eval(right), value, "{right}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let columns = "the columns are userId, city, price, weight, seats, amount, paid, day, ts, s, tags";
    for (sql, name, hint) in [
        ("ctiy", "ctiy", " (did you mean `city`?)"),
        ("upper(citty)", "citty", " (did you mean `city`?)"),
        ("userid", "userid", " (did you mean `userId`?)"),
        ("nothing_like_it", "nothing_like_it", ""),
        ("foo.bar", "foo", ""),
        ("a.b.c.d.e.f", "a", ""),
    ] {
        let text = if sql == name && hint.is_empty() {
            format!(
                "; if a text is meant, write `\"'{name}'\"`, with the double quotes for YAML, which takes the outer \
                 quotes off"
            )
        } else {
            String::new()
        };
        assert_eq!(refused(sql), format!("there is no column `{name}`{hint}: {columns}{text}"));
    }
    check_refused(&[
        ("s.z", "`s` has no field `z`: its fields are a, inner"),
        ("s.iner.b", "`s` has no field `iner` (did you mean `inner`?): its fields are a, inner"),
        ("upper(s['inner'].c)", "`s.inner` has no field `c`: its fields are b"),
        ("s.A", "`s` has no field `A` (did you mean `a`?): its fields are a, inner"),
        ("uper(city)", "there is no function `uper`: did you mean `upper`?"),
        (
            "regr_slope(price, seats)",
            "the aggregate `regr_slope` is not supported yet: the reference of expressions lists those that are",
        ),
    ]);
    assert!(refused("cast(city as money)").starts_with("`money` is not a type; the types are boolean, int,"));
}

#[test]
fn what_would_differ_when_run_again_is_refused() {
    for sql in
        ["now()", "current_timestamp", "current_date", "coalesce(ts, now())", "case when paid then current_time() end"]
    {
        assert!(
            refused(sql)
                .ends_with("would give another result when an epoch is run again: use `_event_time` or a column"),
            "{sql}"
        );
    }
    assert!(refused("current_timestamp").starts_with("`current_timestamp` would give"));
    assert!(refused("ts < NOW()").starts_with("`now()` would give"));
    for sql in ["random()", "uuid()", "price * random()"] {
        assert!(refused(sql).contains("would give another result when an epoch is run again"), "{sql}");
    }
    assert_eq!(
        refused("version()"),
        "there is no function `version`: a pipeline has no databases, users and sessions: write the text itself"
    );
}

#[test]
fn what_has_no_meaning_for_one_row_is_refused() {
    let aggregate = "`sum(…)` is an aggregate, and an aggregate belongs in an aggregate step";
    let subquery = "a subquery cannot be used here: an expression sees one row";
    check_refused(&[
        ("sum(price)", aggregate),
        ("1 + sum(price)", aggregate),
        ("(select 1)", subquery),
        ("exists (select 1)", subquery),
        ("price in (select 1)", subquery),
        ("sum(price) over ()", "`sum(…) OVER` is a window function, which cannot be used here"),
        ("upper(distinct city)", "`upper(DISTINCT city)`: DISTINCT in `upper` is only for aggregates"),
        (
            "upper(city) filter (where true)",
            "`upper(city) FILTER (WHERE true)`: FILTER in `upper` is only for aggregates",
        ),
        ("upper(*)", "`upper(*)`: `*` is only for `count(*)`, `upper` takes a column"),
        ("unnest(tags)", "`unnest` gives several rows for one, which is a step's work and not an expression's"),
        ("$1", "`$1` is a parameter, and there are none: write the value"),
        ("@x", "`@x` is a variable, and there are none: name a column"),
        ("[1, 2]", "`[1, 2]` is an array: write it by `array`, as in `array(1, 2)`"),
    ]);
    assert!(compile("*", &schema(), "out").is_err());
}

#[test]
fn what_no_column_can_hold_is_refused() {
    check_refused(&[("null", "this is always null, and a null has no type: cast it, as in `cast(null as string)`")]);
    assert!(refused("interval '1 day'").starts_with("this is an interval, which no column can hold"));
    assert!(refused("cast(city as time)").starts_with("this is a time of day, which no column can hold"));
    assert_eq!(eval("cast(null as string)"), "string: null | null | null");
}

#[test]
fn types_that_do_not_go_together_are_refused_in_their_own_names() {
    check_refused(&[
        (
            "city + 1",
            "`+` takes two numbers, or a time and an interval, and found a string (`city`) and a bigint: write \
             `cast(city as bigint)` for the number in the text, or `||` to join texts",
        ),
        (
            "1 + (2 * (ts * 2))",
            "`*` takes two numbers, or a time and an interval, and found a timestamp (`ts`) and a bigint",
        ),
        (
            "price and true",
            "`and` takes two booleans, and found a double (`price`) and a boolean: write a whole comparison on both \
             sides, as in `price > 1 and price < 5`",
        ),
        ("not price", "`not` takes a boolean, and found a double"),
        ("-city", "`-` takes a number or an interval, and found neither"),
        ("-ts", "`-` takes a number or an interval, and found a timestamp (`ts`)"),
        (
            "price ^ 2",
            "`^` takes two whole numbers, and found a double (`price`) and a bigint: write `power(…, …)` for a power",
        ),
        ("seats << amount", "`<<` takes two whole numbers, and found an int (`seats`) and a decimal(10,2) (`amount`)"),
        (
            "cast(city as varchar(3))",
            "`varchar(3)` is not a type here: strings have no length; use string, and left(…) to cut one",
        ),
        ("paid & 1", "`&` takes two whole numbers, and found a boolean (`paid`) and a bigint"),
        ("city ~ 1", "`~` takes two strings, and found a string (`city`) and a bigint"),
        ("price like 'a'", "`like` takes two strings, and found a double (`price`) and a string"),
        (
            "ts = 1",
            "`=` can't compare a timestamp (`ts`) and a bigint: make a time of the number, as in \
             `to_timestamp_seconds(1)` if it counts seconds",
        ),
        (
            "s = 1",
            "`=` can't compare a struct<a: int, inner: struct<b: string>> (`s`) and a bigint: name a field of the \
             struct, as in `….a`",
        ),
        (
            "price in (1, paid)",
            "`in` can't compare a double (`price`), a bigint and a boolean (`paid`): a boolean is a condition by \
             itself, so write `paid` or `not paid`",
        ),
        (
            "ts between 1 and 2",
            "`between` can't compare a timestamp (`ts`), a bigint and a bigint: make a time of the number, as in \
             `to_timestamp_seconds(1)` if it counts seconds",
        ),
        ("day > 20240131", "`>` can't compare a date (`day`) and a bigint: write a date, as in `date '2024-01-31'`"),
        (
            "case when paid then ts else 1 end",
            "`case` has a timestamp (`ts`) and a bigint; cast them, so that what is compared has one type and what it \
             gives has one",
        ),
        ("price is true", "`is true` and `is false` take a boolean, and found a double (`price`)"),
        ("cast(paid as date)", "a boolean (`paid`) can't be cast to a date"),
        ("upper(cast(tags as int))", "an array<bigint> (`tags`) can't be cast to an int"),
        ("price = 'abc'", "`abc` can't be cast to a double"),
        ("cast(99999999999 as int)", "`99999999999` can't be cast to an int"),
        (
            "date 'x'",
            "`x` is no date: write it as in `2024-01-31`, or read it by its pattern, as in `to_date(…, 'dd/MM/yyyy')`",
        ),
        ("cast(city as decimal(99,2))", "`decimal(99,2)` has a precision of 99; it must be from 1 to 38"),
        ("s.a.b", "an int has no fields to pick from"),
    ]);
}

#[test]
fn a_call_that_does_not_fit_names_what_the_function_takes() {
    check_refused(&[
        ("upper()", "`upper` takes (string), and found nothing"),
        ("upper(city, city)", "`upper` takes (string), and found a string (`city`) and a string (`city`)"),
        ("abs(city)", "`abs` takes (number), and found a string (`city`)"),
        ("ln(abs(price) + power(city, 2))", "`power` takes (double, double), and found a string (`city`) and a bigint"),
        (
            "split_part(city, '-', 'x')",
            "`split_part` takes (string, string, bigint), and found a string (`city`), a string and a string",
        ),
        (
            "date_trunc('hour', price)",
            "`date_trunc` takes (string, timestamp), and found a string and a double (`price`)",
        ),
        (
            "substr(price, 1)",
            "`substr` takes (string, bigint) or (string, bigint, bigint) or (binary, bigint) or (binary, bigint, \
             bigint), and found a double (`price`) and a bigint",
        ),
        (
            "nullif(price, paid)",
            "`nullif` takes values of one type, and found a double (`price`) and a boolean (`paid`): cast them to one \
             type",
        ),
        ("coalesce()", "`coalesce` takes something, and found nothing"),
        (
            "coalesce(paid, ts)",
            "`coalesce` takes values of one type, and found a boolean (`paid`) and a timestamp (`ts`): cast them to \
             one type",
        ),
    ]);
}

#[test]
fn a_constant_that_would_fail_at_every_row_is_refused() {
    for (sql, why) in [
        ("date_trunc('hours', ts)", "granularity"),
        ("extract(hours_and from ts)", "a time has no part `hours_and`: write year, yearofweek"),
        ("date_part('epoch', ts)", "a time has no part `epoch`: write `to_unixtime(…)`"),
        ("1 / 0", "`/` by zero has no result"),
        ("price + 10 % 0", "`%` by zero has no result"),
        ("seats / 0", "`/` by zero has no result"),
        ("amount % 0.0", "`%` by zero has no result"),
        ("encode(city, 'hexx')", "there is no encoding `hexx`"),
        ("to_timestamp(paid)", "`to_timestamp` does not take a boolean (`paid`)"),
        // Constants that only some rows would evaluate.
        ("coalesce(day, to_date('x'))", "`x` is no date: write it as in `2024-01-31`"),
        ("case when paid then decode('zz', 'hex') end", "Invalid character 'z'"),
    ] {
        assert!(refused(sql).contains(why), "{sql}: {}", refused(sql));
    }
    assert_eq!(eval("case when seats <> 0 then 10 / seats end"), "bigint: 3 | null | null");
    assert_eq!(eval("price / 0"), "double: inf | -inf | null");
}

/// The planner would cast the column row by row, and the first city that is not a number would end the pipeline.
#[test]
fn a_string_is_not_cast_unless_asked() {
    check_refused(&[
        (
            "city = price",
            "`=` can't compare a string (`city`) and a double (`price`): cast the text, as in `cast(city as double)`",
        ),
        ("upper(city) > 1", "`>` can't compare a string and a bigint: cast the text, as in `cast(… as bigint)`"),
        (
            "city between 1 and 2",
            "`between` can't compare a string (`city`), a bigint and a bigint: cast the text, as in `cast(city as \
             bigint)`",
        ),
        (
            "city in (1, 2)",
            "`in` can't compare a string (`city`) and a bigint: cast the text, as in `cast(city as bigint)`",
        ),
        (
            "coalesce(seats, city)",
            "`coalesce` takes values of one type, and found an int (`seats`) and a string (`city`): cast them to one \
             type",
        ),
        (
            "1 + nullif(seats, city)",
            "`nullif` takes values of one type, and found an int (`seats`) and a string (`city`): cast them to one type",
        ),
        ("date_part('year', city)", "`date_part` takes (string, timestamp), and found a string and a string (`city`)"),
        (
            "make_date(city, 1, 1)",
            "`make_date` takes (int, int, int), and found a string (`city`), a bigint and a bigint",
        ),
        (
            "case city when 1 then 2 end",
            "`case` has a bigint and a string (`city`); cast them, so that what is compared has one type and what it \
             gives has one",
        ),
    ]);
    assert_eq!(eval("try_cast(city as int) = seats"), "boolean: null | null | null");
    assert_eq!(eval("day > '2023-12-31'"), "boolean: true | false | null");
    assert_eq!(eval("seats in ('3', '4')"), "boolean: true | false | null");
}

/// Where values get one type, a literal text is read as the type of the others, as in a comparison. Nothing else is
/// cast.
#[test]
fn values_of_unlike_types_do_not_get_one_type() {
    let takes = |function: &str, found: &str| {
        format!("`{function}` takes values of one type, and found {found}: cast them to one type")
    };
    let case = |found: &str| {
        format!("`case` has {found}; cast them, so that what is compared has one type and what it gives has one")
    };
    for (sql, said) in [
        ("nvl(seats, 'x')", takes("nvl", "an int (`seats`) and a string")),
        ("ifnull(seats, 'x')", takes("nvl", "an int (`seats`) and a string")),
        ("coalesce(userId, 'x')", takes("coalesce", "a bigint (`userId`) and a string")),
        ("coalesce(city, 1)", takes("coalesce", "a string (`city`) and a bigint")),
        ("coalesce(city, day)", takes("coalesce", "a string (`city`) and a date (`day`)")),
        ("coalesce(paid, 1)", takes("coalesce", "a boolean (`paid`) and a bigint")),
        ("coalesce(paid, 'maybe')", takes("coalesce", "a boolean (`paid`) and a string")),
        ("nvl2(city, seats, 'x')", takes("nvl2", "an int (`seats`) and a string")),
        ("greatest(day, 1)", takes("greatest", "a date (`day`) and a bigint")),
        ("least(1, ts)", takes("least", "a bigint and a timestamp (`ts`)")),
        ("greatest(seats, city)", takes("greatest", "an int (`seats`) and a string (`city`)")),
        ("nullif(day, 1)", takes("nullif", "a date (`day`) and a bigint")),
        ("nullif(seats, 'x')", takes("nullif", "an int (`seats`) and a string")),
        ("nullif(paid, 1)", takes("nullif", "a boolean (`paid`) and a bigint")),
        ("case when paid then 'a' else seats end", case("a string and an int (`seats`)")),
        ("case when paid then city else seats end", case("a string (`city`) and an int (`seats`)")),
        ("case when paid then day else 1 end", case("a date (`day`) and a bigint")),
        ("case when paid then true else 1 end", case("a boolean and a bigint")),
        ("case day when 1 then 2 end", case("a bigint and a date (`day`)")),
        ("case seats when 'x' then 2 end", case("a bigint, an int (`seats`) and a string")),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
    assert!(refused("coalesce(day, '31/01/2024')").starts_with("`31/01/2024` is no date"));
    // The part that is right is not blamed for another one.
    assert!(refused("coalesce(day, '2024-1-1') > 5").starts_with("`>` can't compare a date and a bigint"));
    check(&[
        ("coalesce(seats, '5')", "bigint: 3 | 0 | 5"),
        ("coalesce(price, '5')", "double: 10.0 | -0.5 | 5.0"),
        ("coalesce(amount, '0.5')", "double: 19.99 | -0.05 | 0.5"),
        ("coalesce(paid, 'true')", "boolean: true | false | true"),
        ("coalesce(day, '2024-2-1')", "date: 2024-01-01 | 1970-01-01 | 2024-02-01"),
        (
            "coalesce(ts, '2024-2-1 3:00')",
            "timestamp: 2024-01-01T01:01:01.000001Z | 1969-12-31T23:59:59.999999Z | \
            2024-02-01T03:00:00Z",
        ),
        ("coalesce(null, seats)", "int: 3 | 0 | null"),
        ("nvl2(city, 1, 2)", "bigint: 1 | 1 | 2"),
        ("nvl2(city, seats, 0.5)", "decimal(11,1): 3.0 | 0.0 | 0.5"),
        ("case city when 'Paris' then 1 else seats end", "bigint: 1 | 0 | null"),
        ("case seats when '3' then 'a' else city end", "string: a | Lyon | null"),
        ("case when paid then day else ts end", "timestamp: 2024-01-01T00:00:00Z | 1969-12-31T23:59:59.999999Z | null"),
        ("nullif(seats, '3')", "bigint: null | 0 | null"),
        ("greatest(seats, 1.5)", "decimal(11,1): 3.0 | 1.5 | 1.5"),
    ]);
}

/// Its second argument is a pattern in Spark.
#[test]
fn from_unixtime_takes_no_pattern() {
    let written = "date_format(from_unixtime(userId), 'yyyy')";
    let said = format!("`from_unixtime` gives a timestamp and takes no pattern: write `{written}` for a text");
    assert_eq!(refused("from_unixtime(userId, 'yyyy')"), said);
    assert_eq!(eval("date_format(from_unixtime(seats), 'yyyy')"), "string: 1970 | 1970 | null");
}

#[test]
fn a_condition_of_a_case_is_a_boolean() {
    check_refused(&[
        ("case when price then 1 end", "`when` takes a boolean, and found a double (`price`)"),
        (
            "case when paid then 1 when city then 2 end",
            "`when` takes a boolean, and found a boolean (`paid`) and a string (`city`)",
        ),
    ]);
    assert_eq!(eval("case when null then 1 else 2 end"), "bigint: 2 | 2 | 2");
}

/// Each text is another way in which DataFusion refuses types. No message may contain DataFusion's words.
#[test]
fn no_word_of_the_planner_reaches_the_user() {
    for sql in [
        "round(city)",
        "round(price, city)",
        "length(s)",
        "sqrt('a')",
        "chr(city)",
        "repeat(city, 'a')",
        "make_date(1, 2)",
        "concat()",
        "greatest()",
        "regexp_replace(city)",
        "regexp_like(city, '(')",
        "to_char(price, 'a')",
        "date_bin(interval '5 minutes', price)",
        "date_part('year', price)",
        "translate(city)",
        "left(city, 'a')",
        "floor(city)",
        "nvl(price)",
        "gcd(price, 1)",
        "pi(1)",
        "encode(price, 'hex')",
        "factorial(price)",
        "named_struct('a')",
        "concat_ws()",
        "interval 'x'",
        "timestamp 'x'",
        "city || s",
        "paid + paid",
        "ts + ts",
        "interval '1 day' * 2",
        "price + interval '1 day'",
        "try_cast(s as int)",
        "city collate nope",
        "price.x",
        "case price when paid then 1 end",
        "position(1 in city)",
    ] {
        let said = refused(sql);
        for word in [
            "oerc",
            "ignature",
            "TypeSig",
            "andidate",
            "DataType",
            "planning",
            "Function '",
            "Failed",
            "Unsupported",
            "sqltorel",
            "Utf8",
            "Int64",
            "Float64",
            "error: ",
            "Invalid arg",
            "Cannot infer",
        ] {
            assert!(!said.contains(word) || said.starts_with("regex"), "{sql}: {said}");
        }
    }
}

#[test]
fn a_predicate_must_be_a_boolean() {
    assert_eq!(
        compile_predicate("price > 0", &schema()).unwrap().field.data_type(),
        &arrow::datatypes::DataType::Boolean
    );
    let refused = |sql: &str| compile_predicate(sql, &schema()).unwrap_err().to_string();
    assert_eq!(refused("price"), "a condition must be a boolean, and this is a double: compare it, as in `price > 0`");
    assert_eq!(
        refused("upper(city)"),
        "a condition must be a boolean, and this is a string: compare it, as in `price > 0`"
    );
}
