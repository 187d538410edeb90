//! Functions of texts that are JSON: `get_json_object`, `json_array_length`, `json_object_keys`, `from_json` and
//! `to_json`.

mod document;
mod path;
mod reading;
mod writing;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::arguments::{Texts, result, rows_to_compute};
use super::simple::Takes::{Any, Text};
use super::simple::{Gives, simple, texts};
use crate::types;
use document::{Json, parse};

const TEXT: Gives = |_| Ok(DataType::Utf8);

pub(super) fn all() -> Vec<ScalarUDF> {
    let texts_type: Gives = |_| Ok(types::DataType::Array(Box::new(types::DataType::String)).to_arrow());
    let mut all: Vec<ScalarUDF> = [
        simple("get_json_object", &[&[Text, Text]], TEXT, get_json_object),
        simple(
            "json_array_length",
            &[&[Text]],
            |_| Ok(DataType::Int32),
            |args| {
                let length = |text| match parse(text)? {
                    Json::Array(items) => i32::try_from(items.len()).ok(),
                    _ => None,
                };
                Ok(Arc::new(texts(args, 0)?.iter().map(|text| length(text?)).collect::<Int32Array>()))
            },
        ),
        simple("json_object_keys", &[&[Text]], texts_type, |args| {
            let item = Field::new("element", DataType::Utf8, true);
            let mut keys = ListBuilder::new(StringBuilder::new()).with_field(item);
            for text in &texts(args, 0)? {
                let members = match text.and_then(parse) {
                    Some(Json::Object(members)) => Some(members),
                    _ => None,
                };
                for (name, _) in members.iter().flatten() {
                    keys.values().append_value(name);
                }
                keys.append(members.is_some());
            }
            Ok(Arc::new(keys.finish()))
        }),
        simple("to_json", &[&[Any]], writing::gives, |args| writing::to_json(&args[0])),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect();
    all.push(FromJson::new().into());
    all
}

fn get_json_object(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (documents, paths) = (texts(args, 0)?, texts(args, 1)?);
    // The last path is kept: it usually stays the same from row to row.
    let mut last: Option<(&str, Option<Vec<path::Step>>)> = None;
    let mut of_row = |row: usize| {
        if documents.is_null(row) || paths.is_null(row) {
            return None;
        }
        let path = paths.value(row);
        let (_, steps) = match last.take() {
            Some(same) if same.0 == path => last.insert(same),
            _ => last.insert((path, path::steps(path))),
        };
        path::found(&parse(documents.value(row))?, steps.as_ref()?)
    };
    Ok(Arc::new((0..documents.len()).map(&mut of_row).collect::<StringArray>()))
}

/// `from_json(text, 'a int, b string')`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FromJson {
    signature: Signature,
}

impl FromJson {
    fn new() -> Self {
        let signature = TypeSignature::Coercible(vec![Text.coercion(), Text.coercion()]);
        Self { signature: Signature::new(signature, Volatility::Immutable) }
    }
}

/// The type that a schema names: a type, or the fields of a struct.
pub(crate) fn schema(text: &str) -> Result<DataType, String> {
    let fields = || types::DataType::parse(&format!("struct<{text}>"));
    let of = match types::DataType::parse(text).or_else(|why| fields().map_err(|of_fields| (why, of_fields))) {
        Ok(of @ (types::DataType::Struct(_) | types::DataType::Array(_) | types::DataType::Map(..))) => of,
        Ok(other) => return Err(format!("from_json gives a struct, an array or a map, and not {other}")),
        Err((_, why)) => {
            return Err(format!("from_json takes a schema such as 'a int, b array<string>': {why}"));
        }
    };
    if let Some(key) = of.other_key() {
        return Err(format!(
            "the names in a JSON object are strings, and {text} has the keys {key}: write map<string, …>"
        ));
    }
    Ok(nullable(of).to_arrow())
}

/// The type with fields that may be null, since any member may be missing.
fn nullable(of: types::DataType) -> types::DataType {
    match of {
        types::DataType::Array(item) => types::DataType::Array(Box::new(nullable(*item))),
        types::DataType::Struct(fields) => {
            let field =
                |field: types::Column| types::Column { data_type: nullable(field.data_type), nullable: true, ..field };
            types::DataType::Struct(fields.into_iter().map(field).collect())
        }
        types::DataType::Map(key, value) => types::DataType::Map(key, Box::new(nullable(*value))),
        other => other,
    }
}

impl ScalarUDFImpl for FromJson {
    fn name(&self) -> &str {
        "from_json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        plan_err!("from_json takes a schema that is written out, as in from_json(text, 'a int, b string')")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let text = args.scalar_arguments.get(1).copied().flatten().and_then(|text| text.try_as_str().flatten());
        let Some(text) = text else {
            return self.return_type(&[]).map(|of| Arc::new(Field::new("from_json", of, true)));
        };
        let of = schema(text).or_else(|why| plan_err!("{why}"))?;
        Ok(Arc::new(Field::new("from_json", of, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, _] = &args.args[..] else { return plan_err!("from_json takes a text and a schema") };
        let texts = Texts::of(text)?;
        let of = args.return_field.data_type();
        let rows: Vec<Option<&str>> = (0..rows_to_compute(&args)).map(|row| texts.at(row)).collect();
        let documents: Vec<_> = rows.iter().map(|text| text.and_then(parse)).collect();
        let roots: Vec<_> = rows
            .iter()
            .zip(&documents)
            // A text without a document is null, and one with a wrong document is not.
            .map(|(text, document)| {
                reading::root(document.as_ref(), of).filter(|_| text.is_some_and(|t| !t.trim().is_empty()))
            })
            .collect();
        let values = reading::documents(&roots, of)?;
        if values.len() == 1 && rows.len() == 1 && matches!(text, ColumnarValue::Scalar(_)) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?));
        }
        result(&args, &values)
    }
}
