//! Unnest: an array, and the names of the columns for its elements.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use weir_plan::expr;
use weir_plan::plan::{self, StepOp};
use weir_plan::quote::quoted;
use weir_plan::types::has_event_time;

use super::{LateOutput, Lowered, Operation, Upstream, user_columns};
use crate::defaults;
use crate::document::{Empties, Unnest};
use crate::finding::{Findings, Path};
use crate::lower::name;
use crate::lower::source::{COLUMNS_MAX, event_time_field, type_name};

impl Operation for Unnest {
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("from"), &self.from)]
    }

    fn expressions(&self, at: &Path) -> Vec<(Path, &str)> {
        vec![(at.field("expr"), &self.expr)]
    }

    fn is_keyed(&self) -> bool {
        false
    }

    fn late_outputs(&self) -> &'static [LateOutput] {
        &[]
    }

    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered {
        from.first().and_then(|from| lower(self, from, at, out)).unwrap_or_default()
    }
}

fn lower(step: &Unnest, from: &Upstream, at: &Path, out: &mut Findings) -> Option<Lowered> {
    let added = [("as", Some(&step.element)), ("position", step.position.as_ref())];
    let added: Vec<_> = added.into_iter().filter_map(|(field, name)| Some((at.field(field), &**name?))).collect();
    for (at, name) in &added {
        out.checked(at, name::check_column(name));
    }
    out.distinct(added.iter().map(|(at, name)| (at.clone(), *name)), "columns");
    let schema = from.schema.as_ref()?;
    for (at, name) in &added {
        if user_columns(schema).any(|column| column.name() == name) {
            let (from, name) = (quoted(&step.from), quoted(name));
            out.add(
                at,
                format!("{from} has a column {name} already: choose another name, or drop it in a map step before"),
            );
        }
    }
    let count = user_columns(schema).count() + added.len();
    if count > COLUMNS_MAX {
        out.add(at, format!("the step would have {count} columns, and at most {COLUMNS_MAX} are allowed"));
    }
    let compiled = expr::compile(&step.expr, schema, &step.element).map_err(|e| e.to_string());
    let array = out.checked(&at.field("expr"), compiled)?;
    let DataType::List(element) = array.field.data_type() else {
        let found = type_name(&array.field);
        out.add(
            &at.field("expr"),
            format!(
                "found {}, which gives the type {found}: write {}",
                quoted(&step.expr),
                match array.field.data_type() {
                    DataType::Map(..) =>
                        format!("{} for its entries", quoted(format_args!("map_entries({})", step.expr))),
                    _ => "an expression that gives an array".to_owned(),
                }
            ),
        );
        return None;
    };
    let keeps_empty = step.empty.unwrap_or(defaults::EMPTIES) == Empties::Keep;
    let own = user_columns(schema).cloned();
    let element = element.as_ref().clone().with_name(&step.element);
    let is_nullable = element.is_nullable() || keeps_empty;
    let position = step.position.as_ref().map(|name| Arc::new(Field::new(name, DataType::Int32, keeps_empty)));
    let event_time = has_event_time(schema).then(event_time_field);
    let fields = own.chain([Arc::new(element.with_nullable(is_nullable))]).chain(position).chain(event_time);
    let fields: Vec<_> = fields.collect();

    let unnest =
        from.input.map(|input| plan::Unnest { input, array, has_position: step.position.is_some(), keeps_empty });
    let is_known = out.is_sound(at);
    let schema = is_known.then(|| Arc::new(Schema::new(fields)));
    Some(Lowered { op: unnest.map(StepOp::Unnest), schema, carries_window: from.carries_window, ..Lowered::default() })
}
