//! Quotients of decimals, rounded half away from zero as in Spark. Arrow's kernel cuts them off.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, Decimal128Array, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Schema};
use arrow::error::ArrowError;
use datafusion_common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::BinaryExpr;

use crate::functions::decimals::quotient;

/// The quotient that stands in place of a division of decimals.
#[derive(Debug, Eq)]
pub(super) struct Quotient {
    pub of: Arc<BinaryExpr>,
}

impl PartialEq for Quotient {
    fn eq(&self, other: &Self) -> bool {
        self.of.eq(&other.of)
    }
}

impl Hash for Quotient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

impl fmt::Display for Quotient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt(f)
    }
}

impl PhysicalExpr for Quotient {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.of.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.of.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let (one, other) = (self.of.left().evaluate(batch)?, self.of.right().evaluate(batch)?);
        let is_constant = matches!((&one, &other), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { batch.num_rows() };
        let (one, other) = (one.into_array(rows)?, other.into_array(rows)?);
        let (DataType::Decimal128(_, scale_of_one), DataType::Decimal128(_, scale_of_other)) =
            (one.data_type(), other.data_type())
        else {
            return internal_err!("a quotient of {} and {}", one.data_type(), other.data_type());
        };
        let DataType::Decimal128(precision, scale) = self.of.data_type(&batch.schema())? else {
            return internal_err!("a quotient of decimals is none");
        };
        let shift = scale - scale_of_one + scale_of_other;
        let pairs = one.as_primitive::<Decimal128Type>().iter().zip(other.as_primitive::<Decimal128Type>());
        let of_pair = |(a, b): (Option<i128>, Option<i128>)| match (a, b) {
            (Some(_), Some(0)) => Err(ArrowError::DivideByZero.into()),
            (Some(a), Some(b)) => quotient(a, b, shift).map(Some).ok_or_else(|| {
                exec_datafusion_err!(
                    "a quotient has more than 38 digits: cast the operands to decimals of fewer digits"
                )
            }),
            _ => Ok(None),
        };
        let values = pairs.map(of_pair).collect::<Result<Decimal128Array>>()?;
        let values = values.with_precision_and_scale(precision, scale)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(values))
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.of.children()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let of = BinaryExpr::new(Arc::clone(&children[0]), *self.of.op(), Arc::clone(&children[1]));
        Ok(Arc::new(Self { of: Arc::new(of) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt_sql(f)
    }
}
