//! The arguments of a call, row by row: a constant has the same value in each row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};

/// The values: one row for a constant, all rows otherwise.
pub(super) fn rows(value: &ColumnarValue) -> Result<ArrayRef> {
    match value {
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
        ColumnarValue::Array(array) => Ok(Arc::clone(array)),
    }
}

/// The number of rows to compute: one if all arguments are constants.
pub(super) fn rows_to_compute(args: &ScalarFunctionArgs) -> usize {
    if is_constant(args) { 1 } else { args.number_rows }
}

/// The result of a call, as a constant if all its arguments are.
pub(super) fn result(args: &ScalarFunctionArgs, values: &ArrayRef) -> Result<ColumnarValue> {
    Ok(if is_constant(args) {
        ColumnarValue::Scalar(ScalarValue::try_from_array(values, 0)?)
    } else {
        ColumnarValue::Array(Arc::clone(values))
    })
}

fn is_constant(args: &ScalarFunctionArgs) -> bool {
    args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

pub(super) struct Texts {
    values: StringArray,
    is_one: bool,
}

impl Texts {
    pub fn of(value: &ColumnarValue) -> Result<Self> {
        let values = cast(&rows(value)?, &DataType::Utf8)?.as_string::<i32>().clone();
        Ok(Self { values, is_one: matches!(value, ColumnarValue::Scalar(_)) })
    }

    pub fn at(&self, row: usize) -> Option<&str> {
        let row = if self.is_one { 0 } else { row };
        if self.values.is_null(row) { None } else { Some(self.values.value(row)) }
    }

    pub fn is_constant(&self) -> bool {
        self.is_one
    }
}

pub(super) struct Integers {
    values: Int64Array,
    is_one: bool,
}

impl Integers {
    pub fn of(value: &ColumnarValue) -> Result<Self> {
        let values = cast(&rows(value)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(Self { values, is_one: matches!(value, ColumnarValue::Scalar(_)) })
    }

    pub fn at(&self, row: usize) -> Option<i64> {
        let row = if self.is_one { 0 } else { row };
        if self.values.is_null(row) { None } else { Some(self.values.value(row)) }
    }

    pub fn is_constant(&self) -> bool {
        self.is_one
    }
}
