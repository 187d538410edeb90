//! Aggregates over windows.

use std::sync::Arc;

use weir_plan::aggregate::{self, AggregatePart};
use weir_plan::outputs::{self, Output};
use weir_plan::plan::StepOp;
use weir_plan::quote::quoted;
use weir_plan::types::has_event_time;
use weir_plan::window::Window;

use super::window::window;
use super::{LateOutput, Lowered, Operation, Upstream};
use crate::document::Aggregate;
use crate::finding::{Findings, Path};
use crate::lower::name;
use crate::lower::source::COLUMNS_MAX;

impl Operation for Aggregate {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("from"), &self.from)]
    }

    fn expressions(&self, at: &Path) -> Vec<(Path, &str)> {
        let keys = self.group_by.iter().flatten().enumerate();
        let keys = keys.filter_map(|(i, key)| Some((place_of(AggregatePart::GroupExpr(i), at), key.expr.as_deref()?)));
        let columns = self.columns.iter().enumerate().flat_map(|(i, column)| {
            let filter = column.filter.as_deref().map(|sql| (place_of(AggregatePart::ColumnFilter(i), at), sql));
            [(place_of(AggregatePart::ColumnExpr(i), at), &*column.expr)].into_iter().chain(filter)
        });
        keys.chain(columns).collect()
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        // Rows that carry their window never miss it: what closed the window has given them.
        let is_carried = self.window.as_ref().is_some_and(|window| window.of_input.is_some());
        if is_carried { &[] } else { &[LateOutput { output: Output::Late, columns: outputs::late_schema }] }
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        from.first().and_then(|from| lower(self, from, at, out)).unwrap_or_default()
    }
}

fn lower(aggregate: &Aggregate, from: &Upstream, at: &Path, out: &mut Findings) -> Option<Lowered> {
    let window_at = at.field("window");
    let window = match &aggregate.window {
        Some(found) => window(found, &aggregate.from, from, &window_at, out),
        None => {
            out.add(&window_at, "not supported yet: an aggregate without a window: write {tumbling: {size: 5m}}");
            None
        }
    };
    let group_by = aggregate.group_by.as_deref().unwrap_or_default();
    let columns_at = at.field("columns");
    out.length(&at.field("groupBy"), group_by.len(), 0..=COLUMNS_MAX);
    out.length(&columns_at, aggregate.columns.len(), 1..=COLUMNS_MAX);
    for (i, column) in group_by.iter().enumerate() {
        out.checked(&at.field("groupBy").index(i).field("name"), name::check_column(&column.name));
    }
    let schema = from.schema.as_ref()?;
    if !has_event_time(schema) {
        let message = format!(
            "a window goes by the event time, and the rows of {} have none; give its source an eventTime",
            quoted(&aggregate.from)
        );
        out.add(&at.field("window"), message);
        return None;
    }
    let columns: Vec<_> = aggregate
        .columns
        .iter()
        .map(|c| aggregate::AggregateColumn { name: c.name.clone(), expr: c.expr.clone(), filter: c.filter.clone() })
        .collect();
    let group_by: Vec<_> =
        group_by.iter().map(|c| aggregate::GroupColumn { name: c.name.clone(), expr: c.expr.clone() }).collect();
    // The errors of columns do not depend on the window, so any window serves to find them.
    let any = Window::tumbling(1);
    match aggregate::compile(from.input?, schema, window.unwrap_or(any), &group_by, &columns) {
        Ok(compiled) => {
            for (i, column) in columns.iter().enumerate() {
                out.checked(&columns_at.index(i).field("name"), name::check_column(&column.name));
            }
            // Every kind of window gives its bounds.
            let is_known =
                aggregate.window.is_some() && ["groupBy", "columns"].iter().all(|field| out.is_sound(&at.field(field)));
            let schema = is_known.then(|| compiled.output_schema());
            Some(Lowered {
                op: window.map(|_| StepOp::Aggregate(Arc::new(compiled))),
                schema,
                carries_window: true,
                ..Lowered::default()
            })
        }
        Err(errors) => {
            for error in errors {
                out.add(&place_of(error.at, at), error.message);
            }
            None
        }
    }
}

fn place_of(part: AggregatePart, at: &Path) -> Path {
    let column = |i| at.field("columns").index(i);
    match part {
        AggregatePart::Step => at.clone(),
        AggregatePart::GroupName(i) => at.field("groupBy").index(i).field("name"),
        AggregatePart::GroupExpr(i) => at.field("groupBy").index(i).field("expr"),
        AggregatePart::ColumnName(i) => column(i).field("name"),
        AggregatePart::ColumnExpr(i) => column(i).field("expr"),
        AggregatePart::ColumnFilter(i) => column(i).field("filter"),
    }
}
