//! `to_unixtime(timestamp | date | text[, patterns…] | number)`: whole seconds since 1970-01-01T00:00:00Z, rounded
//! down, as in Spark. DataFusion's function of this name rounds toward zero, which is up for times before 1970.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::by_pattern;
use super::to_timestamp::ToTimestamp;
use crate::calendar::US_PER_SECOND;

const NAME: &str = "to_unixtime";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToUnixtime {
    signature: Signature,
    /// Reads all arguments except numbers, which are seconds already.
    reader: ToTimestamp,
}

impl ToUnixtime {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), reader: ToTimestamp::of_seconds(NAME) }
    }
}

impl ScalarUDFImpl for ToUnixtime {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [DataType::Decimal128(..)] => plan_err!("{NAME} takes a time, a text or a number, and found a decimal"),
            _ => self.reader.coerce_types(arg_types),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        by_pattern::check_constant_patterns(NAME, &args)?;
        Ok(Arc::new(Field::new(NAME, DataType::Int64, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [number] = &args.args[..]
            && number.data_type().is_numeric()
        {
            return number.cast_to(&DataType::Int64, None);
        }
        let times = match self.reader.invoke_with_args(args)? {
            ColumnarValue::Array(times) => times,
            ColumnarValue::Scalar(time) => {
                let seconds = seconds(&time.to_array()?)?;
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&seconds, 0)?));
            }
        };
        Ok(ColumnarValue::Array(seconds(&times)?))
    }
}

fn seconds(times: &ArrayRef) -> Result<ArrayRef> {
    let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
        return exec_err!("{NAME} takes a time");
    };
    let seconds: Int64Array = times.unary(|time_us| time_us.div_euclid(US_PER_SECOND));
    Ok(Arc::new(seconds))
}
