//! `log(x)`, the natural logarithm, and `log(base, x)`. As in Spark, the result is a double, and null where a number is
//! not above zero. DataFusion's function of this name takes ten as the base.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion_common::types::NativeType;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, TypeSignatureClass,
    Volatility,
};

use super::arguments::{result, rows_to_compute};

const NAME: &str = "log";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Log {
    signature: Signature,
}

impl Log {
    pub fn new() -> Self {
        let number = || {
            Coercion::new_implicit(TypeSignatureClass::Float, vec![TypeSignatureClass::Numeric], NativeType::Float64)
        };
        let forms = vec![TypeSignature::Coercible(vec![number()]), TypeSignature::Coercible(vec![number(), number()])];
        Self { signature: Signature::one_of(forms, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Log {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = rows_to_compute(&args);
        let doubles = |value: &ColumnarValue| -> Result<Float64Array> {
            Ok(cast(&value.to_array(rows)?, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        };
        let logarithms: Float64Array = match &args.args[..] {
            [number] => doubles(number)?.iter().map(|number| natural(number?)).collect(),
            [base, number] => {
                let (bases, numbers) = (doubles(base)?, doubles(number)?);
                let pairs = bases.iter().zip(&numbers);
                pairs.map(|(base, number)| Some(natural(number?)? / natural(base?)?)).collect()
            }
            _ => return exec_err!("{NAME} takes a number, or a base and a number"),
        };
        let logarithms: ArrayRef = Arc::new(logarithms);
        result(&args, &logarithms)
    }
}

fn natural(number: f64) -> Option<f64> {
    if number <= 0.0 { None } else { Some(number.ln()) }
}
