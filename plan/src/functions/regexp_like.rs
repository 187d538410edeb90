//! `regexp_like(text, pattern[, flags])`: whether the text has a match. The planner would make a `like` of DataFusion's
//! function of this name, and a backslash means another thing there.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature};
use regex::Regex;

use super::arguments::{Texts, result, rows_to_compute};
use super::java_regex;

const NAME: &str = "regexp_like";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RegexpLike {
    signature: Signature,
}

impl RegexpLike {
    pub fn new() -> Self {
        Self { signature: datafusion_functions::regex::regexp_like().signature().clone() }
    }
}

impl ScalarUDFImpl for RegexpLike {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, pattern, flags @ ..] = &args.args[..] else {
            return exec_err!("{NAME} takes a text and a pattern");
        };
        let (texts, patterns) = (Texts::of(text)?, Texts::of(pattern)?);
        let flags = flags.first().map(Texts::of).transpose()?;
        let of_row = |row: usize| Some((patterns.at(row)?, flags.as_ref().and_then(|f| f.at(row)).unwrap_or_default()));
        // The last pattern is kept: it usually stays the same from row to row.
        let mut last: Option<((&str, &str), Regex)> = None;
        if patterns.is_constant() && flags.as_ref().is_none_or(Texts::is_constant) {
            // A wrong constant fails without a row too.
            last = of_row(0).map(|named| Ok::<_, DataFusionError>((named, matching(named)?))).transpose()?;
        }
        let mut found = BooleanBuilder::new();
        for row in 0..rows_to_compute(&args) {
            let (Some(text), Some(named)) = (texts.at(row), of_row(row)) else {
                found.append_null();
                continue;
            };
            let (_, pattern) = match last.take() {
                Some(same) if same.0 == named => last.insert(same),
                _ => last.insert((named, matching(named)?)),
            };
            found.append_value(pattern.is_match(text));
        }
        let found: ArrayRef = Arc::new(found.finish());
        result(&args, &found)
    }
}

fn matching((pattern, flags): (&str, &str)) -> Result<Regex> {
    if flags.contains('g') {
        return exec_err!("`{NAME}` takes no flag `g`: one match is enough");
    }
    compiled(pattern, flags)
}

/// Java's pattern with its flags.
pub(super) fn compiled(pattern: &str, flags: &str) -> Result<Regex> {
    java_regex::compiled(pattern, flags).or_else(|why| exec_err!("the regular expression has a fault: {why}"))
}
