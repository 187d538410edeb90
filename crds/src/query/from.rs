//! What a query reads: a table, a query in parentheses or a table with windows, and arrays of it that are unnested.

use weir_plan::expr::{TextPlace, Word, WordKind};

use super::cursor::{Cursor, Read, is_name, is_word, wrong};
use super::select::{Query, names, nested};
use super::windows::{WindowCall, of_a_table};

#[derive(Debug)]
pub(super) struct From<'q> {
    pub(super) at: TextPlace,
    pub(super) table: Table<'q>,
    pub(super) window: Option<WindowCall<'q>>,
    pub(super) alias: Option<&'q Word>,
    pub(super) unnested: Vec<Unnested<'q>>,
}

#[derive(Debug)]
pub(super) enum Table<'q> {
    Named(String),
    Query(Box<Query<'q>>),
}

/// An array with a row for each of its elements.
#[derive(Debug)]
pub(super) struct Unnested<'q> {
    pub(super) at: TextPlace,
    pub(super) array: &'q [Word],
    pub(super) alias: Option<&'q Word>,
    pub(super) element: &'q Word,
    pub(super) position: Option<Position<'q>>,
    pub(super) keeps_empty: bool,
}

/// The column for the position of an element.
#[derive(Debug)]
pub(super) struct Position<'q> {
    pub(super) name: &'q Word,
    /// Whether the first element is 1, and not 0.
    pub(super) is_from_one: bool,
}

const UNNEST: &str = "CROSS JOIN UNNEST(items) AS t(item)";
const JOINS: &str = "joins are not supported: a query reads one table, or several with UNION ALL";

pub(super) fn from<'q>(cursor: &mut Cursor<'q>, depth: usize) -> Read<From<'q>> {
    let at = cursor.at();
    let (table, window) = match of_a_table(cursor)? {
        Some((mut inner, call)) => {
            let table = table(&mut inner, depth)?;
            if !inner.is_at_end() {
                return inner.wanted("`,`");
            }
            (table, Some(call))
        }
        None => (table(cursor, depth)?, None),
    };
    let alias = alias(cursor)?;
    if cursor.is(&["("]) {
        return wrong(cursor.at(), "names for a table's columns are not read: name them in its SELECT");
    }
    let mut unnested = Vec::new();
    while let Some(more) = unnest(cursor)? {
        unnested.push(more);
    }
    Ok(From { at, table, window, alias, unnested })
}

fn table<'q>(cursor: &mut Cursor<'q>, depth: usize) -> Read<Table<'q>> {
    if let Some(inner) = cursor.group() {
        return Ok(Table::Query(Box::new(nested(inner, depth + 1)?)));
    }
    let mut name = cursor.name("a table, which is one of the step's inputs")?.value.clone();
    // A step's name may have hyphens, which SQL takes for signs.
    while let Some(word) = cursor.peek().filter(|word| !word.is_apart) {
        let is_sign = is_word(word, "-") || is_word(word, ".");
        if !is_sign && !is_name(word) && word.kind != WordKind::Number {
            break;
        }
        name += &word.value;
        cursor.skip(1);
    }
    Ok(Table::Named(name))
}

/// The name behind a table.
fn alias<'q>(cursor: &mut Cursor<'q>) -> Read<Option<&'q Word>> {
    if cursor.take(&["as"]) {
        return cursor.name("a name").map(Some);
    }
    const NO_NAMES: [&str; 25] = [
        "where",
        "group",
        "having",
        "union",
        "order",
        "limit",
        "offset",
        "fetch",
        "intersect",
        "except",
        "minus",
        "qualify",
        "window",
        "cross",
        "join",
        "inner",
        "left",
        "right",
        "full",
        "natural",
        "lateral",
        "with",
        "on",
        "using",
        "tablesample",
    ];
    let is_free = |word: &&Word| is_name(word) && !NO_NAMES.iter().any(|other| is_word(word, other));
    let found = cursor.peek().filter(is_free);
    cursor.skip(usize::from(found.is_some()));
    Ok(found)
}

fn unnest<'q>(cursor: &mut Cursor<'q>) -> Read<Option<Unnested<'q>>> {
    let at = cursor.at();
    let mut ahead = *cursor;
    if ahead.take(&["lateral", "view"]) {
        *cursor = ahead;
        return exploded(cursor, at).map(Some);
    }
    let is_left = ahead.take(&["left", "join"]) || ahead.take(&["left", "outer", "join"]);
    let is_join = is_left
        || ahead.take(&[","])
        || [&["cross", "join"][..], &["inner", "join"], &["join"]].iter().any(|words| ahead.take(words));
    if !is_join {
        return Ok(None);
    }
    ahead.take(&["lateral"]);
    if !ahead.take(&["unnest"]) {
        return wrong(at, JOINS);
    }
    let Some(array) = ahead.group() else { return ahead.wanted(&format!("`(`, as in `{UNNEST}`")) };
    let mut from_one = ahead.take(&["with", "ordinality"]);
    let alias = alias(&mut ahead)?;
    let columns = ahead.group().map(names).transpose()?;
    from_one |= ahead.take(&["with", "ordinality"]);
    let offset = if ahead.take(&["with", "offset"]) {
        ahead.take(&["as"]);
        Some(ahead.name("a name for the position, as in `WITH OFFSET AS position`")?)
    } else {
        None
    };
    if ahead.take(&["on"]) && !ahead.take(&["true"]) {
        return wrong(ahead.at(), "an array is joined to its own row: write ON TRUE");
    }
    let (alias, columns) = match (alias, columns) {
        (alias, Some(columns)) => (alias, columns),
        (Some(element), None) => (None, vec![element]),
        (None, None) => return ahead.wanted(&format!("a name for the element, as in `{UNNEST}`")),
    };
    let (element, position) = match (&columns[..], from_one, offset) {
        ([element], false, offset) => (*element, offset.map(|name| Position { name, is_from_one: false })),
        ([element, name], true, None) => (*element, Some(Position { name, is_from_one: true })),
        _ => {
            let right =
                if from_one { "AS t(item, position)" } else { "AS t(item), and `item.price` for a field of it" };
            return wrong(at, format!("the element of an array is one column: write {right}"));
        }
    };
    *cursor = ahead;
    Ok(Some(Unnested { at, array: array.rest(), alias, element, position, keeps_empty: is_left }))
}

/// Reads Spark's `LATERAL VIEW explode(items) t AS item` behind its first two words.
fn exploded<'q>(cursor: &mut Cursor<'q>, at: TextPlace) -> Read<Unnested<'q>> {
    const EXAMPLE: &str = "LATERAL VIEW explode(items) t AS item";
    let keeps_empty = cursor.take(&["outer"]);
    let has_position = cursor.take(&["posexplode"]);
    if !has_position {
        cursor.expect(&["explode"], EXAMPLE)?;
    }
    let Some(array) = cursor.group() else { return cursor.wanted(&format!("`(`, as in `{EXAMPLE}`")) };
    let alias = if cursor.is(&["as"]) { None } else { Some(cursor.name("a name for the table")?) };
    cursor.expect(&["as"], EXAMPLE)?;
    let first = cursor.name("a name for the element")?;
    let (element, position) = if has_position {
        cursor.expect(&[","], "LATERAL VIEW posexplode(items) t AS position, item")?;
        (cursor.name("a name for the element")?, Some(Position { name: first, is_from_one: false }))
    } else {
        (first, None)
    };
    Ok(Unnested { at, array: array.rest(), alias, element, position, keeps_empty })
}
