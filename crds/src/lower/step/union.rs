//! Unions: the columns of all inputs are compared with those of the first one.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use weir_plan::plan::{self, StepOp};
use weir_plan::quote::quoted;
use weir_plan::types::{EVENT_TIME, has_event_time};

use super::{LateOutput, Lowered, Operation, Upstream, user_columns};
use crate::document::Union;
use crate::finding::{Findings, Path, nearest};
use crate::lower::source::type_name;

/// The most inputs of a union.
const INPUTS_MAX: usize = 64;

impl Operation for Union {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        let at = at.field("inputs");
        self.inputs.iter().enumerate().map(|(i, input)| (at.index(i), &**input)).collect()
    }

    fn expressions(&self, _: &Path) -> Vec<(Path, &str)> {
        Vec::new()
    }

    fn is_keyed(&self) -> bool {
        false
    }

    fn rejects_rows(&self) -> bool {
        false
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        &[]
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        let at = at.field("inputs");
        out.length(&at, self.inputs.len(), 2..=INPUTS_MAX);
        out.distinct(self.inputs.iter().enumerate().map(|(i, input)| (at.index(i), &**input)), "inputs");
        let schemas: Option<Vec<_>> = from.iter().map(|from| from.schema.as_ref()).collect();
        let Some(schemas) = schemas.filter(|schemas| !schemas.is_empty()) else { return Lowered::default() };
        let mut of_inputs = Vec::with_capacity(schemas.len());
        for (i, schema) in schemas.iter().enumerate() {
            let matched = matched(&self.inputs, i, schemas[0], schema);
            let of_input = matched.and_then(|columns| self.check_clocks(i, from).map(|()| columns));
            of_inputs.push(out.checked(&at.index(i), of_input));
        }
        // Nothing is known of the union's columns while its inputs contradict each other.
        let Some(columns) = of_inputs.into_iter().collect::<Option<Vec<_>>>() else { return Lowered::default() };
        let schema = united(&schemas, &columns);
        let inputs: Option<Vec<_>> = from.iter().map(|from| from.input).collect();
        Lowered {
            op: inputs.map(|inputs| StepOp::Union(plan::Union { inputs, columns })),
            schema: Some(schema),
            carries_window: from.iter().all(|from| from.carries_window),
            ..Lowered::default()
        }
    }
}

impl Union {
    /// Checks that the times of an input's rows mean the same as those of the first one's. The error is one sentence.
    fn check_clocks(&self, input: usize, from: &[Upstream]) -> Result<(), String> {
        let (own, other) = (quoted(&self.inputs[input]), quoted(&self.inputs[0]));
        let (by_clock, by_record) = match (from[input].is_timed_by_clock, from[0].is_timed_by_clock) {
            (true, false) => (own, other),
            (false, true) => (other, own),
            (true, true) | (false, false) => return Ok(()),
        };
        Err(format!(
            "the rows of {by_clock} have the time when they are read (processingTime), and those of {by_record} the \
             time of their records: give their sources one kind of eventTime, such as kafkaTimestamp"
        ))
    }
}

/// The indices of an input's columns in the order of the first input's, `_event_time` included. The error is one
/// sentence.
fn matched(names: &[String], input: usize, first: &SchemaRef, schema: &SchemaRef) -> Result<Vec<usize>, String> {
    let (own, other) = (quoted(&names[input]), quoted(&names[0]));
    let known: Vec<_> = user_columns(schema).map(|field| field.name().as_str()).collect();
    for field in user_columns(first) {
        let name = quoted(field.name());
        match user_columns(schema).find(|column| column.name() == field.name()) {
            None => {
                let meant = nearest(field.name(), known.iter().copied());
                let meant = meant.map(|near| format!(" (did you mean {}?)", quoted(near))).unwrap_or_default();
                return Err(format!(
                    "{own} has no column {name}, which {other} has{meant}: compute it in a map of {own}, or drop it in \
                     a map of {other}"
                ));
            }
            Some(found) if found.data_type() != field.data_type() => {
                return Err(format!(
                    "column {name} of {own} has the type {}, and that of {other} has {}: cast one of them in a map",
                    type_name(found),
                    type_name(field)
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(more) = user_columns(schema).find(|column| first.field_with_name(column.name()).is_err()) {
        let name = quoted(more.name());
        return Err(format!(
            "{own} has a column {name}, which {other} does not have: drop it in a map of {own}, or compute it in a map \
             of {other}"
        ));
    }
    if has_event_time(schema) != has_event_time(first) {
        let (with, without) = if has_event_time(schema) { (own, other) } else { (other, own) };
        return Err(format!("the rows of {with} have an event time, and those of {without} have none: give them one"));
    }
    let index = |field: &FieldRef| schema.index_of(field.name()).map_err(|e| e.to_string());
    first.fields().iter().map(index).collect()
}

/// The first input's columns, each nullable if it is nullable in any input.
fn united(schemas: &[&SchemaRef], columns: &[Vec<usize>]) -> SchemaRef {
    let nullable =
        |place: usize| schemas.iter().zip(columns).any(|(schema, columns)| schema.field(columns[place]).is_nullable());
    let field = |(place, field): (usize, &FieldRef)| match field.name().as_str() {
        EVENT_TIME => Arc::clone(field),
        _ => Arc::new(field.as_ref().clone().with_nullable(nullable(place))),
    };
    Arc::new(Schema::new(schemas[0].fields().iter().enumerate().map(field).collect::<Vec<_>>()))
}
