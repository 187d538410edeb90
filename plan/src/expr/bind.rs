//! From a syntax tree to a physical expression: resolves names, coerces types, folds constants, and casts the result to
//! one of our types.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Cast, ColumnarValue, Expr, ExprSchemable, Volatility};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::create_physical_expr;
use datafusion_physical_expr::expressions::CastExpr;
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, visit_expressions};

use super::checked::{checked, is_arithmetic, refuse_beyond_years};
use super::context::CONTEXT;
use super::message::{describe, no_such_column, no_such_column_in, type_name, unknown_column, with_article};
use super::mistyped::{is_senseless, mistyped};
use super::{ExprError, ScalarExpr, fields, floats, hints, nulls, parse, patterns, quotes, signs, texts, times, unite};
use crate::functions::{VALUE_AT, of_a_map};
use crate::quote::quoted;
use crate::types::normalized;

/// Compiles expressions over one schema.
pub(crate) struct Binder {
    schema: SchemaRef,
    df_schema: DFSchemaRef,
    simplifier: ExprSimplifier,
    /// A batch of one row without columns, for constants: some functions fail only where there is a row.
    one_row: RecordBatch,
    /// A batch without rows. Evaluating over it shows failures that need no row.
    no_rows: RecordBatch,
}

impl Binder {
    pub fn new(schema: &SchemaRef) -> Result<Self, ExprError> {
        let df_schema = DFSchema::try_from(Arc::clone(schema)).map_err(|e| ExprError(describe(&e)))?;
        let df_schema = Arc::new(df_schema);
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&df_schema))
            .with_config_options(Arc::clone(&CONTEXT.options))
            .build();
        let no_rows = RecordBatch::new_empty(Arc::clone(schema));
        let row = RecordBatchOptions::new().with_row_count(Some(1));
        let one_row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &row)?;
        Ok(Self { schema: Arc::clone(schema), df_schema, simplifier: ExprSimplifier::new(context), one_row, no_rows })
    }

    /// Parses the text and resolves its names. Aggregates stay in the result; the caller decides what they mean.
    pub fn plan(&self, sql: &str) -> Result<Expr, ExprError> {
        let options = ParserOptions::new()
            .with_enable_ident_normalization(false)
            .with_map_string_types_to_utf8view(false)
            .with_parse_float_as_decimal(true);
        let parsed = parse::parse(sql).map_err(|e| self.explained(e, sql))?;
        self.refuse_unknown_tables(&parsed)?;
        fields::refuse_unknown_fields(&parsed, &self.schema)?;
        let planner = SqlToRel::new_with_options(&*CONTEXT, options);
        let expr = planner
            .sql_to_expr(parsed, &self.df_schema, &mut PlannerContext::new())
            .map_err(|e| self.error_of(&e, sql))?;
        refuse_nondeterministic(&expr, sql)?;
        of_the_context(expr, &self.df_schema).map_err(|e| self.error_of(&e, sql))
    }

    /// Coerces types and folds constants. This step is required: functions such as `coalesce` can be evaluated only in
    /// their simplified form.
    pub fn simplify(&self, expr: Expr) -> Result<Expr, ExprError> {
        let expr = unite::values_united(expr, &self.df_schema).map_err(|e| self.error(&e))?;
        if let Some(sentence) = find(&expr, |e| is_senseless(e, &self.simplifier, &self.df_schema))
            .and_then(|e| mistyped(&e, &self.simplifier, &self.df_schema))
        {
            return Err(ExprError(sentence));
        }
        times::added(expr.clone(), &self.simplifier, &self.df_schema)
            .and_then(|added| unite::united(added, &self.df_schema))
            .and_then(|united| floats::normal(united, &self.df_schema))
            .and_then(|united| self.simplifier.coerce(united, &self.df_schema))
            .and_then(|coerced| texts::read(coerced, &self.df_schema))
            .and_then(|coerced| patterns::matched(coerced, &self.df_schema))
            .and_then(|coerced| self.folded(coerced))
            .and_then(|folded| self.simplifier.simplify(folded))
            .map_err(|e| self.error_in(&expr, &e))
    }

    /// Computes arithmetic over constants with checked kernels. The simplifier's own kernels wrap around.
    fn folded(&self, coerced: Expr) -> Result<Expr, DataFusionError> {
        let folded = coerced.transform_up(|e| {
            let is_arithmetic = match &e {
                Expr::BinaryExpr(binary) => is_arithmetic(binary.op),
                Expr::Negative(_) => true,
                _ => false,
            };
            if !is_arithmetic || !e.column_refs().is_empty() || refuse_aggregates(&e).is_err() {
                return Ok(Transformed::no(e));
            }
            let simple = e.map_children(|operand| self.simplifier.simplify(operand).map(Transformed::yes))?.data;
            let physical = create_physical_expr(&simple, &self.df_schema, &ExecutionProps::new(), &Default::default());
            Ok(match physical.and_then(|p| checked(p, &self.schema))?.evaluate(&self.no_rows)? {
                ColumnarValue::Scalar(value) => Transformed::yes(Expr::Literal(value, None)),
                ColumnarValue::Array(_) => Transformed::yes(simple),
            })
        })?;
        Ok(folded.data)
    }

    pub fn type_of(&self, expr: &Expr) -> Result<DataType, ExprError> {
        expr.get_type(&self.df_schema).map_err(|e| self.error_in(expr, &e))
    }

    /// A simplified expression, cast to the type in which its result is stored.
    pub fn stored(&self, simplified: Expr) -> Result<Expr, ExprError> {
        let natural = self.type_of(&simplified)?;
        let stored = normalized(&natural).ok_or_else(|| not_storable(&natural))?;
        if stored == natural {
            return Ok(simplified);
        }
        let cast = Expr::Cast(Cast::new_from_field(Box::new(simplified), Arc::new(Field::new("", stored, true))));
        self.simplifier.simplify(cast).map_err(|e| self.error(&e))
    }

    pub fn scalar(&self, planned: Expr, sql: &str, name: &str) -> Result<ScalarExpr, ExprError> {
        self.compiled(self.simplify(planned)?, sql, name)
    }

    /// A condition, simplified. Refuses what is not a boolean, and what is never true because of a null in it.
    pub fn condition(&self, planned: Expr) -> Result<Expr, ExprError> {
        let simplified = self.simplify(planned)?;
        if nulls::is_never_true(&simplified) {
            return Err(ExprError(nulls::NEVER_TRUE.to_owned()));
        }
        match self.type_of(&simplified)? {
            DataType::Boolean => Ok(simplified),
            other => Err(ExprError(format!(
                "a condition must be a boolean, and this is {}: compare it, as in `price > 0`",
                with_article(&type_name(&other))
            ))),
        }
    }

    /// Compiles a simplified expression, whose result is stored as one of our types.
    pub fn compiled(&self, simplified: Expr, sql: &str, name: &str) -> Result<ScalarExpr, ExprError> {
        let stored = self.stored(simplified)?;
        let compiled = self.physical(&stored, sql, name)?;
        // An expression that fails without a row fails for every row: `date_trunc('hours', ts)`.
        compiled.try_evaluate(&self.no_rows).map_err(ExprError)?;
        self.refuse_failing_constants(&stored)?;
        Ok(compiled)
    }

    /// Refuses constants that fail, and those beyond the years 1 to 9999. The simplifier leaves failing calls in place,
    /// and within a `coalesce` or `case` they would fail only when a row reaches them.
    fn refuse_failing_constants(&self, simplified: &Expr) -> Result<(), ExprError> {
        let mut refused = Ok(());
        let _ = simplified.apply(|e| {
            use datafusion_common::tree_node::TreeNodeRecursion::{Continue, Jump, Stop};
            if !e.column_refs().is_empty() {
                return Ok(Continue);
            }
            if let Expr::Literal(value, _) = e {
                let values = value.to_array();
                refused = values.and_then(|values| refuse_beyond_years(&values)).map_err(|e| self.error(&e));
            } else {
                refused = self
                    .physical(e, "", "")
                    .and_then(|constant| constant.try_evaluate(&self.one_row).map_err(ExprError))
                    .map(|_| ());
            }
            Ok(if refused.is_err() { Stop } else { Jump })
        });
        refused
    }

    /// Compiles a simplified expression as it is.
    pub fn physical(&self, simplified: &Expr, sql: &str, name: &str) -> Result<ScalarExpr, ExprError> {
        let wanted = self.type_of(simplified)?;
        let compiled = create_physical_expr(simplified, &self.df_schema, &ExecutionProps::new(), &Default::default())
            .and_then(|physical| checked(physical, &self.schema))
            .and_then(|physical| floats::compared(physical, &self.schema))
            .map_err(|e| self.error_in(simplified, &e))?;
        let found = compiled.data_type(&self.schema).map_err(|e| self.error(&e))?;
        // The physical planner may know a function's type more precisely than the logical planner (names of list
        // items).
        let physical = if found == wanted { compiled } else { Arc::new(CastExpr::new(compiled, wanted.clone(), None)) };
        let nullable = physical.nullable(&self.schema).map_err(|e| self.error(&e))?;
        Ok(ScalarExpr { sql: sql.to_owned(), field: Arc::new(Field::new(name, wanted, nullable)), physical })
    }

    /// Refuses `a.b` without a column `a`: the planner would take `a` for a table.
    fn refuse_unknown_tables(&self, parsed: &SqlExpr) -> Result<(), ExprError> {
        let is_column = |name: &str| self.schema.column_with_name(name).is_some();
        let found = visit_expressions(parsed, |e| match e {
            SqlExpr::CompoundIdentifier(path) if !is_column(&path[0].value) => {
                let field = path.get(1).map(|field| field.value.clone()).filter(|field| is_column(field));
                ControlFlow::Break((path[0].value.clone(), field))
            }
            _ => ControlFlow::Continue(()),
        });
        match found {
            ControlFlow::Break((name, Some(column))) => Err(ExprError(format!(
                "there is no column {}: columns stand without the name of their input, so write {}",
                quoted(name),
                quoted(column)
            ))),
            ControlFlow::Break((name, None)) => Err(ExprError(no_such_column(&name, &self.schema))),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// The error, or what to write if the expression is right with words in place of the signs of other languages, and
    /// with quotes around columns that are reserved words. If more is wrong, the sentence says both.
    pub fn advised(&self, error: ExprError, sql: &str) -> ExprError {
        let is_column = |name: &str| self.schema.column_with_name(name).is_some();
        let fault = |words: &str| self.plan(words).and_then(|planned| self.simplify(planned)).err();
        let mut right_but_for = None;
        for words in signs::in_words(sql) {
            let in_quotes = quotes::with_names_in_quotes(&words, is_column);
            let in_quotes = in_quotes.map(|(mended, reserved)| (mended, Some(reserved)));
            for (mended, reserved) in std::iter::once((words, None)).chain(in_quotes) {
                let Some(why) = fault(&mended) else { return ExprError(instead_of_signs(&mended, reserved)) };
                if parse::parse(&mended).is_ok() {
                    right_but_for = Some((mended, reserved, why));
                }
            }
        }
        match right_but_for {
            // `||` and `!` may mean something else, `&&` does not.
            Some((mended, reserved, why)) if sql.contains("&&") => {
                ExprError(format!("{}; besides, {why}", instead_of_signs(&mended, reserved)))
            }
            _ if parse::parse(sql).is_err() => hints::beside(error, sql, is_column),
            _ => error,
        }
    }

    /// Adds to the error that a column needs quotes, or that the text of several words is a text and no expression.
    fn explained(&self, error: ExprError, sql: &str) -> ExprError {
        let is_column = |name: &str| self.schema.column_with_name(name).is_some();
        let advice = quotes::of_reserved_names(sql, is_column).or_else(|| quotes::of_a_text_of_words(sql, is_column));
        ExprError(error.0 + &advice.unwrap_or_default())
    }

    /// Like [`Self::error`], but explains quotes: `"Paris"` is a string in Spark and a column name here.
    fn error_of(&self, error: &DataFusionError, sql: &str) -> ExprError {
        match unknown_column(error) {
            Some(name) => ExprError(quotes::of_an_unknown_name(name, sql, &self.schema)),
            None => self.error(error),
        }
    }

    fn error_in(&self, expr: &Expr, error: &DataFusionError) -> ExprError {
        mistyped(expr, &self.simplifier, &self.df_schema).map_or_else(|| self.error(error), ExprError)
    }

    pub fn error(&self, error: &DataFusionError) -> ExprError {
        ExprError(no_such_column_in(error, &self.schema).unwrap_or_else(|| describe(error)))
    }
}

/// What to write in place of `&&`, `||` and `!`, and of a column that is a reserved word.
fn instead_of_signs(mended: &str, reserved: Option<String>) -> String {
    let reserved = reserved.map(|reserved| {
        format!(", and {} is a word of SQL, which stands in double quotes as a column", quoted(reserved))
    });
    format!(
        "conditions are joined by the words `and`, `or` and `not`, and not by `&&`, `||` and `!`{}: write {}",
        reserved.unwrap_or_default(),
        quotes::in_a_document(mended)
    )
}

pub(crate) fn refuse_aggregates(expr: &Expr) -> Result<(), ExprError> {
    match find(expr, |e| matches!(e, Expr::AggregateFunction(_))) {
        Some(Expr::AggregateFunction(call)) => Err(ExprError(format!(
            "`{}(…)` is an aggregate, and an aggregate belongs in an aggregate step",
            call.func.name()
        ))),
        _ => Ok(()),
    }
}

/// The expression with each function that has a syntax of its own, such as `overlay(… placing … from …)`, as the
/// context has it: the planner takes DataFusion's own. What picks from a map is a function of its own.
fn of_the_context(expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let replaced = expr.transform_up(|e| match e {
        e @ Expr::ScalarFunction(_) => {
            let is_of_a_map = of_a_map(&e, schema);
            let Expr::ScalarFunction(mut call) = e else { return Ok(Transformed::no(e)) };
            let name = if is_of_a_map { VALUE_AT } else { call.name() };
            if let Some(function) = CONTEXT.get_function_meta(name) {
                call.func = function;
            }
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn refuse_nondeterministic(expr: &Expr, sql: &str) -> Result<(), ExprError> {
    let unstable =
        |e: &Expr| matches!(e, Expr::ScalarFunction(f) if f.func.signature().volatility != Volatility::Immutable);
    let Some(Expr::ScalarFunction(found)) = find(expr, unstable) else { return Ok(()) };
    let sql = sql.to_lowercase();
    let names = std::iter::once(found.func.name()).chain(found.func.aliases().iter().map(String::as_str));
    // The user's name for it: `current_timestamp` is an alias of `now`, and is written without parentheses as well.
    let name = names.filter(|name| sql.contains(name)).max_by_key(|name| name.len()).unwrap_or(found.func.name());
    let call = if sql.contains(&format!("{name}(")) { "()" } else { "" };
    let instead = match found.func.signature().volatility {
        Volatility::Stable => "use `_event_time` or a column",
        _ => "compute it where the records are produced",
    };
    Err(ExprError(format!("`{name}{call}` would give another result when an epoch is run again: {instead}")))
}

fn find(expr: &Expr, wanted: impl Fn(&Expr) -> bool) -> Option<Expr> {
    let mut found = None;
    let _ = expr.apply(|e| {
        use datafusion_common::tree_node::TreeNodeRecursion::{Continue, Stop};
        if wanted(e) {
            found = Some(e.clone());
        }
        Ok(if found.is_some() { Stop } else { Continue })
    });
    found
}

fn not_storable(natural: &DataType) -> ExprError {
    ExprError(match natural {
        DataType::Null => {
            "this is always null, and a null has no type: cast it, as in `cast(null as string)`".to_owned()
        }
        DataType::Decimal256(precision, _) => {
            format!("this has {precision} decimal digits, and at most 38 can be stored: cast it")
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            "this is an interval, which no column can hold: add it to a time, or subtract `to_unixtime(…)` of two \
             times for the seconds between them"
                .to_owned()
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            "this is a time of day, which no column can hold: write `date_format(ts, 'HH:mm:ss')` for a text of it"
                .to_owned()
        }
        other => {
            format!("its type is {}, which no column can hold: cast it, to a bigint or a string", type_name(other))
        }
    })
}
