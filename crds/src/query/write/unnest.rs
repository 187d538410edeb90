//! Arrays with a row for each element.

use super::super::cursor::Read;
use super::super::from::Unnested;
use super::super::made::{Operation, Relation, as_expression};
use super::super::places::Spot;
use super::super::scope::{Piece, Scope};
use super::Writer;
use crate::document::{AddedColumn, Empties, Map, Unnest};
use crate::finding::Path;

impl Writer<'_, '_> {
    pub(super) fn unnest(&mut self, from: Relation, unnested: &Unnested<'_>, scope: &mut Scope) -> Read<Relation> {
        let array = scope.piece(unnested.array);
        unnested.alias.iter().for_each(|alias| scope.add(&alias.value));
        let named = |word: &weir_plan::expr::Word| Spot::Words(Piece::of(std::slice::from_ref(word)).marks);
        let mut spots =
            vec![(Path::root().field("expr"), array.spot()), (Path::root().field("as"), named(unnested.element))];
        let position = unnested.position.as_ref();
        spots.extend(position.map(|position| (Path::root().field("position"), named(position.name))));
        let unnest = Unnest {
            from: from.node.clone(),
            expr: array.text,
            element: unnested.element.value.clone(),
            position: position.map(|position| position.name.value.clone()),
            empty: unnested.keeps_empty.then_some(Empties::Keep),
        };
        let mut known = from.known.clone();
        if let Some(names) = &mut known.names {
            names.extend([Some(&unnest.element), unnest.position.as_ref()].into_iter().flatten().cloned());
        }
        let node = self.add(false, Operation::Unnest(unnest), unnested.at, &from, spots)?;
        let relation = Relation { node, input: None, known };
        let Some(position) = position.filter(|position| position.is_from_one) else { return Ok(relation) };
        let name = position.name.value.clone();
        let expr = format!("cast({} + 1 as int)", as_expression(&name));
        let map = Map {
            from: relation.node.clone(),
            filter: None,
            columns: None,
            add_columns: Some(vec![AddedColumn { name, expr }]),
            drop_columns: None,
        };
        let node = self.add(false, Operation::Map(map), unnested.at, &relation, Vec::new())?;
        Ok(Relation { node, ..relation })
    }
}
