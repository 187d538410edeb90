//! Notices about a document that is valid but may not do what its author meant. They stop nothing.

use weir_plan::plan::{Plan, StartFrom, Trigger};
use weir_plan::quote::quoted;
use weir_plan::topics::Topics;

use crate::decode::cut_by_comments;
use crate::finding::FINDINGS_MAX;

/// One sentence per notice, with its path in the document.
#[must_use]
pub fn notices(plan: &Plan) -> Vec<String> {
    let reads_nothing =
        |start_from: &StartFrom| plan.trigger == Trigger::AvailableNow && *start_from == StartFrom::Latest;
    let sources = plan.sources.iter().enumerate().filter(|(_, source)| reads_nothing(&source.kafka.start_from));
    let empty_runs = sources.map(|(i, source)| {
        format!(
            "spec.sources[{i}].kafka.startFrom: the first run of {} begins at the end of the topics of {}, reads \
             nothing and ends, since the trigger is AvailableNow: write `startFrom: {{position: Earliest}}` to read \
             what is there",
            quoted(&plan.pipeline),
            quoted(&source.name)
        )
    });
    let plain_names = plan.sources.iter().enumerate().filter_map(|(i, source)| {
        let Topics::Matching(pattern) = &source.kafka.topics else { return None };
        let name = pattern.only_name()?;
        Some(format!(
            "spec.sources[{i}].kafka.topicPattern: {} must match the whole name of a topic, which only {} does: write {} \
             for every topic whose name begins so, or `topics: [{name}]`",
            quoted(pattern.as_str()),
            quoted(name),
            quoted(format_args!("{name}.*"))
        ))
    });
    empty_runs.chain(plain_names).collect()
}

/// One sentence for each expression in the text of a valid document that a comment may cut off.
#[must_use]
pub fn notices_of_text(text: &str) -> Vec<String> {
    cut_by_comments(text).into_iter().take(FINDINGS_MAX).map(|cut| cut.message).collect()
}
