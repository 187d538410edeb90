//! The clauses of a query. Expressions stay the words that they are.

use weir_plan::expr::{TextPlace, Word, WordKind};
use weir_plan::quote::quoted;

use super::cursor::{Cursor, Read, by_commas, ends_an_operand, is_name, is_word, wrong};
use super::from::{From, from};
use super::over::{Over, Ranking, ranking, split};
use super::windows::{WindowCall, window};

/// How deep queries may lie in each other. What reads them calls itself once per level.
const DEPTH_MAX: usize = 16;
const SELECT: &str = "SELECT city, price FROM rides";

#[derive(Debug)]
pub(super) struct Query<'q> {
    /// The queries of `WITH`, by their names.
    pub(super) with: Vec<(&'q Word, Query<'q>)>,
    /// What `UNION ALL` unites; one if there is none.
    pub(super) parts: Vec<Part<'q>>,
}

#[derive(Debug)]
pub(super) enum Part<'q> {
    Select(Box<Select<'q>>),
    Nested(Box<Query<'q>>, TextPlace),
}

#[derive(Debug)]
pub(super) struct Select<'q> {
    pub(super) at: TextPlace,
    /// Whether the list begins with `*`; then the columns that it leaves out.
    pub(super) all: Option<Vec<&'q Word>>,
    pub(super) columns: Vec<Column<'q>>,
    /// The column that ranks the rows.
    pub(super) ranking: Option<(Ranking<'q>, &'q Word)>,
    pub(super) from: From<'q>,
    pub(super) filter: Option<&'q [Word]>,
    pub(super) group_by: Option<GroupBy<'q>>,
    pub(super) having: Option<&'q [Word]>,
}

/// A column of a list, but not `*`.
#[derive(Debug)]
pub(super) struct Column<'q> {
    pub(super) at: TextPlace,
    /// The expression without `OVER (…)`.
    pub(super) words: Vec<Word>,
    pub(super) overs: Vec<Over<'q>>,
    pub(super) name: Option<&'q Word>,
}

#[derive(Debug)]
pub(super) struct GroupBy<'q> {
    pub(super) at: TextPlace,
    pub(super) window: Option<WindowCall<'q>>,
    pub(super) keys: Vec<&'q [Word]>,
}

/// Reads a whole text.
pub(super) fn whole(mut cursor: Cursor<'_>) -> Read<Query<'_>> {
    let query = query(&mut cursor, 0)?;
    cursor.take(&[";"]);
    finished(&cursor)?;
    Ok(query)
}

/// Reads what stands in parentheses.
pub(super) fn nested(mut cursor: Cursor<'_>, depth: usize) -> Read<Query<'_>> {
    let query = query(&mut cursor, depth)?;
    finished(&cursor)?;
    Ok(query)
}

fn query<'q>(cursor: &mut Cursor<'q>, depth: usize) -> Read<Query<'q>> {
    if depth > DEPTH_MAX {
        let message =
            format!("queries are more than {DEPTH_MAX} deep in each other: split the query over several steps");
        return wrong(cursor.at(), message);
    }
    let mut with = Vec::new();
    if cursor.take(&["with"]) {
        if cursor.is(&["recursive"]) {
            return wrong(cursor.at(), "a query that reads itself is not supported: leave RECURSIVE out");
        }
        loop {
            let name = cursor.name("a name, as in `WITH cheap AS (SELECT …)`")?;
            cursor.expect(&["as"], "WITH cheap AS (SELECT …)")?;
            let Some(inner) = cursor.group() else { return cursor.wanted("`(`, as in `WITH cheap AS (SELECT …)`") };
            with.push((name, nested(inner, depth + 1)?));
            if !cursor.take(&[","]) {
                break;
            }
        }
    }
    let mut parts = vec![part(cursor, depth)?];
    while cursor.is(&["union"]) {
        let at = cursor.at();
        if !cursor.take(&["union", "all"]) {
            return wrong(at, "UNION drops duplicates, for which every row would be kept: write UNION ALL");
        }
        parts.push(part(cursor, depth)?);
    }
    Ok(Query { with, parts })
}

fn part<'q>(cursor: &mut Cursor<'q>, depth: usize) -> Read<Part<'q>> {
    let at = cursor.at();
    if let Some(inner) = cursor.group() {
        let mut query = nested(inner, depth + 1)?;
        return Ok(match query.parts.pop() {
            Some(only) if query.parts.is_empty() && query.with.is_empty() => only,
            last => {
                query.parts.extend(last);
                Part::Nested(Box::new(query), at)
            }
        });
    }
    select(cursor, depth).map(|select| Part::Select(Box::new(select)))
}

fn select<'q>(cursor: &mut Cursor<'q>, depth: usize) -> Read<Select<'q>> {
    let at = cursor.at();
    if !cursor.take(&["select"]) {
        return cursor.wanted(&format!("a query, as in {}", quoted(SELECT)));
    }
    if cursor.is(&["distinct"]) {
        let message = "SELECT DISTINCT compares a row with every row before it: write a step `deduplicate`, or GROUP BY \
                       with a window";
        return wrong(cursor.at(), message);
    }
    cursor.take(&["all"]);
    let all = all(cursor)?;
    let (mut columns, mut ranked) = (Vec::new(), None);
    let mut goes_on = all.is_none() || cursor.take(&[","]);
    while goes_on {
        match column(cursor)? {
            Listed::Column(column) => columns.push(column),
            Listed::Ranking(ranking, name) if ranked.is_none() => ranked = Some((ranking, name)),
            Listed::Ranking(ranking, _) => return wrong(ranking.over.at, "a SELECT ranks its rows once"),
        }
        goes_on = cursor.take(&[","]);
    }
    cursor.expect(&["from"], SELECT)?;
    let from = from(cursor, depth)?;
    let filter = clause(cursor, &["where"])?;
    let group_by = if cursor.is(&["group", "by"]) { Some(group_by(cursor)?) } else { None };
    let having = clause(cursor, &["having"])?;
    Ok(Select { at, all, columns, ranking: ranked, from, filter, group_by, having })
}

/// The columns that a list which begins with `*` leaves out; `None` if it begins otherwise.
fn all<'q>(cursor: &mut Cursor<'q>) -> Read<Option<Vec<&'q Word>>> {
    let of_a_table = cursor.rest().get(1).zip(cursor.rest().get(2));
    let is_qualified = of_a_table.is_some_and(|(dot, star)| is_word(dot, ".") && is_word(star, "*"));
    cursor.skip(if is_qualified { 2 } else { 0 });
    if !cursor.take(&["*"]) {
        return Ok(None);
    }
    if !cursor.take(&["except"]) && !cursor.take(&["exclude"]) {
        if cursor.is(&["replace"]) {
            return wrong(
                cursor.at(),
                "REPLACE is not read: write the column behind `*`, as in `*, upper(city) AS city`",
            );
        }
        return Ok(Some(Vec::new()));
    }
    let Some(mut inner) = cursor.group() else { return Ok(Some(vec![cursor.name("`(`, as in `* EXCEPT (price)`")?])) };
    let mut dropped = vec![inner.name("a column")?];
    while inner.take(&[","]) {
        dropped.push(inner.name("a column")?);
    }
    if inner.is_at_end() { Ok(Some(dropped)) } else { inner.wanted("`,` or `)`") }
}

enum Listed<'q> {
    Column(Column<'q>),
    Ranking(Ranking<'q>, &'q Word),
}

fn column<'q>(cursor: &mut Cursor<'q>) -> Read<Listed<'q>> {
    let at = cursor.at();
    if cursor.is(&["*"]) {
        return wrong(at, "`*` comes first in a list of columns");
    }
    if cursor.is(&["from"]) {
        return cursor.wanted("a column");
    }
    let words = cursor.expression();
    if words.is_empty() {
        return cursor.wanted("a column");
    }
    let (words, name) = named(words);
    if let Some(ranking) = ranking(words)? {
        let Some(name) = name else {
            return wrong(at, "the rank needs a name: write ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) AS rn");
        };
        return Ok(Listed::Ranking(ranking, name));
    }
    let (words, overs) = split(words)?;
    Ok(Listed::Column(Column { at, words, overs, name }))
}

/// The expression and the name that follows it, with or without `AS`.
fn named(words: &[Word]) -> (&[Word], Option<&Word>) {
    let [rest @ .., before, last] = words else { return (words, None) };
    if is_word(before, "as") && is_name(last) && !rest.is_empty() {
        return (rest, Some(last));
    }
    let is_free = last.kind == WordKind::InQuotes || last.kind == WordKind::Plain && !is_part_of_an_expression(last);
    if is_free && ends_an_operand(before) {
        return (&words[..words.len() - 1], Some(last));
    }
    (words, None)
}

/// Whether an expression may go on with this word.
fn is_part_of_an_expression(word: &Word) -> bool {
    const WORDS: [&str; 28] = [
        "and", "or", "not", "in", "like", "ilike", "rlike", "regexp", "between", "is", "null", "true", "false", "end",
        "case", "when", "then", "else", "escape", "year", "years", "month", "day", "days", "hour", "hours", "minute",
        "minutes",
    ];
    WORDS.iter().chain(&["second", "seconds", "over", "filter", "from"]).any(|part| is_word(word, part))
}

fn clause<'q>(cursor: &mut Cursor<'q>, keyword: &[&str]) -> Read<Option<&'q [Word]>> {
    if !cursor.take(keyword) {
        return Ok(None);
    }
    match cursor.expression() {
        [] => cursor.wanted("a condition"),
        words => Ok(Some(words)),
    }
}

fn group_by<'q>(cursor: &mut Cursor<'q>) -> Read<GroupBy<'q>> {
    let by = cursor.at();
    cursor.skip(2);
    let (mut keys, mut found) = (Vec::new(), None);
    loop {
        let at = cursor.at();
        let words = cursor.expression();
        match words {
            [] => return cursor.wanted("a column or a window, as in `GROUP BY city, TUMBLE(INTERVAL '5 minutes')`"),
            [number] if number.kind == WordKind::Number => {
                return wrong(
                    at,
                    format!("found {}: write the column in place of its number", quoted(&number.written)),
                );
            }
            [first, ..]
                if ["rollup", "cube", "grouping"].iter().any(|word| is_word(first, word)) && words.len() > 1 =>
            {
                let message = "groupings of several kinds at once are not supported: write one query for each and unite \
                               them with UNION ALL";
                return wrong(at, message);
            }
            _ => match window(words)? {
                Some(_) if found.is_some() => return wrong(at, "rows are grouped by one window: leave one out"),
                Some(call) => found = Some(call),
                None => keys.push(words),
            },
        }
        if !cursor.take(&[","]) {
            return Ok(GroupBy { at: by, window: found, keys });
        }
    }
}

/// Refuses what follows a query, and says what to write instead.
fn finished(cursor: &Cursor<'_>) -> Read<()> {
    let Some(word) = cursor.peek() else { return Ok(()) };
    let why = match word.written.to_lowercase().as_str() {
        "order" | "limit" | "offset" | "fetch" => {
            "a stream has no end, so its rows are in no order and have no last one: leave it out, or, for the first \
             rows of each window, write ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY …) AS rn in \
             a query, and SELECT * FROM (…) WHERE rn <= 3 around it"
        }
        "intersect" | "except" | "minus" => "it would compare a row with every row: leave it out",
        "qualify" => "it is not read: write the rank as a column AS rn, and SELECT * FROM (…) WHERE rn <= 3 around it",
        "window" => "named windows are not read: write each behind its OVER",
        "join" | "cross" | "inner" | "left" | "right" | "full" | "natural" | "," => {
            "joins are not supported: a query reads one table, or several with UNION ALL"
        }
        "having" => "HAVING belongs behind GROUP BY: write WHERE",
        "where" | "group" => "the clauses of a query are in the order SELECT, FROM, WHERE, GROUP BY, HAVING",
        _ => return cursor.wanted("the end of the query, or a clause such as WHERE or GROUP BY"),
    };
    wrong(word.at, format!("found {}: {why}", quoted(&word.written)))
}

/// The columns of a list in parentheses, without anything else in it.
pub(super) fn names<'q>(cursor: Cursor<'q>) -> Read<Vec<&'q Word>> {
    let name = |words: &'q [Word]| match words {
        [name] if is_name(name) => Ok(name),
        _ => cursor.wanted("names with commas between them"),
    };
    by_commas(cursor.rest()).into_iter().map(name).collect()
}
