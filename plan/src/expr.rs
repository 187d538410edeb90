//! SQL scalar expressions: parsed, typed, simplified and compiled when the pipeline is validated.
//!
//! The dialect is DataFusion's, with these choices: names mean what they say (`userId` is not folded to lower case); the types in casts are
//! those of [`crate::types`]; a whole literal is a bigint, one with a point, `0.1`, a decimal, one with an exponent, `1e-1`, a double; dividing
//! integers gives an integer. The same rows give the same result for ever: what depends on the clock or on chance is refused.
//!
//! At run time nothing is silently wrong. A cast that fails is an error (`try_cast` gives null instead), and so are division of integers by
//! zero and overflow of `+`, `-` and `*` over integers and decimals. DataFusion by itself wraps around; compiled expressions ask for its
//! checked kernels. Constants are the exception: `9223372036854775807 + 1` is folded before that, and wraps; so does `-x` of the least bigint.

mod bind;
mod canonical;
mod context;
mod message;
mod mistyped;
mod parse;
mod signature;
mod stack;
#[cfg(test)]
mod tests;
mod unite;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;

pub(crate) use bind::{Binder, refuse_aggregates};
pub(crate) use canonical::{canonical, stored_type};
pub(crate) use message::{no_such_column, type_name};
pub(crate) use stack::with_room;

/// A compiled expression over the rows of one schema.
#[derive(Debug, Clone)]
pub struct ScalarExpr {
    /// As the user wrote it.
    pub sql: String,
    /// Output name, type and nullability.
    pub field: Arc<Field>,
    pub physical: Arc<dyn PhysicalExpr>,
}

/// Why an expression is refused: one sentence, without the place in the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExprError(pub String);

/// Compiles an expression over the columns of `schema`. The result has one of the types of [`crate::types::DataType`], and `name`.
///
/// # Errors
/// If the text does not parse, names what is not there, does not type, or would not give the same result when run again.
pub fn compile(sql: &str, schema: &SchemaRef, name: &str) -> Result<ScalarExpr, ExprError> {
    stack::with_room(|| {
        let binder = Binder::new(schema)?;
        let expr = binder.plan(sql)?;
        refuse_aggregates(&expr)?;
        binder.scalar(expr, sql, name)
    })?
}

/// Compiles a condition. A null counts as not fulfilled, as in SQL's WHERE.
///
/// # Errors
/// As [`compile`], and if it is not a boolean.
pub fn compile_predicate(sql: &str, schema: &SchemaRef) -> Result<ScalarExpr, ExprError> {
    let predicate = compile(sql, schema, "condition")?;
    refuse_other_than_boolean(predicate.field.data_type())?;
    Ok(predicate)
}

pub(crate) fn refuse_other_than_boolean(found: &DataType) -> Result<(), ExprError> {
    match found {
        DataType::Boolean => Ok(()),
        other => Err(ExprError(format!(
            "a condition must be a boolean, and this is a {}: compare it, as in `price > 0`",
            message::type_name(other)
        ))),
    }
}

impl ScalarExpr {
    /// The value for each row: as many as the batch has, of exactly the field's type.
    ///
    /// # Errors
    /// If a row's value cannot be computed (a cast that fails, overflow, division by zero). Nothing says which row it was.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        self.try_evaluate(batch).map_err(|why| ArrowError::ComputeError(format!("`{}`: {why}", self.sql)))
    }

    fn try_evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, String> {
        let rows = batch.num_rows();
        let array = self.physical.evaluate(batch).and_then(|v| v.into_array(rows)).map_err(|e| message::describe(&e))?;
        if array.len() != rows || array.data_type() != self.field.data_type() {
            let (found, wanted) = (array.data_type(), self.field.data_type());
            return Err(format!("gave {} values of {found} instead of {rows} of {wanted}", array.len()));
        }
        Ok(array)
    }

    /// Which column of the schema this is, if it is one as it stands.
    #[must_use]
    pub fn column_index(&self) -> Option<usize> {
        self.physical.downcast_ref::<Column>().map(Column::index)
    }
}
