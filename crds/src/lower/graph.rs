//! Who reads whom: names resolved to positions, circles named, steps put into an order in which each comes after what
//! it reads.

use weir_plan::plan::Input;
use weir_plan::quote::quoted;

use super::check::{NAMED_MAX, suggestion};
use super::name;
use crate::document::{Spec, Step, unions};
use crate::finding::{Findings, Path};

/// References, resolved. Positions are those of the document.
pub(super) struct Graph {
    /// What each step reads; `None` if that is not known.
    pub(super) step_inputs: Vec<Option<Input>>,
    pub(super) sink_inputs: Vec<Option<Input>>,
    /// Every step, those in circles last.
    pub(super) order: Vec<usize>,
}

/// What a step reads, as far as its shape is known.
fn from_of(step: &Step) -> Option<(&'static str, &str)> {
    match (&step.map, &step.aggregate) {
        (Some(map), None) => Some(("map", &map.from)),
        (None, Some(aggregate)) => Some(("aggregate", &aggregate.from)),
        _ => None,
    }
}

pub(super) fn resolve(spec: &Spec, at: &Path, out: &mut Findings) -> Graph {
    let (sources, steps, sinks) = (at.field("sources"), at.field("steps"), at.field("sinks"));
    out.length(&sources, spec.sources.len(), 1..=NAMED_MAX);
    out.length(&steps, spec.steps.len(), 0..=NAMED_MAX);
    out.length(&sinks, spec.sinks.len(), 1..=NAMED_MAX);

    let source_names = spec.sources.iter().enumerate().map(|(i, s)| (sources.index(i).field("name"), &*s.name));
    let step_names = spec.steps.iter().enumerate().map(|(i, s)| (steps.index(i).field("name"), &*s.name));
    let sink_names = spec.sinks.iter().enumerate().map(|(i, s)| (sinks.index(i).field("name"), &*s.name));
    let names: Vec<_> = source_names.chain(step_names).chain(sink_names).collect();
    for (path, name) in &names {
        out.checked(path, name::check_node(name));
    }
    out.distinct(names, "sources, steps and sinks");

    let step_inputs: Vec<_> = spec
        .steps
        .iter()
        .enumerate()
        .map(|(i, step)| {
            check_kind(step, &steps.index(i), out);
            let (kind, from) = from_of(step)?;
            find(spec, from, &steps.index(i).field(kind).field("from"), out)
        })
        .collect();
    let sink_inputs: Vec<_> = spec
        .sinks
        .iter()
        .enumerate()
        .map(|(i, sink)| find(spec, &sink.from, &sinks.index(i).field("from"), out))
        .collect();

    let known = [&sources, &steps, &sinks].iter().all(|p| out.is_sound(p));
    let order = order(spec, &step_inputs, &steps, out);
    if known && order.len() == spec.steps.len() {
        refuse_unread(spec, &step_inputs, &sink_inputs, at, out);
    }
    let in_circles = (0..spec.steps.len()).filter(|i| !order.contains(i)).collect::<Vec<_>>();
    Graph { step_inputs, sink_inputs, order: [order, in_circles].concat() }
}

fn check_kind(step: &Step, at: &Path, out: &mut Findings) {
    let later = [&step.union, &step.join, &step.deduplicate, &step.unnest, &step.over, &step.process, &step.sql];
    let is_there: Vec<_> = [step.map.is_some(), step.aggregate.is_some()]
        .into_iter()
        .chain(later.iter().map(|kind| kind.is_some()))
        .collect();
    out.exactly_one(at, unions::STEP_KINDS, &is_there);
    for (kind, block) in unions::STEP_KINDS[2..].iter().zip(later) {
        out.not_yet(at, kind, block.as_ref());
    }
}

fn find(spec: &Spec, name: &str, path: &Path, out: &mut Findings) -> Option<Input> {
    if let Some(i) = spec.sources.iter().position(|s| s.name == name) {
        return Some(Input::Source(i));
    }
    if let Some(i) = spec.steps.iter().position(|s| s.name == name) {
        return Some(Input::Step(i));
    }
    let names: Vec<_> = spec.sources.iter().map(|s| &*s.name).chain(spec.steps.iter().map(|s| &*s.name)).collect();
    // A node without a name may be the one that was meant.
    if names.contains(&"") {
        return None;
    }
    if spec.sinks.iter().any(|s| s.name == name) {
        out.add(
            path,
            format!(
                "{} is a sink, which nothing can read; the name of a source or a step would be right",
                quoted(name)
            ),
        );
    } else {
        out.add(path, format!("there is no source or step {}; {}", quoted(name), suggestion(name, &names)));
    }
    None
}

/// The steps in an order in which each comes after its input; those in a circle, or behind one, are left out and the
/// circle is a finding.
fn order(spec: &Spec, inputs: &[Option<Input>], steps: &Path, out: &mut Findings) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let mut placed = vec![false; inputs.len()];
    loop {
        let is_ready = |i: &usize| !placed[*i] && !matches!(inputs[*i], Some(Input::Step(before)) if !placed[before]);
        let Some(next) = (0..inputs.len()).find(is_ready) else { break };
        placed[next] = true;
        order.push(next);
    }
    let mut named = placed;
    for start in 0..inputs.len() {
        if let Some(circle) = circle_through(start, inputs).filter(|circle| !circle.iter().any(|i| named[*i])) {
            circle.iter().for_each(|i| named[*i] = true);
            // Inputs lead upstream; people read downstream.
            let mut names: Vec<_> = circle.iter().rev().map(|i| &*spec.steps[*i].name).collect();
            names.insert(0, &spec.steps[start].name);
            if let Some((kind, _)) = from_of(&spec.steps[start]) {
                out.add(
                    &steps.index(start).field(kind).field("from"),
                    format!("the steps go round in a circle: {}", names.join(" → ")),
                );
            }
        }
    }
    order
}

/// `start`, then its input and so on, if that leads back to `start`.
fn circle_through(start: usize, inputs: &[Option<Input>]) -> Option<Vec<usize>> {
    let mut circle = vec![start];
    let mut at = start;
    while let Some(Input::Step(before)) = inputs[at] {
        if before == start {
            return Some(circle);
        }
        if circle.contains(&before) {
            return None;
        }
        circle.push(before);
        at = before;
    }
    None
}

/// What nothing reads would be computed for nobody. Only the end of each such chain is named.
fn refuse_unread(
    spec: &Spec,
    step_inputs: &[Option<Input>],
    sink_inputs: &[Option<Input>],
    at: &Path,
    out: &mut Findings,
) {
    let is_read = |node: Input| step_inputs.iter().chain(sink_inputs).any(|input| *input == Some(node));
    let sources =
        spec.sources.iter().enumerate().map(|(i, s)| (at.field("sources").index(i), &s.name, Input::Source(i)));
    let steps = spec.steps.iter().enumerate().map(|(i, s)| (at.field("steps").index(i), &s.name, Input::Step(i)));
    for (path, name, node) in sources.chain(steps) {
        if !is_read(node) {
            out.add(
                &path,
                format!(
                    "nothing reads {}, so it leads to no sink; let a sink or a step read it, or leave it out",
                    quoted(name)
                ),
            );
        }
    }
}
