//! Sinks: the rows that they receive, and their kind, with a file per kind. This module also checks that no folder of a
//! sink and no checkpoint lie inside one another.

mod console;
mod delta;
mod mode;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_plan::plan;
use weir_plan::quote::quoted;

use self::mode::Modes;
use super::graph::Graph;
use super::output::{self, Nodes};
use super::step::Steps;
use super::uri;
use crate::defaults;
use crate::document::{Guarantee, Mode, Sink, Spec, unions};
use crate::finding::{Findings, Path};

pub(super) fn lower(
    spec: &Spec,
    graph: &Graph,
    sources: &[Option<SchemaRef>],
    steps: &Steps,
    spec_at: &Path,
    out: &mut Findings,
) -> Option<Vec<plan::Sink>> {
    let at = spec_at.field("sinks");
    let nodes = Nodes { spec, graph, sources, steps };
    let mut modes = Modes::default();
    let lowered: Vec<_> = spec
        .sinks
        .iter()
        .enumerate()
        .map(|(i, sink)| {
            let at = at.index(i);
            refuse_unsupported(sink, &at, out);
            let input = graph.sink_inputs[i];
            let given = nodes.given(sink, input, &at, out);
            let keeps = given.as_ref().map(|given| keeps(sink, given, &at, out));
            let schema = match (&given, &keeps) {
                (Some(given), Some(Some(keeps))) => {
                    out.checked(&at, given.project(keeps).map_err(|e| e.to_string())).map(Arc::new)
                }
                _ => given.clone(),
            };
            let (read, output) = input.unzip();
            let mode = modes.lower(sink, steps.changing(read), output, schema.as_ref(), &at, out);
            let kind = kind(sink, schema.as_ref(), &at, out);
            let (input, output) = input?;
            Some(plan::Sink {
                name: sink.name.clone(),
                input: steps.in_plan(input)?,
                output,
                kind: kind?,
                mode: mode?,
                given: given?,
                keeps: keeps?,
                schema: schema?,
            })
        })
        .collect();
    output::require_rejected_sinks(spec, graph, spec_at, out);
    lowered.into_iter().collect()
}

/// What the sink writes to, by its kind.
fn kind(sink: &Sink, schema: Option<&SchemaRef>, at: &Path, out: &mut Findings) -> Option<plan::SinkKind> {
    let delta = sink.delta.as_ref().map(|delta| delta::lower(delta, schema, at, out).map(plan::SinkKind::Delta));
    let console = sink.console.as_ref().map(|console| console::lower(console, at, out).map(plan::SinkKind::Console));
    delta.or(console)?
}

/// The columns that a sink writes, as indices into the columns that it receives; `None` for all of them.
fn keeps(sink: &Sink, given: &SchemaRef, at: &Path, out: &mut Findings) -> Option<Arc<[usize]>> {
    let dropped = sink.drop_columns.as_deref()?;
    let names: Vec<_> = given.fields().iter().map(|f| f.name().as_str()).collect();
    let at = at.field("dropColumns");
    out.droppable(dropped, &names, &sink.from, &at);
    let keeps: Arc<[usize]> = (0..names.len()).filter(|i| !dropped.iter().any(|name| name == names[*i])).collect();
    if keeps.is_empty() {
        out.add(&at, format!("no column of {} is left: keep one at least", quoted(&sink.from)));
    }
    Some(keeps)
}

fn refuse_unsupported(sink: &Sink, at: &Path, out: &mut Findings) {
    let kinds = [sink.delta.is_some(), sink.kafka.is_some(), sink.parquet.is_some(), sink.console.is_some()];
    out.exactly_one(at, unions::SINK_KINDS, &kinds);
    match sink.guarantee.unwrap_or(defaults::GUARANTEE) {
        Guarantee::ExactlyOnce => {}
        found @ Guarantee::AtLeastOnce => out.not_yet_value(&at.field("guarantee"), found, &["ExactlyOnce"]),
    }
    match sink.mode.unwrap_or(defaults::MODE) {
        mode @ (Mode::Update | Mode::Complete) if sink.delta.is_some() => {
            let message = format!("not supported yet: {mode:?} for a table; write Append, and give aggregates windows");
            out.add(&at.field("mode"), message);
        }
        Mode::Append | Mode::Update | Mode::Complete => {}
    }
}

/// Refuses folders that lie inside one another. A vacuum of the outer table would delete the inner one's files, and two
/// writers of one table would mistake each other's epochs for their own.
pub(super) fn check_places(spec: &Spec, spec_at: &Path, out: &mut Findings) {
    let checkpoint = (spec_at.field("checkpoint").field("uri"), spec.checkpoint.uri.as_str());
    let sinks = spec.sinks.iter().enumerate();
    let folders = sinks.flat_map(|(i, sink)| {
        sink.folders().map(move |(folder, uri)| (folder.path(&spec_at.field("sinks").index(i)), uri))
    });
    let mut seen: Vec<(Path, String)> = Vec::new();
    for (path, text) in std::iter::once(checkpoint).chain(folders) {
        let Ok(place) = uri::parse(text) else { continue };
        if let Some((other, there)) = seen.iter().find(|(_, there)| uri::overlap(&place, there)) {
            let how = match place.len().cmp(&there.len()) {
                Ordering::Equal => "is the place of",
                Ordering::Greater => "lies in the place of",
                Ordering::Less => "holds the place of",
            };
            out.add(
                &path,
                format!("{} {how} {other}, {}; each needs a place of its own", quoted(&place), quoted(there)),
            );
        }
        seen.push((path, place));
    }
}
