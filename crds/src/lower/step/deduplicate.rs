//! Deduplication: the key's columns, and how far apart duplicates may be.

use std::sync::Arc;

use weir_plan::deduplicate::{self, RowOrder};
use weir_plan::outputs::{self, Output};
use weir_plan::plan::StepOp;
use weir_plan::quote::quoted;
use weir_plan::row_keys::RowKey;
use weir_plan::types::has_event_time;

use super::{LateOutput, Lowered, Operation, Upstream};
use crate::defaults;
use crate::document::{Deduplicate, Order};
use crate::finding::{Findings, Path};
use crate::lower::duration;
use crate::lower::source::COLUMNS_MAX;

/// The least and the greatest time between duplicates.
const WITHIN: [&str; 2] = ["0s", "99999h"];

impl Operation for Deduplicate {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("from"), &self.from)]
    }

    fn expressions(&self, _: &Path) -> Vec<(Path, &str)> {
        Vec::new()
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        &[LateOutput { output: Output::Late, columns: outputs::late_rows_schema }]
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        let within = out.duration(&at.field("within"), &self.within, WITHIN[0], WITHIN[1]).map(duration::as_us);
        from.first().and_then(|from| lower(self, from, within, at, out)).unwrap_or_default()
    }
}

fn lower(
    step: &Deduplicate,
    from: &Upstream,
    within_us: Option<i64>,
    at: &Path,
    out: &mut Findings,
) -> Option<Lowered> {
    let order = order(step, from, &at.field("order"), out);
    let key = key(&step.key, from, &at.field("key"), out);
    let schema = from.schema.as_ref()?;
    if !has_event_time(schema) {
        let message = format!(
            "duplicates are near each other in event time, and the rows of {} have none; give its source an eventTime",
            quoted(&step.from)
        );
        out.add(&at.field("within"), message);
        return None;
    }
    let compiled = || {
        let (input, key, within_us, schema) = (from.input?, key?, within_us?, Arc::clone(schema));
        Some(deduplicate::Deduplicate { input, key, within_us, order, schema })
    };
    let op = compiled().map(|compiled| StepOp::Deduplicate(Arc::new(compiled)));
    let (schema, carries_window) = (Some(Arc::clone(schema)), from.carries_window);
    Some(Lowered { op, schema, carries_window, ..Lowered::default() })
}

fn order(step: &Deduplicate, from: &Upstream, at: &Path, out: &mut Findings) -> RowOrder {
    if step.order.unwrap_or(defaults::ORDER) == Order::EventTime {
        return RowOrder::EventTime;
    }
    if from.is_behind_keys {
        let message = format!(
            "{} is behind a step with keys, whose rows have no order of arrival: write order: EventTime",
            quoted(&step.from)
        );
        out.add(at, message);
    }
    RowOrder::Arrival
}

/// The columns of a key; `None` if one of them is wrong.
pub(super) fn key(names: &[String], from: &Upstream, at: &Path, out: &mut Findings) -> Option<RowKey> {
    out.length(at, names.len(), 1..=COLUMNS_MAX);
    out.distinct(names.iter().enumerate().map(|(i, name)| (at.index(i), &**name)), "columns of a key");
    let found = RowKey::of(from.schema.as_ref()?, names);
    let wrong = |errors: Vec<(usize, String)>| {
        errors.into_iter().for_each(|(i, message)| out.add(&at.index(i), message));
    };
    found.map_err(wrong).ok().filter(|_| out.is_sound(at))
}
