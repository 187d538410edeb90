//! GROUP BY with a window: an aggregate, and a map that gives its columns as the SELECT lists them.

use weir_plan::expr::{TextPlace, Word};
use weir_plan::quote::quoted;

use super::super::cursor::{Read, is_name, wrong};
use super::super::known::columns_of;
use super::super::made::{Operation, Relation, as_expression};
use super::super::scope::{Piece, Scope, column_of, has_aggregate, is_same, with_names_resolved};
use super::super::select::{Column, GroupBy, Select};
use super::super::windows::WindowCall;
use super::{Writer, is_bound, name_of, names_of};
use crate::document::{self, Aggregate, AggregateColumn, Empty, Map, Window};
use crate::finding::Path;

/// The column for the condition behind HAVING.
const HAVING: &str = "_having";
/// The column of an aggregate that computes nothing else.
const ROWS: &str = "_rows";

/// A column that rows are grouped by.
struct Key {
    name: String,
    words: Vec<Word>,
    /// `None` if it is the input's column of that name.
    expr: Option<Piece>,
}

impl Writer<'_, '_> {
    #[allow(clippy::too_many_arguments, reason = "these are the clauses of a SELECT")]
    pub(super) fn groups(
        &mut self,
        from: Relation,
        select: &Select<'_>,
        group_by: &GroupBy<'_>,
        of_table: Option<&WindowCall<'_>>,
        scope: &Scope,
        filter: Option<Vec<Word>>,
        names: Option<&[String]>,
        is_last: bool,
    ) -> Read<Relation> {
        if select.all.is_some() {
            return wrong(select.at, "a group has no single row for `*`: list the columns of GROUP BY, and aggregates");
        }
        if let Some(over) = select.columns.iter().flat_map(|column| &column.overs).next() {
            return wrong(over.at, "OVER is for rows, and these are groups: write it in a query around this one");
        }
        let window = self.window(&from, group_by, of_table, scope)?;
        let from = match &filter {
            Some(filter) => self.filtered(from, Some(filter), select.at)?,
            None => from,
        };
        let mut keys = Vec::new();
        for words in &group_by.keys {
            let words = scope.resolved(words);
            if !column_of(&words).is_some_and(|name| is_bound(&name)) {
                keys.push(key(words, select, scope, &from, keys.len())?);
            }
        }
        check_partition(of_table, &keys, group_by.at)?;

        let listed = names_of(&select.columns, scope, names)?;
        let (mut computed, mut columns) = (Vec::new(), Vec::new());
        for (column, name) in select.columns.iter().zip(&listed) {
            let words = scope.resolved(&column.words);
            let own = column_of(&words);
            let given = own.clone().filter(|name| is_bound(name)).or_else(|| {
                let is_key = |key: &&Key| own.as_ref() == Some(&key.name) || is_same(&words, &key.words);
                keys.iter().find(is_key).map(|key| key.name.clone())
            });
            let given = given.unwrap_or_else(|| {
                let own = name_of(column, scope).ok().flatten().unwrap_or_else(|| name.clone());
                let is_key = is_bound(&own) || keys.iter().any(|key| key.name == own);
                let own = if is_key { format!("_{own}") } else { own };
                computed.push((own.clone(), words));
                own
            });
            let expr = (given != *name).then(|| as_expression(&given));
            columns.push(document::Column { name: name.clone(), expr });
        }
        let having = select.having.map(|words| having(&scope.resolved(words), &computed));
        let mut filter = None;
        match having {
            Some(words) if has_aggregate(&words) => {
                computed.push((HAVING.to_owned(), words));
                filter = Some((as_expression(HAVING), None));
            }
            Some(words) => {
                let piece = Piece::of(&words);
                filter = Some((piece.text.clone(), Some(piece)));
            }
            None => {}
        }
        let aggregated = self.aggregate(from, window, keys, &computed, group_by, of_table)?;
        let spots = filter
            .iter()
            .filter_map(|(_, piece)| Some((Path::root().field("where"), piece.as_ref()?.spot())))
            .collect();
        let chosen: Vec<_> = columns
            .iter()
            .map(|column| (column.name.clone(), column.expr.clone().unwrap_or_else(|| column.name.clone())))
            .collect();
        let known = aggregated.known.chosen(&chosen);
        let map = Map {
            from: aggregated.node.clone(),
            filter: filter.map(|(text, _)| text),
            columns: Some(columns),
            add_columns: None,
            drop_columns: None,
        };
        let node = self.add(is_last, Operation::Map(map), select.at, &aggregated, spots)?;
        Ok(Relation { node, input: None, known })
    }

    fn window(
        &self,
        from: &Relation,
        group_by: &GroupBy<'_>,
        of_table: Option<&WindowCall<'_>>,
        scope: &Scope,
    ) -> Read<Option<Window>> {
        let listed: Vec<_> =
            group_by.keys.iter().filter_map(|words| scope.column(words)).filter(|n| is_bound(n)).collect();
        match (&group_by.window, of_table) {
            (Some(call), Some(_)) => wrong(call.words[0].at, "the table has windows already: leave this one out"),
            (Some(call), None) => {
                self.check_time(call.time, &from.known, scope)?;
                Ok(Some(call.window.clone()))
            }
            (None, Some(call)) if listed.len() == 2 => Ok(Some(call.window.clone())),
            (None, None) if listed.len() == 2 => Ok(Some(Window {
                tumbling: None,
                sliding: None,
                session: None,
                cumulate: None,
                calendar: None,
                of_input: Some(Empty {}),
            })),
            // A running aggregate.
            (None, None) if listed.is_empty() => Ok(None),
            (None, _) => wrong(group_by.at, "the groups of a window have both bounds: add window_start and window_end"),
        }
    }

    fn aggregate(
        &mut self,
        from: Relation,
        window: Option<Window>,
        keys: Vec<Key>,
        computed: &[(String, Vec<Word>)],
        group_by: &GroupBy<'_>,
        of_table: Option<&WindowCall<'_>>,
    ) -> Read<Relation> {
        let at = Path::root();
        let mut spots = Vec::new();
        if let Some(call) = group_by.window.as_ref().or(of_table) {
            spots.push((at.field("window"), Piece::of(call.words).spot()));
        }
        for (i, key) in keys.iter().enumerate() {
            spots.push((at.field("groupBy").index(i), Piece::of(&key.words).spot()));
        }
        let mut columns = Vec::with_capacity(computed.len());
        for (i, (name, words)) in computed.iter().enumerate() {
            let piece = Piece::of(words);
            spots.push((at.field("columns").index(i), piece.spot()));
            columns.push(AggregateColumn { name: name.clone(), expr: piece.text, filter: None });
        }
        if columns.is_empty() {
            columns.push(AggregateColumn { name: ROWS.to_owned(), expr: "count(*)".to_owned(), filter: None });
        }
        let keys = keys.into_iter();
        let keys = keys.map(|key| document::Column { name: key.name, expr: key.expr.map(|expr| expr.text) });
        let keys: Vec<_> = keys.collect();
        let aggregate = Aggregate {
            from: from.node.clone(),
            window,
            group_by: Some(keys).filter(|keys| !keys.is_empty()),
            columns,
            expire_after: None,
        };
        let known = from.known.aggregated(aggregate.window.as_ref(), columns_of(&aggregate));
        let node = self.add(false, Operation::Aggregate(aggregate), group_by.at, &from, spots)?;
        Ok(Relation { node, input: None, known })
    }
}

/// What a part of GROUP BY groups by: a column, the expression of a column of the SELECT, or an expression.
fn key(words: Vec<Word>, select: &Select<'_>, scope: &Scope, from: &Relation, before: usize) -> Read<Key> {
    let at = words.first().map_or(select.at, |word| word.at);
    let listed = |is_it: &dyn Fn(&Column<'_>, &[Word]) -> bool| {
        select
            .columns
            .iter()
            .map(|column| (column, scope.resolved(&column.words)))
            .find(|(column, own)| is_it(column, own))
    };
    let Some(name) = column_of(&words) else {
        let listed = listed(&|_, own| is_same(own, &words));
        let name = listed.and_then(|(column, _)| column.name).map(|name| name.value.clone());
        let name = name.unwrap_or_else(|| format!("key_{}", before + 1));
        return Ok(Key { name, expr: Some(Piece::of(&words)), words });
    };
    let is_named_so = |column: &Column<'_>, own: &[Word]| {
        column.name.is_some_and(|other| other.value == name) && column_of(own).as_ref() != Some(&name)
    };
    let Some((_, own)) = listed(&is_named_so) else { return Ok(Key { name, words, expr: None }) };
    // A column of the input comes before a name that the SELECT gives.
    match &from.known.names {
        Some(names) if names.contains(&name) => Ok(Key { name, words, expr: None }),
        Some(_) => Ok(Key { name, expr: Some(Piece::of(&own)), words: own }),
        None if own.iter().any(|word| is_name(word) && word.value == name) => Ok(Key { name, words, expr: None }),
        None => {
            let name = quoted(name);
            let message = format!(
                "{name} is a name of the SELECT, and may be a column of what it reads too: write the expression in GROUP BY"
            );
            wrong(at, message)
        }
    }
}

/// Flink's sessions say in the table by what they are apart; here, each group has its own.
fn check_partition(call: Option<&WindowCall<'_>>, keys: &[Key], at: TextPlace) -> Read<()> {
    let Some(partition) = call.and_then(|call| call.partition.as_ref()) else { return Ok(()) };
    let is_key = |word: &&&Word| keys.iter().any(|key| key.name == word.value);
    if partition.len() == keys.len() && partition.iter().filter(is_key).count() == keys.len() {
        return Ok(());
    }
    wrong(at, "each group has its own sessions: write the columns of PARTITION BY, and no others, into GROUP BY")
}

/// The condition behind HAVING, with names of the SELECT replaced by what they stand for if it has aggregates itself.
fn having(words: &[Word], computed: &[(String, Vec<Word>)]) -> Vec<Word> {
    if !has_aggregate(words) {
        return words.to_vec();
    }
    with_names_resolved(words, |name| computed.iter().find(|(own, _)| own == name).map(|(_, words)| words.as_slice()))
}
