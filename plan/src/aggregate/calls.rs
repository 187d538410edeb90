//! The distinct aggregate calls of a step.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{Cast, Expr, ident};
use datafusion_physical_expr::aggregate::AggregateExprBuilder;

use super::Call;
use super::accumulators::Kind;
use super::functions::{Own, resolved};
use super::keys::reads;
use super::parameters::{self, Takes};
use crate::expr::{Binder, ExprError, ScalarExpr, canonical, refuse_aggregates};
use crate::types::{EVENT_TIME, has_event_time};

pub(super) struct Calls {
    binder: Binder,
    schema: SchemaRef,
    /// Each call, beside the expression that decides whether two calls are equal: function, coerced arguments, filter.
    calls: Vec<(Expr, Call)>,
}

/// A call whose arguments have the types that its function takes.
struct Coerced {
    /// Without the filter. Its first arguments have a value in each row; the others are constants.
    call: AggregateFunction,
    /// How many arguments have a value in each row.
    rows: usize,
    /// These arguments, as messages show them.
    texts: Vec<String>,
    kind: Kind,
}

/// A boolean condition, already checked.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    planned: Expr,
    sql: String,
}

impl Calls {
    pub fn new(input_schema: &SchemaRef) -> Result<Self, ExprError> {
        Ok(Self { binder: Binder::new(input_schema)?, schema: Arc::clone(input_schema), calls: Vec::new() })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().map(|(_, call)| call)
    }

    pub fn into_calls(self) -> Vec<Call> {
        self.calls.into_iter().map(|(_, call)| call).collect()
    }

    pub fn filter(&self, sql: &str) -> Result<Filter, ExprError> {
        let planned = || {
            let planned = self.binder.plan(sql)?;
            self.check_condition(&planned)?;
            Ok(planned)
        };
        let planned = planned().map_err(|why| self.binder.advised(why, sql))?;
        Ok(Filter { planned, sql: sql.to_owned() })
    }

    /// The index of the call `planned`, which is added if it is new.
    pub fn add(&mut self, planned: &Expr, column_filter: Option<&Filter>) -> Result<usize, ExprError> {
        let Expr::AggregateFunction(written) = planned else {
            return Err(ExprError(format!("`{planned}` is not an aggregate")));
        };
        let aggregate = &resolved(written);
        for inner in aggregate.params.args.iter().chain(aggregate.params.filter.as_deref()) {
            if refuse_aggregates(inner).is_err() {
                return Err(ExprError(format!(
                    "`{}` has an aggregate inside an aggregate, which needs two steps",
                    text(aggregate, None)
                )));
            }
        }
        let filter = self.whole_filter(aggregate, column_filter)?;
        let reads = reads(aggregate.params.args.iter().chain(filter.as_ref().map(|f| &f.planned)), &self.schema);
        let name = text(aggregate, filter.as_ref());
        let coerced = self.coerced(aggregate)?;
        let filter = filter.map(|f| Ok::<_, ExprError>((self.binder.simplify(f.planned)?, f.sql))).transpose()?;
        let mut identity = coerced.call.clone();
        identity.params.filter = filter.as_ref().map(|(condition, _)| Box::new(condition.clone()));
        let identity = Expr::AggregateFunction(identity);
        if let Some(index) = self.calls.iter().position(|(other, _)| *other == identity) {
            return Ok(index);
        }
        let call = Call { reads, ..self.compile(coerced, filter, name)? };
        self.calls.push((identity, call));
        Ok(self.calls.len() - 1)
    }

    /// The call's own `FILTER (WHERE …)` and the column's filter, joined by `and`.
    fn whole_filter(
        &self,
        aggregate: &AggregateFunction,
        column: Option<&Filter>,
    ) -> Result<Option<Filter>, ExprError> {
        let Some(own) = aggregate.params.filter.as_deref() else { return Ok(column.cloned()) };
        self.check_condition(own)?;
        Ok(Some(match column {
            None => Filter { planned: own.clone(), sql: own.to_string() },
            Some(column) => Filter {
                planned: own.clone().and(column.planned.clone()),
                sql: format!("({own}) AND ({})", column.sql),
            },
        }))
    }

    fn check_condition(&self, planned: &Expr) -> Result<(), ExprError> {
        refuse_aggregates(planned).map_err(|_| {
            ExprError("a filter sees the rows that are aggregated: it cannot have an aggregate".to_owned())
        })?;
        self.binder.condition(planned.clone()).map(|_| ())
    }

    /// The call with its arguments cast to the types that the function takes without further coercion.
    fn coerced(&self, aggregate: &AggregateFunction) -> Result<Coerced, ExprError> {
        let name = aggregate.func.name();
        let parameters = parameters::of(name);
        let written = &aggregate.params.args;
        parameters.refuse_count(written.len(), name, &text(aggregate, None)).map_err(ExprError)?;
        let (of_rows, constants) = written.split_at(parameters.rows.len());
        let mut args = Vec::with_capacity(written.len() + 1);
        let mut texts: Vec<String> = of_rows.iter().map(canonical).collect();
        for ((arg, text), takes) in of_rows.iter().zip(&texts).zip(parameters.rows) {
            args.push(self.argument(arg, text, *takes, name)?);
        }
        if parameters.by_time {
            if !has_event_time(&self.schema) {
                let call = text(aggregate, None);
                return Err(ExprError(format!("`{call}` goes by the event time: give the source `eventTime`")));
            }
            args.push(ident(EVENT_TIME));
            texts.push(EVENT_TIME.to_owned());
        }
        let constant_texts: Vec<_> = constants.iter().map(ToString::to_string).collect();
        let constants = constants.iter().map(|constant| self.binder.simplify(constant.clone()));
        let constants = constants.collect::<Result<Vec<_>, _>>()?;
        let mut call = aggregate.clone();
        call.params.filter = None;
        let rows = args.len();
        let Some(own) = Own::of(name) else {
            call.params.args = args;
            return match self.binder.simplify(Expr::AggregateFunction(call))? {
                Expr::AggregateFunction(call) => {
                    let argument = call.params.args.first().map(|argument| self.binder.type_of(argument));
                    let kind = Kind::of(name, &argument.unwrap_or(Ok(DataType::Null))?);
                    Ok(Coerced { call, rows, texts, kind })
                }
                other => {
                    Err(ExprError(format!("`{}` became `{other}`, which is not an aggregate", text(aggregate, None))))
                }
            };
        };
        let kind = own.kind(name, &constants, &constant_texts).map_err(ExprError)?;
        call.params.args = args.into_iter().chain(constants).collect();
        Ok(Coerced { call, rows, texts, kind })
    }

    /// An argument that has a value in each row, cast to a stored type that the function takes.
    fn argument(&self, planned: &Expr, text: &str, takes: Takes, function: &str) -> Result<Expr, ExprError> {
        let stored = match self.binder.simplify(planned.clone())? {
            // `count(*)` may count any column that is never null, and a column of the input needs no new array.
            Expr::Literal(value, _) if function == "count" && !value.is_null() => self.never_null(value),
            other => self.binder.stored(other)?,
        };
        let found = self.binder.type_of(&stored)?;
        let wanted = takes.cast_of(&found, function, text).map_err(ExprError)?;
        if wanted == found {
            return Ok(stored);
        }
        let cast = Cast::new_from_field(Box::new(stored), Arc::new(Field::new("", wanted, true)));
        self.binder.simplify(Expr::Cast(cast))
    }

    fn never_null(&self, literal: ScalarValue) -> Expr {
        match self.schema.field_with_name(EVENT_TIME) {
            Ok(field) if !field.is_nullable() => ident(EVENT_TIME),
            _ => Expr::Literal(literal, None),
        }
    }

    fn compile(&self, coerced: Coerced, filter: Option<(Expr, String)>, name: String) -> Result<Call, ExprError> {
        let Coerced { call, rows, texts, kind } = coerced;
        let args = call.params.args[..rows].iter().zip(&texts);
        let args = args.map(|(arg, text)| self.binder.physical(arg, text, text));
        let args = args.collect::<Result<Vec<ScalarExpr>, _>>()?;
        let filter = filter.map(|(condition, sql)| self.binder.physical(&condition, &sql, "filter")).transpose()?;
        let physical = args.iter().map(|a| Arc::clone(&a.physical)).collect();
        let function = AggregateExprBuilder::new(Arc::clone(&call.func), physical)
            .schema(Arc::clone(&self.schema))
            .alias(&name)
            .build()
            .map_err(|e| self.binder.error(&e))?;
        let types: Vec<_> = args.iter().map(|arg| arg.field.data_type()).collect();
        let mut state_fields = match kind.state_fields(&types) {
            Some(fields) => fields,
            None => function.state_fields().map_err(|e| self.binder.error(&e))?,
        };
        let added_state = kind.added_state();
        let added = added_state.len();
        state_fields.extend(added_state);
        if function.field().data_type() == &DataType::Null {
            return Err(ExprError(format!("`{}` is always null", function.name())));
        }
        Ok(Call {
            name,
            function: Arc::new(function),
            args,
            filter,
            state_fields,
            added_state: added,
            reads: Vec::new(),
            kind,
        })
    }
}

/// The call's name in saved state: see [`canonical`].
fn text(aggregate: &AggregateFunction, filter: Option<&Filter>) -> String {
    let args: Vec<_> = aggregate.params.args.iter().map(canonical).collect();
    let args = args.join(", ");
    let is_star = aggregate.func.name() == "count"
        && matches!(&aggregate.params.args[..], [Expr::Literal(value, _)] if !value.is_null());
    let call = format!("{}({})", aggregate.func.name(), if is_star { "*" } else { &args });
    filter.map_or_else(|| call.clone(), |f| format!("{call} FILTER (WHERE {})", canonical(&f.planned)))
}
