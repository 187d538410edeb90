//! What the aggregate functions take.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;

use super::accumulators::{End, Gives, Kind, Moment, Ranking};
use super::functions::Own;
use crate::expr::{type_name, with_article};
use crate::quote::quoted;

/// The arguments of a function.
pub(super) struct Parameters {
    /// Those that have a value in each row.
    pub rows: &'static [Takes],
    /// The event time follows these, which the user does not write.
    pub by_time: bool,
    /// Those that are constants. They come last.
    pub constants: Constants,
}

/// What an argument may be that has a value in each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Anything,
    /// What has an order and is no array or struct.
    Single,
    Number,
    /// A number, which is cast to a double.
    Double,
    Whole,
    Boolean,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constants {
    None,
    /// From 0 to 1.
    Fraction,
    /// Whether nulls don't count; may be left out.
    SkipsNulls,
    /// A text; may be left out.
    Delimiter,
    /// Numbers in ascending order, at least one.
    Bounds,
}

use Takes::{Anything, Boolean, Double, Number, Single, Text, Whole};

/// The arguments of the function with this name in saved state.
pub(super) fn of(function: &str) -> Parameters {
    let rows: &[Takes] = match function {
        "sum" | "avg" => &[Number],
        "min" | "max" => &[Single],
        "bool_and" | "bool_or" => &[Boolean],
        "bit_and" | "bit_or" | "bit_xor" => &[Whole],
        _ => return Own::of(function).map_or(Parameters::of(&[Anything]), Own::parameters),
    };
    Parameters::of(rows)
}

impl Parameters {
    fn of(rows: &'static [Takes]) -> Self {
        Self { rows, by_time: false, constants: Constants::None }
    }

    fn by_time(self) -> Self {
        Self { by_time: true, ..self }
    }

    fn and(self, constants: Constants) -> Self {
        Self { constants, ..self }
    }

    /// Why the function can't have this many arguments.
    pub fn refuse_count(&self, found: usize, function: &str, call: &str) -> Result<(), String> {
        let least = self.rows.len();
        let (fits, words) = match self.constants {
            Constants::None => (found == least, if least == 1 { "one" } else { "two" }),
            Constants::Fraction => (found == least + 1, "two"),
            Constants::SkipsNulls | Constants::Delimiter => (found == least || found == least + 1, "one or two"),
            Constants::Bounds => (found > least, "a number and the bounds of its buckets"),
        };
        if fits {
            return Ok(());
        }
        let besides = match function {
            "percentile_approx" => "; its error is always 1% at most",
            "approx_count_distinct" => "; its error is always about 1.6%",
            _ => "",
        };
        let plural = if found == 1 { "" } else { "s" };
        Err(format!("`{call}` has {found} argument{plural}, and `{function}` takes {words}{besides}"))
    }
}

impl Takes {
    /// The type to which an argument of this type is cast.
    ///
    /// # Errors
    /// A sentence, if the type does not fit. `argument` is the argument as messages show it.
    pub fn cast_of(self, found: &DataType, function: &str, argument: &str) -> Result<DataType, String> {
        let (wanted, fits) = match self {
            Anything => return Ok(found.clone()),
            Single => ("numbers, strings, dates, timestamps and booleans", !found.is_nested()),
            Number | Double => ("numbers", found.is_numeric()),
            Whole => ("ints and bigints", found.is_integer()),
            Boolean => ("conditions", *found == DataType::Boolean),
            Text => ("strings", *found == DataType::Utf8),
        };
        if !fits {
            let found = with_article(&type_name(found));
            let cast = if self == Text { format!(": write `cast({argument} as string)`") } else { String::new() };
            return Err(format!("`{function}` takes {wanted}, and {} is {found}{cast}", quoted(argument)));
        }
        Ok(if self == Double { DataType::Float64 } else { found.clone() })
    }
}

impl Own {
    fn parameters(self) -> Parameters {
        match self {
            Self::VarPop | Self::VarSamp | Self::StddevPop | Self::StddevSamp | Self::Median => {
                Parameters::of(&[Double])
            }
            Self::CovarPop | Self::CovarSamp | Self::Corr => Parameters::of(&[Double, Double]),
            Self::First | Self::Last => Parameters::of(&[Anything]).by_time().and(Constants::SkipsNulls),
            Self::MinBy | Self::MaxBy => Parameters::of(&[Anything, Single]),
            Self::CountDistinct | Self::ApproxCountDistinct | Self::CollectSet => Parameters::of(&[Single]),
            Self::Percentile => Parameters::of(&[Double]).and(Constants::Fraction),
            Self::PercentileApprox => Parameters::of(&[Number]).and(Constants::Fraction),
            Self::CollectList => Parameters::of(&[Anything]).by_time(),
            Self::StringAgg => Parameters::of(&[Text]).by_time().and(Constants::Delimiter),
            Self::Histogram => Parameters::of(&[Double]).and(Constants::Bounds),
        }
    }

    /// What keeps the partial states. The constants are simplified; `texts` show them in messages.
    ///
    /// # Errors
    /// A sentence, if a constant is none or does not fit.
    pub fn kind(self, function: &str, constants: &[Expr], texts: &[String]) -> Result<Kind, String> {
        let ranked = |end, skips_nulls| Kind::Ranked(Ranking { end, skips_nulls });
        let fraction = || fraction(function, constants, texts);
        let skips_nulls = || skips_nulls(function, constants, texts);
        Ok(match self {
            Self::VarPop => Kind::Moments(Moment::VarPop),
            Self::VarSamp => Kind::Moments(Moment::VarSamp),
            Self::StddevPop => Kind::Moments(Moment::StddevPop),
            Self::StddevSamp => Kind::Moments(Moment::StddevSamp),
            Self::CovarPop => Kind::Moments(Moment::CovarPop),
            Self::CovarSamp => Kind::Moments(Moment::CovarSamp),
            Self::Corr => Kind::Moments(Moment::Corr),
            Self::First => ranked(End::First, skips_nulls()?),
            Self::Last => ranked(End::Last, skips_nulls()?),
            Self::MinBy => ranked(End::First, false),
            Self::MaxBy => ranked(End::Last, false),
            Self::CountDistinct => Kind::Distinct(Gives::Count),
            Self::CollectSet => Kind::Distinct(Gives::Array),
            Self::ApproxCountDistinct => Kind::Cardinality,
            Self::PercentileApprox => Kind::Sketch(fraction()?),
            Self::Percentile => Kind::Percentile(fraction()?),
            Self::Median => Kind::Percentile(0.5),
            Self::CollectList => Kind::Collected(None),
            Self::StringAgg => Kind::Collected(Some(delimiter(function, constants, texts)?)),
            Self::Histogram => Kind::Histogram(bounds(function, constants, texts)?),
        })
    }
}

/// The value of a constant; `None` if the expression is none, or null.
fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match constant(expr).filter(|value| value.data_type().is_numeric())?.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(number)) => number,
        _ => None,
    }
}

fn fraction(function: &str, constants: &[Expr], texts: &[String]) -> Result<f64, String> {
    let found = constants.first().and_then(number).filter(|p| (0.0..=1.0).contains(p));
    found.ok_or_else(|| {
        let text = quoted(texts.first().map_or("", String::as_str));
        format!("the second argument of `{function}` is a constant from 0 to 1, such as 0.95, and {text} is none")
    })
}

fn skips_nulls(function: &str, constants: &[Expr], texts: &[String]) -> Result<bool, String> {
    match constants.first().map(constant) {
        None => Ok(false),
        Some(Some(ScalarValue::Boolean(Some(skips)))) => Ok(*skips),
        Some(_) => Err(format!(
            "the second argument of `{function}` is `true` if nulls don't count, or `false`, and {} is neither",
            quoted(&texts[0])
        )),
    }
}

fn delimiter(function: &str, constants: &[Expr], texts: &[String]) -> Result<Arc<str>, String> {
    match constants.first().map(constant) {
        None => Ok("".into()),
        Some(Some(ScalarValue::Utf8(Some(text)))) => Ok(text.as_str().into()),
        Some(_) => Err(format!(
            "the second argument of `{function}` is a constant text between the values, such as ',', and {} is none",
            quoted(&texts[0])
        )),
    }
}

fn bounds(function: &str, constants: &[Expr], texts: &[String]) -> Result<Arc<[f64]>, String> {
    let mut bounds = Vec::with_capacity(constants.len());
    for (expr, text) in constants.iter().zip(texts) {
        let found = number(expr).filter(|bound| bound.is_finite());
        let Some(bound) = found else {
            return Err(format!(
                "the bounds of `{function}` are constant numbers, as in `{function}(price, 10, 100)`, and {} is none",
                quoted(text)
            ));
        };
        if bounds.last().is_some_and(|last| *last >= bound) {
            return Err(format!(
                "the bounds of `{function}` ascend, as in `{function}(price, 10, 100)`, and {} is not above the bound \
                 before it",
                quoted(text)
            ));
        }
        bounds.push(bound);
    }
    Ok(bounds.into())
}
