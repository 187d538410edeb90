//! Functions whose result depends on nothing but the values of their arguments, row by row: a name, the types that they
//! take and give, and what they compute of arrays of one length.

use std::hash::{Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, new_null_array};
use arrow::datatypes::{ArrowPrimitiveType, DataType};
use datafusion_common::types::{
    NativeType, logical_binary, logical_boolean, logical_date, logical_float64, logical_int32, logical_int64,
    logical_string,
};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, TypeSignatureClass as Class,
    Volatility,
};

/// The type of the result for arguments of these types.
pub(super) type Gives = fn(&[DataType]) -> Result<DataType>;
/// The result for arguments of the same number of rows.
pub(super) type Computes = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Any,
    Text,
    Bytes,
    Boolean,
    /// An `int`, also from a wider whole number that fits.
    Int,
    Bigint,
    Double,
    /// A number of any type, as it is.
    Number,
    /// A whole number of any type, as it is.
    Whole,
    Date,
    /// A timestamp, or a date at its midnight.
    Time,
}

impl Takes {
    pub fn coercion(self) -> Coercion {
        use Class::Native;
        match self {
            Self::Any => Coercion::new_exact(Class::Any),
            Self::Text => Coercion::new_implicit(Native(logical_string()), vec![Class::Integer], NativeType::String),
            Self::Bytes => Coercion::new_implicit(
                Native(logical_binary()),
                vec![Native(logical_string()), Class::Binary],
                NativeType::Binary,
            ),
            Self::Boolean => Coercion::new_exact(Native(logical_boolean())),
            Self::Int => Coercion::new_implicit(Native(logical_int32()), vec![Class::Integer], NativeType::Int32),
            Self::Bigint => Coercion::new_implicit(Native(logical_int64()), vec![Class::Integer], NativeType::Int64),
            Self::Double => {
                Coercion::new_implicit(Native(logical_float64()), vec![Class::Numeric], NativeType::Float64)
            }
            Self::Number => Coercion::new_exact(Class::Numeric),
            Self::Whole => Coercion::new_exact(Class::Integer),
            Self::Date => Coercion::new_implicit(
                Native(logical_date()),
                vec![Class::Timestamp, Native(logical_string())],
                NativeType::Date,
            ),
            Self::Time => super::date_trunc::a_time(),
        }
    }
}

pub(super) struct Simple {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    gives: Gives,
    computes: Computes,
}

/// A function with the lists of arguments that it takes.
pub(super) fn simple(name: &'static str, forms: &[&[Takes]], gives: Gives, computes: Computes) -> Simple {
    let mut forms: Vec<_> = forms
        .iter()
        .map(|form| match form {
            [] => TypeSignature::Nullary,
            form => TypeSignature::Coercible(form.iter().map(|takes| takes.coercion()).collect()),
        })
        .collect();
    let signature = if forms.len() == 1 { forms.remove(0) } else { TypeSignature::OneOf(forms) };
    of_signature(name, signature, gives, computes)
}

fn of_signature(name: &'static str, signature: TypeSignature, gives: Gives, computes: Computes) -> Simple {
    let signature = Signature::new(signature, Volatility::Immutable);
    Simple { name, aliases: Vec::new(), signature, gives, computes }
}

impl Simple {
    pub fn also(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }
}

impl std::fmt::Debug for Simple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simple").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Simple {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Simple {}

impl Hash for Simple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Simple {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        (self.gives)(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        if rows == 0 {
            self.try_constants(&args)?;
        }
        let arrays: Vec<_> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let values = (self.computes)(&arrays)?;
        Ok(match is_constant && values.len() == 1 {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?),
            false => ColumnarValue::Array(values),
        })
    }
}

impl Simple {
    /// Computes a row of the constants, with null in place of the other arguments, so that a wrong constant fails
    /// without a row too.
    fn try_constants(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let row = |arg: &ColumnarValue| match arg {
            ColumnarValue::Scalar(constant) => constant.to_array(),
            ColumnarValue::Array(values) => Ok(new_null_array(values.data_type(), 1)),
        };
        let row = args.args.iter().map(row).collect::<Result<Vec<_>>>()?;
        (self.computes)(&row).map(|_| ())
    }
}

/// The values of an argument, which the signature has made of this type.
pub(super) fn of<T: ArrowPrimitiveType>(args: &[ArrayRef], at: usize) -> Result<&PrimitiveArray<T>> {
    match args.get(at).and_then(|array| array.as_primitive_opt::<T>()) {
        Some(values) => Ok(values),
        None => exec_err!("argument {} is not of the type that the function takes", at + 1),
    }
}

/// The texts of an argument.
pub(super) fn texts(args: &[ArrayRef], at: usize) -> Result<arrow::array::StringArray> {
    match args.get(at) {
        Some(array) => Ok(arrow::compute::cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
        None => exec_err!("argument {} is missing", at + 1),
    }
}

/// The bytes of an argument, which is binary or a text.
pub(super) fn bytes(args: &[ArrayRef], at: usize) -> Result<arrow::array::BinaryArray> {
    match args.get(at) {
        Some(array) => Ok(arrow::compute::cast(array, &DataType::Binary)?.as_binary::<i32>().clone()),
        None => exec_err!("argument {} is missing", at + 1),
    }
}
