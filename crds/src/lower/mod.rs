//! Lowers a document to a plan: fills in defaults, resolves references and compiles expressions; or reports all errors
//! at once.
//!
//! This code lowers or refuses each field of the document and ignores none (`tests/documents/final_shape.rs` tries them
//! all). Fields whose feature is not built never come here: `refused.rs` refuses them first.

mod check;
mod connection;
pub(crate) mod duration;
mod graph;
mod http;
mod kafka;
mod name;
mod operation;
mod output;
mod planning;
mod quantity;
mod resolve;
mod secret;
mod settings;
mod sink;
mod source;
mod step;
pub(crate) mod uri;

pub(crate) use check::{NAMED_MAX, suggestion};
pub(crate) use kafka::time_of_number;
pub(crate) use name::{NODE_NAME_CHARS_MAX, check_object, check_secret_key};
pub(crate) use quantity::{parse_bytes, parse_thousandths};
use weir_plan::Plan;

use crate::document::StreamPipeline;
use crate::finding::{Broken, FINDINGS_MAX, Finding, Findings, Path};
use crate::query;

/// Lowers a document in which stand-ins fill the `broken` places. If there are any, it never returns a plan.
///
/// # Errors
/// All errors, in the order of the document's sections; at most a hundred.
pub(crate) fn lower(document: &StreamPipeline, broken: Vec<Broken>) -> Result<Plan, Vec<Finding>> {
    let mut out = Findings::beside(broken);
    let plan = lower_into(document, &mut out);
    match plan {
        Some(plan) if out.is_empty() => Ok(plan),
        _ => {
            let mut findings = out.into_vec();
            findings.truncate(FINDINGS_MAX);
            Err(findings)
        }
    }
}

fn lower_into(document: &StreamPipeline, out: &mut Findings) -> Option<Plan> {
    let spec = &document.spec;
    let at = Path::root().field("spec");
    let pipeline = settings::pipeline(&document.metadata, out);
    let trigger = settings::trigger(spec.trigger.as_ref(), &at.field("trigger"), out);
    let checkpoint = settings::checkpoint(&spec.checkpoint, &at.field("checkpoint"), out);
    let storage = settings::storage(&spec.storage, &at.field("storage"), out);
    let limits = settings::limits(spec.limits.as_ref(), &at.field("limits"), out);
    let http = http::lower(spec.http.as_ref(), &at.field("http"), out);
    operation::operation(spec, &at, out);
    let state_action =
        spec.state_action.as_ref().map(|action| operation::state_action(action, &at.field("stateAction"), out));
    let connections = connection::lower(spec, &at, out);

    let expanded = query::expanded(spec, &at, out);
    let spec = expanded.as_ref().map_or(spec, |expanded| &expanded.spec);
    let graph = resolve::resolve(spec, &at, out);
    let sources = source::lower(document, &connections, &at, out);
    let steps = step::lower(&spec.steps, &graph, &sources, &at.field("steps"), out);
    let sinks = sink::lower(spec, &graph, &sources.schemas, &steps, &at, out);
    sink::check_places(spec, &at, out);

    Some(Plan {
        pipeline,
        trigger: trigger?,
        on_end: settings::on_end(spec.trigger.as_ref()),
        checkpoint: checkpoint?,
        storage: storage?,
        limits: limits?,
        http,
        // If the action is wrong, there is a finding, and this plan is not returned.
        state_action: state_action.flatten(),
        sources: sources.into_plan()?,
        steps: steps.in_order()?,
        sinks: sinks?,
    })
}
