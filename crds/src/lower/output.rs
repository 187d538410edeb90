//! The outputs of nodes that sinks write: the rows themselves, rows that missed their window, records that could not be
//! taken in.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use weir_plan::outputs;
use weir_plan::plan::Input;
use weir_plan::quote::quoted;

use super::graph::Graph;
use super::step::{Steps, user_columns};
use crate::defaults;
use crate::document::{BadRecordsPolicy, Output, Sink, Source, Spec};
use crate::finding::{Findings, Path};

/// What sinks may read.
pub(super) struct Nodes<'a> {
    pub(super) spec: &'a Spec,
    pub(super) graph: &'a Graph,
    pub(super) sources: &'a [Option<SchemaRef>],
    pub(super) steps: &'a Steps,
}

impl Nodes<'_> {
    /// Which output a sink writes, and its columns as far as they are known.
    pub(super) fn output(
        &self,
        sink: &Sink,
        input: Option<Input>,
        at: &Path,
        out: &mut Findings,
    ) -> (outputs::Output, Option<SchemaRef>) {
        let at = at.field("output");
        let from = quoted(&sink.from);
        match sink.output.unwrap_or(defaults::OUTPUT) {
            Output::Main => {
                let schema = input.and_then(|input| self.steps.schema_of(input, self.sources));
                (outputs::Output::Main, schema.map(|s| written(&s)))
            }
            Output::Rejected => {
                let schema = match input {
                    Some(Input::Step(step)) => self.rejected_rows(&from, step, &at, out),
                    _ => Some(outputs::rejected_schema()),
                };
                let source = input.and_then(|input| self.source_of(input));
                if source.is_some_and(|i| policy_of(&self.spec.sources[i]) != BadRecordsPolicy::Output) {
                    out.add(
                        &at,
                        format!(
                            "nothing leaves {from} there; badRecords: {{policy: Output}} in the source would be right"
                        ),
                    );
                }
                (outputs::Output::Rejected, schema)
            }
            Output::Late => (outputs::Output::Late, input.and_then(|input| self.late(&from, input, &at, out))),
        }
    }

    /// The columns of rows that a step could not compute: of a window its bounds and group columns, of a map what it
    /// read.
    fn rejected_rows(
        &self,
        from: &impl std::fmt::Display,
        step: usize,
        at: &Path,
        out: &mut Findings,
    ) -> Option<SchemaRef> {
        let input = self.graph.step_inputs[step]?;
        let read = match &self.spec.steps[step].aggregate {
            Some(aggregate) => {
                let rows = self.steps.schema_of(Input::Step(step), self.sources)?;
                let named = aggregate.group_by.iter().flatten().count() + 2;
                Schema::new(rows.fields().iter().take(named).cloned().collect::<Vec<_>>())
            }
            None if self.is_behind_window(input) => self.steps.schema_of(input, self.sources)?.as_ref().clone(),
            None => {
                out.add(
                    at,
                    format!(
                        "{from} has no window before it: records that it can't compute leave by the output `Rejected` \
                         of their source; write \
                         its name in `from`"
                    ),
                );
                return None;
            }
        };
        out.checked(at, outputs::rejected_rows_schema(&read))
    }

    fn is_behind_window(&self, input: Input) -> bool {
        self.back_from(input).any(|node| matches!(node, Input::Step(i) if self.spec.steps[i].aggregate.is_some()))
    }

    fn source_of(&self, input: Input) -> Option<usize> {
        self.back_from(input).find_map(|node| match node {
            Input::Source(i) => Some(i),
            Input::Step(_) => None,
        })
    }

    /// A node and those that it goes back to. In a circle, which is refused elsewhere, no more than there are steps.
    fn back_from(&self, input: Input) -> impl Iterator<Item = Input> {
        let before = |node: &Input| match node {
            Input::Source(_) => None,
            Input::Step(i) => self.graph.step_inputs[*i],
        };
        std::iter::successors(Some(input), before).take(self.spec.steps.len() + 1)
    }

    fn late(&self, from: &impl std::fmt::Display, input: Input, at: &Path, out: &mut Findings) -> Option<SchemaRef> {
        let step = match input {
            Input::Step(i) => i,
            Input::Source(_) => {
                out.add(at, format!("{from} is a source; the output `Late` is one of steps with windows"));
                return None;
            }
        };
        if self.spec.steps[step].aggregate.is_none() {
            out.add(
                at,
                format!("{from} has no windows that a row could miss; the output `Late` is one of aggregate steps"),
            );
            return None;
        }
        let read = self.steps.schema_of(self.graph.step_inputs[step]?, self.sources)?;
        out.checked(at, outputs::late_schema(&read))
    }
}

fn policy_of(source: &Source) -> BadRecordsPolicy {
    source.bad_records.as_ref().map_or(defaults::BAD_RECORDS, |b| b.policy)
}

/// What leaves by an output that nobody reads would be lost.
pub(super) fn require_rejected_sinks(spec: &Spec, spec_at: &Path, out: &mut Findings) {
    for (i, source) in spec.sources.iter().enumerate().filter(|(_, s)| policy_of(s) == BadRecordsPolicy::Output) {
        if !spec.sinks.iter().any(|s| s.output == Some(Output::Rejected) && s.from == source.name) {
            let at = spec_at.field("sources").index(i).field("badRecords").field("policy");
            let name = quoted(&source.name);
            out.add(
                &at,
                format!(
                    "nothing reads the output `Rejected` of {name}; a sink with from: {name} and output: Rejected \
                         would be right"
                ),
            );
        }
    }
}

/// What a sink writes of rows: everything but the event time, which is there to be selected under a name.
fn written(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(user_columns(schema).cloned().collect::<Vec<_>>()))
}
