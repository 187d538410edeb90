//! What is known of the rows of a source or a step before anything is lowered.

use crate::document::{AddedColumn, Aggregate, Source, Spec, Step, Window};
use weir_plan::aggregate::{WINDOW_END, WINDOW_START};
use weir_plan::types::EVENT_TIME;

/// What is known of the rows of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The columns, if all are known.
    pub(super) names: Option<Vec<String>>,
    /// The columns that hold the event time.
    pub(super) times: Vec<String>,
    /// Whether rows with the same `window_start` are of the same window.
    pub(super) is_window_told_by_start: bool,
}

impl Known {
    /// Behind columns that are added, in place of those of the same name, and without those that are dropped.
    pub(super) fn changed(self, added: &[AddedColumn], dropped: &[String]) -> Self {
        let is_gone = |name: &String| dropped.contains(name);
        let is_new = |name: &String| added.iter().any(|column| column.name == *name);
        let names = self.names.map(|names| {
            let new = added.iter().map(|column| column.name.clone()).filter(|name| !names.contains(name));
            let new: Vec<_> = new.collect();
            names.into_iter().filter(|name| !is_gone(name)).chain(new).collect()
        });
        let kept = self.times.iter().filter(|time| !is_gone(time) && !is_new(time)).cloned();
        let renamed = added.iter().filter(|column| self.times.contains(&column.expr)).map(|column| column.name.clone());
        let times = kept.chain(renamed).collect();
        Self { names, times, ..self }
    }

    /// Behind columns that are all, each with its expression.
    pub(super) fn chosen(&self, columns: &[(String, String)]) -> Self {
        let is_time = |(_, expr): &&(String, String)| expr == EVENT_TIME || self.times.contains(expr);
        Self {
            names: Some(columns.iter().map(|(name, _)| name.clone()).collect()),
            times: columns.iter().filter(is_time).map(|(name, _)| name.clone()).collect(),
            is_window_told_by_start: self.is_window_told_by_start,
        }
    }

    /// Of the rows of an aggregate over a window.
    pub(super) fn aggregated(&self, window: Option<&Window>, columns: impl Iterator<Item = String>) -> Self {
        let bounds = [WINDOW_START, WINDOW_END].map(str::to_owned);
        let bounds = window.map(|_| bounds);
        Self {
            names: Some(bounds.into_iter().flatten().chain(columns).collect()),
            times: Vec::new(),
            is_window_told_by_start: window.is_some_and(|window| self.is_told_by_start(window)),
        }
    }

    /// Whether such a window of these rows is told by its start.
    pub(super) fn is_told_by_start(&self, window: &Window) -> bool {
        match window {
            Window { session: Some(_), .. } | Window { cumulate: Some(_), .. } => false,
            Window { of_input: Some(_), .. } => self.is_window_told_by_start,
            _ => true,
        }
    }
}

/// What is known of a source or a step of the document. A step that reads itself is not known.
pub(super) fn known(spec: &Spec, name: &str) -> Known {
    of_node(spec, name, &mut Vec::new())
}

fn of_node<'s>(spec: &'s Spec, name: &str, seen: &mut Vec<&'s str>) -> Known {
    if let Some(source) = spec.sources.iter().find(|source| source.name == name) {
        return of_source(source);
    }
    match spec.steps.iter().find(|step| step.name == name && !seen.contains(&step.name.as_str())) {
        Some(step) => {
            seen.push(&step.name);
            of_step(spec, step, seen)
        }
        None => Known::default(),
    }
}

fn of_source(source: &Source) -> Known {
    let columns = source.columns.iter().flatten().map(|column| column.name.clone());
    let metadata = source.kafka.iter().flat_map(|kafka| kafka.metadata_columns.iter().flatten());
    let time = source.event_time.as_ref().and_then(|time| time.expr.as_ref());
    Known {
        names: Some(columns.chain(metadata.map(|column| column.name.clone())).collect()),
        times: time.map(|expr| expr.trim().trim_matches(['"', '`']).to_owned()).into_iter().collect(),
        is_window_told_by_start: false,
    }
}

fn of_step<'s>(spec: &'s Spec, step: &'s Step, seen: &mut Vec<&'s str>) -> Known {
    if let Some(map) = &step.map {
        let from = of_node(spec, &map.from, seen);
        let Some(columns) = &map.columns else {
            let (added, dropped) = (map.add_columns.as_deref(), map.drop_columns.as_deref());
            return from.changed(added.unwrap_or_default(), dropped.unwrap_or_default());
        };
        let columns: Vec<_> = columns
            .iter()
            .map(|column| (column.name.clone(), column.expr.clone().unwrap_or_else(|| column.name.clone())))
            .collect();
        return from.chosen(&columns);
    }
    if let Some(aggregate) = &step.aggregate {
        let from = of_node(spec, &aggregate.from, seen);
        return from.aggregated(aggregate.window.as_ref(), columns_of(aggregate));
    }
    if let Some(over) = &step.over {
        let dropped = over.drop_columns.as_deref().unwrap_or_default();
        return of_node(spec, &over.from, seen).changed(&over.add_columns, dropped);
    }
    if let Some(deduplicate) = &step.deduplicate {
        return of_node(spec, &deduplicate.from, seen);
    }
    // What the other kinds give is not followed: their columns can be named in a map.
    Known::default()
}

/// The columns of an aggregate behind the bounds of its window.
pub(super) fn columns_of(aggregate: &Aggregate) -> impl Iterator<Item = String> {
    let keys = aggregate.group_by.iter().flatten().map(|key| key.name.clone());
    keys.chain(aggregate.columns.iter().map(|column| column.name.clone()))
}
