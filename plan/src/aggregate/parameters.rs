//! What the aggregate functions take.

use arrow::datatypes::DataType;

use super::accumulators::{Kind, Moment};
use super::functions::Own;
use crate::expr::{type_name, with_article};
use crate::quote::quoted;

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
}

use Takes::{Anything, Boolean, Double, Number, Single, Whole};

/// The arguments of the function with this name in saved state.
pub(super) fn of(function: &str) -> &'static [Takes] {
    match function {
        "sum" | "avg" => &[Number],
        "min" | "max" => &[Single],
        "bool_and" | "bool_or" => &[Boolean],
        "bit_and" | "bit_or" | "bit_xor" => &[Whole],
        _ => Own::of(function).map_or(&[Anything], Own::takes),
    }
}

/// In words how many arguments there are.
pub(super) fn in_words(takes: &[Takes]) -> &'static str {
    match takes.len() {
        1 => "one",
        2 => "two",
        _ => "three",
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
        };
        if !fits {
            let found = with_article(&type_name(found));
            return Err(format!("`{function}` takes {wanted}, and {} is {found}", quoted(argument)));
        }
        Ok(if self == Double { DataType::Float64 } else { found.clone() })
    }
}

impl Own {
    fn takes(self) -> &'static [Takes] {
        match self {
            Self::VarPop | Self::VarSamp | Self::StddevPop | Self::StddevSamp => &[Double],
            Self::CovarPop | Self::CovarSamp | Self::Corr => &[Double, Double],
        }
    }

    /// What keeps the partial states.
    pub fn kind(self) -> Kind {
        match self {
            Self::VarPop => Kind::Moments(Moment::VarPop),
            Self::VarSamp => Kind::Moments(Moment::VarSamp),
            Self::StddevPop => Kind::Moments(Moment::StddevPop),
            Self::StddevSamp => Kind::Moments(Moment::StddevSamp),
            Self::CovarPop => Kind::Moments(Moment::CovarPop),
            Self::CovarSamp => Kind::Moments(Moment::CovarSamp),
            Self::Corr => Kind::Moments(Moment::Corr),
        }
    }
}
