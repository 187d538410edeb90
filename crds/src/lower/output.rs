//! The node outputs that sinks write: the rows themselves, rows that missed their window, and records that could not be
//! taken in.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use weir_plan::outputs::{self, Output};
use weir_plan::plan::Input;
use weir_plan::quote::quoted;

use super::graph::Graph;
use super::step::{self, Steps, user_columns};
use crate::defaults;
use crate::document::{BadRecordsPolicy, Sink, Source, Spec};
use crate::finding::{Findings, Path};

/// The nodes that sinks may read.
pub(super) struct Nodes<'a> {
    pub(super) spec: &'a Spec,
    pub(super) graph: &'a Graph,
    pub(super) sources: &'a [Option<SchemaRef>],
    pub(super) steps: &'a Steps,
}

impl Nodes<'_> {
    /// The columns that a sink receives; `None` if they are not known.
    pub(super) fn given(
        &self,
        sink: &Sink,
        input: Option<(Input, Output)>,
        at: &Path,
        out: &mut Findings,
    ) -> Option<SchemaRef> {
        let (input, output) = input?;
        let at = &at.field("from");
        let node = quoted(sink.from.split('.').next().unwrap_or_default());
        match output {
            Output::Main => Some(without_time(&*self.steps.schema_of(input, self.sources)?)),
            Output::Late | Output::LateLeft | Output::LateRight => self.late(input, output, at, out),
            Output::Rejected => {
                let sources = self.sources_of(input);
                let leaves = |i: &usize| policy_of(&self.spec.sources[*i]) == BadRecordsPolicy::Output;
                if !sources.is_empty() && !sources.iter().any(leaves) {
                    let message = format!(
                        "nothing leaves {node} by its output `Rejected`: write badRecords: {{policy: Output}} in the \
                         source"
                    );
                    out.add(at, message);
                }
                match input {
                    Input::Step(step) => self.rejected_rows(&node, step, at, out),
                    Input::Source(_) => Some(outputs::rejected_schema()),
                }
            }
        }
    }

    /// The columns of rows that a step could not compute: the columns that identify such a row if the step names them,
    /// and otherwise the columns of its input.
    fn rejected_rows(
        &self,
        node: &impl std::fmt::Display,
        step: usize,
        at: &Path,
        out: &mut Findings,
    ) -> Option<SchemaRef> {
        let input = self.only_input(step)?;
        if !self.is_behind_keys(Input::Step(step)) {
            let source = self.sources_of(input).first().map_or("", |i| &self.spec.sources[*i].name);
            let message = format!(
                "each row of {node} comes from one record, so a record that it can't compute leaves by the output \
                 `Rejected` of its source: write {}",
                quoted(format_args!("{source}.Rejected"))
            );
            out.add(at, message);
            return None;
        }
        let named_by = self.steps.op(step)?.rejected_columns();
        let columns = named_by.or_else(|| self.steps.schema_of(input, self.sources))?;
        out.checked(at, outputs::rejected_rows_schema(&columns))
    }

    /// The node that a step reads, if the step has one input.
    fn only_input(&self, step: usize) -> Option<Input> {
        self.graph.step_inputs[step].first().copied().flatten()
    }

    /// Whether a node's rows come from keyed state: its own, or that of a step before it.
    fn is_behind_keys(&self, node: Input) -> bool {
        let is_keyed = |i: &usize| step::operation(&self.spec.steps[*i]).is_some_and(|(_, step)| step.is_keyed());
        self.back_from(node).iter().any(|node| matches!(node, Input::Step(i) if is_keyed(i)))
    }

    /// The sources whose rows reach a node.
    fn sources_of(&self, input: Input) -> Vec<usize> {
        let nodes = self.back_from(input);
        let source = |node: &Input| match node {
            Input::Source(i) => Some(*i),
            Input::Step(_) => None,
        };
        nodes.iter().filter_map(source).collect()
    }

    /// A node and all nodes upstream of it, each once.
    fn back_from(&self, input: Input) -> Vec<Input> {
        let mut nodes = vec![input];
        let mut next = 0;
        while let Some(node) = nodes.get(next).copied() {
            next += 1;
            let Input::Step(step) = node else { continue };
            for before in self.graph.step_inputs[step].iter().flatten() {
                if !nodes.contains(before) {
                    nodes.push(*before);
                }
            }
        }
        nodes
    }

    /// The columns of rows that came too late for a step, which has this output.
    fn late(&self, node: Input, output: Output, at: &Path, out: &mut Findings) -> Option<SchemaRef> {
        let Input::Step(i) = node else { return None };
        let (_, operation) = step::operation(&self.spec.steps[i])?;
        let late = operation.late_outputs().iter().find(|late| late.output == output)?;
        let read = *self.graph.step_inputs[i].get(output.late_input()?)?;
        let read = self.steps.schema_of(read?, self.sources)?;
        out.checked(at, (late.columns)(&read))
    }
}

fn policy_of(source: &Source) -> BadRecordsPolicy {
    source.bad_records.as_ref().map_or(defaults::BAD_RECORDS, |b| b.policy)
}

/// Refuses an output `Rejected` that no sink reads: its records would be lost.
pub(super) fn require_rejected_sinks(spec: &Spec, graph: &Graph, spec_at: &Path, out: &mut Findings) {
    for (i, source) in spec.sources.iter().enumerate().filter(|(_, s)| policy_of(s) == BadRecordsPolicy::Output) {
        if !graph.sink_inputs.contains(&Some((Input::Source(i), Output::Rejected))) {
            let at = spec_at.field("sources").index(i).field("badRecords").field("policy");
            let output = quoted(format_args!("{}.Rejected", source.name));
            out.add(&at, format!("nothing reads what leaves by {output}: write a sink with from: {output}"));
        }
    }
}

/// The schema without the event time. A document can select the event time under another name.
fn without_time(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(user_columns(schema).cloned().collect::<Vec<_>>()))
}
