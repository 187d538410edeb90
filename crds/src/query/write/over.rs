//! Aggregates behind which OVER stands: a step `over`, and a map that gives its columns as the SELECT lists them.

use weir_plan::expr::{TextPlace, Word};
use weir_plan::quote::quoted;

use super::super::cursor::{Read, wrong};
use super::super::made::{Operation, Relation};
use super::super::over::Over;
use super::super::places::Spot;
use super::super::scope::{Piece, Scope};
use super::super::select::Select;
use super::{Writer, names_of};
use crate::document::{self, AddedColumn, Column, Direction, Map, RangeFrame};
use crate::finding::Path;

impl Writer<'_, '_> {
    pub(super) fn over(
        &mut self,
        from: Relation,
        select: &Select<'_>,
        scope: &Scope,
        filter: Option<Vec<Word>>,
        names: Option<&[String]>,
        is_last: bool,
    ) -> Read<Relation> {
        let mut overs = select.columns.iter().flat_map(|column| &column.overs);
        let Some(over) = overs.next() else { return Ok(from) };
        if let Some(other) = overs.find(|other| !other.is_like(over)) {
            return wrong(other.at, "a SELECT has one kind of OVER: write the other one in a query around this one");
        }
        let key = columns(&over.partition, scope, over.at)?;
        self.check_order(over, &from, scope)?;
        let preceding = over.preceding()?;
        let from = match &filter {
            Some(filter) => self.filtered(from, Some(filter), select.at)?,
            None => from,
        };

        // Each column is computed by this step, since one of them may replace a column of the input that others read.
        let names = names_of(&select.columns, scope, names)?;
        let (mut added, mut spots) = (Vec::new(), Vec::new());
        for (column, name) in select.columns.iter().zip(&names) {
            let words = scope.resolved(&column.words);
            if column.overs.is_empty() && scope.column(&column.words).as_ref() == Some(name) {
                continue;
            }
            let piece = Piece::of(&words);
            spots.push((Path::root().field("addColumns").index(added.len()), piece.spot()));
            added.push(AddedColumn { name: name.clone(), expr: piece.text });
        }
        spots.extend(over.partition.iter().enumerate().map(|(i, words)| {
            let spot = Spot::Words(Piece::of(words).marks);
            (Path::root().field("key").index(i), spot)
        }));
        let mut relation = Relation { known: from.known.clone().changed(&added, &[]), ..from.clone() };
        let step = document::Over {
            from: from.node.clone(),
            key,
            range: Some(RangeFrame { preceding }),
            rows: None,
            add_columns: added,
            drop_columns: None,
            expire_after: None,
        };
        relation.node = self.add(false, Operation::Over(step), over.at, &from, spots)?;
        relation.input = None;
        if let Some(dropped) = &select.all {
            // A column behind `*` has replaced the input's.
            let dropped: Vec<_> = dropped.iter().filter(|word| !names.contains(&word.value)).copied().collect();
            return self.map(relation, Some(&dropped), &[], None, select.at, is_last);
        }
        self.listed(relation, &names, select, scope, is_last)
    }

    /// A map with these columns of its input.
    fn listed(
        &mut self,
        from: Relation,
        names: &[String],
        select: &Select<'_>,
        scope: &Scope,
        is_last: bool,
    ) -> Read<Relation> {
        let spots = select
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| (Path::root().field("columns").index(i), scope.piece(&column.words).spot()));
        let spots = spots.collect();
        let chosen: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
        let map = Map {
            from: from.node.clone(),
            filter: None,
            columns: Some(names.iter().map(|name| Column { name: name.clone(), expr: None }).collect()),
            add_columns: None,
            drop_columns: None,
        };
        let node = self.add(is_last, Operation::Map(map), select.at, &from, spots)?;
        Ok(Relation { node, input: None, known: from.known.chosen(&chosen) })
    }

    /// Checks that the rows are in the order of their event times.
    fn check_order(&self, over: &Over<'_>, from: &Relation, scope: &Scope) -> Read<()> {
        let [by] = &over.order[..] else {
            return wrong(
                over.at,
                "the rows before a row are those with earlier event times: write ORDER BY _event_time",
            );
        };
        if by.direction == Some(Direction::Desc) {
            return wrong(by.words[0].at, "the rows before a row are those with earlier event times: leave DESC out");
        }
        self.check_time(Some(by.words), &from.known, scope)
    }
}

/// The columns of PARTITION BY.
pub(super) fn columns(partition: &[&[Word]], scope: &Scope, at: TextPlace) -> Read<Vec<String>> {
    if partition.is_empty() {
        return wrong(at, "PARTITION BY is missing: write the columns whose equal values put rows together");
    }
    let column = |words: &&[Word]| match scope.column(words) {
        Some(name) => Ok(name),
        None => {
            let found: Vec<_> = words.iter().map(|word| word.written.as_str()).collect();
            let at = words.first().map_or(at, |word| word.at);
            let found = quoted(found.join(" "));
            wrong(at, format!("found {found}: PARTITION BY takes columns: compute it in a query within this one"))
        }
    };
    partition.iter().map(column).collect()
}
