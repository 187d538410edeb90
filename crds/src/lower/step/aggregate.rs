//! Aggregates, over windows or running.

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
use crate::lower::source::COLUMNS_MAX;
use crate::lower::{duration, name};

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

    fn runs(&self) -> Option<bool> {
        self.window.is_none().then_some(self.expire_after.is_some())
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        match &self.window {
            // Rows that carry their window never miss it: what closed the window has given them.
            Some(window) if window.of_input.is_some() => &[],
            Some(_) => &[LateOutput { output: Output::Late, columns: outputs::late_schema }],
            None if self.expire_after.is_some() => {
                &[LateOutput { output: Output::Late, columns: outputs::late_rows_schema }]
            }
            None => &[],
        }
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        from.first().and_then(|from| lower(self, from, at, out)).unwrap_or_default()
    }
}

fn lower(aggregate: &Aggregate, from: &Upstream, at: &Path, out: &mut Findings) -> Option<Lowered> {
    let expire_after_us = expire_after_us(aggregate, &at.field("expireAfter"), out);
    let window = match &aggregate.window {
        Some(found) => window(found, &aggregate.from, from, &at.field("window"), out),
        None => expire_after_us.map(|expire_after_us| Window::Global { expire_after_us }),
    };
    let group_by = aggregate.group_by.as_deref().unwrap_or_default();
    let columns_at = at.field("columns");
    out.length(&at.field("groupBy"), group_by.len(), 0..=COLUMNS_MAX);
    out.length(&columns_at, aggregate.columns.len(), 1..=COLUMNS_MAX);
    for (i, column) in group_by.iter().enumerate() {
        out.checked(&at.field("groupBy").index(i).field("name"), name::check_column(&column.name));
    }
    let schema = from.schema.as_ref()?;
    let (what, field) =
        if aggregate.window.is_some() { ("a window", "window") } else { ("expireAfter", "expireAfter") };
    if !has_event_time(schema) && (aggregate.window.is_some() || aggregate.expire_after.is_some()) {
        let message = format!(
            "{what} goes by the event time, and the rows of {} have none; give its source an eventTime",
            quoted(&aggregate.from)
        );
        out.add(&at.field(field), message);
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
    let any = match aggregate.window {
        Some(_) => Window::tumbling(1),
        None => Window::Global { expire_after_us: None },
    };
    match aggregate::compile(from.input?, schema, window.unwrap_or(any), &group_by, &columns) {
        Ok(compiled) => {
            for (i, column) in columns.iter().enumerate() {
                out.checked(&columns_at.index(i).field("name"), name::check_column(&column.name));
            }
            // Every kind of window gives its bounds.
            let is_known = ["groupBy", "columns"].iter().all(|field| out.is_sound(&at.field(field)));
            let schema = is_known.then(|| compiled.output_schema());
            Some(Lowered {
                op: window.map(|_| StepOp::Aggregate(Arc::new(compiled))),
                schema,
                carries_window: aggregate.window.is_some(),
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

/// When groups are forgotten, in µs; `Some(None)`: never.
fn expire_after_us(aggregate: &Aggregate, at: &Path, out: &mut Findings) -> Option<Option<i64>> {
    let Some(found) = &aggregate.expire_after else { return Some(None) };
    if aggregate.window.is_some() {
        out.add(at, "the window says already when a group ends: leave it out");
        return None;
    }
    out.duration(at, found, "0s", "99999h").map(|duration| Some(duration::as_us(duration)))
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
