//! What a manifest tells a table to commit.

use serde_json::{Map, Value};
use weir_base::failure::{Failure, Result};

use crate::writing::{Payload, unknown};

/// The type of a payload of uploaded data files, as `add` actions of the Delta protocol.
pub(crate) const APPEND: &str = "DeltaAppend";

const ADDS: &str = "adds";

/// A payload of the type `APPEND`.
#[must_use]
pub fn append(adds: Vec<Value>) -> Payload {
    Payload { kind: APPEND.to_owned(), body: Map::from_iter([(ADDS.to_owned(), Value::Array(adds))]) }
}

/// The `add` actions of a payload.
///
/// # Errors
/// `Config`, if this version does not know the payload's type or the payload has no such actions.
pub fn adds(payload: &Payload) -> Result<&[Value]> {
    match (payload.kind.as_str(), payload.body.get(ADDS)) {
        (APPEND, Some(Value::Array(adds))) => Ok(adds),
        (APPEND, _) => Err(Failure::config(format!(
            "its payload `{APPEND}` has no list `{ADDS}`: was the manifest changed by hand?"
        ))),
        (kind, _) => Err(unknown("its payload has the type", kind)),
    }
}
