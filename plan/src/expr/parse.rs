//! Parses text to a syntax tree that contains nothing we would silently ignore or could not run.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    AccessExpr, CastKind, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Subscript, UnaryOperator, Value,
    Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::dialect::Bounded;
use super::methods::arguments;
use super::nesting::has_too_deep_types;
use super::words::TextPlace;
use super::{ExprError, habits, methods, slips, syntax};
use crate::aggregate;
use crate::quote::quoted;
use crate::types;

/// The most bytes of an expression. Longer ones are usually generated, and better split.
pub(super) const SQL_BYTES_MAX: usize = 16 * 1024;
/// The most levels of an expression. The planner and the compiled expression recurse along its depth, and `a + b + c …`
/// is as deep as it is long. In an unoptimised build, evaluating this depth takes half of a thread's usual stack of 2
/// MiB.
pub(super) const DEPTH_MAX: usize = 128;

/// The most levels of choices within choices. A planned choice contains its value twice (`coalesce(a, b)` is a `case`
/// that tests `a` and gives `a`), and a compiled `case` is rebuilt for each `case` around it: each level doubles the
/// time.
const CHOICES_DEPTH_MAX: usize = 10;

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
    let dialect = Bounded::new();
    let refused = |e: &ParserError, tokens: &[TokenWithSpan]| {
        ExprError(if dialect.is_exhausted() {
            "the expression does not parse, and it is nested too deep to find the place: check its parentheses, or \
             split it over map steps"
                .to_owned()
        } else {
            sentence(e, stopped_at(e, tokens)) + &advice(e, tokens)
        })
    };
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|e| refused(&e.into(), &[]))?;
    if has_too_deep_types(&tokens) {
        return Err(ExprError(format!(
            "the expression has types more than {} deep in each other: write types of fewer levels",
            types::DEPTH_MAX
        )));
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.clone());
    let mut expr = parser.parse_expr().map_err(|e| refused(&e, &tokens))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let ended = expr.to_string();
        let advice = slips::of_what_follows(&ended, &next.token).map(|advice| format!(": {advice}"));
        let text = format!(
            "the expression ends at {}, but {} follows{}{}",
            quoted(&ended),
            quoted(&next.token),
            place(next.span.start),
            advice.unwrap_or_default()
        );
        return Err(ExprError(text));
    }
    if let ControlFlow::Break(why) = Visit::visit(&expr, &mut Refuser { depth: 0, choices: 0 }) {
        return Err(ExprError(why));
    }
    let _ = VisitMut::visit(&mut expr, &mut Rewriter);
    Ok(expr)
}

/// The parser's error without its prefix.
pub(super) fn parser_sentence(error: &ParserError) -> String {
    sentence(error, None)
}

/// The sentence for a text that has no words: a quote or a comment in it is not closed.
pub(super) fn tokenizer_sentence(error: &ParserError) -> String {
    sentence(error, None) + &advice(error, &[])
}

fn sentence(error: &ParserError, stopped: Option<&TokenWithSpan>) -> String {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => return "the expression is nested too deep".to_owned(),
    };
    let (what, line_and_column) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let in_words = no_operator(what, stopped).or_else(|| after_is(what)).or_else(|| in_a_type(what));
    let (what, advice) =
        in_words.or_else(|| Some((unclosed(what).or_else(|| expected(what))?, String::new()))).unwrap_or_else(|| {
            // The parser puts what it expected into single quotes: `Expected 'FROM' or ','`.
            let mut what = what.replace("EOF", "the end").replace('\'', "`");
            if let Some(first) = what.get(..1) {
                what = first.to_lowercase() + &what[1..];
            }
            (what, String::new())
        });
    let place = location(line_and_column).map(place).unwrap_or_default();
    format!("the expression does not parse: {what}{place}{advice}")
}

/// The place in the parser's words: `1, Column: 8`.
fn location(line_and_column: &str) -> Option<Location> {
    let (line, column) = line_and_column.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// The token at which the parser stopped.
fn stopped_at<'t>(error: &ParserError, tokens: &'t [TokenWithSpan]) -> Option<&'t TokenWithSpan> {
    let (ParserError::TokenizerError(text) | ParserError::ParserError(text)) = error else { return None };
    let at = location(text.rsplit_once(" at Line: ")?.1)?;
    tokens.iter().find(|token| token.span.start == at && !matches!(token.token, Token::Whitespace(_)))
}

/// What to write instead of the token at which the parser stopped, if that is known; empty otherwise.
fn advice(error: &ParserError, tokens: &[TokenWithSpan]) -> String {
    let (ParserError::TokenizerError(text) | ParserError::ParserError(text)) = error else { return String::new() };
    if text.starts_with("Unterminated string literal") {
        return ": a text ends with a single quote, and a quote within it is written twice, as in `'it''s'`".to_owned();
    }
    if text.starts_with("Expected: AND, found") {
        return ": write `between … and …`".to_owned();
    }
    if text.starts_with("Expected: a data type name, found: '") {
        return ": a type stands without quotes, as in `cast(… as int)`".to_owned();
    }
    if text.contains("subquery in the query body") {
        return ": `exists` takes a subquery, which cannot be used here".to_owned();
    }
    let Some(stopped) = stopped_at(error, tokens) else { return String::new() };
    let words: Vec<_> = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    let Some(i) = words.iter().position(|t| t.span == stopped.span) else { return String::new() };
    let token = |i: Option<usize>| i.and_then(|i| words.get(i)).map(|t| &t.token);
    let found = slips::of_what_is_found(token(i.checked_sub(1)), &stopped.token, token(Some(i + 1)));
    found.map(|advice| format!(": {advice}")).unwrap_or_default()
}

/// The message for a word where an operator should stand, and what to write. The parser's own error shows the token in
/// Rust's debug format.
fn no_operator(text: &str, stopped: Option<&TokenWithSpan>) -> Option<(String, String)> {
    let token = text.strip_prefix("No infix parser for token ")?;
    let word = token.split_once("value: \"").and_then(|(_, rest)| rest.split('"').next());
    let found = word.map(quoted).or_else(|| stopped.map(|stopped| quoted(&stopped.token)));
    let what =
        found.map_or("what stands there is no operator".to_owned(), |found| format!("there is no operator {found}"));
    let advice = match word.map(str::to_lowercase).as_deref() {
        Some("div") => ": write `/`, which gives an integer where both sides are integers",
        _ => "",
    };
    Some((what, advice.to_owned()))
}

/// The message for a quote or a comment that is not closed.
fn unclosed(text: &str) -> Option<String> {
    if text.starts_with("Unexpected EOF while in a multi-line comment") {
        return Some("expected `*/`, which ends a comment, found the end".to_owned());
    }
    let quote = text.strip_prefix("Expected close delimiter '")?.strip_suffix("' before EOF.")?;
    Some(format!("expected {}, which ends a name, found the end", quoted(quote)))
}

/// `Expected: AND, found: x` with what was expected and found in backticks.
fn expected(text: &str) -> Option<String> {
    let text = text.strip_prefix("Expected")?;
    let (wanted, found) = text.trim_start_matches(':').trim_start().split_once(", found: ")?;
    let found = if found == "EOF" { "the end".to_owned() } else { quoted(found) };
    if !wanted.contains(char::is_alphanumeric) {
        return Some(format!("expected {}, found {found}", quoted(wanted)));
    }
    // The parser's own words are prose with SQL's keywords in upper case.
    let is_keyword = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let words = wanted.split(' ').map(|word| {
        let keyword = word.trim_end_matches(',');
        let comma = word.get(keyword.len()..).unwrap_or_default();
        if is_keyword(keyword) { quoted(keyword.to_lowercase()) + comma } else { word.to_owned() }
    });
    Some(format!("expected {}, found {found}", words.collect::<Vec<_>>().join(" ")))
}

/// The message for a wrong word behind `is`, and what to write. The parser's own error lists the possible words in
/// grammar notation.
fn after_is(text: &str) -> Option<(String, String)> {
    let (_, found) = text.split_once(" after IS, found: ")?;
    let found = if found == "EOF" { "the end".to_owned() } else { quoted(found) };
    let advice = match found.trim_matches('`').to_lowercase().as_str() {
        "the end" => "",
        "nan" => ": write `isnan(…)`",
        "none" | "nil" | "undefined" | "empty" => ": write `is null` or `is not null`",
        _ => ": write `=` or `<>` to compare values",
    };
    let what = format!("expected null, not null, true, false or distinct from … after `is`, found {found}");
    Some((what, advice.to_owned()))
}

/// The message for what is no number in a type's parentheses: `decimal(12.2)`.
fn in_a_type(text: &str) -> Option<(String, String)> {
    let (found, _) = text.strip_prefix("Could not parse '")?.split_once("' as u64: ")?;
    let advice = found
        .split_once('.')
        .map(|(precision, scale)| format!(": write {}", quoted(format_args!("decimal({precision},{scale})"))));
    Some((format!("{} is no whole number", quoted(found)), advice.unwrap_or_default()))
}

fn place(at: Location) -> String {
    match (at.line, at.column) {
        (0, _) => String::new(),
        (1, column) => format!(" at character {column}"),
        (line, column) => format!(" at line {line}, character {column}"),
    }
}

/// A sentence about an expression without the place that `place` has put into it, and that place.
#[must_use]
pub fn without_place(sentence: &str) -> (String, Option<TextPlace>) {
    let found = || {
        let (start, mark) = [" at line ", " at character "]
            .iter()
            .filter_map(|mark| Some((sentence.rfind(mark)?, *mark)))
            .max_by_key(|(start, _)| *start)?;
        let number = |text: &str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            Some((text[..digits].parse::<u64>().ok()?, start + mark.len() + digits))
        };
        let (first, end) = number(&sentence[start + mark.len()..])?;
        if mark == " at character " {
            return Some((start, end, TextPlace { line: 1, column: first }));
        }
        let rest = sentence[end..].strip_prefix(", character ")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let column = rest[..digits].parse().ok()?;
        Some((start, end + ", character ".len() + digits, TextPlace { line: first, column }))
    };
    match found() {
        Some((start, end, at)) => (sentence[..start].to_owned() + &sentence[end..], Some(at)),
        None => (sentence.to_owned(), None),
    }
}

/// Refuses syntax that has no meaning for one row, and syntax that the planner would accept and ignore.
struct Refuser {
    depth: usize,
    choices: usize,
}

impl Visitor for Refuser {
    type Break = String;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        ControlFlow::Break("a subquery cannot be used here: an expression sees one row".to_owned())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.depth -= 1;
        self.choices -= usize::from(is_choice(expr));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return ControlFlow::Break(format!(
                "the expression is more than {DEPTH_MAX} operators deep: use `in (…)` for a long list, or split it \
                 over map steps"
            ));
        }
        self.choices += usize::from(is_choice(expr));
        if self.choices > CHOICES_DEPTH_MAX {
            return ControlFlow::Break(format!(
                "`case`, `coalesce`, `nullif` and the like are more than {CHOICES_DEPTH_MAX} deep in each other: \
                 write one `case` with several \
                 `when`, one `coalesce` of all values, or split it over map steps"
            ));
        }
        if let Expr::Function(function) = expr {
            return refuse_function(function);
        }
        syntax::refused(expr).map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

/// Whether this expression picks one of its operands by another's value, or compares an operand twice.
pub(super) fn is_choice(expr: &Expr) -> bool {
    match expr {
        Expr::Case { .. } | Expr::Between { .. } => true,
        Expr::Function(function) => {
            let name = function.name.to_string();
            ["coalesce", "nvl", "ifnull", "nvl2", "nullif"].iter().any(|choice| name.eq_ignore_ascii_case(choice))
        }
        _ => false,
    }
}

fn refuse_function(function: &Function) -> ControlFlow<String> {
    if column_named_as(function).is_some() {
        return ControlFlow::Continue(());
    }
    let name = function.name.to_string();
    let is_aggregate = aggregate::names().any(|a| name.eq_ignore_ascii_case(a));
    if function.over.is_some() {
        return ControlFlow::Break(format!("`{name}(…) OVER` is a window function, which cannot be used here"));
    }
    if let Some(why) = habits::no_such_function(&name, &arguments(function)) {
        return ControlFlow::Break(why);
    }
    if let Some(why) = methods::refused_call(function) {
        return ControlFlow::Break(why);
    }
    if let ("from_unixtime", [seconds, pattern]) = (&*name.to_lowercase(), &arguments(function)[..]) {
        return ControlFlow::Break(format!(
            "`from_unixtime` gives a timestamp and takes no pattern: write {} for a text",
            quoted(format_args!("date_format(from_unixtime({seconds}), {pattern})"))
        ));
    }
    if let Some(why) = syntax::refused_unit(&name, &arguments(function)) {
        return ControlFlow::Break(why);
    }
    if let Some(why) = syntax::refused_order(&name, &arguments(function)) {
        return ControlFlow::Break(why);
    }
    if name.eq_ignore_ascii_case("unnest") {
        return ControlFlow::Break(
            "`unnest` gives several rows for one, which is a step's work and not an expression's".to_owned(),
        );
    }
    let modifier = if function.filter.is_some() && !is_aggregate {
        Some("FILTER")
    } else if function.null_treatment.is_some() && !aggregate::may_skip_nulls(&name) {
        Some("IGNORE NULLS or RESPECT NULLS")
    } else if !function.within_group.is_empty() {
        Some("WITHIN GROUP")
    } else if function.parameters != FunctionArguments::None {
        Some("a second pair of parentheses")
    } else {
        match &function.args {
            FunctionArguments::List(list) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) => {
                Some("DISTINCT")
            }
            FunctionArguments::List(list) if !list.clauses.is_empty() => Some("a clause such as ORDER BY"),
            _ => None,
        }
    };
    if let (Some("DISTINCT"), true) = (modifier, is_aggregate)
        && !(name.eq_ignore_ascii_case("count") && arguments(function).len() == 1)
    {
        return ControlFlow::Break(of_distinct_values(function, &name.to_lowercase()));
    }
    if let Some(modifier) = modifier.filter(|modifier| *modifier != "DISTINCT" || !is_aggregate) {
        let what = if is_aggregate { "not supported yet" } else { "only for aggregates" };
        return ControlFlow::Break(format!("{}: {modifier} in `{name}` is {what}", quoted(function)));
    }
    if let FunctionArguments::List(list) = &function.args {
        let stars = list.args.iter().filter(|a| matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Wildcard))).count();
        if stars > 0 && !name.eq_ignore_ascii_case("count") {
            return ControlFlow::Break(format!(
                "{}: `*` is only for `count(*)`, `{name}` takes a column",
                quoted(function)
            ));
        }
    }
    ControlFlow::Continue(())
}

/// What to write in place of an aggregate of distinct values.
fn of_distinct_values(function: &Function, name: &str) -> String {
    let found = quoted(function);
    match (&arguments(function)[..], name) {
        ([value], "min" | "max") => {
            format!("{found}: equal values change nothing here: write {}", quoted(format_args!("{name}({value})")))
        }
        ([value], "collect_list" | "array_agg") => {
            format!("{found}: write {}", quoted(format_args!("collect_set({value})")))
        }
        ([value], _) => format!(
            "{found}: an aggregate of distinct values takes two steps: the first has {} and the group columns in its \
             `groupBy`, the second has the same window and writes {}",
            quoted(value),
            quoted(format_args!("{name}({value})"))
        ),
        _ => format!("{found}: `{name}` takes one value"),
    }
}

/// Rewrites syntax that the planner would misread or can't read.
struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Value(value) => {
                // `1e3` is a double, as in Spark; the planner would make every number with a point or an exponent a
                // decimal.
                let Value::Number(digits, _) = &mut value.value else { return ControlFlow::Continue(()) };
                if digits.contains(['e', 'E']) {
                    value.value = Value::SingleQuotedString(std::mem::take(digits));
                    *expr = cast_to(expr.clone(), DataType::Double(ExactNumberInfo::None));
                } else if digits.parse::<i64>().is_err() && !digits.contains('.') {
                    // A whole number beyond a bigint is a decimal, as in Spark. The planner would make a number
                    // without a sign of some, which no column can hold.
                    digits.push('.');
                }
            }
            // With its sign, the least bigint is one.
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand } => {
                if let Expr::Value(value) = operand.as_mut()
                    && let Value::Number(digits, _) = &mut value.value
                    && let Some(whole) = digits.strip_suffix('.')
                    && format!("-{whole}").parse::<i64>().is_ok()
                {
                    *digits = whole.to_owned();
                }
            }
            // The parser takes some names for functions of SQL; here they can only be columns.
            Expr::Function(function) => {
                with_unit_as_text(function);
                if let Some(cast) = in_utf8(function) {
                    *expr = cast;
                    return ControlFlow::Continue(());
                }
                if let Some(mut names) = column_named_as(function) {
                    *expr = match names.len() {
                        1 => Expr::Identifier(names.remove(0)),
                        _ => Expr::CompoundIdentifier(names),
                    };
                }
            }
            // A timestamp of Weir is in UTC.
            Expr::AtTimeZone { timestamp, time_zone } => {
                *expr = call("from_utc_timestamp", [Some(timestamp.clone()), Some(time_zone.clone()), None]);
            }
            Expr::RLike { negated, expr: text, pattern, .. } => {
                let call = call("regexp_like", [Some(text.clone()), Some(pattern.clone()), None]);
                *expr = if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(call) } } else { call };
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let (Expr::Value(value), Some(escape)) = (pattern.as_mut(), escape_char.as_ref())
                    && let Value::SingleQuotedString(text) = &mut value.value
                    && let Some(escape) = one_sign(escape)
                {
                    *text = with_backslashes(text, escape);
                    *escape_char = None;
                }
            }
            // In `s['a'].b`, the planner accepts the field name behind the brackets only as a string.
            Expr::CompoundFieldAccess { root, access_chain } => {
                if let Some(column) = merged(root, access_chain) {
                    *expr = column;
                    return ControlFlow::Continue(());
                }
                // The planner reads names behind a column, and behind nothing else: `named_struct('a', city).a`.
                let is_of_a_column = matches!(**root, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let is_read = |access: &&mut AccessExpr| is_of_a_column && matches!(access, AccessExpr::Dot(_));
                let behind = access_chain.iter_mut().skip_while(is_read);
                for access in behind {
                    if let AccessExpr::Dot(Expr::Identifier(name)) = access {
                        *access =
                            AccessExpr::Dot(Expr::value(Value::SingleQuotedString(std::mem::take(&mut name.value))));
                    }
                }
            }
            // `substring(a from 1 for 2)` has its own syntax, which datafusion-sql plans only with a feature that is
            // off here.
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                let one = || Box::new(Expr::value(Value::Number("1".to_owned(), false)));
                let from = substring_from.take().unwrap_or_else(one);
                *expr = call("substr", [Some(text.clone()), Some(from), substring_for.take()]);
            }
            // As in Spark, a field is named as its column, or `col1`, `col2`, … by its place. The planner would name it
            // `c0`, `c1`, ….
            Expr::Struct { values, .. } => {
                for (i, value) in
                    values.iter_mut().enumerate().filter(|(_, value)| !matches!(value, Expr::Named { .. }))
                {
                    let name = column_of(value).unwrap_or_else(|| format!("col{}", i + 1));
                    let unnamed = std::mem::replace(value, Expr::value(Value::Null));
                    *value = Expr::Named { expr: Box::new(unnamed), name: Ident::new(name) };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Makes `timestampadd('HOUR', …)` of `timestampadd(HOUR, …)`, and of the other names that it and its counterpart have:
/// the planner would take the unit for a column.
fn with_unit_as_text(function: &mut Function) {
    let name = match function.name.to_string().to_lowercase().as_str() {
        "timestampadd" | "dateadd" | "date_add" => "timestampadd",
        "timestampdiff" | "datediff" | "date_diff" => "timestampdiff",
        _ => return,
    };
    let FunctionArguments::List(list) = &mut function.args else { return };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(unit)), _, _] = &mut list.args[..] else { return };
    if let Expr::Identifier(word) = unit
        && word.quote_style.is_none()
    {
        *unit = Expr::value(Value::SingleQuotedString(std::mem::take(&mut word.value)));
    }
    function.name = ObjectName::from(vec![Ident::new(name)]);
}

/// The sign that an `escape` names.
fn one_sign(escape: &Value) -> Option<char> {
    let text = escape.clone().into_string()?;
    let mut signs = text.chars();
    signs.next().filter(|_| signs.next().is_none())
}

/// The pattern of a `like` with a backslash in place of the sign that escapes.
fn with_backslashes(pattern: &str, escape: char) -> String {
    let (mut changed, mut signs) = (String::new(), pattern.chars());
    while let Some(sign) = signs.next() {
        match (sign == escape).then(|| signs.next()).flatten() {
            Some(escaped @ ('%' | '_')) => changed.extend(['\\', escaped]),
            Some('\\') => changed += "\\\\",
            Some(escaped) => changed.push(escaped),
            None if sign == '\\' => changed += "\\\\",
            None => changed.push(sign),
        }
    }
    changed
}

/// The cast that `encode(text, 'utf-8')` or `decode(bytes, 'utf-8')` is. DataFusion's functions of these names know
/// encodings of bytes in texts only.
fn in_utf8(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value)), FunctionArg::Unnamed(FunctionArgExpr::Expr(charset))] =
        &list.args[..]
    else {
        return None;
    };
    let Expr::Value(charset) = charset else { return None };
    let charset = charset.value.clone().into_string()?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let text = cast_to(value.clone(), DataType::String(None));
    match function.name.to_string().to_lowercase().as_str() {
        "decode" => Some(text),
        "encode" => Some(cast_to(text, DataType::Binary(None))),
        _ => None,
    }
}

/// The name of the column or field that the expression is.
fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => column_of(inner),
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last()? {
            AccessExpr::Dot(Expr::Identifier(name)) => Some(name.value.clone()),
            AccessExpr::Dot(Expr::Value(name))
            | AccessExpr::Subscript(Subscript::Index { index: Expr::Value(name) }) => name.value.clone().into_string(),
            _ => None,
        },
        _ => None,
    }
}

/// The name in a call without parentheses that is the name of a column: `user` is a common one.
fn column_named_as(function: &Function) -> Option<Vec<Ident>> {
    let ident = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(name) => Some(name.clone()),
        ObjectNamePart::Function(_) => None,
    };
    let names: Vec<_> = function.name.0.iter().map(ident).collect::<Option<_>>()?;
    let is_such = ["user", "current_user", "session_user", "current_catalog"]
        .iter()
        .any(|such| names.last().is_some_and(|name| name.value.eq_ignore_ascii_case(such)));
    (matches!(function.args, FunctionArguments::None) && is_such).then_some(names)
}

/// Puts the names behind a column that was taken for a function to it, as the parser does for other columns:
/// `user.address.city`. Returns the column if nothing else is left behind it.
fn merged(root: &mut Expr, chain: &mut Vec<AccessExpr>) -> Option<Expr> {
    let mut names = match root {
        Expr::Identifier(name) => vec![name.clone()],
        Expr::CompoundIdentifier(names) => names.clone(),
        _ => return None,
    };
    let fields = chain.iter().map_while(|access| match access {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    });
    let fields: Vec<_> = fields.collect();
    if fields.is_empty() {
        return None;
    }
    chain.drain(..fields.len());
    names.extend(fields);
    *root = Expr::CompoundIdentifier(names);
    chain.is_empty().then(|| root.clone())
}

fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
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
