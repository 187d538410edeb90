//! What an API server and controllers add to a document: `kubectl get streampipeline -o yaml` prints it, and it says
//! nothing of what the pipeline does.

use serde_yaml::{Mapping, Value};

/// Fields of `metadata` that nobody writes into a document, or whose content only a cluster acts on.
const METADATA: [&str; 11] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The document without its status, and without the metadata of an object that is stored.
pub(crate) fn as_written(mut document: Value) -> Value {
    let Some(fields) = document.as_mapping_mut() else { return document };
    fields.shift_remove("status");
    let metadata = fields.get_mut("metadata").and_then(Value::as_mapping_mut);
    if let Some(metadata) = metadata {
        METADATA.iter().for_each(|field| drop(Mapping::shift_remove(metadata, *field)));
    }
    document
}
