//! Maps: a filter, and the output columns.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use weir_plan::aggregate::{WINDOW_END, WINDOW_START};
use weir_plan::expr::{self, ScalarExpr};
use weir_plan::plan::{self, StepOp};
use weir_plan::quote::quoted;
use weir_plan::types::has_event_time;

use super::{LateOutput, Lowered, Operation, Upstream, compile_all, pass_on, user_columns};
use crate::document::{AddedColumn, COLUMNS_ARE_ALL, Column, Map};
use crate::finding::{Findings, Path};
use crate::lower::check::suggestion;
use crate::lower::name;
use crate::lower::source::{COLUMNS_MAX, event_time_field, lift};

impl Operation for Map {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("from"), &self.from)]
    }

    fn expressions(&self, at: &Path) -> Vec<(Path, &str)> {
        let of = |field: &str, i: usize| at.field(field).index(i).field("expr");
        let columns = self.columns.iter().flatten().enumerate();
        let columns = columns.filter_map(|(i, c)| Some((of("columns", i), c.expr.as_deref()?)));
        let added = self.add_columns.iter().flatten().enumerate().map(|(i, c)| (of("addColumns", i), &*c.expr));
        let filter = self.filter.iter().map(|sql| (at.field("where"), &**sql));
        columns.chain(added).chain(filter).collect()
    }

    fn is_keyed(&self) -> bool {
        false
    }

    fn takes_changes(&self) -> bool {
        true
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        &[]
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        check_names(self, at, out);
        from.first().and_then(|from| lower(self, from, at, out)).unwrap_or_default()
    }
}

/// An output column: its expression, its name, and the path for findings about it.
pub(super) struct Wanted<'m> {
    pub(super) expr: Option<String>,
    pub(super) name: &'m str,
    pub(super) at: Path,
}

fn lower(map: &Map, from: &Upstream, at: &Path, out: &mut Findings) -> Option<Lowered> {
    let schema = from.schema.as_ref()?;
    let condition = |sql: &String| expr::compile_predicate(sql, schema).map_err(|e| e.to_string());
    let filter = map.filter.as_ref().map(|sql| out.checked(&at.field("where"), condition(sql)));
    let names: Vec<_> = user_columns(schema).map(|f| f.name().as_str()).collect();
    let wanted = match &map.columns {
        Some(columns) => chosen(columns, map, &names, at, out),
        None => {
            let added = map.add_columns.as_deref().unwrap_or_default();
            changed(added, map.drop_columns.as_deref().unwrap_or_default(), &map.from, &names, at, out)
        }
    };
    let columns = computed(&wanted, schema, out)?;
    let passes_on = |name: &&str| {
        let column = columns.iter().find(|column| column.field.name() == name);
        column.and_then(ScalarExpr::column_index).is_some_and(|index| schema.field(index).name() == name)
    };
    let carries_window = from.carries_window && [WINDOW_START, WINDOW_END].iter().all(passes_on);
    let event_time = has_event_time(schema).then(event_time_field);
    let fields = columns.iter().map(|c| Arc::clone(&c.field)).chain(event_time);
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let input = from.input?;
    let op = lift(filter).map(|filter| StepOp::Map(plan::Map { input, filter, columns }));
    let is_known = ["columns", "addColumns", "dropColumns"].iter().all(|field| out.is_sound(&at.field(field)));
    Some(Lowered { op, schema: is_known.then_some(schema), carries_window, ..Lowered::default() })
}

fn check_names(map: &Map, at: &Path, out: &mut Findings) {
    if let Some(columns) = &map.columns {
        check_columns(&at.field("columns"), columns.iter().map(|c| &*c.name), out);
    }
    if let Some(columns) = &map.add_columns {
        check_columns(&at.field("addColumns"), columns.iter().map(|c| &*c.name), out);
    }
    if map.columns.is_some() && (map.add_columns.is_some() || map.drop_columns.is_some()) {
        out.add(&at.field("columns"), COLUMNS_ARE_ALL);
    }
}

/// Checks the names of a list of columns.
pub(super) fn check_columns<'m>(at: &Path, names: impl ExactSizeIterator<Item = &'m str> + Clone, out: &mut Findings) {
    out.length(at, names.len(), 1..=COLUMNS_MAX);
    for (i, name) in names.clone().enumerate() {
        out.checked(&at.index(i).field("name"), name::check_column(name));
    }
    out.distinct(names.enumerate().map(|(i, name)| (at.index(i).field("name"), name)), "columns");
}

/// The output columns if the document lists them all in `columns`.
fn chosen<'m>(columns: &'m [Column], map: &Map, names: &[&str], at: &Path, out: &mut Findings) -> Vec<Wanted<'m>> {
    let of_column = |(i, column): (usize, &'m Column)| {
        let at = at.field("columns").index(i);
        if let Some(sql) = &column.expr {
            return Wanted { expr: Some(sql.clone()), name: &column.name, at: at.field("expr") };
        }
        let at = at.field("name");
        let is_there = names.contains(&&*column.name);
        // One finding per name is enough.
        if !is_there && out.is_sound(&at) {
            let (from, name) = (quoted(&map.from), quoted(&column.name));
            out.add(
                &at,
                format!("{from} has no column {name}, and there is no expr; {}", suggestion(&column.name, names)),
            );
        }
        Wanted { expr: is_there.then(|| pass_on(&column.name)), name: &column.name, at }
    };
    columns.iter().enumerate().map(of_column).collect()
}

/// The output columns of a step with `addColumns` or `dropColumns`: the input's columns without the dropped ones. An
/// added column replaces the input's column of that name in place, or is appended. `input` is the input's name, and
/// `names` those of its columns.
pub(super) fn changed<'m>(
    added: &'m [AddedColumn],
    dropped: &[String],
    input: &str,
    names: &[&'m str],
    at: &Path,
    out: &mut Findings,
) -> Vec<Wanted<'m>> {
    let (added_at, dropped_at) = (at.field("addColumns"), at.field("dropColumns"));
    out.droppable(dropped, names, input, &dropped_at);
    for (i, name) in dropped.iter().enumerate().filter(|(_, name)| added.iter().any(|column| column.name == **name)) {
        out.add(
            &dropped_at.index(i),
            format!("{} is in addColumns too, which replaces it: leave one out", quoted(name)),
        );
    }
    let as_added = |name: &str| {
        let (i, column) = added.iter().enumerate().find(|(_, column)| column.name == name)?;
        Some(Wanted { expr: Some(column.expr.clone()), name: &column.name, at: added_at.index(i).field("expr") })
    };
    let kept = names.iter().filter(|name| !dropped.iter().any(|dropped| dropped == *name));
    let kept =
        kept.map(|name| as_added(name).unwrap_or_else(|| Wanted { expr: Some(pass_on(name)), name, at: at.clone() }));
    let new = added.iter().filter(|column| !names.contains(&&*column.name)).filter_map(|column| as_added(&column.name));
    let wanted: Vec<_> = kept.chain(new).collect();
    if wanted.is_empty() {
        out.add(&dropped_at, format!("no column of {} is left: keep one at least", quoted(input)));
    }
    if wanted.len() > COLUMNS_MAX && !added.is_empty() {
        out.add(
            &added_at,
            format!("the step would have {} columns, and at most {COLUMNS_MAX} are allowed", wanted.len()),
        );
    }
    wanted
}

/// Compiles the columns; `None` if one of them is wrong.
fn computed(wanted: &[Wanted<'_>], schema: &SchemaRef, out: &mut Findings) -> Option<Vec<ScalarExpr>> {
    let written = wanted.iter().filter_map(|column| Some((column.expr.as_deref()?, column.name)));
    let mut compiled = compile_all(written, schema).into_iter();
    let judged = wanted.iter().map(|column| {
        column.expr.as_ref()?;
        out.checked(&column.at, compiled.next()?)
    });
    judged.collect::<Vec<_>>().into_iter().collect()
}
