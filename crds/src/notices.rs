//! Notices about a document that is valid but may not do what its author meant. They stop nothing.

use weir_plan::plan::{Plan, StartFrom, Trigger};
use weir_plan::quote::quoted;

/// One sentence per notice, with its path in the document.
#[must_use]
pub fn notices(plan: &Plan) -> Vec<String> {
    let reads_nothing =
        |start_from: &StartFrom| plan.trigger == Trigger::AvailableNow && *start_from == StartFrom::Latest;
    let sources = plan.sources.iter().enumerate().filter(|(_, source)| reads_nothing(&source.kafka.start_from));
    let notices = sources.map(|(i, source)| {
        format!(
            "spec.sources[{i}].kafka.startFrom: the first run of {} begins at the end of the topics of {}, reads \
             nothing and ends, since the trigger is AvailableNow: write `startFrom: {{position: Earliest}}` to read \
             what is there",
            quoted(&plan.pipeline),
            quoted(&source.name)
        )
    });
    notices.collect()
}
