//! The graph of who reads whom: resolves names to positions, reports circles, and orders steps so that each comes after
//! its inputs.

use weir_plan::outputs::Output;
use weir_plan::plan::Input;
use weir_plan::quote::quoted;

use super::check::{NAMED_MAX, suggestion};
use super::graph::Graph;
use super::{name, step};
use crate::document::Spec;
use crate::finding::{Findings, Path, nearest, one_of};

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

    let step_inputs: Vec<Vec<_>> = spec
        .steps
        .iter()
        .enumerate()
        .map(|(i, step)| {
            step::check_kind(step, &steps.index(i), out);
            let inputs = step::inputs(step, &steps.index(i)).into_iter().map(|(at, from)| {
                let (input, output) = find(spec, from, &at, out)?;
                if output != Output::Main {
                    out.add(&at, format!("not supported yet: a step that reads {}; a sink can read it", quoted(from)));
                }
                Some(input)
            });
            inputs.collect::<Vec<_>>()
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
        let read_by_sinks: Vec<_> = sink_inputs.iter().map(|input| input.map(|(input, _)| input)).collect();
        refuse_unread(spec, &step_inputs, &read_by_sinks, at, out);
    }
    let in_circles = (0..spec.steps.len()).filter(|i| !order.contains(i)).collect::<Vec<_>>();
    Graph { step_inputs, sink_inputs, order: [order, in_circles].concat() }
}

/// The node and output that `from` names: `revenue`, `revenue.Late`.
fn find(spec: &Spec, from: &str, path: &Path, out: &mut Findings) -> Option<(Input, Output)> {
    let (name, output) = from.split_once('.').unwrap_or((from, "Main"));
    let input = find_node(spec, name, path, out)?;
    let there_are = outputs_of(spec, input);
    if let Some(output) = there_are.iter().find(|there| there.name() == output) {
        return Some((input, *output));
    }
    // What a step without keys rejects leaves by its source, unless a keyed step comes before it.
    let has_rejected = match input {
        Input::Source(_) => true,
        Input::Step(i) => step::operation(&spec.steps[i]).is_none_or(|(_, step)| step.is_keyed()),
    };
    let there_are: Vec<_> = there_are.into_iter().filter(|there| *there != Output::Rejected || has_rejected).collect();
    let right = match nearest(output, there_are.iter().map(|there| there.name())) {
        Some(near) => vec![format!("{name}.{near}")],
        None => there_are.iter().map(|there| format!("{name}.{there}")).collect(),
    };
    let right: Vec<_> = right.iter().map(|right| right.strip_suffix(".Main").unwrap_or(right)).collect();
    out.add(path, format!("{} has no output {}: write {}", quoted(name), quoted(output), one_of(&right)));
    None
}

/// The outputs of a node. A step of a kind that is not built yet may have any.
fn outputs_of(spec: &Spec, node: Input) -> Vec<Output> {
    let late = match node {
        Input::Source(_) => Vec::new(),
        Input::Step(i) => match step::operation(&spec.steps[i]) {
            Some((_, operation)) => operation.late_outputs().iter().map(|late| late.output).collect(),
            None => Output::ALL.into_iter().filter(|output| output.late_input().is_some()).collect(),
        },
    };
    let rejects = match node {
        Input::Source(_) => true,
        Input::Step(i) => step::operation(&spec.steps[i]).is_none_or(|(_, operation)| operation.rejects_rows()),
    };
    [Output::Main].into_iter().chain(late).chain(rejects.then_some(Output::Rejected)).collect()
}

fn find_node(spec: &Spec, name: &str, path: &Path, out: &mut Findings) -> Option<Input> {
    if let Some(i) = spec.sources.iter().position(|s| s.name == name) {
        return Some(Input::Source(i));
    }
    if let Some(i) = spec.steps.iter().position(|s| s.name == name) {
        return Some(Input::Step(i));
    }
    let names: Vec<_> = spec.sources.iter().map(|s| &*s.name).chain(spec.steps.iter().map(|s| &*s.name)).collect();
    // The author may have meant a node whose name is missing, or one in a list that can't be read.
    let spec_at = Path::root().field("spec");
    if names.contains(&"") || ["sources", "steps"].iter().any(|list| out.is_broken(&spec_at.field(list))) {
        return None;
    }
    if spec.sinks.iter().any(|s| s.name == name) {
        out.add(
            path,
            format!("{} is a sink, which nothing can read: write the name of a source or a step", quoted(name)),
        );
    } else {
        out.add(path, format!("there is no source or step {}; {}", quoted(name), suggestion(name, &names)));
    }
    None
}

/// The steps in topological order. Steps in a circle or behind one are left out, and the circle is a finding.
fn order(spec: &Spec, inputs: &[Vec<Option<Input>>], steps: &Path, out: &mut Findings) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let mut placed = vec![false; inputs.len()];
    loop {
        let waits_for = |input: &Option<Input>| matches!(input, Some(Input::Step(before)) if !placed[*before]);
        let is_ready = |i: &usize| !placed[*i] && !inputs[*i].iter().any(waits_for);
        let Some(next) = (0..inputs.len()).find(is_ready) else { break };
        placed[next] = true;
        order.push(next);
    }
    let mut named = placed;
    for start in 0..inputs.len() {
        if let Some(circle) = circle_through(start, inputs).filter(|circle| !circle.iter().any(|i| named[*i])) {
            circle.iter().for_each(|i| named[*i] = true);
            // Inputs lead upstream, but people read downstream.
            let mut names: Vec<_> = circle.iter().rev().map(|i| &*spec.steps[*i].name).collect();
            names.insert(0, &spec.steps[start].name);
            let before = Some(Input::Step(circle.get(1).copied().unwrap_or(start)));
            let leads_on = inputs[start].iter().position(|input| *input == before);
            let places = step::inputs(&spec.steps[start], &steps.index(start));
            if let Some((at, _)) = leads_on.and_then(|i| places.get(i)) {
                out.add(at, format!("the steps go round in a circle: {}", names.join(" → ")));
            }
        }
    }
    order
}

/// The circle through `start`: `start`, then what it reads and so on, until that leads back to `start`.
fn circle_through(start: usize, inputs: &[Vec<Option<Input>>]) -> Option<Vec<usize>> {
    let mut circle = vec![start];
    let mut seen = vec![false; inputs.len()];
    leads_back(start, inputs, &mut circle, &mut seen).then_some(circle)
}

/// Whether the path that ends with the last step of `circle` leads back to `start`. If so, `circle` is the whole path.
/// No step is tried twice.
fn leads_back(start: usize, inputs: &[Vec<Option<Input>>], circle: &mut Vec<usize>, seen: &mut [bool]) -> bool {
    let Some(&last) = circle.last() else { return false };
    for input in &inputs[last] {
        let Some(Input::Step(before)) = *input else { continue };
        if before == start {
            return true;
        }
        if !std::mem::replace(&mut seen[before], true) {
            circle.push(before);
            if leads_back(start, inputs, circle, seen) {
                return true;
            }
            circle.pop();
        }
    }
    false
}

/// Refuses nodes that nothing reads, since their work would be wasted. Only the last node of each such chain is
/// reported.
fn refuse_unread(
    spec: &Spec,
    step_inputs: &[Vec<Option<Input>>],
    sink_inputs: &[Option<Input>],
    at: &Path,
    out: &mut Findings,
) {
    let is_read = |node: Input| step_inputs.iter().flatten().chain(sink_inputs).any(|input| *input == Some(node));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(inputs: &[&[usize]]) -> Vec<Vec<Option<Input>>> {
        inputs.iter().map(|of| of.iter().map(|i| Some(Input::Step(*i))).collect()).collect()
    }

    #[test]
    fn a_circle_is_found_through_any_of_several_inputs() {
        // 1 reads 0 and 3, 2 reads 1, 3 reads 0 and 2: the circle is 1, 3, 2.
        let inputs = steps(&[&[], &[0, 3], &[1], &[0, 2]]);
        assert_eq!(circle_through(0, &inputs), None);
        assert_eq!(circle_through(1, &inputs), Some(vec![1, 3, 2]));
        assert_eq!(circle_through(2, &inputs), Some(vec![2, 1, 3]));
        assert_eq!(circle_through(3, &inputs), Some(vec![3, 2, 1]));
        // A step that reaches another one by two paths is not in a circle.
        assert_eq!(circle_through(3, &steps(&[&[], &[0], &[0], &[1, 2]])), None);
    }
}
