//! The arguments that a function takes, with types as users write them: `(string, bigint)`.

use arrow::datatypes::DataType as ArrowType;
use datafusion_expr::{TypeSignature, TypeSignatureClass};

use super::type_name;

/// The most argument lists that a sentence shows.
const FORMS_MAX: usize = 6;

/// The function's argument lists, without those with types that no column or literal can have. Empty if the function
/// does not say.
pub(super) fn forms(signature: &TypeSignature) -> Vec<String> {
    let mut forms = Vec::new();
    add(signature, &mut forms);
    let mut distinct: Vec<String> = Vec::new();
    for form in forms {
        if !distinct.contains(&form) {
            distinct.push(form);
        }
    }
    distinct.truncate(FORMS_MAX);
    distinct
}

fn add(signature: &TypeSignature, out: &mut Vec<String>) {
    let list = |words: Vec<String>| format!("({})", words.join(", "));
    let times = |word: &str, count: usize| list(vec![word.to_owned(); count]);
    match signature {
        TypeSignature::OneOf(several) => several.iter().for_each(|one| add(one, out)),
        TypeSignature::Exact(types) => out.extend(types.iter().map(word).collect::<Option<Vec<_>>>().map(list)),
        TypeSignature::Coercible(coercions) => {
            out.extend(coercions.iter().map(|c| class(c.desired_type())).collect::<Option<Vec<_>>>().map(list));
        }
        TypeSignature::Uniform(count, types) => out.extend(any_of(types).map(|word| times(&word, *count))),
        TypeSignature::Variadic(types) => out.extend(any_of(types).map(|word| format!("({word}, …)"))),
        TypeSignature::Numeric(count) => out.push(times("number", *count)),
        TypeSignature::String(count) => out.push(times("string", *count)),
        TypeSignature::Any(count) => out.push(times("any", *count)),
        TypeSignature::Comparable(count) => out.push(times("any", *count) + " of one type"),
        TypeSignature::Nullary => out.push("()".to_owned()),
        TypeSignature::VariadicAny | TypeSignature::ArraySignature(_) | TypeSignature::UserDefined => {}
    }
}

fn word(arrow: &ArrowType) -> Option<String> {
    match arrow {
        ArrowType::Interval(_) => Some("interval".to_owned()),
        ArrowType::Time32(_) | ArrowType::Time64(_) | ArrowType::Duration(_) => None,
        other => Some(type_name(other)),
    }
}

/// One word for the types that an argument may have.
fn any_of(types: &[ArrowType]) -> Option<String> {
    if types.len() > 2 && types.iter().all(ArrowType::is_numeric) {
        return Some("number".to_owned());
    }
    let mut words: Vec<String> = Vec::new();
    for word in types.iter().filter_map(word) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| words.join("|"))
}

fn class(class: &TypeSignatureClass) -> Option<String> {
    let name = match class {
        TypeSignatureClass::Any => "any",
        TypeSignatureClass::Timestamp => "timestamp",
        TypeSignatureClass::Interval => "interval",
        TypeSignatureClass::Integer => "bigint",
        TypeSignatureClass::Float => "double",
        TypeSignatureClass::Decimal => "decimal",
        TypeSignatureClass::Numeric => "number",
        TypeSignatureClass::Binary => "binary",
        TypeSignatureClass::Native(native) => {
            return native.default_cast_for(&ArrowType::Null).ok().as_ref().and_then(word);
        }
        TypeSignatureClass::Time | TypeSignatureClass::Duration => return None,
    };
    Some(name.to_owned())
}
