//! Over: the key, the frame, and the columns with their aggregates.

use std::sync::Arc;

use arrow::datatypes::Schema;
use weir_plan::aggregate::{self, AggregateColumn, AggregatePart, WINDOW_END, WINDOW_START};
use weir_plan::outputs::{self, Output};
use weir_plan::over::{self, Frame};
use weir_plan::plan::StepOp;
use weir_plan::quote::quoted;
use weir_plan::types::has_event_time;

use super::deduplicate::key;
use super::map::{changed, check_columns};
use super::{LateOutput, Lowered, Operation, Upstream, user_columns};
use crate::document::{Duration, Over, unions};
use crate::finding::{Findings, Path};
use crate::lower::duration;
use crate::lower::source::event_time_field;

/// The most rows before a row that may count for it.
const ROWS_MAX: i64 = 100_000;

impl Operation for Over {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("from"), &self.from)]
    }

    fn expressions(&self, at: &Path) -> Vec<(Path, &str)> {
        let columns = self.add_columns.iter().enumerate();
        columns.map(|(i, column)| (at.field("addColumns").index(i).field("expr"), &*column.expr)).collect()
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        &[LateOutput { output: Output::Late, columns: outputs::late_rows_schema }]
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        let frame = frame(self, at, out);
        check_columns(&at.field("addColumns"), self.add_columns.iter().map(|c| &*c.name), out);
        from.first().and_then(|from| lower(self, from, frame, at, out)).unwrap_or_default()
    }
}

fn frame(step: &Over, at: &Path, out: &mut Findings) -> Option<Frame> {
    out.exactly_one(at, unions::FRAMES, &[step.range.is_some(), step.rows.is_some()]);
    let us =
        |found: &Duration, at: &Path, out: &mut Findings| out.duration(at, found, "0s", "99999h").map(duration::as_us);
    let expires_at = at.field("expireAfter");
    let expire_after_us = step.expire_after.as_ref().map(|found| us(found, &expires_at, out));
    if let Some(range) = &step.range {
        if expire_after_us.is_some() {
            out.add(&expires_at, "the range says already how old a row may be: leave it out");
        }
        return us(&range.preceding, &at.field("range").field("preceding"), out)
            .map(|preceding_us| Frame::Range { preceding_us });
    }
    let rows = step.rows.as_ref()?;
    if expire_after_us.is_none() {
        out.add(
            &expires_at,
            "nothing else bounds how long rows are kept: write how old a row may be to be counted, such as 1h",
        );
    }
    let preceding = out.integer(&at.field("rows").field("preceding"), rows.preceding, 0..=ROWS_MAX)?;
    Some(Frame::Rows { preceding: usize::try_from(preceding).ok()?, expire_after_us: expire_after_us?? })
}

fn lower(step: &Over, from: &Upstream, frame: Option<Frame>, at: &Path, out: &mut Findings) -> Option<Lowered> {
    let key = key(&step.key, from, &at.field("key"), out);
    let schema = from.schema.as_ref()?;
    if !has_event_time(schema) {
        let message = format!(
            "rows before a row are those with earlier event times, and the rows of {} have none; give its source an \
             eventTime",
            quoted(&step.from)
        );
        out.add(&at.field("from"), message);
        return None;
    }
    let names: Vec<_> = user_columns(schema).map(|field| field.name().as_str()).collect();
    let dropped = step.drop_columns.as_deref().unwrap_or_default();
    let wanted = changed(&step.add_columns, dropped, &step.from, &names, at, out);
    let as_column = |(name, expr): (&str, &Option<String>)| AggregateColumn {
        name: name.to_owned(),
        expr: expr.clone().unwrap_or_default(),
        filter: None,
    };
    let columns: Vec<_> = wanted.iter().map(|column| as_column((column.name, &column.expr))).collect();
    let columns = match aggregate::compile_over(schema, &columns) {
        Ok(columns) => columns,
        Err(errors) => {
            for error in errors {
                let place = match error.at {
                    AggregatePart::ColumnExpr(i) => wanted.get(i).map(|column| &column.at),
                    _ => None,
                };
                out.add(place.unwrap_or(at), error.message);
            }
            return None;
        }
    };
    // A window's bounds that are computed anew are no longer those of the window.
    let keeps = |name: &&str| {
        !dropped.iter().any(|dropped| dropped == name) && !step.add_columns.iter().any(|added| added.name == *name)
    };
    let carries_window = from.carries_window && [WINDOW_START, WINDOW_END].iter().all(keeps);
    let fields = columns.outputs.iter().map(|column| Arc::clone(&column.field)).chain([event_time_field()]);
    let output = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let compiled = || {
        let (input, key, frame, input_schema) = (from.input?, key?, frame?, Arc::clone(schema));
        Some(over::Over { input, key, frame, input_schema, columns })
    };
    let op = compiled().map(|over| StepOp::Over(Arc::new(over)));
    let is_known = ["addColumns", "dropColumns"].iter().all(|field| out.is_sound(&at.field(field)));
    Some(Lowered { op, schema: is_known.then_some(output), carries_window, ..Lowered::default() })
}
