//! From text to a syntax tree that holds nothing we would silently ignore or could not run.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    CastKind, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Query, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Token};

use super::ExprError;
use super::context::AGGREGATES;

/// Longer expressions are generated ones, and better split.
pub(super) const SQL_BYTES_MAX: usize = 16 * 1024;
/// The planner and the compiled expression recurse along an expression's depth, and `a + b + c …` is as deep as it is long. Evaluating this
/// much takes half of a thread's usual 2 MiB in an unoptimised build.
pub(super) const DEPTH_MAX: usize = 128;

/// Parses exactly one expression.
pub(super) fn parse(sql: &str) -> Result<Expr, ExprError> {
    if sql.trim().is_empty() {
        return Err(ExprError("the expression is empty".to_owned()));
    }
    if sql.len() > SQL_BYTES_MAX {
        return Err(ExprError(format!(
            "the expression is {} bytes long, and at most {SQL_BYTES_MAX} are allowed: split it over map steps",
            sql.len()
        )));
    }
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql).map_err(|e| ExprError(parser_sentence(&e)))?;
    let mut expr = parser.parse_expr().map_err(|e| ExprError(parser_sentence(&e)))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let text = format!("the expression ends at `{expr}`, but `{}` follows{}", next.token, place(next.span.start));
        return Err(ExprError(text));
    }
    if let ControlFlow::Break(why) = Visit::visit(&expr, &mut Refuser { depth: 0 }) {
        return Err(ExprError(why));
    }
    let _ = VisitMut::visit(&mut expr, &mut Rewriter);
    Ok(expr)
}

/// The parser's error without its wrapping.
pub(super) fn parser_sentence(error: &ParserError) -> String {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => return "the expression is nested too deep".to_owned(),
    };
    let (what, line_and_column) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let mut what = what.replace("found: EOF", "found the end").replace("Expected: ", "expected ").replace("found: ", "found ");
    if let Some(first) = what.get(..1) {
        what = first.to_lowercase() + &what[1..];
    }
    let place = line_and_column.split_once(", Column: ").and_then(|(line, column)| {
        Some(place(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })).filter(|p| !p.is_empty())
    });
    format!("the expression does not parse: {what}{}", place.unwrap_or_default())
}

fn place(at: Location) -> String {
    match (at.line, at.column) {
        (0, _) => String::new(),
        (1, column) => format!(" at character {column}"),
        (line, column) => format!(" at line {line}, character {column}"),
    }
}

/// Refuses what has no meaning for one row, and what the planner would accept and ignore.
struct Refuser {
    depth: usize,
}

impl Visitor for Refuser {
    type Break = String;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        ControlFlow::Break("a subquery cannot be used here: an expression sees one row".to_owned())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.depth += 1;
        let why = match expr {
            _ if self.depth > DEPTH_MAX => {
                format!("the expression is more than {DEPTH_MAX} operators deep: use `in (…)` for a long list, or split it over map steps")
            }
            Expr::Array(_) | Expr::Map(_) | Expr::Dictionary(_) => format!("`{expr}`: arrays and maps cannot be written out yet"),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(_, _) => "`*` stands for no value: name a column".to_owned(),
            Expr::Collate { .. } => "`COLLATE` is not supported: strings are compared by their characters' codes".to_owned(),
            Expr::AtTimeZone { .. } => "`AT TIME ZONE` is not supported yet: times are in UTC".to_owned(),
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => {
                format!("`{name}` is a variable, and there are none: name a column")
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => format!("`{name}` is a parameter, and there are none: write the value"),
                _ => return ControlFlow::Continue(()),
            },
            Expr::Function(function) => return refuse_function(function),
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(why)
    }
}

fn refuse_function(function: &Function) -> ControlFlow<String> {
    let name = function.name.to_string();
    let is_aggregate = AGGREGATES.iter().any(|a| name.eq_ignore_ascii_case(a));
    if function.over.is_some() {
        return ControlFlow::Break(format!("`{name}(…) OVER` is a window function, which cannot be used here"));
    }
    if name.eq_ignore_ascii_case("unnest") {
        return ControlFlow::Break("`unnest` gives several rows for one, which is a step's work and not an expression's".to_owned());
    }
    let modifier = if function.filter.is_some() && !is_aggregate {
        Some("FILTER")
    } else if function.null_treatment.is_some() {
        Some("IGNORE NULLS or RESPECT NULLS")
    } else if !function.within_group.is_empty() {
        Some("WITHIN GROUP")
    } else if function.parameters != FunctionArguments::None {
        Some("a second pair of parentheses")
    } else {
        match &function.args {
            FunctionArguments::List(list) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) => Some("DISTINCT"),
            FunctionArguments::List(list) if !list.clauses.is_empty() => Some("a clause such as ORDER BY"),
            _ => None,
        }
    };
    if let Some(modifier) = modifier {
        let what = if is_aggregate { "not supported yet" } else { "only for aggregates" };
        return ControlFlow::Break(format!("`{function}`: {modifier} in `{name}` is {what}"));
    }
    if let FunctionArguments::List(list) = &function.args {
        let stars = list.args.iter().filter(|a| matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Wildcard))).count();
        if stars > 0 && !name.eq_ignore_ascii_case("count") {
            return ControlFlow::Break(format!("`{function}`: `*` is only for `count(*)`, `{name}` takes a column"));
        }
    }
    ControlFlow::Continue(())
}

/// Says in other words what the planner would read otherwise, or not at all.
struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Value(value) => {
                // `1e3` is a double, as in Spark; the planner would make every number with a point or an exponent a decimal.
                if let Value::Number(digits, _) = &mut value.value
                    && digits.contains(['e', 'E'])
                {
                    value.value = Value::SingleQuotedString(std::mem::take(digits));
                    *expr = cast_to_double(expr.clone());
                }
            }
            // `substring(a from 1 for 2)` has syntax of its own, whose planning is behind a feature of datafusion-sql that is off.
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                let one = || Box::new(Expr::value(Value::Number("1".to_owned(), false)));
                let from = substring_from.take().unwrap_or_else(one);
                *expr = call("substr", [Some(text.clone()), Some(from), substring_for.take()]);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn cast_to_double(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

fn call(name: &str, args: [Option<Box<Expr>>; 3]) -> Expr {
    let args = args.into_iter().flatten().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(*arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
