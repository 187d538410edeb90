//! Makes steps of a query.

mod aggregate;
mod over;
mod rows;
mod top;
mod unnest;

use std::rc::Rc;

use weir_plan::aggregate::{WINDOW_END, WINDOW_START};
use weir_plan::expr::{TextPlace, Word};
use weir_plan::quote::quoted;
use weir_plan::types::EVENT_TIME;

use super::cursor::{Read, wrong};
use super::from::{From, Table};
use super::known::{Known, known};
use super::made::{Made, Operation, Relation};
use super::over::Ranking;
use super::places::{Mark, Spot};
use super::scope::Scope;
use super::select::{Column, Part, Query, Select};
use super::windows::WindowCall;
use crate::document::{Map, Spec, Sql, Union};
use crate::finding::{Path, one_of};
use crate::lower::suggestion;

pub(super) struct Writer<'s, 'q> {
    name: &'s str,
    sql: &'s Sql,
    spec: &'s Spec,
    made: Made,
    /// The queries of `WITH` that may be read here; of two with one name, the later one.
    with: Vec<With<'s, 'q>>,
}

struct With<'s, 'q> {
    name: &'q Word,
    rows: Rows<'s, 'q>,
    is_read: bool,
}

/// What a query gives.
#[derive(Clone)]
struct Rows<'s, 'q> {
    relation: Relation,
    /// How its rows are ranked, if the query around it is to take the first ones.
    ranked: Option<Ranked<'s, 'q>>,
}

/// A SELECT whose rows are ranked, and not computed yet.
#[derive(Clone)]
struct Ranked<'s, 'q> {
    select: &'s Select<'q>,
    ranking: &'s Ranking<'q>,
    name: &'q Word,
    scope: Rc<Scope>,
    window: Option<&'s WindowCall<'q>>,
}

/// What a SELECT reads.
struct Base<'s, 'q> {
    rows: Rows<'s, 'q>,
    scope: Scope,
    window: Option<&'s WindowCall<'q>>,
}

/// The steps of a query, which is that of the step `name` of the document.
pub(super) fn write<'s, 'q>(name: &'s str, sql: &'s Sql, spec: &'s Spec, query: &'s Query<'q>) -> Read<Made> {
    let mut writer = Writer { name, sql, spec, made: Made::default(), with: Vec::new() };
    writer.query(query, true)?;
    Ok(writer.made)
}

impl<'s, 'q> Writer<'s, 'q> {
    fn add(
        &mut self,
        is_last: bool,
        operation: Operation,
        at: TextPlace,
        from: &Relation,
        mut fields: Vec<(Path, Spot)>,
    ) -> Read<String> {
        if let Some(input) = from.input {
            fields.push((Path::root().field("from"), Spot::Input(input)));
        }
        self.made.add(self.name, is_last, operation, at, fields)
    }

    /// `is_last` says that the result is the step's own.
    fn query(&mut self, query: &'s Query<'q>, is_last: bool) -> Read<Rows<'s, 'q>> {
        let outer = self.with.len();
        for (name, with) in &query.with {
            let rows = self.query(with, false)?;
            self.with.push(With { name, rows, is_read: false });
        }
        let rows = match &query.parts[..] {
            [only] => self.part(only, None, is_last)?,
            parts => Rows { relation: self.union(parts, is_last)?, ranked: None },
        };
        if let Some(unread) = self.with.drain(outer..).find(|with| !with.is_read) {
            let name = quoted(&unread.name.value);
            return wrong(unread.name.at, format!("nothing reads {name}: leave it out"));
        }
        Ok(rows)
    }

    fn part(&mut self, part: &'s Part<'q>, names: Option<&[String]>, is_last: bool) -> Read<Rows<'s, 'q>> {
        match part {
            Part::Select(select) => self.select(select, names, is_last),
            Part::Nested(query, _) => self.query(query, is_last),
        }
    }

    fn union(&mut self, parts: &'s [Part<'q>], is_last: bool) -> Read<Relation> {
        let names = listed_names(&parts[0])?;
        let mut inputs: Vec<Relation> = Vec::with_capacity(parts.len());
        let mut places = Vec::with_capacity(parts.len());
        for part in parts {
            let at = place_of(part);
            let own = listed_names(part)?;
            let (names, own) = (names.as_ref().filter(|_| own.is_some()), own.unwrap_or_default());
            if let Some(names) = names.filter(|names| names.len() != own.len()) {
                let (found, first) = (own.len(), names.len());
                return wrong(
                    at,
                    format!("the columns of this SELECT are {found}, and those of the first one are {first}"),
                );
            }
            let rows = self.part(part, names.map(Vec::as_slice), false)?;
            let mut relation = settled(rows, at)?;
            // A union reads a node once.
            if inputs.iter().any(|other| other.node == relation.node) {
                relation = self.filtered(relation, None, at)?;
            }
            places.push(at);
            inputs.push(relation);
        }
        let mut known = inputs[0].known.clone();
        known.times.retain(|time| inputs.iter().all(|input| input.known.times.contains(time)));
        known.is_window_told_by_start = inputs.iter().all(|input| input.known.is_window_told_by_start);
        let spots = inputs.iter().zip(&places).enumerate().map(|(i, (input, at))| {
            let mark = Mark { column: 1, name: String::new(), at: *at };
            let spot = input.input.map_or(Spot::Words(vec![mark]), Spot::Input);
            (Path::root().field("inputs").index(i), spot)
        });
        let spots = spots.collect();
        let union = Union { inputs: inputs.into_iter().map(|input| input.node).collect() };
        let node = self.made.add(self.name, is_last, Operation::Union(union), places[0], spots)?;
        Ok(Relation { node, input: None, known })
    }

    fn select(&mut self, select: &'s Select<'q>, names: Option<&[String]>, is_last: bool) -> Read<Rows<'s, 'q>> {
        let Base { rows, scope, window } = self.from(&select.from)?;
        let filter = select.filter.map(|words| scope.resolved(words));
        let (relation, filter) = match rows.ranked {
            Some(ranked) => self.top(rows.relation, &ranked, filter, select)?,
            None => (rows.relation, filter),
        };
        let has_column = relation.known.names.as_ref().is_some_and(|names| names.iter().any(|name| name == "window"));
        let scope = scope.with_bounds(select.group_by.is_some() && !has_column);
        let is_over = select.columns.iter().any(|column| !column.overs.is_empty());
        if let Some(group_by) = &select.group_by {
            if let Some((ranking, _)) = &select.ranking {
                return wrong(ranking.over.at, "groups are ranked by a query around this one");
            }
            let relation = self.groups(relation, select, group_by, window, &scope, filter, names, is_last)?;
            return Ok(Rows { relation, ranked: None });
        }
        if let Some(having) = select.having {
            return wrong(having[0].at, "HAVING belongs behind GROUP BY: write WHERE");
        }
        if let Some((ranking, name)) = &select.ranking {
            if is_last || is_over {
                return wrong(ranking.over.at, IN_A_RANKING);
            }
            let relation = match filter {
                Some(filter) => self.filtered(relation, Some(&filter), select.at)?,
                None => relation,
            };
            let ranked = Ranked { select, ranking, name, scope: Rc::new(scope), window };
            return Ok(Rows { relation, ranked: Some(ranked) });
        }
        if let Some(window) = window {
            let message = "the windows are not used: write GROUP BY window_start, window_end behind it";
            return wrong(window.words[0].at, message);
        }
        let relation = if is_over {
            self.over(relation, select, &scope, filter, names, is_last)?
        } else {
            self.rows(relation, select, &scope, filter.as_deref(), names, is_last)?
        };
        Ok(Rows { relation, ranked: None })
    }

    fn from(&mut self, from: &'s From<'q>) -> Read<Base<'s, 'q>> {
        let mut scope = Scope::default();
        let mut rows = match &from.table {
            Table::Named(name) => {
                scope.add(from.alias.map_or(name, |alias| &alias.value));
                self.named(name, from.at)?
            }
            Table::Query(query) => {
                from.alias.iter().for_each(|alias| scope.add(&alias.value));
                self.query(query, false)?
            }
        };
        if let Some(call) = &from.window {
            let relation = settled(rows, from.at)?;
            self.check_time(call.time, &relation.known, &scope)?;
            rows = Rows { relation, ranked: None };
        }
        if let Some(first) = from.unnested.first() {
            let mut relation = settled(rows, first.at)?;
            if from.window.is_some() {
                return wrong(first.at, "an array is unnested in a query of its own, before its rows have windows");
            }
            for unnested in &from.unnested {
                relation = self.unnest(relation, unnested, &mut scope)?;
            }
            rows = Rows { relation, ranked: None };
        }
        Ok(Base { rows, scope, window: from.window.as_ref() })
    }

    fn named(&mut self, name: &str, at: TextPlace) -> Read<Rows<'s, 'q>> {
        if let Some(with) = self.with.iter_mut().rev().find(|with| with.name.value == *name) {
            with.is_read = true;
            return Ok(with.rows.clone());
        }
        let Some(input) = self.sql.inputs.iter().position(|input| input == name) else {
            let inputs: Vec<_> = self.sql.inputs.iter().map(String::as_str).collect();
            let is_node =
                self.spec.sources.iter().map(|source| &source.name).chain(self.spec.steps.iter().map(|s| &s.name));
            let instead = if is_node.into_iter().any(|node| node == name) {
                format!("write it into `inputs`, beside {}", one_of(&inputs))
            } else {
                suggestion(name, &inputs)
            };
            return wrong(at, format!("there is no input {}; {instead}", quoted(name)));
        };
        let relation = Relation { node: name.to_owned(), input: Some(input), known: known(self.spec, name) };
        Ok(Rows { relation, ranked: None })
    }

    /// A map with this condition and nothing else.
    fn filtered(&mut self, from: Relation, filter: Option<&[Word]>, at: TextPlace) -> Read<Relation> {
        let filter = filter.map(super::scope::Piece::of);
        let spots = filter.iter().map(|filter| (Path::root().field("where"), filter.spot())).collect();
        let filter = filter.map(|filter| filter.text);
        let map = Map { from: from.node.clone(), filter, columns: None, add_columns: None, drop_columns: None };
        let node = self.add(false, Operation::Map(map), at, &from, spots)?;
        Ok(Relation { node, input: None, ..from })
    }

    /// Checks that words name the event time of these rows; without words, nothing says otherwise.
    fn check_time(&self, words: Option<&[Word]>, known: &Known, scope: &Scope) -> Read<()> {
        let Some(words) = words else { return Ok(()) };
        let is_time = |name: &String| name == EVENT_TIME || known.times.contains(name);
        if scope.column(words).is_some_and(|name| is_time(&name)) {
            return Ok(());
        }
        let times: Vec<_> = known.times.iter().map(String::as_str).chain([EVENT_TIME]).collect();
        let found: Vec<_> = words.iter().map(|word| word.written.as_str()).collect();
        let Some(first) = words.first() else { return Ok(()) };
        let message = format!(
            "windows and frames go by the event time, which {} is not known to be: write {}",
            quoted(found.join(" ")),
            one_of(&times)
        );
        wrong(first.at, message)
    }
}

const IN_A_RANKING: &str = "a rank is computed only to take the first rows: write SELECT * FROM (…) WHERE rn <= 3 \
                            around the query";

fn settled(rows: Rows<'_, '_>, at: TextPlace) -> Read<Relation> {
    if rows.ranked.is_some() { wrong(at, IN_A_RANKING) } else { Ok(rows.relation) }
}

fn place_of(part: &Part<'_>) -> TextPlace {
    match part {
        Part::Select(select) => select.at,
        Part::Nested(_, at) => *at,
    }
}

/// The names of a SELECT that lists its columns; `None` for any other query.
fn listed_names(part: &Part<'_>) -> Read<Option<Vec<String>>> {
    match part {
        Part::Select(select) if select.all.is_none() && select.ranking.is_none() => {
            // What a name stands behind is known without the tables.
            let scope = Scope::default().with_bounds(select.group_by.is_some());
            let name = |column: &Column<'_>| Ok(name_of(column, &scope)?.unwrap_or_default());
            select.columns.iter().map(name).collect::<Read<_>>().map(Some)
        }
        _ => Ok(None),
    }
}

/// The name of a column: its own, or that of the column or field that it is.
fn name_of(column: &Column<'_>, scope: &Scope) -> Read<Option<String>> {
    if let Some(name) = column.name {
        return Ok(Some(name.value.clone()));
    }
    let words = scope.resolved(&column.words);
    let is_path = words.iter().enumerate().all(|(i, word)| {
        let is_sign = super::cursor::is_word(word, ".");
        if i % 2 == 0 { super::cursor::is_name(word) } else { is_sign }
    });
    Ok(words.last().filter(|_| is_path).map(|word| word.value.clone()))
}

/// The names of the columns: those of the first SELECT of a union if there are any, else their own.
fn names_of(columns: &[Column<'_>], scope: &Scope, names: Option<&[String]>) -> Read<Vec<String>> {
    let mut found: Vec<String> = Vec::with_capacity(columns.len());
    for (i, column) in columns.iter().enumerate() {
        let name = match names.and_then(|names| names.get(i)).filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => match name_of(column, scope)? {
                Some(name) => name,
                None => return wrong(column.at, "the column needs a name: write `AS` and a name behind it"),
            },
        };
        if found.contains(&name) {
            return wrong(
                column.at,
                format!("two columns have the name {}: write another one behind AS", quoted(name)),
            );
        }
        found.push(name);
    }
    Ok(found)
}

fn is_bound(name: &str) -> bool {
    [WINDOW_START, WINDOW_END].contains(&name)
}
