//! SQL scalar expressions: parsed, typed, simplified and compiled when the pipeline is validated.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_physical_expr::PhysicalExpr;

/// A compiled expression over the rows of one schema.
#[derive(Debug, Clone)]
pub struct ScalarExpr {
    /// As the user wrote it.
    pub sql: String,
    /// Output name, type and nullability.
    pub field: Arc<Field>,
    pub physical: Arc<dyn PhysicalExpr>,
}
