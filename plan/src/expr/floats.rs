//! Comparisons of floating-point numbers in the total order of [`crate::floats`].
//!
//! DataFusion compares them in Arrow's order of bits. Therefore a function around each operand first turns the value
//! into its normal form, whose bits have the right order; the simplifier folds this function for constants. Where a
//! comparison with `<` and the like remains, [`compared`] replaces the comparison and the functions by a kernel that
//! needs no copy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue, internal_err, plan_err};
use datafusion_expr::{
    Case, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion_physical_expr::expressions::BinaryExpr;
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::floats::{Float, are_equal, is_below, normalized};

const NAME: &str = "normal";

static NORMAL: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Normal { signature: Signature::any(1, Volatility::Immutable) })));

/// The expression with all compared operands in their normal form.
pub(super) fn normal(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expr.transform_up(|mut e| {
        let changed = match &mut e {
            Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
                wrap([binary.left.as_mut(), binary.right.as_mut()], schema)
            }
            Expr::Between(between) => {
                wrap([between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema)
            }
            Expr::InList(list) => wrap(std::iter::once(list.expr.as_mut()).chain(&mut list.list), schema),
            Expr::Case(case) => match &mut case.expr {
                Some(subject) => {
                    let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
                    wrap(std::iter::once(subject.as_mut()).chain(whens), schema)
                }
                None => false,
            },
            Expr::ScalarFunction(f) if ["greatest", "least"].contains(&f.func.name()) => wrap(&mut f.args, schema),
            Expr::ScalarFunction(f)
                if f.func.name() == "nullif" && f.args.len() == 2 && f.args.iter().any(|arg| is_float(arg, schema)) =>
            {
                // `nullif` returns its first argument unchanged, so the value is kept beside its normal form.
                let value = f.args[0].clone();
                wrap(&mut f.args, schema);
                let equal = f.args[0].clone().eq(f.args[1].clone());
                let null = Expr::Literal(ScalarValue::try_from(&value.get_type(schema)?)?, None);
                return Ok(Transformed::yes(Expr::Case(Case::new(
                    None,
                    vec![(Box::new(equal), Box::new(null))],
                    Some(Box::new(value)),
                ))));
            }
            _ => false,
        };
        Ok(if changed { Transformed::yes(e) } else { Transformed::no(e) })
    })?;
    Ok(rewritten.data)
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Whether the type is a float. An expression that does not type yet counts as none; coercion later reports why.
fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Float32 | DataType::Float64))
}

/// Puts floats among the operands into their normal form. Returns whether it changed any.
fn wrap<'e>(operands: impl IntoIterator<Item = &'e mut Expr>, schema: &DFSchema) -> bool {
    let mut changed = false;
    for operand in operands {
        let is_wrapped = matches!(operand, Expr::ScalarFunction(f) if f.func.name() == NAME);
        if !is_wrapped && is_float(operand, schema) {
            *operand = NORMAL.call(vec![std::mem::take(operand)]);
            changed = true;
        }
    }
    changed
}

/// The function `normal(x)`. Documents can't use its name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Normal {
    signature: Signature,
}

impl ScalarUDFImpl for Normal {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        arg_types.first().map_or_else(|| plan_err!("{NAME} takes one argument"), |t| Ok(t.clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        args.arg_fields.first().map_or_else(
            || plan_err!("{NAME} takes one argument"),
            |field| Ok(Arc::new(Field::new(NAME, field.data_type().clone(), field.is_nullable()))),
        )
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(ColumnarValue::Array(array)) => Ok(ColumnarValue::Array(normalized(&array))),
            Some(ColumnarValue::Scalar(scalar)) => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&normalized(&scalar.to_array()?), 0)?))
            }
            None => internal_err!("{NAME} takes one argument"),
        }
    }
}

/// The expression with each comparison (`<` and the like) of two floating-point numbers replaced by a comparison of
/// values.
pub(super) fn compared(physical: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let rewritten = physical.transform_up(|e| {
        let by_value = by_value(&e, schema)?;
        Ok(by_value.map_or(Transformed::no(e), Transformed::yes))
    })?;
    Ok(rewritten.data)
}

fn by_value(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(binary) = expr.downcast_ref::<BinaryExpr>() else { return Ok(None) };
    let Some(operator) = Comparison::of(*binary.op()) else { return Ok(None) };
    let types = [binary.left().data_type(schema)?, binary.right().data_type(schema)?];
    if !matches!(types, [DataType::Float32, DataType::Float32] | [DataType::Float64, DataType::Float64]) {
        return Ok(None);
    }
    Ok(Some(Arc::new(Compared { operator, left: bare(binary.left()), right: bare(binary.right()) })))
}

/// The operand without [`Normal`] around it.
fn bare(operand: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let inner =
        operand.downcast_ref::<ScalarFunctionExpr>().filter(|f| f.name() == NAME).and_then(|f| f.args().first());
    Arc::clone(inner.unwrap_or(operand))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Lt => Self::Less,
            Operator::LtEq => Self::LessOrEqual,
            Operator::Eq => Self::Equal,
            Operator::NotEq => Self::NotEqual,
            Operator::GtEq => Self::GreaterOrEqual,
            Operator::Gt => Self::Greater,
            _ => return None,
        })
    }

    /// The comparison with swapped operands: it holds for `b, a` exactly if this one holds for `a, b`.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Greater => Self::Less,
            same => same,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    /// Compares each value with a number that is not NaN. The negated comparisons make a NaN among the values greater
    /// than the number.
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    fn with_number<T: Float>(self, values: &PrimitiveArray<T>, number: T::Native) -> BooleanArray {
        match self {
            Self::Less => BooleanArray::from_unary(values, |v| v < number),
            Self::LessOrEqual => BooleanArray::from_unary(values, |v| v <= number),
            Self::Equal => BooleanArray::from_unary(values, |v| v == number),
            Self::NotEqual => BooleanArray::from_unary(values, |v| v != number),
            Self::GreaterOrEqual => BooleanArray::from_unary(values, |v| !(v < number)),
            Self::Greater => BooleanArray::from_unary(values, |v| !(v <= number)),
        }
    }

    fn with_nan<T: Float>(self, values: &PrimitiveArray<T>) -> BooleanArray {
        match self {
            Self::Less | Self::NotEqual => BooleanArray::from_unary(values, |v| !T::is_nan(v)),
            Self::LessOrEqual => BooleanArray::from_unary(values, |_| true),
            Self::Equal | Self::GreaterOrEqual => BooleanArray::from_unary(values, |v| T::is_nan(v)),
            Self::Greater => BooleanArray::from_unary(values, |_| false),
        }
    }

    fn of_each<T: Float>(self, left: &PrimitiveArray<T>, right: &PrimitiveArray<T>) -> BooleanArray {
        match self {
            Self::Less => BooleanArray::from_binary(left, right, is_below::<T>),
            Self::LessOrEqual => BooleanArray::from_binary(left, right, |a, b| !is_below::<T>(b, a)),
            Self::Equal => BooleanArray::from_binary(left, right, are_equal::<T>),
            Self::NotEqual => BooleanArray::from_binary(left, right, |a, b| !are_equal::<T>(a, b)),
            Self::GreaterOrEqual => BooleanArray::from_binary(left, right, |a, b| !is_below::<T>(a, b)),
            Self::Greater => BooleanArray::from_binary(left, right, |a, b| is_below::<T>(b, a)),
        }
    }
}

#[derive(Debug, Clone)]
struct Compared {
    operator: Comparison,
    left: Arc<dyn PhysicalExpr>,
    right: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.operator == other.operator && self.left.eq(&other.left) && self.right.eq(&other.right)
    }
}

impl Eq for Compared {}

impl Hash for Compared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operator.hash(state);
        self.left.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, self.operator.symbol(), self.right)
    }
}

impl PhysicalExpr for Compared {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        Ok(self.left.nullable(schema)? || self.right.nullable(schema)?)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let (left, right) = (self.left.evaluate(batch)?, self.right.evaluate(batch)?);
        let (values, scalar, operator) = match (left, right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => {
                return Ok(ColumnarValue::Array(match left.data_type() {
                    DataType::Float32 => {
                        Arc::new(self.operator.of_each::<Float32Type>(left.as_primitive(), right.as_primitive()))
                    }
                    _ => Arc::new(self.operator.of_each::<Float64Type>(left.as_primitive(), right.as_primitive())),
                }));
            }
            (ColumnarValue::Array(values), ColumnarValue::Scalar(scalar)) => (values, scalar, self.operator),
            (ColumnarValue::Scalar(scalar), ColumnarValue::Array(values)) => (values, scalar, self.operator.turned()),
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
                let of_one = with_scalar(&left.to_array()?, &right, self.operator)?.into_array(1)?;
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&of_one, 0)?));
            }
        };
        with_scalar(&values, &scalar, operator)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [left, right] = <[_; 2]>::try_from(children).or_else(|_| internal_err!("a comparison has two sides"))?;
        Ok(Arc::new(Self { operator: self.operator, left, right }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn with_scalar(values: &ArrayRef, scalar: &ScalarValue, operator: Comparison) -> Result<ColumnarValue> {
    fn compare<T: Float>(values: &ArrayRef, scalar: T::Native, operator: Comparison) -> ColumnarValue {
        let values = values.as_primitive::<T>();
        let compared = if T::is_nan(scalar) { operator.with_nan(values) } else { operator.with_number(values, scalar) };
        ColumnarValue::Array(Arc::new(compared))
    }
    Ok(match scalar {
        ScalarValue::Float32(Some(scalar)) => compare::<Float32Type>(values, *scalar, operator),
        ScalarValue::Float64(Some(scalar)) => compare::<Float64Type>(values, *scalar, operator),
        ScalarValue::Float32(None) | ScalarValue::Float64(None) => ColumnarValue::Scalar(ScalarValue::Boolean(None)),
        other => return internal_err!("{other} is no floating-point number"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cmp::Ordering;

    use arrow::array::{Float32Array, Float64Array};

    use crate::expr::compile;

    use super::*;

    const VALUES: [f64; 9] = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1.5, f64::MAX, f64::INFINITY, f64::NAN, -f64::NAN];

    /// Spark's order, case by case.
    fn order(a: f64, b: f64) -> Ordering {
        match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(&b).unwrap(),
            (a, b) => a.cmp(&b),
        }
    }

    /// All pairs of values, in the double columns `a` and `b` and the float columns `f` and `g`.
    fn pairs() -> (Vec<(f64, f64)>, RecordBatch) {
        let pairs: Vec<_> = VALUES
            .iter()
            .flat_map(|a| VALUES.iter().map(|b| (*a, *b)))
            .filter(|(a, b)| *a != f64::MAX && *b != f64::MAX)
            .collect();
        let column = |pick: fn(&(f64, f64)) -> f64| -> Vec<f64> { pairs.iter().map(pick).collect() };
        #[allow(clippy::cast_possible_truncation)]
        let narrow = |values: Vec<f64>| -> ArrayRef {
            Arc::new(Float32Array::from(values.into_iter().map(|v| v as f32).collect::<Vec<_>>()))
        };
        let wide = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        let columns = [
            ("a", wide(column(|p| p.0))),
            ("b", wide(column(|p| p.1))),
            ("f", narrow(column(|p| p.0))),
            ("g", narrow(column(|p| p.1))),
        ];
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        (pairs, batch)
    }

    fn evaluated(sql: &str, batch: &RecordBatch) -> ArrayRef {
        compile(sql, &batch.schema(), "x")
            .unwrap_or_else(|e| panic!("{sql}: {e}"))
            .evaluate(batch)
            .unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    #[test]
    fn nan_is_greatest_and_zeros_are_equal_in_every_comparison() {
        let (pairs, batch) = pairs();
        let check = |sql: &str, holds: &dyn Fn(Ordering) -> bool| {
            let found: Vec<_> = evaluated(sql, &batch).as_boolean().iter().map(|b| b.unwrap()).collect();
            for ((a, b), found) in pairs.iter().zip(found) {
                assert_eq!(found, holds(order(*a, *b)), "{sql} of {a} and {b}");
            }
        };
        for (left, right) in [("a", "b"), ("f", "g"), ("a", "g"), ("f", "b")] {
            check(&format!("{left} < {right}"), &|o| o.is_lt());
            check(&format!("{left} <= {right}"), &|o| o.is_le());
            check(&format!("{left} = {right}"), &|o| o.is_eq());
            check(&format!("{left} <> {right}"), &|o| o.is_ne());
            check(&format!("{left} >= {right}"), &|o| o.is_ge());
            check(&format!("{left} > {right}"), &|o| o.is_gt());
            check(&format!("not ({left} < {right})"), &|o| o.is_ge());
            check(&format!("{left} is distinct from {right}"), &|o| o.is_ne());
            check(&format!("{left} in ({right})"), &|o| o.is_eq());
            check(&format!("{left} between {right} and {right}"), &|o| o.is_eq());
            check(&format!("nullif({left}, {right}) is null"), &|o| o.is_eq());
            check(&format!("case {left} when {right} then true else false end"), &|o| o.is_eq());
            check(&format!("greatest({left}, {right}) = {left}"), &|o| o.is_ge());
            check(&format!("least({left}, {right}) = {left}"), &|o| o.is_le());
        }
    }

    #[test]
    fn a_literal_on_either_side_and_constants_compare_alike() {
        let (pairs, batch) = pairs();
        for (text, literal) in
            [("0e0", 0.0), ("-1.5", -1.5), ("0e0/0e0", f64::NAN), ("1e0/0e0", f64::INFINITY), ("-0e0", -0.0)]
        {
            for (operator, holds) in [
                ("<", Ordering::is_lt as fn(Ordering) -> bool),
                ("<=", Ordering::is_le),
                ("=", Ordering::is_eq),
                ("<>", Ordering::is_ne),
                (">=", Ordering::is_ge),
                (">", Ordering::is_gt),
            ] {
                let right = evaluated(&format!("a {operator} {text}"), &batch);
                let left = evaluated(&format!("{text} {operator} a"), &batch);
                for (row, (a, _)) in pairs.iter().enumerate() {
                    assert_eq!(right.as_boolean().value(row), holds(order(*a, literal)), "{a} {operator} {text}");
                    assert_eq!(left.as_boolean().value(row), holds(order(literal, *a)), "{text} {operator} {a}");
                }
            }
            let constant = evaluated(&format!("{text} < -5"), &batch);
            assert_eq!(constant.as_boolean().value(0), order(literal, -5.0).is_lt(), "{text}");
        }
    }

    #[test]
    fn nulls_stay_nulls_and_values_stay_what_they_were() {
        let batch = RecordBatch::try_from_iter_with_nullable([(
            "a",
            Arc::new(Float64Array::from(vec![None, Some(-0.0)])) as ArrayRef,
            true,
        )])
        .unwrap();
        assert_eq!(evaluated("a < 1e0", &batch).as_boolean(), &BooleanArray::from(vec![None, Some(true)]));
        assert_eq!(evaluated("a < cast(null as double)", &batch).null_count(), 2);
        let kept = evaluated("nullif(a, 7e0)", &batch);
        assert_eq!(kept.as_primitive::<Float64Type>().value(1).to_bits(), (-0.0_f64).to_bits());
    }
}
