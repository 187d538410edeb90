//! `to_char(timestamp | date, format)` with chrono's formats. DataFusion's own function casts microseconds to
//! nanoseconds first, which end in 2262.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_common::types::{logical_date, logical_string};
use datafusion_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    TypeSignatureClass, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToChar {
    function: Arc<ScalarUDF>,
    signature: Signature,
}

impl ToChar {
    pub fn new() -> Self {
        let of = |time: TypeSignatureClass| {
            let format = TypeSignatureClass::Native(logical_string());
            TypeSignature::Coercible(vec![Coercion::new_exact(time), Coercion::new_exact(format)])
        };
        let forms = vec![of(TypeSignatureClass::Timestamp), of(TypeSignatureClass::Native(logical_date()))];
        Self {
            function: datafusion_functions::datetime::to_char(),
            signature: Signature::one_of(forms, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.inner().invoke_with_args(args)
    }
}
