//! Weir's values are Spark's. `rows.json` has Spark's type and value of each expression of `table.py`, row by row, as
//! `make spark-parity` has found them with Spark itself. Each difference stands in `differences.rs`, and in the table
//! of the reference page with its reason.

#![allow(clippy::unwrap_used, clippy::panic)]

mod differences;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use serde::Deserialize;
use serde_json::Value;
use weir_plan::expr::compile;
use weir_plan::types::{Column, DataType};

use differences::{DIFFERENCES, How};
use values::{are_same, array_of, value_of};

#[derive(Deserialize)]
struct Spark {
    /// The names of all functions.
    functions: Vec<String>,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    columns: Vec<(String, String)>,
    rows: Vec<Vec<Value>>,
    results: Vec<OfSpark>,
}

/// What Spark makes of an expression.
#[derive(Deserialize)]
struct OfSpark {
    sql: String,
    /// Why Spark refuses it as a whole.
    refused: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    values: Vec<Value>,
}

/// What Weir makes of it: the type, and the value of each row or why there is none; or why the expression is refused.
type OfWeir = Result<(String, Vec<Result<Value, String>>), String>;

fn spark() -> Spark {
    serde_json::from_str(include_str!("rows.json")).unwrap()
}

fn schema(table: &Table) -> SchemaRef {
    let column = |(name, kind): &(String, String)| {
        let data_type = DataType::parse(kind).unwrap();
        Column { name: name.clone(), data_type, nullable: true }.to_field()
    };
    Arc::new(Schema::new(table.columns.iter().map(column).collect::<Vec<_>>()))
}

fn batches(table: &Table, schema: &SchemaRef) -> Vec<RecordBatch> {
    let batch = |row: &Vec<Value>| {
        let columns = row.iter().zip(schema.fields()).map(|(value, field)| array_of(value, field.data_type()));
        RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
    };
    table.rows.iter().map(batch).collect()
}

/// Evaluates row by row, so that a row that fails does not hide the others.
fn of_weir(sql: &str, schema: &SchemaRef, rows: &[RecordBatch]) -> OfWeir {
    let expr = compile(sql, schema, "x").map_err(|why| why.0)?;
    let of = DataType::from_arrow(expr.field.data_type())
        .unwrap()
        .to_string()
        .replace(", ", ",")
        .replace(": ", ":")
        .replace(" not null", "")
        .replace('`', "");
    Ok((of, rows.iter().map(|row| expr.evaluate(row).map(|found| value_of(&found)).map_err(|why| why.0)).collect()))
}

/// How they differ, with a line for each value that does.
fn difference(spark: &OfSpark, weir: &OfWeir) -> Option<(How, String)> {
    let (spark_type, (weir_type, values)) = match (&spark.r#type, weir) {
        (None, Err(_)) => return None,
        (None, Ok((of, values))) => {
            let refused = spark.refused.as_deref().unwrap_or_default();
            return Some((How::Taken, format!("  Spark refuses it: {refused}\n  Weir: {of} {values:?}\n")));
        }
        // A constant that fails is refused here, and fails there for each row without a null.
        (Some(_), Err(_))
            if spark.values.iter().any(is_error) && spark.values.iter().all(|v| v.is_null() || is_error(v)) =>
        {
            return None;
        }
        (Some(of), Err(why)) => {
            return Some((How::Refused, format!("  Spark: {of} {:?}\n  Weir refuses it: {why}\n", spark.values)));
        }
        (Some(of), Ok(found)) => (of, found),
    };
    let (mut rows, mut lines) = (Vec::new(), String::new());
    if spark_type != weir_type {
        writeln!(lines, "  the type is {spark_type} in Spark and {weir_type} here").unwrap();
    }
    for (i, (theirs, ours)) in spark.values.iter().zip(values).enumerate() {
        let is_equal = match ours {
            // The page says it once for all expressions.
            Err(_) | Ok(Value::Null) if is_beyond_years(theirs, spark_type) => true,
            Err(_) => is_error(theirs),
            Ok(ours) => are_same(theirs, ours, spark_type),
        };
        if !is_equal {
            rows.push(i);
            writeln!(lines, "  row {i}: Spark {theirs}, Weir {ours:?}").unwrap();
        }
    }
    let rows: &'static [usize] = rows.leak();
    let of: &'static str = weir_type.clone().leak();
    let how = match (spark_type == weir_type, rows.is_empty()) {
        (true, true) => return None,
        (true, false) => How::Rows(rows),
        (false, true) => How::Type(of),
        (false, false) => How::TypeAndRows(of, rows),
    };
    Some((how, lines))
}

fn is_error(value: &Value) -> bool {
    value.get("error").is_some()
}

/// Whether this is a date or a time beyond the years 1 to 9999, which are all that Weir has.
fn is_beyond_years(value: &Value, of: &str) -> bool {
    let is_beyond = |text: &str| text.starts_with(['+', '-']) || text.starts_with("0000-");
    ["date", "timestamp"].contains(&of) && value.as_str().is_some_and(is_beyond)
}

#[test]
fn values_are_sparks_but_for_the_differences_that_are_listed() {
    let listed: BTreeMap<(&str, &str), How> =
        DIFFERENCES.iter().flat_map(|d| d.cases).map(|(table, sql, how)| ((*table, *sql), *how)).collect();
    let mut seen = 0;
    let mut said = String::new();
    for table in &spark().tables {
        let schema = schema(table);
        let rows = batches(table, &schema);
        for of_spark in &table.results {
            let of_weir = of_weir(&of_spark.sql, &schema, &rows);
            let listed = listed.get(&(&*table.name, &*of_spark.sql)).copied();
            seen += usize::from(listed.is_some());
            // The page lists the functions that there are not, and a test beside them holds it to that.
            let lacks = matches!(&of_weir, Err(why) if why.starts_with("there is no function"));
            let found = difference(of_spark, &of_weir).filter(|_| !lacks);
            if found.as_ref().map(|(how, _)| *how) != listed {
                let (how, lines) = found
                    .map_or_else(|| ("none".to_owned(), String::new()), |(how, lines)| (format!("{how:?}"), lines));
                writeln!(said, "({:?}, {:?}, {how}) and listed is {listed:?}\n{lines}", table.name, of_spark.sql)
                    .unwrap();
            }
        }
    }
    assert!(said.is_empty(), "{said}");
    assert_eq!(seen, listed.len(), "an expression of differences.rs is not in the table");
}

/// Names that are operators' or keywords' as well.
const WORDS: [&str; 7] = ["and", "between", "case", "extract", "in", "not", "or"];

#[test]
fn a_function_of_spark_that_is_not_here_is_refused_with_what_to_write() {
    let table = &spark().tables[0];
    let schema = schema(table);
    let mut said = String::new();
    for name in spark().functions.iter().filter(|name| !WORDS.contains(&name.as_str())) {
        let refused = compile(&format!("{name}(1)"), &schema, "x").map_or_else(|why| why.0, |_| String::new());
        let lacks = format!("there is no function `{name}`");
        // What is there is called with other arguments, or is an aggregate; what is not has advice behind a colon.
        let is_bare =
            refused.strip_prefix(&lacks).is_some_and(|rest| !rest.starts_with(": ") || rest.contains("did you"));
        if is_bare {
            writeln!(said, "{refused}").unwrap();
        }
    }
    assert!(said.is_empty(), "{said}");
}

/// The page of functions.
fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/functions.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn spark_has_run_each_function_of_the_page_but_for_those_that_it_has_not() {
    let page = page();
    let tables = page.split("\n| Fails |").next().unwrap().split("\n| Function |").skip(1);
    let rows = tables.flat_map(str::lines).filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names: BTreeSet<_> =
        rows.flat_map(|cell| cell.split('`').step_by(2)).filter_map(|s| s.split('(').next()).collect();
    let not_sparks = page.split_once("not Spark's:").unwrap().1.split_once("\n\n").unwrap().0;
    let not_sparks: BTreeSet<_> = not_sparks.split('`').skip(1).step_by(2).collect();
    let spark = spark();
    let is_run = |name: &str| {
        let call = format!("{name}(");
        spark.tables.iter().flat_map(|table| &table.results).any(|run| run.refused.is_none() && run.sql.contains(&call))
    };
    let is_sparks = |name: &str| spark.functions.iter().any(|known| known == name);
    for name in names {
        assert_eq!(not_sparks.contains(name), !is_run(name), "{name} is to be run, or to be named as not Spark's");
        assert!(!(not_sparks.contains(name) && is_sparks(name)), "{name} is Spark's");
    }
}

/// The names in the first cells of the table of what fails.
fn failing() -> Vec<String> {
    let text = page();
    let table = text.split("\n| Fails |").nth(1).unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The name of the function that is called by an expression which calls one alone.
fn called(sql: &str) -> Option<&str> {
    let (name, args) = sql.strip_suffix(')')?.split_once('(')?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_name && !args.contains(['(', ')'])).then_some(name)
}

#[test]
fn a_function_that_fails_on_a_value_is_named_with_what_fails() {
    let failing = failing();
    let mut said = String::new();
    for table in &spark().tables {
        let schema = schema(table);
        let rows = batches(table, &schema);
        for of_spark in &table.results {
            let Some(name) = called(&of_spark.sql).filter(|name| !failing.iter().any(|known| known == name)) else {
                continue;
            };
            let Ok((_, values)) = of_weir(&of_spark.sql, &schema, &rows) else { continue };
            if let Some(why) = values.into_iter().find_map(Result::err) {
                writeln!(said, "{name}: {}: {why}", of_spark.sql).unwrap();
            }
        }
    }
    assert!(said.is_empty(), "{said}");
}

/// The first cells of the table's rows.
fn rows_of_the_page() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/expressions.md");
    let text = std::fs::read_to_string(page).unwrap();
    let section = text.split("\n## Where values differ from Spark\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.split(" | ").next().unwrap()[2..].replace("\\|", "|")).collect()
}

/// The rows of the page that no expression of the table shows: they are about literals, conditions, and what Weir alone
/// has.
const SHOWN_BY_NONE: usize = 7;

#[test]
fn each_difference_has_its_row_on_the_page_and_each_row_its_difference() {
    let rows = rows_of_the_page();
    for difference in DIFFERENCES {
        assert_eq!(rows.iter().filter(|row| *row == difference.row).count(), 1, "{}", difference.row);
        assert!(!difference.cases.is_empty(), "{}", difference.row);
    }
    assert_eq!(rows.len() - DIFFERENCES.len(), SHOWN_BY_NONE, "a row of the page is shown by no expression");
}
