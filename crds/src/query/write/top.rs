//! `SELECT … FROM (SELECT *, ROW_NUMBER() OVER (…) AS rn FROM …) WHERE rn <= 3`: a step `top`, and the columns of the
//! inner SELECT.

use weir_plan::aggregate::{WINDOW_END, WINDOW_START};
use weir_plan::expr::Word;
use weir_plan::quote::quoted;

use super::super::cursor::{Read, is_name, is_word, wrong};
use super::super::made::{Operation, Relation};
use super::super::over::{by_and, limit};
use super::super::places::Spot;
use super::super::scope::Piece;
use super::super::select::Select;
use super::over::columns;
use super::{Ranked, Writer, is_bound};
use crate::document::{OrderBy, Top};
use crate::finding::Path;

impl Writer<'_, '_> {
    /// The first rows of a ranking, and what the condition of the SELECT around it says beside their rank.
    pub(super) fn top(
        &mut self,
        from: Relation,
        ranked: &Ranked<'_, '_>,
        filter: Option<Vec<Word>>,
        outer: &Select<'_>,
    ) -> Read<(Relation, Option<Vec<Word>>)> {
        let rank = &ranked.name.value;
        let filter = filter.unwrap_or_default();
        let conditions = by_and(&filter);
        let found = conditions.iter().position(|condition| limit(condition, rank).is_some());
        let Some((place, most)) = found.and_then(|i| Some((i, limit(conditions[i], rank)?))) else {
            let at = filter.first().map_or(outer.at, |word| word.at);
            let rank = quoted(rank);
            return wrong(
                at,
                format!("nothing bounds the rank {rank}: write a condition such as WHERE rn <= 3 with it"),
            );
        };
        let mut rest: Vec<Word> = Vec::new();
        for (i, condition) in conditions.iter().enumerate().filter(|(i, _)| *i != place) {
            if !rest.is_empty() {
                // The word before a condition is the AND that it was cut at.
                let start = conditions[..i].iter().map(|condition| condition.len() + 1).sum::<usize>();
                rest.push(filter[start - 1].clone());
            }
            rest.extend_from_slice(condition);
        }
        refuse_rank(rank, rest.iter().chain(outer.columns.iter().flat_map(|column| &column.words)))?;

        let over = &ranked.ranking.over;
        over.without_frame()?;
        let partition = columns(&over.partition, &ranked.scope, over.at)?;
        self.check_window(&from, ranked, &partition)?;
        // A step's own window ranks by its bounds anyway.
        let is_of_key = |name: &String| ranked.window.is_none() || !is_bound(name);
        let key: Vec<_> = partition.into_iter().zip(&over.partition).filter(|(name, _)| is_of_key(name)).collect();
        if key.is_empty() {
            return wrong(over.at, "rows of a table with windows are ranked by key: add a column to PARTITION BY");
        }
        if over.order.is_empty() {
            return wrong(over.at, "ORDER BY is missing, by which the rows are ranked");
        }
        let orders: Vec<_> = over.order.iter().map(|by| ranked.scope.piece(by.words)).collect();
        let mut spots: Vec<_> = orders
            .iter()
            .enumerate()
            .map(|(i, piece)| (Path::root().field("orderBy").index(i), piece.spot()))
            .collect();
        spots.extend(key.iter().enumerate().map(|(i, (_, words))| {
            let spot = Spot::Words(Piece::of(words).marks);
            (Path::root().field("key").index(i), spot)
        }));
        spots.push((Path::root().field("limit"), Piece::of(conditions[place]).spot()));
        let order_by = orders.into_iter().zip(&over.order);
        let order_by =
            order_by.map(|(piece, by)| OrderBy { expr: piece.text, direction: by.direction, nulls: by.nulls });
        let top = Top {
            from: from.node.clone(),
            key: key.into_iter().map(|(name, _)| name).collect(),
            order_by: order_by.collect(),
            limit: most,
            window: ranked.window.map(|call| call.window.clone()),
            ties: ranked.ranking.ties,
        };
        let mut known = from.known.clone();
        if let (Some(call), Some(names)) = (ranked.window, &mut known.names) {
            names.extend([WINDOW_START, WINDOW_END].map(str::to_owned));
            known.is_window_told_by_start = from.known.is_told_by_start(&call.window);
        }
        known.times.clear();
        let node = self.add(false, Operation::Top(top), over.at, &from, spots)?;
        let first = Relation { node, input: None, known };
        let relation = self.rows(first, ranked.select, &ranked.scope, None, None, false)?;
        Ok((relation, (!rest.is_empty()).then_some(rest)))
    }

    /// Checks that the rows of different windows are not ranked together.
    fn check_window(&self, from: &Relation, ranked: &Ranked<'_, '_>, key: &[String]) -> Read<()> {
        let bounds = key.iter().filter(|name| is_bound(name)).count();
        let has_start = key.iter().any(|name| name == WINDOW_START);
        let is_told = match ranked.window {
            Some(call) => from.known.is_told_by_start(&call.window),
            None => from.known.is_window_told_by_start,
        };
        if bounds == 2 || has_start && is_told {
            return Ok(());
        }
        let message = "rows are ranked within a window, since a stream has no end: add window_start and window_end to \
                       PARTITION BY, or, for the first row of each key, write a step `deduplicate`";
        wrong(ranked.ranking.over.at, message)
    }
}

/// Refuses an expression that uses the rank.
fn refuse_rank<'w>(rank: &str, words: impl Iterator<Item = &'w Word>) -> Read<()> {
    let mut before: Option<&Word> = None;
    for word in words {
        if is_name(word) && word.value == rank && !before.is_some_and(|before| is_word(before, ".")) {
            let message = format!("the rank {} is not a column: use it in one condition that bounds it", quoted(rank));
            return wrong(word.at, message);
        }
        before = Some(word);
    }
    Ok(())
}
