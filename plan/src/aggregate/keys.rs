//! The columns that rows are grouped by: columns of the input, and named expressions over them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion_expr::{Expr, ident};

use super::{AggregateError, AggregatePart, ComputedKey, GroupColumn, Key, WINDOW_END, WINDOW_START};
use crate::expr::{Binder, canonical, no_such_column, refuse_aggregates};
use crate::quote::quoted;
use crate::types::EVENT_TIME;
use crate::window::Window;

/// A key with its planned expression, which is compared with parts of the output columns to find the key there.
pub(super) struct PlannedKey {
    pub key: Key,
    pub expr: Expr,
}

/// Plans the keys, or returns all that is wrong with them.
pub(super) fn plan(
    schema: &SchemaRef,
    window: Window,
    group_by: &[GroupColumn],
) -> Result<Vec<PlannedKey>, Vec<AggregateError>> {
    let binder = Binder::new(schema).map_err(|e| vec![AggregateError { at: AggregatePart::Step, message: e.0 }])?;
    let (mut keys, mut errors) = (Vec::with_capacity(group_by.len()), Vec::new());
    for (i, column) in group_by.iter().enumerate() {
        let named =
            check_name(schema, window, column, &group_by[..i]).map_err(|why| (AggregatePart::GroupName(i), why));
        let planned = named.and_then(|()| match &column.expr {
            None => of_column(schema, &column.name, &binder).map_err(|why| (AggregatePart::GroupName(i), why)),
            Some(sql) => computed(schema, column, sql, &binder).map_err(|why| (AggregatePart::GroupExpr(i), why)),
        });
        match planned {
            Ok(key) => keys.push(key),
            Err((at, message)) => errors.push(AggregateError { at, message }),
        }
    }
    if errors.is_empty() { Ok(keys) } else { Err(errors) }
}

/// Why no column may have this name, if so.
pub(super) fn reserved(name: &str, window: Window) -> Option<&'static str> {
    let is_bound = window.has_bounds() && [WINDOW_START, WINDOW_END].contains(&name);
    match name {
        EVENT_TIME => Some("is the name of a row's time"),
        _ => is_bound.then_some("is a column that the window adds"),
    }
}

fn check_name(schema: &SchemaRef, window: Window, column: &GroupColumn, before: &[GroupColumn]) -> Result<(), String> {
    let name = &column.name;
    if name.is_empty() {
        return Err("a column needs a name".to_owned());
    }
    if name == EVENT_TIME {
        let why = match window.has_bounds() {
            true => "the window groups by it already",
            false => "give it another name, as in {name: at, expr: _event_time}",
        };
        return Err(format!("rows cannot be grouped by `{EVENT_TIME}`: {why}"));
    }
    if let Some(why) = reserved(name, window) {
        return Err(if column.expr.is_some() {
            format!("{} {why}: choose another name", quoted(name))
        } else if schema.column_with_name(name).is_none() {
            format!("{} is in the output without being grouped by: leave it out", quoted(name))
        } else {
            format!(
                "the output has a {0} of its own: write another name, and the input's {0} as its expr",
                quoted(name)
            )
        });
    }
    if before.iter().any(|other| other.name == *name) {
        return Err(format!("two columns of groupBy are named {}: leave one out, or rename it", quoted(name)));
    }
    Ok(())
}

fn of_column(schema: &SchemaRef, name: &str, binder: &Binder) -> Result<PlannedKey, String> {
    let Some((_, field)) = schema.column_with_name(name) else {
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let hint = if is_name { "" } else { "; an expression needs a name: write {name: …, expr: …}" };
        return Err(no_such_column(name, schema) + hint);
    };
    check_type(field.data_type(), name)?;
    let expr = ident(name);
    let value = binder.scalar(expr.clone(), name, name).map_err(|e| e.0)?;
    Ok(PlannedKey { key: Key { value, computed: None }, expr })
}

fn computed(schema: &SchemaRef, column: &GroupColumn, sql: &str, binder: &Binder) -> Result<PlannedKey, String> {
    let expr = binder.plan(sql).map_err(|why| binder.advised(why, sql).0)?;
    refuse_aggregates(&expr)
        .map_err(|_| "rows are grouped before anything is aggregated: groupBy cannot have an aggregate".to_owned())?;
    let value = binder.scalar(expr.clone(), sql, &column.name).map_err(|e| e.0)?;
    check_type(value.field.data_type(), sql)?;
    let is_the_column = matches!(&expr, Expr::Column(found) if found.name == column.name);
    let computed = (!is_the_column).then(|| ComputedKey { text: canonical(&expr), reads: reads([&expr], schema) });
    Ok(PlannedKey { key: Key { value, computed }, expr })
}

/// The columns that these expressions read, sorted by name.
pub(super) fn reads<'e>(expressions: impl IntoIterator<Item = &'e Expr>, schema: &SchemaRef) -> Vec<FieldRef> {
    let names = expressions.into_iter().flat_map(Expr::column_refs).map(|column| column.name.clone());
    let names: BTreeSet<_> = names.collect();
    names.iter().filter_map(|name| schema.fields().find(name)).map(|(_, field)| Arc::clone(field)).collect()
}

fn check_type(found: &DataType, what: &str) -> Result<(), String> {
    let instead = match found {
        DataType::Struct(_) => "a struct is no one value: group by its fields, as in {name: a, expr: s.a}",
        DataType::List(_) => "an array is no one value: group by a text or a number that is made of it",
        DataType::Map(..) => "a map is no one value: group by one of its values, as in {name: a, expr: \"m['a']\"}",
        _ => return Ok(()),
    };
    Err(format!("rows cannot be grouped by {}, since {instead}", quoted(what)))
}
