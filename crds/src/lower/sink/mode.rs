//! The mode of a sink, and whether it fits the rows that the sink reads: rows that change need another mode than rows
//! that are final.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_plan::outputs::Output;
use weir_plan::plan;
use weir_plan::quote::quoted;

use crate::defaults;
use crate::document::{Mode, Sink};
use crate::finding::{Findings, Path};
use crate::lower::check::suggestion;
use crate::lower::step::Changing;

/// The modes of the sinks that read running aggregates, by the aggregate's position.
#[derive(Default)]
pub(super) struct Modes<'s>(Vec<(usize, &'s Sink)>);

impl<'s> Modes<'s> {
    /// Lowers the mode of a sink that gets this output, whose rows are `changing` if a running aggregate gives them.
    /// `at` is the sink's path, `schema` the schema of its rows if it is known.
    pub(super) fn lower(
        &mut self,
        sink: &'s Sink,
        changing: Option<Changing>,
        output: Option<Output>,
        schema: Option<&SchemaRef>,
        at: &Path,
        out: &mut Findings,
    ) -> Option<plan::Mode> {
        let mode = mode_of(sink);
        let key = key(sink, schema, at, out);
        let at = at.field("mode");
        let changing = changing.filter(|_| output == Some(Output::Main));
        match (mode, changing) {
            (Mode::Append, None) => return Some(plan::Mode::Append),
            (Mode::Append, Some(_)) => {
                let instead = match sink.delta {
                    Some(_) => "give the aggregate a window, since a table takes no changes yet",
                    None => "write Update or Complete, or give the aggregate a window",
                };
                let message = format!(
                    "found Append, and the rows of {} change with every epoch, since they come of an aggregate without \
                     a window; {instead}",
                    quoted(&sink.from)
                );
                out.add(&at, message);
                return None;
            }
            (found, None) if output.is_some_and(|output| output != Output::Main) => {
                out.add(&at, format!("found {found:?}, and the rows of this output are written once: write Append"));
                return None;
            }
            (found, None) => {
                // The rows of a step or source that is wrong may change, for all that is known.
                if schema.is_some() {
                    let message = format!(
                        "not supported yet: {found:?} for rows that come of no aggregate without a window; write Append"
                    );
                    out.add(&at, message);
                }
                return None;
            }
            (Mode::Complete, Some(changing)) if changing.expires => {
                let message = format!(
                    "found Complete, and {} forgets groups by expireAfter; leave that out, or write Update",
                    quoted(&sink.from)
                );
                out.add(&at, message);
            }
            (_, Some(changing)) => {
                if let Some((_, other)) =
                    self.0.iter().find(|(step, other)| *step == changing.step && mode_of(other) != mode)
                {
                    let message = format!(
                        "found {mode:?}, and sink {} reads the same aggregate as {:?}: write the same mode, or compute \
                         the aggregate in a step for each",
                        quoted(&other.name),
                        mode_of(other)
                    );
                    out.add(&at, message);
                }
                self.0.push((changing.step, sink));
            }
        }
        match mode {
            Mode::Append => Some(plan::Mode::Append),
            Mode::Update => key.map(|key| plan::Mode::Update { key }),
            Mode::Complete => Some(plan::Mode::Complete),
        }
    }
}

fn mode_of(sink: &Sink) -> Mode {
    sink.mode.unwrap_or(defaults::MODE)
}

/// The columns that tell one row of a result from another, as indices.
fn key(sink: &Sink, schema: Option<&SchemaRef>, at: &Path, out: &mut Findings) -> Option<Arc<[usize]>> {
    let mode = mode_of(sink);
    let at = at.field("key");
    let Some(key) = &sink.key else {
        if mode == Mode::Update {
            let message = "is required for the mode `Update`: write the columns whose values tell one row of the result from \
                 another";
            out.add(&at, message);
        }
        return None;
    };
    if mode != Mode::Update {
        out.add(&at, format!("belongs to the mode `Update`, and the mode is `{mode:?}`; leave it out"));
        return None;
    }
    out.distinct(key.iter().enumerate().map(|(i, column)| (at.index(i), &**column)), "columns of the key");
    let schema = schema?;
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let place = |(i, column): (usize, &String)| {
        let found = names.iter().position(|name| name == column);
        if found.is_none() {
            let message = format!("the sink writes no column {}; {}", quoted(column), suggestion(column, &names));
            out.add(&at.index(i), message);
        }
        found
    };
    let places: Vec<_> = key.iter().enumerate().map(place).collect();
    places.into_iter().collect()
}
