//! Compiles an aggregate step, and reports all of its errors at once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DataFusionError};
use datafusion_expr::Expr;

use super::calls::Calls;
use super::keys::{self, PlannedKey};
use super::{Aggregate, AggregateColumn, AggregateError, AggregatePart, Gives, GroupColumn, RowColumns};
use crate::expr::{Binder, ExprError, ScalarExpr, with_room};
use crate::input::Input;
use crate::types::has_event_time;
use crate::window::Window;

/// Compiles the aggregation of `input`, whose rows have `input_schema`, over `window` and the columns of `group_by`.
///
/// # Errors
/// All that is wrong, each error with its place.
pub fn compile(
    input: Input,
    input_schema: &SchemaRef,
    window: Window,
    group_by: &[GroupColumn],
    columns: &[AggregateColumn],
) -> Result<Aggregate, Vec<AggregateError>> {
    with_room(|| {
        let mut step = Step { input_schema, errors: Vec::new() };
        let compiled = step.compile(input, window, group_by, columns);
        compiled.filter(|_| step.errors.is_empty()).ok_or(step.errors)
    })
    .unwrap_or_else(|e| Err(vec![AggregateError { at: AggregatePart::Step, message: e.0 }]))
}

/// Compiles columns that are computed for each row, with aggregates over rows around it: `price - avg(price)`. Outside
/// of aggregates, a column is the row's own.
///
/// # Errors
/// All that is wrong, each error with its place.
pub fn compile_over(input_schema: &SchemaRef, columns: &[AggregateColumn]) -> Result<RowColumns, Vec<AggregateError>> {
    with_room(|| {
        let mut step = Step { input_schema, errors: Vec::new() };
        let compiled = step.compile_over(columns);
        compiled.filter(|_| step.errors.is_empty()).ok_or(step.errors)
    })
    .unwrap_or_else(|e| Err(vec![AggregateError { at: AggregatePart::Step, message: e.0 }]))
}

struct Step<'a> {
    input_schema: &'a SchemaRef,
    errors: Vec<AggregateError>,
}

impl Step<'_> {
    /// `None` only if there are errors.
    fn compile(
        &mut self,
        input: Input,
        window: Window,
        group_by: &[GroupColumn],
        columns: &[AggregateColumn],
    ) -> Option<Aggregate> {
        let needs_event_time = !matches!(window, Window::Global { expire_after_us: None });
        if needs_event_time && !has_event_time(self.input_schema) {
            let what = if window.has_bounds() { "a window" } else { "expireAfter" };
            self.refuse(AggregatePart::Step, format!("{what} needs an event time: give the source `eventTime`"));
            return None;
        }
        let keys = keys::plan(self.input_schema, window, group_by).map_err(|errors| self.errors.extend(errors));
        self.check_names(window, group_by, columns);
        let planner = Binder::new(&planning_schema(self.input_schema, window, group_by));
        let calls = Calls::new(self.input_schema);
        let (planner, mut calls) = match (planner, calls) {
            (Ok(planner), Ok(calls)) => (planner, calls),
            (Err(e), _) | (_, Err(e)) => {
                self.refuse(AggregatePart::Step, e.0);
                return None;
            }
        };
        let planned: Vec<_> =
            columns.iter().enumerate().map(|(i, column)| self.plan(i, column, &planner, &mut calls)).collect();
        // Which columns an output may use depends on the keys, so wrong keys end the check here.
        let keys = keys.ok()?;
        let key_fields = keys.iter().map(|planned| Arc::clone(&planned.key.value.field));
        let key_schema: SchemaRef = Arc::new(Schema::new(key_fields.collect::<Vec<_>>()));
        let bounds = Schema::new(window.fields());
        let (result_schema, call_names) =
            result_schema(bounds.fields().iter().cloned().chain(fields_of(&key_schema)), &calls);
        let finisher = Binder::new(&result_schema).map_err(|e| self.refuse(AggregatePart::Step, e.0)).ok()?;
        let mut outputs = Vec::with_capacity(columns.len());
        for (i, (column, planned)) in columns.iter().zip(planned).enumerate() {
            let Some(planned) = planned else { continue };
            match finish(planned, column, &finisher, &keys, &call_names, &bounds) {
                Ok(output) => outputs.push(output),
                Err(e) => self.refuse(AggregatePart::ColumnExpr(i), e.0),
            }
        }
        Some(Aggregate {
            input,
            window,
            group_by: keys.into_iter().map(|planned| planned.key).collect(),
            calls: calls.into_calls(),
            key_schema,
            result_schema,
            outputs,
            gives: Gives::Group,
        })
    }

    /// `None` only if there are errors.
    fn compile_over(&mut self, columns: &[AggregateColumn]) -> Option<RowColumns> {
        let (planner, calls) = (Binder::new(self.input_schema), Calls::new(self.input_schema));
        let (planner, mut calls) = match (planner, calls) {
            (Ok(planner), Ok(calls)) => (planner, calls),
            (Err(e), _) | (_, Err(e)) => {
                self.refuse(AggregatePart::Step, e.0);
                return None;
            }
        };
        let planned: Vec<_> =
            columns.iter().enumerate().map(|(i, column)| self.plan(i, column, &planner, &mut calls)).collect();
        let (result_schema, call_names) = result_schema(fields_of(self.input_schema), &calls);
        let finisher = Binder::new(&result_schema).map_err(|e| self.refuse(AggregatePart::Step, e.0)).ok()?;
        let mut outputs = Vec::with_capacity(columns.len());
        for (i, (column, planned)) in columns.iter().zip(planned).enumerate() {
            let Some(planned) = planned else { continue };
            let output =
                replaced(planned, &[], &call_names).and_then(|expr| finisher.scalar(expr, &column.expr, &column.name));
            match output {
                Ok(output) => outputs.push(output),
                Err(e) => self.refuse(AggregatePart::ColumnExpr(i), e.0),
            }
        }
        Some(RowColumns { calls: calls.into_calls(), result_schema, outputs })
    }

    fn refuse(&mut self, at: AggregatePart, message: String) {
        self.errors.push(AggregateError { at, message });
    }

    fn check_names(&mut self, window: Window, group_by: &[GroupColumn], columns: &[AggregateColumn]) {
        for (i, column) in columns.iter().enumerate() {
            let name = &column.name;
            let why = if name.is_empty() {
                "a column needs a name".to_owned()
            } else if let Some(why) = keys::reserved(name, window) {
                format!("`{name}` {why}: choose another name")
            } else if group_by.iter().any(|group| group.name == *name) {
                format!(
                    "`{name}` is a group column already, and group columns are in the output: choose another name, or \
                     leave it out"
                )
            } else if columns[..i].iter().any(|other| other.name == *name) {
                format!("two columns are named `{name}`: choose another name")
            } else {
                continue;
            };
            self.refuse(AggregatePart::ColumnName(i), why);
        }
    }

    /// Plans the column's expression: adds its aggregate calls to `calls` and keeps where each occurs.
    fn plan(&mut self, i: usize, column: &AggregateColumn, planner: &Binder, calls: &mut Calls) -> Option<Planned> {
        let filter = match &column.filter {
            None => Ok(None),
            Some(sql) => calls.filter(sql).map(Some),
        };
        let filter = filter.map_err(|e| self.refuse(AggregatePart::ColumnFilter(i), e.0));
        let planned = planner.plan(&column.expr).map_err(|why| planner.advised(why, &column.expr));
        let planned = planned.map_err(|e| self.refuse(AggregatePart::ColumnExpr(i), e.0)).ok()?;
        let found = aggregates_in(&planned);
        if found.is_empty() && column.filter.is_some() {
            let why = format!("`{}` has no aggregate for a filter to apply to", column.expr);
            self.refuse(AggregatePart::ColumnFilter(i), why);
        }
        let filter = filter.ok()?;
        let places =
            found.into_iter().map(|aggregate| calls.add(&aggregate, filter.as_ref()).map(|index| (aggregate, index)));
        let places =
            places.collect::<Result<_, _>>().map_err(|e| self.refuse(AggregatePart::ColumnExpr(i), e.0)).ok()?;
        Some(Planned { expr: planned, places })
    }
}

struct Planned {
    expr: Expr,
    /// The aggregates that occur in `expr`, each with its index into the calls.
    places: Vec<(Expr, usize)>,
}

/// A column's expression, with its calls and the keys' expressions replaced by columns of the result.
fn replaced(planned: Planned, keys: &[PlannedKey], calls: &[String]) -> Result<Expr, ExprError> {
    let name_of = |key: &PlannedKey| key.key.value.field.name().clone();
    let replaced = planned.expr.transform_down(|e| {
        let call = planned.places.iter().find(|(aggregate, _)| *aggregate == e).map(|(_, index)| calls[*index].clone());
        // A key's name means the key, even if a column of the input has that name too.
        let is_name = matches!(&e, Expr::Column(column) if keys.iter().any(|key| name_of(key) == column.name));
        let name = call.or_else(|| keys.iter().find(|key| !is_name && key.expr == e).map(name_of));
        Ok::<_, DataFusionError>(match name {
            Some(name) => Transformed::new(Expr::Column(Column::new_unqualified(name)), true, TreeNodeRecursion::Jump),
            None => Transformed::no(e),
        })
    });
    Ok(replaced.map_err(|e| ExprError(e.strip_backtrace()))?.data)
}

/// Compiles a column, which may use nothing but keys, the window's bounds and calls.
fn finish(
    planned: Planned,
    column: &AggregateColumn,
    finisher: &Binder,
    keys: &[PlannedKey],
    calls: &[String],
    bounds: &Schema,
) -> Result<ScalarExpr, ExprError> {
    let replaced = replaced(planned, keys, calls)?;
    let is_key = |name: &String| keys.iter().any(|key| key.key.value.field.name() == name);
    let is_bound = |name: &String| bounds.fields().find(name).is_some();
    let allowed = |name: &String| is_bound(name) || is_key(name) || calls.contains(name);
    if let Some(stray) = replaced.column_refs().into_iter().map(|c| &c.name).filter(|name| !allowed(name)).min() {
        return Err(ExprError(format!(
            "`{stray}` is neither grouped by nor inside an aggregate, so a group has no single value of it: add it to \
             groupBy, or take `max({stray})`"
        )));
    }
    finisher.scalar(replaced, &column.expr, &column.name)
}

/// The distinct aggregates in `planned`. Those nested in another aggregate are not listed.
fn aggregates_in(planned: &Expr) -> Vec<Expr> {
    let mut found = Vec::new();
    let _ = planned.apply(|e| {
        if !matches!(e, Expr::AggregateFunction(_)) {
            return Ok(TreeNodeRecursion::Continue);
        }
        if !found.contains(e) {
            found.push(e.clone());
        }
        Ok(TreeNodeRecursion::Jump)
    });
    found
}

/// The names that an expression may use: the input's columns, the window's bounds and computed keys.
fn planning_schema(input: &SchemaRef, window: Window, group_by: &[GroupColumn]) -> SchemaRef {
    let mut fields: Vec<FieldRef> = input.fields().to_vec();
    // This type is a placeholder: types are checked after names have been replaced by what they stand for.
    let computed = group_by.iter().filter(|group| group.expr.is_some());
    let keys = computed.map(|group| Arc::new(Field::new(&group.name, DataType::Utf8, true)));
    for own in window.fields().into_iter().chain(keys) {
        if !fields.iter().any(|f| f.name() == own.name()) {
            fields.push(own);
        }
    }
    Arc::new(Schema::new(fields))
}

fn fields_of(schema: &SchemaRef) -> impl Iterator<Item = FieldRef> {
    schema.fields().iter().cloned()
}

/// A schema with these columns and then one per call, and the names of the calls' columns in it.
fn result_schema(first: impl Iterator<Item = FieldRef>, calls: &Calls) -> (SchemaRef, Vec<String>) {
    let mut fields: Vec<FieldRef> = first.collect();
    let mut taken: HashSet<String> = fields.iter().map(|f| f.name().clone()).collect();
    let mut names = Vec::new();
    for call in calls.iter() {
        let field = call.function.field();
        let mut name = field.name().clone();
        while !taken.insert(name.clone()) {
            name.push('\'');
        }
        fields.push(Arc::new(Field::new(&name, field.data_type().clone(), field.is_nullable())));
        names.push(name);
    }
    (Arc::new(Schema::new(fields)), names)
}
