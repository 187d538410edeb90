//! Events: what people see with `kubectl describe`. The conditions say the same, and stay.

use kube::Resource;
use kube::runtime::events::{Event, EventType};
use weir_crds::resource::StreamPipeline;

use crate::context::Context;
use crate::error::asking;

/// The most characters of an event's note. API servers accept 1024 bytes.
const NOTE_CHARS_MAX: usize = 1000;

/// Writes an event about a pipeline. Losing one loses nothing.
pub async fn tell(context: &Context, pipeline: &StreamPipeline, kind: EventType, reason: &str, note: String) {
    let event = Event {
        type_: kind,
        reason: reason.to_owned(),
        note: Some(note.chars().take(NOTE_CHARS_MAX).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    let about = pipeline.object_ref(&());
    if let Err(e) = asking("write an event", context.recorder.publish(&event, &about)).await {
        tracing::warn!("{e}");
    }
}
