//! SELECT and WHERE, row by row: a map.

use weir_plan::expr::{TextPlace, Word};

use super::super::cursor::{Read, wrong};
use super::super::made::{Operation, Relation};
use super::super::places::Spot;
use super::super::scope::{Piece, Scope, has_aggregate};
use super::super::select::Select;
use super::{Writer, names_of};
use crate::document::{AddedColumn, Column, Map};
use crate::finding::Path;

impl Writer<'_, '_> {
    /// The columns of a SELECT of single rows.
    pub(super) fn rows(
        &mut self,
        from: Relation,
        select: &Select<'_>,
        scope: &Scope,
        filter: Option<&[Word]>,
        names: Option<&[String]>,
        is_last: bool,
    ) -> Read<Relation> {
        if let Some(column) = select.columns.iter().find(|column| has_aggregate(&column.words)) {
            let message = "an aggregate needs a window, since a stream has no end: write GROUP BY \
                           TUMBLE(INTERVAL '5 minutes'), or OVER behind the aggregate";
            return wrong(column.at, message);
        }
        let names = names_of(&select.columns, scope, names)?;
        let columns = select.columns.iter().map(|column| scope.piece(&column.words));
        let columns: Vec<_> = names.into_iter().zip(columns).collect();
        // A column behind `*` replaces the input's, so that there is nothing to drop.
        let is_replaced = |dropped: &&&Word| columns.iter().any(|(name, _)| *name == dropped.value);
        let all =
            select.all.as_ref().map(|all| all.iter().filter(|word| !is_replaced(word)).copied().collect::<Vec<_>>());
        self.map(from, all.as_deref(), &columns, filter, select.at, is_last)
    }

    /// A map with these columns, which are added to the input's if there is a list of those to drop.
    pub(super) fn map(
        &mut self,
        from: Relation,
        all: Option<&[&Word]>,
        columns: &[(String, Piece)],
        filter: Option<&[Word]>,
        at: TextPlace,
        is_last: bool,
    ) -> Read<Relation> {
        if all == Some(&[]) && columns.is_empty() && filter.is_none() && !is_last {
            return Ok(from);
        }
        let filter = filter.map(Piece::of);
        let mut spots: Vec<_> = filter.iter().map(|filter| (Path::root().field("where"), filter.spot())).collect();
        let list = Path::root().field(if all.is_some() { "addColumns" } else { "columns" });
        spots.extend(columns.iter().enumerate().map(|(i, (_, piece))| (list.index(i), piece.spot())));
        let dropped = all.unwrap_or_default();
        spots.extend(dropped.iter().enumerate().map(|(i, word)| {
            let piece = Piece::of(std::slice::from_ref(*word));
            (Path::root().field("dropColumns").index(i), Spot::Words(piece.marks))
        }));
        let dropped: Vec<_> = dropped.iter().map(|word| word.value.clone()).collect();
        let written = columns.iter().map(|(name, piece)| (name.clone(), piece.text.clone()));
        let mut map = Map {
            from: from.node.clone(),
            filter: filter.map(|filter| filter.text),
            columns: None,
            add_columns: None,
            drop_columns: None,
        };
        let known = if all.is_some() {
            let added: Vec<_> = written.map(|(name, expr)| AddedColumn { name, expr }).collect();
            let known = from.known.clone().changed(&added, &dropped);
            (map.add_columns, map.drop_columns) =
                (Some(added).filter(|added| !added.is_empty()), Some(dropped).filter(|dropped| !dropped.is_empty()));
            known
        } else {
            let known = from.known.chosen(&written.clone().collect::<Vec<_>>());
            map.columns = Some(written.map(|(name, expr)| Column { name, expr: Some(expr) }).collect());
            known
        };
        let node = self.add(is_last, Operation::Map(map), at, &from, spots)?;
        Ok(Relation { node, input: None, known })
    }
}
