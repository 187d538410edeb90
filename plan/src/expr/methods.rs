//! What to write instead of method calls such as `city.isNull()` and `F.upper(city)`, which people know from DataFrames
//! and other languages. Here there are only functions and operators.

use datafusion_sql::sqlparser::ast::{AccessExpr, Expr, Function, FunctionArguments, ObjectNamePart};

use super::context::CONTEXT;
use super::habits::{HABITS, Instead, SUGGESTION_CHARS_MAX, filled};
use crate::quote::quoted;

/// Methods that are not named as a function here or elsewhere in SQL, with what to write. `$1` is what the method is
/// called on, `$2` the first argument, and `$*` all arguments.
pub(super) const METHODS: &[(&str, &str)] = &[
    ("alias", "$1"),
    ("astype", "cast($1 as $2)"),
    ("between", "$1 between $2 and $3"),
    ("cast", "cast($1 as $2)"),
    ("eq", "$1 = $2"),
    ("eqnullsafe", "$1 is not distinct from $2"),
    ("equals", "$1 = $2"),
    ("fillna", "coalesce($1, $2)"),
    ("getfullyear", "date_part('year', $1)"),
    ("gettime", "arrow_cast(date_trunc('millisecond', $1), 'Int64') / 1000"),
    ("includes", "contains($1, $2)"),
    ("indexof", "strpos($1, $2) - 1"),
    ("isin", "$1 in ($*)"),
    ("isna", "$1 is null"),
    ("isnone", "$1 is null"),
    ("isnotnull", "$1 is not null"),
    ("isnull", "$1 is null"),
    ("lstrip", "ltrim($1)"),
    ("match", "regexp_like($1, $2)"),
    ("notna", "$1 is not null"),
    ("notnull", "$1 is not null"),
    ("replaceall", "replace($1, $2, $3)"),
    ("rstrip", "rtrim($1)"),
    ("strip", "trim($1)"),
    ("tofixed", "cast(cast($1 as decimal(38,$2)) as string)"),
    ("tolower", "lower($1)"),
    ("tolowercase", "lower($1)"),
    ("tostring", "cast($1 as string)"),
    ("toupper", "upper($1)"),
    ("touppercase", "upper($1)"),
    ("trimend", "rtrim($1)"),
    ("trimstart", "ltrim($1)"),
];

/// Modules and classes whose functions other languages call with a prefix.
const MODULES: [&str; 7] = ["f", "fn", "func", "functions", "math", "np", "numpy"];
/// Functions of such modules that have another name here.
const OF_MODULES: [(&str, &str); 3] = [("max", "greatest"), ("min", "least"), ("sign", "signum")];

/// Why the call of a name with a dot is refused; `None` if the name has no dot.
pub(super) fn refused_call(function: &Function) -> Option<String> {
    let [ObjectNamePart::Identifier(first), .., ObjectNamePart::Identifier(last)] = &function.name.0[..] else {
        return None;
    };
    let args = arguments(function);
    if function.name.0.len() == 2 && MODULES.iter().any(|module| first.value.eq_ignore_ascii_case(module)) {
        let name = last.value.to_lowercase();
        let name = OF_MODULES.iter().find(|(theirs, _)| *theirs == name).map_or(name.as_str(), |(_, ours)| ours);
        return Some(said(function, "functions stand without a prefix", of_function(name, &args), name));
    }
    let receiver = receiver(function)?;
    Some(of_method(function, with_receiver(receiver, &last.value, &args), &last.value))
}

/// Why this chain behind an expression is refused, if there is a method in it.
pub(super) fn refused_access(root: &Expr, chain: &[AccessExpr]) -> Option<String> {
    let last = chain.iter().rposition(|access| method(access).is_some())?;
    let name = chain.get(last).and_then(method)?.name.to_string();
    let whole = chain.iter().take(last + 1).map(ToString::to_string).collect::<String>();
    Some(of_method(format_args!("{root}{whole}"), in_functions(root, chain.get(..=last)?), &name))
}

fn of_method(found: impl std::fmt::Display, instead: Option<Instead>, name: &str) -> String {
    let calls = format!("{} calls a method", quoted(found));
    match instead {
        Some(Instead::Write(instead)) => {
            format!("{calls}, and there are only functions: write {}", quoted(instead))
        }
        Some(Instead::Say(advice)) => format!("{calls}, and there are only functions: {advice}"),
        None => format!("{calls}, and there are only functions, none of them {}", quoted(name)),
    }
}

fn said(found: &Function, why: &str, instead: Option<Instead>, name: &str) -> String {
    match instead {
        Some(Instead::Write(instead)) => format!("{}: {why}: write {}", quoted(found), quoted(instead)),
        Some(Instead::Say(advice)) => format!("{}: {why}: {advice}", quoted(found)),
        None => format!("{}: {why}, and there is no function {}", quoted(found), quoted(name)),
    }
}

/// The expression, unless it is too long to be advice.
fn short(written: String) -> Option<Instead> {
    (written.chars().count() <= SUGGESTION_CHARS_MAX).then_some(Instead::Write(written))
}

fn method(access: &AccessExpr) -> Option<&Function> {
    match access {
        AccessExpr::Dot(Expr::Function(method)) if !matches!(method.args, FunctionArguments::None) => Some(method),
        _ => None,
    }
}

/// What the method of this name with dots is called on.
fn receiver(function: &Function) -> Option<String> {
    let (_, names) = function.name.0.split_last()?;
    (!names.is_empty()).then(|| names.iter().map(ToString::to_string).collect::<Vec<_>>().join("."))
}

/// The chain of fields and methods in functions; `None` if one of the methods has no counterpart.
fn in_functions(root: &Expr, chain: &[AccessExpr]) -> Option<Instead> {
    let mut written = match root {
        Expr::Function(function) => match receiver(function) {
            Some(of) => match with_receiver(of, &function.name.0.last()?.to_string(), &arguments(function))? {
                Instead::Write(written) => written,
                advice => return Some(advice),
            },
            None => root.to_string(),
        },
        _ => root.to_string(),
    };
    for access in chain {
        written = match method(access) {
            None => format!("{written}{access}"),
            Some(method) => match with_receiver(written, &method.name.to_string(), &arguments(method))? {
                Instead::Write(written) => written,
                advice => return Some(advice),
            },
        };
    }
    short(written)
}

fn with_receiver(receiver: String, method: &str, args: &[String]) -> Option<Instead> {
    let name = method.to_lowercase();
    let all: Vec<_> = std::iter::once(receiver).chain(args.iter().cloned()).collect();
    match METHODS.iter().find(|(theirs, _)| *theirs == name) {
        Some((_, template)) => {
            let template = template.replace("$*", &args.join(", "));
            // The name of a type stands in quotes there, and in none here.
            let template = match args.first() {
                Some(of) => template.replace(" as $2", &format!(" as {}", of.trim_matches('\''))),
                None => template,
            };
            let written = filled(&template, &all.iter().map(String::as_str).collect::<Vec<_>>());
            // Arguments that are missing leave their places in the template.
            if written.contains('$') { None } else { short(written) }
        }
        None => of_function(&name, &all),
    }
}

/// The call of a function: one that there is, one that is written in other words, or one whose name has other signs
/// (`startsWith`).
fn of_function(name: &str, args: &[String]) -> Option<Instead> {
    let written = |name: &str| short(format!("{name}({})", args.join(", ")));
    if CONTEXT.has_function(name) {
        return written(name);
    }
    if let Some(habit) = HABITS.iter().find(|habit| habit.name == name) {
        return Some(habit.instead(args));
    }
    let plain = |name: &str| name.replace('_', "");
    CONTEXT.function_names().find(|ours| plain(ours) == plain(name)).and_then(written)
}

/// The arguments as the user wrote them.
pub(super) fn arguments(function: &Function) -> Vec<String> {
    match &function.args {
        FunctionArguments::List(list) => list.args.iter().map(ToString::to_string).collect(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => Vec::new(),
    }
}
