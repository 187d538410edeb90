//! Top: the window, the key, and what rows are ranked by.

use std::sync::Arc;

use weir_plan::aggregate::{self, Rank, WINDOW_END, WINDOW_START};
use weir_plan::outputs::{self, Output};
use weir_plan::plan::StepOp;
use weir_plan::quote::quoted;
use weir_plan::types::has_event_time;
use weir_plan::window::Window;

use super::deduplicate::key;
use super::window::{of_input, window};
use super::{LateOutput, Lowered, Operation, Upstream, user_columns};
use crate::defaults;
use crate::document::{Direction, Nulls, OrderBy, Ties, Top};
use crate::finding::{Findings, Path};

/// The most rows of a ranking.
const LIMIT_MAX: i64 = 100_000;
const RANKS_MAX: usize = 16;

impl Operation for Top {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("from"), &self.from)]
    }

    fn expressions(&self, at: &Path) -> Vec<(Path, &str)> {
        let ranks = self.order_by.iter().enumerate();
        ranks.map(|(i, rank)| (at.field("orderBy").index(i).field("expr"), &*rank.expr)).collect()
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        // Rows that carry their window never miss it: what closed the window has given them.
        let is_carried = self.window.as_ref().is_none_or(|window| window.of_input.is_some());
        if is_carried { &[] } else { &[LateOutput { output: Output::Late, columns: outputs::late_schema }] }
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        out.length(&at.field("orderBy"), self.order_by.len(), 1..=RANKS_MAX);
        let limit = out.integer(&at.field("limit"), self.limit, 1..=LIMIT_MAX);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        from.first().and_then(|from| lower(self, from, limit, at, out)).unwrap_or_default()
    }
}

fn lower(step: &Top, from: &Upstream, limit: Option<usize>, at: &Path, out: &mut Findings) -> Option<Lowered> {
    let window_at = at.field("window");
    let window = match &step.window {
        Some(found) => window(found, &step.from, from, &window_at, out),
        None if !from.carries_window && from.schema.is_some() => {
            let from = quoted(&step.from);
            out.add(
                &window_at,
                format!(
                    "the rows of {from} carry no window, so it is to be said which of them are ranked together: write \
                     {{tumbling: {{size: 5m}}}}, or read an aggregate that has a window"
                ),
            );
            None
        }
        None => of_input(&step.from, from, &window_at, out),
    };
    let key = key(&step.key, from, &at.field("key"), out);
    let schema = from.schema.as_ref()?;
    if !has_event_time(schema) {
        let message = format!(
            "a window goes by the event time, and the rows of {} have none; give its source an eventTime",
            quoted(&step.from)
        );
        out.add(&window_at, message);
        return None;
    }
    let bound = user_columns(schema).find(|column| [WINDOW_START, WINDOW_END].contains(&column.name().as_str()));
    if let (Some(column), Some(found)) = (bound, &step.window)
        && found.of_input.is_none()
    {
        let (from, name) = (quoted(&step.from), quoted(column.name()));
        out.add(&window_at, format!("the window adds a column {name}, and {from} has one already: rename it in a map step before, or rank the rows of their own windows with ofInput: {{}}"));
        return None;
    }
    let ranks: Vec<_> = step.order_by.iter().map(rank).collect();
    let (input, key) = (from.input?, key?);
    // What is wrong with the criteria does not depend on the window.
    let top = aggregate::Top {
        window: window.unwrap_or(Window::tumbling(1)),
        key: &key,
        ranks: &ranks,
        limit: limit.unwrap_or(1),
        keeps_ties: step.ties.unwrap_or(defaults::TIES) == Ties::Keep,
    };
    match aggregate::compile_top(input, schema, &top) {
        Ok(compiled) => {
            let schema = window.map(|_| compiled.output_schema());
            let op = window.zip(limit).map(|_| StepOp::Aggregate(Arc::new(compiled)));
            Some(Lowered { op, schema, carries_window: true, ..Lowered::default() })
        }
        Err(errors) => {
            for (i, message) in errors {
                out.add(&at.field("orderBy").index(i).field("expr"), message);
            }
            None
        }
    }
}

fn rank(by: &OrderBy) -> Rank<'_> {
    let descending = by.direction.unwrap_or(defaults::DIRECTION) == Direction::Desc;
    let nulls_first = by.nulls.map_or(!descending, |nulls| nulls == Nulls::First);
    Rank { expr: &by.expr, descending, nulls_first }
}
