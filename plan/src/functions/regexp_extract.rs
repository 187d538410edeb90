//! `regexp_extract(text, pattern[, group])`: what the group matches in the first match, as in Spark. The group is the
//! first one if none is named, and 0 is the whole match. Without a match, and for a group that is not part of it, the
//! result is empty.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::DataType;
use datafusion_common::types::{NativeType, logical_int32, logical_int64, logical_string};
use datafusion_common::{Result, exec_err};
use datafusion_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, TypeSignatureClass,
    Volatility,
};
use regex::Regex;

use super::arguments::{Integers, Texts, result, rows_to_compute};
use super::regexp_like::compiled;

const NAME: &str = "regexp_extract";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RegexpExtract {
    signature: Signature,
}

impl RegexpExtract {
    pub fn new() -> Self {
        let text = || Coercion::new_exact(TypeSignatureClass::Native(logical_string()));
        let narrower = vec![TypeSignatureClass::Native(logical_int32())];
        let group = Coercion::new_implicit(TypeSignatureClass::Native(logical_int64()), narrower, NativeType::Int64);
        let forms =
            vec![TypeSignature::Coercible(vec![text(), text()]), TypeSignature::Coercible(vec![text(), text(), group])];
        Self { signature: Signature::one_of(forms, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, pattern, group @ ..] = &args.args[..] else {
            return exec_err!("{NAME} takes a text, a pattern and the number of a group");
        };
        let (texts, patterns) = (Texts::of(text)?, Texts::of(pattern)?);
        let groups = group.first().map(Integers::of).transpose()?;
        let group_of = |row: usize| groups.as_ref().map_or(Some(1), |groups| groups.at(row));
        // The last pattern is kept: it usually stays the same from row to row.
        let mut last: Option<(&str, Regex)> = None;
        // A wrong constant fails without a row too.
        if patterns.is_constant()
            && let Some(pattern) = patterns.at(0)
        {
            let regex = compiled(pattern, "")?;
            if groups.as_ref().is_none_or(Integers::is_constant)
                && let Some(group) = group_of(0)
            {
                checked(group, &regex)?;
            }
            last = Some((pattern, regex));
        }
        let mut values = StringBuilder::new();
        for row in 0..rows_to_compute(&args) {
            let (Some(text), Some(pattern), Some(group)) = (texts.at(row), patterns.at(row), group_of(row)) else {
                values.append_null();
                continue;
            };
            let (_, regex) = match last.take() {
                Some(same) if same.0 == pattern => last.insert(same),
                _ => last.insert((pattern, compiled(pattern, "")?)),
            };
            let group = checked(group, regex)?;
            let found = regex.captures(text).and_then(|found| found.get(group));
            values.append_value(found.map_or("", |found| found.as_str()));
        }
        let values: ArrayRef = Arc::new(values.finish());
        result(&args, &values)
    }
}

fn checked(group: i64, regex: &Regex) -> Result<usize> {
    match usize::try_from(group).ok().filter(|group| *group < regex.captures_len()) {
        Some(group) => Ok(group),
        None => exec_err!(
            "{NAME} takes a group of the pattern, which has {}, and found {group}: write 0 for the whole match",
            regex.captures_len() - 1
        ),
    }
}
