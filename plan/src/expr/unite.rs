//! The common type of two types that meet: a double wins over a decimal, as in Spark and in standard SQL ("approximate"
//! beats "exact"), and a timestamp wins over a date.
//!
//! DataFusion does this in arithmetic. But it compares and unites doubles and decimals as `decimal(30,15)`:
//! `coalesce(price, 0.0)` would no longer be a double, and a price of 1e20 would fail. And it compares dates and
//! strings with timestamps in nanoseconds, which end in 2262. (Only literal strings matter here; a column of strings is
//! refused.)

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Case, Cast, Expr, ExprSchemable};

use super::context::CONTEXT;
use super::operands::is_interval;
use crate::types::timestamp_type;

/// Functions that cast their arguments to one common type.
pub(super) const UNITING: [&str; 7] = ["array", "coalesce", "nvl", "nvl2", "nullif", "greatest", "least"];

/// The expression with all that meets of one type.
pub(super) fn united(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = values_united(expr, schema)?.transform_up(|mut e| {
        let changed = match &mut e {
            Expr::BinaryExpr(binary) => unite(vec![binary.left.as_mut(), binary.right.as_mut()], schema),
            Expr::Between(between) => {
                unite(vec![between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema)
            }
            Expr::InList(list) => unite(std::iter::once(list.expr.as_mut()).chain(&mut list.list).collect(), schema),
            _ => false,
        };
        Ok(if changed { Transformed::yes(e) } else { Transformed::no(e) })
    })?;
    Ok(rewritten.data)
}

/// The expression with values of one type where one of several is the result. What is compared and computed with is
/// left.
pub(super) fn values_united(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expr.transform_up(|mut e| {
        if unites_unlike(&e, schema) {
            return Ok(Transformed::no(e));
        }
        let changed = match &mut e {
            // DataFusion would cast the tested value to the type of the others, and the others to its type.
            Expr::ScalarFunction(f) if f.func.name() == "nvl2" && f.args.len() == 3 => {
                let [tested, then, otherwise] = [0, 1, 2].map(|i| std::mem::take(&mut f.args[i]));
                let mut case =
                    Case::new(None, vec![(Box::new(tested.is_not_null()), Box::new(then))], Some(Box::new(otherwise)));
                unite_values(results(&mut case), schema);
                return Ok(Transformed::yes(Expr::Case(case)));
            }
            Expr::ScalarFunction(f) if UNITING.contains(&f.func.name()) => {
                // `nvl` knows no decimals, times and arrays, and would make doubles of decimals.
                let coalesce =
                    CONTEXT.get_function_meta("coalesce").filter(|_| f.func.name() == "nvl" && f.args.len() == 2);
                let is_nvl = coalesce.is_some();
                if let Some(coalesce) = coalesce {
                    f.func = coalesce;
                }
                unite_values(f.args.iter_mut().collect(), schema) || is_nvl
            }
            Expr::Case(case) => {
                let results_changed = unite_values(results(case), schema);
                let compared = case.expr.as_deref_mut().map(|operand| {
                    let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
                    std::iter::once(operand).chain(whens).collect()
                });
                compared.is_some_and(|compared| unite_values(compared, schema)) || results_changed
            }
            _ => false,
        };
        Ok(if changed { Transformed::yes(e) } else { Transformed::no(e) })
    })?;
    Ok(rewritten.data)
}

fn results(case: &mut Case) -> Vec<&mut Expr> {
    let thens = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
    thens.chain(case.else_expr.as_deref_mut()).collect()
}

/// The values of this expression that get one type, in groups: the arguments of `coalesce`, the results of a `case`,
/// and what a `case` compares.
fn meeting(expr: &Expr) -> Vec<Vec<&Expr>> {
    match expr {
        Expr::ScalarFunction(f) if f.func.name() == "nvl2" => vec![f.args.iter().skip(1).collect()],
        Expr::ScalarFunction(f) if UNITING.contains(&f.func.name()) => vec![f.args.iter().collect()],
        Expr::Case(case) => {
            let (whens, thens): (Vec<_>, Vec<_>) =
                case.when_then_expr.iter().map(|(when, then)| (when.as_ref(), then.as_ref())).unzip();
            let results = thens.into_iter().chain(case.else_expr.as_deref()).collect();
            let compared = case.expr.as_deref().map(|operand| std::iter::once(operand).chain(whens).collect());
            std::iter::once(results).chain(compared).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether values that get one type are of unlike kinds, such as a text and a number. DataFusion would make a text of
/// the number, and Spark a number of the text, which fails at the first text that is none.
pub(super) fn unites_unlike(expr: &Expr, schema: &DFSchema) -> bool {
    meeting(expr).iter().any(|values| !are_alike(values, schema))
}

fn are_alike(values: &[&Expr], schema: &DFSchema) -> bool {
    let types: Vec<_> = values.iter().map(|value| value.get_type(schema).unwrap_or(DataType::Null)).collect();
    let texts = values.iter().filter_map(|value| literal_text(value));
    let others = values.iter().zip(&types).filter(|(value, _)| literal_text(value).is_none());
    let mut kinds = others.filter_map(|(_, found)| Kind::of(found));
    let Some(kind) = kinds.next() else { return true };
    let target = type_of_texts(&types);
    let is_readable = |text: &ScalarValue| match (kind, &target) {
        (Kind::Number | Kind::Boolean, Some(target)) => text.cast_to(target).is_ok(),
        // The functions that read times say themselves what is wrong with a text.
        _ => true,
    };
    kinds.all(|other| other == kind)
        && texts.into_iter().all(is_readable)
        && types.iter().skip(1).zip(&types).all(|(one, other)| kind != Kind::Nested || are_nested_alike(one, other))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// Bytes too: every text can be read as bytes.
    Text,
    Boolean,
    Time,
    Interval,
    Nested,
}

impl Kind {
    /// The kind of the type; `None` for null, which is of any kind.
    fn of(found: &DataType) -> Option<Self> {
        Some(match found {
            DataType::Null => return None,
            DataType::Boolean => Self::Boolean,
            DataType::Date32 | DataType::Timestamp(..) => Self::Time,
            found if is_interval(found) => Self::Interval,
            found if found.is_numeric() => Self::Number,
            found if found.is_string() || found.is_binary() => Self::Text,
            _ => Self::Nested,
        })
    }
}

/// Whether two types are nested alike: what stands in the same place of both is of one kind.
pub(super) fn are_nested_alike(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => are_nested_alike(one.data_type(), other.data_type()),
        (DataType::Map(one, _), DataType::Map(other, _)) => are_nested_alike(one.data_type(), other.data_type()),
        (DataType::Struct(one), DataType::Struct(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| {
                    one.name() == other.name() && are_nested_alike(one.data_type(), other.data_type())
                })
        }
        _ => match (Kind::of(one), Kind::of(other)) {
            (Some(Kind::Nested), Some(Kind::Nested)) => one == other,
            (Some(one), Some(other)) => one == other,
            _ => true,
        },
    }
}

fn literal_text(value: &Expr) -> Option<&ScalarValue> {
    match value {
        Expr::Literal(text, _) if text.data_type().is_string() => Some(text),
        _ => None,
    }
}

/// The type, as in Spark, that a literal text gets where it meets values of these types; `None` if it stays a text.
fn type_of_texts(types: &[DataType]) -> Option<DataType> {
    let is_any = |wanted: &dyn Fn(&DataType) -> bool| types.iter().any(wanted);
    if is_any(&|found| found.is_floating() || found.is_decimal()) {
        return Some(DataType::Float64);
    }
    if is_any(&DataType::is_integer) {
        return Some(DataType::Int64);
    }
    if is_any(&|found| matches!(found, DataType::Timestamp(..))) {
        return Some(timestamp_type());
    }
    [DataType::Date32, DataType::Boolean].into_iter().find(|found| types.contains(found))
}

/// Casts values that get one type: literal texts are read as the type of the others, then the winning type is taken.
/// Returns whether it changed any.
fn unite_values(mut values: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let types: Vec<_> = values.iter().map(|value| value.get_type(schema).unwrap_or(DataType::Null)).collect();
    let mut changed = false;
    if let Some(target) = type_of_texts(&types) {
        for value in values.iter_mut().filter(|value| literal_text(value).is_some()) {
            **value = Expr::Cast(Cast::new(Box::new(std::mem::take(*value)), target.clone()));
            changed = true;
        }
    }
    unite(values, schema) || changed
}

/// Casts operands to the winning type. Returns whether it changed any.
fn unite(operands: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    // An operand that does not type yet counts as null; coercion later reports why.
    let types: Vec<_> = operands.iter().map(|e| e.get_type(schema).unwrap_or(DataType::Null)).collect();
    let Some(winner) = Winner::among(&types) else { return false };
    let mut changed = false;
    for (operand, _) in operands.into_iter().zip(&types).filter(|(operand, t)| winner.beats(operand, t)) {
        *operand = winner.cast(std::mem::take(operand));
        changed = true;
    }
    changed
}

#[derive(Clone, Copy)]
enum Winner {
    Double,
    Timestamp,
}

impl Winner {
    fn among(types: &[DataType]) -> Option<Self> {
        if types.iter().any(DataType::is_floating) {
            return Some(Self::Double);
        }
        types.iter().any(|t| matches!(t, DataType::Timestamp(..))).then_some(Self::Timestamp)
    }

    fn beats(self, operand: &Expr, found: &DataType) -> bool {
        match self {
            Self::Double => found.is_decimal(),
            Self::Timestamp => {
                matches!(found, DataType::Date32) || found.is_string() && matches!(operand, Expr::Literal(..))
            }
        }
    }

    fn cast(self, loser: Expr) -> Expr {
        match self {
            Self::Double => to_double(loser),
            Self::Timestamp => Expr::Cast(Cast::new(Box::new(loser), timestamp_type())),
        }
    }
}

fn to_double(decimal: Expr) -> Expr {
    if let Expr::Literal(ScalarValue::Decimal128(Some(digits), _, scale), _) = &decimal {
        // The double nearest to the text. With more than 15 digits, a cast would round twice.
        if let Ok(double) = format!("{digits}e{}", -i16::from(*scale)).parse::<f64>() {
            return Expr::Literal(ScalarValue::Float64(Some(double)), None);
        }
    }
    Expr::Cast(Cast::new(Box::new(decimal), DataType::Float64))
}
