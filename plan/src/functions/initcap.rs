//! `initcap(text)`: the first letter of each word in upper case, all others in lower case. As in Spark, words are
//! separated by spaces alone. DataFusion's function of this name begins a word behind each sign.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::types::logical_string;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignatureClass, Volatility,
};

use super::arguments::{Texts, result, rows_to_compute};

const NAME: &str = "initcap";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Initcap {
    signature: Signature,
}

impl Initcap {
    pub fn new() -> Self {
        let text = Coercion::new_exact(TypeSignatureClass::Native(logical_string()));
        Self { signature: Signature::coercible(vec![text], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Initcap {
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
        let [text] = &args.args[..] else { return exec_err!("{NAME} takes a text") };
        let texts = Texts::of(text)?;
        let words: StringArray = (0..rows_to_compute(&args)).map(|row| texts.at(row).map(capitalized)).collect();
        let words: ArrayRef = Arc::new(words);
        result(&args, &words)
    }
}

fn capitalized(text: &str) -> String {
    let mut capitalized = String::with_capacity(text.len());
    let mut is_first = true;
    for letter in text.to_lowercase().chars() {
        if is_first {
            let mut upper = letter.to_uppercase();
            // `ß` is two letters in upper case, of which only the first begins the word.
            capitalized.extend(upper.next());
            capitalized.extend(upper.flat_map(char::to_lowercase));
        } else {
            capitalized.push(letter);
        }
        is_first = letter == ' ';
    }
    capitalized
}
