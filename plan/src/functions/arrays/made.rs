//! `array(a, b, …)`: an array of the values of a row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, plan_err};
use datafusion_expr::type_coercion::binary::type_union_coercion;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::super::arguments::{result, rows_to_compute};
use super::items::made_of;
use crate::types::normalized;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MakeArray {
    signature: Signature,
}

impl MakeArray {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for MakeArray {
    fn name(&self) -> &str {
        "array"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((first, rest)) = arg_types.split_first() else {
            return plan_err!("`array()` has no items, so its type is not known: write the items");
        };
        let common = rest.iter().try_fold(first.clone(), |common, next| type_union_coercion(&common, next));
        match common.as_ref().filter(|common| !common.is_null()).and_then(normalized) {
            Some(common) => Ok(vec![common; arg_types.len()]),
            None => plan_err!("`array` takes values of one type: cast them to one type"),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(item) => Ok(DataType::List(Arc::new(Field::new("element", item.clone(), true)))),
            None => plan_err!("`array` takes values"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = rows_to_compute(&args);
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let values = concat(&columns.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?;
        let of_row = |row| Some((0..columns.len()).map(|column| column * rows + row).collect());
        let arrays: ArrayRef =
            made_of(args.return_field.data_type(), &values, &(0..rows).map(of_row).collect::<Vec<_>>())?;
        result(&args, &arrays)
    }
}
