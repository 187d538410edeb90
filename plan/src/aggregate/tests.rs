#![allow(clippy::unwrap_used)]

mod merging;
mod spark;
mod states;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::{Aggregate, AggregateColumn, AggregatePart, GroupColumn, compile};
use crate::plan::Input;
use crate::types::{Column, DataType};
use crate::window::Window;

pub(in crate::aggregate) fn schema_of(fields: &[(&str, &str)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, &str)| {
        Column {
            name: (*name).into(),
            data_type: DataType::parse(data_type).unwrap(),
            nullable: *name != "_event_time",
        }
        .to_field()
    };
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}

fn rides() -> SchemaRef {
    schema_of(&[
        ("city", "string"),
        ("price", "double"),
        ("weight", "float"),
        ("seats", "int"),
        ("userId", "bigint"),
        ("amount", "decimal(10,2)"),
        ("paid", "boolean"),
        ("day", "date"),
        ("s", "struct<a: int>"),
        ("tags", "array<int>"),
        ("_event_time", "timestamp"),
    ])
}

fn column(name: &str, expr: &str, filter: Option<&str>) -> AggregateColumn {
    AggregateColumn { name: name.into(), expr: expr.into(), filter: filter.map(Into::into) }
}

fn compiled(group_by: &[&str], columns: &[AggregateColumn]) -> Result<Aggregate, Vec<(AggregatePart, String)>> {
    compiled_over(&rides(), group_by, columns)
}

fn compiled_over(
    schema: &SchemaRef,
    group_by: &[&str],
    columns: &[AggregateColumn],
) -> Result<Aggregate, Vec<(AggregatePart, String)>> {
    let group_by: Vec<_> = group_by.iter().map(|g| GroupColumn::from(*g)).collect();
    let errors = |errors: Vec<super::AggregateError>| errors.into_iter().map(|e| (e.at, e.message)).collect();
    compile(Input::Source(0), schema, Window::tumbling(5), &group_by, columns).map_err(errors)
}

fn refused(group_by: &[&str], columns: &[AggregateColumn]) -> Vec<(AggregatePart, String)> {
    compiled(group_by, columns).map(|a| panic!("{:?}", a.output_schema())).unwrap_err()
}

/// The error message for one column's expression.
fn refused_expr(expr: &str) -> String {
    let mut errors = refused(&["city"], &[column("x", expr, None)]);
    assert_eq!((errors.len(), errors[0].0), (1, AggregatePart::ColumnExpr(0)), "{errors:?}");
    errors.remove(0).1
}

fn fields(schema: &SchemaRef) -> Vec<String> {
    let field = |f: &Arc<Field>| {
        let data_type = DataType::from_arrow(f.data_type()).unwrap();
        format!("{} {data_type}{}", f.name(), if f.is_nullable() { "" } else { " not null" })
    };
    schema.fields().iter().map(field).collect()
}

fn calls(a: &Aggregate) -> Vec<&str> {
    a.calls.iter().map(|c| c.function.name()).collect()
}

#[test]
fn the_rides_step_compiles_to_its_parts() {
    let columns = [
        column("revenue", "sum(price)", None),
        column("avg_weight", "avg(weight)", None),
        column("cnt", "count(*)", None),
    ];
    let a = compiled(&["city"], &columns).unwrap();
    assert_eq!(a.group_by[0].value.column_index(), Some(0));
    assert_eq!(fields(&a.key_schema), ["city string"]);
    assert_eq!(calls(&a), ["sum(price)", "avg(weight)", "count(*)"]);
    let window = ["window_start timestamp not null", "window_end timestamp not null", "city string"];
    let result = ["sum(price) double", "avg(weight) double", "count(*) bigint not null"];
    assert_eq!(fields(&a.result_schema), [window, result].concat());
    let outputs = ["revenue double", "avg_weight double", "cnt bigint not null", "_event_time timestamp not null"];
    assert_eq!(fields(&a.output_schema()), [window.as_slice(), &outputs].concat());
    let indices: Vec<_> = a.outputs.iter().map(crate::expr::ScalarExpr::column_index).collect();
    assert_eq!(indices, [Some(3), Some(4), Some(5)], "a call alone is passed on without work");
}

#[test]
fn equal_calls_are_kept_once_however_they_are_written() {
    let columns = [
        column("spread", "std(price) + stddev(price) + stddev_samp(price)", None),
        column("all_paid", "every(paid) and bool_and(paid)", None),
        column("mean", "sum(price) / count(*)", None),
        column("total", "round( SUM( price ), 2)", None),
        column("n", "count(1) + count(*)", None),
        column("big", "sum(price) filter (where price > 10)", None),
        column("big_too", "sum(price)", Some("price > 10")),
        column("both", "sum(price) filter (where price > 10)", Some("paid")),
    ];
    let a = compiled(&["city"], &columns).unwrap();
    assert_eq!(
        calls(&a),
        [
            "stddev_samp(price)",
            "bool_and(paid)",
            "sum(price)",
            "count(*)",
            "sum(price) FILTER (WHERE (price > 10))",
            "sum(price) FILTER (WHERE ((price > 10) AND paid))"
        ]
    );
    let filtered: Vec<_> = a.calls.iter().map(|c| c.filter.is_some()).collect();
    assert_eq!(filtered, [false, false, false, false, true, true]);
}

#[test]
fn a_filter_of_the_column_holds_for_each_of_its_calls() {
    let a = compiled(&[], &[column("x", "sum(price) / count(*)", Some("paid"))]).unwrap();
    assert_eq!(calls(&a), ["sum(price) FILTER (WHERE paid)", "count(*) FILTER (WHERE paid)"]);
}

#[test]
fn results_have_the_documented_types() {
    let cases = [
        ("sum(seats)", "bigint"),
        ("sum(userId)", "bigint"),
        ("sum(weight)", "double"),
        ("sum(price)", "double"),
        ("sum(amount)", "decimal(20,2)"),
        ("sum(cast(userId as decimal(38,0)))", "decimal(38,0)"),
        ("avg(seats)", "double"),
        ("avg(userId)", "double"),
        ("avg(weight)", "double"),
        ("avg(amount)", "decimal(14,6)"),
        ("count(city)", "bigint"),
        ("count(s)", "bigint"),
        ("min(weight)", "float"),
        ("max(amount)", "decimal(10,2)"),
        ("min(city)", "string"),
        ("max(upper(city))", "string"),
        ("max(day)", "date"),
        ("min(_event_time)", "timestamp"),
        ("max(paid)", "boolean"),
        ("sum(price * seats)", "double"),
        ("sum(case when paid then 1 else 0 end)", "bigint"),
        ("sum(coalesce(seats, 0))", "bigint"),
        ("sum(price) > 3", "boolean"),
        ("stddev(amount)", "double"),
        ("corr(seats, price)", "double"),
        ("every(paid)", "boolean"),
        ("any(price > 3)", "boolean"),
        ("bit_or(seats)", "int"),
        ("bit_xor(userId)", "bigint"),
        ("first(s)", "struct<a: int>"),
        ("last(city) ignore nulls", "string"),
        ("any_value(day, true)", "date"),
        ("max_by(tags, _event_time)", "array<int>"),
        ("min_by(amount, price) + 1", "decimal(23,2)"),
        ("count(distinct upper(city))", "bigint"),
        ("approx_count_distinct(amount)", "bigint"),
        ("percentile(seats, 0.5)", "double"),
        ("median(amount)", "double"),
        ("approx_percentile(seats, 1)", "int"),
        ("percentile_approx(weight, 0.1 + 0.8)", "float"),
        ("percentile_approx(amount, 0.5)", "decimal(10,2)"),
        ("array_agg(s)", "array<struct<a: int>>"),
        ("collect_list(tags)", "array<array<int>>"),
        ("collect_set(city)", "array<string>"),
        ("listagg(city)", "string"),
        ("upper(string_agg(city, '; '))", "string"),
        ("histogram(seats, -1, 0.5, 1e3)", "array<bigint>"),
        ("upper(city)", "string"),
        ("city", "string"),
        ("window_end", "timestamp"),
        ("date_format(window_start, 'HH:mm')", "string"),
        ("'constant'", "string"),
    ];
    for (expr, expected) in cases {
        let a = compiled(&["city"], &[column("x", expr, None)]).unwrap_or_else(|e| panic!("{expr}: {e:?}"));
        assert_eq!(DataType::from_arrow(a.outputs[0].field.data_type()).unwrap().to_string(), expected, "{expr}");
        assert!(a.calls.iter().all(|c| c.accumulator().is_ok()), "{expr}");
    }
}

#[test]
fn counting_rows_costs_no_array() {
    let a = compiled(&[], &[column("n", "count(*)", None)]).unwrap();
    assert_eq!(a.calls[0].args[0].column_index(), Some(10));
}

#[test]
fn a_column_must_be_grouped_or_aggregated() {
    let why = "is neither grouped by nor inside an aggregate, so a group has no single value of it: add it to \
               groupBy, or take";
    assert_eq!(refused_expr("price"), format!("`price` {why} `max(price)`"));
    assert_eq!(refused_expr("sum(price) + seats"), format!("`seats` {why} `max(seats)`"));
    assert_eq!(refused_expr("s.a"), format!("`s` {why} `max(s)`"));
}

#[test]
fn what_aggregates_cannot_do_is_refused() {
    assert_eq!(
        refused_expr("sum(distinct price)"),
        "`sum(DISTINCT price)`: an aggregate of distinct values takes two steps: the first has `price` and the group \
         columns in its `groupBy`, the second has the same window and writes `sum(price)`"
    );
    assert!(
        refused_expr("sum(price order by price)").ends_with("a clause such as ORDER BY in `sum` is not supported yet")
    );
    assert_eq!(
        refused_expr("sum(sum(price))"),
        "`sum(sum(price))` has an aggregate inside an aggregate, which needs two steps"
    );
    assert_eq!(refused_expr("sum(*)"), "`sum(*)`: `*` is only for `count(*)`, `sum` takes a column");
    assert_eq!(
        refused_expr("regr_slope(price, seats)"),
        "the aggregate `regr_slope` is not supported yet: the reference of expressions lists those that are"
    );
    assert_eq!(
        refused_expr("sum(pricee)").split(':').next(),
        Some("there is no column `pricee` (did you mean `price`?)")
    );
    assert!(
        refused_expr("min(s)")
            .starts_with("`min` takes numbers, strings, dates, timestamps and booleans, and `s` is a struct<a: int>")
    );
    assert!(refused_expr("max(tags)").starts_with("`max` takes numbers"));
    assert!(refused_expr("sum(window_start)").starts_with("there is no column `window_start`"));
    assert!(refused_expr("sum(random())").contains("another result when an epoch is run again"));
    assert!(refused_expr("sum(price) > now()").contains("another result when an epoch is run again"));
    assert_eq!(refused_expr("sum(city)"), "`sum` takes numbers, and `city` is a string");
    assert_eq!(refused_expr("avg(paid)"), "`avg` takes numbers, and `paid` is a boolean");
    assert_eq!(refused_expr("sum(price > 2)"), "`sum` takes numbers, and `(price > 2)` is a boolean");
    assert_eq!(refused_expr("sum(day)"), "`sum` takes numbers, and `day` is a date");
    assert_eq!(refused_expr("sum(price, price)"), "`sum(price, price)` has 2 arguments, and `sum` takes one");
    assert_eq!(refused_expr("corr(price)"), "`corr(price)` has 1 argument, and `corr` takes two");
    assert_eq!(refused_expr("stddev(city)"), "`stddev_samp` takes numbers, and `city` is a string");
    assert_eq!(refused_expr("covar_pop(price, day)"), "`covar_pop` takes numbers, and `day` is a date");
    assert_eq!(refused_expr("any(seats)"), "`bool_or` takes conditions, and `seats` is an int");
    assert_eq!(refused_expr("bit_and(price)"), "`bit_and` takes ints and bigints, and `price` is a double");
    assert_eq!(
        refused_expr("first(city, paid)"),
        "the second argument of `first` is `true` if nulls don't count, or `false`, and `paid` is neither"
    );
    assert_eq!(
        refused_expr("min_by(city, s)"),
        "`min_by` takes numbers, strings, dates, timestamps and booleans, and `s` is a struct<a: int>"
    );
    assert_eq!(refused_expr("min_by(city)"), "`min_by(city)` has 1 argument, and `min_by` takes two");
    assert_eq!(
        refused_expr("count_distinct(tags)"),
        "`count_distinct` takes numbers, strings, dates, timestamps and booleans, and `tags` is an array<int>"
    );
    assert_eq!(
        refused_expr("approx_count_distinct(city, 0.05)"),
        "`approx_count_distinct(city, decimal(5e-2))` has 2 arguments, and `approx_count_distinct` takes one; its \
         error is always about 1.6%"
    );
    for found in ["95", "-0.1", "seats", "'a'", "cast(null as double)", "1e0 / 0"] {
        for function in ["percentile", "percentile_approx"] {
            let said = refused_expr(&format!("{function}(price, {found})"));
            let why = format!("the second argument of `{function}` is a constant from 0 to 1, such as 0.95, and `");
            assert!(said.starts_with(&why) && said.ends_with("` is none"), "{said}");
        }
    }
    assert_eq!(
        refused_expr("percentile_approx(price, 0.5, 100)"),
        "`percentile_approx(price, decimal(5e-1), 100)` has 3 arguments, and `percentile_approx` takes two; its error \
         is always 1% at most"
    );
    assert_eq!(refused_expr("median(city)"), "`median` takes numbers, and `city` is a string");
    assert_eq!(
        refused_expr("string_agg(seats, ',')"),
        "`string_agg` takes strings, and `seats` is an int: write `cast(seats as string)`"
    );
    assert_eq!(
        refused_expr("listagg(city, city)"),
        "the second argument of `string_agg` is a constant text between the values, such as ',', and `city` is none"
    );
    assert_eq!(refused_expr("collect_list(distinct city)"), "`collect_list(DISTINCT city)`: write `collect_set(city)`");
    assert_eq!(
        refused_expr("histogram(price)"),
        "`histogram(price)` has 1 argument, and `histogram` takes a number and the bounds of its buckets"
    );
    assert_eq!(
        refused_expr("histogram(price, seats)"),
        "the bounds of `histogram` are constant numbers, as in `histogram(price, 10, 100)`, and `seats` is none"
    );
    assert_eq!(
        refused_expr("histogram(price, 1, 3, 3)"),
        "the bounds of `histogram` ascend, as in `histogram(price, 10, 100)`, and `Int64(3)` is not above the bound \
         before it"
    );
    assert!(refused_expr("min(null)").starts_with("this is always null"));
    assert_eq!(
        refused_expr("sum(price) + city"),
        "`+` takes two numbers, or a time and an interval, and found a double (`sum(price)`) and a string (`city`): \
         write `cast(city as double)` for the number in the text, or `||` to join texts"
    );
    assert!(refused_expr("min(city) = sum(price)").ends_with(": cast the text, as in `cast(min(city) as double)`"));
}

#[test]
fn filters_are_conditions_on_rows() {
    let refused = |expr: &str, filter: Option<&str>| refused(&["city"], &[column("x", expr, filter)]);
    let not_boolean = "a condition must be a boolean, and this is a double: compare it, as in `price > 0`";
    assert_eq!(refused("sum(price)", Some("price")), [(AggregatePart::ColumnFilter(0), not_boolean.into())]);
    assert_eq!(refused("sum(price) filter (where price)", None), [(AggregatePart::ColumnExpr(0), not_boolean.into())]);
    let nested = "a filter sees the rows that are aggregated: it cannot have an aggregate";
    assert_eq!(refused("sum(price)", Some("sum(price) > 3")), [(AggregatePart::ColumnFilter(0), nested.into())]);
    let nothing = "`city` has no aggregate for a filter to apply to";
    assert_eq!(refused("city", Some("paid")), [(AggregatePart::ColumnFilter(0), nothing.into())]);
}

#[test]
fn group_columns_must_be_there_and_comparable() {
    let refused_key = |key: &str| {
        let mut errors = refused(&[key], &[column("n", "count(*)", None)]);
        assert_eq!((errors.len(), errors[0].0), (1, AggregatePart::GroupName(0)), "{errors:?}");
        errors.remove(0).1
    };
    assert!(
        refused_key("ctiy")
            .starts_with("there is no column `ctiy` (did you mean `city`?): the columns are city, price")
    );
    assert!(refused_key("upper(city)").ends_with("; an expression needs a name: write {name: …, expr: …}"));
    assert!(refused_key("s").contains("group by its fields"));
    assert!(refused_key("tags").contains("an array is no one value"));
    assert_eq!(refused_key("window_end"), "`window_end` is in the output without being grouped by: leave it out");
    assert!(refused_key("_event_time").contains("the window groups by it already"));
    let twice = refused(&["city", "city"], &[column("n", "count(*)", None)]);
    assert_eq!(
        twice,
        [(AggregatePart::GroupName(1), "two columns of groupBy are named `city`: leave one out, or rename it".into())]
    );
    for key in ["city", "price", "weight", "seats", "userId", "amount", "paid", "day"] {
        assert!(compiled(&[key], &[column("n", "count(*)", None)]).is_ok(), "{key}");
    }
}

fn computed(name: &str, expr: &str) -> GroupColumn {
    GroupColumn { name: name.into(), expr: Some(expr.into()) }
}

fn grouped(group_by: &[GroupColumn], columns: &[AggregateColumn]) -> Result<Aggregate, Vec<(AggregatePart, String)>> {
    let errors = |errors: Vec<super::AggregateError>| errors.into_iter().map(|e| (e.at, e.message)).collect();
    compile(Input::Source(0), &rides(), Window::tumbling(5), group_by, columns).map_err(errors)
}

#[test]
fn a_key_may_be_computed_under_a_name_of_its_own() {
    let columns = [
        column("n", "count(*)", None),
        column("shout", "concat(town, '!')", None),
        column("again", "concat(upper(city), city)", None),
        column("mean", "avg(length(city))", None),
    ];
    let a = grouped(&[computed("town", "upper(city)"), computed("city", "lower(city)")], &columns).unwrap();
    assert_eq!(fields(&a.key_schema), ["town string", "city string"]);
    let texts: Vec<_> = a.group_by.iter().map(|key| key.computed.as_ref().unwrap().text.as_str()).collect();
    assert_eq!(texts, ["upper(city)", "lower(city)"]);
    // Outside an aggregate, a name means the key, and a key's expression is replaced by the key; inside an aggregate, a
    // name means the input's column.
    let reads: Vec<_> = a.outputs.iter().map(columns_of).collect();
    assert_eq!(reads, [vec![4], vec![2], vec![2, 3], vec![5]]);
    assert_eq!(calls(&a)[1..], ["avg(character_length(city))"]);
    let same = grouped(&[computed("city", " city ")], &columns[..1]).unwrap();
    assert!(same.group_by[0].computed.is_none(), "it is the input's column");
}

/// The result columns that an output reads, in ascending order.
fn columns_of(output: &crate::expr::ScalarExpr) -> Vec<usize> {
    let found = datafusion_physical_expr::utils::collect_columns(&output.physical);
    let mut indices: Vec<_> = found.iter().map(|column| column.index()).collect();
    indices.sort_unstable();
    indices
}

#[test]
fn a_computed_key_is_refused_by_its_place() {
    let one = [column("n", "count(*)", None)];
    let refused = |name: &str, expr: &str| grouped(&[computed(name, expr)], &one).map(|_| ()).unwrap_err();
    let said = |name, expr| refused(name, expr).remove(0);
    assert_eq!(said("a", "sum(price)").0, AggregatePart::GroupExpr(0));
    assert!(said("a", "sum(price)").1.contains("groupBy cannot have an aggregate"));
    assert!(said("a", "ctiy").1.starts_with("there is no column `ctiy` (did you mean `city`?)"));
    assert!(said("a", "s").1.starts_with("rows cannot be grouped by `s`, since a struct is no one value"));
    assert!(said("a", "window_start").1.starts_with("there is no column `window_start`"));
    let reserved = "`window_start` is a column that the window adds: choose another name";
    assert_eq!(said("window_start", "city"), (AggregatePart::GroupName(0), reserved.into()));
}

#[test]
fn output_names_must_differ_from_all_others() {
    let names: Vec<_> = refused(
        &["city"],
        &[
            column("n", "count(*)", None),
            column("n", "sum(price)", None),
            column("city", "count(*)", None),
            column("window_start", "count(*)", None),
            column("_event_time", "count(*)", None),
            column("", "count(*)", None),
        ],
    );
    let expected = [
        (AggregatePart::ColumnName(1), "two columns are named `n`: choose another name"),
        (
            AggregatePart::ColumnName(2),
            "`city` is a group column already, and group columns are in the output: choose another name, or leave it \
             out",
        ),
        (AggregatePart::ColumnName(3), "`window_start` is a column that the window adds: choose another name"),
        (AggregatePart::ColumnName(4), "`_event_time` is the name of a row's time: choose another name"),
        (AggregatePart::ColumnName(5), "a column needs a name"),
    ];
    assert_eq!(names, expected.map(|(at, why)| (at, why.to_owned())));
}

#[test]
fn every_error_is_reported_at_once() {
    let columns =
        [column("a", "sum(nope)", Some("nope > 1")), column("b", "price >", None), column("c", "count(*)", None)];
    let places: Vec<_> = refused(&["city", "nope"], &columns).into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        places,
        [
            AggregatePart::GroupName(1),
            AggregatePart::ColumnFilter(0),
            AggregatePart::ColumnExpr(0),
            AggregatePart::ColumnExpr(1)
        ]
    );
}

#[test]
fn a_window_needs_an_event_time() {
    let schema = schema_of(&[("price", "double")]);
    let errors = compiled_over(&schema, &[], &[column("n", "count(*)", None)]).unwrap_err();
    assert_eq!(errors, [(AggregatePart::Step, "a window needs an event time: give the source `eventTime`".to_owned())]);
}

#[test]
fn windows_over_windows_have_start_and_end_of_the_outer_one() {
    let inner = schema_of(&[
        ("window_start", "timestamp"),
        ("window_end", "timestamp"),
        ("n", "bigint"),
        ("_event_time", "timestamp"),
    ]);
    let columns =
        [column("first", "min(window_start)", None), column("here", "window_start", None), column("n", "sum(n)", None)];
    let a = compiled_over(&inner, &[], &columns).unwrap();
    assert_eq!(calls(&a), ["min(window_start)", "sum(n)"]);
    assert_eq!(a.outputs[1].column_index(), Some(0));
    let grouped = compiled_over(&inner, &["window_start"], &columns[..1]).unwrap_err();
    let why =
        "the output has a `window_start` of its own: write another name, and the input's `window_start` as its expr";
    assert_eq!(grouped, [(AggregatePart::GroupName(0), why.to_owned())]);
}

#[test]
fn a_group_column_may_have_the_name_of_a_call() {
    let schema = schema_of(&[("count(*)", "string"), ("_event_time", "timestamp")]);
    let a = compiled_over(&schema, &["count(*)"], &[column("n", "count(*)", None), column("same", "`count(*)`", None)])
        .unwrap();
    let indices: Vec<_> = a.outputs.iter().map(crate::expr::ScalarExpr::column_index).collect();
    assert_eq!(indices, [Some(3), Some(2)]);
}

#[test]
fn a_compiled_step_may_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Aggregate>();
}
