//! Compiles a top: the first rows of each key and window. It is an aggregate whose one call keeps these rows.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::{Result as DataFusionResult, not_impl_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, ident};
use datafusion_physical_expr::aggregate::AggregateExprBuilder;

use super::accumulators::{Kind, TopRows};
use super::{Aggregate, Call, Gives, Key, WINDOW_END, WINDOW_START};
use crate::expr::{self, Binder, ExprError, ScalarExpr};
use crate::input::Input;
use crate::row_keys::RowKey;
use crate::types::{EVENT_TIME, list_of};
use crate::window::Window;

/// What a top step is made of, as the document gives it.
#[derive(Debug, Clone)]
pub struct Top<'d> {
    pub window: Window,
    pub key: &'d RowKey,
    pub ranks: &'d [Rank<'d>],
    pub limit: usize,
    pub keeps_ties: bool,
}

/// One criterion by which rows are ranked.
#[derive(Debug, Clone, Copy)]
pub struct Rank<'d> {
    pub expr: &'d str,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Compiles a top over `input`, whose rows have `input_schema` and an event time.
///
/// # Errors
/// A sentence for each criterion that is wrong, with its index.
pub fn compile_top(input: Input, input_schema: &SchemaRef, top: &Top<'_>) -> Result<Aggregate, Vec<(usize, String)>> {
    let (mut ranks, mut errors) = (Vec::new(), Vec::new());
    for (i, rank) in top.ranks.iter().enumerate() {
        match ranked_by(rank, input_schema) {
            Ok(expr) => ranks.push(expr),
            Err(why) => errors.push((i, why)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    compiled(input, input_schema, top, ranks).map_err(|e| vec![(0, e.0)])
}

fn ranked_by(rank: &Rank<'_>, schema: &SchemaRef) -> Result<ScalarExpr, String> {
    let expr = expr::compile(rank.expr, schema, "orderBy").map_err(|e| e.to_string())?;
    match expr.field.data_type() {
        DataType::Struct(_) | DataType::List(_) | DataType::Map(..) => {
            Err(format!("found `{}`, which is no one value: rank by a number, a text or a time", rank.expr))
        }
        _ => Ok(expr),
    }
}

fn compiled(input: Input, schema: &SchemaRef, top: &Top<'_>, ranks: Vec<ScalarExpr>) -> Result<Aggregate, ExprError> {
    let binder = Binder::new(schema)?;
    let column = |name: &str| binder.scalar(ident(name), name, name);
    let own: Vec<FieldRef> = schema.fields().iter().filter(|field| field.name() != EVENT_TIME).cloned().collect();
    // The window is part of the key as it is.
    let is_bound = |field: &FieldRef| [WINDOW_START, WINDOW_END].contains(&field.name().as_str());
    let keys = top.key.schema().fields().iter().filter(|field| !is_bound(field));
    let group_by: Vec<Key> =
        keys.map(|field| Ok(Key { value: column(field.name())?, computed: None })).collect::<Result<_, ExprError>>()?;
    let orders =
        top.ranks.iter().map(|rank| SortOptions { descending: rank.descending, nulls_first: rank.nulls_first });
    let kept = TopRows {
        ranks: orders.collect(),
        limit: top.limit,
        keeps_ties: top.keeps_ties,
        columns: own.iter().cloned().collect(),
    };
    let columns = own.iter().map(|field| column(field.name())).collect::<Result<Vec<_>, _>>()?;
    let args: Vec<ScalarExpr> = ranks.into_iter().chain(columns).collect();
    let call = call(top, kept, args, schema).map_err(|e| binder.error(&e))?;
    let key_fields: Vec<FieldRef> = group_by.iter().map(|key| Arc::clone(&key.value.field)).collect();
    let of_call = Arc::new(Field::new(&call.name, call.function.field().data_type().clone(), true));
    let results = top.window.fields().into_iter().chain(key_fields.iter().cloned()).chain([of_call]);
    let result_schema = Arc::new(Schema::new(results.collect::<Vec<_>>()));
    let gives = Gives::Rows { with_window: !matches!(top.window, Window::OfInput { .. }) };
    Ok(Aggregate {
        input,
        window: top.window,
        group_by,
        calls: vec![call],
        key_schema: Arc::new(Schema::new(key_fields)),
        result_schema,
        outputs: Vec::new(),
        gives,
    })
}

fn call(top: &Top<'_>, kept: TopRows, args: Vec<ScalarExpr>, schema: &SchemaRef) -> DataFusionResult<Call> {
    let rank = |rank: &Rank<'_>| {
        let (direction, nulls) =
            (["asc", "desc"][usize::from(rank.descending)], ["last", "first"][usize::from(rank.nulls_first)]);
        format!("{} {direction} nulls {nulls}", rank.expr)
    };
    let ranks: Vec<_> = top.ranks.iter().map(rank).collect();
    let ties = if top.keeps_ties { " with ties" } else { "" };
    let name = format!("top({}{ties} by {})", top.limit, ranks.join(", "));
    let returns = list_of(DataType::Struct(kept.columns.clone()));
    let function = Function { returns, signature: Signature::user_defined(Volatility::Immutable) };
    let physical = args.iter().map(|arg| Arc::clone(&arg.physical)).collect();
    let function = AggregateExprBuilder::new(Arc::new(AggregateUDF::new_from_impl(function)), physical)
        .schema(Arc::clone(schema))
        .alias(&name)
        .build()?;
    let kind = Kind::Top(kept);
    let types: Vec<_> = args.iter().map(|arg| arg.field.data_type()).collect();
    let state_fields = kind.state_fields(&types).unwrap_or_default();
    let mut reads: Vec<FieldRef> = schema.fields().iter().filter(|field| field.name() != EVENT_TIME).cloned().collect();
    reads.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(Call { name, function: Arc::new(function), args, filter: None, state_fields, added_state: 0, reads, kind })
}

/// The call as DataFusion's interface wants it. No document can name it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    returns: DataType,
    signature: Signature,
}

impl AggregateUDFImpl for Function {
    fn name(&self) -> &'static str {
        "top"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.returns.clone())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> DataFusionResult<Box<dyn Accumulator>> {
        not_impl_err!("a top has no accumulator of DataFusion")
    }
}
