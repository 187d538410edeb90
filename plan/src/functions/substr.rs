//! `substr(text, start[, length])`, `left(text, n)` and `right(text, n)`, as in Spark: a negative start counts from the
//! end, a start of 0 is the first character, and a length that is not above zero gives an empty text. DataFusion's
//! functions of these names follow PostgreSQL, where characters before the first one count too.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature};
use datafusion_functions::unicode;

use super::arguments::{Integers, Texts, result, rows_to_compute};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Within,
    Left,
    Right,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Substr {
    part: Part,
    signature: Signature,
    aliases: Vec<String>,
}

impl Substr {
    pub fn within() -> Self {
        Self { aliases: vec!["substring".to_owned()], ..Self::of(Part::Within) }
    }

    pub fn left() -> Self {
        Self::of(Part::Left)
    }

    pub fn right() -> Self {
        Self::of(Part::Right)
    }

    fn of(part: Part) -> Self {
        let theirs = match part {
            Part::Within => unicode::substr(),
            Part::Left => unicode::left(),
            Part::Right => unicode::right(),
        };
        Self { part, signature: theirs.signature().clone(), aliases: Vec::new() }
    }
}

impl ScalarUDFImpl for Substr {
    fn name(&self) -> &str {
        match self.part {
            Part::Within => "substr",
            Part::Left => "left",
            Part::Right => "right",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, numbers @ ..] = &args.args[..] else { return exec_err!("{} takes a text", self.name()) };
        let texts = Texts::of(text)?;
        let numbers = numbers.iter().map(Integers::of).collect::<Result<Vec<_>>>()?;
        let part_of = |row: usize| {
            let text = texts.at(row)?;
            let numbers = numbers.iter().map(|numbers| numbers.at(row)).collect::<Option<Vec<_>>>()?;
            Some(match (self.part, &numbers[..]) {
                (Part::Within, [start, length]) => within(text, *start, Some(*length)),
                (Part::Left, [length]) => within(text, 1, Some(*length)),
                (Part::Right, [length]) if *length <= 0 => "",
                (Part::Right, [length]) => within(text, length.saturating_neg(), None),
                (_, numbers) => within(text, numbers.first().copied().unwrap_or_default(), None),
            })
        };
        let parts: StringArray = (0..rows_to_compute(&args)).map(part_of).collect();
        let parts: ArrayRef = Arc::new(parts);
        result(&args, &parts)
    }
}

/// At most `length` characters of the text, or all, from the character `start` on, which is counted from 1, or from the
/// end if it is negative. Characters that would stand before the first one count for the length.
fn within(text: &str, start: i64, length: Option<i64>) -> &str {
    let first = match start {
        1.. => start - 1,
        0 => 0,
        _ => start.saturating_add(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)),
    };
    let end = length.map_or(i64::MAX, |length| first.saturating_add(length));
    let [first, end] = [first, end].map(|at| usize::try_from(at).unwrap_or(0));
    let byte_of = |text: &str, at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    if end <= first {
        return "";
    }
    let rest = text.get(byte_of(text, first)..).unwrap_or_default();
    rest.get(..byte_of(rest, end - first)).unwrap_or_default()
}
