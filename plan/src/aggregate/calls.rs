//! The distinct aggregate calls of a step.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{Cast, Expr, ident};
use datafusion_physical_expr::aggregate::AggregateExprBuilder;

use super::accumulators::Kind;
use super::functions::Own;
use super::keys::reads;
use super::{Call, parameters};
use crate::expr::{Binder, ExprError, ScalarExpr, canonical, refuse_aggregates};
use crate::types::EVENT_TIME;

pub(super) struct Calls {
    binder: Binder,
    schema: SchemaRef,
    /// Each call, beside the expression that decides whether two calls are equal: function, coerced arguments, filter.
    calls: Vec<(Expr, Call)>,
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
        let Expr::AggregateFunction(aggregate) = planned else {
            return Err(ExprError(format!("`{planned}` is not an aggregate")));
        };
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
        let mut identity = coerced.clone();
        identity.params.filter = filter.as_ref().map(|(condition, _)| Box::new(condition.clone()));
        let identity = Expr::AggregateFunction(identity);
        if let Some(index) = self.calls.iter().position(|(other, _)| *other == identity) {
            return Ok(index);
        }
        let texts: Vec<_> = aggregate.params.args.iter().map(canonical).collect();
        let call = Call { reads, ..self.compile(&coerced, &texts, filter, name)? };
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
    fn coerced(&self, aggregate: &AggregateFunction) -> Result<AggregateFunction, ExprError> {
        let name = aggregate.func.name();
        let takes = parameters::of(name);
        let mut stored = aggregate.clone();
        stored.params.filter = None;
        if stored.params.args.len() != takes.len() {
            let (found, words) = (stored.params.args.len(), parameters::in_words(takes));
            let (call, plural) = (text(aggregate, None), if found == 1 { "" } else { "s" });
            return Err(ExprError(format!("`{call}` has {found} argument{plural}, and `{name}` takes {words}")));
        }
        for (arg, takes) in stored.params.args.iter_mut().zip(takes) {
            let written = canonical(arg);
            *arg = match self.binder.simplify(std::mem::take(arg))? {
                // `count(*)` may count any column that is never null, and a column of the input needs no new array.
                Expr::Literal(value, _) if name == "count" && !value.is_null() => self.never_null(value),
                other => self.binder.stored(other)?,
            };
            let found = self.binder.type_of(arg)?;
            let wanted = takes.cast_of(&found, name, &written).map_err(ExprError)?;
            if wanted != found {
                let cast = Cast::new_from_field(Box::new(std::mem::take(arg)), Arc::new(Field::new("", wanted, true)));
                *arg = self.binder.simplify(Expr::Cast(cast))?;
            }
        }
        if Own::of(name).is_some() {
            return Ok(stored);
        }
        match self.binder.simplify(Expr::AggregateFunction(stored))? {
            Expr::AggregateFunction(coerced) => Ok(coerced),
            other => Err(ExprError(format!("`{}` became `{other}`, which is not an aggregate", text(aggregate, None)))),
        }
    }

    fn never_null(&self, literal: ScalarValue) -> Expr {
        match self.schema.field_with_name(EVENT_TIME) {
            Ok(field) if !field.is_nullable() => ident(EVENT_TIME),
            _ => Expr::Literal(literal, None),
        }
    }

    /// Compiles the call. `texts` are the arguments as messages show them.
    fn compile(
        &self,
        coerced: &AggregateFunction,
        texts: &[String],
        filter: Option<(Expr, String)>,
        name: String,
    ) -> Result<Call, ExprError> {
        let args = coerced.params.args.iter().zip(texts).map(|(arg, text)| self.binder.physical(arg, text, text));
        let args = args.collect::<Result<Vec<ScalarExpr>, _>>()?;
        let filter = filter.map(|(condition, sql)| self.binder.physical(&condition, &sql, "filter")).transpose()?;
        let physical = args.iter().map(|a| Arc::clone(&a.physical)).collect();
        let function = AggregateExprBuilder::new(Arc::clone(&coerced.func), physical)
            .schema(Arc::clone(&self.schema))
            .alias(&name)
            .build()
            .map_err(|e| self.binder.error(&e))?;
        let argument = args.first().map_or(&DataType::Null, |arg| arg.field.data_type());
        let kind = Own::of(coerced.func.name()).map_or_else(|| Kind::of(coerced.func.name(), argument), Own::kind);
        let mut state_fields = match kind.state_fields() {
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
