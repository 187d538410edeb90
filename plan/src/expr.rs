//! SQL scalar expressions: parsed, typed, simplified and compiled when the pipeline is validated.
//!
//! The dialect is DataFusion's, with these choices: names are case-sensitive (`userId` is not folded to lower case);
//! the types in casts are those of [`crate::types`]; a whole literal is a bigint, a literal with a point (`0.1`) is a
//! decimal, a literal with an exponent (`1e-1`) is a double; dividing integers gives an integer. The same rows always
//! give the same result: expressions that depend on the clock or on chance are refused.
//!
//! At run time nothing is silently wrong. These are errors, in constants too: a cast that fails (`try_cast` gives null
//! instead), division of integers by zero, overflow of integers, and a decimal with more digits than its type holds.
//! DataFusion's default kernels wrap around; compiled expressions use its checked kernels and check the remaining cases
//! themselves (`checked`). A value that an expression computes has at most `VALUE_BYTES_MAX` bytes. A panic in a
//! function is an error of the rows that it was called with.

mod bind;
mod built;
mod calls;
mod canonical;
mod checked;
mod context;
mod dialect;
mod fields;
mod floats;
mod habits;
mod hints;
mod message;
mod methods;
mod mistyped;
mod nesting;
mod nulls;
mod operands;
mod parse;
mod patterns;
mod quotes;
mod quotients;
mod signature;
mod signs;
mod slips;
mod stack;
mod syntax;
#[cfg(test)]
mod tests;
mod texts;
mod times;
mod unite;
mod weight;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, new_empty_array};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;

use crate::functions::VALUE_BYTES_MAX;
use crate::panics;
use crate::quote::quoted;

pub(crate) use bind::{Binder, refuse_aggregates};
pub(crate) use canonical::{canonical, stored_type};
pub use message::type_name;
pub(crate) use message::{no_such_column, with_article};
pub use parse::without_place;
pub(crate) use stack::with_room;
pub use weight::weight;
pub use words::{TextPlace, Word, WordKind, words};

/// A compiled expression over rows of one schema.
#[derive(Debug, Clone)]
pub struct ScalarExpr {
    /// The expression as the user wrote it.
    pub sql: String,
    /// Output name, type and nullability.
    pub field: Arc<Field>,
    pub physical: Arc<dyn PhysicalExpr>,
}

/// Why an expression is refused, or why a row has no value: one sentence, without the place in the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExprError(pub String);

impl From<arrow::error::ArrowError> for ExprError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(message::describe(&error.into()))
    }
}

/// Compiles an expression over the columns of `schema`. The result is named `name` and has one of the types of
/// [`crate::types::DataType`].
///
/// # Errors
/// If the text does not parse, names an unknown column or function, does not type, or would not give the same result
/// when run again.
pub fn compile(sql: &str, schema: &SchemaRef, name: &str) -> Result<ScalarExpr, ExprError> {
    stack::with_room(|| compile_with(&Binder::new(schema)?, sql, name))?
}

/// Compiles many expressions over one schema, each with its name. The planner prepares the schema only once.
///
/// # Errors
/// Those of [`compile`], for each expression by itself.
#[must_use]
pub fn compile_all(expressions: &[(&str, &str)], schema: &SchemaRef) -> Vec<Result<ScalarExpr, ExprError>> {
    let together = stack::with_room(|| {
        let binder = Binder::new(schema)?;
        Ok::<_, ExprError>(expressions.iter().map(|(sql, name)| compile_with(&binder, sql, name)).collect())
    });
    // One of them made the planner panic: compile each alone, so that only that one is refused.
    together.flatten().unwrap_or_else(|_| expressions.iter().map(|(sql, name)| compile(sql, schema, name)).collect())
}

fn compile_with(binder: &Binder, sql: &str, name: &str) -> Result<ScalarExpr, ExprError> {
    let compiled = || {
        let planned = binder.plan(sql)?;
        refuse_aggregates(&planned)?;
        binder.scalar(planned, sql, name)
    };
    compiled().map_err(|why| binder.advised(why, sql))
}

/// Checks what can be checked without the columns: whether an expression parses, and whether its functions exist.
///
/// # Errors
/// One sentence, as of [`compile`].
pub fn check_syntax(sql: &str) -> Result<(), ExprError> {
    stack::with_room(|| {
        // Any name may be a column.
        let parsed = parse::parse(sql).map_err(|why| hints::beside(why, sql, |_| true))?;
        calls::refuse_unknown_functions(&parsed)
    })?
}

/// Compiles a condition. Null counts as false, as in SQL's WHERE.
///
/// # Errors
/// Those of [`compile`], an expression that is not boolean, and one that is null for every row.
pub fn compile_predicate(sql: &str, schema: &SchemaRef) -> Result<ScalarExpr, ExprError> {
    stack::with_room(|| {
        let binder = Binder::new(schema)?;
        let compiled = || {
            let planned = binder.plan(sql)?;
            refuse_aggregates(&planned)?;
            binder.compiled(binder.condition(planned)?, sql, "condition")
        };
        compiled().map_err(|why| binder.advised(why, sql))
    })?
}

impl ScalarExpr {
    /// The values of all rows of the batch, in exactly the field's type.
    ///
    /// # Errors
    /// If a row's value can't be computed (a cast that fails, overflow, division by zero). The error does not say which
    /// row.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, ExprError> {
        self.try_evaluate(batch).map_err(|why| ExprError(format!("{}: {why}", quoted(&self.sql))))
    }

    /// The values of the rows for which `rows` is true; the other rows are null. Rows left out are not evaluated, so
    /// they can't fail.
    ///
    /// # Errors
    /// Those of [`Self::evaluate`].
    pub fn evaluate_where(&self, batch: &RecordBatch, rows: &BooleanArray) -> Result<ArrayRef, ExprError> {
        if self.column_index().is_some() || rows.null_count() == 0 && !rows.has_false() {
            return self.evaluate(batch);
        }
        let kept = filter_record_batch(batch, rows)?;
        let values = if kept.num_rows() == 0 { new_empty_array(self.field.data_type()) } else { self.evaluate(&kept)? };
        let mut next = 0;
        let places = rows.iter().map(|row| {
            (row == Some(true)).then(|| {
                next += 1;
                next - 1
            })
        });
        Ok(take(&values, &places.collect::<UInt32Array>(), None)?)
    }

    fn try_evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, String> {
        let rows = batch.num_rows();
        let evaluated =
            catch_unwind(AssertUnwindSafe(|| self.physical.evaluate(batch).and_then(|v| v.into_array(rows))));
        let array = evaluated
            .map_err(|panic| {
                format!("a function in it failed without a reason that it knows of ({})", panics::said(&*panic))
            })?
            .map_err(|e| message::describe(&e))?;
        if array.len() != rows || array.data_type() != self.field.data_type() {
            let (found, wanted) = (array.data_type(), self.field.data_type());
            return Err(format!("gave {} values of {found} instead of {rows} of {wanted}", array.len()));
        }
        if self.column_index().is_none() {
            refuse_oversized(&array)?;
        }
        Ok(array)
    }

    /// The index of the column, if the expression is nothing but a column.
    #[must_use]
    pub fn column_index(&self) -> Option<usize> {
        self.physical.downcast_ref::<Column>().map(Column::index)
    }
}

/// Checks the total size first: usually all values together are shorter than one value may be.
fn refuse_oversized(array: &ArrayRef) -> Result<(), String> {
    let offsets = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().offsets(),
        DataType::Binary => array.as_binary::<i32>().offsets(),
        _ => return Ok(()),
    };
    let (first, last) = (offsets.first().copied().unwrap_or_default(), offsets.last().copied().unwrap_or_default());
    if usize::try_from(last - first).is_ok_and(|all| all <= VALUE_BYTES_MAX) {
        return Ok(());
    }
    match offsets.lengths().find(|bytes| *bytes > VALUE_BYTES_MAX) {
        None => Ok(()),
        Some(bytes) => {
            Err(format!("the result has {bytes} bytes, and a value that is computed has at most {VALUE_BYTES_MAX}"))
        }
    }
}
