//! Finds fields that a struct does not have, while the path to them is still at hand: the planner's error names the
//! field alone.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Schema};
use datafusion_sql::sqlparser::ast::{AccessExpr, Expr, Subscript, Value, visit_expressions};

use super::ExprError;
use super::message::near_and_all;
use crate::quote::quoted;

pub(super) fn refuse_unknown_fields(parsed: &Expr, schema: &Schema) -> Result<(), ExprError> {
    let found = visit_expressions(parsed, |expr| match path(expr).and_then(|path| unknown_field(&path, schema)) {
        Some(why) => ControlFlow::Break(why),
        None => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(why) => Err(ExprError(why)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The names of a column and of fields in it: those of `s.a`, and of `s['a'].b`. It ends where something else is
/// picked.
fn path(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::CompoundIdentifier(names) => Some(names.iter().map(|name| name.value.as_str()).collect()),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut names = match root.as_ref() {
                Expr::Identifier(name) => vec![name.value.as_str()],
                other => path(other)?,
            };
            names.extend(access_chain.iter().map_while(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some(name.value.as_str()),
                AccessExpr::Dot(Expr::Value(value))
                | AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
                    Value::SingleQuotedString(name) => Some(name.as_str()),
                    _ => None,
                },
                _ => None,
            }));
            Some(names)
        }
        _ => None,
    }
}

/// The message that a struct on the path does not have the next name. Other errors are the planner's to report.
fn unknown_field(path: &[&str], schema: &Schema) -> Option<String> {
    let (column, names) = path.split_first()?;
    let mut found = schema.field_with_name(column).ok()?;
    let mut of = (*column).to_owned();
    for name in names {
        let DataType::Struct(fields) = found.data_type() else { return None };
        match fields.find(name) {
            Some((_, field)) => found = field,
            None => {
                let (hint, fields) = near_and_all(name, fields);
                return Some(format!("{} has no field {}{hint}: its fields are {fields}", quoted(&of), quoted(name)));
            }
        }
        of = format!("{of}.{name}");
    }
    None
}
